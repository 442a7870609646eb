/// \file
/// The laws of destroying a flow: whoever it has just resumed may do it, nobody who waits is forgotten, and the peer
/// comes to an end (C4, C6).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- C4: waiters are taken off first and resumed last

inline task<> read_then_destroy(checked_flow* flow, reading* out) {
  out->started = true;
  read_result got = co_await flow->read();
  out->got = std::move(got);
  flow->destroy();
  out->done = true;
}
inline task<> write_then_destroy(checked_flow* flow, buffer bytes, writing* out) {
  out->started = true;
  const result<void> sent = co_await flow->write(std::move(bytes));
  out->sent = sent;
  flow->destroy();
  out->done = true;
}
inline task<> shutdown_then_destroy(checked_flow* flow, shutting* out) {
  out->started = true;
  co_await flow->shutdown(shutdown_mode::write);
  flow->destroy();
  out->done = true;
}

enum class resumption { data, end, reset, close, shutdown };

inline task<> a_resumed_reader_may_destroy_the_flow(law_run& run, resumption why) {
  flow_ends ends = co_await run.connect();
  reading first;
  reading others[2];
  writing write;
  shutting closing;
  std::vector<foreign> closer;
  task_scope scope;
  start(scope, read_then_destroy(&ends.a, &first));
  for (reading& one : others) start(scope, read_once(&ends.a, &one));
  start(scope, write_once(&ends.a, buffer(std::string(run.more_than_fits(), 'w')), &write));
  co_await turns(2);
  expect(!first.done, "a read waits while nobody writes", "it ended");
  expect(!write.done, "a large write waits while nobody reads", "it ended");
  if (why == resumption::data) {
    const result<void> sent = co_await ends.b.write(buffer("d"));
    expect_success(sent);
  }
  if (why == resumption::end) co_await ends.b.shutdown(shutdown_mode::write);
  if (why == resumption::reset) ends.b->reset();
  if (why == resumption::close) closer.push_back(ends.a->close_abroad(&closing));
  if (why == resumption::shutdown) co_await ends.a.shutdown(shutdown_mode::read);
  const bool done = co_await until([&] { return first.done && others[0].done && others[1].done && write.done; });
  expect(done, "everything ends when a reader destroys the flow", "something waits on");
  if (!done) co_return;
  if (why == resumption::data) {
    expect_data(first.got, "d");
    for (const reading& one : others) expect_error(one.got, error::closed);
  }
  if (why == resumption::end || why == resumption::shutdown) expect_eof(first.got);
  if (why == resumption::reset) expect_reset(first.got);
  if (why == resumption::close) {
    expect_error(first.got, error::closed);
    const bool over = co_await until([&closing] { return closing.done; });
    expect(over, "the close ends", "it waits on");
  }
  expect(!write.sent, "the write that waited fails", in_words(write.sent));
}

inline task<> a_resumed_writer_may_destroy_the_flow(law_run& run, bool queued_behind) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  writing first;
  writing second;
  reading read;
  task_scope scope;
  start(scope, read_once(&ends.a, &read));
  start(scope, write_then_destroy(&ends.a, buffer(text), &first));
  if (queued_behind) start(scope, write_once(&ends.a, buffer(text), &second));
  co_await turns(2);
  expect(!first.done, "a large write waits while nobody reads", "it ended");
  std::string all;
  const read_result last = co_await drain(&ends.b, &all);
  const bool done = co_await until([&] { return first.done && read.done && (!queued_behind || second.done); });
  expect(done, "everything ends when a writer destroys the flow", "something waits on");
  if (!done) co_return;
  expect_success(first.sent);
  expect_error(read.got, error::closed);
  if (queued_behind) {
    // The second write may have begun, and was then torn.
    expect_error(second.sent, error::closed);
    expect_same(all, std::string_view(text + text).substr(0, all.size()));
  } else if (run.has(need::clean_destruction)) {
    expect_same(all, text);
    expect_eof(last);
  } else {
    // A layer whose peer has answered something may have it unread below, and the kernel then drops what it had taken.
    expect_same(all, std::string_view(text).substr(0, all.size()));
  }
}

inline task<> a_resumed_shutdown_may_destroy_the_flow(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  writing write;
  reading read;
  shutting shut[2];
  task_scope scope;
  start(scope, read_once(&ends.a, &read));
  start(scope, write_once(&ends.a, buffer(text), &write));
  start(scope, shutdown_then_destroy(&ends.a, &shut[0]));
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut[1]));
  co_await turns(2);
  std::string all;
  const read_result last = co_await drain(&ends.b, &all);
  expect_eof(last);
  expect_same(all, text);
  const bool done = co_await until([&] { return shut[0].done && shut[1].done && read.done && write.done; });
  expect(done, "everything ends when whoever shut a flow down destroys it", "something waits on");
  if (done) expect_error(read.got, error::closed);
}

inline task<> read_then_close(checked_flow* flow, reading* out) {
  out->started = true;
  read_result got = co_await flow->read();
  out->got = std::move(got);
  co_await flow->close();
  const read_result again = co_await flow->read();
  expect_error(again, error::closed);
  out->done = true;
}

