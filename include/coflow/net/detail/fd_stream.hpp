/// \file
/// The control block of a stream over one or two descriptors of any kind.
#pragma once

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/config.hpp"
#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/core/node.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/system.hpp"
#include "coflow/net/detail/system_files.hpp"

namespace coflow::inline v0 {
namespace detail {

class fd_stream;

/// One descriptor of a stream. Both halves may share it: a reactor knows a descriptor once.
class fd_channel final : public descriptor {
 public:
  explicit fd_channel(fd_stream& of) noexcept : descriptor(-1), stream_(of) {}

 private:
  friend class fd_stream;

  inline void on_ready(unsigned what) noexcept override;
  void on_loop_gone() noexcept override {}  // the stream hears of it by itself, also when nothing of it is watched

  fd_stream& stream_;
  sys::file_kind kind_ = sys::file_kind::other;
  bool watched_ = false;       // otherwise the system reports nothing of it: always ready
  bool was_blocking_ = false;  // and is to block again
};

/// Reads and writes are tried while the descriptors may be ready, until the system says that it would wait: of a
/// terminal or a pipe of packets a short read says nothing. Like a stream_socket it is bound to the loop on which its
/// first operation begins.
class fd_stream final : public flow_block<fd_stream>, public pooled, private executor::dependent {
 public:
  fd_stream() noexcept {}

  /// Takes over the descriptors, either of which may be -1; an error if they are no streams, and then nothing is
  /// changed. Those that are `lent` are given back and never closed.
  [[nodiscard]] inline std::error_code take_over(int in, int out, bool lent) noexcept;
  /// `taken` becomes false when the descriptors are let go.
  void claim(std::atomic<bool>& taken) noexcept { claim_ = &taken; }

  [[nodiscard]] int in() const noexcept { return in_.fd_; }
  [[nodiscard]] int out() const noexcept { return shared_ ? in_.fd_ : out_.fd_; }

  /// Hands the descriptors out, as they were found, and closes the flow.
  [[nodiscard]] std::pair<int, int> give_up() noexcept {
    const std::pair<int, int> both(in(), out());
    lent_ = true;
    close();
    return both;
  }

  /// Makes the coming close a reset where there is one.
  void break_off() noexcept {
    state().mark_torn();
    close();
  }

  // ---- what flow_block asks of a transport

  [[nodiscard]] bool entered() const noexcept { return loop_ != nullptr && loop_ == current_executor; }
  [[nodiscard, gnu::noinline, gnu::cold]] std::error_code enter() noexcept {
    if (loop_ != nullptr && loop_ == executor::current()) return {};
    if (state().read_half() == half::closed) return error::closed;
    io_executor* running = io_executor::current_io();
    if (running == nullptr) return error::no_executor;
    if (loop_ == nullptr) {
      const std::error_code refused = bind_to(*running);
      if (refused && refused != error::closed) {  // what cannot be watched now is of no use later (laws R4, W6)
        state().fail_read(refused);
        state().fail_write(refused);
      }
      return refused;
    }
    COFLOW_ASSERT(false, "a flow was used on a thread whose event loop it does not belong to");
    return error::wrong_executor;
  }
  [[nodiscard]] executor& home() noexcept { return *loop_; }

