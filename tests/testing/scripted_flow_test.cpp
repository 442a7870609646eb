// What a scripted flow promises: the script's bytes, in its order, and a failure for whatever departs from it.
#include <coflow/async/task_scope.hpp>
#include <coflow/core.hpp>
#include <coflow/testing/scripted_flow.hpp>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using coflow::buffer;
using coflow::flow_script;
using coflow::read_result;
using coflow::result;
using coflow::script_gate;
using coflow::scripted_flow;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using support::yield_turn;

static_assert(coflow::check_flow_shape<scripted_flow>());

// ---- programs that use a flow and write down what they get

std::string text_of(const read_result& got) {
  if (got.eof()) return "eof";
  if (got.failed()) return got.error().message();
  return std::string(got->text());
}
std::string text_of(const result<void>& sent) { return sent ? "sent" : sent.error().message(); }

struct log_of_results {
  std::vector<std::string> reads;
  std::vector<std::string> writes;
};

task<> read_times(scripted_flow* flow, int count, log_of_results* out) {
  for (int i = 0; i < count; ++i) {
    const read_result got = co_await flow->read();
    out->reads.push_back(text_of(got));
  }
}
task<> write_text(scripted_flow* flow, std::string text, log_of_results* out) {
  const result<void> sent = co_await flow->write(buffer(text));
  out->writes.push_back(text_of(sent));
}
task<> ask_and_answer(scripted_flow* flow, log_of_results* out) {
  co_await read_times(flow, 1, out);
  co_await write_text(flow, "USER me\r\n", out);
  co_await write_text(flow, "QUIT\r\n", out);
  co_await flow->shutdown(shutdown_mode::write);
  co_await read_times(flow, 3, out);
  co_await flow->close();
}

using texts = std::vector<std::string>;
const std::string departed = std::make_error_code(std::errc::protocol_error).message();

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a program that keeps to the script has no failures", "[scripted_flow]") {
  flow_script script;
  script.gives("hello\r\n").takes("USER me\r\nQUIT\r\n").expects_shutdown(shutdown_mode::write);
  script.gives_in_chunks("bye", 2).gives_eof().expects_close();
  log_of_results log;
  {
    scripted_flow flow(script);
    support::drive(ask_and_answer(&flow, &log));
  }
  CHECK(script.failures() == "");
  CHECK(log.reads == texts{"hello\r\n", "by", "e", "eof"});
  CHECK(log.writes == texts{"sent", "sent"});
  CHECK(script.trace() ==
        "gives \"hello\\r\\n\"\n"
        "takes \"USER me\\r\\n\"\n"
        "takes \"QUIT\\r\\n\"\n"
        "shutdown(write)\n"
        "gives \"by\"\n"
        "gives \"e\"\n"
        "gives eof\n"
        "close\n"
        "the flow is let go\n");
}

TEST_CASE("a wrong byte is a failure that shows what went before", "[scripted_flow]") {
  flow_script script;
  script.gives("hello\r\n").takes("USER me\r\nKILL\r\n").gives("never");
  log_of_results log;
  {
    scripted_flow flow(script);
    support::drive(ask_and_answer(&flow, &log));
  }
  CHECK(log.writes == texts{"sent", departed});
  const std::string failures = script.failures();
  CHECK(contains(failures, "a write of \"QUIT\\r\\n\", where it takes \"KILL\\r\\n\"\n"));
  CHECK(contains(failures, "not reached: gives \"never\"\n"));
  CHECK(contains(failures, "what happened:\ngives \"hello\\r\\n\"\ntakes \"USER me\\r\\n\"\nNOT IN THE SCRIPT: "));
}

TEST_CASE("what the script does not foresee is a failure, and final for its half", "[scripted_flow]") {
  flow_script script;
  script.takes("abc");
  log_of_results log;
  support::manual_executor on;
  {
    scripted_flow flow(script);
    SECTION("a read") {
      support::drive(on, read_times(&flow, 2, &log));
      support::drive(on, write_text(&flow, "abc", &log));
      CHECK(log.reads == texts{departed, departed});
      CHECK(log.writes == texts{"sent"});
      CHECK(contains(script.failures(), "a read, after all that the script gives\n"));
    }
    SECTION("a write") {
      support::drive(on, write_text(&flow, "abcd", &log));
      support::drive(on, write_text(&flow, "e", &log));
      CHECK(log.writes == texts{departed, departed});
      CHECK(contains(script.failures(), "a write of \"d\", after all that the script takes\n"));
    }
  }
  CHECK(script.failures().find("not reached") == std::string::npos);
}

namespace {

task<> shut_and_close(scripted_flow* flow, shutdown_mode mode) {
  co_await flow->shutdown(mode);
  co_await flow->shutdown(mode);
  co_await flow->close();
  co_await flow->close();
}

}  // namespace

