/// \file
/// The laws of shutdown: it never fails (S1), what becomes of input (S2), and both halves at once (S4). What becomes of
/// writes that are queued (S3) is in drain_laws.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- S1: never fails; repeated, overlapping or late calls do nothing

// Shuts down in every way, one after another. A layer with a goodbye may need a little time, but not for ever.
inline task<> shut_every_way(checked_flow* flow, bool at_once, const char* when) {
  for (const shutdown_mode mode : {shutdown_mode::read, shutdown_mode::write, shutdown_mode::read_write}) {
    shutting shut;
    turn_mark mark;
    task_scope scope;
    if (at_once) {
      co_await flow->shutdown(mode);
      expect(!mark.passed(), "a shutdown that does nothing does not wait", std::string("it took a turn, ") + when);
    } else {
      start(scope, shutdown_once(flow, mode, &shut));
      const bool done = co_await until([&shut] { return shut.done; });
      expect(done, "a shutdown ends", std::string("it waits on, ") + when);
    }
  }
}

inline task<> repeated_and_late_shutdowns_do_nothing(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading end;
  task_scope scope;
  start(scope, read_once(&ends.b, &end));
  co_await shut_every_way(&ends.a, false, "the first time");
  for (int round = 0; round < 2; ++round) co_await shut_every_way(&ends.a, true, "after a shutdown");
  const bool heard = co_await until([&end] { return end.done; });
  expect(heard, "the peer hears of the end", "it waits on");
  expect_eof(end.got);
  // After the peer's end, after the flow's close, after the peer has gone.
  co_await ends.b.shutdown(shutdown_mode::write);
  co_await turns(3);
  co_await shut_every_way(&ends.a, true, "after the peer's end");
  co_await ends.a.close();
  co_await shut_every_way(&ends.a, true, "after a close");
  const read_result got = co_await ends.a.read();
  expect_error(got, error::closed);
  co_await turns(3);
  co_await shut_every_way(&ends.b, false, "after the peer's close");
  co_await ends.b.close();
}

inline task<> shutdown_after_a_reset_does_nothing(law_run& run) {
  flow_ends ends = co_await run.connect();
  ends.b->reset();
  co_await end_arrived(&ends.a);
  for (int i = 0; i < 2; ++i) {
    shutting shut;
    task_scope scope;
    start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
    const bool done = co_await until([&shut] { return shut.done; });
    expect(done, "a shutdown after a reset ends", "it waits on");
  }
  const read_result got = co_await ends.a.read();
  expect_reset(got);
  co_await shut_every_way(&ends.a, false, "after a reset");
  co_await shut_every_way(&ends.b, false, "after one's own reset");
}

inline task<> overlapping_shutdowns_end_together(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  writing written;
  shutting shut[4];
  shutting of_reading;
  std::string all;
  task_scope scope;
  start(scope, write_once(&ends.a, buffer(text), &written));
  for (shutting& one : shut) start(scope, shutdown_once(&ends.a, shutdown_mode::write, &one));
  co_await turns(3);
  for (const shutting& one : shut) {
    expect(one.started, "the shutdown has begun");
    expect(!one.done, "a shutdown waits for the queued write", "it ended");
  }
  start(scope, shutdown_once(&ends.a, shutdown_mode::read, &of_reading));
  const bool other_half = co_await until([&of_reading] { return of_reading.done; });
  expect(other_half, "a shutdown of the read half does not wait for writes", "it waits on");
  expect(!written.done, "nobody has read", "the write ended");
  const read_result last = co_await drain(&ends.b, &all);
  expect_eof(last);
  expect_same(all, text);
  const bool done =
      co_await until([&shut] { return std::all_of(shut, shut + 4, [](const shutting& one) { return one.done; }); });
  expect(done, "every shutdown ends", "one waits on");
  expect(written.done, "the write ends before the shutdown", "it waits on");
  expect_success(written.sent);
}

// ---- S2: shutdown(read)

inline task<> write_much(checked_flow* flow, std::size_t size, writing* out) {
  const buffer chunk(pattern(std::min(size, std::size_t{64 * 1024})));
  out->started = true;
  for (std::size_t count = 0; count < size; count += chunk.size()) {
    const result<void> sent = co_await flow->write(chunk.share());
    out->sent = sent;
    if (!sent) break;
  }
  out->done = true;
}

