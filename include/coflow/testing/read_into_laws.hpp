/// \file
/// The laws of reading into the caller's memory, as far as they say more than those of reading: what is written where,
/// what stays for the next read, and the order among reads of both kinds (R1, R5, R8, S2, C3, C6, X1).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coflow/testing/detail/guarded_room.hpp"
#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- small steps

[[nodiscard]] inline std::string in_words(const read_into_result& got) {
  if (got.eof()) return "eof";
  if (got.failed()) return in_words(got.error());
  return "a count of " + std::to_string(*got);
}
inline void expect_untouched(const guarded_room& room, std::size_t beyond = 0, place at = place::current()) {
  const std::string trouble = room.trouble_beyond(beyond);
  expect(trouble.empty(), "nothing is written but the bytes that are counted", trouble, at);
}
inline void expect_into(const guarded_room& room, const read_into_result& got, std::string_view text,
                        place at = place::current()) {
  const bool holds = got.has_count() && room.text(*got) == text;
  expect(holds, "a read_into gives '" + std::string(text.substr(0, 40)) + "'", in_words(got), at);
  expect_untouched(room, *got, at);
}
inline void expect_error(const read_into_result& got, std::error_code code, place at = place::current()) {
  const bool holds = got.failed() && got.error() == code;
  expect(holds, "a read_into gives " + in_words(code), in_words(got), at);
}

inline task<> read_into_once(checked_flow* flow, std::span<std::byte> room, reading_into* out) {
  out->started = true;
  read_into_result got = co_await flow->read_into(room);
  out->got = std::move(got);
  out->done = true;
}

// ---- R1: as many bytes as it says, and no others

// Rooms that are smaller than what comes, as large, and larger.
inline task<> rooms_are_filled_from_the_front(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  writing sent;
  shutting shut;
  task_scope scope;
  start(scope, write_once(&ends.b, buffer(text), &sent));
  std::string all;
  const std::size_t sizes[] = {1, 2, 3, 5, 64, 100, 1000, 4096, 70'000};
  for (std::size_t i = 0; all.size() < text.size(); ++i) {
    guarded_room to(sizes[i % std::size(sizes)]);
    const read_into_result got = co_await ends.a.read_into(to.room());
    expect(got.has_count() && *got != 0, "a read_into gives a count of one byte or more", in_words(got));
    expect_untouched(to, *got);
    if (!got || *got == 0) co_return;
    all += to.text(*got);
  }
  expect_same(all, text);
  const bool written = co_await until([&sent] { return sent.done; });
  expect(written && sent.sent.has_value(), "the write succeeds");
  start(scope, shutdown_once(&ends.b, shutdown_mode::write, &shut));
  for (int i = 0; i < 3; ++i) {
    guarded_room to(10);
    const read_into_result got = co_await ends.a.read_into(to.room());
    expect(got.eof(), "a read_into gives eof", in_words(got));
    expect_untouched(to);
  }
}

// ---- an empty room

inline task<> an_empty_room_never_waits(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading before;
  reading_into none;
  task_scope scope;
  const auto read_nothing = [](checked_flow* flow, task_scope* in, reading_into* out) {
    *out = reading_into();
    start(*in, read_into_once(flow, {}, out));
    return promptly([out] { return out->done; });
  };
  writing there;
  co_await offer(&scope, &ends.b, "y", &there);
  bool done = co_await read_nothing(&ends.a, &scope, &none);
  expect(done && none.got.has_count() && *none.got == 0, "an empty room gives 0 at once, whatever is there",
         done ? in_words(none.got) : "it waits");
  const read_result got = co_await ends.a.read();
  expect_data(got, "y");
  start(scope, read_once(&ends.a, &before));
  co_await turns();
  done = co_await read_nothing(&ends.a, &scope, &none);
  expect(done && none.got.has_count() && *none.got == 0, "an empty room gives 0 while another read waits",
         done ? in_words(none.got) : "it waits");
  expect(!before.done, "the other read waits on", "it ended");
  const result<void> sent = co_await ends.b.write(buffer("x"));
  expect_success(sent);
  const bool served = co_await until([&before] { return before.done; });
  expect(served, "the read is served", "it waits on");
  expect_data(before.got, "x");
  co_await ends.b.shutdown(shutdown_mode::write);
  const read_result last = co_await ends.a.read();
  expect_eof(last);
  done = co_await read_nothing(&ends.a, &scope, &none);
  expect(done && none.got.eof(), "after eof an empty room gives eof", done ? in_words(none.got) : "it waits");
  co_await ends.a.close();
  done = co_await read_nothing(&ends.a, &scope, &none);
  expect(done, "after the close an empty room gives an error at once", "it waits");
  expect_error(none.got, error::closed);
}

// ---- R5: what does not fit stays

inline task<> write_and_end(checked_flow* flow, std::string text) {
  const result<void> sent = co_await flow->write(buffer(text));
  expect_success(sent);
  co_await flow->shutdown(shutdown_mode::write);
}

// The end may come while some is left.
inline task<> a_small_room_leaves_the_rest(law_run& run, bool to_read) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(2000);
  task_scope scope;
  start(scope, write_and_end(&ends.b, text));
  std::string all;
  while (all.size() < text.size() / 2) {
    guarded_room to(3);
    const read_into_result got = co_await ends.a.read_into(to.room());
    expect(got.has_count(), "all the bytes arrive", in_words(got));
    if (!got || *got == 0) co_return;
    all += to.text(*got);
    if (!to_read) continue;
    const read_result more = co_await ends.a.read();
    expect(more.has_data(), "all the bytes arrive", in_words(more));
    if (!more) co_return;
    all += more->text();
  }
  co_await turns(5);
  const read_result last = co_await drain(&ends.a, &all);
  expect_same(all, text);
  expect_eof(last);
}

