/// \file
/// A connection between local (unix-domain) sockets as a flow.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <new>
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
#include "coflow/net/detail/stream_socket_room.hpp"
#include "coflow/net/detail/system_unix.hpp"
#include "coflow/net/unix_address.hpp"

namespace coflow::inline v0 {

/// Who is at the other end of a local connection, as the system saw it when the connection was made (SO_PEERCRED).
class unix_credentials {
 public:
  unix_credentials(pid_t pid, uid_t uid, gid_t gid) noexcept : pid_(pid), uid_(uid), gid_(gid) {}

  /// The process; it may have ended since, and its number may be another's by now. 0 if it is not visible from here.
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Its effective user and group: what decides about access.
  [[nodiscard]] uid_t uid() const noexcept { return uid_; }
  [[nodiscard]] gid_t gid() const noexcept { return gid_; }

 private:
  pid_t pid_;
  uid_t uid_;
  gid_t gid_;
};

/// One local stream connection; made by `unix_connect`, `unix_listener::accept`, `unix_pair` or `adopt`.
///
/// The flow belongs to the event loop on which its first operation begins, and may be used on that loop's thread only.
/// Operations live in the awaiting coroutine's frame: they allocate nothing, and a connection that waits holds no
/// buffer.
///
/// Every law of the contract holds but for one clause that the system cannot keep: nothing makes the close of a local
/// socket a reset (SO_LINGER does not). After a torn write the peer gets `connection_reset` only if its own bytes were
/// left unread here, and otherwise eof (law X3); a protocol that must know puts a length or a goodbye in its stream,
/// such as `codec_flow` does. Descriptors that a peer sends along (SCM_RIGHTS) are dropped by the system.
class unix_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  using read_operation = coflow::read_operation<detail::stream_socket>;
  using read_into_operation = coflow::read_into_operation<detail::stream_socket>;
  using write_operation = coflow::write_operation<detail::stream_socket>;
  using writev_operation = coflow::writev_operation<detail::stream_socket>;
  using shutdown_operation = coflow::shutdown_operation<detail::stream_socket>;
  using close_operation = coflow::close_operation<detail::stream_socket>;

  unix_flow(unix_flow&&) noexcept = default;
  unix_flow& operator=(unix_flow&&) noexcept = default;
  /// Closes the connection (law C6).
  ~unix_flow() = default;

  /// Takes over a connected local stream socket, which is made non-blocking. Error: `error::not_a_stream`, or what the
  /// system says; the descriptor then stays the caller's. Throws std::bad_alloc.
  [[nodiscard]] static result<unix_flow> adopt(int descriptor) {
    if (const std::error_code wrong = detail::prepare_connection(descriptor, detail::socket_kind::local)) return wrong;
    return unix_flow(flow_handle(new detail::stream_socket(descriptor, false, detail::socket_kind::local)));
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
  /// Errors: `error::closed` after shutdown, close or the peer's leaving; `connection_reset` if it left bytes unread;
  /// otherwise what the system said; final.
  [[nodiscard]] write_operation write(buffer bytes) noexcept { return write_operation(*socket_, std::move(bytes)); }

  /// Writes all of `list` in order, like one write of it all. The array must live until the await ends.
  [[nodiscard]] writev_operation writev(std::span<buffer> list) noexcept { return writev_operation(*socket_, list); }

  /// Ends one half or both; the write half after the writes that are already queued. Never fails (laws S1 to S4).
  [[nodiscard]] shutdown_operation shutdown(shutdown_mode mode) noexcept { return shutdown_operation(*socket_, mode); }

  /// Ends both halves at once and gives the descriptor back. What was written is not lost, but where input was left
  /// unread the peer gets `connection_reset` behind it.
  [[nodiscard]] close_operation close() noexcept { return close_operation(*socket_); }

  /// Closes now. The system has nothing that would make it a reset: the peer gets `connection_reset` only if its own
  /// bytes were left unread here, and otherwise eof.
  void reset() noexcept { socket_->break_off(); }

  /// Where this end is: the listener's address at the accepted end, mostly unnamed at the other; unnamed after the
  /// close.
  [[nodiscard]] unix_address local_address() const noexcept {
    detail::sys::kernel_unix_address found;
    if (socket_->fd() < 0 || detail::sys::local_address(socket_->fd(), found) < 0) return unix_address();
    return unix_address(found.value());
  }
  /// Where the other end is, likewise.
  [[nodiscard]] unix_address remote_address() const noexcept {
    detail::sys::kernel_unix_address found;
    if (socket_->fd() < 0 || detail::sys::peer_address(socket_->fd(), found) < 0) return unix_address();
    return unix_address(found.value());
  }

  /// Who is at the other end. For a connection that was made by `unix_connect` that is whoever listens; for
  /// `unix_pair`, whoever made the pair. Error: what the system says, such as bad_file_descriptor after the close.
  [[nodiscard]] result<unix_credentials> peer_credentials() const noexcept {
    detail::sys::peer_identity found;
    if (const int status = detail::sys::identify_peer(socket_->fd(), found); status < 0) return from_system(-status);
    return unix_credentials(found.process, found.user, found.group);
  }

  /// The descriptor, or -1 after the close. It stays the flow's.
  [[nodiscard]] int native_handle() const noexcept { return socket_->fd(); }

  /// Gives the descriptor (non-blocking) to the caller and closes the flow without touching the connection; operations
  /// that are pending complete with `error::closed`. Gives -1 after the close.
  [[nodiscard]] int release() noexcept { return socket_->give_up(); }

  /// Any integer socket option: `set_option(SOL_SOCKET, SO_SNDBUF, 65536)`. Error: what setsockopt(2) says.
  result<void> set_option(int level, int name, int value) noexcept {
    if (const int status = detail::sys::set_option(socket_->fd(), level, name, value); status < 0)
      return from_system(-status);
    return success;
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
  explicit unix_flow(flow_handle<detail::stream_socket> fresh) noexcept : socket_(std::move(fresh)) {}

 private:
  flow_handle<detail::stream_socket> socket_;
};

/// Two connected flows that have no address (socketpair(2)).
/// Error: what the system says, such as too_many_files_open. Throws std::bad_alloc.
[[nodiscard]] inline result<std::pair<unix_flow, unix_flow>> unix_pair() {
  // Memory comes first, so that nothing is to be undone.
  detail::stream_socket_room first;
  detail::stream_socket_room second;
  if (!first || !second) throw std::bad_alloc();
  int ends[2];
  if (const int status = detail::sys::unix_pair(ends); status < 0) return from_system(-status);
  unix_flow one(flow_handle(first.make(ends[0], detail::socket_kind::local)));
  unix_flow other(flow_handle(second.make(ends[1], detail::socket_kind::local)));
  return std::pair<unix_flow, unix_flow>(std::move(one), std::move(other));
}

}  // namespace coflow::inline v0
