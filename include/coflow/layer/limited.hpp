/// \file
/// A part of a stream as a flow of its own: a body of known length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/move_front.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/end_notice.hpp"
#include "coflow/layer/detail/gate.hpp"
#include "coflow/layer/detail/gated_operation.hpp"
#include "coflow/layer/detail/hooked.hpp"
#include "coflow/layer/detail/layer_block.hpp"

namespace coflow::inline v0 {

/// What can be chosen about a `limited` flow.
class limited_options {
 public:
  limited_options() noexcept {}
  /// The inner stream's end before the last byte is `error::truncated` instead of eof. Off unless set.
  limited_options& exactly(bool on) noexcept {
    exactly_ = on;
    return *this;
  }
  /// No more than `bytes` may be written; there is no limit unless set.
  limited_options& most_written(std::uint64_t bytes) noexcept {
    written_ = bytes;
    return *this;
  }
  [[nodiscard]] bool is_exact() const noexcept { return exactly_; }
  [[nodiscard]] std::uint64_t most_written() const noexcept { return written_; }

 private:
  std::uint64_t written_ = UINT64_MAX;
  bool exactly_ = false;
};

namespace detail {

struct limited_write {
  using result_type = result<void>;
  explicit limited_write(std::size_t bytes) noexcept : size(bytes) {}
  std::size_t size;
};

/// One read at a time is at the inner flow, so that what it gives beyond the limit is one buffer; the others wait at
/// the gate.
template <class Inner>
class limited_block final : public layer_block<limited_block<Inner>, Inner>, private gate {
  using owner = share<limited_block>;

 public:
  limited_block(Inner inner, std::uint64_t bytes, const limited_options& options, buffer unread) noexcept
      : layer_block<limited_block, Inner>(std::move(inner)),
        left_(bytes),
        may_write_(options.most_written()),
        unread_(std::move(unread)),
        exactly_(options.is_exact()) {}
  ~limited_block() = default;

  [[nodiscard]] std::uint64_t left() const noexcept { return left_; }
  [[nodiscard]] std::uint64_t may_write() const noexcept { return may_write_; }
  [[nodiscard]] const buffer& unread() const noexcept { return unread_; }
  [[nodiscard]] buffer take_unread() noexcept { return std::move(unread_); }

  // ---- reading

  template <note_of_read Note>
  [[nodiscard]] way choose(Note& note, const stop_node* stop) noexcept {
    if (stop != nullptr && stop->stop_requested()) return way::straight;
    if (wants_nothing(note)) return has_answer() ? way::answered : way::straight;  // it never waits
    if (!this->free_for(executor::time_point::min())) return this->at_home() ? way::around : way::straight;
    if (has_answer()) return way::answered;
    if (is_beyond(note)) return this->at_home() ? way::around : way::straight;
    reading_ = true;
    return way::noted;
  }
  template <note_of_read Note>
  [[nodiscard]] typename Note::result_type answer(const Note& note) noexcept {
    if (closed_) return error::closed;
    if (cut_short_) return error::truncated;
    if (left_ == 0) return end_of_stream;
    return give(note);
  }
  template <note_of_read Note, class Operation>
  static task<typename Note::result_type> go_around(owner block, Note& note, Operation& operation) {
    gate_wait turn(*block, *block->home());
    const bool passed = co_await turn;
    if (!passed) co_return canceled();
    if (block->gone()) co_return error::closed;
    if (block->has_answer()) co_return block->answer(note);
    const turn_taken mine(block);
    if constexpr (std::same_as<Note, read_into_note>) {
      if (block->is_beyond(note)) {
        auto bounded = co_await block->inner().read_into(note.room.first(static_cast<std::size_t>(block->left_)));
        auto into = as_system_result<read_into_result>(std::move(bounded));
        block->noted(note, into);
        co_return std::move(into);
      }
    }
    auto came = co_await operation;
    auto given = as_system_result<typename Note::result_type>(std::move(came));
    block->noted(note, given);
    co_return std::move(given);
  }
  void noted(const read_note& note, read_result& came) noexcept {
    end_turn();
    if (!came.has_data()) return ended(came);
    if (came->size() <= left_) [[likely]] {
      left_ -= came->size();
      return;
    }
    unread_ = std::move(*came);
    came = give(note);
  }
  void noted(const read_into_note&, read_into_result& came) noexcept {
    end_turn();
    if (!came.has_count()) return ended(came);
    left_ -= *came;
  }
  template <note_of_read Note>
  void forgotten(const Note&) noexcept {
    end_turn();
  }

