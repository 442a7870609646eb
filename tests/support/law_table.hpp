#pragma once

// Runs the laws of one header over one kind of flow: what a test of that header needs, without compiling all the
// others.

#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/law_runner.hpp>
#include <coflow/testing/laws.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "broken/altered_flow.hpp"
#include "broken/honest_flow.hpp"

namespace support {

template <class Executor = coflow::virtual_executor, class Factory>
[[nodiscard]] coflow::report check_table(std::span<const coflow::laws::law> table, Factory make,
                                         const coflow::law_options& options = coflow::law_options().many(2000)) {
  using coflow::laws::need;
  coflow::report found;
  coflow::laws::law_runner<Executor, Factory> runner(make, options, found);
  runner.give(need::cancellation | need::clean_destruction | need::prompt_acceptance);
  const bool bounded = runner.measure();
  if (bounded) runner.give(need::back_pressure);
  for (const coflow::laws::law& one : table) {
    const std::string why = coflow::laws::missing(one.needs, runner);
    if (why.empty())
      runner.check(one);
    else
      found.skip(one.check, why);
  }
  return found;
}

// Every law that there is, compiled once.
[[nodiscard]] std::span<const coflow::laws::law> all_laws();

// Every law of the table was checked and kept.
void require_kept(const coflow::report& found, std::span<const coflow::laws::law> table);

// Over pipes of several capacities, and over a flow whose operations are coroutines.
void require_kept_in_memory(std::span<const coflow::laws::law> table);

// The flow that behaves so is rejected for that law.
void require_rejected(std::span<const coflow::laws::law> table, broken::altered_pair::maker make, const char* law);

class memory_ends {
 public:
  explicit memory_ends(std::size_t capacity) noexcept : capacity_(capacity) {}
  auto operator()() { return coflow::memory_pipe(capacity_); }
  void reset(coflow::memory_flow& end) noexcept { end.reset(); }
  void cut(coflow::memory_flow& end) noexcept { end.reset(); }

 private:
  std::size_t capacity_;
};

class honest_ends {
 public:
  std::pair<broken::honest_flow, broken::honest_flow> operator()() {
    auto ends = coflow::memory_pipe(4096);
    return {broken::honest_flow(std::move(ends.first)), broken::honest_flow(std::move(ends.second))};
  }
  void reset(broken::honest_flow& end) noexcept { end.reset(); }
  void cut(broken::honest_flow& end) noexcept { end.reset(); }
};

}  // namespace support