  [[nodiscard]] bool may_read() const noexcept { return in_.readable_; }
  [[nodiscard]] attempt try_read(buffer& data) {
    const read_space space = loop_->reading_space();
    const std::ptrdiff_t got = sys::read(in_.fd_, space.data(), space.size());
    if (got <= 0) return nothing_read(got);
    loop_->take_read(static_cast<std::size_t>(got), data);
    return attempt::done;
  }
  [[nodiscard]] attempt try_read_into(std::span<std::byte> room, std::size_t& count) noexcept {
    const std::ptrdiff_t got = sys::read(in_.fd_, room.data(), room.size());
    if (got <= 0) return nothing_read(got);
    count = static_cast<std::size_t>(got);
    return attempt::done;
  }
  [[nodiscard]] attempt try_write(writing_operation<fd_stream>& op) noexcept {
    if (!state().can_transmit()) return attempt::verdict;
    fd_channel& to = writer();
    if (!to.writable_) return attempt::wait;
    for (std::size_t allowance = bytes_per_turn;;) {
      const std::span<buffer> rest = op.rest();
      if (rest.empty()) return attempt::done;
      if (allowance == 0) {
        go_on_later();
        return attempt::wait;
      }
      const std::ptrdiff_t sent = write_some(to, rest, allowance);
      if (sent <= 0) return nothing_written(to, sent);
      op.advance(static_cast<std::size_t>(sent));
      allowance -= static_cast<std::size_t>(sent);
    }
  }

  // ---- what a transfer through a pipe of the kernel asks (splice_transfer.hpp)

  [[nodiscard]] io_executor* loop() const noexcept { return loop_; }
  [[nodiscard]] bool can_feed() const noexcept {
    return in_.kind_ == sys::file_kind::socket || in_.kind_ == sys::file_kind::file;
  }
  [[nodiscard]] bool can_drain() noexcept {
    return writer().kind_ == sys::file_kind::socket || writer().kind_ == sys::file_kind::pipe;
  }
  // Gives how much there was; at nothing, a read says why.
  [[nodiscard]] std::size_t feed(splice_pipe& pipe, std::size_t limit) noexcept {
    if (!entered() || !in_.readable_ || !state().can_read() || has_reader()) return 0;
    const std::ptrdiff_t got = pipe.fill_from(in_.fd_, limit);
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && got != -EAGAIN && in_.kind_ == sys::file_kind::socket && !splice_is_refused(got)) {
      state().fail_read(from_system(static_cast<int>(-got)));  // which the kernel tells once
      spread_verdict();
    }
    return 0;
  }
  // False if the system does not do it; what stays in the pipe otherwise is for a write, which may have to wait.
  [[nodiscard]] bool drain(splice_pipe& pipe) noexcept {
    fd_channel& to = writer();
    while (pipe.held() != 0 && entered() && to.writable_ && state().can_write() && !has_writer()) {
      const std::ptrdiff_t sent = pipe.drain_to(to.fd_);
      if (sent > 0) continue;
      if (sent == 0 || splice_is_refused(sent)) return false;
      if (nothing_written(to, sent) == attempt::verdict) spread_verdict();
    }
    return true;
  }

  void input_unwanted() noexcept {
    if (!can_hold_up(in_)) return;
    if (loop_ != nullptr || !enter()) drop_input();
  }
  void signal_end() noexcept {
    fd_channel& to = writer();
    if (to.fd_ < 0) return;
    if (to.kind_ == sys::file_kind::socket)
      sys::end_sending(to.fd_);
    else if (!shared_ && !lent_)
      let_go(to);
  }
  void release_transport(bool abort) noexcept {
    COFLOW_ASSERT(loop_ == nullptr || executor::current() == nullptr || executor::current() == loop_,
                  "a flow was closed on a thread whose event loop it does not belong to");
    fd_channel& to = writer();
    if (abort && !lent_ && to.fd_ >= 0 && to.kind_ == sys::file_kind::socket) sys::reset_on_close(to.fd_);
    let_go(in_);
    let_go(out_);
    later_.unlink();
    static_cast<executor::dependent&>(*this).unlink();
    if (std::atomic<bool>* taken = std::exchange(claim_, nullptr)) taken->store(false, std::memory_order_release);
  }
  void destroy() noexcept { delete this; }

 private:
  friend class fd_channel;

  // What one operation moves before others have their turn, though more could be moved at once.
  static constexpr std::size_t bytes_per_turn = 1024 * 1024;

  class later final : public node {
   public:
    explicit later(fd_stream& of) noexcept : stream_(of) {}
    void run() noexcept override { stream_.go_on(); }

