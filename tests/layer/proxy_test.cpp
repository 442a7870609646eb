// What proxy promises: both directions, half-close passed on, and no reset, cut or lost byte that looks like a clean
// end to anybody.
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
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::any_flow;
using coflow::buffer;
using coflow::memory_flow;
using coflow::proxy_end;
using coflow::proxy_options;
using coflow::proxy_result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::expect_same;
using support::start;
using namespace std::chrono_literals;

const std::error_code was_reset = coflow::from_system(ECONNRESET);

// ---- the stacks

struct plain {
  using flow = memory_flow;
  static flow over(memory_flow inner) { return inner; }
};
// A codec over an erased flow over a layer.
struct deep {
  using flow = coflow::codec_flow<coflow::length_prefix_codec, any_flow>;
  static flow over(memory_flow inner) {
    any_flow below{coflow::layered_flow<memory_flow>(std::move(inner))};
    return flow(coflow::length_prefix_codec(), std::move(below));
  }
};

// ---- a client, a proxy's two ends, and a server

struct hearing {
  hearing() noexcept {}
  std::string text;
  coflow::read_result last;
  bool over = false;
};

template <class Stack>
struct scene {
  using flow = typename Stack::flow;
  explicit scene(std::size_t capacity = 1000) : scene(coflow::memory_pipe(capacity), coflow::memory_pipe(capacity)) {}

  flow client;
  flow a;
  flow b;
  flow server;
  hearing at_client;
  hearing at_server;
  proxy_options options;
  proxy_result came_to;
  bool done = false;

 private:
  scene(std::pair<memory_flow, memory_flow> left, std::pair<memory_flow, memory_flow> right)
      : client(Stack::over(std::move(left.first))),
        a(Stack::over(std::move(left.second))),
        b(Stack::over(std::move(right.first))),
        server(Stack::over(std::move(right.second))) {}
};

template <class Scene>
task<> join_them(Scene* s) {
  proxy_result came_to = co_await coflow::proxy(s->a, s->b, s->options);
  s->came_to = std::move(came_to);
  s->done = true;
}
template <class F>
task<> hear(F* flow, hearing* out) {
  for (;;) {
    coflow::read_result got = co_await flow->read();
    if (got) {
      out->text += got->text();
      continue;
    }
    out->last = std::move(got);
    out->over = true;
    co_return;
  }
}
template <class F>
task<> say(F* flow, std::string_view text) {
  const coflow::result<void> sent = co_await flow->write(buffer(text));
  support::expect_success(sent);
}
// What both flows of a proxy are when it has ended.
template <class Scene>
task<> expect_closed(Scene* s) {
  for (auto* flow : {&s->a, &s->b}) {
    const coflow::read_result got = co_await flow->read();
    support::expect_error(got, coflow::error::closed);
  }
}
template <class Scene>
void expect_end(const Scene& s, proxy_end how, support::place at = support::place::current()) {
  expect(s.done, "the proxy has ended", at);
  expect(s.came_to.end == how, "it ended in the expected way, got " + std::to_string(static_cast<int>(s.came_to.end)),
         at);
  expect(static_cast<bool>(s.came_to) == (how == proxy_end::complete), "only a complete one is a success", at);
  expect(static_cast<bool>(s.came_to.error()) == (how != proxy_end::complete), "any other has an error", at);
}
void expect_last(const hearing& heard, std::error_code wanted, support::place at = support::place::current()) {
  expect(heard.over, "its reading is over", at);
  if (wanted)
    support::expect_error(heard.last, wanted, at);
  else
    support::expect_eof(heard.last, at);
}

// ---- clean ends

enum class order { client_first, server_first, together };

template <class Stack>
task<> both_ways_and_both_ends(order which) {
  scene<Stack> s;
  task_scope scope;
  start(scope, join_them(&s));
  start(scope, hear(&s.client, &s.at_client));
  start(scope, hear(&s.server, &s.at_server));
  co_await say(&s.client, "question");
  co_await say(&s.server, "answer");
  co_await support::turns(5);
  expect_same(s.at_server.text, "question");
  expect_same(s.at_client.text, "answer");
  auto* const first = which == order::server_first ? &s.server : &s.client;
  auto* const second = which == order::server_first ? &s.client : &s.server;
  hearing& at_first = which == order::server_first ? s.at_server : s.at_client;
  hearing& at_second = which == order::server_first ? s.at_client : s.at_server;
  co_await first->shutdown(shutdown_mode::write);
  if (which != order::together) {
    co_await support::turns(6);
    expect(at_second.over && !at_first.over && !s.done, "the end is passed on, and the other direction goes on");
    co_await say(second, " and more");
  }
  co_await second->shutdown(shutdown_mode::write);
  co_await support::turns(10);
  expect_end(s, proxy_end::complete);
  expect_last(s.at_client, {});
  expect_last(s.at_server, {});
  expect(at_first.text.ends_with("more") == (which != order::together), "what was said after the half-close arrives");
  expect(s.came_to.forward.bytes == s.at_server.text.size() && s.came_to.forward.ended, "the figures are right");
  expect(s.came_to.backward.bytes == s.at_client.text.size() && s.came_to.backward.ended, "in both directions");
  co_await expect_closed(&s);
}

