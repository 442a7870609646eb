#pragma once

// The words that the model and what it is compared with have in common.

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace model {

// What an operation came to; also as a set of those that are legal.
enum outcome : unsigned {
  pending = 0,
  done = 1,
  data = 2,
  eof = 4,
  closed = 8,
  reset = 16,
  canceled = 32,
  torn = 64,
  truncated = 128,
  strange = 256,
};
using outcomes = unsigned;

inline std::string in_words(outcomes set) {
  constexpr std::array<std::string_view, 9> names{"success",  "data", "eof",       "closed",       "connection_reset",
                                                  "canceled", "torn", "truncated", "another error"};
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if ((set & (1u << i)) != 0) text.append(text.empty() ? "" : " or ").append(names[i]);
  }
  return text.empty() ? "pending" : text;
}

// What is below. A kernel's buffers have no known size, and its resets destroy data on the way. A codec wraps the
// bytes, and needs room below for that and for its goodbye; what it has sealed goes out.
enum class kind { pipe, kernel, codec };

struct transport {
  kind below = kind::pipe;
  std::size_t surely_fits = 4;  // so many unread bytes are accepted
  std::size_t at_most = 4;      // more are not
};

// How an operation of the flow under test stands.
struct observation {
  outcome came_to = pending;
  std::string_view bytes;  // of a read
  static constexpr std::size_t unknown = ~std::size_t{0};
  std::size_t left = unknown;  // of a writev that has failed: what is still in the caller's buffers
};

}  // namespace model