   private:
    fd_stream& stream_;
  };

  [[nodiscard]] attempt nothing_read(std::ptrdiff_t got) noexcept {
    if (got == -EAGAIN && in_.watched_) {
      in_.readable_ = false;
      if (!state().broken()) return attempt::wait;
      state().end_of_input();
    } else if (got == 0 || (got == -EIO && sys::is_terminal_master(in_.fd_))) {
      state().end_of_input();
    } else {
      state().fail_read(from_system(static_cast<int>(-got)));
    }
    return attempt::verdict;
  }

  [[nodiscard]] fd_channel& writer() noexcept { return shared_ ? in_ : out_; }

  void on_executor_gone() noexcept override {
    close();
    loop_ = nullptr;
  }

  // A writer is called, which takes a turn of its own, so that the reader's resumption can be the last thing done here:
  // it may destroy this block.
  void on_ready(fd_channel& which, unsigned what) noexcept {
    if (&which == &writer() && (what & (readiness::writable | readiness::broken)) != 0) {
      which.writable_ = true;
      call_writer();
    }
    if (&which == &in_ && (what & (readiness::readable | readiness::ended | readiness::urgent)) != 0) {
      which.readable_ = true;
      if (state().read_half() == half::shut)
        input_unwanted();
      else
        serve_reader();
    }
  }

  void go_on_later() noexcept {
    if (!later_.linked()) loop_->post(later_);
  }
  void go_on() noexcept {
    call_writer();
    if (state().read_half() == half::shut) input_unwanted();
  }

  [[nodiscard]] std::error_code bind_to(io_executor& running) noexcept {
    if (running.finishing()) return error::closed;
    const interest input = shared_ ? interest::both : interest::read;
    if (const std::error_code refused = watch(running, in_, input)) return refused;
    if (const std::error_code refused = watch(running, out_, interest::write)) {
      if (std::exchange(in_.watched_, false)) running.detach(in_);
      return refused;
    }
    loop_ = &running;
    running.add_dependent(*this);
    return {};
  }
  // What the system refuses to watch is always ready.
  [[nodiscard]] static std::error_code watch(io_executor& running, fd_channel& one, interest what) noexcept {
    if (one.fd_ < 0) return {};
    const std::error_code refused = running.attach(one, what);
    one.watched_ = !refused;
    if (refused == std::error_code(EPERM, std::system_category())) return {};
    return refused;
  }

  void let_go(fd_channel& one) noexcept {
    if (one.fd_ < 0) return;
    if (std::exchange(one.watched_, false)) loop_->detach(one);
    const int fd = std::exchange(one.fd_, -1);
    // Of two descriptors of one open file the last one to go makes it block.
    const bool other_needs_it = same_file_ && (in_.fd_ >= 0 || out_.fd_ >= 0);
    if (one.was_blocking_ && !other_needs_it) static_cast<void>(sys::set_blocking(fd, true));
    if (!lent_) sys::close(fd);
  }

  // Another process waits in a write until somebody reads.
  [[nodiscard]] static bool can_hold_up(const fd_channel& from) noexcept {
    return from.fd_ >= 0 && (from.kind_ == sys::file_kind::pipe || from.kind_ == sys::file_kind::socket);
  }
  [[gnu::noinline, gnu::cold]] void drop_input() noexcept {
    std::array<std::byte, 16 * 1024> dropped;
    for (int allowance = 16; in_.readable_; --allowance) {
      if (allowance == 0) {
        go_on_later();
        return;
      }
      const std::ptrdiff_t got = sys::read(in_.fd_, dropped.data(), dropped.size());
      if (got > 0) continue;
      in_.readable_ = false;
      if (got < 0 && got != -EAGAIN) {
        state().fail_read(from_system(static_cast<int>(-got)));
        spread_verdict();
      }
    }
  }