// The client closes with a last word; what the server then still writes goes nowhere, and it is told so.
task<> nobody_is_left_to_hear() {
  scene<plain> s;
  task_scope scope;
  start(scope, join_them(&s));
  start(scope, hear(&s.server, &s.at_server));
  co_await say(&s.client, "last word");
  co_await s.client.close();
  co_await support::turns(5);
  expect_last(s.at_server, {});
  expect_same(s.at_server.text, "last word");
  expect(!s.done, "the other direction is open");
  co_await say(&s.server, "unheard");
  co_await support::turns(6);
  expect_end(s, proxy_end::failed);
  expect(s.came_to.failure == coflow::error::closed, "the write was refused");
  expect_same(s.came_to.backward.unsent.text(), "unheard");
  const coflow::result<void> sent = co_await s.server.write(buffer("x"));
  support::expect_error(sent, was_reset);
}

// A write is refused while the other direction is still full: it is emptied, and does not end cleanly (law R5).
task<> a_refused_write_lets_the_rest_through(bool by_client) {
  scene<plain> s(10);
  memory_flow& leaver = by_client ? s.client : s.server;
  memory_flow& other = by_client ? s.server : s.client;
  hearing& heard = by_client ? s.at_server : s.at_client;
  task_scope scope;
  start(scope, join_them(&s));
  support::writing sent;
  start(scope, support::write_once(&leaver, buffer("0123456789abcdefghijklmnop"), &sent));
  co_await support::turns(5);
  expect(sent.done, "three pipes' worth is under way");
  co_await leaver.close();
  co_await say(&other, "unheard");
  co_await support::turns(5);
  expect(!s.done, "what had come before is still to be passed on");
  start(scope, hear(&other, &heard));
  co_await support::turns(10);
  expect_same(heard.text, "0123456789abcdefghijklmnop");
  expect_last(heard, was_reset);
  expect_end(s, proxy_end::failed);
  const coflow::copy_result& through = by_client ? s.came_to.forward : s.came_to.backward;
  const coflow::copy_result& refused = by_client ? s.came_to.backward : s.came_to.forward;
  expect(through.ended && refused.write_error == coflow::error::closed, "both are told");
}

// ---- resets

enum class stage { silent, talking, half_closed, other_half_closed, unread };

template <class Stack>
task<> a_reset_is_passed_on(stage at, bool by_client) {
  scene<Stack> s(100);
  auto* const culprit = by_client ? &s.client : &s.server;
  auto* const victim = by_client ? &s.server : &s.client;
  hearing& heard = by_client ? s.at_server : s.at_client;
  std::string said;
  task_scope scope;
  start(scope, join_them(&s));
  if (at != stage::unread) start(scope, hear(victim, &heard));
  if (at != stage::silent) {
    said = at == stage::unread ? std::string(150, 'u') : "word";
    co_await say(culprit, said);
    if (at == stage::talking) co_await say(victim, "answer");
  }
  if (at == stage::half_closed) co_await culprit->shutdown(shutdown_mode::write);
  if (at == stage::other_half_closed) co_await victim->shutdown(shutdown_mode::write);
  co_await support::turns(10);
  expect(!s.done, "the proxy is under way");
  expect(coflow::reset(*culprit), "the flow can be reset");
  if (at == stage::half_closed) {  // nothing is read of it any more: a write finds out
    co_await say(victim, "unheard");
  }
  if (at == stage::unread) start(scope, hear(victim, &heard));
  co_await support::turns(15);
  expect_end(s, proxy_end::failed);
  expect_same(heard.text, said);
  expect_last(heard, at == stage::half_closed ? std::error_code() : was_reset);
  const coflow::result<void> sent = co_await victim->write(buffer("late"));
  const bool had_shut = at == stage::other_half_closed;
  support::expect_error(sent, had_shut ? coflow::make_error_code(coflow::error::closed) : was_reset);
  co_await expect_closed(&s);
}

