/// \file
/// A line of text about an operation, put together without an allocation.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>
#include <system_error>

#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/executor.hpp"

namespace coflow::inline v0 {
namespace detail {

/// The first bytes of what an operation moves.
class payload_head {
 public:
  static constexpr std::size_t most = 64;

  payload_head() noexcept {}
  /// Adds what there is room for, up to `limit` bytes in all.
  void add(std::span<const std::byte> bytes, std::size_t limit) noexcept {
    const std::size_t room = smaller(limit, most) - smaller<std::size_t>(size_, limit);
    const std::size_t part = smaller(bytes.size(), room);
    if (part == 0) return;
    std::memcpy(bytes_.data() + size_, bytes.data(), part);
    size_ = static_cast<std::uint8_t>(size_ + part);
  }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::array<std::byte, most> bytes_{};
  std::uint8_t size_ = 0;
};

/// What is too long for it is cut off.
class trace_line {
 public:
  trace_line() noexcept {}

  [[nodiscard]] std::string_view text() const noexcept { return {text_.data(), size_}; }

  trace_line& add(std::string_view text) noexcept {
    const std::size_t part = smaller(text.size(), text_.size() - size_);
    if (part != 0) std::memcpy(text_.data() + size_, text.data(), part);
    size_ += part;
    return *this;
  }
  trace_line& add(std::uint64_t number) noexcept {
    char digits[24];
    const int size = std::snprintf(digits, sizeof digits, "%llu", static_cast<unsigned long long>(number));
    return add(std::string_view(digits, static_cast<std::size_t>(size)));
  }

  /// In quotes, escaped as in C, with three dots behind it if it is not all of `whole` bytes.
  trace_line& add_quoted(const payload_head& head, std::size_t whole) noexcept {
    if (head.bytes().empty()) return *this;
    add(" \"");
    for (const std::byte one : head.bytes()) add_escaped(static_cast<unsigned char>(one));
    return add(head.bytes().size() < whole ? "\"..." : "\"");
  }

  /// The text of an error is the one thing that may take memory; if there is none, its number has to do.
  trace_line& add_error(const std::error_code& code) noexcept {
    try {
      return add(code.message());
    } catch (...) {
      return add(code.category().name()).add(" error ").add(static_cast<std::uint64_t>(code.value()));
    }
  }

  /// To three or four digits, in the unit that suits.
  trace_line& add_time(executor::duration time) noexcept {
    const double seconds = std::chrono::duration<double>(time).count();
    char digits[32];
    int size = 0;
    if (seconds >= 1)
      size = std::snprintf(digits, sizeof digits, "%.2f s", seconds);
    else if (seconds >= 1e-3)
      size = std::snprintf(digits, sizeof digits, "%.1f ms", seconds * 1e3);
    else
      size = std::snprintf(digits, sizeof digits, "%.0f us", seconds * 1e6);
    return add(std::string_view(digits, static_cast<std::size_t>(size)));
  }

 private:
  void add_escaped(unsigned char byte) noexcept {
    constexpr std::string_view digits = "0123456789abcdef";
    if (byte == '\n') {
      add("\\n");
    } else if (byte == '\r') {
      add("\\r");
    } else if (byte == '\t') {
      add("\\t");
    } else if (byte == '"' || byte == '\\') {
      const char both[] = {'\\', static_cast<char>(byte)};
      add(std::string_view(both, 2));
    } else if (byte < 0x20 || byte >= 0x7f) {
      const char hex[] = {'\\', 'x', digits[byte / 16], digits[byte % 16]};
      add(std::string_view(hex, 4));
    } else {
      const char same = static_cast<char>(byte);
      add(std::string_view(&same, 1));
    }
  }

  std::array<char, 512> text_;
  std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace coflow::inline v0
