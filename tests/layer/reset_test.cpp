// What reset promises: whatever the depth, the flow is closed at once and its peer does not see a clean end.
#include <array>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/faulty_flow.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "broken/honest_flow.hpp"
#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"
#include "support/toy_codec.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::any_flow;
using coflow::buffer;
using coflow::codec_flow;
using coflow::layered_flow;
using coflow::length_prefix_codec;
using coflow::memory_flow;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::reading;
using support::start;
using support::writing;

// A flow that can only be closed, by a coroutine.
class plain_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  explicit plain_flow(memory_flow inner) : inner_(std::move(inner)) {}
  [[nodiscard]] auto read() { return inner_.read(); }
  [[nodiscard]] auto write(buffer bytes) { return inner_.write(std::move(bytes)); }
  [[nodiscard]] auto writev(std::span<buffer> list) { return inner_.writev(list); }
  [[nodiscard]] auto shutdown(coflow::shutdown_mode mode) { return inner_.shutdown(mode); }
  [[nodiscard]] task<> close() { return closing(&inner_); }

 private:
  static task<> closing(memory_flow* inner) { co_await inner->close(); }
  memory_flow inner_;
};

// A layer of somebody else's, without a reset of its own.
class foreign_layer {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  explicit foreign_layer(any_flow inner) : inner_(std::move(inner)) {}
  [[nodiscard]] auto read() { return inner_.read(); }
  [[nodiscard]] auto write(buffer bytes) { return inner_.write(std::move(bytes)); }
  [[nodiscard]] auto writev(std::span<buffer> list) { return inner_.writev(list); }
  [[nodiscard]] auto shutdown(coflow::shutdown_mode mode) { return inner_.shutdown(mode); }
  [[nodiscard]] auto close() { return inner_.close(); }
  [[nodiscard]] any_flow& next_layer() noexcept { return inner_; }

 private:
  any_flow inner_;
};

using framed = codec_flow<length_prefix_codec, memory_flow>;
using framed_plain = codec_flow<length_prefix_codec, plain_flow>;
using recorded = coflow::tee<memory_flow, coflow::string_flow>;
using deep = codec_flow<length_prefix_codec, layered_flow<any_flow>>;

static_assert(coflow::ResettableFlow<memory_flow>);
static_assert(coflow::ResettableFlow<layered_flow<layered_flow<memory_flow>>>);
static_assert(coflow::ResettableFlow<any_flow>);
static_assert(coflow::ResettableFlow<coflow::any_read_into_flow>);
static_assert(coflow::ResettableFlow<foreign_layer>);
static_assert(coflow::ResettableFlow<framed_plain>);
static_assert(!coflow::ResettableFlow<plain_flow>);
static_assert(!coflow::ResettableFlow<layered_flow<plain_flow>>);
static_assert(!coflow::ResettableFlow<coflow::string_flow>);
static_assert(coflow::check_flow_shape<layered_flow<plain_flow>>());

framed in_frames(memory_flow flow) { return framed(length_prefix_codec(), std::move(flow)); }
deep in_depth(memory_flow flow) {
  return deep(length_prefix_codec(), layered_flow<any_flow>(any_flow(std::move(flow))));
}

// What has arrived is still read, then comes what is expected; and the flow itself is closed.
template <class A, class B>
task<> what_the_peer_sees(A a, B b, std::error_code expected) {
  reading pending;
  writing last;
  task_scope scope;
  start(scope, support::read_once(&a, &pending));
  start(scope, support::write_once(&a, buffer("arrived"), &last));
  co_await support::turns(3);
  expect(last.done && !pending.done, "the write is over and the read waits");
  const std::uint64_t before = support::allocation_count();
  const bool could = coflow::reset(a);
  const std::uint64_t after = support::allocation_count();
  expect(could, "the flow can be reset");
  expect(before == after, "a reset allocates nothing");
  expect(!pending.done, "nobody is resumed inline");
  co_await support::turns(2);
  expect(pending.done, "what waited on the flow is over");
  support::expect_error(pending.got, coflow::error::closed);
  coflow::read_result got = co_await b.read();
  support::expect_data(got, "arrived");
  for (int i = 0; i < 2; ++i) {
    got = co_await b.read();
    support::expect_error(got, expected);
  }
  got = co_await a.read();
  support::expect_error(got, coflow::error::closed);
  const coflow::result<void> sent = co_await a.write(buffer("late"));
  support::expect_error(sent, coflow::error::closed);
  expect(coflow::reset(a), "a second reset does nothing");
  co_await a.shutdown(coflow::shutdown_mode::read_write);
  co_await a.close();
  got = co_await b.read();
  support::expect_error(got, expected);
}

