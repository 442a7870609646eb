/// \file
/// Why there is no secure channel: conditions that hold for every TLS library, and an error that says what to do.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace coflow::inline v0 {

/// Properties of the error codes that TLS engines give, whichever library is behind; compare with `==`. A code may have
/// several: an expired certificate is refused, too.
enum class tls_condition {
  certificate_refused = 1,  ///< this side does not accept the peer's certificate, for whatever reason
  certificate_untrusted,    ///< ... no chain leads to an authority that is trusted; self-signed ones among them
  certificate_expired,      ///< ... the time is over for it or for one of its chain, or has not come yet
  certificate_wrong_host,   ///< ... it is for another host name or address than the one that was asked for
  certificate_revoked,      ///< ... its authority has withdrawn it
  certificate_missing,      ///< the peer has sent none, and one is required
  refused_by_peer,          ///< the peer has ended the connection with an alert
  own_certificate_refused,  ///< ... because of the certificate that this side sent, or did not send
  no_common_version,        ///< the sides agree on no version of the protocol
  no_common_cipher,         ///< the sides agree on no cipher suite or other parameter
  no_common_application,    ///< the sides agree on no application protocol (ALPN)
  not_tls,                  ///< what came is no TLS: the peer speaks something else at this port
  record_corrupted,         ///< a record was changed on its way
  protocol_violation,       ///< what came is against the rules of TLS, those above among them
  bad_configuration,        ///< a certificate, key or setting of this side cannot be used
};

namespace detail {

class tls_condition_names final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "coflow.tls"; }
  [[nodiscard]] std::string message(int value) const override {
    switch (static_cast<tls_condition>(value)) {
      case tls_condition::certificate_refused:
        return "the peer's certificate is not accepted";
      case tls_condition::certificate_untrusted:
        return "the peer's certificate is not trusted";
      case tls_condition::certificate_expired:
        return "the peer's certificate is not valid at this time";
      case tls_condition::certificate_wrong_host:
        return "the peer's certificate is for another host";
      case tls_condition::certificate_revoked:
        return "the peer's certificate was revoked";
      case tls_condition::certificate_missing:
        return "the peer sent no certificate";
      case tls_condition::refused_by_peer:
        return "the peer ended the connection with an alert";
      case tls_condition::own_certificate_refused:
        return "the peer does not accept this side's certificate";
      case tls_condition::no_common_version:
        return "no common protocol version";
      case tls_condition::no_common_cipher:
        return "no common cipher";
      case tls_condition::no_common_application:
        return "no common application protocol";
      case tls_condition::not_tls:
        return "the peer does not speak TLS";
      case tls_condition::record_corrupted:
        return "a record was changed on its way";
      case tls_condition::protocol_violation:
        return "the peer broke the rules of TLS";
      case tls_condition::bad_configuration:
        return "the TLS configuration cannot be used";
    }
    return "unknown TLS condition";
  }
};

}  // namespace detail

/// The category of `coflow::tls_condition`. It has default visibility, so that several shared libraries agree on it.
[[nodiscard, gnu::visibility("default")]] inline const std::error_category& tls_condition_category() noexcept {
  static const detail::tls_condition_names category;
  return category;
}
[[nodiscard]] inline std::error_condition make_error_condition(tls_condition value) noexcept {
  return {static_cast<int>(value), tls_condition_category()};
}

/// What making a TLS flow, or a context for some, gives when it fails. It converts to its `code()`, so that it can be
/// handed on where an error code is expected. Copies share what they hold.
class tls_error {
 public:
  /// No error, like a default-made error code.
  tls_error() noexcept {}

  /// `text` says for people what has failed, if the code's own message does not; `host` is whom this was about, if
  /// anybody. Throws std::bad_alloc.
  tls_error(std::error_code code, std::string text = {}, std::string host = {})  // NOLINT: conversion is the point
      : code_(code) {
    if (!text.empty() || !host.empty()) held_ = std::make_shared<const details>(std::move(text), std::move(host));
  }

  /// What the engine or the flow below has said, `error::timed_out`, `error::truncated`, `operation_canceled`.
  [[nodiscard]] std::error_code code() const noexcept { return code_; }
  operator std::error_code() const noexcept { return code_; }  // NOLINT: conversion is the point

  /// The host as it was asked for; empty where there is none. It lives as long as a copy of this error.
  [[nodiscard]] std::string_view host() const noexcept { return held_ ? std::string_view(held_->host) : ""; }

  /// One line for people: "certificate verify failed: self-signed certificate (host example.org)". What cannot be
  /// printed in it is a question mark.
  [[nodiscard]] std::string message() const {
    std::string line = held_ && !held_->text.empty() ? held_->text : code_.message();
    if (!host().empty()) line += " (host " + held_->host + ")";
    for (char& c : line) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7f) c = '?';
    }
    return line;
  }

  /// Compares the code: `failed == coflow::tls_condition::certificate_expired`, `failed == coflow::error::timed_out`.
  friend bool operator==(const tls_error& failed, const std::error_code& code) noexcept { return failed.code_ == code; }
  friend bool operator==(const tls_error& failed, const std::error_condition& condition) noexcept {
    return failed.code_ == condition;
  }

 private:
  struct details {
    details(std::string what, std::string whom) noexcept : text(std::move(what)), host(std::move(whom)) {}
    std::string text;
    std::string host;
  };

  std::shared_ptr<const details> held_;
  std::error_code code_;
};

}  // namespace coflow::inline v0

template <>
struct std::is_error_condition_enum<coflow::tls_condition> : std::true_type {};
