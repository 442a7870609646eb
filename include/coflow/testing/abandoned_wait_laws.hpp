/// \file
/// The laws of coroutines that are destroyed while they wait on a flow: their wait is taken back, and what was meant
/// for them goes to the next one, in order (C6).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

inline task<> destroyed_waits_are_taken_back(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading gone_read;
  writing blocked;
  writing gone_write;
  writing next_write;
  writing data;
  std::string all;
  task_scope scope;
  {
    task_scope dying;
    start(dying, read_once(&ends.a, &gone_read));
    start(scope, write_once(&ends.a, buffer(std::string(run.more_than_fits(), '1')), &blocked));
    co_await turns();
    start(dying, write_once(&ends.a, buffer("gone"), &gone_write));
    co_await turns();
    start(scope, write_once(&ends.a, buffer("2"), &next_write));
    co_await turns();
  }
  start(scope, write_once(&ends.b, buffer("d"), &data));
  const read_result got = co_await ends.a.read();
  expect_data(got, "d");
  co_await read_up_to(&ends.b, run.more_than_fits() + 1, &all);
  expect_same(all, std::string(run.more_than_fits(), '1') + "2");
  const bool done = co_await until([&] { return blocked.done && next_write.done && data.done; });
  expect(done, "the other writes end", "one of them waits on");
  expect_success(blocked.sent);
  expect_success(next_write.sent);
  expect(!gone_read.done && !gone_write.done, "a destroyed coroutine does not go on", "it did");
}

// Three reads wait; bytes come, and in the same turn the first reader dies before it has run.
inline task<> bytes_of_a_dying_reader_go_to_the_next(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading reads[3];
  writing pieces[3];
  std::vector<foreign> writers;
  task_scope scope;
  {
    task_scope dying;
    start(dying, read_once(&ends.a, &reads[0]));
    co_await turns();
    start(scope, read_once(&ends.a, &reads[1]));
    start(scope, read_once(&ends.a, &reads[2]));
    co_await turns();
    const char* const texts[] = {"1", "2", "3"};
    for (int i = 0; i < 3; ++i) writers.push_back(ends.b->write_abroad(buffer(texts[i]), &pieces[i]));
  }
  const bool second = co_await until([&reads] { return reads[1].done; });
  expect(second, "the next reader is served when the first one dies", "it waits on");
  co_await ends.b.shutdown(shutdown_mode::write);
  const bool third = co_await until([&reads] { return reads[2].done; });
  expect(third, "the reader after it ends", "it waits on");
  expect(reads[1].got.has_data(), "the next reader gets the bytes", in_words(reads[1].got));
  std::string all;
  for (const reading& one : reads)
    if (one.done && one.got.has_data()) all += one.got->text();
  const read_result last = co_await drain(&ends.a, &all);
  expect_eof(last);
  expect_same(all, "123");
}

inline task<> write_some_then_read(checked_flow* flow, int count, reading* out) {
  for (int i = 0; i < count; ++i) {
    const result<void> sent = co_await flow->write(buffer("w"));
    expect_success(sent);
  }
  out->started = true;
  read_result got = co_await flow->read();
  out->got = std::move(got);
  out->done = true;
}

// A coroutine that has used up its turn may be made to wait although its bytes are there; it dies before it goes on. At
// which operation a turn ends is the library's affair, so every place is tried.
inline task<> bytes_of_a_reader_that_was_called_go_to_the_next(law_run& run) {
  for (int count = 0; count < 140; ++count) {
    flow_ends ends = co_await run.connect();
    writing data;
    reading dead;
    reading next;
    task_scope scope;
    start(scope, write_once(&ends.b, buffer("d"), &data));
    co_await arrived(&ends.a, 1);
    {
      task_scope dying;
      start(dying, write_some_then_read(&ends.a, count, &dead));
      start(scope, read_once(&ends.a, &next));
      // The children have run once when this goes on, in the same round of the ready queue.
      co_await turns();
    }
    if (dead.done) {
      expect_data(dead.got, "d");
      expect(!next.done, "the bytes go to one reader", "two readers ended");
    } else {
      const bool done = co_await until([&next] { return next.done; });
      expect(done, "the next reader is served when one dies in its turn", "it waits on");
      expect_data(next.got, "d");
      if (!done) co_return;
    }
  }
}

// A large write ends, with two small ones behind it; the first of these dies before it has run, and the other one goes
// on.
struct writes_in_line {
  writes_in_line() noexcept {}
  std::string text;
  std::string all;
  writing blocked;
  writing dead;
  writing next;
};

// Leaves off when the large write is through. Nobody reads then, but there may be room.
inline task<> let_the_first_write_through(flow_ends* ends, task_scope* scope, bool one_dies, writes_in_line* out) {
  start(*scope, write_once(&ends->a, buffer(out->text), &out->blocked));
  co_await turns();
  task_scope dying;
  if (one_dies) start(dying, write_once(&ends->a, buffer("d"), &out->dead));
  co_await turns();
  start(*scope, write_once(&ends->a, buffer("n"), &out->next));
  co_await turns();
  while (!out->blocked.done && out->all.size() < out->text.size()) {
    const read_result got = co_await ends->b.read();
    if (!got) {
      expect(false, "the bytes arrive", in_words(got));
      co_return;
    }
    out->all.append(got->text());
    co_await turns();
  }
}

inline task<> room_of_a_dying_writer_goes_to_the_next(law_run& run) {
  bool roomy = false;
  for (const bool one_dies : {false, true}) {
    flow_ends ends = co_await run.connect();
    writes_in_line line;
    reading end;
    line.text = std::string(run.capacity() + 4096, 'f');
    task_scope scope;
    co_await let_the_first_write_through(&ends, &scope, one_dies, &line);
    if (one_dies && roomy) {
      // There was room for it when nobody died.
      const bool done = co_await until([&line] { return line.next.done; });
      expect(done, "the next writer has the room of the one that died", "it waits on");
    } else {
      for (int i = 0; i < 20 && !line.next.done; ++i) co_await turns();
      roomy = line.next.done;
    }
    start(scope, drain_once(&ends.b, &line.all, &end));
    const bool done = co_await until([&line] { return line.blocked.done && line.next.done; });
    expect(done, "the next writer goes on when the one before it dies", "it waits on");
    if (!done) co_return;
    expect_success(line.blocked.sent);
    expect_success(line.next.sent);
    co_await ends.a.shutdown(shutdown_mode::write);
    const bool over = co_await until([&end] { return end.done; });
    expect(over, "the peer comes to the end", "its read waits on");
    expect_eof(end.got);
    const bool sent_it = line.all.size() == line.text.size() + 2;
    if (line.dead.done) expect(sent_it, "a write that has ended was sent", "its byte is missing");
    expect_same(line.all, line.text + (sent_it ? "dn" : "n"));
  }
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> abandoned_wait_laws() noexcept {
  static constexpr law all[] = {
      {"C6", "destroying a coroutine takes its wait back", destroyed_waits_are_taken_back, nullptr,
       need::back_pressure},
      {"C6", "bytes of a reader that dies before it runs go to the next one, in order",
       bytes_of_a_dying_reader_go_to_the_next},
      {"C6", "bytes of a reader that has used up its turn and dies go to the next one",
       bytes_of_a_reader_that_was_called_go_to_the_next},
      {"C6", "room of a writer that dies before it runs goes to the next one", room_of_a_dying_writer_goes_to_the_next,
       nullptr, need::back_pressure},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
