// What function_flow promises: callables move bytes, in whatever form they give them, and it costs nothing beside them.
// How they are called is in function_flow_calls_test.cpp, how the flow ends in function_flow_endings_test.cpp, and what
// they may do to it in function_flow_reentry_test.cpp.
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <cstdint>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/plant.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::function_flow;
using coflow::read_result;
using coflow::result;
using coflow::task;
using support::ignore;
using support::no_data;
using support::yield_turn;

template <class Read, class Write>
void keeps_its_shape(const function_flow<Read, Write>&) {
  static_assert(coflow::check_flow_shape<function_flow<Read, Write>>());
  static_assert(coflow::SystemFlow<function_flow<Read, Write>>);
}

// ---- what callables may give

template <class Read>
task<> reads_then(Read read, std::string data, read_result last) {
  function_flow flow(std::move(read), &ignore);
  keeps_its_shape(flow);
  const read_result got = co_await flow.read();
  support::expect_data(got, data);
  for (int i = 0; i < 2; ++i) {
    const read_result end = co_await flow.read();
    if (last.eof())
      support::expect_eof(end);
    else
      support::expect_error(end, last.error());
  }
}

task<read_result> data_later(int count) {
  co_await yield_turn();
  if (count == 1) co_return buffer("data");
  co_return coflow::end_of_stream;
}
task<std::optional<std::string>> text_later(int count) {
  co_await yield_turn();
  if (count == 1) co_return "data";
  co_return std::nullopt;
}

TEST_CASE("a read callable may give data in many ways", "[function_flow]") {
  int calls = 0;
  const std::error_code trouble = std::make_error_code(std::errc::io_error);
  SECTION("a read_result") {
    const auto read = [&]() -> read_result {
      if (++calls == 1) return buffer("data");
      return coflow::end_of_stream;
    };
    support::drive(reads_then(read, "data", coflow::end_of_stream));
    CHECK(calls == 2);
  }
  SECTION("a read_result with an error") {
    const auto read = [&]() -> read_result {
      if (++calls == 1) return buffer("data");
      return trouble;
    };
    support::drive(reads_then(read, "data", trouble));
    CHECK(calls == 2);
  }
  SECTION("an optional buffer") {
    const auto read = [&]() -> std::optional<buffer> {
      if (++calls == 1) return buffer("data");
      return std::nullopt;
    };
    support::drive(reads_then(read, "data", coflow::end_of_stream));
  }
  SECTION("an optional string") {
    const auto read = [&]() -> std::optional<std::string> {
      if (++calls == 1) return "data";
      return std::nullopt;
    };
    support::drive(reads_then(read, "data", coflow::end_of_stream));
  }
  SECTION("a result of a buffer") {
    const auto read = [&]() -> result<buffer> {
      if (++calls == 1) return buffer("data");
      return trouble;
    };
    support::drive(reads_then(read, "data", trouble));
  }
  SECTION("a task of a read_result") {
    const auto read = [&] { return data_later(++calls); };
    support::drive(reads_then(read, "data", coflow::end_of_stream));
    CHECK(calls == 2);
  }
  SECTION("a task of an optional string") {
    const auto read = [&] { return text_later(++calls); };
    support::drive(reads_then(read, "data", coflow::end_of_stream));
  }
  SECTION("an exception of the system's") {
    const auto read = [&]() -> buffer {
      if (++calls == 1) return buffer("data");
      throw std::system_error(trouble);
    };
    support::drive(reads_then(read, "data", trouble));
  }
  SECTION("no memory") {
    const auto read = [&]() -> std::string {
      if (++calls == 1) return "data";
      throw std::bad_alloc();
    };
    support::drive(reads_then(read, "data", std::make_error_code(std::errc::not_enough_memory)));
  }
  SECTION("another exception") {
    const auto read = [&]() -> task<read_result> {
      if (++calls == 1) return data_later(1);
      throw std::runtime_error("no");
    };
    support::drive(reads_then(read, "data", trouble));
  }
  SECTION("a cancellation that nobody asked for") {
    const auto read = [&]() -> read_result {
      if (++calls == 1) return buffer("data");
      return coflow::canceled();
    };
    support::drive(reads_then(read, "data", make_error_code(coflow::error::closed)));
  }
}