inline task<> pending_and_later_reads_give_eof(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading reads[3];
  task_scope scope;
  for (reading& one : reads) start(scope, read_once(&ends.a, &one));
  co_await turns();
  co_await ends.a.shutdown(shutdown_mode::read);
  const bool done = co_await until([&reads] { return reads[0].done && reads[1].done && reads[2].done; });
  expect(done, "shutdown(read) ends the reads that wait", "one waits on");
  for (const reading& one : reads)
    if (one.done) expect_eof(one.got);
  for (int i = 0; i < 3; ++i) {
    turn_mark mark;
    const read_result got = co_await ends.a.read();
    expect(!mark.passed(), "after shutdown(read) a read gives eof at once", "it took a turn");
    expect_eof(got);
  }
}

// The peer goes on for long; nothing of it is ever delivered, and the other direction works.
inline task<> input_is_dropped(law_run& run, bool unread_before) {
  flow_ends ends = co_await run.connect();
  const std::size_t much = 4 * run.more_than_fits();
  writing written;
  reading heard;
  std::string all;
  task_scope scope;
  if (unread_before) {
    start(scope, write_much(&ends.b, much, &written));
    co_await turns(5);
    const read_result first = co_await ends.a.read();
    expect(first.has_data(), "the input is there", in_words(first));
    if (run.has(need::back_pressure)) expect(!written.done, "the peer waits for a reader", "its writes ended");
    co_await turns(5);
  }
  co_await ends.a.shutdown(shutdown_mode::read);
  read_result got = co_await ends.a.read();
  expect_eof(got);
  if (!unread_before) start(scope, write_much(&ends.b, much, &written));
  const bool done = co_await until([&written] { return written.done; });
  expect(done, "what comes after shutdown(read) is dropped, and holds the peer up no longer", "the peer waits on");
  expect_success(written.sent);
  got = co_await ends.a.read();
  expect_eof(got);
  for (int i = 0; i < 3; ++i) {
    const result<void> more = co_await ends.b.write(buffer("more"));
    expect_success(more);
    co_await turns(5);
    got = co_await ends.a.read();
    expect_eof(got);
  }
  start(scope, read_once(&ends.b, &heard));
  co_await turns();
  const result<void> sent = co_await ends.a.write(buffer("!"));
  expect_success(sent);
  const bool there = co_await until([&heard] { return heard.done; });
  expect(there, "writing goes on after shutdown(read)", "the peer waits on");
  expect_data(heard.got, "!");
  // What was dropped does not make the end an error.
  reading drained;
  start(scope, drain_once(&ends.b, &all, &drained));
  const result<void> last_words = co_await ends.a.write(buffer("goodbye"));
  expect_success(last_words);
  co_await ends.a.close();
  const bool over = co_await until([&drained] { return drained.done; });
  expect(over, "the peer comes to the end", "it waits on");
  expect_same(all, "goodbye");
  expect_eof(drained.got);
}

inline task<> a_read_that_is_about_to_be_served_gives_eof(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading read;
  task_scope scope;
  start(scope, read_once(&ends.a, &read));
  co_await turns();
  const result<void> sent = co_await ends.b.write(buffer("?"));
  expect_success(sent);
  const bool served = read.done;  // it was quicker: then the byte is the reader's
  co_await ends.a.shutdown(shutdown_mode::read);
  const bool done = co_await until([&read] { return read.done; });
  expect(done, "the read ends", "it waits on");
  if (served)
    expect_data(read.got, "?");
  else
    expect_eof(read.got);
}

inline task<> nothing_re_opens_a_read_half(law_run& run, bool reset) {
  flow_ends ends = co_await run.connect();
  writing unheard;
  task_scope scope;
  co_await ends.a.shutdown(shutdown_mode::read);
  co_await offer(&scope, &ends.b, "unheard", &unheard);
  if (reset)
    ends.b->reset();
  else
    co_await ends.b.close();
  co_await turns(5);
  for (int i = 0; i < 3; ++i) {
    const read_result got = co_await ends.a.read();
    expect_eof(got);
  }
  const result<void> failed = co_await write_until_error(&ends.a);
  if (reset)
    expect_reset(failed);
  else
    expect_error(failed, error::closed);
  const read_result got = co_await ends.a.read();
  expect_eof(got);
}

