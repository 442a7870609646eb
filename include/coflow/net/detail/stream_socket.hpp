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

#include "coflow/core/detail/pool.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/socket_address.hpp"
#include "coflow/net/detail/system.hpp"

namespace coflow::inline v0 {
namespace detail {

class stream_socket;

/// Told when a connection attempt has been decided.
class connect_waiter {
 public:
  virtual void on_decided() noexcept = 0;
  virtual void on_closed() noexcept = 0;

 protected:
  ~connect_waiter() = default;
};

/// Reads and writes are tried at once while the socket may be ready, and otherwise wait for the loop's report. The
/// socket is bound to the loop on which its first operation begins, so that a flow may be made anywhere and handed to a
/// loop.
class stream_socket final : public flow_block<stream_socket>, public descriptor, public pooled {
 public:
  /// Takes over `fd`. `own` says that no other process or handle shares the open socket.
  stream_socket(int fd, bool own) noexcept : descriptor(fd), own_(own) {}

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool bound() const noexcept { return loop_ != nullptr; }

  /// Hands the descriptor out; the flow is closed without touching the connection.
  [[nodiscard]] int give_up() noexcept {
    const int fd = fd_;
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

  [[nodiscard]] socket_address local() noexcept {
    if (local_.family == address_family::none && fd_ >= 0) {
      sys::kernel_address found;
      if (sys::local_address(fd_, found) >= 0) local_ = found.value();
    }
    return local_;
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
    readable_ = true;
    spread_verdict();
  }
  void set_remote(const socket_address& peer) noexcept { remote_ = peer; }

  void set_connect_waiter(connect_waiter* waiter) noexcept {
    connecting_ = waiter;
    attention_ = waiter != nullptr || state().read_half() == half::shut;
  }

  // ---- what flow_block asks of a transport

  [[nodiscard]] bool entered() const noexcept { return loop_ != nullptr && loop_ == current_executor; }
  [[nodiscard, gnu::noinline, gnu::cold]] std::error_code enter() noexcept {
    if (loop_ != nullptr && loop_ == executor::current()) return {};
    if (state().read_half() == half::closed) return error::closed;
    io_executor* running = io_executor::current_io();
    if (running == nullptr) return error::no_executor;
    if (loop_ == nullptr) return running->attach(*this);
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
    return sys::send(fd_, bytes.data(), bytes.size());
  }
  // The kernel tells an error once.
  void keep_failure(std::ptrdiff_t sent) noexcept {
    if (sent != -EINTR) static_cast<void>(nothing_written(sent));
  }
  [[nodiscard]] attempt try_write(writing_operation<stream_socket>& op) noexcept {
    if (!state().can_transmit()) return attempt::verdict;
    if (!writable_) return attempt::wait;
    for (;;) {
      const std::span<buffer> rest = op.rest();
      if (rest.empty()) return attempt::done;
      const std::ptrdiff_t sent =
          rest.size() == 1 ? sys::send(fd_, rest.front().data(), rest.front().size()) : send_several(rest);
      if (sent > 0)
        op.advance(static_cast<std::size_t>(sent));
      else if (sent != -EINTR)
        return nothing_written(sent);
    }
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
    if (abort) sys::reset_on_close(fd_);
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
      std::exchange(connecting_, nullptr)->on_decided();
      return;
    }

    if ((what & (readiness::writable | readiness::broken)) != 0) {
      writable_ = true;
      call_writer();
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
    if (sent == -EAGAIN || sent == 0) {
      writable_ = false;
      return attempt::wait;
    }
    state().fail_write(from_system(static_cast<int>(-sent)));
    readable_ = true;  // if the connection is broken, reads must find that out
    return attempt::verdict;
  }

  // The kernel would keep, and later deliver, what nobody will read (K1), and answer the close with a reset (K4).
  [[gnu::noinline, gnu::cold]] void drop_input() noexcept {
    while (readable_ && fd_ >= 0) {
      const std::ptrdiff_t dropped = sys::discard(fd_);
      if (dropped > 0) {
        readable_ = read_on_;
        continue;
      }
      readable_ = false;
      if (dropped < 0 && dropped != -EAGAIN) {
        state().fail_read(from_system(static_cast<int>(-dropped)));
        spread_verdict();
      }
    }
  }

  [[nodiscard, gnu::noinline]] std::ptrdiff_t send_several(std::span<buffer> rest) noexcept {
    std::array<iovec, 64> pieces;
    std::size_t count = 0;
    for (buffer& one : rest) {
      if (one.empty()) continue;
      if (count == pieces.size()) break;
      pieces[count++] = iovec{const_cast<std::byte*>(one.data()), one.size()};
    }
    return sys::send(fd_, std::span(pieces).first(count));
  }

  bool own_;
  bool attention_ = false;  // a report is not simply for a reader or a writer
  bool read_on_ = false;    // an end or urgent data was reported: a short read says nothing any more
  connect_waiter* connecting_ = nullptr;
  socket_address local_;
  socket_address remote_;
};

/// Memory for a control block whose descriptor is still to come.
class stream_socket_room {
 public:
  stream_socket_room() noexcept {
    try {
      room_ = pool_allocate(sizeof(stream_socket));
    } catch (const std::bad_alloc&) {
      room_ = nullptr;
    }
  }
  stream_socket_room(const stream_socket_room&) = delete;
  stream_socket_room& operator=(const stream_socket_room&) = delete;
  ~stream_socket_room() {
    if (room_ != nullptr) pool_free(room_, sizeof(stream_socket));
  }

  /// False if there was none.
  [[nodiscard]] explicit operator bool() const noexcept { return room_ != nullptr; }
  /// Once, with a descriptor of the library's own.
  [[nodiscard]] stream_socket* make(int fd) noexcept {
    return ::new (std::exchange(room_, nullptr)) stream_socket(fd, true);
  }

 private:
  void* room_;
};

/// A control block for a descriptor of the library's own; the descriptor is closed if there is no memory for it.
[[nodiscard]] inline stream_socket* new_stream_socket(int fd) {
  try {
    return new stream_socket(fd, true);
  } catch (const std::bad_alloc&) {
    sys::close(fd);
    throw;
  }
}

}  // namespace detail
}  // namespace coflow::inline v0
