#include "coflow/core/stop_relay.hpp"

#include <coroutine>
#include <optional>
#include <string>

#include "support/catch.hpp"

namespace {

class target final : public coflow::stop_target {
 public:
  target() noexcept {}
  ~target() = default;
  void run() noexcept override {}
  void on_stop() noexcept override { ++stops; }
  const char* waits_for() const noexcept override { return "a bus"; }
  int stops = 0;
};

// What an operation sees of the coroutine that awaits it.
coflow::awaiting under(coflow::stop_node* stop) { return coflow::awaiting(std::noop_coroutine(), stop); }

}  // namespace

TEST_CASE("a stop request of the task reaches the operation under the relay", "[stop_relay]") {
  coflow::stop_node task;
  coflow::stop_relay relay;
  target operation;
  const coflow::awaiting inner = relay.begin(under(&task));
  inner.stop()->attach(operation);
  CHECK_FALSE(relay.task_stopped());
  task.request_stop();
  CHECK(operation.stops == 1);
  CHECK(inner.stop()->stop_requested());
  CHECK(relay.task_stopped());
}

TEST_CASE("a request of the relay's own leaves the task alone", "[stop_relay]") {
  coflow::stop_node task;
  coflow::stop_relay relay;
  target operation;
  const coflow::awaiting inner = relay.begin(under(&task));
  inner.stop()->attach(operation);
  relay.request_stop();
  relay.request_stop();
  CHECK(operation.stops == 1);
  CHECK_FALSE(task.stop_requested());
  CHECK_FALSE(relay.task_stopped());
}

TEST_CASE("under a task that was stopped before, the operation is stopped from the beginning", "[stop_relay]") {
  coflow::stop_node task;
  task.request_stop();
  coflow::stop_relay relay;
  const coflow::awaiting inner = relay.begin(under(&task));
  CHECK(inner.stop()->stop_requested());
  CHECK(relay.task_stopped());
}

TEST_CASE("after its end a relay hears nothing, and a relay that dies is forgotten", "[stop_relay]") {
  coflow::stop_node task;
  std::optional<coflow::stop_relay> relay(std::in_place);
  const coflow::awaiting inner = relay->begin(under(&task));
  SECTION("it ends") {
    relay->end();
    CHECK(task.target() == nullptr);
    task.request_stop();
    CHECK_FALSE(inner.stop()->stop_requested());
  }
  SECTION("it dies") {
    relay.reset();
    CHECK(task.target() == nullptr);
    task.request_stop();
  }
}

TEST_CASE("a relay says what the operation waits for, also once it has been told to stop", "[stop_relay]") {
  coflow::stop_node task;
  coflow::stop_relay relay;
  target operation;
  const coflow::awaiting inner = relay.begin(under(&task));
  REQUIRE(task.target() != nullptr);
  CHECK(task.target()->waits_for() == std::string("something"));
  inner.stop()->attach(operation);
  CHECK(task.target()->waits_for() == std::string("a bus"));
  task.request_stop();
  REQUIRE(task.target() != nullptr);
  inner.stop()->attach(operation);
  CHECK(task.target()->waits_for() == std::string("a bus"));
}

TEST_CASE("a task without a stop state can be waited for under a relay", "[stop_relay]") {
  coflow::stop_relay relay;
  target operation;
  const coflow::awaiting inner = relay.begin(under(nullptr));
  inner.stop()->attach(operation);
  CHECK_FALSE(relay.task_stopped());
  relay.request_stop();
  CHECK(operation.stops == 1);
}
