/// \file
/// The laws of operations and of what owns what: when an operation begins, and that flows may be moved, swapped and
/// destroyed under it (O1, O2, O3).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- O1: an operation begins when it is awaited

inline task<> operations_that_are_never_awaited_do_nothing(law_run& run) {
  flow_ends ends = co_await run.connect();
  writing unread;
  writing real;
  std::string heard;
  task_scope scope;
  co_await offer(&scope, &ends.b, "unread", &unread);
  if (unread.done) co_await arrived(&ends.a, 6);
  for (int i = 0; i < 3; ++i) {
    ends.a->begin_nothing();
    co_await turns();
  }
  co_await read_up_to(&ends.a, 6, &heard);
  expect_same(heard, "unread");
  start(scope, write_once(&ends.a, buffer("real"), &real));
  heard.clear();
  co_await read_up_to(&ends.b, 4, &heard);
  expect_same(heard, "real");
}

inline task<> write_in_reverse_once(checked_flow* flow, writing* out) {
  const result<void> sent = co_await (*flow)->write_in_reverse(buffer("second"), buffer("first "));
  out->sent = sent;
  out->done = true;
}

inline task<> operations_begin_in_the_order_in_which_they_are_awaited(law_run& run) {
  flow_ends ends = co_await run.connect();
  writing reversed;
  std::string heard;
  task_scope scope;
  start(scope, write_in_reverse_once(&ends.a, &reversed));
  co_await read_up_to(&ends.b, 12, &heard);
  expect_same(heard, "first second");
  const bool done = co_await until([&reversed] { return reversed.done; });
  expect(done, "both writes end", "one of them waits on");
  expect_success(reversed.sent);
  // Made before a close, begun after it.
  reading read;
  writing write;
  co_await ends.a->await_after_close(&read, &write);
  expect_error(read.got, error::closed);
  expect_error(write.sent, error::closed);
}

// The state changes at the call, before the operation first waits.
inline task<> an_operation_changes_the_state_before_it_waits(law_run& run) {
  flow_ends ends = co_await run.connect();
  writing blocked;
  shutting shut;
  shutting closed;
  task_scope scope;
  start(scope, write_once(&ends.a, buffer(std::string(run.more_than_fits(), 'b')), &blocked));
  co_await turns();
  {
    const foreign shutter = ends.a->shutdown_abroad(shutdown_mode::read_write, &shut);
    expect(!shut.done, "a shutdown waits for the write in progress", "it ended");
    turn_mark mark;
    const result<void> sent = co_await ends.a.write(buffer("late"));
    expect_error(sent, error::closed);
    const read_result got = co_await ends.a.read();
    expect_eof(got);
    expect(!mark.passed(), "a shutdown changes both halves at the call", "others ran first");
    const foreign closer = ends.a->close_abroad(&closed);
    turn_mark after;
    const read_result gone = co_await ends.a.read();
    expect_error(gone, error::closed);
    expect(!after.passed(), "a close changes the state at the call", "others ran first");
    const bool over = co_await until([&] { return closed.done && shut.done && blocked.done; });
    expect(over, "the shutdown, the close and the write end", "one of them waits on");
  }
  expect_error(blocked.sent, error::closed);
}

// ---- O2: a flow may be moved and destroyed while operations are pending

struct moving_session {
  moving_session() noexcept {}
  reading reads[2];
  writing writes[2];
  writing answers[3];
  shutting shut;
};