  // ---- writing

  [[nodiscard]] way choose(const limited_write& note, const stop_node* stop) noexcept {
    if (may_write_ == UINT64_MAX || (stop != nullptr && stop->stop_requested())) return way::straight;
    if (overrun_) return way::answered;
    if (note.size == 0) return way::straight;
    if (note.size > may_write_) return this->at_home() ? way::around : way::straight;
    may_write_ -= note.size;
    return way::noted;
  }
  [[nodiscard]] result<void> answer(const limited_write&) const noexcept {
    if (closed_) return error::closed;
    return std::make_error_code(std::errc::message_size);
  }
  // An empty write never waits, and says what has become of the half (law W9).
  template <class Operation>
  static task<result<void>> go_around(owner block, limited_write& note, Operation&) {
    auto open = co_await block->inner().write(buffer());
    if (!open) co_return as_system_result<result<void>>(std::move(open));
    block->overrun_ = true;
    co_return block->answer(note);
  }
  void noted(const limited_write& note, const result<void>& came) noexcept {
    if (!came) may_write_ += note.size;  // nothing more goes out, or nothing of this one has (law X2)
  }
  void forgotten(const limited_write&) const noexcept {}  // it may have gone out

  // ---- the end

  void note_shutdown(shutdown_mode mode) noexcept {
    if (!covers_read(mode)) return;
    shut_ = true;
    unread_.clear();
    this->open();
  }
  void let_go() noexcept {
    closed_ = true;
    this->open();
  }

 private:
  // Holds the turn while the coroutine that has it lives.
  class turn_taken {
   public:
    explicit turn_taken(const owner& block) noexcept : block_(block) { block_->reading_ = true; }
    turn_taken(const turn_taken&) = delete;
    turn_taken& operator=(const turn_taken&) = delete;
    ~turn_taken() { block_->end_turn(); }

   private:
    owner block_;
  };

  bool lets_pass(executor::time_point) noexcept override { return !reading_; }
  void end_turn() noexcept {
    reading_ = false;
    if (executor* const home = this->home()) this->look_again(*home);
  }
  [[nodiscard]] bool has_answer() const noexcept { return closed_ || cut_short_ || left_ == 0 || !unread_.empty(); }

  static bool is_beyond(const read_note&) noexcept { return false; }
  [[nodiscard]] bool is_beyond(const read_into_note& note) const noexcept { return note.room.size() > left_; }

  [[nodiscard]] read_result give(const read_note&) noexcept {
    const std::size_t part = unread_.size() < left_ ? unread_.size() : static_cast<std::size_t>(left_);
    left_ -= part;
    return unread_.take_front(part);
  }
  [[nodiscard]] read_into_result give(const read_into_note& note) noexcept {
    const std::size_t most = is_beyond(note) ? static_cast<std::size_t>(left_) : note.room.size();
    const std::size_t part = move_front(unread_, note.room.first(most));
    left_ -= part;
    return part;
  }
  template <class Outcome>
  void ended(Outcome& came) noexcept {
    if (!came.eof() || !exactly_ || shut_ || closed_) return;
    cut_short_ = true;
    this->open();
    came = error::truncated;
  }