inline task<> a_resumed_reader_may_close(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading first;
  reading others[2];
  task_scope scope;
  start(scope, read_then_close(&ends.a, &first));
  for (reading& one : others) start(scope, read_once(&ends.a, &one));
  co_await turns();
  const result<void> sent = co_await ends.b.write(buffer("d"));
  expect_success(sent);
  const bool done = co_await until([&] { return first.done && others[0].done && others[1].done; });
  expect(done, "everything ends when a reader closes the flow", "something waits on");
  if (!done) co_return;
  expect_data(first.got, "d");
  for (const reading& one : others) expect_error(one.got, error::closed);
}

// Several flows have bytes in one turn; whoever is resumed first destroys them all.
struct crowd {
  static constexpr std::size_t size = 8;
  crowd() noexcept {}
  flow_ends ends[size];
  reading reads[size];
};

inline task<> read_then_destroy_all(crowd* all, std::size_t mine) {
  read_result got = co_await all->ends[mine].a.read();
  all->reads[mine].got = std::move(got);
  all->reads[mine].done = true;
  for (flow_ends& one : all->ends) one.a.destroy();
}

inline task<> a_resumed_reader_may_destroy_other_flows(law_run& run) {
  crowd all;
  for (flow_ends& one : all.ends) one = co_await run.connect();
  task_scope scope;
  for (std::size_t i = 0; i < crowd::size; ++i) start(scope, read_then_destroy_all(&all, i));
  co_await turns(3);
  for (flow_ends& one : all.ends) {
    const result<void> sent = co_await one.b.write(buffer("n"));
    if (all.reads[0].done) break;
    expect_success(sent);
  }
  const auto all_done = [&all] {
    for (const reading& one : all.reads)
      if (!one.done) return false;
    return true;
  };
  const bool done = co_await until(all_done);
  expect(done, "every read ends when all the flows are destroyed", "one of them waits on");
  if (!done) co_return;
  std::size_t served = 0;
  for (const reading& one : all.reads) {
    if (one.got.has_data())
      ++served;
    else
      expect_error(one.got, error::closed);
  }
  expect(served != 0, "the first read is served", "none was");
}

// ---- C6: a close without a goodbye

inline task<> destroying_a_flow_ends_its_stream(law_run& run) {
  flow_ends ends = co_await run.connect();
  writing words;
  std::string all;
  task_scope scope;
  co_await offer(&scope, &ends.a, "last words", &words);
  if (!words.done) co_await read_up_to(&ends.b, 10, &all);
  co_await turns(2);
  ends.a.destroy();
  reading end;
  start(scope, drain_once(&ends.b, &all, &end));
  const bool done = co_await until([&end] { return end.done; });
  expect(done, "the peer of a destroyed flow comes to an end", "its read waits for ever");
  if (!done) co_return;
  expect_same(all, "last words");
  if (run.has(need::clean_destruction))
    expect_eof(end.got);
  else
    expect_broken(end.got);
  const result<void> failed = co_await write_until_error(&ends.b);
  const bool gone = !failed && failed.error() == condition::disconnected;
  expect(gone, "the peer's writes fail: nobody will read them", in_words(failed));
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> destruction_laws() noexcept {
  static constexpr law all[] = {
      {"C4", "a reader that is resumed by data may destroy the flow",
       [](law_run& run) { return a_resumed_reader_may_destroy_the_flow(run, resumption::data); }, nullptr,
       need::back_pressure},
      {"C4", "a reader that is resumed by eof may destroy the flow",
       [](law_run& run) { return a_resumed_reader_may_destroy_the_flow(run, resumption::end); }, nullptr,
       need::back_pressure},
      {"C4", "a reader that is resumed by a reset may destroy the flow",
       [](law_run& run) { return a_resumed_reader_may_destroy_the_flow(run, resumption::reset); }, nullptr,
       need::back_pressure | need::reset},
      {"C4", "a reader that is resumed by a close may destroy the flow",
       [](law_run& run) { return a_resumed_reader_may_destroy_the_flow(run, resumption::close); }, nullptr,
       need::back_pressure},
      {"C4", "a reader that is resumed by a shutdown may destroy the flow",
       [](law_run& run) { return a_resumed_reader_may_destroy_the_flow(run, resumption::shutdown); }, nullptr,
       need::back_pressure},
      {"C4", "a writer that is resumed may destroy the flow",
       [](law_run& run) { return a_resumed_writer_may_destroy_the_flow(run, false); }, nullptr, need::back_pressure},
      {"C4", "a writer that is resumed may destroy the flow under the next one",
       [](law_run& run) { return a_resumed_writer_may_destroy_the_flow(run, true); }, nullptr, need::back_pressure},
      {"C4", "whoever is resumed from a shutdown may destroy the flow", a_resumed_shutdown_may_destroy_the_flow,
       nullptr, need::back_pressure},
      {"C4", "a reader that is resumed may close the flow under the others", a_resumed_reader_may_close},
      {"C4", "a reader that is resumed may destroy flows that are about to be served",
       a_resumed_reader_may_destroy_other_flows},
      {"C6", "destroying a flow ends its stream", destroying_a_flow_ends_its_stream},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
