/// \file
/// A read that is the flow below's own where it can be, and stands in the layer's queue where it must.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/layer/detail/erased_wait.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What tells `read` from `read_into`: which operations they are, and how they are made.
struct plain_read {
  using result = read_result;
  template <class Block>
  using own = read_operation<Block>;

  template <class Block>
  [[nodiscard]] own<Block> queued(Block& block) const noexcept {
    return own<Block>(block);
  }
  template <class Inner>
  [[nodiscard]] decltype(auto) below(Inner& inner) const {
    return inner.read();
  }
};
struct room_read {
  using result = read_into_result;
  template <class Block>
  using own = read_into_operation<Block>;

  explicit room_read(std::span<std::byte> given) noexcept : room(given) {}
  template <class Block>
  [[nodiscard]] own<Block> queued(Block& block) const noexcept {
    return own<Block>(block, room);
  }
  template <has_read_into Inner>
  [[nodiscard]] decltype(auto) below(Inner& inner) const {
    return inner.read_into(room);
  }

  std::span<std::byte> room;
};

/// True if the flow has such a read, one that can begin inside of another awaiter.
template <class Kind, class Inner>
concept reads_in_place = requires(const Kind& kind, Inner& inner) {
  kind.below(inner);
  requires waits_in_place<decltype(kind.below(inner))>;
};

/// It is decided when it begins (law O1), by `block.reads_below()`. The operation lives in here, whichever it is, so
/// that its end is the end of this, in every way (laws C6, X1).
template <class Block, class Inner, class Kind>
class [[nodiscard]] either_read final {
  using result = typename Kind::result;
  using own_operation = typename Kind::template own<Block>;

 public:
  either_read(Block& block, Kind kind) noexcept : block_(block), kind_(kind) {}
  either_read(either_read&& unbegun) noexcept : block_(unbegun.block_), kind_(unbegun.kind_) {}
  either_read& operator=(either_read&&) = delete;
  ~either_read() {
    if (is_ == state::queued)
      detail::destroy(queued_);
    else if (is_ == state::below)
      detail::destroy(below_);
  }

  [[nodiscard]] bool await_ready() {
    if (block_.reads_below()) [[likely]] {
      const auto make = [this]() -> decltype(auto) { return kind_.below(block_.inner()); };
      ::new (static_cast<void*>(&below_)) below_wait(make);
      is_ = state::below;
      return below_.ready();
    }
    ::new (static_cast<void*>(&queued_)) own_operation(kind_.queued(block_));
    is_ = state::queued;
    return false;
  }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle coroutine) {
    if (is_ == state::below) [[likely]]
      return below_.suspend(awaiting(coroutine));
    return queued_.await_suspend(coroutine);
  }
  [[nodiscard]] result await_resume() {
    if (is_ == state::below) [[likely]]
      return below_.resume();
    return queued_.await_resume();
  }

 private:
  using below_wait = placed_wait<decltype(std::declval<const Kind&>().below(std::declval<Inner&>())), result>;
  enum class state : std::uint8_t { unbegun, below, queued };

  Block& block_;
  [[no_unique_address]] Kind kind_;
  state is_ = state::unbegun;
  union {
    own_operation queued_;
    below_wait below_;
  };
};

/// A read of one kind, the cheapest that the flow below allows.
template <class Inner, class Block, class Kind>
[[nodiscard]] auto read_either(Block& block, Kind kind) noexcept {
  if constexpr (reads_in_place<Kind, Inner>)
    return either_read<Block, Inner, Kind>(block, kind);
  else
    return kind.queued(block);
}

}  // namespace detail
}  // namespace coflow::inline v0
