/// \file
/// Two connected flows in memory, with back-pressure.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/memory/detail/buffer_ring.hpp"

namespace coflow::inline v0 {
namespace detail {

class pipe_block;

/// One end of a pipe. What it has to read is in `incoming_`; it writes into the other end's.
class pipe_end : public flow_block<pipe_end> {
 public:
  explicit pipe_end(pipe_block& whole) noexcept : whole_(whole) {}
  ~pipe_end() = default;

  inline void reset() noexcept;

  // What flow_block asks of a transport.
  [[nodiscard]] inline bool entered() noexcept;
  [[nodiscard]] inline std::error_code enter() noexcept;
  [[nodiscard]] inline executor& home() noexcept;
  [[nodiscard]] bool may_read() const noexcept { return true; }
  [[nodiscard]] inline attempt try_read(buffer& data);
  [[nodiscard]] inline attempt try_read_into(std::span<std::byte> room, std::size_t& count) noexcept;
  [[nodiscard]] inline attempt try_write(writing_operation<pipe_end>& op) noexcept;
  inline void input_unwanted() noexcept;
  inline void signal_end() noexcept;
  inline void release_transport(bool abort) noexcept;
  inline void destroy() noexcept;

 private:
  friend class pipe_block;

  enum class finish : std::uint8_t { none, end, reset };

  [[nodiscard]] inline pipe_end& peer() noexcept;
  [[nodiscard]] inline attempt nothing_to_read() noexcept;
  [[nodiscard]] inline bool worth_moving(std::span<const buffer> rest) noexcept;
  inline void peer_is_gone(finish how) noexcept;

  pipe_block& whole_;
  buffer_ring incoming_;
  finish incoming_finish_ = finish::none;  // what follows the last byte of incoming_
  bool peer_gone_ = false;                 // nobody will read what this end writes
};

/// Both ends in one piece of memory, which lives until neither has a handle.
class pipe_block final : public pooled, public executor::dependent {
 public:
  explicit pipe_block(std::size_t capacity) noexcept
      : capacity_(larger<std::size_t>(capacity, 1)), worthwhile_(capacity < 64 ? 1 : capacity / 2) {}

  pipe_end& first() noexcept { return first_; }
  pipe_end& second() noexcept { return second_; }

  void on_executor_gone() noexcept override {
    gone_ = true;
    first_.close();
    second_.close();
    home_ = nullptr;
  }

 private:
  friend class pipe_end;

