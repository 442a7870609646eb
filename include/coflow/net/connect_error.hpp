/// \file
/// Why there is no connection to a host: one error for several addresses.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/error.hpp"
#include "coflow/net/endpoint.hpp"

namespace coflow::inline v0 {

/// One address that could not be connected to, and the reason.
class connect_failure {
 public:
  connect_failure(const endpoint& remote, std::error_code code) noexcept : remote_(remote), code_(code) {}

  [[nodiscard]] const endpoint& remote() const noexcept { return remote_; }
  [[nodiscard]] std::error_code code() const noexcept { return code_; }

 private:
  endpoint remote_;
  std::error_code code_;
};

/// What `tcp_connect` to a host gives when it fails. It converts to its `code()`, so that it can be handed on where an
/// error code is expected. Copies share what they hold.
class connect_error {
 public:
  /// No error, like a default-made error code.
  connect_error() noexcept {}

  /// Connecting to `host` failed as a whole: the name has no addresses, the deadline has passed, and the like.
  /// `failures` is what was met until then. Throws std::bad_alloc.
  connect_error(std::string host, std::uint16_t port, std::error_code code, std::vector<connect_failure> failures = {})
      : held_(std::make_shared<const details>(std::move(host), port, std::move(failures))), code_(code) {}

  /// Every address has failed, and there is at least one. Throws std::bad_alloc.
  [[nodiscard]] static connect_error of_all(std::string host, std::uint16_t port,
                                            std::vector<connect_failure> failures) {
    const std::error_code code = most_telling(failures);
    return connect_error(std::move(host), port, code, std::move(failures));
  }

  /// What ended the whole, if something did: the resolver's error, `error::timed_out`, `operation_canceled`. If every
  /// address has failed, the reason of the one that came furthest, and of several the first that was tried: the host
  /// has answered (refused, reset), then it was silent (ETIMEDOUT), then it could not be reached, then the attempt
  /// could not even be made.
  [[nodiscard]] std::error_code code() const noexcept { return code_; }
  operator std::error_code() const noexcept { return code_; }  // NOLINT: conversion is the point

  /// The host as it was asked for; empty without an error.
  [[nodiscard]] std::string_view host() const noexcept { return held_ ? std::string_view(held_->host) : ""; }
  [[nodiscard]] std::uint16_t port() const noexcept { return held_ ? held_->port : std::uint16_t{0}; }

  /// Every address that has failed, in the order in which they were tried. When the deadline has passed, the attempts
  /// that were under way are among them, with `error::timed_out`. The span lives as long as a copy of this error.
  [[nodiscard]] std::span<const connect_failure> failures() const noexcept {
    return held_ ? std::span<const connect_failure>(held_->failures) : std::span<const connect_failure>();
  }

  /// One line for people: "cannot connect to example.org:443: [2001:db8::1]:443: Network is unreachable;
  /// 192.0.2.1:443: Connection refused". What cannot be printed in the host's name is a question mark there.
  [[nodiscard]] std::string message() const {
    if (!held_) return code_.message();
    std::string line = "cannot connect to " + printable_host() + ":" + std::to_string(held_->port);
    bool told = false;
    std::string reasons;
    for (const connect_failure& one : held_->failures) {
      told = told || one.code() == code_;
      reasons += reasons.empty() ? ": " : "; ";
      reasons += one.remote().to_string() + ": " + one.code().message();
    }
    if (!told) line += ": " + code_.message();
    return line + reasons;
  }

  /// Compares the code: `failed == std::errc::connection_refused`, `failed == coflow::error::timed_out`.
  friend bool operator==(const connect_error& failed, const std::error_code& code) noexcept {
    return failed.code_ == code;
  }
  friend bool operator==(const connect_error& failed, const std::error_condition& condition) noexcept {
    return failed.code_ == condition;
  }

 private:
  struct details {
    details(std::string to, std::uint16_t at, std::vector<connect_failure> met) noexcept
        : host(std::move(to)), failures(std::move(met)), port(at) {}
    std::string host;
    std::vector<connect_failure> failures;
    std::uint16_t port;
  };

  static std::error_code most_telling(const std::vector<connect_failure>& failures) noexcept {
    std::error_code best;
    int best_rank = -1;
    for (const connect_failure& one : failures) {
      if (const int rank = rank_of(one.code()); rank > best_rank) {
        best = one.code();
        best_rank = rank;
      }
    }
    return best;
  }
  // How far an attempt came that ended like this.
  static int rank_of(const std::error_code& code) noexcept {
    if (!detail::has_errno(code)) return 0;
    switch (code.value()) {
      case ECONNREFUSED:
      case ECONNRESET:
      case ECONNABORTED:
        return 3;
      case ETIMEDOUT:
        return 2;
      case EHOSTUNREACH:
      case ENETUNREACH:
      case ENETDOWN:
        return 1;
      default:
        return 0;
    }
  }

  [[nodiscard]] std::string printable_host() const {
    constexpr std::size_t most = 253;
    std::string name = held_->host.substr(0, most);
    for (char& c : name) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7f) c = '?';
    }
    if (held_->host.size() > most) name += "...";
    if (name.find(':') == std::string::npos || name.front() == '[') return name;
    return "[" + name + "]";
  }

  std::shared_ptr<const details> held_;
  std::error_code code_;
};

}  // namespace coflow::inline v0
