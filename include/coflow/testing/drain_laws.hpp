/// \file
/// The laws of shutting the write half down (S3): it is closed to new writes at the call, what is queued goes out
/// whole, and then comes the end.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

inline task<> queued_writes_go_out_whole(law_run& run) {
  flow_ends ends = co_await run.connect();
  std::string wanted;
  std::string all;
  writing writes[3];
  writing of_list;
  shutting shut;
  std::vector<buffer> pieces;
  task_scope scope;
  std::uint32_t seed = 0;
  for (writing& one : writes) {
    const std::string text = pattern(run.more_than_fits(), ++seed);
    wanted += text;
    start(scope, write_once(&ends.a, buffer(text), &one));
  }
  for (int i = 0; i < 100; ++i) pieces.emplace_back(std::string(100, 'l'));
  wanted.append(10'000, 'l');
  start(scope, writev_once(&ends.a, pieces, &of_list));
  co_await turns(2);
  for (const writing& one : writes) expect(!one.done, "the writes wait for a reader", "one ended");
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  co_await turns();
  turn_mark mark;
  result<void> late = co_await ends.a.write(buffer("late"));
  expect_error(late, error::closed);
  std::array<buffer, 1> list{buffer("later")};
  late = co_await ends.a.writev(list);
  expect_error(late, error::closed);
  expect(!mark.passed(), "new writes are refused at once", "it took a turn");
  expect(!shut.done, "the shutdown waits for what is queued", "it ended");
  const read_result last = co_await drain(&ends.b, &all);
  expect_eof(last);
  expect_same(all, wanted);
  const bool done = co_await until([&shut] { return shut.done; });
  expect(done, "the shutdown ends", "it waits on");
  const writing* const queued[] = {&writes[0], &writes[1], &writes[2], &of_list};
  for (const writing* one : queued) {
    expect(one->done, "a queued write ends before the shutdown", "it waits on");
    expect_success(one->sent);
  }
  // Reading goes on.
  reading answer;
  start(scope, read_once(&ends.a, &answer));
  co_await turns();
  const result<void> sent = co_await ends.b.write(buffer("!"));
  expect_success(sent);
  const bool answered = co_await until([&answer] { return answer.done; });
  expect(answered, "reading goes on after shutdown(write)", "the read waits on");
  expect_data(answer.got, "!");
}

// The half is closed to new writes at the call, not when the shutdown has run its course.
inline task<> the_half_closes_at_the_call(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string text(run.more_than_fits(), 'x');
  writing first;
  writing late;
  shutting shut;
  std::string all;
  task_scope scope;
  start(scope, write_once(&ends.a, buffer(text), &first));
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  start(scope, write_once(&ends.a, buffer("late"), &late));
  co_await turns();
  expect(late.done, "a write after the call of shutdown is refused in the same turn", "it waits");
  if (late.done) expect_error(late.sent, error::closed);
  expect(!shut.done, "the shutdown waits for the queued write", "it ended");
  const read_result last = co_await drain(&ends.b, &all);
  expect_eof(last);
  expect_same(all, text);
}

enum class leaving { cancel, destroy };

// Whoever waits in a shutdown may leave; the half keeps draining.
inline task<> the_half_drains_without_a_waiter(law_run& run, leaving how) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(2 * run.more_than_fits());
  writing written;
  shutting shut;
  std::string all;
  task_scope scope;
  start(scope, write_once(&ends.a, buffer(text), &written));
  {
    task_scope waiter;
    start(waiter, shutdown_once(&ends.a, shutdown_mode::write, &shut));
    co_await turns(2);
    expect(!shut.done, "the shutdown waits for the queued write", "it ended");
    if (how == leaving::cancel) {
      waiter.cancel();
      const bool left = co_await until([&shut] { return shut.done; });
      expect(left, "a stop ends the wait of a shutdown", "it waits on");
    }
  }
  const result<void> late = co_await ends.a.write(buffer("late"));
  expect_error(late, error::closed);
  const read_result last = co_await drain(&ends.b, &all);
  expect_eof(last);
  expect_same(all, text);
  const bool done = co_await until([&written] { return written.done; });
  expect(done, "the queued write ends", "it waits on");
  expect_success(written.sent);
}

// A queued write that is taken back while the half drains is not waited for.
inline task<> a_withdrawn_write_ends_the_drain(law_run& run, leaving how) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  writing first;
  writing second;
  writing third;
  shutting shut;
  std::string all;
  task_scope scope;
  start(scope, write_once(&ends.a, buffer(text), &first));
  co_await turns();
  {
    task_scope inner;
    start(inner, write_once(&ends.a, buffer("second"), &second));
    co_await turns();
    start(scope, write_once(&ends.a, buffer("third"), &third));
    start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
    co_await turns();
    if (how == leaving::cancel) {
      inner.cancel();
      const bool left = co_await until([&second] { return second.done; });
      expect(left, "the cancelled write ends", "it waits on");
      expect_error(second.sent, canceled());
    }
  }
  const read_result last = co_await drain(&ends.b, &all);
  expect_eof(last);
  expect_same(all, text + "third");
  const bool done = co_await until([&shut, &third] { return shut.done && third.done; });
  expect(done, "the shutdown ends", "it, or a write, waits on");
  expect_success(third.sent);
}

