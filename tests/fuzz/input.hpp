#pragma once

// What all targets share: the bytes of an input as choices, and what happens where one of them finds something.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

using bytes = std::vector<std::uint8_t>;

/// The bytes of an input, one after another; zeros behind its end.
class choices {
 public:
  explicit choices(std::span<const std::uint8_t> from) noexcept : left_(from) {}
  [[nodiscard]] bool empty() const noexcept { return left_.empty(); }
  [[nodiscard]] unsigned next() noexcept {
    if (left_.empty()) return 0;
    const unsigned one = left_.front();
    left_ = left_.subspan(1);
    return one;
  }
  /// Two of them.
  [[nodiscard]] unsigned next_two() noexcept {
    const unsigned high = next();
    return high << 8U | next();
  }
  /// One of 0 to n - 1.
  [[nodiscard]] unsigned pick(unsigned n) noexcept { return next() % n; }
  /// Up to `most` of them as they are.
  [[nodiscard]] std::string take(std::size_t most) {
    const std::size_t size = most < left_.size() ? most : left_.size();
    std::string text(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(size));
    left_ = left_.subspan(size);
    return text;
  }
  [[nodiscard]] std::string rest() { return take(left_.size()); }

 private:
  std::span<const std::uint8_t> left_;
};

/// Makes inputs by seed, for those who have no fuzzer.
class maker {
 public:
  explicit maker(unsigned seed) : random_(seed) {}
  [[nodiscard]] unsigned pick(unsigned n) { return static_cast<unsigned>(random_() % n); }
  [[nodiscard]] std::uint8_t any() { return static_cast<std::uint8_t>(random_()); }
  [[nodiscard]] bytes some(std::size_t count) {
    bytes made(count);
    for (std::uint8_t& one : made) one = any();
    return made;
  }

 private:
  std::mt19937 random_;
};

/// What repeats the execution that is under way, where that is known.
inline std::string& repro() {
  static std::string line;
  return line;
}

[[noreturn]] inline void breach(std::string_view what) {
  std::fprintf(stderr, "breach: %.*s\n", static_cast<int>(what.size()), what.data());
  if (!repro().empty()) std::fprintf(stderr, "  COFLOW_REPRO=\"%s\"\n", repro().c_str());
  std::abort();
}

/// Bytes that differ from place to place, and from text to text.
[[nodiscard]] inline std::string text_of(unsigned which, std::size_t size) {
  std::string made(size, '\0');
  unsigned state = which * 2654435761U + 12345U;
  for (char& one : made) {
    state = state * 1664525U + 1013904223U;
    one = static_cast<char>(state >> 24U);
  }
  return made;
}

}  // namespace fuzz