// Where no executor runs, shutdown still does what it is for.
inline task<> connect_and_leave_input(law_run* run, flow_ends* out, reading* first) {
  *out = co_await run->connect();
  task_scope scope;
  start(scope, read_once(&out->a, first));
  co_await turns();
  const result<void> sent = co_await out->b.write(buffer("1"));
  expect_success(sent);
  const bool done = co_await until([first] { return first->done; });
  expect(done, "the input is there", "the read waits on");
}
inline task<> hear_nothing(flow_ends* ends, writing* unread) {
  for (int i = 0; i < 2; ++i) {
    reading read;
    task_scope scope;
    start(scope, read_once(&ends->a, &read));
    const bool done = co_await until([&read, unread] { return read.done && unread->done; });
    expect(done, "after shutdown(read) reads end, and the peer is not held up", "something waits on");
    expect_eof(read.got);
    const result<void> sent = co_await ends->b.write(buffer("unheard"));
    expect_success(sent);
    co_await turns(3);
  }
}
inline void shutdown_between_two_turns(law_stage& stage) {
  flow_ends ends;
  writing unread;
  shutting shut;
  reading before;
  stage.run(connect_and_leave_input(&stage, &ends, &before));
  stage.start(write_once(&ends.b, buffer(pattern(stage.more_than_fits())), &unread));
  stage.run(turns(20));
  const foreign abroad = ends.a->shutdown_abroad(shutdown_mode::read, &shut);
  stage.run(hear_nothing(&ends, &unread));
  expect(shut.done, "a shutdown between two turns ends", "it waits on");
  expect_success(unread.sent);
}

// ---- S4: both

inline task<> shutdown_of_both_is_both(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  reading read;
  writing written;
  writing dropped;
  shutting shut;
  std::string all;
  task_scope scope;
  start(scope, read_once(&ends.a, &read));
  start(scope, write_once(&ends.a, buffer(text), &written));
  start(scope, shutdown_once(&ends.a, shutdown_mode::read_write, &shut));
  const bool heard = co_await until([&read] { return read.done; });
  expect(heard, "a shutdown of both halves ends the read that waits", "it waits on");
  expect_eof(read.got);
  expect(!shut.done, "the shutdown waits for the queued write", "it ended");
  const result<void> late = co_await ends.a.write(buffer("late"));
  expect_error(late, error::closed);
  start(scope, write_much(&ends.b, run.more_than_fits(), &dropped));
  const read_result last = co_await drain(&ends.b, &all);
  expect_eof(last);
  expect_same(all, text);
  const bool done = co_await until([&shut, &dropped] { return shut.done && dropped.done; });
  expect(done, "the shutdown ends, and the peer is not held up", "one of them waits on");
  const read_result got = co_await ends.a.read();
  expect_eof(got);
}

inline task<> an_idle_flow_shuts_both_halves(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading end;
  shutting shut;
  task_scope scope;
  start(scope, read_once(&ends.b, &end));
  start(scope, shutdown_once(&ends.a, shutdown_mode::read_write, &shut));
  const bool done = co_await until([&shut, &end] { return shut.done && end.done; });
  expect(done, "the shutdown ends, and the peer hears of it", "one of them waits on");
  expect_eof(end.got);
  const read_result got = co_await ends.a.read();
  expect_eof(got);
  const result<void> sent = co_await ends.a.write(buffer("late"));
  expect_error(sent, error::closed);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> shutdown_laws() noexcept {
  static constexpr law all[] = {
      {"S1", "shutdowns that are repeated or come late do nothing", repeated_and_late_shutdowns_do_nothing},
      {"S1", "a shutdown after a reset does nothing and hides nothing", shutdown_after_a_reset_does_nothing, nullptr,
       need::reset},
      {"S1", "shutdowns that overlap end together", overlapping_shutdowns_end_together, nullptr, need::back_pressure},
      {"S1", "shutdown(read) between two turns of the executor drops the input all the same", nullptr,
       shutdown_between_two_turns},
      {"S2", "shutdown(read) gives eof to pending and later reads", pending_and_later_reads_give_eof},
      {"S2", "shutdown(read) drops what comes later and holds nobody up",
       [](law_run& run) { return input_is_dropped(run, false); }},
      {"S2", "shutdown(read) drops what is there and sets a waiting peer free",
       [](law_run& run) { return input_is_dropped(run, true); }},
      {"S2", "shutdown(read) gives eof to a read whose bytes have just come",
       a_read_that_is_about_to_be_served_gives_eof},
      {"S2", "a close of the peer does not re-open a read half",
       [](law_run& run) { return nothing_re_opens_a_read_half(run, false); }},
      {"S2", "a reset does not re-open a read half",
       [](law_run& run) { return nothing_re_opens_a_read_half(run, true); }, nullptr, need::reset},
      {"S4", "shutdown(read_write) ends both halves while writes are queued", shutdown_of_both_is_both, nullptr,
       need::back_pressure},
      {"S4", "shutdown(read_write) ends both halves of an idle flow", an_idle_flow_shuts_both_halves},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
