/// \file
/// The laws of executors that are missing, ending or gone: everything is answered, and nothing crashes (O4).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- an executor that goes away completes what waits

/// What the tasks of one check share; each holds on to it, whatever becomes of the check.
struct stage_session {
  stage_session() noexcept {}
  flow_ends ends;
  reading reads[3];
  writing writes[3];
  shutting shut;
  std::vector<buffer> list;
  std::string text;
  std::string heard;
  std::optional<foreign> readers[2];
  std::optional<task_scope> scope;  // last: its children use all the others
};
using shared_session = std::shared_ptr<stage_session>;

inline task<> connect_session(law_run* run, shared_session session) {
  session->ends = co_await run->connect();
  session->text = pattern(run->more_than_fits());
}

// A flow belongs to the executor on which its first operation begins.
inline task<> greet(shared_session session) {
  writing hello;
  std::string heard;
  task_scope scope;
  start(scope, write_once(&session->ends.b, buffer("hello"), &hello));
  co_await read_up_to(&session->ends.a, 5, &heard);
  const bool sent = co_await until([&hello] { return hello.done; });
  expect(sent, "a first write ends", "it waits on");
  expect_same(heard, "hello");
}

// What is asked for in an executor that is going away is answered, too.
inline task<> read_to_the_end_and_beyond(checked_flow* flow, reading* waited, reading* later, writing* written) {
  read_result got = co_await flow->read();
  waited->got = std::move(got);
  waited->done = true;
  read_result again = co_await flow->read();
  later->got = std::move(again);
  later->done = true;
  const result<void> sent = co_await flow->write(buffer("late"));
  written->sent = sent;
  written->done = true;
}

inline task<> wait_for_everything(shared_session session) {
  stage_session& all = *session;
  for (int i = 0; i < 3; ++i) all.list.emplace_back("list");
  all.scope.emplace();
  start(*all.scope, read_to_the_end_and_beyond(&all.ends.a, &all.reads[0], &all.reads[1], &all.writes[2]));
  start(*all.scope, read_once(&all.ends.a, &all.reads[2]));
  start(*all.scope, write_once(&all.ends.a, buffer(all.text), &all.writes[0]));
  start(*all.scope, writev_once(&all.ends.a, all.list, &all.writes[1]));
  co_await turns();
  start(*all.scope, shutdown_once(&all.ends.a, shutdown_mode::write, &all.shut));
  co_await turns(3);
}

inline task<> ask_again(shared_session session) {
  for (checked_flow* flow : {&session->ends.a, &session->ends.b}) {
    const read_result got = co_await flow->read();
    expect_error(got, error::closed);
    const result<void> sent = co_await flow->write(buffer("x"));
    expect_error(sent, error::closed);
    co_await flow->shutdown(shutdown_mode::read_write);
    co_await flow->close();
  }
}

// Each operation by a coroutine that no executor runs: it ends at once, and gives this.
inline void expect_answers_abroad(checked_flow& flow, std::error_code wanted) {
  buffer list[2] = {buffer("two"), buffer("buffers")};
  reading read;
  writing write;
  writing listed;
  const foreign reader = flow->read_abroad(&read);
  const foreign writer = flow->write_abroad(buffer("x"), &write);
  const foreign lister = flow->writev_abroad(list, &listed);
  expect(read.done && write.done && listed.done, "without an executor an operation ends at once", "it waits");
  if (read.done) expect_error(read.got, wanted);
  if (write.done) expect_error(write.sent, wanted);
  if (listed.done) expect_error(listed.sent, wanted);
  expect_same(joined(list), "twobuffers");
}
inline void expect_ends_abroad(checked_flow& flow) {
  shutting shut;
  shutting closed;
  const foreign shutter = flow->shutdown_abroad(shutdown_mode::read_write, &shut);
  expect(shut.done, "a shutdown without an executor ends at once", "it waits");
  const foreign closer = flow->close_abroad(&closed);
  expect(closed.done, "a close without an executor ends at once", "it waits");
}

inline void an_executor_that_goes_away_completes_everything(law_stage& stage) {
  const auto session = std::make_shared<stage_session>();
  stage_session& all = *session;
  stage.run(connect_session(&stage, session));
  stage.run(greet(session));
  stage.run(wait_for_everything(session));
  expect(!all.reads[0].done && !all.reads[2].done && !all.writes[0].done && !all.writes[1].done && !all.shut.done,
         "everything waits while nobody reads and nobody writes", "an operation has ended");
  stage.end_executor();
  for (const reading& one : all.reads) {
    expect(one.done, "a read ends with its executor", "it waits for ever");
    if (one.done) expect_error(one.got, error::closed);
  }
  for (const writing& one : all.writes) {
    expect(one.done, "a write ends with its executor", "it waits for ever");
    if (one.done) expect_error(one.sent, error::closed);
  }
  expect(all.shut.done, "a shutdown ends with its executor", "it waits for ever");
  expect_same(joined(all.list), "listlistlist");
  // The flows have outlived their executor: there is none, and then another one.
  for (checked_flow* flow : {&all.ends.a, &all.ends.b}) {
    expect_answers_abroad(*flow, error::closed);
    expect_ends_abroad(*flow);
  }
  all.scope.reset();
  stage.begin_executor();
  stage.run(ask_again(session));
}

inline void a_flow_outlives_its_executor(law_stage& stage) {
  const auto session = std::make_shared<stage_session>();
  stage.run(connect_session(&stage, session));
  stage.run(greet(session));
  stage.end_executor();
  stage.begin_executor();
  stage.run(ask_again(session));
}