// A codec's stream that is cut off by a close below is an error, too.
task<> a_truncated_stream_stays_truncated() {
  scene<deep> s;
  task_scope scope;
  start(scope, join_them(&s));
  start(scope, hear(&s.server, &s.at_server));
  co_await say(&s.client, "word");
  co_await support::turns(5);
  co_await s.client.next_layer().close();
  co_await support::turns(10);
  expect_end(s, proxy_end::failed);
  expect(s.came_to.failure == coflow::error::truncated, "it was truncated");
  expect_same(s.at_server.text, "word");
  expect_last(s.at_server, was_reset);
}

// ---- back-pressure

template <class Stack>
task<> a_slow_consumer_holds_the_other_side_up() {
  scene<Stack> s(1000);
  task_scope scope;
  start(scope, join_them(&s));
  std::size_t accepted = 0;
  const auto pour = [](typename Stack::flow* to, std::size_t* count) -> task<> {
    for (int i = 0; i < 100; ++i) {
      const coflow::result<void> sent = co_await to->write(buffer(std::string(100, 'p')));
      if (!sent) co_return;
      *count += 100;
    }
    co_await to->shutdown(shutdown_mode::write);
  };
  start(scope, pour(&s.client, &accepted));
  co_await support::turns(100);
  expect(accepted < 3000, "what is under way is bounded, got " + std::to_string(accepted));
  start(scope, hear(&s.client, &s.at_client));
  co_await say(&s.server, "the other direction is free");
  co_await support::turns(5);
  expect(!s.at_client.text.empty(), "a direction that is held up does not hold up the other");
  start(scope, hear(&s.server, &s.at_server));
  co_await s.server.shutdown(shutdown_mode::write);
  co_await support::turns(500);
  expect(s.at_server.text.size() == 10000, "all of it arrives");
  expect_end(s, proxy_end::complete);
}

// ---- limits, on a clock of its own

template <class Stack>
task<> the_other_direction_may_linger(bool in_time) {
  scene<Stack> s;
  s.options.linger(30s);
  task_scope scope;
  start(scope, join_them(&s));
  start(scope, hear(&s.client, &s.at_client));
  start(scope, hear(&s.server, &s.at_server));
  coflow::result<void> slept = co_await coflow::sleep_for(1h);
  expect(!s.done, "nothing limits a proxy that is open in both directions");
  co_await s.client.shutdown(shutdown_mode::write);
  slept = co_await coflow::sleep_for(29s);
  expect(slept && !s.done, "the other direction lingers");
  co_await say(&s.server, "in time");
  if (in_time) co_await s.server.shutdown(shutdown_mode::write);
  slept = co_await coflow::sleep_for(2s);
  expect_same(s.at_client.text, "in time");
  expect_end(s, in_time ? proxy_end::complete : proxy_end::lingered);
  expect_last(s.at_client, in_time ? std::error_code() : was_reset);
  expect_last(s.at_server, {});
  if (!in_time) {
    expect(s.came_to.failure == coflow::error::timed_out, "a limit has passed");
    expect(s.came_to.backward.read_error == coflow::canceled() && s.came_to.forward.ended, "the other was cut");
    expect(s.came_to.backward.duration == 1h + 30s && s.came_to.forward.duration == 1h, "times are told");
    const coflow::result<void> sent = co_await s.server.write(buffer("late"));
    support::expect_error(sent, was_reset);
  }
}

task<> silence_is_limited() {
  scene<plain> s;
  s.options.idle_timeout(80s);
  task_scope scope;
  start(scope, join_them(&s));
  start(scope, hear(&s.client, &s.at_client));
  start(scope, hear(&s.server, &s.at_server));
  for (int i = 0; i < 5; ++i) {
    const coflow::result<void> slept = co_await coflow::sleep_for(79s);
    expect(slept && !s.done, "it is not idle for so long");
    co_await say(i % 2 == 0 ? &s.client : &s.server, "x");
  }
  coflow::result<void> slept = co_await coflow::sleep_for(79s);
  expect(slept && !s.done, "never earlier");
  slept = co_await coflow::sleep_for(12s);
  expect_end(s, proxy_end::idle);
  expect(s.came_to.failure == coflow::error::timed_out, "a limit has passed");
  expect_last(s.at_client, was_reset);
  expect_last(s.at_server, was_reset);
}