template <class Write>
task<> writes_twice(Write write, std::error_code second) {
  function_flow flow(&no_data, std::move(write));
  const result<void> first = co_await flow.write(buffer("one"));
  support::expect_success(first);
  for (int i = 0; i < 2; ++i) {
    const result<void> sent = co_await flow.write(buffer("two"));
    if (second)
      support::expect_error(sent, second);
    else
      support::expect_success(sent);
  }
}
task<result<void>> write_later(std::string* into, buffer bytes) {
  co_await yield_turn();
  *into += bytes.text();
  co_return coflow::success;
}
task<> write_and_say_nothing(std::string* into, buffer bytes) {
  co_await yield_turn();
  *into += bytes.text();
}
task<result<void>> throw_later() {
  co_await yield_turn();
  throw std::system_error(std::make_error_code(std::errc::io_error));
}

TEST_CASE("a write callable may give its outcome in many ways", "[function_flow]") {
  int calls = 0;
  std::string all;
  const std::error_code trouble = std::make_error_code(std::errc::io_error);
  SECTION("nothing") {
    const auto write = [&](const buffer& bytes) { all += bytes.text(); };
    support::drive(writes_twice(write, {}));
    CHECK(all == "onetwotwo");
  }
  SECTION("a result") {
    const auto write = [&](buffer) -> result<void> {
      if (++calls == 1) return coflow::success;
      return trouble;
    };
    support::drive(writes_twice(write, trouble));
    CHECK(calls == 2);
  }
  SECTION("an error code") {
    const auto write = [&](buffer) { return ++calls == 1 ? std::error_code() : trouble; };
    support::drive(writes_twice(write, trouble));
  }
  SECTION("a task of a result") {
    const auto write = [&](buffer bytes) { return write_later(&all, std::move(bytes)); };
    support::drive(writes_twice(write, {}));
    CHECK(all == "onetwotwo");
  }
  SECTION("a task of nothing") {
    const auto write = [&](buffer bytes) { return write_and_say_nothing(&all, std::move(bytes)); };
    support::drive(writes_twice(write, {}));
    CHECK(all == "onetwotwo");
  }
  SECTION("an exception at once") {
    const auto write = [&](buffer) {
      if (++calls != 1) throw std::runtime_error("no");
    };
    support::drive(writes_twice(write, trouble));
  }
  SECTION("an exception later") {
    const auto write = [&](buffer bytes) -> task<result<void>> {
      return ++calls == 1 ? write_later(&all, std::move(bytes)) : throw_later();
    };
    support::drive(writes_twice(write, trouble));
  }
  SECTION("a cancellation that nobody asked for") {
    const auto write = [&](buffer) -> result<void> {
      if (++calls == 1) return coflow::success;
      return coflow::canceled();
    };
    support::drive(writes_twice(write, make_error_code(coflow::error::closed)));
  }
}

// ---- cost

template <class F>
task<int> a_million_reads_and_writes(F* flow) {
  int count = 0;
  for (; count < 1'000'000; ++count) {
    const read_result got = co_await flow->read();
    if (!got) break;
    const result<void> sent = co_await flow->write(buffer("y"));
    if (!sent) break;
  }
  co_return count;
}
task<read_result> data_at_once() { co_return buffer("x"); }
task<result<void>> taken_at_once() { co_return coflow::success; }

TEST_CASE("a million calls that end at once use no stack", "[function_flow]") {
  SECTION("plain") {
    const auto read = [] { return buffer("x"); };
    function_flow flow(read, &ignore);
    CHECK(support::drive(a_million_reads_and_writes(&flow)) == 1'000'000);
  }
  SECTION("tasks") {
    const auto read = [] { return data_at_once(); };
    const auto write = [](buffer) { return taken_at_once(); };
    function_flow flow(read, write);
    CHECK(support::drive(a_million_reads_and_writes(&flow)) == 1'000'000);
  }
}

task<std::uint64_t> allocations_of_calls() {
  const auto read = [] { return data_at_once(); };
  const auto write = [](buffer) { return taken_at_once(); };
  function_flow flow(read, write);
  std::uint64_t before = 0;
  for (int i = 0; i < 1100; ++i) {
    if (i == 100) before = support::allocation_count();
    const read_result got = co_await flow.read();
    if (!got) break;
    const result<void> sent = co_await flow.write(buffer("y"));
    if (!sent) break;
  }
  const std::uint64_t made = support::allocation_count() - before;
  co_return coflow::detail::pooling ? made : 0;
}
TEST_CASE("an operation of a function_flow allocates nothing", "[function_flow]") {
  if (support::counts_allocations) CHECK(support::drive(allocations_of_calls()) == 0);
}

}  // namespace
