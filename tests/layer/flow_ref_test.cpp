// What flow_ref promises: it forwards everything to a flow that lives elsewhere, and ends nothing.
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer/any_flow.hpp>
#include <coflow/layer/buffered_reader.hpp>
#include <coflow/layer/flow_ref.hpp>
#include <coflow/memory.hpp>
#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"

namespace {

using coflow::buffer;
using coflow::flow_ref;
using coflow::memory_flow;
using coflow::task;
using support::expect;

using reference = flow_ref<memory_flow>;
static_assert(coflow::check_flow_shape<reference>());
static_assert(coflow::ReadIntoFlow<reference>);
static_assert(!coflow::has_read_into<flow_ref<coflow::any_flow>>, "the flow has none");
static_assert(std::is_trivially_copyable_v<reference>);
static_assert(sizeof(reference) == sizeof(void*));
static_assert(std::is_constructible_v<reference, memory_flow&>);
static_assert(!std::is_constructible_v<reference, memory_flow>, "not of a flow that is about to die");
static_assert(!std::is_convertible_v<memory_flow&, reference>);
static_assert(std::same_as<decltype(std::declval<reference&>().read()), decltype(std::declval<memory_flow&>().read())>);

task<> everything_is_forwarded() {
  auto ends = coflow::memory_pipe(100);
  reference a(ends.first);
  memory_flow& b = ends.second;
  coflow::result<void> sent = co_await a.write(buffer("one "));
  support::expect_success(sent);
  std::vector<buffer> list;
  list.emplace_back("two");
  sent = co_await a.writev(list);
  support::expect_success(sent);
  coflow::read_result got = co_await b.read();
  support::expect_data(got, "one ");
  got = co_await b.read();
  support::expect_data(got, "two");
  sent = co_await b.write(buffer("answer"));
  support::expect_success(sent);
  std::byte room[3];
  auto count = co_await a.read_into(room);
  expect(count && *count == 3, "it reads into the caller's memory");
  got = co_await a.read();
  support::expect_data(got, "wer");
  co_await a.shutdown(coflow::shutdown_mode::write);
  got = co_await b.read();
  support::expect_eof(got);
  co_await a.close();
  got = co_await ends.first.read();
  support::expect_error(got, coflow::error::closed);
  expect(&a.next_layer() == &ends.first && &a.lowest_layer() == &ends.first, "the flow can be reached");
}

task<> its_end_is_not_the_flows_end() {
  auto ends = coflow::memory_pipe(100);
  support::reading pending;
  coflow::task_scope scope;
  std::optional<reference> a(ends.first);
  const auto read = [](reference from, support::reading* out) -> task<> {
    coflow::read_result got = co_await from.read();
    out->got = std::move(got);
    out->done = true;
  };
  support::start(scope, read(*a, &pending));
  co_await support::yield_turn();
  a.reset();
  co_await support::turns(2);
  expect(!pending.done, "the read goes on");
  coflow::result<void> sent = co_await ends.second.write(buffer("later"));
  support::expect_success(sent);
  co_await support::turns(2);
  support::expect_data(pending.got, "later");
  sent = co_await ends.first.write(buffer("still open"));
  support::expect_success(sent);
}

// A layer on a flow that stays the caller's: its end leaves what it has not read to the caller.
task<> a_layer_on_it_comes_and_goes() {
  auto ends = coflow::memory_pipe(100);
  coflow::result<void> sent = co_await ends.second.write(buffer("name\n"));
  support::expect_success(sent);
  sent = co_await ends.second.write(buffer("body"));
  support::expect_success(sent);
  {
    coflow::buffered_reader reader{flow_ref(ends.first)};
    auto line = co_await reader.read_line();
    support::expect_same(line->text(), "name");
    expect(&reader.lowest_layer() == &ends.first, "the lowest layer is the flow itself");
  }
  coflow::read_result got = co_await ends.first.read();
  support::expect_data(got, "body");
}

TEST_CASE("a flow_ref forwards every operation", "[flow_ref]") { support::drive(everything_is_forwarded()); }

TEST_CASE("the end of a flow_ref closes nothing, and ends no operation", "[flow_ref]") {
  support::drive(its_end_is_not_the_flows_end());
}

TEST_CASE("a layer over a flow_ref leaves the flow to its owner", "[flow_ref]") {
  support::drive(a_layer_on_it_comes_and_goes());
}

}  // namespace
