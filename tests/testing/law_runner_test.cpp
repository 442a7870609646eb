#include <chrono>
#include <coflow/core.hpp>
#include <coflow/memory/memory_pipe.hpp>
#include <coflow/memory/string_flow.hpp>
#include <coflow/net/event_loop.hpp>
#include <coflow/testing/finding.hpp>
#include <coflow/testing/law_runner.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::law_options;
using coflow::memory_flow;
using coflow::read_result;
using coflow::report;
using coflow::result;
using coflow::task;
using coflow::virtual_executor;
using coflow::laws::covers;
using coflow::laws::expect;
using coflow::laws::flow_ends;
using coflow::laws::law;
using coflow::laws::law_run;
using coflow::laws::law_runner;
using coflow::laws::law_stage;
using coflow::laws::need;
using coflow::laws::turns;

auto plain_pipe() { return coflow::memory_pipe(1000); }
using plain_maker = decltype(&plain_pipe);

// Checks one law, over pipes unless something else is given.
template <class E = virtual_executor, class Factory = plain_maker>
report checked(const law& one, const law_options& options = law_options(), Factory make = &plain_pipe) {
  report found;
  law_runner<E, Factory> runner(make, options, found);
  runner.check(one);
  return found;
}
std::string happened(const report& found) {
  return found.findings().size() == 1 ? found.findings().front().happened : "not one finding, but " + found.text();
}

task<> says_hello(law_run& run) {
  flow_ends ends = co_await run.connect();
  const result<void> sent = co_await ends.a.write(buffer("hello"));
  coflow::laws::expect_success(sent);
  const read_result got = co_await ends.b.read();
  coflow::laws::expect_data(got, "hello");
}
task<> expects_something_else(law_run&) {
  expect(false, "something else", "this");
  co_return;
}
task<> waits_for_ever(law_run& run) {
  flow_ends ends = co_await run.connect();
  const read_result got = co_await ends.a.read();
  expect(false, "this is never reached", coflow::laws::in_words(got));
}
task<> is_busy_for_ever(law_run&) {
  for (;;) co_await turns();
}
task<> throws_an_exception(law_run&) {
  throw std::runtime_error("thrown on purpose");
  co_return;
}
task<> throws_a_number(law_run&) {
  throw 7;
  co_return;
}

}  // namespace

TEST_CASE("a law that is kept is looked at and gives no finding", "[law_runner]") {
  const report found = checked({"R1", "says hello", says_hello});
  CHECK(found.passed());
  CHECK(found.checks() == 1);
  CHECK(found.expectations() == 2);
}

TEST_CASE("a finding names the law and the check, and how to run it alone", "[law_runner]") {
  const report found = checked({"R1", "expects something else", expects_something_else});
  REQUIRE(found.findings().size() == 1);
  CHECK(found.findings().front().law == "R1");
  CHECK(found.findings().front().check == "expects something else");
  CHECK(found.findings().front().reproduce == "law_options().only(\"expects something else\")");
}

TEST_CASE("what a law throws is a finding", "[law_runner]") {
  CHECK(happened(checked({"R1", "throws", throws_an_exception})) == "thrown on purpose");
  CHECK(happened(checked({"R1", "throws", throws_a_number})) == "something was thrown");
}

namespace {

std::pair<memory_flow, memory_flow> no_pipe() { throw std::runtime_error("no pipe today"); }
task<std::pair<memory_flow, memory_flow>> pipe_by_awaiting() {
  co_await turns(2);
  co_return coflow::memory_pipe();
}

}  // namespace

TEST_CASE("what a factory throws is a finding, and one may be awaited", "[law_runner]") {
  CHECK(happened(checked({"R1", "says hello", says_hello}, law_options(), &no_pipe)) == "no pipe today");
  CHECK(checked({"R1", "says hello", says_hello}, law_options(), &pipe_by_awaiting).passed());
}

TEST_CASE("a hang is found at once and names who waits", "[law_runner]") {
  const auto began = std::chrono::steady_clock::now();
  const report found = checked({"R1", "waits", waits_for_ever});
  CHECK(std::chrono::steady_clock::now() - began < 10s);
  REQUIRE(found.findings().size() == 1);
  CHECK(found.findings().front().expected == "it comes to an end");
  CHECK_THAT(found.findings().front().happened, Catch::Contains("a task of the law waits for a read"));
}

TEST_CASE("a hang on a real clock, and being busy without end, are found when the limit is over", "[law_runner]") {
  const law_options short_limit = law_options().limit(30ms);
  CHECK(happened(checked({"R1", "is busy", is_busy_for_ever}, short_limit)) == "it hangs");
  CHECK(happened(checked<coflow::event_loop>({"R1", "waits", waits_for_ever}, short_limit)) == "it hangs");
  CHECK(checked<coflow::event_loop>({"R1", "says hello", says_hello}).passed());
}

namespace {

// A factory with whatever it offers; its ends are of one type, or of two.
struct rich_maker {
  auto operator()() const { return coflow::memory_pipe(); }
  void reset(memory_flow& flow) const noexcept { flow.reset(); }
  void cut(memory_flow& flow) const noexcept { flow.reset(); }
};
struct uneven_maker {
  std::pair<memory_flow, coflow::string_flow> operator()() const {
    return {std::move(coflow::memory_pipe().first), coflow::string_source("text")};
  }
};

template <class Factory>
bool given(Factory make, need what) {
  report found;
  const law_options options;
  const law_runner<virtual_executor, Factory> runner(make, options, found);
  return runner.has(what);
}

}  // namespace