// ---- R8: one queue

inline task<> both_kinds_stand_in_one_queue(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading reads[2];
  reading_into fills[2];
  guarded_room first(1);
  guarded_room second(100);
  guarded_room* const rooms[] = {&first, &second};
  task_scope scope;
  for (std::size_t i = 0; i < 2; ++i) {
    start(scope, read_once(&ends.a, &reads[i]));
    start(scope, read_into_once(&ends.a, rooms[i]->room(), &fills[i]));
  }
  co_await turns();
  const bool* const done[] = {&reads[0].done, &fills[0].done, &reads[1].done, &fills[1].done};
  for (std::size_t i = 0; i < 4; ++i) {
    const char byte = static_cast<char>('1' + i);
    const std::string_view text(&byte, 1);
    const result<void> sent = co_await ends.b.write(buffer(text));
    expect_success(sent);
    const bool served = co_await until([&done, i] { return *done[i]; });
    expect(served, "the read that began first is served first", "it waits on");
    if (!served) co_return;
    if (i % 2 == 0)
      expect_data(reads[i / 2].got, text);
    else
      expect_into(*rooms[i / 2], fills[i / 2].got, text);
    for (std::size_t j = i + 1; j < 4; ++j) expect(!*done[j], "the reads behind it wait", "a later read ended too");
  }
}

// Two tasks that read, each in its own way: what they get in turn is the stream.
inline task<> fill_into_line(checked_flow* flow, std::size_t size, std::string* line) {
  for (;;) {
    guarded_room to(size);
    const read_into_result got = co_await flow->read_into(to.room());
    expect_untouched(to, *got);
    if (!got || *got == 0) co_return;
    line->append(to.text(*got));
  }
}
inline task<> append_reads_to_line(checked_flow* flow, std::string* line) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got || got->empty()) co_return;
    line->append(got->text());
  }
}
inline task<> readers_of_both_kinds_keep_the_order(law_run& run) {
  flow_ends ends = co_await run.connect();
  std::string line;
  std::string wanted;
  task_scope scope;
  start(scope, append_reads_to_line(&ends.a, &line));
  for (const std::size_t size : {std::size_t{3}, std::size_t{1}, std::size_t{50}})
    start(scope, fill_into_line(&ends.a, size, &line));
  co_await turns();
  for (std::uint32_t i = 0; i < 200; ++i) {
    const std::string piece = pattern(1 + i * 7 % 90, i);
    wanted += piece;
    const result<void> sent = co_await ends.b.write(buffer(piece));
    expect_success(sent);
    if (i % 5 == 0) co_await turns();
  }
  const bool there = co_await until([&line, &wanted] { return line.size() >= wanted.size(); });
  expect(there, "all the bytes are read", std::to_string(line.size()) + " of " + std::to_string(wanted.size()));
  expect_same(line, wanted);
}