inline task<> a_flow_may_move_under_its_operations(law_run& run, bool far_away) {
  flow_ends ends = co_await run.connect();
  flow_ends others = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  moving_session session;
  std::string all;
  reading last;
  task_scope scope;
  for (reading& one : session.reads) start(scope, read_once(&ends.a, &one));
  start(scope, write_once(&ends.a, buffer(text), &session.writes[0]));
  start(scope, write_once(&ends.a, buffer("queued"), &session.writes[1]));
  co_await turns(2);
  ends.a->move_about();
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &session.shut));
  co_await turns();
  ends.a->move_about();
  if (far_away) {
    // Where it was there is another flow first, and then nothing.
    const bool swapped = ends.a->swap_with(*others.a);
    expect(swapped, "flows can be swapped");
    std::swap(ends.a, others.a);
    others.a.destroy();
  }
  const char* const pieces[] = {"1", "2", "3"};
  start(scope, write_once(&ends.b, buffer(pieces[0]), &session.answers[0]));
  const bool first = co_await until([&session] { return session.reads[0].done; });
  expect(first, "a pending read follows the flow that moves", "it waits on");
  start(scope, write_once(&ends.b, buffer(pieces[1]), &session.answers[1]));
  start(scope, drain_once(&ends.b, &all, &last));
  const bool over = co_await until([&] {
    return last.done && session.reads[1].done && session.writes[0].done && session.writes[1].done && session.shut.done;
  });
  expect(over, "everything that was pending follows the flow that moves", "something waits on");
  if (!over) co_return;
  expect_eof(last.got);
  expect_same(all, text + "queued");
  for (int i = 0; i < 2; ++i) {
    expect_data(session.reads[i].got, pieces[i]);
    expect_success(session.writes[i].sent);
  }
  start(scope, write_once(&ends.b, buffer(pieces[2]), &session.answers[2]));
  const read_result got = co_await ends.a.read();
  expect_data(got, pieces[2]);
}

inline task<> flows_may_be_swapped_under_their_operations(law_run& run) {
  flow_ends first = co_await run.connect();
  flow_ends second = co_await run.connect();
  reading one;
  reading two;
  task_scope scope;
  start(scope, read_once(&first.a, &one));
  start(scope, read_once(&second.a, &two));
  co_await turns();
  const bool swapped = first.a->swap_with(*second.a);
  expect(swapped, "flows can be swapped");
  result<void> sent = co_await first.b.write(buffer("1"));
  expect_success(sent);
  sent = co_await second.b.write(buffer("2"));
  expect_success(sent);
  const bool done = co_await until([&one, &two] { return one.done && two.done; });
  expect(done, "both reads end", "one of them waits on");
  if (!done) co_return;
  expect_data(one.got, "1");
  expect_data(two.got, "2");
  // The flows have changed places.
  co_await first.a.close();
  const read_result end = co_await second.b.read();
  expect_eof(end);
}

inline task<> both_ends_may_go_in_any_order(law_run& run, bool operations_first) {
  flow_ends ends = co_await run.connect();
  reading reads[2];
  writing writes[2];
  std::optional<task_scope> scope(std::in_place);
  start(*scope, read_once(&ends.a, &reads[0]));
  start(*scope, read_once(&ends.b, &reads[1]));
  co_await turns();
  start(*scope, write_once(&ends.a, buffer(std::string(run.more_than_fits(), 'a')), &writes[0]));
  start(*scope, write_once(&ends.b, buffer(std::string(run.more_than_fits(), 'b')), &writes[1]));
  // The reads take what the writes bring at once; then both writes wait.
  co_await turns(3);
  if (operations_first) scope.reset();
  ends.b.destroy();
  ends.a.destroy();
  if (operations_first) co_return;
  expect(!writes[0].done && !writes[1].done, "nobody is resumed inline by a destruction", "a write ended inside it");
  const bool done = co_await until([&] { return writes[0].done && writes[1].done; });
  expect(done, "the writes that wait end with their flows", "one of them waits on");
  if (!done) co_return;
  for (const writing& one : writes) expect(!one.sent, "a write whose flow is destroyed fails", in_words(one.sent));
}

// ---- coroutines of other types: no stop state, no task

