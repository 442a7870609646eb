/// \file
/// Accepting local (unix-domain) connections.
#pragma once

#include <cerrno>
#include <system_error>
#include <utility>

#include "coflow/core/flow_handle.hpp"
#include "coflow/core/result.hpp"
#include "coflow/net/detail/listening_socket.hpp"
#include "coflow/net/detail/socket_checks.hpp"
#include "coflow/net/detail/socket_file.hpp"
#include "coflow/net/detail/system_unix.hpp"
#include "coflow/net/unix_address.hpp"
#include "coflow/net/unix_flow.hpp"
#include "coflow/net/unix_options.hpp"

namespace coflow::inline v0 {

/// What `unix_listener::accept` returns: gives a `result<unix_flow>`. Cancellation: no connection is lost.
class [[nodiscard]] unix_accept_operation final : public detail::accept_wait {
 public:
  explicit unix_accept_operation(detail::listening_socket& socket) noexcept : accept_wait(socket) {}
  unix_accept_operation(unix_accept_operation&&) noexcept = default;

  [[nodiscard]] result<unix_flow> await_resume() noexcept {
    if (!accepted()) return failure();
    return unix_flow(*std::move(accepted()));
  }
};

/// A listening local socket. It belongs to the event loop on which its first `accept` begins.
class unix_listener {
 public:
  /// Listens on `local`. A path becomes a file, which the close removes if it is still the same.
  /// Errors: `std::errc::invalid_argument` for an unnamed address; what the system says, such as address_in_use (also
  /// for a file that is no socket), no_such_file_or_directory or permission_denied. Needs no event loop. Throws
  /// std::bad_alloc.
  [[nodiscard]] static result<unix_listener> bind(const unix_address& local,
                                                  const unix_listener_options& options = {}) {
    if (local.unnamed()) return std::make_error_code(std::errc::invalid_argument);
    const int fd = detail::sys::unix_socket();
    if (fd < 0) return from_system(-fd);
    unix_listener made(detail::new_listening_socket(fd, options.on_trouble(), detail::socket_kind::local));
    detail::sys::file_identity file;
    int status = detail::bind_local(fd, local.raw(), options.permissions(), options.replace_stale(), file);
    made.socket_->own_file(file);
    if (status >= 0) status = detail::sys::listen(fd, options.backlog());
    if (status < 0) return from_system(-status);
    return made;
  }

  /// Takes over a listening local socket, such as one of `listen_descriptors`, which is made non-blocking; of the
  /// options `on_trouble` counts. Its file is whoever's made it, and stays.
  /// Error: `error::not_a_stream`, or what the system says; the descriptor then stays the caller's. Throws
  /// std::bad_alloc.
  [[nodiscard]] static result<unix_listener> adopt(int descriptor, const unix_listener_options& options = {}) {
    if (const std::error_code wrong = detail::prepare_listener(descriptor, detail::socket_kind::local)) return wrong;
    return unix_listener(new detail::listening_socket(descriptor, options.on_trouble(), detail::socket_kind::local));
  }

  unix_listener(unix_listener&&) noexcept = default;
  unix_listener& operator=(unix_listener&&) noexcept = default;
  /// Closes the listener.
  ~unix_listener() = default;

  /// Waits for the next connection. It goes on through what concerns a single connection and through shortages of
  /// descriptors and memory (`unix_listener_options::on_trouble`), and fails only when the listener is closed or
  /// broken.
  /// Concurrency: served in order. Cancellation: no connection is lost.
  [[nodiscard]] unix_accept_operation accept() noexcept { return unix_accept_operation(*socket_); }

  /// Stops listening and removes the file that `bind` has made; a pending `accept` gives `error::closed`. Connections
  /// that wait to be accepted are reset; accepted ones are not touched.
  void close() noexcept { socket_->close(); }

  /// Where it listens; unnamed after the close.
  [[nodiscard]] unix_address local_address() const noexcept {
    detail::sys::kernel_unix_address found;
    if (socket_->fd() < 0 || detail::sys::local_address(socket_->fd(), found) < 0) return unix_address();
    return unix_address(found.value());
  }

  /// The descriptor, or -1 after the close. It stays the listener's.
  [[nodiscard]] int native_handle() const noexcept { return socket_->fd(); }

 private:
  explicit unix_listener(detail::listening_socket* fresh) noexcept : socket_(fresh) {}

  flow_handle<detail::listening_socket> socket_;
};

}  // namespace coflow::inline v0
