/// \file
/// Bytes that a flow gave and nobody has taken yet, in the buffers in which they came.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/detail/move_front.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What is taken out is a slice of what came; bytes are copied only where they span buffers. The usual case of one
/// buffer touches nothing but that. Of a stream that comes in tiny pieces the pieces are joined now and then, so that
/// memory stays in proportion to the bytes. It keeps its memory, and so allocates nothing in steady state.
class chunk_queue {
 public:
  chunk_queue() noexcept {}

  [[nodiscard]] bool empty() const noexcept { return front_.empty(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return front_.size() + more_bytes_; }
  /// The bytes that lie together at the front; empty only if there are none.
  [[nodiscard]] const buffer& front() const noexcept { return front_; }

  /// Makes room for one `push`. Throws std::bad_alloc; nothing has changed then.
  void prepare() {
    if (front_.empty() || more_.size() < more_.capacity()) return;
    if (first_ != 0 && first_ >= more_.size() / 2) {
      const std::size_t kept = more_.size() - first_;
      for (std::size_t i = 0; i < kept; ++i) more_[i] = std::move(more_[first_ + i]);
      more_.resize(kept);
      first_ = 0;
    } else {
      more_.reserve(larger<std::size_t>(8, 2 * more_.size()));
    }
  }
  /// Needs a `prepare` before it, and nothing pushed since.
  void push(buffer one) noexcept {
    if (front_.empty()) {
      front_ = std::move(one);
      return;
    }
    more_bytes_ += one.size();
    if (more_.size() - first_ >= many && one.size() < small) join_small(one);
    more_.push_back(std::move(one));
  }

  /// All that lies together at the front. Needs `!empty()`.
  [[nodiscard]] buffer pop() noexcept {
    buffer taken = std::move(front_);
    advance();
    return taken;
  }
  /// Takes out the first `count` bytes, which are there, and drops `behind` more, which are there too. Throws
  /// std::bad_alloc; nothing is lost then.
  [[nodiscard, gnu::always_inline]] buffer take(std::size_t count, std::size_t behind = 0) {
    if (count + behind >= front_.size()) [[unlikely]]
      return take_last(count, behind);
    buffer taken = front_.take_front(count);
    front_.remove_prefix(behind);
    return taken;
  }
  /// Drops the first bytes, `count` or as many as there are; gives how many.
  std::size_t drop(std::size_t count) noexcept {
    std::size_t dropped = 0;
    while (dropped != count && !empty()) {
      const std::size_t part = smaller(count - dropped, front_.size());
      front_.remove_prefix(part);
      dropped += part;
      if (front_.empty()) advance();
    }
    return dropped;
  }
  /// Takes out the first bytes, as many as there are and as `room` holds; gives how many.
  [[nodiscard]] std::size_t take_into(std::span<std::byte> room) noexcept {
    std::size_t taken = 0;
    while (taken != room.size() && !empty()) {
      taken += move_front(front_, room.subspan(taken));
      if (front_.empty()) advance();
    }
    return taken;
  }

  /// The bytes at `offset`, which is less than `bytes()`, and what lies together with them behind.
  [[nodiscard]] std::span<const std::byte> at(std::size_t offset) const noexcept {
    if (offset < front_.size()) [[likely]]
      return front_.bytes().subspan(offset);
    std::size_t begin = bytes();
    for (std::size_t i = more_.size(); i-- > first_;) {  // from the end, where what is new is
      begin -= more_[i].size();
      if (begin <= offset) return more_[i].bytes().subspan(offset - begin);
    }
    return {};
  }

  /// Makes the first `count` bytes, which are there, lie together. Throws std::bad_alloc; nothing has changed then.
  void gather(std::size_t count) {
    if (count <= front_.size()) return;
    buffer whole = buffer::allocate(count);
    more_.reserve(more_.size() + 1);  // the rest of the last piece comes before the others
    static_cast<void>(take_into(whole.writable()));
    if (!front_.empty()) {
      more_bytes_ += front_.size();
      if (first_ != 0)
        more_[--first_] = std::move(front_);
      else
        more_.insert(more_.begin(), std::move(front_));
    }
    front_ = std::move(whole);
  }

  void clear() noexcept {
    front_.clear();
    more_.clear();
    first_ = 0;
    more_bytes_ = 0;
  }

 private:
  static constexpr std::size_t many = 8;
  static constexpr std::size_t small = 1024;

  // All of the front and maybe more: it changes hands, or is copied together with what follows.
  [[nodiscard, gnu::noinline]] buffer take_last(std::size_t count, std::size_t behind) {
    buffer taken;
    if (count > front_.size()) {
      taken = buffer::allocate(count);
      static_cast<void>(take_into(taken.writable()));
      static_cast<void>(drop(behind));
      return taken;
    }
    const std::size_t here = smaller(behind, front_.size() - count);
    taken = std::move(front_);
    taken.remove_suffix(here);
    advance();
    static_cast<void>(drop(behind - here));
    return taken;
  }
  // The front is empty: the next one takes its place.
  void advance() noexcept {
    if (first_ == more_.size()) return;
    front_ = std::move(more_[first_++]);
    more_bytes_ -= front_.size();
    if (first_ != more_.size()) return;
    more_.clear();
    first_ = 0;
  }
  // Puts the last ones in front of `one`, as long as they are not much larger: so a byte is copied a few times only.
  void join_small(buffer& one) noexcept try {
    while (more_.size() != first_ && more_.back().size() <= 2 * one.size()) {
      const buffer& last = more_.back();
      buffer whole = buffer::allocate(last.size() + one.size());
      const std::span<std::byte> room = whole.writable();
      std::memcpy(room.data(), last.data(), last.size());
      std::memcpy(room.data() + last.size(), one.data(), one.size());
      more_.pop_back();
      one = std::move(whole);
    }
  } catch (const std::bad_alloc&) {
    // It stays as it is.
  }

  buffer front_;  // empty only if all is
  std::vector<buffer> more_;
  std::size_t first_ = 0;  // of more_; those before are gone
  std::size_t more_bytes_ = 0;
};

}  // namespace detail
}  // namespace coflow::inline v0