const std::error_code was_reset = coflow::from_system(ECONNRESET);

template <class Make>
void peer_sees(Make make, std::error_code expected) {
  auto [a, b] = coflow::memory_pipe();
  auto first = make(std::move(a));
  auto second = make(std::move(b));
  support::drive(what_the_peer_sees(std::move(first), std::move(second), expected));
}

// A reset cuts short what a codec's close, or the end after its shutdown, still waits for.
task<> a_goodbye_under_way_is_cut(bool by_close) {
  auto [inner, outer] = coflow::memory_pipe(8);
  auto flow = in_frames(std::move(inner));
  writing full;
  bool ended = false;
  task_scope scope;
  start(scope, support::write_once(&flow, buffer("more than fits"), &full));
  co_await support::turns(2);
  expect(!full.done, "the pipe is full");
  if (by_close)
    start(scope, support::close_once(&flow, &ended));
  else
    start(scope, support::shutdown_once(&flow, coflow::shutdown_mode::write, &ended));
  co_await support::turns(2);
  expect(!ended, "the goodbye waits for room");
  flow.reset();
  expect(!ended && (by_close || !full.done), "nobody is resumed inline");
  co_await support::turns(3);
  expect(ended && full.done, "what waited is over");
  std::string heard;
  coflow::read_result got = co_await outer.read();
  while (got) {
    heard += got->text();
    got = co_await outer.read();
  }
  expect(heard.ends_with("more"), "what had gone out is there");
  support::expect_error(got, was_reset);
}

// What a layer keeps, and what waits at the layer itself, ends with the flow.
template <class F>
task<> what_waits_ends(F flow, reading* waits) {
  task_scope scope;
  start(scope, support::read_once(&flow, waits));
  co_await support::turns(3);
  expect(!waits->done, "the read waits for the layer's leave");
  expect(coflow::reset(flow), "the flow can be reset");
  expect(!waits->done, "nobody is resumed inline");
  co_await support::turns(3);
  expect(waits->done, "what waited is over");
  support::expect_error(waits->got, coflow::error::closed);
}
task<> a_read_that_waits_for_its_time_ends() {
  auto [near, far] = coflow::memory_pipe();
  coflow::throttled<memory_flow> flow(std::move(near), coflow::throttle_options().read_rate(1, 0));
  const coflow::result<void> sent = co_await far.write(buffer("an hour's worth"));
  support::expect_success(sent);
  const coflow::read_result got = co_await flow.read();
  support::expect_data(got, "an hour's worth");
  reading waits;
  co_await what_waits_ends(std::move(flow), &waits);
}
task<> a_read_that_waits_for_a_sink_ends() {
  auto [near, far] = coflow::memory_pipe();
  auto [sink, end] = coflow::memory_pipe(1);
  coflow::tee<memory_flow, memory_flow> flow(std::move(near), std::move(sink), coflow::tee_options().limit(1));
  const coflow::result<void> sent = co_await far.write(buffer("more than it takes"));
  support::expect_success(sent);
  const coflow::read_result got = co_await flow.read();
  support::expect_data(got, "more than it takes");
  reading waits;
  co_await what_waits_ends(std::move(flow), &waits);
}
template <class F>
task<> what_is_kept_is_not_given(F flow) {
  expect(coflow::reset(flow), "the flow can be reset");
  const coflow::read_result got = co_await flow.read();
  support::expect_error(got, coflow::error::closed);
}
task<> what_is_buffered_goes_nowhere() {
  auto [near, far] = coflow::memory_pipe(4);
  coflow::buffered_writer<memory_flow> flow(std::move(near), coflow::buffered_writer_options().high_water(16));
  writing first;
  writing waits;
  task_scope scope;
  start(scope, support::write_once(&flow, buffer("0123456789abc"), &first));
  start(scope, support::write_once(&flow, buffer("no room"), &waits));
  co_await support::turns(3);
  expect(first.done && !waits.done, "one is buffered, one waits");
  expect(coflow::reset(flow), "the flow can be reset");
  co_await support::turns(3);
  support::expect_error(waits.sent, coflow::error::closed);
  std::string unsent;
  for (const buffer& one : flow.take_unsent()) unsent += one.text();
  support::expect_same(unsent, "456789abc");
  coflow::read_result got = co_await far.read();
  support::expect_data(got, "0123");
  got = co_await far.read();
  support::expect_error(got, was_reset);
}

