/// \file
/// What the writes and puts of a `buffered_writer` return.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/buffer.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Holds the line while a large write goes through to the flow below. The block may be gone before it.
template <class Block>
class line_hold {
 public:
  line_hold() noexcept {}
  line_hold(const line_hold&) = delete;
  line_hold& operator=(const line_hold&) = delete;
  ~line_hold() { end(canceled()); }

  /// Needs a write that was granted the line.
  void begin(Block& block) noexcept {
    block_ = &block;
    block.hold_line(*this);
  }
  void block_is_gone() noexcept { block_ = nullptr; }
  /// The write is over, with this error or none.
  void end(const std::error_code& failure) noexcept {
    if (block_ != nullptr) std::exchange(block_, nullptr)->end_write_through(failure);
  }

 private:
  Block* block_ = nullptr;
};

template <class Block>
task<result<void>> write_through_list(Block* block, std::span<buffer> list) {
  line_hold<Block> line;
  const result<void> turn = co_await writev_operation<Block>(*block, list);
  if (!turn) co_return turn.error();
  line.begin(*block);
  auto sent = co_await block->inner().writev(list);
  std::error_code failure;
  if (!sent) failure = sent.error();
  line.end(failure);
  if (failure) co_return failure;
  co_return success;
}
template <class Block>
task<result<void>> write_through(Block* block, buffer bytes) {
  line_hold<Block> line;
  const result<void> turn = co_await writev_operation<Block>(*block, std::span<buffer>(&bytes, 1));
  if (!turn) co_return turn.error();
  line.begin(*block);
  auto sent = co_await block->inner().write(std::move(bytes));
  std::error_code failure;
  if (!sent) failure = sent.error();
  line.end(failure);
  if (failure) co_return failure;
  co_return success;
}

/// Where an early write's bytes are: with the caller, in the operation, in a buffer, in a list of buffers.
class borrowed_bytes {
 public:
  explicit borrowed_bytes(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  template <class Block>
  [[nodiscard]] bool accepted_now(Block& block) const {
    return block.accept_now(bytes_);
  }
  // Copies only where the bytes have to wait.
  [[nodiscard]] std::span<buffer> list() {
    if (copy_.empty()) copy_ = buffer(bytes_);
    return {&copy_, 1};
  }
  template <class Block>
  [[nodiscard]] task<result<void>> write_through(Block& block) const {
    return detail::write_through(&block, buffer(bytes_));
  }

 private:
  std::span<const std::byte> bytes_;
  buffer copy_;
};
template <std::size_t Size>
class own_bytes {
 public:
  explicit own_bytes(const std::array<std::byte, Size>& bytes) noexcept : bytes_(bytes) {}
  [[nodiscard]] static constexpr std::size_t size() noexcept { return Size; }
  template <class Block>
  [[nodiscard]] bool accepted_now(Block& block) const {
    return block.accept_now(std::span<const std::byte>(bytes_));
  }
  [[nodiscard]] std::span<buffer> list() {
    if (copy_.empty()) copy_ = buffer(std::span<const std::byte>(bytes_));
    return {&copy_, 1};
  }
  template <class Block>
  [[nodiscard]] task<result<void>> write_through(Block& block) const {
    return detail::write_through(&block, buffer(std::span<const std::byte>(bytes_)));
  }

 private:
  std::array<std::byte, Size> bytes_;
  buffer copy_;
};
class one_buffer {
 public:
  explicit one_buffer(buffer bytes) noexcept : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  template <class Block>
  [[nodiscard]] bool accepted_now(Block& block) const {
    return block.accept_now(bytes_);
  }
  [[nodiscard]] std::span<buffer> list() noexcept { return {&bytes_, 1}; }
  template <class Block>
  [[nodiscard]] task<result<void>> write_through(Block& block) {
    return detail::write_through(&block, std::move(bytes_));
  }

 private:
  buffer bytes_;
};
class buffer_list {
 public:
  explicit buffer_list(std::span<buffer> list) noexcept : list_(list) {}
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t sum = 0;
    for (const buffer& one : list_) sum += one.size();
    return sum;
  }
  template <class Block>
  [[nodiscard]] bool accepted_now(Block&) const noexcept {
    return false;
  }
  [[nodiscard]] std::span<buffer> list() const noexcept { return list_; }
  template <class Block>
  [[nodiscard]] task<result<void>> write_through(Block& block) const {
    return detail::write_through_list(&block, list_);
  }

 private:
  std::span<buffer> list_;
};

/// A write that is accepted into the buffer at once, or when there is room for it. One that would fill the buffer by
/// itself goes through to the flow below instead, when its turn has come; that takes a frame from the pool.
template <class Block, class Source>
class [[nodiscard]] early_write final : public writing_operation<Block> {
 public:
  early_write(Block& block, Source source) noexcept : writing_operation<Block>(block), source_(std::move(source)) {}
  early_write(early_write&& unbegun) noexcept
      : writing_operation<Block>(std::move(unbegun)), source_(std::move(unbegun.source_)) {}
  ~early_write() { this->end(); }

  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle coroutine) {
    if (source_.size() >= this->block_.mark()) [[unlikely]]
      return go_through(awaiting(coroutine));
    this->bind(coroutine);
    if (!this->stop_requested() && source_.accepted_now(this->block_)) [[likely]]
      return false;
    return wait_for_room();
  }
  [[nodiscard]] result<void> await_resume() {
    if (through_wait_) [[unlikely]]
      return through_wait_->await_resume();
    return writing_operation<Block>::await_resume();
  }

 private:
  [[nodiscard, gnu::noinline]] bool go_through(awaiting coroutine) {
    through_.emplace(source_.write_through(this->block_));
    return through_wait_.emplace(std::move(*through_).operator co_await()).await_suspend(coroutine);
  }
  [[nodiscard, gnu::noinline]] bool wait_for_room() {
    const bool may_begin = !this->stop_requested() && this->block_.state().can_write();
    const std::span<buffer> list = may_begin && source_.size() != 0 ? source_.list() : std::span<buffer>();
    this->first_ = list.data();
    this->count_ = list.size();
    this->skip_empty();
    return this->block_.start(static_cast<writing_operation<Block>&>(*this));
  }

  Source source_;
  std::optional<task<result<void>>> through_;
  std::optional<task<result<void>>::awaiter> through_wait_;
};

}  // namespace detail
}  // namespace coflow::inline v0