inline task<> the_end_goes_to_both_kinds(law_run& run, bool reset) {
  flow_ends ends = co_await run.connect();
  reading read;
  reading_into fills[2];
  guarded_room first(10);
  guarded_room second(10);
  shutting gone;
  task_scope scope;
  start(scope, read_into_once(&ends.a, first.room(), &fills[0]));
  start(scope, read_once(&ends.a, &read));
  start(scope, read_into_once(&ends.a, second.room(), &fills[1]));
  co_await turns();
  if (reset)
    ends.b->reset();
  else
    start(scope, shutdown_once(&ends.b, shutdown_mode::write, &gone));
  const bool done = co_await until([&] { return fills[0].done && read.done && fills[1].done; });
  expect(done, "the end goes to all reads that wait", "one of them waits on");
  if (!done) co_return;
  for (const reading_into* one : {&fills[0], &fills[1]}) {
    const bool is_reset = one->got.failed() && one->got.error() == std::errc::connection_reset;
    expect(reset ? is_reset : one->got.eof(), "a read_into gives the end", in_words(one->got));
  }
  if (reset)
    expect_reset(read.got);
  else
    expect_eof(read.got);
  expect_untouched(first);
  expect_untouched(second);
}

// ---- S2, C3: local ends

inline task<> a_local_end_leaves_the_room_alone(law_run& run, bool by_close) {
  flow_ends ends = co_await run.connect();
  writing early;
  writing late;
  reading_into fill;
  guarded_room small(2);
  guarded_room to(100);
  task_scope scope;
  // A part is taken, and what the small room has left is dropped.
  start(scope, write_once(&ends.b, buffer("four"), &early));
  const read_into_result part = co_await ends.a.read_into(small.room());
  expect(part.has_count() && *part != 0, "a read_into gives bytes", in_words(part));
  std::string all(small.text(*part));
  co_await read_up_to(&ends.a, 4, &all);
  expect_same(all, "four");
  start(scope, read_into_once(&ends.a, to.room(), &fill));
  co_await turns();
  shutting shut;
  start(scope, by_close ? close_once(&ends.a, &shut) : shutdown_once(&ends.a, shutdown_mode::read, &shut));
  const bool done = co_await promptly([&fill] { return fill.done; });
  expect(done, "a read_into that waits ends promptly", "it waits on");
  if (by_close)
    expect_error(fill.got, error::closed);
  else
    expect(fill.got.eof(), "a read_into gives eof", in_words(fill.got));
  start(scope, write_once(&ends.b, buffer("late"), &late));
  co_await turns(5);
  expect_untouched(to);
}

inline task<> what_a_small_room_left_is_dropped_by_a_shutdown(law_run& run) {
  flow_ends ends = co_await run.connect();
  writing sent;
  guarded_room small(2);
  guarded_room to(100);
  task_scope scope;
  start(scope, write_once(&ends.b, buffer("a whole piece"), &sent));
  const read_into_result part = co_await ends.a.read_into(small.room());
  expect(part.has_count() && *part != 0, "a read_into gives bytes", in_words(part));
  co_await ends.a.shutdown(shutdown_mode::read);
  const read_into_result got = co_await ends.a.read_into(to.room());
  expect(got.eof(), "after a shutdown a read_into gives eof", in_words(got));
  expect_untouched(to);
  const read_result last = co_await ends.a.read();
  expect_eof(last);
}

// ---- X1, C6: a wait that is taken back leaves the bytes and the room alone

enum class given_up { before_bytes, with_bytes, after_a_turn };

