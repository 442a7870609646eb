#pragma once

// Between the program and the operating system, by the linker's --wrap: calls are counted, and fail when they are told
// to. Time is virtual: it passes when there is nothing else to do, so that no run waits for it.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "faults/plan.hpp"

namespace faults {

/// A fault that has come to pass.
struct incident {
  fault what;
  unsigned times = 0;
  int descriptor = -1;  // where it did first
};

class kernel {
 public:
  /// From here on calls are counted from 1, time is virtual, and what is planned goes wrong.
  static void begin(const plan& of);
  static void end() noexcept;

  [[nodiscard]] static const std::array<unsigned, call_count>& counts() noexcept;
  [[nodiscard]] static const std::vector<incident>& incidents() noexcept;
  /// Calls that were made to fail in a storm.
  [[nodiscard]] static std::size_t failed_at_random() noexcept;
  /// Waits longer before it believes that nothing comes any more.
  static void be_patient(bool yes) noexcept;
  /// Nothing goes wrong from here on, or as planned again.
  static void relent(bool yes) noexcept;
  /// How many calls the system itself has answered with EPIPE.
  [[nodiscard]] static std::size_t broken_pipes() noexcept;
  /// How many bytes writes of all kinds have moved.
  [[nodiscard]] static std::size_t bytes_sent() noexcept;
  /// More calls than any run needs.
  [[nodiscard]] static bool spins() noexcept;
  /// How many descriptors are open, by what the system says.
  [[nodiscard]] static std::size_t open_descriptors();
};

}  // namespace faults
