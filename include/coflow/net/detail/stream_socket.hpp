/// \file
/// The control block of a connected stream socket.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/core/node.hpp"
#include "coflow/net/detail/connect_waiter.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/socket_address.hpp"
#include "coflow/net/detail/system.hpp"
#include "coflow/net/detail/system_unix.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What a stream socket belongs to: TCP, or the local (unix) domain.
enum class socket_kind : std::uint8_t { tcp, local };

/// Reads and writes are tried at once while the socket may be ready, and otherwise wait for the loop's report. The
/// socket is bound to the loop on which its first operation begins, so that a flow may be made anywhere and handed to a
/// loop.
///
/// What differs for a local socket: a short read does not say that it is empty, since descriptors and urgent bytes that
/// a peer sends along divide its stream (`read_on_`); nothing can make its close a reset; a broken connection tells a
/// writer EPIPE and keeps the reset for the reader; and it reports room whenever its peer reads.
class stream_socket final : public descriptor, private node, public flow_block<stream_socket>, public pooled {
 public:
  /// Takes over `fd`. `own` says that no other process or handle shares the open socket.
  stream_socket(int fd, bool own, socket_kind kind = socket_kind::tcp) noexcept
      : descriptor(fd), read_on_(kind == socket_kind::local), own_(own), local_(kind == socket_kind::local) {}

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool bound() const noexcept { return loop_ != nullptr; }

  /// Hands the descriptor out; the flow is closed without touching the connection.
  [[nodiscard]] int give_up() noexcept {
    const int fd = fd_;
    unlink();
    if (fd_ >= 0 && loop_ != nullptr) loop_->detach(*this);
    fd_ = -1;
    close();
    return fd;
  }
  /// Makes the coming close a reset.
  void break_off() noexcept {
    state().mark_torn();
    close();
  }

  [[nodiscard]] socket_address local() const noexcept {
    sys::kernel_address found;
    if (fd_ < 0 || sys::local_address(fd_, found) < 0) return {};
    return found.value();
  }
  [[nodiscard]] socket_address remote() noexcept {
    if (remote_.family == address_family::none && fd_ >= 0) {
      sys::kernel_address found;
      if (sys::peer_address(fd_, found) >= 0) remote_ = found.value();
    }
    return remote_;
  }
  /// The socket's pending error was read past the flow, and will not be told again (K3).
  void note_error(int number) noexcept {
    const std::error_code code = from_system(number);
    if (ends_connection(code))
      state().fail_connection(code);
    else
      state().fail_write(code);
    expect_verdict();
    spread_verdict();
  }
  void set_remote(const socket_address& peer) noexcept { remote_ = peer; }

  void set_connect_waiter(connect_waiter* waiter) noexcept {
    connecting_ = waiter;
    if (waiter != nullptr) writable_ = false;  // the report that decides is still to come
    attention_ = waiter != nullptr || state().read_half() == half::shut;
  }

  // ---- what flow_block asks of a transport

  [[nodiscard]] bool entered() const noexcept { return loop_ != nullptr && loop_ == current_executor; }
  [[nodiscard, gnu::noinline, gnu::cold]] std::error_code enter() noexcept {
    if (loop_ != nullptr && loop_ == executor::current()) return {};
    if (state().read_half() == half::closed) return error::closed;
    io_executor* running = io_executor::current_io();
    if (running == nullptr) return error::no_executor;
    if (loop_ == nullptr) return bind_to(*running);
    COFLOW_ASSERT(false, "a flow was used on a thread whose event loop it does not belong to");
    return error::wrong_executor;
  }
  [[nodiscard]] executor& home() noexcept { return *loop_; }

  [[nodiscard]] bool may_read() const noexcept { return readable_; }
  [[nodiscard, gnu::always_inline]] attempt try_read(buffer& data) {
    const std::ptrdiff_t got = receive();
    if (got <= 0) [[unlikely]]
      return read_slowly(got, data);
    claim(static_cast<std::size_t>(got), data);
    return attempt::done;
  }

