/// \file
/// The laws about the end of a stream: the first verdict is final (R4), and an end is no more than an end (R6).
#pragma once

#include <span>
#include <string>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- R4: the first verdict is final

inline task<> eof_is_final(law_run& run) {
  flow_ends ends = co_await run.connect();
  writing written;
  shutting shut;
  task_scope scope;
  co_await offer(&scope, &ends.b, "last words", &written);
  start(scope, shutdown_once(&ends.b, shutdown_mode::write, &shut));
  co_await turns();
  std::string all;
  read_result last = co_await drain(&ends.a, &all);
  expect_eof(last);
  expect_same(all, "last words");
  for (int i = 0; i < 3; ++i) {
    turn_mark mark;
    last = co_await ends.a.read();
    expect(!mark.passed(), "after eof a read gives eof at once", "it took a turn");
    expect_eof(last);
  }
  const bool done = co_await until([&shut] { return shut.done; });
  expect(done, "the peer's shutdown ends", "it waits on");
  co_await ends.b.close();
  co_await turns(3);
  for (int i = 0; i < 3; ++i) {
    last = co_await ends.a.read();
    expect_eof(last);
  }
}

// Whatever the write half goes through afterwards.
inline task<> eof_outlives_what_writers_meet(law_run& run, bool reset) {
  flow_ends ends = co_await run.connect();
  shutting shut;
  task_scope scope;
  start(scope, shutdown_once(&ends.b, shutdown_mode::write, &shut));
  read_result last = co_await ends.a.read();
  expect_eof(last);
  if (reset)
    ends.b->reset();
  else
    co_await ends.b.close();
  co_await end_arrived(&ends.a);
  const result<void> failed = co_await write_until_error(&ends.a);
  expect(!failed, "writing to nobody fails", in_words(failed));
  last = co_await ends.a.read();
  expect_eof(last);
  co_await ends.a.shutdown(shutdown_mode::read_write);
  last = co_await ends.a.read();
  expect_eof(last);
}

enum class breakage { reset, cut };

inline task<> a_read_error_is_final(law_run& run, breakage how) {
  flow_ends ends = co_await run.connect();
  if (how == breakage::reset)
    ends.b->reset();
  else
    ends.b->cut();
  std::string all;
  const read_result first = co_await drain(&ends.a, &all);
  expect_broken(first);
  for (int i = 0; i < 3; ++i) {
    turn_mark mark;
    const read_result again = co_await ends.a.read();
    expect(!mark.passed(), "after an error a read gives that error at once", "it took a turn");
    expect_error(again, first.error());
  }
  // Nor does what the write half meets, or a shutdown, change it.
  const result<void> refused = co_await write_until_error(&ends.a);
  expect(!refused, "a broken connection takes no bytes", in_words(refused));
  read_result later = co_await ends.a.read();
  expect_error(later, first.error());
  co_await ends.a.shutdown(shutdown_mode::read_write);
  later = co_await ends.a.read();
  expect_error(later, first.error());
}

// ---- R6: an end ends one half

inline task<> eof_leaves_the_write_half_usable(law_run& run) {
  flow_ends ends = co_await run.connect();
  shutting shut;
  task_scope scope;
  start(scope, shutdown_once(&ends.b, shutdown_mode::write, &shut));
  read_result got = co_await ends.a.read();
  expect_eof(got);
  const std::string text = pattern(run.more_than_fits() + 11);
  writing written;
  std::string all;
  start(scope, write_once(&ends.a, buffer(text), &written));
  co_await read_up_to(&ends.b, text.size(), &all);
  expect_same(all, text);
  const bool done = co_await until([&written] { return written.done; });
  expect(done, "a write after eof ends", "it waits on");
  expect_success(written.sent);
  // Again and again, long after the end was read.
  for (int i = 0; i < 3; ++i) {
    got = co_await ends.a.read();
    expect_eof(got);
    reading heard;
    task_scope peer;
    start(peer, read_once(&ends.b, &heard));
    co_await turns();
    const result<void> sent = co_await ends.a.write(buffer("!"));
    expect_success(sent);
    const bool arrived_there = co_await until([&heard] { return heard.done; });
    expect(arrived_there, "what is written after eof arrives", "the peer waits on");
    expect_data(heard.got, "!");
  }
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  got = co_await ends.b.read();
  expect_eof(got);
  // Both halves have ended, and still nobody has closed: that would be another answer.
  got = co_await ends.a.read();
  expect_eof(got);
}

inline task<> a_write_that_waits_outlives_eof(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  writing written;
  reading read;
  task_scope scope;
  start(scope, write_once(&ends.a, buffer(text), &written));
  start(scope, read_once(&ends.a, &read));
  co_await turns(2);
  expect(!written.done, "the write waits for a reader", "it ended");
  co_await ends.b.shutdown(shutdown_mode::write);
  const bool heard = co_await until([&read] { return read.done; });
  expect(heard, "the pending read hears of the end", "it waits on");
  expect_eof(read.got);
  expect(!written.done, "eof ends no write", in_words(written.sent));
  std::string all;
  co_await read_up_to(&ends.b, text.size(), &all);
  expect_same(all, text);
  const bool done = co_await until([&written] { return written.done; });
  expect(done, "the write ends", "it waits on");
  expect_success(written.sent);
}

inline task<> a_read_error_closes_nothing(law_run& run) {
  flow_ends ends = co_await run.connect();
  ends.b->reset();
  std::string all;
  const read_result last = co_await drain(&ends.a, &all);
  expect_reset(last);
  const result<void> sent = co_await ends.a.write(buffer("x"));
  expect_reset(sent);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> end_of_stream_laws() noexcept {
  static constexpr law all[] = {
      {"R4", "after eof every read is eof, at once", eof_is_final},
      {"R4", "after eof every read is eof, whatever a writer meets",
       [](law_run& run) { return eof_outlives_what_writers_meet(run, false); }},
      {"R4", "after eof every read is eof, although a reset follows",
       [](law_run& run) { return eof_outlives_what_writers_meet(run, true); }, nullptr, need::reset},
      {"R4", "after a reset every read is that error, at once",
       [](law_run& run) { return a_read_error_is_final(run, breakage::reset); }, nullptr, need::reset},
      {"R4", "after a stream was cut off every read is that error, at once",
       [](law_run& run) { return a_read_error_is_final(run, breakage::cut); }, nullptr, need::cut},
      {"R6", "eof leaves the write half usable", eof_leaves_the_write_half_usable},
      {"R6", "a write that waits outlives eof", a_write_that_waits_outlives_eof, nullptr, need::back_pressure},
      {"R6", "a read error closes no flow", a_read_error_closes_nothing, nullptr, need::reset},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