TEST_CASE("a shutdown is a failure where the script has none, and missed where it has one", "[scripted_flow]") {
  {
    flow_script script;
    {
      scripted_flow flow(script);
      support::drive(shut_and_close(&flow, shutdown_mode::read));
    }
    CHECK(script.trace() == "shutdown(read)\nNOT IN THE SCRIPT: shutdown(read)\nclose\nthe flow is let go\n");
    CHECK(contains(script.failures(), "shutdown(read)\nwhat happened:\n"));
  }
  {
    flow_script script;
    script.expects_shutdown(shutdown_mode::read_write).expects_close();
    {
      scripted_flow flow(script);
      support::drive(shut_and_close(&flow, shutdown_mode::read_write));
    }
    CHECK(script.failures() == "");
  }
  {
    flow_script script;
    script.takes("first").expects_shutdown(shutdown_mode::write);
    {
      scripted_flow flow(script);
      support::drive(shut_and_close(&flow, shutdown_mode::write));
    }
    CHECK(contains(script.failures(), "shutdown(write), before what stands in front of it\n"));
    CHECK(contains(script.failures(), "not reached: takes \"first\"\n"));
  }
}

TEST_CASE("a scripted flow that is only destroyed was not closed", "[scripted_flow]") {
  flow_script script;
  script.expects_close();
  {
    scripted_flow flow(script);
  }
  CHECK(script.failures() == "not reached: expects close\nwhat happened:\nthe flow is let go\n");
}

namespace {

task<> wait_at_a_gate(scripted_flow* flow, script_gate* gate, log_of_results* log) {
  task_scope scope;
  scope.spawn(read_times(flow, 2, log)).value();
  scope.spawn(write_text(flow, "abcdef", log)).value();
  for (int i = 0; i < 5; ++i) co_await yield_turn();
  CHECK(log->reads == texts{});
  CHECK(log->writes == texts{});
  gate->open();
  CHECK(log->writes == texts{});
  const result<void> joined = co_await scope.join();
  CHECK(joined);
}

}  // namespace

TEST_CASE("a gate holds reads and writes up until it is opened", "[scripted_flow]") {
  script_gate gate;
  flow_script script;
  script.takes(std::size_t{2}).waits_at(gate).takes("cdef").gives("after").gives_eof();
  log_of_results log;
  {
    scripted_flow flow(script);
    support::drive(wait_at_a_gate(&flow, &gate, &log));
  }
  CHECK(gate.is_open());
  CHECK(script.failures() == "");
  CHECK(log.reads == texts{"after", "eof"});
  CHECK(log.writes == texts{"sent"});
  CHECK(script.trace() == "takes \"ab\"\ntakes \"cdef\"\ngives \"after\"\ngives eof\nthe flow is let go\n");
}

TEST_CASE("reads wait for the writes that stand before them", "[scripted_flow]") {
  flow_script script;
  script.takes("question").gives("answer");
  log_of_results log;
  {
    scripted_flow flow(script);
    support::manual_executor on;
    auto reader = support::job<void>::of(read_times(&flow, 1, &log));
    reader.start(on);
    on.run_until_idle();
    CHECK(log.reads.empty());
    support::drive(on, write_text(&flow, "ques", &log));
    on.run_until_idle();
    CHECK(log.reads.empty());
    support::drive(on, write_text(&flow, "tion", &log));
    on.run_until_idle();
    CHECK(log.reads == texts{"answer"});
  }
  CHECK(script.failures() == "");
}

TEST_CASE("a script gives errors and refuses writes", "[scripted_flow]") {
  const std::error_code no_space = std::make_error_code(std::errc::no_space_on_device);
  const std::error_code broken = std::make_error_code(std::errc::io_error);
  flow_script script;
  script.gives("data").gives_error(broken).takes("abc").refuses(no_space);
  log_of_results log;
  {
    scripted_flow flow(script);
    support::manual_executor on;
    support::drive(on, read_times(&flow, 3, &log));
    support::drive(on, write_text(&flow, "abcdef", &log));
    support::drive(on, write_text(&flow, "more", &log));
  }
  CHECK(log.reads == texts{"data", broken.message(), broken.message()});
  CHECK(log.writes == texts{no_space.message(), no_space.message()});
  CHECK(script.failures() == "");
}

TEST_CASE("a reset in a script fails both halves", "[scripted_flow]") {
  const std::error_code reset = std::make_error_code(std::errc::connection_reset);
  flow_script script;
  log_of_results log;
  SECTION("seen by a read") {
    script.gives_error(reset);
    scripted_flow flow(script);
    support::manual_executor on;
    support::drive(on, read_times(&flow, 1, &log));
    support::drive(on, write_text(&flow, "x", &log));
  }
  SECTION("seen by a write, with bytes to read and a reader behind them") {
    script.gives("data").stays_silent().refuses(reset);
    scripted_flow flow(script);
    support::manual_executor on;
    auto reader = support::job<void>::of(read_times(&flow, 2, &log));
    reader.start(on);
    on.run_until_idle();
    CHECK(log.reads == texts{"data"});
    log.reads.clear();
    support::drive(on, write_text(&flow, "x", &log));
    on.run_until_idle();
    CHECK(reader.ended());
  }
  CHECK(log.reads == texts{reset.message()});
  CHECK(log.writes == texts{reset.message()});
  CHECK(script.failures() == "");
}

