/// \file
/// The operation objects of a flow that is built on `flow_block`: what `read`, `read_into`, `write`, `writev`,
/// `shutdown` and `close` return. They live in the awaiting coroutine's frame. Each begins when it is awaited (law O1),
/// which must happen before the flow is destroyed; once begun, the flow may be moved or destroyed (law O2).
#pragma once

#include <coroutine>
#include <cstddef>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/operation_queue.hpp"
#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/shutdown_mode.hpp"

namespace coflow::inline v0 {

template <class Derived>
class flow_block;

/// The part of a read that does not depend on where the bytes go. A transport may derive reads of its own from it,
/// which say `own` from their beginning, and call `come_to` for an outcome that is no verdict of the half.
template <class Block>
class reading_operation : public queued_operation {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }

 protected:
  friend flow_block<Block>;

  // A read into the caller's memory says `count` from its beginning: that tells the kinds apart.
  enum class outcome : unsigned char { data, eof, failure, out_of_memory, count, own };

  reading_operation(Block& block, outcome hoped_for) noexcept : came_to_(hoped_for), block_(block) {}
  reading_operation(reading_operation&& unbegun) noexcept : came_to_(unbegun.came_to_), block_(unbegun.block_) {}
  ~reading_operation() {
    if (phase_ != operation_phase::idle) [[unlikely]]
      give_up();
  }

  // What came instead of bytes.
  template <class Result>
  [[nodiscard]] Result verdict() const {
    if (came_to_ == outcome::out_of_memory) throw std::bad_alloc();
    if (came_to_ == outcome::eof) return end_of_stream;
    return failure_;
  }

  void come_to(const std::error_code& verdict) noexcept {
    came_to_ = verdict ? outcome::failure : outcome::eof;
    detail::construct(failure_, verdict);
  }

  outcome came_to_;
  Block& block_;

 private:
  void run() noexcept override {
    if (phase_ != operation_phase::called || block_.try_again(*this)) {
      phase_ = operation_phase::idle;
      this->resume();
    }
  }
  void on_stop() noexcept override { block_.stop(*this); }
  const char* waits_for() const noexcept override { return "a read"; }

  [[gnu::noinline, gnu::cold]] void give_up() noexcept {
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();  // the flow may be gone already
    else
      block_.withdraw(*this);
  }

  union {
    std::error_code failure_;  // an object only when there is a verdict: making an empty code is a call
  };
};

/// What `flow.read()` returns: gives a `read_result`.
/// Cancellation: no byte is lost; the flow stays usable (law X1). Throws std::bad_alloc, losing no byte, if there is no
/// memory for the data.
template <class Block>
class [[nodiscard]] read_operation final : public reading_operation<Block> {
  using base = reading_operation<Block>;

 public:
  explicit read_operation(Block& block) noexcept : base(block, base::outcome::data) {}
  read_operation(read_operation&& unbegun) noexcept : base(std::move(unbegun)) {}
  ~read_operation() = default;

  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return this->block_.start(*this);
  }
  [[nodiscard]] read_result await_resume() {
    if (this->came_to_ == base::outcome::data) [[likely]]
      return std::move(data_);
    return this->template verdict<read_result>();
  }

 private:
  friend flow_block<Block>;

  [[nodiscard]] static constexpr bool wants_nothing() noexcept { return false; }
  [[nodiscard, gnu::always_inline]] auto take(Block& block) { return block.try_read(data_); }

  buffer data_;
};

/// What `flow.read_into(room)` returns: gives a `read_into_result`. The room must live until the await ends.
/// Cancellation: no byte is lost; the flow stays usable (law X1). Throws std::bad_alloc, losing no byte, if the flow
/// has no memory to come to the data by.
template <class Block>
class [[nodiscard]] read_into_operation final : public reading_operation<Block> {
  using base = reading_operation<Block>;

 public:
  read_into_operation(Block& block, std::span<std::byte> room) noexcept
      : base(block, base::outcome::count), room_(room) {}
  read_into_operation(read_into_operation&& unbegun) noexcept : base(std::move(unbegun)), room_(unbegun.room_) {}
  ~read_into_operation() = default;

  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return this->block_.start(*this);
  }
  [[nodiscard]] read_into_result await_resume() const {
    if (this->came_to_ == base::outcome::count) [[likely]]
      return count_;
    return this->template verdict<read_into_result>();
  }

 private:
  friend flow_block<Block>;

  [[nodiscard]] bool wants_nothing() const noexcept { return room_.empty(); }
  [[nodiscard, gnu::always_inline]] auto take(Block& block) { return block.try_read_into(room_, count_); }

  std::span<std::byte> room_;
  std::size_t count_ = 0;
};

