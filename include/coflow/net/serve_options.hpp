/// \file
/// Options of `serve`, and what it reports.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <string>
#include <system_error>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/core/detail/shared_callback.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/server_stop.hpp"

namespace coflow::inline v0 {

/// How one connection has failed: by an error that its handler gave, or by an exception that left it.
class connection_failure {
 public:
  /// An error, `error::timed_out` for a peer that was idle for too long.
  connection_failure(std::error_code code, const endpoint& peer) noexcept : code_(code), peer_(peer) {}
  /// An exception.
  connection_failure(std::exception_ptr thrown, const endpoint& peer) noexcept
      : thrown_(std::move(thrown)), peer_(peer) {}

  /// The error; empty if it was an exception.
  [[nodiscard]] const std::error_code& code() const noexcept { return code_; }
  /// The exception; null if it was an error.
  [[nodiscard]] const std::exception_ptr& exception() const noexcept { return thrown_; }
  /// Where the connection came from; unspecified if its flow has no `remote_endpoint()`.
  [[nodiscard]] const endpoint& peer() const noexcept { return peer_; }

  /// In words, for a log. Throws std::bad_alloc.
  [[nodiscard]] std::string message() const {
    if (!thrown_) return code_.message();
    try {
      std::rethrow_exception(thrown_);
    } catch (const std::exception& known) {
      return known.what();
    } catch (...) {
      return "an unknown exception";
    }
  }

 private:
  std::error_code code_;
  std::exception_ptr thrown_;
  endpoint peer_;
};

/// Options of `serve`: `serve_options().max_connections(1000).idle_timeout(30s)`. `Watched` says whether handlers get a
/// `watched_flow`, which is what `idle_timeout` needs; it is part of the type because the handler's flow is.
template <bool Watched>
class basic_serve_options {
 public:
  basic_serve_options() = default;

  /// How many connections are handled at a time. At the bound nothing is accepted: further connections wait in the
  /// kernel's queue. 0, and the default, is any number.
  basic_serve_options& max_connections(std::size_t count) noexcept { return max_connections_ = count, *this; }

  /// Cuts off a connection on which no read and no write has completed for `time`; never earlier, and at most an
  /// eighth later. Its handler is cancelled. Handlers get a `watched_flow` for it. A time that is not positive is no
  /// limit. Gives options of another type: use what it gives.
  template <class Rep, class Period>
  [[nodiscard]] basic_serve_options<true> idle_timeout(std::chrono::duration<Rep, Period> time) const noexcept {
    basic_serve_options<true> changed(*this);
    changed.idle_timeout_ = detail::saturated(time);
    return changed;
  }

  /// How long handlers may go on once the server was told to stop, before they are cancelled; 10 s unless set.
  template <class Rep, class Period>
  basic_serve_options& grace(std::chrono::duration<Rep, Period> time) noexcept {
    return grace_ = detail::saturated(time), *this;
  }

  /// What stops the server beside a stop of its task. It must live until the server has begun.
  basic_serve_options& stopped_by(server_stop& stop) noexcept { return stopped_by_ = &stop, *this; }

  /// Called once for each connection that has failed, when its flow is closed: with `error::timed_out` for one that was
  /// cut off, and what its handler gave, as a rule `operation_canceled`, for one that a stop cut short. What it throws
  /// is dropped. Without it errors are dropped, and `serve` throws the first exception when it ends.
  template <class F>
    requires std::invocable<F&, const connection_failure&>
  basic_serve_options& on_error(F report) {
    return on_error_ = std::move(report), *this;
  }

  [[nodiscard]] std::size_t max_connections() const noexcept { return max_connections_; }
  /// Zero: none.
  [[nodiscard]] executor::duration idle_timeout() const noexcept { return idle_timeout_; }
  [[nodiscard]] executor::duration grace() const noexcept { return grace_; }
  [[nodiscard]] server_stop* stopped_by() const noexcept { return stopped_by_; }
  [[nodiscard]] const detail::shared_callback<const connection_failure&>& on_error() const noexcept {
    return on_error_;
  }

 private:
  template <bool>
  friend class basic_serve_options;

  template <bool Other>
  explicit basic_serve_options(const basic_serve_options<Other>& other)
      : on_error_(other.on_error_),
        stopped_by_(other.stopped_by_),
        max_connections_(other.max_connections_),
        grace_(other.grace_),
        idle_timeout_(other.idle_timeout_) {}

  detail::shared_callback<const connection_failure&> on_error_;
  server_stop* stopped_by_ = nullptr;
  std::size_t max_connections_ = 0;
  executor::duration grace_ = std::chrono::seconds(10);
  executor::duration idle_timeout_{};
};

/// Options of a server whose handlers get the flow that was accepted.
using serve_options = basic_serve_options<false>;
/// Options of a server whose handlers get a `watched_flow` around it.
using watched_serve_options = basic_serve_options<true>;

}  // namespace coflow::inline v0