// Also when it is the first thing that is done to the flow, and without an executor.
void a_fresh_flow_is_reset() {
  auto [a, b] = coflow::memory_pipe();
  auto flow = in_depth(std::move(a));
  flow.reset();
  const auto read = [](memory_flow* from) -> task<> {
    const coflow::read_result got = co_await from->read();
    support::expect_error(got, was_reset);
  };
  support::drive(read(&b));
}

void a_flow_without_reset_is_left_alone() {
  auto [a, b] = coflow::memory_pipe();
  layered_flow<plain_flow> flow{plain_flow(std::move(a))};
  CHECK_FALSE(coflow::reset(flow));
  const auto use = [](layered_flow<plain_flow>* from, memory_flow* to) -> task<> {
    const coflow::result<void> sent = co_await from->write(buffer("still here"));
    support::expect_success(sent);
    const coflow::read_result got = co_await to->read();
    support::expect_data(got, "still here");
  };
  support::drive(use(&flow, &b));
}

// What an any_flow holds is destroyed where it can only be closed.
void an_erased_flow_without_reset_is_dropped() {
  auto [a, b] = coflow::memory_pipe();
  any_flow flow(plain_flow(std::move(a)), "a name");
  CHECK(coflow::reset(flow));
  CHECK(flow.target<plain_flow>() == nullptr);
  CHECK(flow.name() == "a name");
  const auto use = [](any_flow* from, memory_flow* to) -> task<> {
    coflow::read_result got = co_await from->read();
    support::expect_error(got, coflow::error::closed);
    got = co_await to->read();
    support::expect_eof(got);
  };
  support::drive(use(&flow, &b));
}

// The callable is told that the stream was broken off.
void callables_hear_of_it() {
  std::string ends;
  const auto read = [] { return buffer("x"); };
  const auto write = [](const buffer&) {};
  const auto close = [&ends](coflow::stream_end how) { ends += how == coflow::stream_end::torn ? "torn" : "complete"; };
  coflow::function_flow flow(read, write, coflow::no_function(), close);
  CHECK(coflow::reset(flow));
  CHECK(ends == "torn");
  CHECK(coflow::reset(flow));
  CHECK(ends == "torn");
}

