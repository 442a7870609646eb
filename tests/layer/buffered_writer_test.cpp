// What buffered_writer does with what is put into it: when it goes out, in what pieces, and who waits.
#include <array>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer/any_flow.hpp>
#include <coflow/layer/buffered_reader.hpp>
#include <coflow/layer/buffered_writer.hpp>
#include <coflow/memory.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/hand_flow.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::buffered_writer;
using coflow::buffered_writer_options;
using coflow::memory_flow;
using coflow::result;
using coflow::task;
using support::expect;
using support::expect_same;
using support::expect_success;
using support::hand;
using support::hand_flow;
using support::start;
using support::turns;
using support::writing;
using support::yield_turn;

static_assert(coflow::check_flow_shape<buffered_writer<memory_flow>>());
static_assert(coflow::ReadIntoFlow<buffered_writer<memory_flow>>);
static_assert(!coflow::has_read_into<buffered_writer<coflow::any_flow>>);
static_assert(coflow::check_flow_shape<buffered_writer<coflow::buffered_reader<hand_flow>>>());
static_assert(!std::is_copy_constructible_v<buffered_writer<memory_flow>>);
static_assert(sizeof(buffered_writer<memory_flow>) == sizeof(void*));

using hand_writer = buffered_writer<hand_flow>;

struct ends {
  explicit ends(buffered_writer_options options = buffered_writer_options())
      : below(std::make_shared<hand>()), writer(hand_flow(below), options) {}
  std::shared_ptr<hand> below;
  hand_writer writer;
};
const buffered_writer_options by_hand = buffered_writer_options().flush_at_end_of_turn(false);

template <class Flow>
task<> put_once(Flow* flow, std::string text, writing* out) {
  const result<void> sent = co_await flow->put(text);
  out->sent = sent;
  out->done = true;
}
template <class Flow>
task<> flush_once(Flow* flow, writing* out) {
  const result<void> sent = co_await flow->flush();
  out->sent = sent;
  out->done = true;
}

// ---- when it goes out

task<> what_is_put_in_one_turn_goes_out_together() {
  ends to;
  std::vector<writing> all(5);
  coflow::task_scope scope;
  for (std::size_t i = 0; i < all.size(); ++i) start(scope, put_once(&to.writer, std::to_string(i), &all[i]));
  co_await yield_turn();
  expect(all[4].done && to.below->writes == 0 && to.writer.buffered() == 5, "all is put, and nothing is sent");
  co_await yield_turn();
  expect(to.below->writes == 1 && to.writer.buffered() == 0, "one write sends it");
  expect_same(to.below->written, "01234");
  result<void> put = co_await to.writer.put("56");
  expect_success(put);
  co_await turns(2);
  expect(to.below->writes == 2, "the next turn is another write");
  expect_same(to.below->written, "0123456");
}

task<> nothing_goes_out_before_it_is_flushed() {
  ends to(by_hand);
  result<void> done = co_await to.writer.put("head ");
  expect_success(done);
  done = co_await to.writer.put_big(std::uint32_t{0x41424344});
  expect_success(done);
  done = co_await to.writer.put_little(std::int16_t{0x4241});
  expect_success(done);
  done = co_await to.writer.put_big(std::uint8_t{' '});
  expect_success(done);
  done = co_await to.writer.write(buffer("body "));
  expect_success(done);
  std::array<buffer, 3> list{buffer("one "), buffer(), buffer("two")};
  done = co_await to.writer.writev(list);
  expect_success(done);
  expect(list[0].empty() && list[2].empty(), "the list is taken");
  done = co_await to.writer.put("");
  expect_success(done);
  co_await turns(5);
  expect(to.below->writes == 0 && to.writer.buffered() == 24, "nothing goes out by itself");
  done = co_await to.writer.flush();
  expect_success(done);
  expect(to.below->writes == 1, "one write");
  expect_same(to.below->written, "head ABCDAB body one two");
  done = co_await to.writer.flush();
  expect_success(done);
  expect(to.below->writes == 1, "to flush nothing does nothing");
}

