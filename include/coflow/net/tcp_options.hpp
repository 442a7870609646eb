/// \file
/// Options of TCP connections and listeners.
#pragma once

#include <chrono>
#include <concepts>
#include <optional>
#include <system_error>
#include <utility>

#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/detail/shared_callback.hpp"
#include "coflow/net/detail/system.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/name_resolver.hpp"

namespace coflow::inline v0 {

/// How a silent peer is probed (tcp(7)): after `idle` without traffic, every `interval`, given up after `count` probes.
/// The three times are whole seconds, at least one.
class keep_alive_options {
 public:
  keep_alive_options() noexcept {}
  keep_alive_options& idle(std::chrono::seconds time) noexcept { return idle_ = time, *this; }
  keep_alive_options& interval(std::chrono::seconds time) noexcept { return interval_ = time, *this; }
  keep_alive_options& count(int probes) noexcept { return count_ = probes, *this; }

  [[nodiscard]] std::chrono::seconds idle() const noexcept { return idle_; }
  [[nodiscard]] std::chrono::seconds interval() const noexcept { return interval_; }
  [[nodiscard]] int count() const noexcept { return count_; }

 private:
  std::chrono::seconds idle_{60};
  std::chrono::seconds interval_{10};
  int count_ = 6;
};

/// Options of `tcp_connect`: `connect_options().timeout(3s).keep_alive()`.
class connect_options {
 public:
  connect_options() = default;

  /// How long connecting may take in all, with the look-up of a name; without it, as long as the system tries (about
  /// two minutes for an address).
  connect_options& timeout(std::chrono::nanoseconds limit) noexcept { return timeout_ = limit, *this; }
  /// Small writes go out at once (TCP_NODELAY). On unless turned off.
  connect_options& no_delay(bool on) noexcept { return no_delay_ = on, *this; }
  /// Probes a silent peer; off unless turned on.
  connect_options& keep_alive(keep_alive_options how = {}) noexcept { return keep_alive_ = how, *this; }
  /// The local address, or address and port, to connect from.
  connect_options& local(const endpoint& from) noexcept { return local_ = from, *this; }
  /// Who finds the addresses of a name; `system_resolver` unless set. Its endpoints are tried as they are, with the
  /// ports that it gives them.
  connect_options& resolver(name_resolver find) noexcept { return resolver_ = std::move(find), *this; }
  /// The head start of each address of a name before the next one is tried beside it (RFC 8305): 10 ms to 2 s, what is
  /// beyond counts as that; 250 ms unless set.
  connect_options& attempt_delay(std::chrono::nanoseconds time) noexcept {
    using namespace std::chrono_literals;
    return attempt_delay_ =
               detail::smaller<std::chrono::nanoseconds>(detail::larger<std::chrono::nanoseconds>(time, 10ms), 2s),
           *this;
  }

  [[nodiscard]] std::optional<std::chrono::nanoseconds> timeout() const noexcept { return timeout_; }
  [[nodiscard]] bool no_delay() const noexcept { return no_delay_; }
  [[nodiscard]] const std::optional<keep_alive_options>& keep_alive_setting() const noexcept { return keep_alive_; }
  [[nodiscard]] const std::optional<endpoint>& local() const noexcept { return local_; }
  [[nodiscard]] const name_resolver& resolver() const noexcept { return resolver_; }
  [[nodiscard]] std::chrono::nanoseconds attempt_delay() const noexcept { return attempt_delay_; }

 private:
  std::optional<std::chrono::nanoseconds> timeout_;
  std::optional<keep_alive_options> keep_alive_;
  std::optional<endpoint> local_;
  name_resolver resolver_;
  std::chrono::nanoseconds attempt_delay_ = std::chrono::milliseconds(250);
  bool no_delay_ = true;
};

/// Options of `tcp_listener`; what concerns connections applies to every connection that is accepted.
class listener_options {
 public:
  listener_options() = default;

  /// How many connections may wait to be accepted; the system may cap it.
  listener_options& backlog(int connections) noexcept { return backlog_ = connections, *this; }
  /// Bind although connections of an earlier listener linger (SO_REUSEADDR). On unless turned off.
  listener_options& reuse_address(bool on) noexcept { return reuse_address_ = on, *this; }
  /// Several listeners, of several loops, share the port (SO_REUSEPORT). Off unless turned on.
  listener_options& reuse_port(bool on) noexcept { return reuse_port_ = on, *this; }
  /// A listener on an IPv6 address takes IPv4 connections too, where the address covers them ("::"); their addresses
  /// then look like ::ffff:127.0.0.1. On unless turned off, whatever the system's own default is.
  listener_options& dual_stack(bool on) noexcept { return dual_stack_ = on, *this; }
  /// Small writes of accepted connections go out at once (TCP_NODELAY). On unless turned off.
  listener_options& no_delay(bool on) noexcept { return no_delay_ = on, *this; }
  /// Probes silent peers of accepted connections; off unless turned on.
  listener_options& keep_alive(keep_alive_options how = {}) noexcept { return keep_alive_ = how, *this; }
  /// Called once whenever accepting begins to fail for want of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM).
  /// `accept` itself waits and goes on. Must not throw and must not
  /// destroy the listener.
  template <class F>
    requires std::invocable<F&, std::error_code>
  listener_options& on_trouble(F report) {
    return on_trouble_ = std::move(report), *this;
  }

  [[nodiscard]] int backlog() const noexcept { return backlog_; }
  [[nodiscard]] bool reuse_address() const noexcept { return reuse_address_; }
  [[nodiscard]] bool reuse_port() const noexcept { return reuse_port_; }
  [[nodiscard]] bool dual_stack() const noexcept { return dual_stack_; }
  [[nodiscard]] bool no_delay() const noexcept { return no_delay_; }
  [[nodiscard]] const std::optional<keep_alive_options>& keep_alive_setting() const noexcept { return keep_alive_; }
  [[nodiscard]] const detail::shared_callback<std::error_code>& on_trouble() const noexcept { return on_trouble_; }

 private:
  detail::shared_callback<std::error_code> on_trouble_;
  std::optional<keep_alive_options> keep_alive_;
  int backlog_ = 4096;
  bool reuse_address_ = true;
  bool reuse_port_ = false;
  bool dual_stack_ = true;
  bool no_delay_ = true;
};

namespace detail {

inline int set_keep_alive(int fd, const std::optional<keep_alive_options>& how) noexcept {
  int status = sys::set_option(fd, SOL_SOCKET, SO_KEEPALIVE, how ? 1 : 0);
  if (how && status >= 0)
    status = sys::set_option(fd, IPPROTO_TCP, sys::keep_alive_idle, static_cast<int>(how->idle().count()));
  if (how && status >= 0)
    status = sys::set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(how->interval().count()));
  if (how && status >= 0) status = sys::set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, how->count());
  return status;
}

}  // namespace detail
}  // namespace coflow::inline v0