TEST_CASE("the peer of a flow that is reset sees the reset behind what had arrived, at any depth", "[reset]") {
  peer_sees([](memory_flow flow) { return flow; }, was_reset);
  peer_sees([](memory_flow flow) { return layered_flow<memory_flow>(std::move(flow)); }, was_reset);
  peer_sees([](memory_flow flow) { return any_flow(std::move(flow)); }, was_reset);
  peer_sees([](memory_flow flow) { return coflow::any_read_into_flow(std::move(flow)); }, was_reset);
  peer_sees([](memory_flow flow) { return foreign_layer(any_flow(std::move(flow))); }, was_reset);
  peer_sees([](memory_flow flow) { return in_frames(std::move(flow)); }, was_reset);
  peer_sees([](memory_flow flow) { return in_depth(std::move(flow)); }, was_reset);
  peer_sees([](memory_flow flow) { return any_flow(in_depth(std::move(flow))); }, was_reset);
  peer_sees([](memory_flow flow) { return coflow::idle_timeout<memory_flow>(std::move(flow), 1h); }, was_reset);
  peer_sees([](memory_flow flow) { return coflow::read_deadline<memory_flow>(std::move(flow), 1h); }, was_reset);
  peer_sees([](memory_flow flow) { return coflow::limited<memory_flow>(std::move(flow), 100); }, was_reset);
  peer_sees([](memory_flow flow) { return coflow::buffered_reader<memory_flow>(std::move(flow)); }, was_reset);
  peer_sees([](memory_flow flow) { return coflow::buffered_writer<memory_flow>(std::move(flow)); }, was_reset);
  peer_sees([](memory_flow flow) { return recorded(std::move(flow), coflow::string_sink()); }, was_reset);
  peer_sees(
      [](memory_flow flow) {
        return coflow::throttled<memory_flow>(std::move(flow), coflow::throttle_options().read_rate(1'000'000));
      },
      was_reset);
}

TEST_CASE("what a layer keeps, and what waits at it, ends with a flow that is reset", "[reset]") {
  support::drive(a_read_that_waits_for_its_time_ends());
  support::drive(a_read_that_waits_for_a_sink_ends());
  support::drive(what_is_buffered_goes_nowhere());
  support::drive(what_is_kept_is_not_given(
      coflow::buffered_reader<memory_flow>(std::move(coflow::memory_pipe().first), buffer("unread"))));
  support::drive(what_is_kept_is_not_given(coflow::limited<memory_flow>(std::move(coflow::memory_pipe().first), 100,
                                                                        coflow::limited_options(), buffer("unread"))));
}

TEST_CASE("the peer of a codec whose inner flow can only be closed sees truncation", "[reset]") {
  auto [a, b] = coflow::memory_pipe();
  framed_plain flow(length_prefix_codec(), plain_flow(std::move(a)));
  // Its coroutine that closes takes a frame.
  const auto reset = [](framed_plain* from, framed* to) -> task<> {
    const coflow::result<void> sent = co_await from->write(buffer("arrived"));
    support::expect_success(sent);
    from->reset();
    coflow::read_result got = co_await to->read();
    support::expect_data(got, "arrived");
    got = co_await to->read();
    support::expect_error(got, coflow::error::truncated);
    co_await from->close();
  };
  framed peer = in_frames(std::move(b));
  support::drive(reset(&flow, &peer));
}

TEST_CASE("a reset cuts a codec's goodbye short", "[reset]") {
  support::drive(a_goodbye_under_way_is_cut(true));
  support::drive(a_goodbye_under_way_is_cut(false));
}

TEST_CASE("a flow that nobody has used yet is reset", "[reset]") { a_fresh_flow_is_reset(); }

TEST_CASE("a flow that no layer can reset is left as it is", "[reset]") { a_flow_without_reset_is_left_alone(); }

TEST_CASE("an any_flow destroys a flow that cannot be reset", "[reset]") { an_erased_flow_without_reset_is_dropped(); }

TEST_CASE("the callables of a function_flow are told of a reset", "[reset]") { callables_hear_of_it(); }

TEST_CASE("a faulty_flow is reset with what is below", "[reset]") {
  auto [a, b] = coflow::memory_pipe();
  coflow::faulty_flow<framed> flow(in_frames(std::move(a)), coflow::fault_plan());
  CHECK(coflow::reset(flow));
  CHECK(coflow::reset(flow));
  const auto use = [](coflow::faulty_flow<framed>* from, memory_flow* to) -> task<> {
    coflow::read_result got = co_await from->read();
    support::expect_error(got, coflow::error::closed);
    got = co_await to->read();
    support::expect_error(got, was_reset);
  };
  support::drive(use(&flow, &b));
}

}  // namespace
