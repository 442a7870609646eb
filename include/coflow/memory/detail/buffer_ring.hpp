/// \file
/// A bounded first-in, first-out queue of buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/move_front.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Holds the buffers in a ring that starts with 8 places of its own and doubles up to 1024; `bytes()` is their sum.
/// Growing can fail for lack of memory; the ring then stays as it is and is `full()` until something is taken out.
class buffer_ring {
 public:
  static constexpr std::uint32_t most = 1024;

  buffer_ring() noexcept {}
  buffer_ring(const buffer_ring&) = delete;
  buffer_ring& operator=(const buffer_ring&) = delete;
  ~buffer_ring() {
    clear();
    free_places();
  }

  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool full() noexcept { return count_ == room_ && !grow(); }

  /// Needs `!full()`.
  void push(buffer one) noexcept {
    bytes_ += one.size();
    places_[(first_ + count_) & (room_ - 1)] = std::move(one);
    ++count_;
  }
  /// Needs `!empty()`.
  [[nodiscard]] buffer pop() noexcept {
    buffer one = std::move(places_[first_]);
    bytes_ -= one.size();
    first_ = (first_ + 1) & (room_ - 1);
    --count_;
    return one;
  }
  /// Takes out the first bytes, as many as there are and as `room` holds; gives how many.
  [[nodiscard]] std::size_t take_into(std::span<std::byte> room) noexcept {
    std::size_t taken = 0;
    while (taken != room.size() && !empty()) {
      const std::size_t part = move_front(places_[first_], room.subspan(taken));
      taken += part;
      bytes_ -= part;
      if (places_[first_].empty()) static_cast<void>(pop());
    }
    return taken;
  }
  void clear() noexcept {
    while (!empty()) static_cast<void>(pop());
  }

 private:
  bool grow() noexcept {
    if (room_ == most) return false;
    const std::uint32_t room = 2 * room_;
    buffer* places;
    try {
      places = static_cast<buffer*>(pool_allocate(room * sizeof(buffer)));
    } catch (const std::bad_alloc&) {
      return false;
    }
    for (std::uint32_t i = 0; i < room; ++i) ::new (static_cast<void*>(places + i)) buffer();
    for (std::uint32_t i = 0; i < count_; ++i) places[i] = std::move(places_[(first_ + i) & (room_ - 1)]);
    free_places();
    places_ = places;
    room_ = room;
    first_ = 0;
    return true;
  }
  void free_places() noexcept {
    if (places_ == own_) return;
    for (std::uint32_t i = 0; i < room_; ++i) places_[i].~buffer();
    pool_free(places_, room_ * sizeof(buffer));
  }

  buffer own_[8];
  buffer* places_ = own_;
  std::uint32_t room_ = 8;
  std::uint32_t first_ = 0;
  std::uint32_t count_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace detail
}  // namespace coflow::inline v0
