// What is particular to a codec's flow: the laws of data and errors on codecs, and what it is made of. How it begins is
// in codec_handshake_test.cpp; how it ends in codec_close_test.cpp, codec_shutdown_test.cpp, codec_goodbye_test.cpp and
// codec_executor_test.cpp. The general laws are checked by the law suite over every stack (tests/laws), truncation at
// every byte by tests/truncation.
#include <coflow/layer/detail/buffer_queue.hpp>
#include <coflow/layer/layered_flow.hpp>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "support/codec_ends.hpp"
#include "support/survival.hpp"

namespace {

using namespace codec_ends;

static_assert(coflow::check_flow_shape<framed>());
static_assert(coflow::check_flow_shape<secure>());

// ---- L5, L7, L9, L10

task<> goodbye_is_eof() {
  ends on;
  co_await say(&on.raw, frame("x") + goodbye + "rubbish");
  read_result got = co_await on.flow.read();
  CHECK(got->text() == "x");
  for (int i = 0; i < 3; ++i) {
    got = co_await on.flow.read();
    CHECK(got.eof());
  }
  const result<void> sent = co_await on.flow.write(buffer("still here"));
  CHECK(sent.has_value());
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == frame("still here"));
}

TEST_CASE("the peer's goodbye is eof, what follows it is ignored, and the write half stays open", "[codec_flow]") {
  drive(goodbye_is_eof());
}

task<> an_end_without_goodbye(bool allowed) {
  ends on(1024, coflow::codec_options().allow_truncation(allowed));
  co_await say(&on.raw, frame("abc"));
  co_await on.raw.shutdown(shutdown_mode::write);
  read_result got = co_await on.flow.read();
  CHECK(got->text() == "abc");
  for (int i = 0; i < 2; ++i) {
    got = co_await on.flow.read();
    CHECK(got.eof() == allowed);
    if (!allowed) CHECK(got.error() == coflow::error::truncated);
  }
}

TEST_CASE("an inner end without the goodbye is truncation, unless that is allowed", "[codec_flow]") {
  drive(an_end_without_goodbye(false));
  drive(an_end_without_goodbye(true));
}

task<> data_before_an_error() {
  ends on;
  co_await say(&on.raw, frame("good") + std::string("\xff\xff\xff\xff", 4));
  read_result got = co_await on.flow.read();
  CHECK(got->text() == "good");
  for (int i = 0; i < 2; ++i) {
    got = co_await on.flow.read();
    CHECK(got.error() == std::errc::message_size);
  }
  const result<void> sent = co_await on.flow.write(buffer("you sent nonsense"));
  CHECK(sent.has_value());
}

TEST_CASE("data decoded before an error is delivered first, and the error stays", "[codec_flow]") {
  drive(data_before_an_error());
}

// ---- L6

task<> an_inner_error_is_latched() {
  ends on;
  co_await say(&on.raw, frame("abc"));
  on.raw.reset();
  read_result got = co_await on.flow.read();
  CHECK(got->text() == "abc");
  for (int i = 0; i < 2; ++i) {
    got = co_await on.flow.read();
    CHECK(got.error() == std::errc::connection_reset);
    const result<void> sent = co_await on.flow.write(buffer("x"));
    CHECK(sent.error() == std::errc::connection_reset);
  }
}

TEST_CASE("an inner error surfaces as itself on both halves and stays", "[codec_flow]") {
  drive(an_inner_error_is_latched());
}

task<> a_reset_alone() {
  ends on;
  on.raw.reset();
  const read_result got = co_await on.flow.read();
  CHECK(got.error() == std::errc::connection_reset);
  const result<void> sent = co_await on.flow.write(buffer("x"));
  CHECK(sent.error() == std::errc::connection_reset);
  co_await turns(3);
  const read_result below = co_await on.flow.next_layer().read();
  CHECK(below.error() == std::errc::connection_reset);  // not closed
}

TEST_CASE("a connection that breaks without a shutdown is not closed below", "[codec_flow]") { drive(a_reset_alone()); }

// ---- memory runs out below

class scarce_flow : public coflow::layered_flow<memory_flow> {
 public:
  scarce_flow(memory_flow inner, int* shortages) noexcept
      : coflow::layered_flow<memory_flow>(std::move(inner)), shortages_(shortages) {}
  [[nodiscard]] auto read() {
    if (*shortages_ > 0) {
      --*shortages_;
      throw std::bad_alloc();
    }
    return coflow::layered_flow<memory_flow>::read();
  }

