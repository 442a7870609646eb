/// \file
/// Where records end: finding it in bytes that come in pieces, each of which is looked at once.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

namespace coflow::inline v0 {
namespace detail {

inline constexpr std::size_t not_found = static_cast<std::size_t>(-1);

/// The end of a line: LF, or CR and LF.
class line_end {
 public:
  line_end() noexcept {}

  /// At most so many bytes make up the end.
  [[nodiscard]] static constexpr std::size_t most() noexcept { return 2; }
  /// How many bytes of `part` belong to the record and its end, or `not_found` and the part is behind us.
  [[nodiscard]] std::size_t find(std::span<const std::byte> part) noexcept {
    const void* found = std::memchr(part.data(), '\n', part.size());
    if (found == nullptr) {
      after_return_ = part.back() == std::byte{'\r'};
      return not_found;
    }
    const auto before = static_cast<std::size_t>(static_cast<const std::byte*>(found) - part.data());
    if (before != 0) after_return_ = part[before - 1] == std::byte{'\r'};
    return before + 1;
  }
  /// The length of the end that was found.
  [[nodiscard]] std::size_t size() const noexcept { return after_return_ ? 2 : 1; }
  /// So many of the last bytes may be the beginning of the end.
  [[nodiscard]] std::size_t begun() const noexcept { return after_return_ ? 1 : 0; }

 private:
  bool after_return_ = false;
};

/// Some bytes of the caller's choice.
class delimiter {
 public:
  explicit delimiter(char one) noexcept : first_(one) {}
  explicit delimiter(std::string_view bytes) noexcept : bytes_(bytes), first_(bytes.empty() ? '\0' : bytes.front()) {}

  [[nodiscard]] std::size_t most() const noexcept { return size(); }
  [[nodiscard]] std::size_t find(std::span<const std::byte> part) noexcept {
    std::size_t at = 0;
    while (at != part.size()) {
      if (matched_ == 0) {  // the usual case goes fast
        const void* found = std::memchr(part.data() + at, first_, part.size() - at);
        if (found == nullptr) return not_found;
        at = static_cast<std::size_t>(static_cast<const std::byte*>(found) - part.data());
      }
      go_on(static_cast<char>(part[at++]));
      if (matched_ == size()) return at;
    }
    return not_found;
  }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() > 1 ? bytes_.size() : 1; }
  [[nodiscard]] std::size_t begun() const noexcept { return matched_; }

 private:
  // What has matched so far and `next` are looked for the longest tail that is a beginning again (Knuth, Morris,
  // Pratt), without a table: delimiters are short.
  void go_on(char next) noexcept {
    if (size() == 1) {
      matched_ = next == first_ ? 1 : 0;
      return;
    }
    for (std::size_t keep = matched_; keep != not_found; --keep) {
      const std::string_view tail = bytes_.substr(matched_ - keep, keep);
      if (bytes_[keep] != next || bytes_.substr(0, keep) != tail) continue;
      matched_ = keep + 1;
      return;
    }
    matched_ = 0;
  }

  std::string_view bytes_;
  char first_;
  std::size_t matched_ = 0;
};

}  // namespace detail
}  // namespace coflow::inline v0
