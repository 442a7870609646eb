#include <coflow/testing/fairness_laws.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "broken/altered_flow.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using broken::behaving;
using broken::behaviour;
using coflow::buffer;
using coflow::read_result;
using coflow::report;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::laws::fairness_laws;
using coflow::laws::stack_depth;

// Operations that complete at once never let anybody else run.
class lets_nobody_in : public behaviour {
 public:
  task<result<void>> write(shared, buffer bytes) override {
    const auto other = std::static_pointer_cast<lets_nobody_in>(peer.lock());
    if (!other || ended_) co_return coflow::error::closed;
    while (other->arrived_.size() > 4096) co_await coflow::laws::turns();
    other->arrived_ += bytes.text();
    co_return coflow::success;
  }
  task<read_result> read(shared) override {
    while (arrived_.empty()) {
      const auto other = std::static_pointer_cast<lets_nobody_in>(peer.lock());
      if (!other || other->ended_) co_return coflow::end_of_stream;
      co_await coflow::laws::turns();
    }
    co_return buffer::adopt(std::exchange(arrived_, std::string()));
  }
  task<> close(shared self) override {
    ended_ = true;
    co_await behaviour::close(self);
  }

 private:
  std::string arrived_;
  bool ended_ = false;
};

// The reader's bytes arrive when nobody else writes: a busy flow keeps the others' back.
class serves_the_busiest : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (!busy_) {
      for (int waited = 0; waited < 2000 && pouring() > 0; ++waited) co_await coflow::laws::turns();
    }
    read_result got = co_await behaviour::read(self);
    if (got.has_data() && got->size() == 1000 && !std::exchange(busy_, true)) ++pouring();
    co_return std::move(got);
  }
  ~serves_the_busiest() override {
    if (busy_) --pouring();
  }

 private:
  static int& pouring() {
    static int count = 0;
    return count;
  }
  bool busy_ = false;
};

// A flow that runs the executor in the midst of an operation, as a window that waits for an answer does.
class nested_turn final : public coflow::operation {
 public:
  nested_turn() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <coflow::suspended_coroutine Handle>
  void await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    coflow::executor::current()->post(*this);
  }
  void await_resume() const noexcept {}

 private:
  void on_stop() noexcept override {}  // it is posted already
  void run() noexcept override {
    coflow::executor* const on = coflow::executor::current();
    this->resume();  // this object is gone now
    use_stack(*on);
  }
  [[gnu::noinline]] static void use_stack(coflow::executor& on) noexcept {
    volatile char room[2048];
    room[0] = 1;
    static_cast<coflow::virtual_executor&>(on).run_once();
    room[1] = room[0];
  }
};

class runs_the_executor_inside : public behaviour {
 public:
  task<read_result> read(shared self) override {
    co_await nested_turn();
    read_result got = co_await behaviour::read(self);
    co_return std::move(got);
  }
};

// The one check of that name, with so few operations that a stack which grows with each does not run over.
report one_check(const char* name, broken::altered_pair::maker make) {
  const coflow::law_options options = coflow::law_options().only(name).many(1000).without_back_pressure();
  report found = broken::check_altered(make, options);
  CHECK(found.checks() == 1);
  return found;
}
bool says(const report& found, const char* expected) {
  INFO(found.text());
  for (const coflow::finding& one : found.findings())
    if (one.law == "O1" && one.expected == expected) return true;
  return false;
}

[[gnu::noinline]] void look_at_depth(stack_depth& depth, int levels) {
  volatile char room[1000];
  room[0] = 1;
  depth.look();
  if (levels > 0) look_at_depth(depth, levels - 1);
  room[1] = room[0];
}

TEST_CASE("the laws of fairness hold in memory", "[fairness_laws]") {
  support::require_kept_in_memory(fairness_laws());
}

TEST_CASE("flows that starve others are rejected for it", "[fairness_laws]") {
  CHECK(says(
      one_check("very many operations that complete at once use no stack and starve nobody", &behaving<lets_nobody_in>),
      "others have their turns"));
  CHECK(says(one_check("a flow that is busy starves no other", &behaving<serves_the_busiest>),
             "the quiet flow is served"));
}

TEST_CASE("flows whose operations use stack are rejected for it", "[fairness_laws]") {
  CHECK(says(one_check("very many operations that complete at once use no stack and starve nobody",
                       &behaving<runs_the_executor_inside>),
             "the stack does not grow"));
}

TEST_CASE("the depth of a stack is seen from one place", "[fairness_laws]") {
  stack_depth flat;
  for (int i = 0; i < 10; ++i) look_at_depth(flat, 0);
  CHECK(flat.spread() < 1000);
  stack_depth deep;
  look_at_depth(deep, 10);
  CHECK(deep.spread() > 10 * 1000);
  CHECK(deep.spread() < coflow::laws::most_stack);
}

}  // namespace
