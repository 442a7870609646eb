/// \file
/// Counting what passes through a flow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "coflow/core/executor.hpp"
#include "coflow/core/fallible.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/layer/detail/hooked.hpp"
#include "coflow/layer/detail/share.hpp"
#include "coflow/layer/layered_flow.hpp"

namespace coflow::inline v0 {

/// What one side of a flow has done so far: its reads, or its writes.
struct side_counts {
  side_counts() noexcept {}
  std::uint64_t bytes = 0;       ///< of operations that succeeded
  std::uint64_t operations = 0;  ///< that have completed, in whatever way; not those whose coroutine died waiting
  std::uint64_t failures = 0;    ///< operations that gave an error, cancellations and deadlines among them
  executor::duration waited{0};  ///< from beginning to end of the operations, added up; zero unless timed
};

/// What can be chosen about a `counted` flow.
class counted_options {
 public:
  counted_options() noexcept {}
  /// Adds up how long operations take, which asks the executor's clock twice for each. Off unless set.
  counted_options& timed(bool on) noexcept {
    timed_ = on;
    return *this;
  }
  [[nodiscard]] bool is_timed() const noexcept { return timed_; }

 private:
  bool timed_ = false;
};

namespace detail {

struct counts_block final : shared_block {
  enum which : std::uint8_t { reads, writes };
  struct side {
    std::uint64_t bytes = 0;
    std::uint64_t operations = 0;
    executor::duration waited{0};
  };

  explicit counts_block(bool on) noexcept : timed(on) {}
  const bool timed;
  std::uint32_t failures[2] = {0, 0};  // apart from the rest, to fit into 64 bytes
  side sides[2];
};
static_assert(sizeof(counts_block) == 64);

/// The hook of an operation. `size` is what a write is about; a read's result says it.
class counting {
 public:
  counting(const share<counts_block>& into, counts_block::which side, std::size_t size) noexcept
      : into_(into), side_(side), size_(size) {}

  void begin() noexcept {
    if (into_->timed) begin_timed();
  }
  template <class Outcome>
  void end(const Outcome& outcome) noexcept {
    counts_block::side& side = into_->sides[side_];
    ++side.operations;
    if constexpr (requires { outcome.has_data(); })
      side.bytes += outcome->size();
    else if constexpr (requires { outcome.has_count(); })
      side.bytes += *outcome;
    else if (outcome.has_value())
      side.bytes += size_;
    if (failed(outcome)) [[unlikely]]
      ++into_->failures[side_];
    if (into_->timed) end_timed();
  }

 private:
  template <class Outcome>
  static bool failed(const Outcome& outcome) noexcept {
    if constexpr (requires { outcome.failed(); })
      return outcome.failed();
    else
      return !outcome.has_value();
  }
  [[gnu::noinline]] void begin_timed() noexcept {
    if (const executor* on = executor::current()) began_ = on->now();
  }
  [[gnu::noinline]] void end_timed() noexcept {
    const executor* on = executor::current();
    if (on != nullptr && began_ != executor::time_point()) into_->sides[side_].waited += on->now() - began_;
  }

  share<counts_block> into_;
  counts_block::which side_;
  std::size_t size_;
  executor::time_point began_{};
};

}  // namespace detail

/// A look at what a `counted` flow has counted. Copies look at the same flow, and may outlive it. It belongs to the
/// flow's thread.
class flow_counts {
 public:
  [[nodiscard]] side_counts reads() const noexcept { return look(detail::counts_block::reads); }
  [[nodiscard]] side_counts writes() const noexcept { return look(detail::counts_block::writes); }

 private:
  template <SystemFlow Inner>
  friend class counted;

  explicit flow_counts(bool timed) : block_(*new detail::counts_block(timed)) {}
  [[nodiscard]] side_counts look(detail::counts_block::which side) const noexcept {
    side_counts seen;
    seen.bytes = block_->sides[side].bytes;
    seen.operations = block_->sides[side].operations;
    seen.waited = block_->sides[side].waited;
    seen.failures = block_->failures[side];
    return seen;
  }

  detail::share<detail::counts_block> block_;
};

/// A layer that counts bytes, operations and failures of each side. Every law of the flow below holds.
///
/// An operation is counted when its result reaches the coroutine that awaits it. Of a write that fails no bytes are
/// counted, although some may have gone out. One pooled block of 64 bytes; no clock unless `counted_options::timed`.
template <SystemFlow Inner>
class counted : public layered_flow<Inner> {
 public:
  /// Throws std::bad_alloc; the inner flow is then destroyed.
  explicit counted(Inner inner, const counted_options& options = counted_options())
      : layered_flow<Inner>(std::move(inner)), counts_(options.is_timed()) {}

  /// What was counted so far and is counted from now on.
  [[nodiscard]] flow_counts counts() const noexcept { return counts_; }

  /// Reads from the flow below.
  [[nodiscard]] auto read() {
    return noted(side::reads, 0, [this] { return this->next_layer().read(); });
  }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room)
    requires has_read_into<Inner>
  {
    return noted(side::reads, 0, [this, room] { return this->next_layer().read_into(room); });
  }
  /// Writes to the flow below.
  [[nodiscard]] auto write(buffer bytes) {
    const std::size_t size = bytes.size();
    return noted(side::writes, size, [this, &bytes] { return this->next_layer().write(std::move(bytes)); });
  }
  /// Writes to the flow below; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) {
    std::size_t size = 0;
    for (const buffer& one : list) size += one.size();
    return noted(side::writes, size, [this, list] { return this->next_layer().writev(list); });
  }

 private:
  using side = detail::counts_block::which;
  template <class Make>
  [[nodiscard]] auto noted(side of, std::size_t size, Make make) {
    return detail::hooked<detail::counting>(make, counts_.block_, of, size);
  }

  flow_counts counts_;
};

}  // namespace coflow::inline v0
