/// \file
/// What the record operations of a `buffered_reader` return: reads of a whole record, which stand in one queue with the
/// plain reads. They live in the awaiting coroutine's frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/core/record_result.hpp"
#include "coflow/layer/detail/chunk_queue.hpp"
#include "coflow/layer/detail/delimiters.hpp"

namespace coflow::inline v0 {
namespace detail {

/// The part of it that does not depend on the kind of record. A derived class says in `attempt_record` how a record is
/// made of what is buffered; it takes nothing out before the record is whole, so that a stop and the end of the waiting
/// coroutine lose no byte (law X1).
template <class Block>
class record_operation : public reading_operation<Block> {
  using base = reading_operation<Block>;

 public:
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return this->block_.start(*this);
  }

 protected:
  explicit record_operation(Block& block) noexcept : base(block, base::outcome::own) {}
  record_operation(record_operation&& unbegun) noexcept : base(std::move(unbegun)) {}
  ~record_operation() = default;

  [[nodiscard]] virtual attempt attempt_record(Block& block) = 0;

  // The stream has ended, with or without some bytes of the record before: those stay.
  [[nodiscard]] attempt end(Block& block, bool begun) noexcept {
    if (!begun || block.drops_input() || block.was_given_up()) return block.report_end();
    this->come_to(block.end_failure() ? block.end_failure() : make_error_code(error::truncated));
    return attempt::done;
  }
  template <class T>
  [[nodiscard]] record_result<T> outcome_or(T& record) const {
    if (this->came_to_ == base::outcome::own) [[likely]]
      return std::move(record);
    return this->template verdict<record_result<T>>();
  }

 private:
  friend flow_block<Block>;

  [[nodiscard]] static constexpr bool wants_nothing() noexcept { return false; }
  [[nodiscard]] attempt take(Block& block) { return attempt_record(block); }
};

/// Gives so many bytes in one buffer.
template <class Block>
class [[nodiscard]] exact_operation final : public record_operation<Block> {
 public:
  exact_operation(Block& block, std::size_t size) noexcept : record_operation<Block>(block), size_(size) {}
  exact_operation(exact_operation&& unbegun) noexcept
      : record_operation<Block>(std::move(unbegun)), size_(unbegun.size_) {}
  ~exact_operation() = default;

  [[nodiscard]] record_result<buffer> await_resume() { return this->outcome_or(bytes_); }

 private:
  [[nodiscard]] attempt attempt_record(Block& block) override {
    chunk_queue& chunks = block.chunks();
    const attempt came_to = block.collect([this, &chunks] { return chunks.bytes() >= size_; });
    if (came_to == attempt::verdict) return this->end(block, !chunks.empty());
    if (came_to == attempt::done && size_ != 0) bytes_ = chunks.take(size_);
    return came_to;
  }

  std::size_t size_;
  buffer bytes_;
};

/// Gives a handle on so many bytes or more, fewer where the stream ends, and leaves them where they are.
template <class Block>
class [[nodiscard]] peek_operation final : public record_operation<Block> {
 public:
  peek_operation(Block& block, std::size_t size) noexcept : record_operation<Block>(block), size_(size) {}
  peek_operation(peek_operation&& unbegun) noexcept
      : record_operation<Block>(std::move(unbegun)), size_(unbegun.size_) {}
  ~peek_operation() = default;

  [[nodiscard]] record_result<buffer> await_resume() { return this->outcome_or(bytes_); }

 private:
  [[nodiscard]] attempt attempt_record(Block& block) override {
    chunk_queue& chunks = block.chunks();
    const attempt came_to = block.collect([this, &chunks] { return chunks.bytes() >= size_; });
    if (came_to == attempt::wait) return came_to;
    if (came_to == attempt::verdict && (chunks.empty() || block.was_given_up())) return block.report_end();
    chunks.gather(smaller(size_, chunks.bytes()));
    bytes_ = chunks.front().share();
    return attempt::done;
  }

  std::size_t size_;
  buffer bytes_;
};

/// Gives the bytes before an end that `Ending` finds, and drops that.
template <class Block, class Ending>
class [[nodiscard]] ended_operation final : public record_operation<Block> {
 public:
  ended_operation(Block& block, Ending ending, std::size_t limit) noexcept
      : record_operation<Block>(block),
        ending_(ending),
        limit_(limit),
        most_(limit > not_found - ending.most() ? not_found : limit + ending.most()) {}
  ended_operation(ended_operation&& unbegun) noexcept
      : record_operation<Block>(std::move(unbegun)),
        ending_(unbegun.ending_),
        limit_(unbegun.limit_),
        most_(unbegun.most_) {}
  ~ended_operation() = default;