// What a side has accepted early and cannot send is a failure, though its shutdown has none: alone, and under a layer.
template <class Layer, class Wrap>
task<> a_side_that_cannot_send_what_it_accepted(Wrap wrap) {
  auto left = coflow::memory_pipe();
  auto right = coflow::memory_pipe();
  const std::error_code full = make_error_code(std::errc::no_space_on_device);
  coflow::faulty_flow<memory_flow> faulty(std::move(right.first), coflow::fault_plan().fail_write(1, full));
  Layer side = wrap(coflow::buffered_writer<coflow::faulty_flow<memory_flow>>(
      std::move(faulty), coflow::buffered_writer_options().flush_at_end_of_turn(false)));
  co_await say(&left.first, "question");
  co_await left.first.shutdown(shutdown_mode::write);
  co_await right.second.shutdown(shutdown_mode::write);
  const proxy_result came_to = co_await coflow::proxy(left.second, side);
  expect(came_to.end == proxy_end::failed && came_to.failure == full, "the loss is told");
  expect(came_to.forward.write_error == full && !came_to.forward.ended, "of the direction that has it");
  hearing at_client;
  hearing at_server;
  co_await hear(&left.first, &at_client);
  co_await hear(&right.second, &at_server);
  expect_same(at_server.text, "");
  expect(at_client.last.failed() && at_server.last.failed(), "neither peer takes the end for a clean one");
}

// A consumer that is slow is not idle, however long one chunk takes it.
task<> a_slow_consumer_is_not_idle() {
  auto left = coflow::memory_pipe(4096);
  auto right = coflow::memory_pipe(10);
  memory_flow& client = left.first;
  memory_flow& server = right.second;
  proxy_result came_to;
  bool done = false;
  const auto join = [](memory_flow* a, memory_flow* b, proxy_result* out, bool* ended) -> task<> {
    proxy_result got = co_await coflow::proxy(*a, *b, proxy_options().idle_timeout(80s));
    *out = std::move(got);
    *ended = true;
  };
  task_scope scope;
  start(scope, join(&left.second, &right.first, &came_to, &done));
  const std::string text(200, 't');
  co_await say(&client, text);
  std::string heard;
  while (heard.size() < text.size()) {
    const coflow::result<void> slept = co_await coflow::sleep_for(50s);
    expect(slept && !done, "it is not idle for so long");
    if (done) co_return;
    const coflow::read_result got = co_await server.read();
    expect(got.has_data(), "the consumer gets more");
    if (got) heard += got->text();
  }
  expect_same(heard, text);
  const coflow::result<void> slept = co_await coflow::sleep_for(91s);
  expect(slept && done && came_to.end == proxy_end::idle, "then it is");
}

// ---- stops and destruction, after every number of turns

template <class Stack>
task<> ended_after(int turns, bool by_stop, int* complete) {
  scene<Stack> s(20);
  const std::string text(70, 't');
  {
    task_scope others;
    {
      task_scope scope;
      start(scope, join_them(&s));
      start(others, hear(&s.client, &s.at_client));
      start(others, hear(&s.server, &s.at_server));
      const auto speak = [](typename Stack::flow* flow, std::string_view all) -> task<> {
        const coflow::result<void> sent = co_await flow->write(buffer(all));
        if (sent) co_await flow->shutdown(shutdown_mode::write);
      };
      start(others, speak(&s.client, text));
      start(others, speak(&s.server, text));
      co_await support::turns(turns);
      if (by_stop) {
        scope.cancel();
        const coflow::result<void> joined = co_await scope.join();
        support::expect_success(joined);
      }
    }
    co_await support::turns(30);
    expect(s.at_client.over && s.at_server.over, "neither side is left waiting");
    const coflow::result<void> joined = co_await others.join();
    support::expect_success(joined);
  }
  for (const hearing* heard : {&s.at_client, &s.at_server}) {
    expect(text.starts_with(heard->text), "what is heard is a prefix");
    expect(!heard->last.eof() || heard->text.size() == text.size(), "a stream that was cut has no clean end");
    if (heard->last.failed()) support::expect_error(heard->last, was_reset);
  }
  if (by_stop) {
    const bool all = s.at_client.last.eof() && s.at_server.last.eof();
    if (s.came_to) ++*complete;
    expect(!s.came_to || all, "a complete proxy has passed on both ends");
    if (!s.came_to) {
      expect(s.came_to.end == proxy_end::canceled && s.came_to.failure == coflow::canceled(), "it was stopped");
      const std::uint64_t seen = s.came_to.forward.bytes + s.came_to.forward.unsent.size();
      expect(seen <= text.size() && s.at_server.text.size() <= seen, "what was read is accounted for");
    }
    co_await expect_closed(&s);
  }
}

