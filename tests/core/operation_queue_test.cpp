#include <coflow/core/executor.hpp>
#include <coflow/core/operation_queue.hpp>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

// An operation without a coroutine: it writes down what happens to it.
class probe final : public coflow::queued_operation {
 public:
  explicit probe(std::vector<int>& log, int name) : log_(log), name_(name) {}
  ~probe() { unlink(); }

  void run() noexcept override { log_.push_back(name_); }
  void on_stop() noexcept override {}
  [[nodiscard]] int name() const noexcept { return name_; }
  [[nodiscard]] coflow::operation_phase phase() const noexcept { return phase_; }

 private:
  std::vector<int>& log_;
  int name_;
};

std::vector<int> drain(coflow::operation_queue& queue, const coflow::queued_operation* keep = nullptr) {
  std::vector<int> names;
  queue.take_all([&](coflow::queued_operation& one) { names.push_back(static_cast<probe&>(one).name()); }, keep);
  return names;
}

}  // namespace

TEST_CASE("operations leave the queue in the order in which they came", "[operation_queue]") {
  std::vector<int> log;
  probe one(log, 1), two(log, 2), three(log, 3);
  coflow::operation_queue queue;
  CHECK(queue.idle());
  queue.push(one);
  queue.push(two);
  queue.push(three);
  CHECK_FALSE(queue.idle());
  CHECK(queue.waiting() == &one);
  queue.pop();
  CHECK(one.phase() == coflow::operation_phase::idle);
  CHECK(queue.waiting() == &two);
  CHECK(drain(queue) == std::vector<int>{2, 3});
  CHECK(queue.idle());
}

TEST_CASE("an operation that is called keeps its place and is posted once", "[operation_queue]") {
  std::vector<int> log;
  support::manual_executor executor;
  const coflow::executor::entry current(executor);
  probe one(log, 1), two(log, 2);
  coflow::operation_queue queue;
  queue.push(one);
  queue.push(two);
  queue.call(executor);
  queue.call(executor);
  CHECK(queue.waiting() == nullptr);
  CHECK_FALSE(queue.idle());
  executor.run_until_idle();
  CHECK(log == std::vector<int>{1});
  queue.answer(one);
  CHECK(queue.waiting() == &one);
  CHECK(drain(queue) == std::vector<int>{1, 2});
}

TEST_CASE("an operation can be removed from any place, also from the ready queue", "[operation_queue]") {
  std::vector<int> log;
  support::manual_executor executor;
  const coflow::executor::entry current(executor);
  probe one(log, 1), two(log, 2), three(log, 3);
  coflow::operation_queue queue;
  queue.push(one);
  queue.push(two);
  queue.push(three);
  queue.remove(two);
  CHECK(two.phase() == coflow::operation_phase::idle);
  queue.call(executor);
  queue.remove(one);
  executor.run_until_idle();
  CHECK(log.empty());
  CHECK(queue.waiting() == &three);
  queue.remove(three);
  CHECK(queue.idle());
}

TEST_CASE("taking everything off can spare the first operation, and nobody else", "[operation_queue]") {
  std::vector<int> log;
  probe one(log, 1), two(log, 2), three(log, 3);
  coflow::operation_queue queue;
  queue.push(one);
  queue.push(two);
  queue.push(three);
  CHECK(drain(queue, &one) == std::vector<int>{2, 3});
  CHECK(queue.waiting() == &one);
  queue.pop();
  CHECK(queue.idle());
}