  [[nodiscard]] record_result<buffer> await_resume() { return this->outcome_or(bytes_); }

 private:
  [[nodiscard]] attempt attempt_record(Block& block) override {
    chunk_queue& chunks = block.chunks();
    const attempt came_to = block.collect([this, &chunks] { return look(chunks); });
    if (came_to == attempt::verdict) return this->end(block, !chunks.empty());
    return came_to;
  }
  // True if there is an outcome.
  [[nodiscard]] bool look(chunk_queue& chunks) {
    while (seen_ < chunks.bytes()) {
      std::span<const std::byte> part = chunks.at(seen_);
      if (part.size() > most_ - seen_) part = part.first(most_ - seen_);
      const std::size_t found = ending_.find(part);
      if (found != not_found) {
        const std::size_t size = seen_ + found - ending_.size();
        if (size > limit_) return too_long();
        bytes_ = chunks.take(size, ending_.size());
        return true;
      }
      seen_ += part.size();
      if (seen_ - ending_.begun() > limit_) return too_long();
    }
    return false;
  }
  [[nodiscard]] bool too_long() noexcept {
    this->come_to(std::make_error_code(std::errc::message_size));
    return true;
  }

  Ending ending_;
  std::size_t limit_;
  std::size_t most_;      // bytes that are looked at
  std::size_t seen_ = 0;  // bytes at the front in which the end is not
  buffer bytes_;
};

/// Drops so many bytes; gives how many.
template <class Block>
class [[nodiscard]] skip_operation final : public record_operation<Block> {
 public:
  skip_operation(Block& block, std::uint64_t count) noexcept
      : record_operation<Block>(block), count_(count), left_(count) {}
  skip_operation(skip_operation&& unbegun) noexcept
      : record_operation<Block>(std::move(unbegun)), count_(unbegun.count_), left_(unbegun.left_) {}
  ~skip_operation() = default;

  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->block_.set_unskipped(left_);
    return record_operation<Block>::await_suspend(awaiting);
  }
  [[nodiscard]] record_result<std::uint64_t> await_resume() { return this->outcome_or(count_); }

 private:
  [[nodiscard]] attempt attempt_record(Block& block) override {
    chunk_queue& chunks = block.chunks();
    const attempt came_to = block.collect([this, &block, &chunks] {
      left_ -= chunks.drop(static_cast<std::size_t>(smaller<std::uint64_t>(left_, chunks.bytes())));
      block.set_unskipped(left_);
      return left_ == 0;
    });
    if (came_to == attempt::verdict) return this->end(block, left_ != count_);
    return came_to;
  }

  std::uint64_t count_;
  std::uint64_t left_;
};

/// Gives an integer, whose bytes come in one order or the other.
template <class Block, class Integer, bool BigEndian>
class [[nodiscard]] integer_operation final : public record_operation<Block> {
 public:
  explicit integer_operation(Block& block) noexcept : record_operation<Block>(block) {}
  integer_operation(integer_operation&& unbegun) noexcept : record_operation<Block>(std::move(unbegun)) {}
  ~integer_operation() = default;

  [[nodiscard]] record_result<Integer> await_resume() { return this->outcome_or(value_); }

 private:
  [[nodiscard]] attempt attempt_record(Block& block) override {
    chunk_queue& chunks = block.chunks();
    const attempt came_to = block.collect([&chunks] { return chunks.bytes() >= sizeof(Integer); });
    if (came_to == attempt::verdict) return this->end(block, !chunks.empty());
    if (came_to == attempt::done) {
      std::array<std::byte, sizeof(Integer)> bytes{};  // g++ cannot see that all of it is written
      static_cast<void>(chunks.take_into(bytes));
      value_ = assemble(bytes);
    }
    return came_to;
  }
  [[nodiscard]] static Integer assemble(const std::array<std::byte, sizeof(Integer)>& bytes) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      value = value << 8 | static_cast<std::uint64_t>(bytes[BigEndian ? i : bytes.size() - 1 - i]);
    return static_cast<Integer>(value);
  }

  Integer value_{};
};

}  // namespace detail
}  // namespace coflow::inline v0