  [[nodiscard]] attempt try_read_into(std::span<std::byte> room, std::size_t& count) {
    std::ptrdiff_t got;
    do got = sys::receive(fd_, room.data(), room.size());
    while (got == -EINTR);
    if (got <= 0) {
      buffer none;
      return read_slowly(got, none);
    }
    count = static_cast<std::size_t>(got);
    if (count < room.size()) readable_ = read_on_;  // drained, as in `claim`
    return attempt::done;
  }

  [[nodiscard]] std::ptrdiff_t try_send(const buffer& bytes) noexcept {
    if (!writable_) [[unlikely]]
      return -EAGAIN;
    return sys::send(fd_, bytes.data(), bytes.size() < most_bytes ? bytes.size() : most_bytes);
  }
  // The kernel tells an error once.
  void keep_failure(std::ptrdiff_t sent) noexcept {
    if (sent != -EINTR) static_cast<void>(nothing_written(sent));
  }
  [[nodiscard]] attempt try_write(writing_operation<stream_socket>& op) noexcept {
    if (!state().can_transmit()) return attempt::verdict;
    if (!writable_) return attempt::wait;
    std::size_t allowance = most_bytes;
    for (int rounds = 0; rounds < most_rounds && allowance != 0; ++rounds) {
      const std::span<buffer> rest = op.rest();
      if (rest.empty()) return attempt::done;
      const std::ptrdiff_t sent = send_some(rest, allowance);
      if (sent > 0) {
        op.advance(static_cast<std::size_t>(sent));
        allowance -= smaller(static_cast<std::size_t>(sent), allowance);
      } else if (sent != -EINTR) {
        return nothing_written(sent);
      }
    }
    if (op.rest().empty()) return attempt::done;
    go_on_later();
    return attempt::wait;
  }

  // ---- what a transfer through a pipe of the kernel asks (splice_transfer.hpp)