task<> a_flush_waits_until_all_that_was_put_before_is_accepted() {
  ends to(by_hand);
  to.below->writes_wait = true;
  writing first;
  writing second;
  coflow::task_scope scope;
  result<void> done = co_await to.writer.put("one");
  expect_success(done);
  start(scope, flush_once(&to.writer, &first));
  co_await yield_turn();
  done = co_await to.writer.put("two");
  expect_success(done);
  start(scope, flush_once(&to.writer, &second));
  co_await turns(3);
  expect(!first.done && !second.done && to.below->writes == 1, "both wait for the flow below");
  to.below->accept();
  co_await turns(2);
  expect(first.done && !second.done, "the first is served");
  expect_same(to.below->written, "one");
  to.below->accept();
  co_await turns(2);
  expect(second.done, "and then the second");
  expect_same(to.below->written, "onetwo");
  expect_success(first.sent);
  expect_success(second.sent);
}

// ---- in what pieces

task<> small_ones_are_packed_and_large_ones_passed_on() {
  auto pipe = coflow::memory_pipe(1 << 20);
  buffered_writer<memory_flow> writer(std::move(pipe.first), by_hand);
  result<void> done = co_await writer.put("small, ");
  expect_success(done);
  done = co_await writer.write(buffer("also small, "));
  expect_success(done);
  buffer large{std::string(20'000, 'L')};
  const std::byte* where = large.data();
  done = co_await writer.write(std::move(large));
  expect_success(done);
  done = co_await writer.put("and a tail");
  expect_success(done);
  done = co_await writer.flush();
  expect_success(done);
  coflow::read_result got = co_await pipe.second.read();
  support::expect_data(got, "small, also small, ");
  got = co_await pipe.second.read();
  expect(got->size() == 20'000 && got->data() == where, "the large one is not copied");
  got = co_await pipe.second.read();
  support::expect_data(got, "and a tail");
}

task<> many_small_ones_arrive_whole() {
  auto pipe = coflow::memory_pipe(1 << 20);
  buffered_writer<memory_flow> writer(std::move(pipe.first));
  std::string all;
  for (int i = 0; i < 20'000; ++i) {
    const std::string one = std::to_string(i * 7919);
    all += one;
    const result<void> done = co_await writer.put(one);
    if (!done) co_return;
  }
  const result<void> done = co_await writer.flush();
  expect_success(done);
  coflow::buffered_reader<memory_flow> reader(std::move(pipe.second));
  auto arrived = co_await reader.read_exactly(all.size());
  expect_same(arrived->text(), all);
}

// ---- who waits

task<> writers_wait_at_the_high_water_mark_and_in_line() {
  ends to(buffered_writer_options().high_water(10));
  to.below->writes_wait = true;
  std::vector<writing> all(6);
  coflow::task_scope scope;
  for (std::size_t i = 0; i < all.size(); ++i)
    start(scope, put_once(&to.writer, std::string(4, static_cast<char>('a' + static_cast<int>(i))), &all[i]));
  co_await turns(3);
  expect(all[1].done && !all[2].done, "two fit, the others wait");
  expect(to.writer.buffered() == 8, "no more than fits is buffered");
  writing small;
  start(scope, put_once(&to.writer, "z", &small));
  co_await turns(3);
  expect(!small.done, "nobody overtakes, were there room");
  to.below->accept();
  co_await turns(6);
  expect(all[3].done && !all[4].done, "as many as fit follow");
  to.below->writes_wait = false;
  to.below->accept();
  co_await turns(8);
  expect(small.done, "all are served in the end");
  expect_same(to.below->written, "aaaabbbbccccddddeeeeffffz");
}

// A write that the buffer has no room for goes to the flow below as it is, in its turn.
task<> large_writes_go_through_in_order() {
  ends to(buffered_writer_options().high_water(10).flush_at_end_of_turn(false));
  result<void> done = co_await to.writer.put("first ");
  expect_success(done);
  done = co_await to.writer.write(buffer("a large one "));
  expect_success(done);
  expect_same(to.below->written, "first a large one ");
  expect(to.writer.buffered() == 0, "when it is accepted here it is accepted below");
  to.below->writes_wait = true;
  writing large;
  writing list_sent;
  writing small;
  std::vector<buffer> list;
  list.emplace_back("a list ");
  list.emplace_back("of two ");
  coflow::task_scope scope;
  start(scope, put_once(&to.writer, "another large one ", &large));
  start(scope, support::writev_once(&to.writer, std::span<buffer>(list), &list_sent));
  start(scope, put_once(&to.writer, "small", &small));
  co_await turns(3);
  expect(!large.done && !list_sent.done && !small.done, "everything waits for the first");
  to.below->accept();
  co_await turns(3);
  expect(large.done && !list_sent.done && !small.done, "then for the second");
  to.below->accept();
  co_await turns(3);
  expect(list_sent.done && small.done, "then what is small is buffered");
  expect_same(to.below->written, "first a large one another large one a list of two ");
  to.below->writes_wait = false;
  done = co_await to.writer.flush();
  expect_success(done);
  expect_same(to.below->written, "first a large one another large one a list of two small");
}

task<> reads_pass_through() {
  auto pipe = coflow::memory_pipe(100);
  buffered_writer<memory_flow> writer(std::move(pipe.first));
  const result<void> sent = co_await pipe.second.write(buffer("answer"));
  expect_success(sent);
  std::byte room[3];
  auto count = co_await writer.read_into(room);
  expect(count && *count == 3, "a room is filled");
  coflow::read_result got = co_await writer.read();
  support::expect_data(got, "wer");
  expect(&writer.lowest_layer() == &writer.next_layer(), "the flow below can be reached");
}

task<> nothing_is_allocated() {
  auto pipe = coflow::memory_pipe(1 << 20);
  buffered_writer<memory_flow> writer(std::move(pipe.first));
  const buffer large(std::string(3000, 'l'));
  const buffer larger(std::string(100'000, 'L'));
  std::uint64_t before = 0;
  bool right = true;
  for (int i = 0; i < 200; ++i) {
    if (i == 100) before = support::allocation_count();
    auto one = co_await writer.put("some text that is put, again and again");
    auto two = co_await writer.put_big(std::uint64_t{1});
    auto three = co_await writer.write(large.share());
    auto four = co_await writer.write(larger.share());
    auto five = co_await writer.put("tail");
    auto six = co_await writer.flush();
    if (!one || !two || !three || !four || !five || !six) right = false;
    for (std::size_t left = 38 + 8 + 3000 + 100'000 + 4; left != 0;) {
      const coflow::read_result got = co_await pipe.second.read();
      if (!got) right = false;
      left -= got->size();
    }
  }
  const std::uint64_t after = support::allocation_count();
  expect(right, "every operation succeeds");
  expect(after == before || !coflow::detail::pooling, "no operation allocates");
}

TEST_CASE("what is put during one turn goes out in one write", "[buffered_writer]") {
  support::drive(what_is_put_in_one_turn_goes_out_together());
}

TEST_CASE("where a turn's end sends nothing, a flush does", "[buffered_writer]") {
  support::drive(nothing_goes_out_before_it_is_flushed());
}

TEST_CASE("a flush waits for what was put before it", "[buffered_writer]") {
  support::drive(a_flush_waits_until_all_that_was_put_before_is_accepted());
}

TEST_CASE("small writes are packed, large ones passed on without a copy", "[buffered_writer]") {
  support::drive(small_ones_are_packed_and_large_ones_passed_on());
  support::drive(many_small_ones_arrive_whole());
}

TEST_CASE("writers wait at the high-water mark, and nobody overtakes", "[buffered_writer]") {
  support::drive(writers_wait_at_the_high_water_mark_and_in_line());
}

TEST_CASE("a write that the buffer has no room for goes through in its turn", "[buffered_writer]") {
  support::drive(large_writes_go_through_in_order());
}

TEST_CASE("reads pass through a buffered writer", "[buffered_writer]") { support::drive(reads_pass_through()); }

TEST_CASE("writing early allocates nothing in steady state", "[buffered_writer]") {
  support::drive(nothing_is_allocated());
}

}  // namespace