template <class Stack>
int end_everywhere(bool by_stop) {
  int complete = 0;
  // A proxy that has not begun when it is destroyed does nothing.
  for (int turns = by_stop ? 0 : 1; turns < 40; ++turns) support::drive(ended_after<Stack>(turns, by_stop, &complete));
  return complete;
}

// ---- flows of somebody else's

// It never ends by itself and takes no stop; a close ends it.
class stubborn_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  stubborn_flow() : closed_(std::make_shared<support::gate>()) {}
  task<coflow::read_result> read() { return reading(closed_); }
  task<coflow::result<void>> write(buffer) { co_return coflow::success; }
  task<coflow::result<void>> writev(std::span<buffer> list) {
    for (buffer& one : list) one.clear();
    co_return coflow::success;
  }
  task<> shutdown(shutdown_mode) { co_return; }
  task<> close() { return closing(closed_); }

 private:
  static task<coflow::read_result> reading(std::shared_ptr<support::gate> at) {
    co_await at->pass();
    co_return coflow::error::closed;
  }
  static task<> closing(std::shared_ptr<support::gate> at) {
    at->open();
    co_return;
  }
  std::shared_ptr<support::gate> closed_;
};

static_assert(!coflow::ResettableFlow<stubborn_flow>);

task<> a_flow_without_cancellation_is_closed(bool by_stop) {
  stubborn_flow a;
  auto [b, server] = coflow::memory_pipe();
  proxy_result came_to;
  bool done = false;
  const auto join = [](stubborn_flow* one, memory_flow* other, proxy_result* out, bool* over) -> task<> {
    proxy_result result = co_await coflow::proxy(*one, *other, proxy_options().linger(1s));
    *out = std::move(result);
    *over = true;
  };
  task_scope scope;
  start(scope, join(&a, &b, &came_to, &done));
  co_await support::turns(3);
  if (by_stop) {
    scope.cancel();
  } else {
    co_await server.shutdown(shutdown_mode::write);
    const coflow::result<void> slept = co_await coflow::sleep_for(2s);
    support::expect_success(slept);
  }
  co_await support::turns(8);
  expect(done && came_to.end == (by_stop ? proxy_end::canceled : proxy_end::lingered), "it has ended");
  const coflow::read_result got = co_await server.read();
  support::expect_error(got, was_reset);
}

class throwing_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  task<coflow::read_result> read() {
    raise();
    co_return coflow::end_of_stream;
  }
  task<coflow::result<void>> write(buffer) { co_return coflow::success; }
  task<coflow::result<void>> writev(std::span<buffer>) { co_return coflow::success; }
  task<> shutdown(shutdown_mode) { co_return; }
  task<> close() { co_return; }

 private:
  static void raise() { throw std::runtime_error("from below"); }
};

task<> an_exception_comes_after_the_end() {
  throwing_flow a;
  auto [b, server] = coflow::memory_pipe();
  std::string caught;
  try {
    const proxy_result came_to = co_await coflow::proxy(a, b);
    expect(!came_to, "it does not get here");
  } catch (const std::runtime_error& thrown) {
    caught = thrown.what();
  }
  expect_same(caught, "from below");
  coflow::read_result got = co_await server.read();
  support::expect_error(got, was_reset);
  got = co_await b.read();
  support::expect_error(got, coflow::error::closed);
}

// ---- cost, and executors

task<> nothing_is_allocated_for_a_chunk() {
  scene<deep> s;
  task_scope scope;
  start(scope, join_them(&s));
  std::uint64_t before = 0;
  bool right = true;
  const buffer payload("payload");
  for (int i = 0; i < 200; ++i) {
    if (i == 40) before = support::allocation_count();
    auto* const from = i % 2 == 0 ? &s.client : &s.server;
    auto* const to = i % 2 == 0 ? &s.server : &s.client;
    const coflow::result<void> sent = co_await from->write(payload.share());
    const coflow::read_result got = co_await to->read();
    if (!sent || !got) right = false;
  }
  const std::uint64_t after = support::allocation_count();
  expect(right, "every message arrives");
#ifndef COFLOW_NO_POOL
  expect(after == before, "a chunk costs no allocation");
#endif
  static_cast<void>(after - before);
}

