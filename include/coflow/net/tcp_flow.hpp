/// \file
/// A TCP connection as a flow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/flow.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/core/task.hpp"
#include "coflow/net/detail/socket_checks.hpp"
#include "coflow/net/detail/splice_transfer.hpp"
#include "coflow/net/detail/stream_socket.hpp"
#include "coflow/net/detail/system.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/tcp_options.hpp"

namespace coflow::inline v0 {

/// One TCP connection; made by `tcp_connect`, `tcp_listener::accept` or `adopt`.
///
/// The flow belongs to the event loop on which its first operation begins, and may be used on that loop's thread only.
/// Operations live in the awaiting coroutine's frame: they allocate nothing, and a connection that waits holds no
/// buffer. Every law of the contract holds.
class tcp_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  using read_operation = coflow::read_operation<detail::stream_socket>;
  using read_into_operation = coflow::read_into_operation<detail::stream_socket>;
  using write_operation = coflow::write_operation<detail::stream_socket>;
  using writev_operation = coflow::writev_operation<detail::stream_socket>;
  using shutdown_operation = coflow::shutdown_operation<detail::stream_socket>;
  using close_operation = coflow::close_operation<detail::stream_socket>;

  tcp_flow(tcp_flow&&) noexcept = default;
  tcp_flow& operator=(tcp_flow&&) noexcept = default;
  /// Closes the connection (law C6).
  ~tcp_flow() = default;

  /// Takes over a connected TCP socket, which is made non-blocking. Error: `error::not_a_stream`, or what the system
  /// says; the descriptor then stays the caller's. Throws std::bad_alloc.
  [[nodiscard]] static result<tcp_flow> adopt(int descriptor) {
    if (const std::error_code wrong = detail::prepare_connection(descriptor, detail::socket_kind::tcp)) return wrong;
    tcp_flow made(flow_handle(new detail::stream_socket(descriptor, false)));
    static_cast<void>(made.remote_endpoint());  // is remembered
    return made;
  }

  /// Reads the next bytes of the stream.
  /// Completes with data (1 byte or more, the caller's own), eof, or an error; the first eof or error is final.
  /// Concurrency: reads are served in order, and independently of writes.
  /// Cancellation: no byte is lost; the flow stays usable.
  /// Errors: condition `disconnected` when the connection is gone; otherwise what the system said.
  [[nodiscard]] read_operation read() noexcept { return read_operation(*socket_); }

  /// Reads the next bytes of the stream, as many as are there and as fit, straight into `room`, which must live until
  /// the await ends.
  /// Completes with their count (1 or more; 0 for an empty room), eof, or an error; the first eof or error is final.
  /// Concurrency, cancellation and errors: as for `read`, with which it may be mixed.
  [[nodiscard]] read_into_operation read_into(std::span<std::byte> room) noexcept {
    return read_into_operation(*socket_, room);
  }

  /// Writes all of `bytes`. Success means that the kernel has accepted them (law W1).
  /// Concurrency: writes go out whole and in order. Cancellation: see law X2.
  /// Errors: `error::closed` after shutdown, close or the peer's leaving; otherwise what the system said; final.
  [[nodiscard]] write_operation write(buffer bytes) noexcept { return write_operation(*socket_, std::move(bytes)); }

  /// Writes all of `list` in order, like one write of it all. The array must live until the await ends.
  [[nodiscard]] writev_operation writev(std::span<buffer> list) noexcept { return writev_operation(*socket_, list); }

  /// Ends one half or both; the write half after the writes that are already queued. Never fails (laws S1 to S4).
  [[nodiscard]] shutdown_operation shutdown(shutdown_mode mode) noexcept { return shutdown_operation(*socket_, mode); }

  /// Ends both halves at once and gives the descriptor back; what was written and not yet sent may be lost when input
  /// was left unread (fact K4), and after a torn write the peer gets a reset (law X3).
  [[nodiscard]] close_operation close() noexcept { return close_operation(*socket_); }

  /// Closes now, with a reset: the peer gets `connection_reset`, never eof.
  void reset() noexcept { socket_->break_off(); }

  /// Where this end is, as the system says; unspecified after the close.
  [[nodiscard]] endpoint local_endpoint() const noexcept { return endpoint(socket_->local()); }
  /// Where the other end is; also after the close.
  [[nodiscard]] endpoint remote_endpoint() const noexcept { return endpoint(socket_->remote()); }

  /// The descriptor, or -1 after the close. It stays the flow's.
  [[nodiscard]] int native_handle() const noexcept { return socket_->fd(); }

  /// Gives the descriptor (non-blocking) to the caller and closes the flow without touching the connection; operations
  /// that are pending complete with `error::closed`. Gives -1 after the close.
  [[nodiscard]] int release() noexcept { return socket_->give_up(); }

  /// Small writes go out at once (TCP_NODELAY).
  result<void> set_no_delay(bool on) noexcept { return set_option(IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0); }

  /// Probes a silent peer, or stops doing so.
  result<void> set_keep_alive(const std::optional<keep_alive_options>& how) noexcept {
    return outcome(detail::set_keep_alive(socket_->fd(), how));
  }

  /// Any integer socket option: `set_option(SOL_SOCKET, SO_RCVBUF, 65536)`. Error: what setsockopt(2) says.
  result<void> set_option(int level, int name, int value) noexcept {
    return outcome(detail::sys::set_option(socket_->fd(), level, name, value));
  }
  /// Reads an integer socket option. Error: what getsockopt(2) says. Reading SO_ERROR takes the error from the kernel;
  /// the flow keeps it, so that a reset stays one (law R7).
  [[nodiscard]] result<int> option(int level, int name) noexcept {
    int value = 0;
    if (const int status = detail::sys::get_option(socket_->fd(), level, name, value); status < 0)
      return from_system(-status);
    if (level == SOL_SOCKET && name == SO_ERROR && value != 0) socket_->note_error(value);
    return value;
  }

  /// For `copy` and `proxy`: moves up to `limit` bytes to another flow over descriptors, as far as that goes without
  /// copying them; `into` is a `copy_result`. Gives false if it is of no use between the two.
  template <detail::spliceable_flow To, class Into>
  [[nodiscard]] task<bool> move_directly(To& to, std::uint64_t limit, Into* into) {
    return detail::splice_between(&for_transfer(), &to.for_transfer(), limit, into);
  }
  /// For the same.
  [[nodiscard]] detail::stream_socket& for_transfer() noexcept { return *socket_; }

  /// For the library's own factories: takes over a fresh control block.
  explicit tcp_flow(flow_handle<detail::stream_socket> fresh) noexcept : socket_(std::move(fresh)) {}

 private:
  static result<void> outcome(int status) noexcept {
    if (status < 0) return from_system(-status);
    return success;
  }

  flow_handle<detail::stream_socket> socket_;
};

}  // namespace coflow::inline v0