namespace {

struct torn {
  result<void> first;
  result<void> second;
  std::size_t left = 0;
};

task<> write_list(scripted_flow* flow, std::vector<buffer>* list, torn* out) {
  out->first = co_await flow->writev(*list);
  out->left = 0;
  for (const buffer& one : *list) out->left += one.size();
}
task<> tear(scripted_flow* flow, torn* out) {
  std::vector<buffer> list;
  list.emplace_back("ab");
  list.emplace_back("cdef");
  task_scope scope;
  scope.spawn(write_list(flow, &list, out)).value();
  for (int i = 0; i < 2; ++i) co_await yield_turn();
  scope.cancel();
  const result<void> joined = co_await scope.join();
  CHECK(joined);
  out->second = co_await flow->write(buffer("g"));
  co_await flow->shutdown(shutdown_mode::write);
}

}  // namespace

TEST_CASE("a scripted write that is cancelled half-way is torn", "[scripted_flow]") {
  flow_script script;
  script.takes_in_chunks("abcdef", 1);
  torn came_to;
  {
    scripted_flow flow(script);
    support::drive(tear(&flow, &came_to));
  }
  CHECK(came_to.first.error() == coflow::canceled());
  CHECK(came_to.second.error() == coflow::error::torn_write);
  CHECK(came_to.left > 0);
  CHECK(came_to.left < 6);
  CHECK(contains(script.trace(), "the connection is broken off\n"));
  CHECK(!contains(script.trace(), "shutdown"));
}

namespace {

task<> cancel_a_read(scripted_flow* flow, script_gate* gate, log_of_results* log) {
  task_scope scope;
  scope.spawn(read_times(flow, 1, log)).value();
  for (int i = 0; i < 2; ++i) co_await yield_turn();
  scope.cancel();
  gate->open();
  const result<void> joined = co_await scope.join();
  CHECK(joined);
  co_await read_times(flow, 2, log);
}

}  // namespace

TEST_CASE("a scripted read that is cancelled loses nothing", "[scripted_flow]") {
  script_gate gate;
  flow_script script;
  script.waits_at(gate).gives("kept").gives_eof();
  log_of_results log;
  {
    scripted_flow flow(script);
    support::drive(cancel_a_read(&flow, &gate, &log));
  }
  CHECK(log.reads == texts{coflow::canceled().message(), "kept", "eof"});
  CHECK(script.failures() == "");
}

TEST_CASE("a scripted flow that goes away leaves nobody waiting", "[scripted_flow]") {
  const std::string closed = coflow::make_error_code(coflow::error::closed).message();
  script_gate gate;
  flow_script script;
  script.waits_at(gate).gives("never").takes("never").stays_silent();
  log_of_results log;
  auto on = std::make_unique<support::manual_executor>();
  auto flow = std::make_unique<scripted_flow>(script);
  auto reader = support::job<void>::of(read_times(flow.get(), 1, &log));
  auto writer = support::job<void>::of(write_text(flow.get(), "never", &log));
  reader.start(*on);
  writer.start(*on);
  on->run_until_idle();
  SECTION("the flow first") {
    {
      const coflow::executor::entry current(*on);
      flow.reset();
    }
    CHECK(log.reads.empty());
    on->run_until_idle();
  }
  SECTION("the executor first") { on.reset(); }
  CHECK(log.reads == texts{closed});
  CHECK(log.writes == texts{closed});
  flow.reset();
  gate.open();
  CHECK(contains(script.failures(), "not reached: gives \"never\"\n"));
}

TEST_CASE("a script takes everything, and shows bytes that are no text", "[scripted_flow]") {
  flow_script script;
  script.takes_all().gives("after");
  log_of_results log;
  {
    scripted_flow flow(script);
    support::manual_executor on;
    support::drive(on, read_times(&flow, 1, &log));
    support::drive(on, write_text(&flow, std::string("\0\x7f\n\"\\", 5), &log));
    support::drive(on, write_text(&flow, std::string(100, 'x'), &log));
  }
  CHECK(script.failures() == "");
  CHECK(log.reads == texts{"after"});
  CHECK(contains(script.trace(), "takes \"\\x00\\x7f\\n\\\"\\\\\"\n"));
  CHECK(contains(script.trace(), "takes \"" + std::string(60, 'x') + "\"...\n"));
}