 private:
  int* shortages_;
};
using scarce = coflow::codec_flow<coflow::length_prefix_codec, scarce_flow>;

task<> read_or_run_out(scarce* flow, bool* ran_out) {
  try {
    const read_result got = co_await flow->read();
    CHECK(!got.has_data());
  } catch (const std::bad_alloc&) {
    *ran_out = true;
  }
}

task<> memory_runs_out_below() {
  auto pipe = coflow::memory_pipe();
  int shortages = 1;
  scarce flow(coflow::length_prefix_codec(), scarce_flow(std::move(pipe.first), &shortages));
  bool ran_out = false;
  co_await read_or_run_out(&flow, &ran_out);
  CHECK(ran_out);
  CHECK(shortages == 0);
  co_await say(&pipe.second, frame("abc"));
  read_result got = co_await flow.read();
  CHECK(got->text() == "abc");
  // Now in the middle of a frame, while the read waits.
  ran_out = false;
  task_scope scope;
  start(scope, read_or_run_out(&flow, &ran_out));
  co_await turns(2);
  shortages = 1;
  co_await say(&pipe.second, frame("def").substr(0, 3));
  co_await turns(3);
  CHECK(ran_out);
  CHECK(shortages == 0);
  shortages = 5;
  co_await turns(3);
  CHECK(shortages == 5);  // nobody wants to read
  shortages = 0;
  co_await say(&pipe.second, frame("def").substr(3));
  got = co_await flow.read();
  CHECK(got->text() == "def");
}

TEST_CASE("an inner read that finds no memory is the read's failure once, and loses nothing", "[codec_flow]") {
  drive(memory_runs_out_below());
}

// ---- what it is made of

TEST_CASE("a codec's flow shows what is below it", "[codec_flow]") {
  auto pipe = coflow::memory_pipe();
  using deep = coflow::codec_flow<coflow::length_prefix_codec, coflow::layered_flow<memory_flow>>;
  deep flow(coflow::length_prefix_codec(), coflow::layered_flow<memory_flow>(std::move(pipe.first)));
  static_assert(std::is_same_v<decltype(flow.next_layer()), coflow::layered_flow<memory_flow>&>);
  static_assert(std::is_same_v<decltype(flow.lowest_layer()), memory_flow&>);
  CHECK(&flow.next_layer().next_layer() == &flow.lowest_layer());
}

TEST_CASE("a codec's flow that is const shows what is below it, and its codec", "[codec_flow]") {
  auto pipe = coflow::memory_pipe();
  framed flow(coflow::length_prefix_codec(), std::move(pipe.first));
  const framed& fixed = flow;
  CHECK(&fixed.next_layer() == &flow.next_layer());
  static_assert(std::is_same_v<decltype(fixed.codec()), const coflow::length_prefix_codec&>);
  CHECK(&fixed.codec() == &fixed.codec());
}

TEST_CASE("a codec's queue counts its bytes, in order, and takes no new memory in steady state", "[codec_flow]") {
  coflow::detail::buffer_queue one;
  one.push(buffer("abc"));
  one.push(buffer("de"));
  CHECK(one.size() == 2);
  CHECK(one.bytes() == 5);
  CHECK(one.pop().text() == "abc");
  CHECK(one.size() == 1);
  CHECK(one.bytes() == 2);
  one.push(buffer("f"));
  coflow::detail::buffer_queue other;
  other.swap(one);
  CHECK(one.empty());
  CHECK(one.bytes() == 0);
  REQUIRE(other.size() == 2);
  CHECK(other.bytes() == 3);
  CHECK(other.list()[0].text() == "de");
  CHECK(other.list()[1].text() == "f");
  other.clear();
  CHECK(other.empty());
  CHECK(other.bytes() == 0);
  const buffer payload("payload");
  one.push(payload.share());
  CHECK(one.pop().text() == "payload");
  const auto before = support::allocation_count();
  bool right = true;
  for (int i = 0; i < 1000; ++i) {
    one.push(payload.share());
    const buffer got = one.pop();
    if (got.size() != payload.size()) right = false;
  }
  CHECK(support::allocation_count() == before);
  CHECK(right);
}

}  // namespace