  pipe_end first_{*this};
  pipe_end second_{*this};
  executor* home_ = nullptr;
  std::size_t capacity_;
  std::size_t worthwhile_;  // so much room is worth a partial write
  int ends_ = 2;
  bool gone_ = false;
};

inline pipe_end& pipe_end::peer() noexcept { return this == &whole_.first_ ? whole_.second_ : whole_.first_; }

inline bool pipe_end::entered() noexcept { return whole_.home_ != nullptr && whole_.home_ == current_executor; }

inline std::error_code pipe_end::enter() noexcept {
  executor* current = executor::current();
  if (whole_.home_ != nullptr && whole_.home_ == current) return {};
  if (current == nullptr) return error::no_executor;
  if (whole_.gone_ || current->finishing()) return error::closed;
  if (whole_.home_ != nullptr) {
    COFLOW_ASSERT(false, "a memory pipe was used on two executors");
    return error::wrong_executor;
  }
  whole_.home_ = current;
  current->add_dependent(whole_);
  return {};
}

inline executor& pipe_end::home() noexcept { return *whole_.home_; }

inline attempt pipe_end::try_read(buffer& data) {
  if (!incoming_.empty()) {
    data = incoming_.pop();
    peer().call_writer();
    return attempt::done;
  }
  return nothing_to_read();
}

inline attempt pipe_end::try_read_into(std::span<std::byte> room, std::size_t& count) noexcept {
  if (incoming_.empty()) return nothing_to_read();
  count = incoming_.take_into(room);
  peer().call_writer();
  return attempt::done;
}

inline attempt pipe_end::nothing_to_read() noexcept {
  if (incoming_finish_ == finish::none && !state().broken()) return attempt::wait;
  if (incoming_finish_ == finish::reset)
    state().fail_read(from_system(ECONNRESET));
  else
    state().end_of_input();
  return attempt::verdict;
}

inline attempt pipe_end::try_write(writing_operation<pipe_end>& op) noexcept {
  if (peer_gone_) {
    state().fail_write(incoming_finish_ == finish::reset ? from_system(ECONNRESET) : from_system(EPIPE));
    return attempt::verdict;
  }
  pipe_end& to = peer();
  if (!worth_moving(op.rest())) return attempt::wait;
  bool moved = false;
  while (!op.rest().empty()) {
    if (!to.state().can_read()) {  // shut, but not gone: like a socket, it takes what nobody will read (S2)
      static_cast<void>(op.accept(SIZE_MAX));
      continue;
    }
    const std::size_t used = to.incoming_.bytes();
    if (used >= whole_.capacity_ || to.incoming_.full()) break;
    to.incoming_.push(op.accept(whole_.capacity_ - used));
    moved = true;
  }
  if (moved) to.call_reader();
  return op.rest().empty() ? attempt::done : attempt::wait;
}

// A reader that takes small pieces makes little room at a time. Filling every bit of it would cut all that follows into
// ever smaller pieces (the silly window of RFC 813), so the writer waits for half of it, or for room for all it has.
inline bool pipe_end::worth_moving(std::span<const buffer> rest) noexcept {
  const pipe_end& to = peer();
  const std::size_t used = to.incoming_.bytes();
  if (!to.state().can_read() || used >= whole_.capacity_ || whole_.capacity_ - used >= whole_.worthwhile_) return true;
  std::size_t room = whole_.capacity_ - used;
  for (const buffer& one : rest) {
    if (one.size() > room) return false;
    room -= one.size();
  }
  return true;
}

inline void pipe_end::input_unwanted() noexcept {
  incoming_.clear();
  peer().call_writer();
}

inline void pipe_end::signal_end() noexcept {
  pipe_end& to = peer();
  if (to.incoming_finish_ != finish::none) return;
  to.incoming_finish_ = finish::end;
  to.call_reader();
}

inline void pipe_end::peer_is_gone(finish how) noexcept {
  peer_gone_ = true;
  if (incoming_finish_ == finish::none || how == finish::reset) incoming_finish_ = how;
  call_writer();
  call_reader();
}

inline void pipe_end::release_transport(bool abort) noexcept {
  incoming_.clear();
  peer().peer_is_gone(abort ? finish::reset : finish::end);
}

inline void pipe_end::reset() noexcept {
  state().mark_torn();
  close();
}

inline void pipe_end::destroy() noexcept {
  if (--whole_.ends_ == 0) delete &whole_;
}

}  // namespace detail

/// One end of a pipe in memory: a flow that needs no operating system.
///
/// Every law of the contract holds; a write waits while the other end has `capacity` bytes unread (law W8). The two
/// ends belong to the executor on which the first operation of either begins. Closing an end gives the other its
/// remaining bytes, then eof; writes to it then give `error::closed`. `reset` breaks the connection instead.
class memory_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  memory_flow(memory_flow&&) noexcept = default;
  memory_flow& operator=(memory_flow&&) noexcept = default;
  /// Closes this end (law C6).
  ~memory_flow() = default;

  /// Reads the next bytes of the stream: the pieces that the other end wrote, without copying.
  /// Concurrency: reads are served in order. Cancellation: no byte is lost.
  [[nodiscard]] auto read() noexcept { return read_operation<detail::pipe_end>(*end_); }
  /// Copies the next bytes of the stream, as many as are there and as fit, into `room`, which must live until the await
  /// ends. Gives how many. Concurrency and cancellation: as for `read`.
  [[nodiscard]] auto read_into(std::span<std::byte> room) noexcept {
    return read_into_operation<detail::pipe_end>(*end_, room);
  }
  /// Writes all of `bytes`; waits while the pipe is full.
  [[nodiscard]] auto write(buffer bytes) noexcept { return write_operation<detail::pipe_end>(*end_, std::move(bytes)); }
  /// Writes all of `list` in order; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) noexcept { return writev_operation<detail::pipe_end>(*end_, list); }
  /// Ends one half or both (laws S1 to S4).
  [[nodiscard]] auto shutdown(shutdown_mode mode) noexcept { return shutdown_operation<detail::pipe_end>(*end_, mode); }
  /// Ends both halves (laws C1 to C4).
  [[nodiscard]] auto close() noexcept { return close_operation<detail::pipe_end>(*end_); }

  /// Breaks the connection: the other end reads what it has, then `connection_reset`; this end is closed.
  void reset() noexcept { end_->reset(); }

 private:
  friend std::pair<memory_flow, memory_flow> memory_pipe(std::size_t capacity);
  explicit memory_flow(detail::pipe_end& end) noexcept : end_(&end) {}

  flow_handle<detail::pipe_end> end_;
};

/// Makes two connected flows. `capacity` is how many unread bytes each direction holds before its writer waits (at
/// least one). Throws std::bad_alloc.
[[nodiscard]] inline std::pair<memory_flow, memory_flow> memory_pipe(std::size_t capacity = 64 * 1024) {
  auto* whole = new detail::pipe_block(capacity);
  return {memory_flow(whole->first()), memory_flow(whole->second())};
}

}  // namespace coflow::inline v0