  [[nodiscard]] io_executor* loop() const noexcept { return loop_; }
  [[nodiscard]] static constexpr bool can_feed() noexcept { return true; }
  [[nodiscard]] static constexpr bool can_drain() noexcept { return true; }
  // Gives how much there was; at nothing, a read says why.
  [[nodiscard]] std::size_t feed(splice_pipe& pipe, std::size_t limit) noexcept {
    if (!entered() || !readable_ || !state().can_read() || has_reader()) return 0;
    const std::ptrdiff_t got = pipe.fill_from(fd_, limit);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && got != -EAGAIN && !splice_is_refused(got)) {  // which the kernel tells once
      state().fail_read(from_system(static_cast<int>(-got)));
      spread_verdict();
    }
    return 0;
  }
  // False if the system does not do it; what stays in the pipe otherwise is for a write, which may have to wait.
  [[nodiscard]] bool drain(splice_pipe& pipe) noexcept {
    while (pipe.held() != 0 && entered() && writable_ && state().can_write() && !has_writer()) {
      const std::ptrdiff_t sent = pipe.drain_to(fd_);
      if (sent > 0) continue;
      if (sent == 0 || splice_is_refused(sent)) return false;
      if (nothing_written(sent) == attempt::verdict) spread_verdict();
    }
    return true;
  }

  void input_unwanted() noexcept {
    attention_ = true;
    if (bound() || !enter()) drop_input();
  }
  void signal_end() noexcept {
    if (fd_ >= 0) sys::end_sending(fd_);
  }
  void release_transport(bool abort) noexcept {
    COFLOW_ASSERT(loop_ == nullptr || executor::current() == nullptr || executor::current() == loop_,
                  "a flow was closed on a thread whose event loop it does not belong to");
    if (connect_waiter* waiter = std::exchange(connecting_, nullptr)) waiter->on_closed();
    if (fd_ < 0) return;
    unlink();
    if (abort && !local_) sys::reset_on_close(fd_);
    if (loop_ != nullptr) {
      if (own_)
        loop_->forget(*this);
      else
        loop_->detach(*this);
    }
    sys::close(std::exchange(fd_, -1));
  }
  void destroy() noexcept { delete this; }

 private:
  // What one write, or the dropping of input, may do in one turn of the loop: a fast peer could make it go on for ever.
  static constexpr std::size_t most_bytes = std::size_t{4} << 20;
  static constexpr int most_rounds = 64;

  // A writer is called, which takes a turn of its own, so that the reader's resumption can be the last thing done here:
  // it may destroy this block.
  void on_ready(unsigned what) noexcept override {
    if (attention_ || !writable_ || (what & (readiness::ended | readiness::urgent)) != 0) [[unlikely]] {
      on_ready_specially(what);
      return;
    }
    if ((what & readiness::readable) != 0) {
      readable_ = true;
      serve_reader();
    }
  }
  // A writer may be waiting, an end has come, a connection attempt is to be decided, or what arrives is to be dropped.
  [[gnu::noinline, gnu::cold]] void on_ready_specially(unsigned what) noexcept {
    if ((what & (readiness::ended | readiness::urgent)) != 0) read_on_ = true;
    if (connecting_ != nullptr) {
      if ((what & (readiness::writable | readiness::ended)) == 0) return;
      attention_ = state().read_half() == half::shut;
      writable_ = true;
      std::exchange(connecting_, nullptr)->on_decided();
      return;
    }

    if ((what & (readiness::writable | readiness::broken)) != 0) {
      writable_ = true;
      if (has_writer())
        call_writer();
      else if (room_watched_)
        stop_watching_for_room();
    }
    if ((what & (readiness::readable | readiness::ended)) != 0) {
      readable_ = true;
      if (state().read_half() == half::shut)
        drop_input();
      else
        serve_reader();
    }
  }
  void on_loop_gone() noexcept override {
    close();
    loop_ = nullptr;
  }

  [[nodiscard, gnu::always_inline]] std::ptrdiff_t receive() {
    const read_space space = loop_->reading_space();
    return sys::receive(fd_, space.data(), space.size());
  }
  [[gnu::always_inline]] void claim(std::size_t size, buffer& data) noexcept {
    // A short read has drained the socket (epoll(7), question 9), unless an end or urgent data follows.
    if (size < io_executor::read_size) [[likely]]
      readable_ = read_on_;
    loop_->take_read(size, data);
  }
  [[gnu::noinline]] attempt read_slowly(std::ptrdiff_t got, buffer& data) {
    while (got == -EINTR) got = receive();
    if (got > 0) {
      claim(static_cast<std::size_t>(got), data);
      return attempt::done;
    }
    if (got == -EAGAIN) {
      readable_ = false;
      if (!state().broken()) return attempt::wait;
      state().end_of_input();
    } else if (got == 0) {
      state().end_of_input();
    } else {
      state().fail_read(from_system(static_cast<int>(-got)));
    }
    return attempt::verdict;
  }
  [[gnu::noinline]] attempt nothing_written(std::ptrdiff_t sent) noexcept {
    std::error_code failure;
    if (sent == -EAGAIN || sent == 0) {
      writable_ = false;
      if (local_ && !room_watched_) failure = begin_watching_for_room();
      if (!failure) return attempt::wait;
    } else {
      failure = from_system(reason_of(static_cast<int>(-sent)));
    }
    state().fail_write(failure);
    expect_verdict();
    return attempt::verdict;
  }
  // If the connection is broken, reads must find that out, also behind what is still to be read.
  void expect_verdict() noexcept {
    readable_ = true;
    if (state().broken()) read_on_ = true;
  }
  // A local socket's writer gets EPIPE also when the peer has closed with input unread, which is a reset (law R7).
  [[nodiscard]] int reason_of(int number) const noexcept {
    int pending = 0;
    if (!local_ || number != EPIPE) return number;
    return sys::get_option(fd_, SOL_SOCKET, SO_ERROR, pending) >= 0 && pending != 0 ? pending : number;
  }

  // A local socket reports room whenever its peer reads (unix(7) does not say so), which concerns nobody but a writer
  // that waits: it is watched for from the first wait on until a report finds no writer.
  [[nodiscard]] std::error_code begin_watching_for_room() noexcept {
    if (const std::error_code refused = watch_for_room(true)) return refused;
    room_watched_ = true;
    attention_ = true;
    return {};
  }
  void stop_watching_for_room() noexcept {
    if (watch_for_room(false)) return;  // more reports than are wanted do no harm
    room_watched_ = false;
    attention_ = connecting_ != nullptr || state().read_half() == half::shut;
  }
  [[nodiscard]] std::error_code begin_watch(io_executor& on) noexcept {
    return on.attach(*this, local_ ? interest::read : interest::both);
  }
  // A socket that cannot be watched is of no use, now or later: first verdicts stay (laws R4, W6).
  [[nodiscard]] std::error_code bind_to(io_executor& running) noexcept {
    const std::error_code refused = begin_watch(running);
    if (refused && refused != error::closed) {
      state().fail_read(refused);
      state().fail_write(refused);
    }
    return refused;
  }
  [[nodiscard]] std::error_code watch_for_room(bool on) noexcept {
    return loop_->change_interest(*this, on ? interest::both : interest::read);
  }

  // ---- what takes more than one turn

  void go_on_later() noexcept {
    if (!linked()) loop_->post(*this);
  }
  // The block is open: closing takes it off the queue.
  void run() noexcept override {
    if (writable_) call_writer();
    if (state().read_half() == half::shut) drop_input();
  }

  // The kernel would keep, and later deliver, what nobody will read (K1), and answer the close with a reset (K4).
  [[gnu::noinline, gnu::cold]] void drop_input() noexcept {
    std::size_t allowance = most_bytes;
    for (int rounds = 0; readable_ && fd_ >= 0; ++rounds) {
      if (rounds == most_rounds || allowance == 0) return go_on_later();
      const std::ptrdiff_t dropped = drop_some(allowance);
      if (dropped > 0) {
        readable_ = read_on_;
        allowance -= smaller(static_cast<std::size_t>(dropped), allowance);
        continue;
      }
      if (dropped == -EAGAIN) {
        readable_ = false;
      } else if (dropped < 0) {
        state().fail_read(from_system(static_cast<int>(-dropped)));
        spread_verdict();
      }
      return;  // at the end the flag stays set: there is nothing to wait for any more
    }
  }
  // MSG_TRUNC drops unread on TCP alone.
  [[nodiscard]] std::ptrdiff_t drop_some(std::size_t limit) const noexcept {
    return local_ ? sys::receive_nowhere(fd_) : sys::discard(fd_, limit);
  }

  [[nodiscard]] std::ptrdiff_t send_some(std::span<buffer> rest, std::size_t limit) noexcept {
    if (rest.size() > 1) return send_several(rest, limit);
    return sys::send(fd_, rest.front().data(), smaller(rest.front().size(), limit));
  }
  [[nodiscard, gnu::noinline]] std::ptrdiff_t send_several(std::span<buffer> rest, std::size_t limit) noexcept {
    std::array<iovec, 64> pieces;
    std::size_t count = 0;
    for (buffer& one : rest) {
      if (one.empty()) continue;
      if (count == pieces.size() || limit == 0) break;
      const std::size_t size = smaller(one.size(), limit);
      pieces[count++] = iovec{const_cast<std::byte*>(one.data()), size};
      limit -= size;
    }
    return sys::send(fd_, std::span(pieces).first(count));
  }

  bool attention_ = false;  // a report is not simply for a reader or a writer
  bool read_on_;            // a short read says nothing: of a local socket, or behind an end, a failure, urgent data
  bool own_ : 1;
  bool local_ : 1;                 // not TCP
  bool room_watched_ : 1 = false;  // the loop reports room for a writer, of a local socket
  connect_waiter* connecting_ = nullptr;
  socket_address remote_;  // of TCP
};

}  // namespace detail
}  // namespace coflow::inline v0