TEST_CASE("a proxy passes on both directions and both ends, in any order", "[proxy]") {
  for (const order which : {order::client_first, order::server_first, order::together}) {
    support::drive(both_ways_and_both_ends<plain>(which));
    support::drive(both_ways_and_both_ends<deep>(which));
  }
}

TEST_CASE("a side whose words cannot be delivered is told so", "[proxy]") {
  support::drive(nobody_is_left_to_hear());
  support::drive(a_refused_write_lets_the_rest_through(true));
  support::drive(a_refused_write_lets_the_rest_through(false));
}

TEST_CASE("a reset stays a reset, from either side at every stage, behind what had come before", "[proxy]") {
  for (const stage at : {stage::silent, stage::talking, stage::half_closed, stage::other_half_closed, stage::unread}) {
    for (const bool by_client : {true, false}) {
      support::drive(a_reset_is_passed_on<plain>(at, by_client));
      if (at != stage::unread) support::drive(a_reset_is_passed_on<deep>(at, by_client));
    }
  }
  support::drive(a_truncated_stream_stays_truncated());
}

TEST_CASE("a side that accepts early and cannot send is no clean end", "[proxy]") {
  using writer = coflow::buffered_writer<coflow::faulty_flow<memory_flow>>;
  support::drive(a_side_that_cannot_send_what_it_accepted<writer>([](writer below) { return below; }));
  support::drive(a_side_that_cannot_send_what_it_accepted<coflow::layered_flow<writer>>(
      [](writer below) { return coflow::layered_flow<writer>(std::move(below)); }));
}

TEST_CASE("a slow consumer holds the other side of a proxy up, in its direction alone", "[proxy]") {
  support::drive(a_slow_consumer_holds_the_other_side_up<plain>());
  support::drive(a_slow_consumer_holds_the_other_side_up<deep>());
}

TEST_CASE("one direction outlives the other for so long as it may", "[proxy]") {
  for (const bool in_time : {true, false}) {
    support::drive(the_other_direction_may_linger<plain>(in_time));
    support::drive(the_other_direction_may_linger<deep>(in_time));
  }
}

TEST_CASE("a proxy on which nothing moves is ended", "[proxy]") {
  support::drive(silence_is_limited());
  support::drive(a_slow_consumer_is_not_idle());
}

TEST_CASE("a proxy that is stopped or destroyed anywhere leaves no clean end behind a cut", "[proxy]") {
  CHECK(end_everywhere<plain>(true) > 0);
  CHECK(end_everywhere<deep>(true) > 0);
  end_everywhere<plain>(false);
  end_everywhere<deep>(false);
}

TEST_CASE("flows that know nothing of cancellation are closed", "[proxy]") {
  support::drive(a_flow_without_cancellation_is_closed(true));
  support::drive(a_flow_without_cancellation_is_closed(false));
}

TEST_CASE("what an operation throws comes out of a proxy when both flows are closed", "[proxy]") {
  support::drive(an_exception_comes_after_the_end());
}

TEST_CASE("a proxy allocates nothing for a chunk", "[proxy]") { support::drive(nothing_is_allocated_for_a_chunk()); }

TEST_CASE("a proxy whose executor goes away ends", "[proxy]") {
  scene<plain> s;
  {
    support::manual_executor gone;
    coflow::spawn(gone, join_them(&s));
    gone.run_until_idle();
  }
  CHECK(s.done);
  CHECK(s.came_to.end == proxy_end::failed);
  CHECK(s.came_to.failure == coflow::error::closed);
}

TEST_CASE("a proxy without an executor, or in a stopped task, closes both flows", "[proxy]") {
  scene<plain> s;
  auto job = support::job<void>::of(join_them(&s));
  job.started().run();
  REQUIRE(job.ended());
  CHECK(s.came_to.failure == coflow::error::no_executor);
  support::drive(expect_closed(&s));

  scene<deep> stopped;
  support::manual_executor on;
  auto late = support::job<void>::of(join_them(&stopped));
  late.request_stop();
  late.start(on);
  support::finish_job(on, late);
  CHECK(stopped.came_to.end == proxy_end::canceled);
  CHECK(stopped.came_to.forward.read_error == coflow::canceled());
  support::drive(on, expect_closed(&stopped));
}

}  // namespace