/// The part of a write that does not depend on who holds the buffers. `rest`, `advance` and `accept` are for the block.
template <class Block>
class writing_operation : public queued_operation {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] result<void> await_resume() const noexcept {
    if (failed_) [[unlikely]]
      return failure_;
    return success;
  }

  /// What is still to be sent; its first buffer, if there is one, is not empty.
  [[nodiscard]] std::span<buffer> rest() const noexcept { return {first_, count_}; }
  /// The transport below has accepted `count` bytes of the rest: they are taken out of their buffers (law W2).
  void advance(std::size_t count) noexcept {
    begun_ = true;
    while (count != 0) {
      const std::size_t part = count < first_->size() ? count : first_->size();
      first_->remove_prefix(part);
      count -= part;
      skip_empty();
    }
  }

  /// The transport below takes over up to `limit` bytes of the first buffer of the rest, without copying them.
  [[nodiscard]] buffer accept(std::size_t limit) noexcept {
    begun_ = true;
    buffer taken = first_->take_front(limit);
    skip_empty();
    return taken;
  }

  /// The transport below takes over the first `count` buffers of the rest as they lie there, and empties them.
  [[nodiscard]] std::span<buffer> accept_whole(std::size_t count) noexcept {
    begun_ = true;
    const std::span<buffer> taken(first_, count);
    first_ += count;
    count_ -= count;
    skip_empty();
    return taken;
  }

 protected:
  friend flow_block<Block>;

  explicit writing_operation(Block& block) noexcept : block_(block) {}
  writing_operation(writing_operation&& unbegun) noexcept : block_(unbegun.block_) {}
  ~writing_operation() = default;

  // For the derived classes' destructors.
  void end() noexcept {
    if (phase_ != operation_phase::idle) [[unlikely]]
      give_up();
  }
  void skip_empty() noexcept {
    while (count_ != 0 && first_->empty()) {
      ++first_;
      --count_;
    }
  }

  bool begun_ = false;  // a part has gone out
  bool failed_ = false;
  Block& block_;
  buffer* first_;
  std::size_t count_;

 private:
  void run() noexcept override {
    if (phase_ != operation_phase::called || block_.try_again(*this)) {
      phase_ = operation_phase::idle;
      this->resume();
    }
  }
  void on_stop() noexcept override { block_.stop(*this); }
  const char* waits_for() const noexcept override { return "a write"; }

  [[gnu::noinline, gnu::cold]] void give_up() noexcept {
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();  // the flow may be gone already
    else
      block_.withdraw(*this);
  }
  void come_to(const std::error_code& verdict) noexcept {
    failed_ = true;
    detail::construct(failure_, verdict);
  }

  union {
    std::error_code failure_;  // an object only when `failed_`
  };
};

/// What `flow.write(buffer)` returns: gives a `result<void>`.
/// Cancellation: a write that has sent nothing leaves the flow usable; one that has sent a part ends the write half
/// with `error::torn_write` (law X2).
template <class Block>
class [[nodiscard]] write_operation final : public writing_operation<Block> {
 public:
  write_operation(Block& block, buffer bytes) noexcept : writing_operation<Block>(block), bytes_(std::move(bytes)) {}
  write_operation(write_operation&& unbegun) noexcept
      : writing_operation<Block>(std::move(unbegun)), bytes_(std::move(unbegun.bytes_)) {}
  ~write_operation() { this->end(); }

  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return this->block_.start(*this);
  }

 private:
  friend flow_block<Block>;

  // Prepares the general case.
  void list_bytes() noexcept {
    this->first_ = &bytes_;
    this->count_ = !bytes_.empty();
  }

  buffer bytes_;
};

/// What `flow.writev(span)` returns: gives a `result<void>`. The array behind the span must live until the await ends;
/// after an error or a cancellation the unsent rest is still in it (law W2).
template <class Block>
class [[nodiscard]] writev_operation final : public writing_operation<Block> {
 public:
  writev_operation(Block& block, std::span<buffer> list) noexcept : writing_operation<Block>(block), list_(list) {}
  writev_operation(writev_operation&& unbegun) noexcept
      : writing_operation<Block>(std::move(unbegun)), list_(unbegun.list_) {}
  ~writev_operation() { this->end(); }

  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    this->first_ = list_.data();
    this->count_ = list_.size();
    this->skip_empty();
    return this->block_.start(*this);
  }

 private:
  std::span<buffer> list_;
};

/// What `flow.shutdown(mode)` returns: gives nothing and never fails (law S1). It waits while queued writes go out; a
/// stop ends that wait, not the shutdown (law X0).
template <class Block>
class [[nodiscard]] shutdown_operation final : public queued_operation {
 public:
  shutdown_operation(Block& block, shutdown_mode mode) noexcept : block_(block), mode_(mode) {}
  shutdown_operation(shutdown_operation&& unbegun) noexcept : block_(unbegun.block_), mode_(unbegun.mode_) {}
  ~shutdown_operation() {
    if (phase_ == operation_phase::idle) return;
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();  // the flow may be gone already
    else
      block_.withdraw(*this);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return block_.start(*this);
  }
  void await_resume() const noexcept {}

 private:
  friend flow_block<Block>;

  void run() noexcept override {
    phase_ = operation_phase::idle;
    this->resume();
  }
  void on_stop() noexcept override { block_.stop(*this); }
  const char* waits_for() const noexcept override { return "a shutdown"; }

  Block& block_;
  shutdown_mode mode_;
};

/// What `flow.close()` returns: gives nothing, never waits and never fails (laws C1, C2).
template <class Block>
class [[nodiscard]] close_operation final {
 public:
  explicit close_operation(Block& block) noexcept : block_(block) {}

  [[nodiscard]] bool await_ready() const noexcept {
    block_.close();
    return true;
  }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}

 private:
  Block& block_;
};

}  // namespace coflow::inline v0
