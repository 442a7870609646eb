#include "coflow/net/listener.hpp"

#include <concepts>
#include <string>
#include <system_error>

#include "coflow/core/task.hpp"
#include "coflow/memory/memory_pipe.hpp"
#include "coflow/net/tcp_flow.hpp"
#include "coflow/net/tcp_listener.hpp"
#include "support/catch.hpp"

namespace {

using coflow::memory_flow;
using coflow::result;
using coflow::task;

// `accept` may be any awaitable, a task too.
struct by_task {
  task<result<memory_flow>> accept();
  void close();
};
struct other_error {
  task<result<memory_flow, coflow::error>> accept();
  void close();
};
struct accepts_numbers {
  task<result<int>> accept();
  void close();
};
struct accepts_no_result {
  task<memory_flow> accept();
  void close();
};
struct words_for_errors {
  task<result<memory_flow, std::string>> accept();
  void close();
};
struct accepts_at_once {
  result<memory_flow> accept();
  void close();
};
struct without_close {
  task<result<memory_flow>> accept();
};
struct close_gives_a_task {
  task<result<memory_flow>> accept();
  task<> close();
};
struct immovable {
  immovable(const immovable&) = delete;
  task<result<memory_flow>> accept();
  void close();
};

}  // namespace

TEST_CASE("a Listener accepts flows, can be closed and moved, and nothing else is one", "[listener]") {
  STATIC_REQUIRE(coflow::check_listener_shape<coflow::tcp_listener>());
  STATIC_REQUIRE(coflow::check_listener_shape<by_task>());
  STATIC_REQUIRE(coflow::Listener<other_error>);
  STATIC_REQUIRE_FALSE(coflow::Listener<accepts_numbers>);
  STATIC_REQUIRE_FALSE(coflow::Listener<accepts_no_result>);
  STATIC_REQUIRE_FALSE(coflow::Listener<words_for_errors>);
  STATIC_REQUIRE_FALSE(coflow::Listener<accepts_at_once>);
  STATIC_REQUIRE_FALSE(coflow::Listener<without_close>);
  STATIC_REQUIRE_FALSE(coflow::Listener<close_gives_a_task>);
  STATIC_REQUIRE_FALSE(coflow::Listener<immovable>);
  STATIC_REQUIRE_FALSE(coflow::Listener<int>);
}

TEST_CASE("the flow of a listener's connections has a name", "[listener]") {
  STATIC_REQUIRE(std::same_as<coflow::accepted_flow_t<coflow::tcp_listener>, coflow::tcp_flow>);
  STATIC_REQUIRE(std::same_as<coflow::accepted_flow_t<by_task>, memory_flow>);
}
