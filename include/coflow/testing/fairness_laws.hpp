/// \file
/// What holds however often: operations that complete at once use no stack and starve nobody.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// Where the stack is, as seen from one place.
class stack_depth {
 public:
  [[gnu::noinline]] void look() noexcept {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    lowest_ = std::min(lowest_, here);
    highest_ = std::max(highest_, here);
  }
  [[nodiscard]] std::size_t spread() const noexcept { return highest_ - lowest_; }

 private:
  std::uintptr_t lowest_ = UINTPTR_MAX;
  std::uintptr_t highest_ = 0;
};

// Deep stacks of layers take some, more so where every variable has a guard around it; a stack that grows with each of
// thousands of operations takes megabytes.
inline constexpr std::size_t most_stack = 512 * 1024;

struct bystander {
  long turns = 0;
  bool stop = false;
};

inline task<> count_turns(bystander* out) {
  while (!out->stop) {
    ++out->turns;
    co_await turns();
  }
}

// Writes and reads by turns, from one coroutine: with a byte there and room for one, nothing ever needs to wait.
inline task<> very_many_writes_and_reads(law_run& run) {
  flow_ends ends = co_await run.connect();
  bystander other;
  task_scope scope;
  start(scope, count_turns(&other));
  stack_depth depth;
  bool intact = true;
  const buffer byte("b");
  for (int i = 0; i < run.many(); ++i) {
    const result<void> sent = co_await ends.a.write(byte.share());
    if (!sent) intact = false;
    const read_result got = co_await ends.b.read();
    if (!got.has_data()) intact = false;
    if (!intact) break;
    if (i % 64 == 0) depth.look();
  }
  expect(intact, "every byte arrives");
  expect(depth.spread() < most_stack, "the stack does not grow",
         "it has spread over " + std::to_string(depth.spread()) + " bytes");
  expect(other.turns >= run.many() / 1000, "others have their turns", std::to_string(other.turns) + " turns");
  other.stop = true;
  co_await turns();
}

// Errors and ends that are known come at once, for ever.
inline task<> very_many_verdicts(law_run& run) {
  flow_ends ends = co_await run.connect();
  co_await ends.b.close();
  std::string all;
  const read_result end = co_await drain(&ends.a, &all);
  expect_eof(end);
  stack_depth depth;
  bool right = true;
  for (int i = 0; i < run.many() / 5 && right; ++i) {
    const read_result got = co_await ends.a.read();
    if (!got.eof()) right = false;
    const result<void> nothing = co_await ends.b.write(buffer());
    if (nothing) right = false;
    if (i % 64 == 0) depth.look();
  }
  expect(right, "the verdict stays");
  expect(depth.spread() < most_stack, "the stack does not grow",
         "it has spread over " + std::to_string(depth.spread()) + " bytes");
}

// One flow with a stream that never stops, and another one beside it.
inline task<> pour(checked_flow* flow, bool* stop) {
  while (!*stop) {
    const result<void> sent = co_await flow->write(buffer(std::string(1000, 'p')));
    if (!sent) co_return;
  }
}
inline task<> swallow(checked_flow* flow, bool* stop) {
  while (!*stop) {
    const read_result got = co_await flow->read();
    if (!got) co_return;
  }
}

inline task<> a_busy_flow_starves_nobody(law_run& run) {
  flow_ends busy = co_await run.connect();
  flow_ends quiet = co_await run.connect();
  bool stop = false;
  task_scope scope;
  for (int i = 0; i < 3; ++i) start(scope, pour(&busy.a, &stop));
  for (int i = 0; i < 3; ++i) start(scope, swallow(&busy.b, &stop));
  co_await turns(3);
  for (int i = 0; i < 100; ++i) {
    std::string answer;
    task_scope inner;
    start(inner, read_up_to(&quiet.b, 5, &answer));
    co_await turns();
    const result<void> sent = co_await quiet.a.write(buffer("quiet"));
    expect_success(sent);
    for (int waited = 0; waited < 1000 && answer.size() < 5; ++waited) co_await turns();
    expect(answer == "quiet", "the quiet flow is served", "'" + answer + "' arrived");
  }
  stop = true;
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> fairness_laws() noexcept {
  static constexpr law all[] = {
      {"O1", "very many operations that complete at once use no stack and starve nobody", very_many_writes_and_reads},
      {"O1", "very many operations that fail at once use no stack", very_many_verdicts},
      {"O1", "a flow that is busy starves no other", a_busy_flow_starves_nobody},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