TEST_CASE("a runner sees what the factory offers", "[law_runner]") {
  CHECK(given(rich_maker(), need::reset | need::cut | need::one_type));
  CHECK(given(&plain_pipe, need::one_type));
  CHECK(given(&pipe_by_awaiting, need::one_type));
  CHECK_FALSE(given(&plain_pipe, need::reset));
  CHECK_FALSE(given(&plain_pipe, need::cut));
  CHECK_FALSE(given(uneven_maker(), need::one_type));
  for (const need what : {need::back_pressure, need::cancellation, need::clean_destruction, need::prompt_acceptance})
    CHECK_FALSE(given(rich_maker(), what));  // whoever runs the checks says so
}

namespace {

template <class Factory>
std::optional<std::size_t> capacity_of(Factory make) {
  report found;
  const law_options options;
  law_runner<virtual_executor, Factory> runner(make, options, found);
  const bool bounded = runner.measure();
  if (!bounded) return std::nullopt;
  return runner.capacity();
}

struct bottomless_maker {
  std::pair<coflow::string_flow, coflow::string_flow> operator()() const {
    return {coflow::string_sink(), coflow::string_sink()};
  }
};

}  // namespace

TEST_CASE("how much a flow takes while nobody reads is measured", "[law_runner]") {
  for (const std::size_t capacity : {std::size_t{1}, std::size_t{1000}, std::size_t{200'000}}) {
    const auto measured = capacity_of([capacity] { return coflow::memory_pipe(capacity); });
    REQUIRE(measured.has_value());
    CHECK(*measured >= capacity);
    CHECK(*measured <= capacity + 64 * 1024);
  }
  CHECK_FALSE(capacity_of(bottomless_maker()).has_value());
}

namespace {

task<> note(bool* ran) {
  *ran = true;
  co_return;
}
class told {
 public:
  explicit told(int& gone) noexcept : gone_(gone) {}
  told(const told&) = delete;
  told& operator=(const told&) = delete;
  ~told() { ++gone_; }

 private:
  int& gone_;
};
int dead_coroutines = 0;
task<> wait_and_tell() {
  const told when_gone(dead_coroutines);
  auto ends = coflow::memory_pipe();
  static_cast<void>(co_await ends.first.read());
  co_await turns(1'000'000);
}

void drives_the_executor(law_stage& stage) {
  expect(coflow::executor::current() == nullptr, "a stage stands outside of any executor");
  bool ran = false;
  stage.start(note(&ran));
  expect(!ran, "starting runs nothing");
  stage.turn();
  expect(ran, "a turn runs what was started");
  ran = false;
  stage.run(note(&ran));
  expect(ran, "a task is run to its end");
  stage.end_executor();
  stage.turn();  // without an executor it does nothing
  stage.begin_executor();
  ran = false;
  stage.run(note(&ran));
  expect(ran, "there is another executor");
}
void leaves_something_waiting(law_stage& stage) {
  stage.start(wait_and_tell());
  stage.turn();
  expect(dead_coroutines == 0, "it waits");
}
void leaves_no_executor(law_stage& stage) {
  stage.start(wait_and_tell());
  stage.turn();
  stage.end_executor();
  expect(true, "it ends without one");
}

}  // namespace

TEST_CASE("a law may drive and end the executor itself", "[law_runner]") {
  const report found = checked({"O4", "drives the executor", nullptr, drives_the_executor});
  INFO(found.text());
  CHECK(found.passed());
  CHECK(found.expectations() == 5);
}

TEST_CASE("what a law leaves waiting is destroyed when its check ends", "[law_runner]") {
  dead_coroutines = 0;
  CHECK(checked({"O4", "leaves something", nullptr, leaves_something_waiting}).passed());
  CHECK(dead_coroutines == 1);
  CHECK(checked({"O4", "leaves no executor", nullptr, leaves_no_executor}).passed());
  CHECK(dead_coroutines == 2);
}

TEST_CASE("each check has an executor of its own", "[law_runner]") {
  report found;
  const law_options options = law_options().many(7);
  plain_maker make = &plain_pipe;
  law_runner<virtual_executor, plain_maker> runner(make, options, found);
  CHECK(runner.many() == 7);
  CHECK_FALSE(runner.has(need::cancellation));
  runner.give(need::cancellation);
  CHECK(runner.has(need::cancellation));
  for (const law& one : {law{"R1", "waits", waits_for_ever}, law{"R1", "says hello", says_hello}}) runner.check(one);
  CHECK(found.checks() == 2);
  CHECK(found.findings().size() == 1);
}

TEST_CASE("options say which checks are wanted, and what the flows do", "[law_runner]") {
  const law read{"R4", "eof is final"};
  const law write{"W1", "a write succeeds"};
  CHECK(law_options().wants(read));
  CHECK(law_options().only("R4").wants(read));
  CHECK_FALSE(law_options().only("R4").wants(write));
  CHECK_FALSE(law_options().only("R").wants(read));
  CHECK(law_options().only("a write succeeds").wants(write));
  const law_options both = law_options().only("R4").only("a write succeeds");
  CHECK((both.wants(read) && both.wants(write)));
  CHECK_FALSE(both.wants(law{"W2", "a buffer is emptied"}));

  const law_options plain;
  CHECK((plain.cancellation() && plain.back_pressure() && !plain.goodbye() && !plain.early_acceptance()));
  CHECK(plain.many() == 20'000);
  CHECK(plain.limit() == 20s);
  CHECK_FALSE(law_options().without_cancellation().cancellation());
  CHECK_FALSE(law_options().without_back_pressure().back_pressure());
  CHECK(law_options().ends_with_goodbye().goodbye());
  CHECK(law_options().accepts_early().early_acceptance());
  CHECK(law_options().many(3).many() == 3);
  CHECK(law_options().limit(5ms).limit() == 5ms);
}