inline task<> a_read_into_that_is_given_up(law_run& run, bool by_stop, given_up when) {
  flow_ends ends = co_await run.connect();
  std::string all;
  std::string wanted;
  for (int round = 0; round < 12; ++round) {
    guarded_room to(round % 2 == 0 ? 2 : 100);
    reading_into read;
    writing sent;
    std::vector<foreign> writer;
    std::vector<foreign> reader;
    task_scope scope;
    if (by_stop)
      start(scope, read_into_once(&ends.a, to.room(), &read));
    else
      reader.push_back(ends.a->read_into_abroad(to.room(), &read));
    co_await turns();
    wanted += "bytes";
    if (when != given_up::before_bytes) writer.push_back(ends.b->write_abroad(buffer("bytes"), &sent));
    if (when == given_up::after_a_turn) co_await turns();
    if (by_stop) {
      scope.cancel();
      const bool done = co_await until([&read] { return read.done; });
      expect(done, "a cancelled read_into ends", "it waits on");
      if (!done) co_return;
      if (!read.got) expect_error(read.got, canceled());
    } else {
      reader.clear();
    }
    // A read that has ended has its bytes; one that has not has taken none.
    const std::size_t taken = read.done ? *read.got : 0;
    all += to.text(taken);
    if (when == given_up::before_bytes) writer.push_back(ends.b->write_abroad(buffer("bytes"), &sent));
    co_await read_up_to(&ends.a, wanted.size(), &all);
    const bool written = co_await until([&sent] { return sent.done; });
    expect(written, "the write ends", "it waits on");
    expect_same(all, wanted);
    expect_untouched(to, taken);
  }
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> read_into_laws() noexcept {
  static constexpr need into = need::read_into;
  static constexpr law all[] = {
      {"R1", "a read_into gives one byte or more, and writes as many as it says", rooms_are_filled_from_the_front,
       nullptr, into},
      {"R1", "a read_into with an empty room takes nothing and never waits", an_empty_room_never_waits, nullptr, into},
      {"R5", "what a small room leaves is there for the next read_into, also behind the end",
       [](law_run& run) { return a_small_room_leaves_the_rest(run, false); }, nullptr, into},
      {"R5", "what a small room leaves is there for the next read, also behind the end",
       [](law_run& run) { return a_small_room_leaves_the_rest(run, true); }, nullptr, into},
      {"R8", "reads of both kinds are served in the order in which they began", both_kinds_stand_in_one_queue, nullptr,
       into},
      {"R8", "readers of both kinds that come back for more are served in order", readers_of_both_kinds_keep_the_order,
       nullptr, into},
      {"R8", "eof goes to pending reads of both kinds",
       [](law_run& run) { return the_end_goes_to_both_kinds(run, false); }, nullptr, into},
      {"R8", "a reset goes to pending reads of both kinds",
       [](law_run& run) { return the_end_goes_to_both_kinds(run, true); }, nullptr, into | need::reset},
      {"S2", "a shutdown of the read half ends a read_into that waits, and leaves its room alone",
       [](law_run& run) { return a_local_end_leaves_the_room_alone(run, false); }, nullptr, into},
      {"S2", "a shutdown of the read half drops what a small room has left",
       what_a_small_room_left_is_dropped_by_a_shutdown, nullptr, into},
      {"C3", "a close ends a read_into that waits, and leaves its room alone",
       [](law_run& run) { return a_local_end_leaves_the_room_alone(run, true); }, nullptr, into},
      {"X1", "a read_into that is cancelled before bytes come loses none",
       [](law_run& run) { return a_read_into_that_is_given_up(run, true, given_up::before_bytes); }, nullptr,
       into | need::cancellation},
      {"X1", "a read_into that is cancelled as bytes come loses none",
       [](law_run& run) { return a_read_into_that_is_given_up(run, true, given_up::with_bytes); }, nullptr,
       into | need::cancellation},
      {"X1", "a read_into that is cancelled after bytes came loses none",
       [](law_run& run) { return a_read_into_that_is_given_up(run, true, given_up::after_a_turn); }, nullptr,
       into | need::cancellation},
      {"C6", "a read_into whose coroutine is destroyed before bytes come leaves its room alone",
       [](law_run& run) { return a_read_into_that_is_given_up(run, false, given_up::before_bytes); }, nullptr, into},
      {"C6", "a read_into whose coroutine is destroyed as bytes come loses none",
       [](law_run& run) { return a_read_into_that_is_given_up(run, false, given_up::with_bytes); }, nullptr, into},
      {"C6", "a read_into whose coroutine is destroyed after bytes came loses none that it was not given",
       [](law_run& run) { return a_read_into_that_is_given_up(run, false, given_up::after_a_turn); }, nullptr, into},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
