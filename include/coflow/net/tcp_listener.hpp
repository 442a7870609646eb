/// \file
/// Accepting TCP connections.
#pragma once

#include <cstdint>
#include <string_view>
#include <system_error>
#include <utility>

#include "coflow/core/flow_handle.hpp"
#include "coflow/core/result.hpp"
#include "coflow/net/detail/listening_socket.hpp"
#include "coflow/net/detail/socket_checks.hpp"
#include "coflow/net/detail/system.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/tcp_flow.hpp"
#include "coflow/net/tcp_options.hpp"

namespace coflow::inline v0 {

/// What `tcp_listener::accept` returns: gives a `result<tcp_flow>`. Cancellation: no connection is lost.
class [[nodiscard]] accept_operation final : public detail::accept_wait {
 public:
  explicit accept_operation(detail::listening_socket& socket) noexcept : accept_wait(socket) {}
  accept_operation(accept_operation&&) noexcept = default;

  [[nodiscard]] result<tcp_flow> await_resume() noexcept {
    if (!accepted()) return failure();
    return tcp_flow(*std::move(accepted()));
  }
};

/// A listening TCP socket. It belongs to the event loop on which its first `accept` begins.
class tcp_listener {
 public:
  /// Listens on `local`; port 0 lets the system choose one, see `local_endpoint`.
  /// Errors: what the system says, such as address_in_use or permission_denied. Needs no event loop. Throws
  /// std::bad_alloc.
  [[nodiscard]] static result<tcp_listener> bind(const endpoint& local, const listener_options& options = {}) {
    const int fd = detail::sys::tcp_socket(local.raw().family);
    if (fd < 0) return from_system(-fd);
    if (const int status = prepare(fd, local, options); status < 0) {
      detail::sys::close(fd);
      return from_system(-status);
    }
    return tcp_listener(detail::new_listening_socket(fd, options.on_trouble(), detail::socket_kind::tcp));
  }

  /// Listens on an address given as text: `bind("127.0.0.1", 7000)`, `bind("::", 0)`.
  /// Errors: `error::bad_endpoint` if `address` is none; otherwise like the other `bind`.
  [[nodiscard]] static result<tcp_listener> bind(std::string_view address, std::uint16_t port,
                                                 const listener_options& options = {}) {
    const result<endpoint> local = endpoint::parse(address, port);
    if (!local) return local.error();
    return bind(*local, options);
  }

  /// Takes over a listening TCP socket, such as one of `listen_descriptors`, which is made non-blocking. Of the options
  /// those count that concern connections, and `on_trouble`.
  /// Error: `error::not_a_stream`, or what the system says; the descriptor then stays the caller's. Throws
  /// std::bad_alloc.
  [[nodiscard]] static result<tcp_listener> adopt(int descriptor, const listener_options& options = {}) {
    if (const std::error_code wrong = detail::prepare_listener(descriptor, detail::socket_kind::tcp)) return wrong;
    if (const int status = prepare_connections(descriptor, options); status < 0) return from_system(-status);
    return tcp_listener(new detail::listening_socket(descriptor, options.on_trouble(), detail::socket_kind::tcp));
  }

  tcp_listener(tcp_listener&&) noexcept = default;
  tcp_listener& operator=(tcp_listener&&) noexcept = default;
  /// Closes the listener.
  ~tcp_listener() = default;

  /// Waits for the next connection. It goes on through what concerns a single connection and through shortages of
  /// descriptors and memory (`listener_options::on_trouble`), and fails only when the listener is closed or broken.
  /// Concurrency: served in order. Cancellation: no connection is lost.
  [[nodiscard]] accept_operation accept() noexcept { return accept_operation(*socket_); }

  /// Stops listening; a pending `accept` gives `error::closed`. Accepted connections are not touched.
  void close() noexcept { socket_->close(); }

  /// Where it listens, with the port that was chosen; unspecified after the close.
  [[nodiscard]] endpoint local_endpoint() const noexcept {
    detail::sys::kernel_address found;
    if (socket_->fd() < 0 || detail::sys::local_address(socket_->fd(), found) < 0) return endpoint();
    return endpoint(found.value());
  }

  /// The descriptor, or -1 after the close. It stays the listener's.
  [[nodiscard]] int native_handle() const noexcept { return socket_->fd(); }

 private:
  explicit tcp_listener(detail::listening_socket* fresh) noexcept : socket_(fresh) {}

  // What is set on the listening socket is inherited by the connections that it accepts (tcp(7), socket(7)).
  static int prepare_connections(int fd, const listener_options& options) noexcept {
    int status = 0;
    if (options.no_delay()) status = detail::sys::set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (status >= 0 && options.keep_alive_setting()) status = detail::set_keep_alive(fd, options.keep_alive_setting());
    return status;
  }
  static int prepare(int fd, const endpoint& local, const listener_options& options) noexcept {
    int status = 0;
    if (options.reuse_address()) status = detail::sys::set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (status >= 0 && options.reuse_port()) status = detail::sys::set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (status >= 0 && local.is_v6())
      status = detail::sys::set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.dual_stack() ? 0 : 1);
    if (status >= 0) status = prepare_connections(fd, options);
    if (status >= 0) status = detail::sys::bind(fd, detail::sys::kernel_address(local.raw()));
    if (status >= 0) status = detail::sys::listen(fd, options.backlog());
    return status;
  }

  flow_handle<detail::listening_socket> socket_;
};

}  // namespace coflow::inline v0