inline task<> a_foreign_coroutine_can_use_a_flow(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading reads[2];
  writing write;
  shutting shut;
  const foreign first = ends.a->read_abroad(&reads[0]);
  const foreign second = ends.a->read_abroad(&reads[1]);
  expect(!reads[0].done, "a read waits while nobody writes", "it ended");
  const result<void> sent = co_await ends.b.write(buffer("d"));
  expect_success(sent);
  const bool served = co_await until([&reads] { return reads[0].done; });
  expect(served, "a foreign coroutine's read is served", "it waits on");
  expect_data(reads[0].got, "d");
  const std::string text = pattern(run.more_than_fits());
  const foreign third = ends.a->write_abroad(buffer(text), &write);
  const foreign fourth = ends.a->shutdown_abroad(shutdown_mode::write, &shut);
  expect(!write.done && !shut.done, "a large write waits while nobody reads, and a shutdown for it", "one ended");
  std::string all;
  const read_result last = co_await drain(&ends.b, &all);
  expect_eof(last);
  expect_same(all, text);
  const bool over = co_await until([&write, &shut] { return write.done && shut.done; });
  expect(over, "a foreign coroutine's write and shutdown end", "one of them waits on");
  expect_success(write.sent);
  co_await ends.a.close();
  const bool ended = co_await until([&reads] { return reads[1].done; });
  expect(ended, "a close ends a foreign coroutine's read", "it waits on");
  expect_error(reads[1].got, error::closed);
}

inline task<> a_foreign_coroutine_may_die_waiting(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading dead[2];
  reading alive;
  writing dead_write;
  {
    foreign first = ends.a->read_abroad(&dead[0]);
    const foreign living = ends.a->read_abroad(&alive);
    const result<void> sent = co_await ends.b.write(buffer("d"));
    expect_success(sent);
    if (!dead[0].done) {
      first.destroy();  // its bytes are there, it has not run
      const bool served = co_await until([&alive] { return alive.done; });
      expect(served, "the next read is served when a foreign coroutine dies", "it waits on");
      expect_data(alive.got, "d");
    }
    foreign second = ends.a->read_abroad(&dead[1]);
    foreign writer = ends.a->write_abroad(buffer(std::string(run.more_than_fits(), 'd')), &dead_write);
    co_await ends.a.close();
    if (dead[1].done || dead_write.done) co_return;
    second.destroy();  // its verdict is there, it has not run
    writer.destroy();
  }
  co_await turns(2);
  expect(!dead[1].done && !dead_write.done, "dead coroutines do not go on", "one did");
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> ownership_laws() noexcept {
  static constexpr need waits = need::back_pressure;
  static constexpr law all[] = {
      {"O1", "operations that are never awaited do nothing", operations_that_are_never_awaited_do_nothing},
      {"O1", "operations begin in the order in which they are awaited",
       operations_begin_in_the_order_in_which_they_are_awaited},
      {"O1", "an operation changes the state before it first waits", an_operation_changes_the_state_before_it_waits,
       nullptr, waits},
      {"O2", "a flow may be moved while operations are pending",
       [](law_run& run) { return a_flow_may_move_under_its_operations(run, false); }, nullptr, waits},
      {"O2", "a flow may be moved far away while operations are pending",
       [](law_run& run) { return a_flow_may_move_under_its_operations(run, true); }, nullptr, waits},
      {"O2", "flows may be swapped while operations are pending", flows_may_be_swapped_under_their_operations},
      {"O2", "operations, then both ends may go", [](law_run& run) { return both_ends_may_go_in_any_order(run, true); },
       nullptr, waits},
      {"O2", "both ends may go before their operations",
       [](law_run& run) { return both_ends_may_go_in_any_order(run, false); }, nullptr, waits},
      {"O1", "a coroutine of a foreign type can use a flow", a_foreign_coroutine_can_use_a_flow, nullptr, waits},
      {"C6", "a coroutine of a foreign type may die waiting", a_foreign_coroutine_may_die_waiting, nullptr, waits},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
