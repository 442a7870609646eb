// What holds however often: operations that complete at once use no stack and starve nobody.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "laws/harness.hpp"

namespace {

using coflow::buffer;
using coflow::task;
using coflow::task_scope;
using laws::expect;
using laws::start;

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

struct others {
  long turns = 0;
  bool stop = false;
};

task<> count_turns(others* out) {
  while (!out->stop) {
    ++out->turns;
    co_await laws::turns();
  }
}

// Writes and reads by turns, from one coroutine: with a byte there and room for one, nothing ever needs to wait.
template <class Kind>
task<> very_many_writes_and_reads() {
  auto ends = co_await Kind::connect();
  others bystander;
  task_scope scope;
  start(scope, count_turns(&bystander));
  stack_depth depth;
  bool intact = true;
  const buffer byte("b");
  for (int i = 0; i < Kind::many; ++i) {
    const coflow::result<void> sent = co_await ends.a.write(byte.share());
    if (!sent) intact = false;
    const coflow::read_result got = co_await ends.b.read();
    if (!got.has_data()) intact = false;
    if (!intact) break;
    if (i % 64 == 0) depth.look();
  }
  expect(intact, "every byte arrives");
  expect(depth.spread() < 64 * 1024, "the stack does not grow, it has spread over " + std::to_string(depth.spread()));
  expect(bystander.turns > Kind::many / 1000, "others have their turns: " + std::to_string(bystander.turns));
  bystander.stop = true;
}

// Errors and ends that are known come at once, for ever.
template <class Kind>
task<> very_many_verdicts() {
  auto ends = co_await Kind::connect();
  co_await ends.b.close();
  std::string all;
  const coflow::read_result end = co_await laws::drain(&ends.a, &all);
  laws::expect_eof(end);
  stack_depth depth;
  bool right = true;
  for (int i = 0; i < Kind::many / 5 && right; ++i) {
    const coflow::read_result got = co_await ends.a.read();
    if (!got.eof()) right = false;
    const coflow::result<void> nothing = co_await ends.b.write(buffer());
    if (nothing) right = false;
    if (i % 64 == 0) depth.look();
  }
  expect(right, "the verdict stays");
  expect(depth.spread() < 64 * 1024, "the stack does not grow");
}

// One flow with a stream that never stops, and another one beside it.
template <class Flow>
task<> pour(Flow* flow, bool* stop) {
  while (!*stop) {
    const coflow::result<void> sent = co_await flow->write(buffer(std::string(1000, 'p')));
    if (!sent) co_return;
  }
}
template <class Flow>
task<> swallow(Flow* flow, bool* stop) {
  while (!*stop) {
    const coflow::read_result got = co_await flow->read();
    if (!got) co_return;
  }
}

template <class Kind>
task<> a_busy_flow_starves_nobody() {
  auto busy = co_await Kind::connect();
  auto quiet = co_await Kind::connect();
  bool stop = false;
  {
    task_scope scope;
    for (int i = 0; i < 3; ++i) start(scope, pour(&busy.a, &stop));
    for (int i = 0; i < 3; ++i) start(scope, swallow(&busy.b, &stop));
    co_await laws::turns(3);
    for (int i = 0; i < 100; ++i) {
      laws::reading answer;
      task_scope inner;
      start(inner, laws::read_once(&quiet.b, &answer));
      co_await laws::turns();
      const coflow::result<void> sent = co_await quiet.a.write(buffer("quiet"));
      laws::expect_success(sent);
      int waited = 0;
      while (!answer.done && waited < 1000) {
        co_await laws::turns();
        ++waited;
      }
      expect(answer.done, "the quiet flow is served");
      if (!Kind::has_descriptor) expect(waited <= 2, "the quiet flow is served promptly");
    }
    stop = true;
  }
}

TEST_CASE("very many operations that complete at once use no stack and starve nobody", "[fairness_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return very_many_writes_and_reads<Kind>(); });
}

TEST_CASE("very many operations that fail at once use no stack", "[fairness_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return very_many_verdicts<Kind>(); });
}

TEST_CASE("a flow that is busy starves no other", "[fairness_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_busy_flow_starves_nobody<Kind>(); });
}

}  // namespace
