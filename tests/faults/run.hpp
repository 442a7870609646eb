#pragma once

// One run of a scenario with its faults, and the judgement on it: it ended, nothing is left, what was received is what
// was sent as far as it goes, and each fault was reported or is one that is to be absorbed.

#include <array>
#include <string>
#include <vector>

#include "faults/kernel.hpp"
#include "faults/plan.hpp"
#include "faults/scenarios.hpp"

namespace faults {

struct outcome {
  std::vector<std::string> breaches;
  std::array<unsigned, call_count> counts{};
  std::size_t fired = 0;  // faults that came to pass
  bool complete = false;
  bool starved = false;  // it had to be stopped
};

[[nodiscard]] outcome run_once(const plan& of, const world& in, const scenario& what);

/// Counts OpenSSL's memory too, from here on; nothing may have used it before. Does nothing where it is not.
void count_openssl() noexcept;

/// The number of blocks that operator new (or OpenSSL) has given and nobody has given back.
[[nodiscard]] long live_allocations() noexcept;

/// From here on a run that takes longer than that ends the program, after naming itself: the last resort.
void watch_the_clock(unsigned seconds);

}  // namespace faults