  [[nodiscard]] static std::ptrdiff_t write_some(const fd_channel& to, std::span<buffer> rest,
                                                 std::size_t limit) noexcept {
    std::array<iovec, 64> pieces;
    std::size_t count = 0;
    for (buffer& one : rest) {
      if (one.empty()) continue;
      if (count == pieces.size() || limit == 0) break;
      const std::size_t size = smaller(one.size(), limit);
      limit -= size;
      pieces[count++] = iovec{const_cast<std::byte*>(one.data()), size};
    }
    const std::span<iovec> listed = std::span(pieces).first(count);
    if (to.kind_ == sys::file_kind::socket) return sys::send(to.fd_, listed);
    if (to.kind_ == sys::file_kind::pipe) return sys::write_to_pipe(to.fd_, listed);
    return sys::write(to.fd_, listed);
  }
  [[gnu::noinline]] attempt nothing_written(fd_channel& to, std::ptrdiff_t sent) noexcept {
    if ((sent == -EAGAIN || sent == 0) && to.watched_) {
      to.writable_ = false;
      return attempt::wait;
    }
    state().fail_write(from_system(sent == 0 ? EIO : static_cast<int>(-sent)));
    in_.readable_ = true;  // if it is a connection and broken, reads must find that out
    return attempt::verdict;
  }

  bool shared_ = false;     // one descriptor for both halves: in_
  bool same_file_ = false;  // two descriptors, but O_NONBLOCK is one for both
  bool lent_ = false;
  std::atomic<bool>* claim_ = nullptr;
  io_executor* loop_ = nullptr;
  fd_channel in_{*this};
  fd_channel out_{*this};
  later later_{*this};
};

inline void fd_channel::on_ready(unsigned what) noexcept { stream_.on_ready(*this, what); }

/// An error if `fd` is no stream of bytes that can be read, or written.
[[nodiscard]] inline std::error_code inspect_stream(int fd, bool reads, bool writes,
                                                    sys::file_description& found) noexcept {
  if (fd == -1) return {};
  if (const int status = sys::describe(fd, found); status < 0) return from_system(-status);
  if (found.kind == sys::file_kind::directory) return from_system(EISDIR);
  if (found.kind == sys::file_kind::other) return error::not_a_stream;
  if (found.kind == sys::file_kind::socket && !sys::is_connected_stream(fd)) return error::not_a_stream;
  if ((reads && !found.readable) || (writes && !found.writable)) return from_system(EBADF);
  return {};
}

inline std::error_code fd_stream::take_over(int in, int out, bool lent) noexcept {
  const bool one = in == out && in != -1;
  sys::file_description source;
  sys::file_description sink;
  if (const std::error_code refused = inspect_stream(in, true, one, source)) return refused;
  if (const std::error_code refused = inspect_stream(one ? -1 : out, false, true, sink)) return refused;

  const auto must_change = [](const sys::file_description& of) {
    return of.blocking && of.kind != sys::file_kind::file;
  };
  const bool change_in = must_change(source);
  const bool change_out = must_change(sink);
  if (change_in) {
    if (const int status = sys::set_blocking(in, false); status < 0) return from_system(-status);
  }
  if (change_out) {
    sys::file_description now;
    int status = sys::describe(out, now);
    same_file_ = change_in && status >= 0 && !now.blocking;
    if (status >= 0 && now.blocking) status = sys::set_blocking(out, false);
    if (status < 0) {
      if (change_in) static_cast<void>(sys::set_blocking(in, true));
      return from_system(-status);
    }
  }

  shared_ = one;
  lent_ = lent;
  in_.fd_ = in;
  in_.kind_ = source.kind;
  in_.was_blocking_ = change_in;
  if (!one) {
    out_.fd_ = out;
    out_.kind_ = sink.kind;
    out_.was_blocking_ = change_out;
  }
  if (in == -1) state().end_of_input();
  if (out == -1 && state().drain_write()) static_cast<void>(state().finish_drain());
  return {};
}

}  // namespace detail
}  // namespace coflow::inline v0
