/// \file
/// The laws of stopping: a cancelled operation says so, a stop is a level and no verdict, and it keeps nobody from
/// ending a flow (X0). What becomes of a cancelled read or write is in the headers named after them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- X0: a cancelled operation says so, and stop is a level

struct stopped_session {
  stopped_session() noexcept {}
  bool ran = false;
  bool at_once = false;
  read_result read;
  result<void> written;
  result<void> listed;
  std::size_t left = 0;
};

inline task<> try_everything(checked_flow* flow, stopped_session* out) {
  turn_mark mark;
  buffer list[2] = {buffer("two"), buffer("buffers")};
  read_result got = co_await flow->read();
  out->read = std::move(got);
  const result<void> written = co_await flow->write(buffer("one"));
  out->written = written;
  const result<void> listed = co_await flow->writev(list);
  out->listed = listed;
  out->left = list[0].size() + list[1].size();
  out->at_once = !mark.passed();
  out->ran = true;
}

inline void expect_canceled(const stopped_session& session) {
  expect(session.ran, "the operations of a stopped task end", "the task waits on");
  if (!session.ran) return;
  expect(session.at_once, "the operations of a stopped task end at once", "they let others run first");
  expect_error(session.read, canceled());
  expect_error(session.written, canceled());
  expect_error(session.listed, canceled());
  expect(session.left == 10, "a cancelled write leaves its buffers as they were", "some bytes are gone");
}

// Bytes are there, and there is room; a stopped task gets neither.
inline task<> operations_of_a_stopped_task_are_cancelled(law_run& run) {
  flow_ends ends = co_await run.connect();
  stopped_session session;
  writing ready;
  writing answer;
  std::string heard;
  task_scope others;
  task_scope scope;
  start(others, write_once(&ends.b, buffer("ready"), &ready));
  co_await arrived(&ends.a, 5);
  start(scope, try_everything(&ends.a, &session));
  scope.cancel();
  static_cast<void>(co_await promptly([&session] { return session.ran; }));
  expect_canceled(session);
  // Nothing was latched, and nothing was lost.
  co_await read_up_to(&ends.a, 5, &heard);
  expect_same(heard, "ready");
  start(others, write_once(&ends.a, buffer("answer"), &answer));
  heard.clear();
  co_await read_up_to(&ends.b, 6, &heard);
  expect_same(heard, "answer");
}

inline task<> shut_down_and_close(checked_flow* flow, bool close, bool* done) {
  co_await flow->shutdown(shutdown_mode::read_write);
  if (close) co_await flow->close();
  *done = true;
}

inline task<> stop_does_not_prevent_an_end(law_run& run, bool close) {
  flow_ends ends = co_await run.connect();
  writing before;
  bool done = false;
  std::string all;
  reading last;
  task_scope others;
  task_scope scope;
  start(others, write_once(&ends.a, buffer("before"), &before));
  start(others, drain_once(&ends.b, &all, &last));
  const bool sent = co_await until([&] { return before.done && all.size() == 6; });
  expect(sent, "the bytes arrive");
  scope.cancel();
  start(scope, shut_down_and_close(&ends.a, close, &done));
  const bool over = co_await until([&] { return done && last.done; });
  expect(done, "a stopped task can end a flow", "it waits for ever");
  expect(last.done, "the peer comes to the end", "its read waits on");
  if (!over) co_return;
  expect_eof(last.got);
  expect_same(all, "before");
  const read_result got = co_await ends.a.read();
  if (close)
    expect_error(got, error::closed);
  else
    expect_eof(got);
  const result<void> late = co_await ends.a.write(buffer("late"));
  expect_error(late, error::closed);
}

// Writes are queued when a stopped task shuts the half down, or when a task that waits in its shutdown is stopped or
// destroyed: the half is shut all the same, and they go out.
enum class end_of_wait { stopped_before, stopped_while_waiting, destroyed_while_waiting };

