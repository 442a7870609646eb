/// \file
/// Memory for a read to fill, which tells what else was written.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coflow::inline v0 {
namespace laws {

/// A room of `size` bytes with others behind it, each of which holds what its place says until somebody writes to it.
class guarded_room {
 public:
  explicit guarded_room(std::size_t size) : size_(size), bytes_(size + behind) {
    for (std::size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = mark(i);
  }
  guarded_room(const guarded_room&) = delete;
  guarded_room& operator=(const guarded_room&) = delete;
  ~guarded_room() = default;

  [[nodiscard]] std::span<std::byte> room() noexcept { return std::span(bytes_).first(size_); }
  /// The first `count` bytes, or as many as there are.
  [[nodiscard]] std::string_view text(std::size_t count) const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), count < size_ ? count : size_};
  }

  /// Says what is wrong after a read of `count` bytes: more than fit, or something is written behind them. Empty if
  /// nothing is.
  [[nodiscard]] std::string trouble_beyond(std::size_t count) const {
    const std::string of_room = " of a room of " + std::to_string(size_) + " bytes";
    if (count > size_) return "the count is " + std::to_string(count) + of_room;
    for (std::size_t i = count; i < bytes_.size(); ++i) {
      if (bytes_[i] != mark(i))
        return "byte " + std::to_string(i) + of_room + " was written, and the count is " + std::to_string(count);
    }
    return {};
  }

 private:
  static constexpr std::size_t behind = 64;
  static constexpr std::byte mark(std::size_t i) noexcept { return static_cast<std::byte>(i * 37 + 165); }

  std::size_t size_;
  std::vector<std::byte> bytes_;
};

}  // namespace laws
}  // namespace coflow::inline v0
