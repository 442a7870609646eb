/// \file
/// Operations that may have to wait for their layer's leave, before or after the inner operation.
#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/plain_operation.hpp"
#include "coflow/layer/detail/share.hpp"

namespace coflow::inline v0 {
namespace detail {

/// How an operation of such a layer goes about it.
enum class way : std::uint8_t {
  straight,  ///< as the inner flow's operation and nothing else
  noted,     ///< the same, and the layer is told what it gives
  around,    ///< by a coroutine that waits at a gate, too: a pooled frame, for what waits anyway
  answered,  ///< the layer has the answer
  closed,    ///< the flow is gone
};

// What a layer must know of an operation; those of writes are each layer's own.
struct read_note {
  using result_type = read_result;
};
struct read_into_note {
  using result_type = read_into_result;
  explicit read_into_note(std::span<std::byte> to) noexcept : room(to) {}
  std::span<std::byte> room;
};
template <class Note>
concept note_of_read = std::same_as<Note, read_note> || std::same_as<Note, read_into_note>;

[[nodiscard]] constexpr bool wants_nothing(const read_note&) noexcept { return false; }
[[nodiscard]] inline bool wants_nothing(const read_into_note& note) noexcept { return note.room.empty(); }
[[nodiscard]] inline std::size_t bytes_of(const read_result& came) noexcept { return came->size(); }
[[nodiscard]] inline std::size_t bytes_of(const read_into_result& came) noexcept { return *came; }
/// True for eof and for errors that every later read gives as well (laws R4, R8), not for what has ended a wait alone.
template <class Outcome>
[[nodiscard]] bool is_verdict(const Outcome& came) noexcept {
  if (!came.failed()) return came.eof();
  const std::error_code& failure = came.error();
  return failure != canceled() && failure != error::timed_out && failure != error::no_executor &&
         failure != error::wrong_executor;
}

/// What such a layer's operations return: what `make` gave, where it stays. The block has, for every `Note` it uses,
///
///     way choose(Note&, const stop_node*) noexcept;        // may take note that it begins; way::around at home only
///     static task<R> go_around(share<Block>, Note&, Operation&);    // both live until it is over
///     R answer(Note&) noexcept;                            // for way::answered, at once
///     void noted(Note&, R&) noexcept;                      // what way::noted came to; may be replaced
///     void forgotten(Note&) noexcept;                      // its coroutine died waiting
template <class Block, class Note, class Operation>
class [[nodiscard]] gated_operation {
 public:
  using result_type = typename Note::result_type;

  template <class Make, class... Args>
  explicit gated_operation(Block& block, Make& make, Args&&... args)
      : block_(block), note_(std::forward<Args>(args)...), operation_(make()) {}
  gated_operation(gated_operation&& unbegun) noexcept
      : block_(std::move(unbegun.block_)), note_(std::move(unbegun.note_)), operation_(std::move(unbegun.operation_)) {}
  ~gated_operation() {
    if (way_ == way::noted) [[unlikely]]
      block_->forgotten(note_);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle waiting) {
    Block& block = *block_;
    if (block.gone()) [[unlikely]] {
      way_ = way::closed;
      return false;
    }
    way_ = block.choose(note_, detail::stop_of(waiting.promise()));
    if (way_ <= way::noted) [[likely]]
      return !operation_.await_ready() && suspend_on(operation_, waiting);
    if (way_ != way::around) return false;
    return go_around(waiting);
  }
  [[nodiscard]] result_type await_resume() {
    if (way_ > way::noted) [[unlikely]]
      return resume_otherwise();
    result_type came = result_of<result_type>(operation_);
    if (std::exchange(way_, way::straight) == way::noted) block_->noted(note_, came);
    return came;
  }

 private:
  [[nodiscard, gnu::noinline]] bool go_around(awaiting waiting) {
    around_.emplace(Block::go_around(block_, note_, operation_));
    return around_->await_suspend(waiting);
  }
  [[nodiscard, gnu::noinline]] result_type resume_otherwise() {
    if (way_ == way::around) return around_->await_resume();
    if (way_ == way::answered) return block_->answer(note_);
    return error::closed;
  }

  share<Block> block_;
  Note note_;
  Operation operation_;
  way way_ = way::straight;
  std::optional<framed_operation<result_type>> around_;  // last: it uses the rest
};

/// A layer's operation of the kind that `Note` says, made of the inner flow's that `make(inner)` gives.
template <class Note, class Block, class Make, class... Args>
[[nodiscard, gnu::always_inline]] inline auto gated(Block& block, Make make, Args&&... args) {
  using result = typename Note::result_type;
  auto below = [&block, &make] { return make(block.inner()); };
  const auto plain = [&below] { return made_plain<result>(below); };
  return gated_operation<Block, Note, made_operation<result, decltype(below)>>(block, plain,
                                                                               std::forward<Args>(args)...);
}

}  // namespace detail
}  // namespace coflow::inline v0