enum class mishap { reset, peer_close, close, destruction };

// However the drain comes to grief, the shutdown ends.
inline task<> a_drain_that_fails_ends_the_shutdown(law_run& run, mishap how) {
  flow_ends ends = co_await run.connect();
  const std::string text(run.more_than_fits(), 'd');
  writing writes[2];
  shutting shut[2];
  task_scope scope;
  for (writing& one : writes) start(scope, write_once(&ends.a, buffer(text), &one));
  for (shutting& one : shut) start(scope, shutdown_once(&ends.a, shutdown_mode::write, &one));
  co_await turns(2);
  expect(!shut[0].done, "the shutdown waits for the queued write", "it ended");
  if (how == mishap::reset) ends.b->reset();
  if (how == mishap::peer_close) co_await ends.b.close();
  if (how == mishap::close) co_await ends.a.close();
  if (how == mishap::destruction) ends.a.destroy();
  const bool done =
      co_await until([&shut, &writes] { return shut[0].done && shut[1].done && writes[0].done && writes[1].done; });
  expect(done, "the writes and the shutdowns end", "one of them waits on");
  for (const writing& one : writes) {
    if (!one.done) continue;
    expect(!one.sent, "the queued writes fail", "one succeeded");
    expect(one.sent.error() == condition::disconnected, "the connection is gone", in_words(one.sent));
    if (how == mishap::close || how == mishap::destruction) expect_error(one.sent, error::closed);
    if (how == mishap::reset) expect_reset(one.sent);
  }
}

inline task<> both_ends_can_say_goodbye(law_run& run) {
  flow_ends ends = co_await run.connect();
  writing from_a;
  writing from_b;
  shutting shut_a;
  shutting shut_b;
  reading end_of_b;
  std::string at_a;
  std::string at_b;
  task_scope scope;
  co_await offer(&scope, &ends.a, "from a", &from_a);
  co_await offer(&scope, &ends.b, "from b", &from_b);
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut_a));
  start(scope, shutdown_once(&ends.b, shutdown_mode::write, &shut_b));
  co_await turns();
  start(scope, drain_once(&ends.b, &at_b, &end_of_b));
  read_result last = co_await drain(&ends.a, &at_a);
  expect_eof(last);
  const bool done = co_await until([&] { return end_of_b.done && shut_a.done && shut_b.done; });
  expect(done, "both ends come to the other's end", "one waits on");
  expect_eof(end_of_b.got);
  expect_same(at_a, "from b");
  expect_same(at_b, "from a");
  // Both halves have ended on both sides; only a close makes reads fail.
  co_await ends.a.close();
  last = co_await ends.a.read();
  expect_error(last, error::closed);
  last = co_await ends.b.read();
  expect_eof(last);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> drain_laws() noexcept {
  static constexpr law all[] = {
      {"S3", "shutdown(write) lets queued writes out whole and refuses new ones at once", queued_writes_go_out_whole,
       nullptr, need::back_pressure},
      {"S3", "shutdown(write) closes the half at the call", the_half_closes_at_the_call, nullptr, need::back_pressure},
      {"S3", "a half that drains goes on when whoever waited for it was cancelled",
       [](law_run& run) { return the_half_drains_without_a_waiter(run, leaving::cancel); }, nullptr,
       need::cancellation | need::back_pressure},
      {"S3", "a half that drains goes on when whoever waited for it was destroyed",
       [](law_run& run) { return the_half_drains_without_a_waiter(run, leaving::destroy); }, nullptr,
       need::back_pressure},
      {"S3", "a queued write that is cancelled does not hold the shutdown up",
       [](law_run& run) { return a_withdrawn_write_ends_the_drain(run, leaving::cancel); }, nullptr,
       need::cancellation | need::back_pressure},
      {"S3", "a queued write that is destroyed does not hold the shutdown up",
       [](law_run& run) { return a_withdrawn_write_ends_the_drain(run, leaving::destroy); }, nullptr,
       need::back_pressure},
      {"S3", "a shutdown ends when a reset ends the queued writes",
       [](law_run& run) { return a_drain_that_fails_ends_the_shutdown(run, mishap::reset); }, nullptr,
       need::reset | need::back_pressure},
      {"S3", "a shutdown ends when the peer closes before the queued writes are out",
       [](law_run& run) { return a_drain_that_fails_ends_the_shutdown(run, mishap::peer_close); }, nullptr,
       need::back_pressure},
      {"S3", "a shutdown ends when the flow is closed before the queued writes are out",
       [](law_run& run) { return a_drain_that_fails_ends_the_shutdown(run, mishap::close); }, nullptr,
       need::back_pressure},
      {"S3", "a shutdown ends when the flow is destroyed before the queued writes are out",
       [](law_run& run) { return a_drain_that_fails_ends_the_shutdown(run, mishap::destruction); }, nullptr,
       need::back_pressure},
      {"S3", "both ends can say goodbye and hear the other out", both_ends_can_say_goodbye},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
