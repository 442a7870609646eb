// Callables that turn on their flow: they close it, destroy it, or end the operation that they are called for.
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/plant.hpp"

namespace {

using coflow::buffer;
using coflow::function_flow;
using coflow::no_function;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::gate;
using support::ignore;
using support::no_data;
using support::plant;
using support::plant_reader;
using support::plant_writer;
using support::read_once;
using support::reading;
using support::shutdown_once;
using support::start;
using support::turns;
using support::write_once;
using support::writing;
using support::yield_turn;

struct hooks {
  void (*at_read)(hooks&) = nullptr;
  void (*at_write)(hooks&) = nullptr;
  bool later = false;
  int calls = 0;
  struct read_hook;
  struct write_hook;
  std::unique_ptr<function_flow<read_hook, write_hook>> flow;
  std::optional<support::job<void>> victim;
};
struct hooks::read_hook {
  hooks* of;
  task<read_result> operator()() const { return run(of); }
  static task<read_result> run(hooks* of) {
    if (of->later) co_await yield_turn();
    ++of->calls;
    if (of->at_read != nullptr) of->at_read(*of);
    co_return buffer("data");
  }
};
struct hooks::write_hook {
  hooks* of;
  task<result<void>> operator()(buffer) const { return run(of); }
  static task<result<void>> run(hooks* of) {
    if (of->later) co_await yield_turn();
    ++of->calls;
    if (of->at_write != nullptr) of->at_write(*of);
    co_return coflow::success;
  }
};
void make(hooks& of) {
  of.flow = std::make_unique<function_flow<hooks::read_hook, hooks::write_hook>>(hooks::read_hook{&of},
                                                                                 hooks::write_hook{&of});
}
task<> close_it(hooks* of) { co_await of->flow->close(); }

// A close from inside a call, by a coroutine of its own.
void run_close(hooks& of) {
  auto closer = support::job<void>::of(close_it(&of));
  closer.started().run();
  expect(closer.ended(), "a close does not wait");
}

task<> a_call_closes_the_flow(bool later, bool waited) {
  hooks of;
  of.later = later;
  of.at_read = &run_close;
  of.at_write = &run_close;
  make(of);
  reading got[2];
  task_scope scope;
  if (waited) {
    // The first read is told to try again in a turn of its own, and calls then.
    for (int i = 0; i < 64; ++i) static_cast<void>(coflow::executor::current()->take_turn());
    auto first = support::job<void>::of(read_once(&*of.flow, &got[0]));
    first.started().run();
    expect(of.calls == 0, "the read waits for its turn");
    co_await turns(4);
    expect(first.ended(), "the read ends");
  } else {
    start(scope, read_once(&*of.flow, &got[0]));
  }
  start(scope, read_once(&*of.flow, &got[1]));
  co_await turns(6);
  expect(got[0].done && got[1].done, "the reads end");
  support::expect_error(got[0].got, coflow::error::closed);
  support::expect_error(got[1].got, coflow::error::closed);
  expect(of.calls == 1, "nothing is called after the close");
}
task<> a_writing_call_closes_the_flow(bool later, bool waited) {
  hooks of;
  of.later = later;
  of.at_write = &run_close;
  make(of);
  writing sent[2];
  task_scope scope;
  if (waited) {
    for (int i = 0; i < 64; ++i) static_cast<void>(coflow::executor::current()->take_turn());
    auto first = support::job<void>::of(write_once(&*of.flow, buffer("x"), &sent[0]));
    first.started().run();
    expect(of.calls == 0, "the write waits for its turn");
    co_await turns(4);
    expect(first.ended(), "the write ends");
  } else {
    start(scope, write_once(&*of.flow, buffer("x"), &sent[0]));
  }
  start(scope, write_once(&*of.flow, buffer("y"), &sent[1]));
  co_await turns(6);
  expect(sent[0].done && sent[1].done, "the writes end");
  support::expect_error(sent[0].sent, coflow::error::closed);
  support::expect_error(sent[1].sent, coflow::error::closed);
}
TEST_CASE("a callable may close its flow", "[function_flow_reentry]") {
  SECTION("reading, at once") { support::drive(a_call_closes_the_flow(false, false)); }
  SECTION("reading, at once, for a read that has waited") { support::drive(a_call_closes_the_flow(false, true)); }
  SECTION("reading, later") { support::drive(a_call_closes_the_flow(true, false)); }
  SECTION("writing, at once") { support::drive(a_writing_call_closes_the_flow(false, false)); }
  SECTION("writing, at once, for a write that has waited") {
    support::drive(a_writing_call_closes_the_flow(false, true));
  }
  SECTION("writing, later") { support::drive(a_writing_call_closes_the_flow(true, false)); }
}

void destroy_flow(hooks& of) { of.flow.reset(); }
task<> a_call_destroys_the_flow(bool write) {
  hooks of;
  of.at_read = &destroy_flow;
  of.at_write = &destroy_flow;
  make(of);
  if (write) {
    const result<void> sent = co_await of.flow->write(buffer("x"));
    support::expect_error(sent, coflow::error::closed);
  } else {
    const read_result got = co_await of.flow->read();
    support::expect_error(got, coflow::error::closed);
  }
  expect(of.flow == nullptr, "the flow is gone");
  co_await turns(2);
}
TEST_CASE("a callable may destroy its flow while it is being called", "[function_flow_reentry]") {
  SECTION("reading") { support::drive(a_call_destroys_the_flow(false)); }
  SECTION("writing") { support::drive(a_call_destroys_the_flow(true)); }
}

task<> a_closing_call_destroys_the_flow() {
  int calls = 0;
  struct closer {
    void operator()() const {
      ++*calls;
      drop(owner);
    }
    int* calls;
    void* owner;
    void (*drop)(void*);
  };
  using flow_type = function_flow<decltype(&no_data), decltype(&ignore), no_function, closer>;
  std::unique_ptr<flow_type> flow;
  const auto drop = [](void* owner) { static_cast<std::unique_ptr<flow_type>*>(owner)->reset(); };
  const closer close{&calls, &flow, drop};
  flow = std::make_unique<flow_type>(&no_data, &ignore, no_function(), close);
  co_await flow->close();
  expect(flow == nullptr && calls == 1, "the flow is closed once, and gone");
}
TEST_CASE("a callable that closes may destroy its flow", "[function_flow_reentry]") {
  support::drive(a_closing_call_destroys_the_flow());
}

// The call of a write that nobody waits for any more ends, and the shutdown that it held up is due.
struct ended_by_shutdown {
  plant of;
  std::unique_ptr<function_flow<plant_reader, plant_writer, void (*)(shutdown_mode), no_function>> flow;
};
ended_by_shutdown* under_test = nullptr;
void destroy_under_test(shutdown_mode) { under_test->flow.reset(); }
task<> a_late_shutdown_call_destroys_the_flow() {
  ended_by_shutdown here;
  under_test = &here;
  gate writes;
  here.of.writing = &writes;
  here.flow = std::make_unique<function_flow<plant_reader, plant_writer, void (*)(shutdown_mode), no_function>>(
      plant_reader(&here.of), plant_writer(&here.of), &destroy_under_test);
  bool shut = false;
  task_scope scope;
  {
    writing lost;
    task_scope leaving;
    start(leaving, write_once(&*here.flow, buffer("x"), &lost));
    co_await turns(2);
    start(scope, shutdown_once(&*here.flow, shutdown_mode::write, &shut));
    co_await turns(2);
  }
  expect(here.flow != nullptr && !shut, "the end waits for the call");
  writes.open();
  co_await turns(4);
  support::expect_same(here.of.sent, "x");
  expect(here.flow == nullptr && shut, "the flow is gone and the shutdown has ended");
  under_test = nullptr;
}
TEST_CASE("a callable that shuts down may destroy its flow", "[function_flow_reentry]") {
  support::drive(a_late_shutdown_call_destroys_the_flow());
}

void destroy_victim(hooks& of) {
  if (of.victim) of.victim->destroy();
}
void stop_victim(hooks& of) {
  if (of.victim) of.victim->request_stop();
}
task<> a_call_ends_its_operation(bool write, bool stop) {
  hooks of;
  of.at_read = stop ? &stop_victim : &destroy_victim;
  of.at_write = of.at_read;
  make(of);
  reading got;
  writing sent;
  for (int i = 0; i < 64; ++i) static_cast<void>(coflow::executor::current()->take_turn());
  task<> body = write ? write_once(&*of.flow, buffer("x"), &sent) : read_once(&*of.flow, &got);
  of.victim.emplace(support::job<void>::of(std::move(body)));
  of.victim->started().run();
  expect(of.calls == 0, "the operation waits for its turn");
  co_await turns(4);
  expect(of.calls == 1, "it was called");
  if (stop && write) support::expect_success(sent.sent);  // it has gone through
  if (stop && !write) support::expect_error(got.got, coflow::canceled());
  if (!stop) expect(!got.done && !sent.done, "nobody is there to hear");
  of.at_read = nullptr;
  of.at_write = nullptr;
  if (!write) {
    const read_result next = co_await of.flow->read();
    support::expect_data(next, "data");
    expect(of.calls == 1, "what the call gave was kept");
  } else {
    const result<void> next = co_await of.flow->write(buffer("y"));
    support::expect_success(next);
  }
}
TEST_CASE("a callable may end the operation on whose behalf it is called", "[function_flow_reentry]") {
  SECTION("destroying a read") { support::drive(a_call_ends_its_operation(false, false)); }
  SECTION("destroying a write") { support::drive(a_call_ends_its_operation(true, false)); }
  SECTION("stopping a read") { support::drive(a_call_ends_its_operation(false, true)); }
  SECTION("stopping a write") { support::drive(a_call_ends_its_operation(true, true)); }
}

}  // namespace