  std::uint64_t left_;
  std::uint64_t may_write_;
  buffer unread_;  // what was read below and has not been given
  bool exactly_;
  bool reading_ = false;
  bool overrun_ = false;
  bool shut_ = false;
  bool closed_ = false;
  bool cut_short_ = false;
};

}  // namespace detail

/// What a `limited` flow leaves behind.
template <SystemFlow Inner>
struct limited_rest {
  limited_rest(Inner below, buffer beyond) noexcept(std::is_nothrow_move_constructible_v<Inner>)
      : flow(std::move(below)), unread(std::move(beyond)) {}
  Inner flow;
  buffer unread;  ///< what was read from the flow beyond the limit: the next bytes of its stream, before its own
};

/// A layer that gives the next `bytes` bytes of a stream, then eof: the body of a message whose length is known.
///
/// What the flow below gives beyond that is kept, and is there with the flow when `release` ends the layer, so that the
/// next message loses nothing. Options: `exactly`, and a limit to what may be written; a write beyond that gives
/// `std::errc::message_size` before anything of it is sent, and so does every later one (law W6). Shutdown and close
/// are the inner flow's. Every law of the flow below holds.
///
/// One read at a time is at the flow below; reads that come meanwhile wait their turn, and take a pooled frame for it.
/// One pooled block, which holds the inner flow.
template <SystemFlow Inner>
class limited : public detail::layer_handle<Inner, detail::limited_block<Inner>> {
  using block = detail::limited_block<Inner>;
  using notice = detail::end_notice<block>;

 public:
  /// `unread` are the first bytes of the stream if some were read from `inner` already. Throws std::bad_alloc; the
  /// inner flow is then destroyed.
  limited(Inner inner, std::uint64_t bytes, const limited_options& options = limited_options(),
          buffer unread = buffer())
      : detail::layer_handle<Inner, block>(new block(std::move(inner), bytes, options, std::move(unread))) {}

  /// How many bytes reads will still give, at most.
  [[nodiscard]] std::uint64_t remaining() const noexcept { return this->control().left(); }
  /// How many bytes may still be written; what waits to be written is counted as written.
  [[nodiscard]] std::uint64_t may_write() const noexcept { return this->control().may_write(); }
  /// How many bytes have been read below and not been given.
  [[nodiscard]] std::size_t unread() const noexcept { return this->control().unread().size(); }

  /// Gives the inner flow back, with the bytes that were read from it and not given: `std::move(body).release()`. Reads
  /// that wait here for their turn give `error::closed`. One that waits at the flow below goes on there, and what it
  /// gets beyond the limit is lost: end it first.
  [[nodiscard]] limited_rest<Inner> release() && {
    limited closed(std::move(*this));
    return limited_rest<Inner>(std::move(closed.next_layer()), closed.control().take_unread());
  }

  /// Reads from the flow below, as far as the limit allows.
  [[nodiscard]] auto read() {
    return detail::gated<detail::read_note>(this->control(), [](Inner& inner) { return inner.read(); });
  }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room)
    requires has_read_into<Inner>
  {
    const auto make = [room](Inner& inner) { return inner.read_into(room); };
    return detail::gated<detail::read_into_note>(this->control(), make, room);
  }
  /// Writes to the flow below, if the limit allows all of it.
  [[nodiscard]] auto write(buffer bytes) {
    const std::size_t size = bytes.size();
    const auto make = [&bytes](Inner& inner) { return inner.write(std::move(bytes)); };
    return detail::gated<detail::limited_write>(this->control(), make, size);
  }
  /// Writes to the flow below, if the limit allows all of it; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) {
    const auto make = [list](Inner& inner) { return inner.writev(list); };
    return detail::gated<detail::limited_write>(this->control(), make, detail::sum_of(list));
  }
  /// Shuts the flow below down. Of the read half: what was read beyond the limit is dropped.
  [[nodiscard]] auto shutdown(shutdown_mode mode) {
    return detail::hooked<notice>([&] { return this->next_layer().shutdown(mode); }, this->shared(), mode);
  }
  /// Closes the flow below.
  [[nodiscard]] auto close() {
    return detail::hooked<notice>([&] { return this->next_layer().close(); }, this->shared());
  }
};

}  // namespace coflow::inline v0
