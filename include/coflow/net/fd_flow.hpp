/// \file
/// Descriptors of any kind as a flow: pipes, terminals, socket pairs, files.
#pragma once

#include <cstdint>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/flow.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/core/task.hpp"
#include "coflow/net/detail/fd_stream.hpp"
#include "coflow/net/detail/splice_transfer.hpp"

namespace coflow::inline v0 {

/// The two descriptors of an `fd_flow`; -1 where there is none.
struct fd_pair {
  int in = -1;
  int out = -1;
};

/// A stream that is read from one descriptor and written to another, or both to one.
///
/// It takes pipes and FIFOs, terminals and other character devices, connected stream sockets, and regular files. The
/// flow belongs to the event loop on which its first operation begins, and may be used on that loop's thread only.
///
/// - The descriptors do not block while the flow has them, and neither do those of others who share the open file, such
///   as the shell that this program has its terminal from: O_NONBLOCK belongs to all of them. `close` and `release` set
///   back what was found. A program that is killed sets nothing back.
/// - Regular files, and what else cannot be waited for, are always ready. A read of a file blocks the thread for as
/// long
///   as the disk takes; after 1 MiB, or 64 operations that never waited, others have their turn.
/// - `shutdown(write)` closes the descriptor that is written to; a socket's sending direction is shut down; where both
///   halves have one descriptor that is no socket, and where it is only borrowed, the peer hears of it at the close.
/// - A file or a terminal has no end for good; the flow's does: the first read of nothing is eof, for ever (law R4).
///   The master of a pseudo-terminal fails with EIO when nobody has the other side open any more: that is eof too. On
///   the other side, EIO (a hung-up terminal, a process in the background that may not read) is an error like any
///   other.
/// - `shutdown(read)` reads on and drops it where a peer could be held up: pipes and sockets.
/// - A descriptor is for one flow at a time: on the same event loop the operations of a second one may give EEXIST.
/// - SIGPIPE never comes, whatever the process does about it (law W10).
///
/// Every law of the contract holds but one: pipes, files and unix sockets have nothing that tells the peer of a stream
/// that was broken off, so that a torn write ends in an eof like any other (law X3). TCP sockets are reset.
class fd_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  using read_operation = coflow::read_operation<detail::fd_stream>;
  using read_into_operation = coflow::read_into_operation<detail::fd_stream>;
  using write_operation = coflow::write_operation<detail::fd_stream>;
  using writev_operation = coflow::writev_operation<detail::fd_stream>;
  using shutdown_operation = coflow::shutdown_operation<detail::fd_stream>;
  using close_operation = coflow::close_operation<detail::fd_stream>;

  fd_flow(fd_flow&&) noexcept = default;
  fd_flow& operator=(fd_flow&&) noexcept = default;
  /// Closes both descriptors (law C6).
  ~fd_flow() = default;

  /// Takes over `in`, to be read from, and `out`, to be written to; they may be the same. -1 stands for none: reads are
  /// then eof, or writes `error::closed`, from the beginning.
  /// Errors: `error::not_a_stream` for a socket that is no connected stream and for descriptors that carry no bytes (an
  /// eventfd); EISDIR; EBADF for what is not open, or not open for that direction. The descriptors then stay the
  /// caller's, as they were. Needs no event loop. Throws std::bad_alloc.
  [[nodiscard]] static result<fd_flow> adopt(int in, int out) { return make(in, out, false); }
  /// Takes over one descriptor for both directions: a socket, a terminal.
  [[nodiscard]] static result<fd_flow> adopt(int in_and_out) { return make(in_and_out, in_and_out, false); }

  /// Like `adopt`, but the descriptors stay the caller's: they must be open for as long as the flow is, and are never
  /// closed by it. Its close gives them back as they were found.
  [[nodiscard]] static result<fd_flow> borrow(int in, int out) { return make(in, out, true); }

  /// Reads the next bytes of the stream.
  /// Completes with data (1 byte or more, the caller's own), eof, or an error; the first eof or error is final.
  /// Concurrency: reads are served in order, and independently of writes.
  /// Cancellation: no byte is lost; the flow stays usable.
  /// Errors: condition `disconnected` when the connection is gone; otherwise what the system said.
  [[nodiscard]] read_operation read() noexcept { return read_operation(*stream_); }

  /// Reads the next bytes of the stream, as many as are there and as fit, straight into `room`, which must live until
  /// the await ends.
  /// Completes with their count (1 or more; 0 for an empty room), eof, or an error; the first eof or error is final.
  /// Concurrency, cancellation and errors: as for `read`, with which it may be mixed.
  [[nodiscard]] read_into_operation read_into(std::span<std::byte> room) noexcept {
    return read_into_operation(*stream_, room);
  }

  /// Writes all of `bytes`. Success means that the kernel has accepted them (law W1).
  /// Concurrency: writes go out whole and in order. Cancellation: see law X2.
  /// Errors: `error::closed` after shutdown, close or the reader's leaving; otherwise what the system said; final.
  [[nodiscard]] write_operation write(buffer bytes) noexcept { return write_operation(*stream_, std::move(bytes)); }

  /// Writes all of `list` in order, like one write of it all. The array must live until the await ends.
  [[nodiscard]] writev_operation writev(std::span<buffer> list) noexcept { return writev_operation(*stream_, list); }

  /// Ends one half or both; the write half after the writes that are already queued. Never fails (laws S1 to S4).
  [[nodiscard]] shutdown_operation shutdown(shutdown_mode mode) noexcept { return shutdown_operation(*stream_, mode); }

  /// Ends both halves at once and closes the descriptors.
  [[nodiscard]] close_operation close() noexcept { return close_operation(*stream_); }

  /// Closes now; of a TCP socket that was not borrowed, with a reset. The peer of anything else sees an end like any
  /// other.
  void reset() noexcept { stream_->break_off(); }

  /// The descriptors, -1 where there is none or none any more. They stay the flow's.
  [[nodiscard]] fd_pair native_handles() const noexcept { return fd_pair{stream_->in(), stream_->out()}; }

  /// Gives the descriptors, blocking if they were found so, to the caller and closes the flow without touching the
  /// stream; operations that are pending complete with `error::closed`.
  [[nodiscard]] fd_pair release() noexcept {
    const auto [in, out] = stream_->give_up();
    return fd_pair{in, out};
  }

  /// For `copy` and `proxy`: moves up to `limit` bytes to another flow over descriptors, as far as that goes without
  /// copying them; `into` is a `copy_result`. Gives false if it is of no use between the two.
  template <detail::spliceable_flow To, class Into>
  [[nodiscard]] task<bool> move_directly(To& to, std::uint64_t limit, Into* into) {
    return detail::splice_between(&for_transfer(), &to.for_transfer(), limit, into);
  }
  /// For the same.
  [[nodiscard]] detail::fd_stream& for_transfer() noexcept { return *stream_; }

  /// For the library's own factories: takes over a fresh control block.
  explicit fd_flow(flow_handle<detail::fd_stream> fresh) noexcept : stream_(std::move(fresh)) {}

 private:
  static result<fd_flow> make(int in, int out, bool lent) {
    flow_handle fresh(new detail::fd_stream);
    if (const std::error_code refused = fresh->take_over(in, out, lent)) return refused;
    return fd_flow(std::move(fresh));
  }

  flow_handle<detail::fd_stream> stream_;
};

}  // namespace coflow::inline v0
