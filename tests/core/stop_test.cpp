#include "coflow/core/stop.hpp"

#include "support/catch.hpp"

namespace {

class counting_target final : public coflow::stop_target {
 public:
  counting_target() noexcept {}
  ~counting_target() = default;
  void run() noexcept override {}
  void on_stop() noexcept override { ++stops; }
  int stops = 0;
};

// Attaches itself, or another, while it is being told to stop.
class reattaching_target final : public coflow::stop_target {
 public:
  explicit reattaching_target(coflow::stop_node& at) noexcept : at_(at) {}
  ~reattaching_target() = default;
  void run() noexcept override {}
  void on_stop() noexcept override {
    ++stops;
    at_.attach(*this);
    at_.request_stop();
  }
  int stops = 0;

 private:
  coflow::stop_node& at_;
};

struct with_stop {
  coflow::stop_node* stop() { return nullptr; }
};
struct without_stop {};
struct with_another_stop {
  int stop() { return 0; }
};

}  // namespace

TEST_CASE("a stop request reaches what the chain waits for, once", "[stop]") {
  coflow::stop_node chain;
  counting_target target;
  chain.attach(target);
  CHECK_FALSE(chain.stop_requested());
  chain.request_stop();
  CHECK(chain.stop_requested());
  CHECK(target.stops == 1);
  chain.request_stop();
  CHECK(target.stops == 1);
}

TEST_CASE("a stop request is a level that stays", "[stop]") {
  coflow::stop_node chain;
  chain.request_stop();
  CHECK(chain.stop_requested());
  counting_target late;
  chain.attach(late);
  CHECK(late.stops == 0);  // who begins later must look at the level
  chain.request_stop();
  CHECK(late.stops == 0);
}

TEST_CASE("a target that was detached is not told", "[stop]") {
  coflow::stop_node chain;
  counting_target target;
  chain.attach(target);
  chain.detach(target);
  chain.request_stop();
  CHECK(target.stops == 0);
}

TEST_CASE("detaching one target leaves another alone", "[stop]") {
  coflow::stop_node chain;
  counting_target first;
  counting_target second;
  chain.attach(first);
  chain.attach(second);
  chain.detach(first);
  chain.request_stop();
  CHECK(first.stops == 0);
  CHECK(second.stops == 1);
}

TEST_CASE("a target is detached before it is told", "[stop]") {
  coflow::stop_node chain;
  reattaching_target target(chain);
  chain.attach(target);
  chain.request_stop();
  CHECK(target.stops == 1);
}

TEST_CASE("a promise hands its stop state on only if it has one", "[stop]") {
  STATIC_REQUIRE(coflow::stoppable_promise<with_stop>);
  STATIC_REQUIRE_FALSE(coflow::stoppable_promise<without_stop>);
  STATIC_REQUIRE_FALSE(coflow::stoppable_promise<with_another_stop>);
  without_stop none;
  CHECK(coflow::detail::stop_of(none) == nullptr);
  with_stop some;
  CHECK(coflow::detail::stop_of(some) == nullptr);
}
