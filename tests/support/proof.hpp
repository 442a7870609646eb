#pragma once

// What the stand-alone checks share: programs that count the points which they have looked at, print what failed with a
// line that reproduces it, and end with the line `points: N`, which tests/points/check compares with the number on
// record.

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace support {

class proof {
 public:
  proof(int argc, char** argv) : program_(argv[0]) {
    for (int i = 1; i < argc; ++i) arguments_.emplace_back(argv[i]);
  }

  /// True if the option was given: `--long`.
  [[nodiscard]] bool has(std::string_view option) const {
    for (const std::string& one : arguments_)
      if (one == option) return true;
    return false;
  }
  /// The word behind an option, or `otherwise`: `--only "X2"`.
  [[nodiscard]] std::string value(std::string_view option, std::string otherwise = {}) const {
    for (std::size_t i = 0; i + 1 < arguments_.size(); ++i)
      if (arguments_[i] == option) return arguments_[i + 1];
    return otherwise;
  }
  [[nodiscard]] long number(std::string_view option, long otherwise) const {
    const std::string given = value(option);
    return given.empty() ? otherwise : std::strtol(given.c_str(), nullptr, 10);
  }

  void point(std::size_t count = 1) noexcept { points_ += count; }
  /// `repro` are the options that run this point alone.
  void fail(std::string_view what, std::string_view repro) {
    ++failures_;
    if (failures_ > 50) return;
    std::printf("FAILED: %.*s\n  COFLOW_REPRO=\"%s %.*s\"\n", static_cast<int>(what.size()), what.data(),
                program_.c_str(), static_cast<int>(repro.size()), repro.data());
    std::fflush(stdout);
  }
  /// Says in a line what part of the whole is done.
  void part(std::string_view name) {
    std::printf("%-60.*s %zu\n", static_cast<int>(name.size()), name.data(), points_ - said_);
    std::fflush(stdout);
    said_ = points_;
  }
  /// The last line, and the exit status.
  [[nodiscard]] int end() const {
    if (failures_ != 0) std::printf("%zu failures\n", failures_);
    std::printf("points: %zu\n", points_);
    return failures_ == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
  }

 private:
  std::string program_;
  std::vector<std::string> arguments_;
  std::size_t points_ = 0;
  std::size_t said_ = 0;
  std::size_t failures_ = 0;
};

}  // namespace support