// ---- no executor

inline task<> converse(shared_session session) {
  stage_session& all = *session;
  task_scope scope;
  start(scope, write_once(&all.ends.a, buffer("now"), &all.writes[0]));
  co_await read_up_to(&all.ends.b, 3, &all.heard);
  const bool sent = co_await until([&all] { return all.writes[0].done; });
  expect(sent, "the write ends", "it waits on");
  expect_success(all.writes[0].sent);
  expect_same(all.heard, "now");
}
inline task<> drain_session(shared_session session) {
  read_result got = co_await drain(&session->ends.b, &session->heard);
  session->reads[0].got = std::move(got);
  session->reads[0].done = true;
}

inline void operations_without_an_executor(law_stage& stage) {
  const auto session = std::make_shared<stage_session>();
  stage.run(connect_session(&stage, session));
  for (int i = 0; i < 2; ++i) expect_answers_abroad(session->ends.a, error::no_executor);
  // That was no verdict on the flow, nor is it later.
  stage.run(converse(session));
  expect_answers_abroad(session->ends.a, error::no_executor);
  session->heard.clear();
  stage.run(converse(session));
  // Ending needs no executor.
  expect_ends_abroad(session->ends.a);
  expect_answers_abroad(session->ends.a, error::closed);
  session->heard.clear();
  stage.run(drain_session(session));
  expect(session->heard.empty(), "the peer reads nothing that was not written",
         std::to_string(session->heard.size()) + " bytes");
  if (stage.has(need::clean_destruction)) expect_eof(session->reads[0].got);
}

inline task<> write_session(shared_session session) {
  const result<void> sent = co_await session->ends.a.write(buffer(session->text));
  session->writes[0].sent = sent;
  session->writes[0].done = true;
}

// A shutdown that has writes to wait for, where there is no executor to wait on.
inline void a_draining_shutdown_without_an_executor(law_stage& stage) {
  const auto session = std::make_shared<stage_session>();
  stage.run(connect_session(&stage, session));
  stage.start(write_session(session));
  stage.run(turns(3));
  expect(!session->writes[0].done, "a large write waits while nobody reads", "it ended");
  shutting shut;
  const foreign shutter = session->ends.a->shutdown_abroad(shutdown_mode::write, &shut);
  expect(shut.done, "a shutdown without an executor does not wait", "it waits");
  stage.run(drain_session(session));
  expect_same(session->heard, session->text);
  expect_eof(session->reads[0].got);
  stage.run(turns(3));
  expect(session->writes[0].done, "the queued write goes out", "it waits on");
  expect_success(session->writes[0].sent);
}

// ---- between two turns

inline task<> read_on_both_ends(shared_session session) {
  session->readers[0].emplace(session->ends.a->read_abroad(&session->reads[0]));
  session->readers[1].emplace(session->ends.b->read_abroad(&session->reads[1]));
  co_await turns(3);
}

// Whoever drives an executor by hand may end flows between two turns. What waits gets its verdict in the next turn, or
// dies before that, or the executor goes first.
inline void flows_may_end_between_two_turns(law_stage& stage) {
  for (unsigned step = 0; step < 16; ++step) {
    const bool end_a = (step & 1) != 0;
    const bool end_b = (step & 2) != 0;
    const bool coroutines_die = (step & 4) != 0;
    const bool turn = (step & 8) != 0;
    std::string when;
    if (end_a) when += "one flow is destroyed, ";
    if (end_b) when += "the other flow is destroyed, ";
    if (coroutines_die) when += "the reading coroutines are destroyed, ";
    if (turn) when += "the executor makes a turn, ";
    when += "the executor is destroyed";
    const auto session = std::make_shared<stage_session>();
    reading& at_a = session->reads[0];
    reading& at_b = session->reads[1];
    stage.begin_executor();
    stage.run(connect_session(&stage, session));
    stage.run(read_on_both_ends(session));
    expect(!at_a.done && !at_b.done, "reads wait while nobody writes", "one ended");
    if (end_a) session->ends.a.destroy();
    if (end_b) session->ends.b.destroy();
    expect(!at_a.done && !at_b.done, "nobody is resumed inline by a destruction between two turns", when);
    if (coroutines_die)
      for (auto& one : session->readers) one.reset();
    if (turn) stage.run(turns(5));
    stage.end_executor();
    if (coroutines_die) {
      expect(!at_a.done && !at_b.done, "dead coroutines do not go on", when);
      continue;
    }
    expect(at_a.done && at_b.done, "every read has ended in the end", when + "; one waits for ever");
    expect(!at_a.got.has_data() && !at_b.got.has_data(), "reads get nothing that was not written", when);
    if (end_a) expect_error(at_a.got, error::closed);
    if (end_b) expect_error(at_b.got, error::closed);
  }
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> executor_end_laws() noexcept {
  static constexpr law all[] = {
      {"O4", "an executor that is destroyed completes everything that waits with closed", nullptr,
       an_executor_that_goes_away_completes_everything, need::back_pressure},
      {"O4", "an idle flow that outlives its executor answers closed", nullptr, a_flow_outlives_its_executor},
      {"O4", "an operation without an executor gives no_executor and leaves the flow as it was", nullptr,
       operations_without_an_executor},
      {"O4", "a shutdown without an executor does not wait, and the half drains", nullptr,
       a_draining_shutdown_without_an_executor, need::back_pressure | need::clean_destruction},
      {"O4", "flows, their coroutines and their executor may end between two turns, in any combination", nullptr,
       flows_may_end_between_two_turns},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