inline task<> an_unwanted_shutdown_keeps_draining(law_run& run, end_of_wait how) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  writing written;
  shutting shut;
  std::string all;
  task_scope scope;
  auto stopped = std::make_unique<task_scope>();
  start(scope, write_once(&ends.a, buffer(text), &written));
  co_await turns(2);
  if (how == end_of_wait::stopped_before) stopped->cancel();
  start(*stopped, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  co_await turns();
  if (how == end_of_wait::stopped_while_waiting) stopped->cancel();
  if (how == end_of_wait::destroyed_while_waiting) stopped.reset();
  co_await turns();
  expect(!written.done, "a queued write waits on", in_words(written.sent));
  const result<void> late = co_await ends.a.write(buffer("late"));
  expect_error(late, error::closed);
  const read_result last = co_await drain(&ends.b, &all);
  expect_eof(last);
  expect_same(all, text);
  const bool over =
      co_await until([&] { return written.done && (shut.done || how == end_of_wait::destroyed_while_waiting); });
  expect(over, "the write and the shutdown end", "one of them waits on");
  expect_success(written.sent);
}

inline task<> read_four_times(checked_flow* flow, std::vector<read_result>* out) {
  for (int i = 0; i < 4; ++i) {
    read_result got = co_await flow->read();
    out->push_back(std::move(got));
  }
}

inline task<> stop_is_a_level(law_run& run) {
  flow_ends ends = co_await run.connect();
  std::vector<read_result> log;
  writing kept;
  std::string heard;
  task_scope others;
  task_scope scope;
  start(scope, read_four_times(&ends.a, &log));
  co_await turns(2);
  expect(log.empty(), "a read waits while nobody writes", "it ended");
  scope.cancel();
  expect(log.empty(), "stop resumes nobody inline", "a read ended inside the request");
  static_cast<void>(co_await promptly([&log] { return log.size() == 4; }));
  expect(log.size() == 4, "a stop ends the read that waits and all later ones of the task, promptly",
         std::to_string(log.size()) + " of 4 reads ended");
  for (const read_result& one : log) expect_error(one, canceled());
  start(others, write_once(&ends.b, buffer("kept"), &kept));
  co_await read_up_to(&ends.a, 4, &heard);
  expect_same(heard, "kept");
}

// A verdict that is known is still not given to a stopped task; afterwards it is as it was.
inline task<> stop_hides_a_verdict(law_run& run, bool reset) {
  flow_ends ends = co_await run.connect();
  if (reset)
    ends.b->reset();
  else
    co_await ends.b.shutdown(shutdown_mode::write);
  read_result got = co_await ends.a.read();
  if (reset)
    expect_reset(got);
  else
    expect_eof(got);
  stopped_session session;
  task_scope scope;
  scope.cancel();
  start(scope, try_everything(&ends.a, &session));
  static_cast<void>(co_await promptly([&session] { return session.ran; }));
  expect_canceled(session);
  got = co_await ends.a.read();
  if (!reset) {
    expect_eof(got);
    co_return;
  }
  expect_reset(got);
  const result<void> sent = co_await ends.a.write(buffer("x"));
  expect_reset(sent);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> cancellation_laws() noexcept {
  static constexpr need stop = need::cancellation;
  static constexpr law all[] = {
      {"X0", "operations of a stopped task are cancelled at once and change nothing",
       operations_of_a_stopped_task_are_cancelled, nullptr, stop},
      {"X0", "stop prevents no shutdown", [](law_run& run) { return stop_does_not_prevent_an_end(run, false); },
       nullptr, stop},
      {"X0", "stop prevents no close", [](law_run& run) { return stop_does_not_prevent_an_end(run, true); }, nullptr,
       stop},
      {"X0", "a shutdown in a stopped task lets queued writes go out",
       [](law_run& run) { return an_unwanted_shutdown_keeps_draining(run, end_of_wait::stopped_before); }, nullptr,
       stop | need::back_pressure},
      {"X0", "a shutdown that is stopped while it waits lets queued writes go out",
       [](law_run& run) { return an_unwanted_shutdown_keeps_draining(run, end_of_wait::stopped_while_waiting); },
       nullptr, stop | need::back_pressure},
      {"S3", "a shutdown that is destroyed while it waits lets queued writes go out",
       [](law_run& run) { return an_unwanted_shutdown_keeps_draining(run, end_of_wait::destroyed_while_waiting); },
       nullptr, need::back_pressure},
      {"X0", "stop is a level: it ends later operations too", stop_is_a_level, nullptr, stop},
      {"X0", "stop hides an eof and does not change it", [](law_run& run) { return stop_hides_a_verdict(run, false); },
       nullptr, stop},
      {"X0", "stop hides a reset and does not change it", [](law_run& run) { return stop_hides_a_verdict(run, true); },
       nullptr, stop | need::reset},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
