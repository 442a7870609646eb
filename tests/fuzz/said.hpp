#pragma once

// What a side has written, by several writers and not always to the end, and whether that can be what the other heard.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

/// A write, and what is known of it. One that is given up may go out whole, in part, or not at all.
struct saying {
  enum class outcome { unknown, success, refused };
  std::string text;
  outcome came = outcome::unknown;
};

/// All of a side, in the order in which the writes began (laws W3, W4).
class sayings {
 public:
  [[nodiscard]] std::size_t begin(std::string text) {
    all_.push_back({std::move(text), saying::outcome::unknown});
    return all_.size() - 1;
  }
  void end(std::size_t which, saying::outcome came) { all_[which].came = came; }
  [[nodiscard]] std::size_t count() const noexcept { return all_.size(); }

  /// True if `heard` is the beginning of what was said; with `to_the_end`, all of it. Nothing follows a write that has
  /// gone out in part (law X3).
  [[nodiscard]] bool can_be(std::string_view heard, bool to_the_end) const {
    std::vector<std::size_t> places{0};  // where the next write may begin in `heard`: writes may look alike
    for (const saying& one : all_) {
      if (one.came == saying::outcome::refused || one.text.empty()) continue;
      std::vector<std::size_t> next;
      for (const std::size_t at : places) {
        const std::string_view rest = heard.substr(at);
        if (rest.starts_with(one.text)) next.push_back(at + one.text.size());
        if (!to_the_end && std::string_view(one.text).starts_with(rest)) return true;
        if (one.came == saying::outcome::unknown && (next.empty() || next.back() != at)) next.push_back(at);
      }
      places = merged(std::move(next));
    }
    for (const std::size_t at : places)
      if (at == heard.size()) return true;
    return false;
  }

 private:
  static std::vector<std::size_t> merged(std::vector<std::size_t> places) {
    std::vector<std::size_t> once;
    for (const std::size_t one : places) {
      bool there = false;
      for (const std::size_t other : once) there |= other == one;
      if (!there) once.push_back(one);
    }
    return once;
  }

  std::vector<saying> all_;
};

}  // namespace fuzz
