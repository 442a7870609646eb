/// \file
/// Options of local (unix-domain) connections and listeners.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <concepts>
#include <optional>
#include <system_error>
#include <utility>

#include "coflow/core/detail/shared_callback.hpp"

namespace coflow::inline v0 {

/// Options of `unix_connect`: `unix_connect_options().timeout(3s)`.
class unix_connect_options {
 public:
  unix_connect_options() = default;

  /// How long to try while the listener's queue is full; without it, for ever. Nothing else about it takes time.
  unix_connect_options& timeout(std::chrono::nanoseconds limit) noexcept { return timeout_ = limit, *this; }

  [[nodiscard]] std::optional<std::chrono::nanoseconds> timeout() const noexcept { return timeout_; }

 private:
  std::optional<std::chrono::nanoseconds> timeout_;
};

/// Options of `unix_listener`.
class unix_listener_options {
 public:
  unix_listener_options() = default;

  /// How many connections may wait to be accepted; the system may cap it.
  unix_listener_options& backlog(int connections) noexcept { return backlog_ = connections, *this; }
  /// The mode of the socket's file, whatever the umask is: whoever may write to it may connect. `permissions(0660)`.
  /// It holds from the moment at which the file is there. Without it, what the umask leaves of 0777. An abstract name
  /// has none.
  unix_listener_options& permissions(mode_t mode) noexcept { return permissions_ = mode, *this; }
  /// Where the path is taken by the file of a socket on which nobody listens any more, that file is removed first. Off
  /// unless turned on: then, as always where somebody listens or the file is no socket, the error is address_in_use.
  /// The question costs who listens there a connection that ends at once. Not for two programs that begin to listen at
  /// the same path at the same time: one that has bound and not yet listened looks like none.
  unix_listener_options& replace_stale(bool on) noexcept { return replace_stale_ = on, *this; }
  /// Called once whenever accepting begins to fail for want of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM).
  /// `accept` itself waits and goes on. Must not throw and must not destroy the listener.
  template <class F>
    requires std::invocable<F&, std::error_code>
  unix_listener_options& on_trouble(F report) {
    return on_trouble_ = std::move(report), *this;
  }

  [[nodiscard]] int backlog() const noexcept { return backlog_; }
  [[nodiscard]] const std::optional<mode_t>& permissions() const noexcept { return permissions_; }
  [[nodiscard]] bool replace_stale() const noexcept { return replace_stale_; }
  [[nodiscard]] const detail::shared_callback<std::error_code>& on_trouble() const noexcept { return on_trouble_; }

 private:
  detail::shared_callback<std::error_code> on_trouble_;
  std::optional<mode_t> permissions_;
  int backlog_ = 4096;
  bool replace_stale_ = false;
};

}  // namespace coflow::inline v0
