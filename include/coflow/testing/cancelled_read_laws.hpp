/// \file
/// The laws of cancelled reads: whatever comes when, no byte and no end is lost, and the order stays (X1).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

enum class stop_order { stop_then_data, data_then_stop, data_then_turn_then_stop, stop_then_turn_then_data };

inline task<> a_cancelled_read_loses_nothing(law_run& run, stop_order order) {
  flow_ends ends = co_await run.connect();
  const bool data_first = order == stop_order::data_then_stop || order == stop_order::data_then_turn_then_stop;
  std::string all;
  std::string wanted;
  for (int round = 0; round < 20; ++round) {
    reading read;
    writing sent;
    std::vector<foreign> writer;
    task_scope scope;
    start(scope, read_once(&ends.a, &read));
    co_await turns(round % 3);
    if (!data_first) scope.cancel();
    if (order == stop_order::stop_then_turn_then_data) co_await turns();
    wanted += "abc";
    writer.push_back(ends.b->write_abroad(buffer("abc"), &sent));
    if (order == stop_order::data_then_turn_then_stop) co_await turns();
    if (data_first) scope.cancel();
    const bool done = co_await until([&read] { return read.done; });
    expect(done, "a cancelled read ends", "it waits on");
    if (!done) co_return;
    if (read.got.has_data())
      all += read.got->text();
    else
      expect_error(read.got, canceled());
    if (order == stop_order::stop_then_turn_then_data) expect_error(read.got, canceled());
    co_await read_up_to(&ends.a, wanted.size(), &all);
    const bool written = co_await until([&sent] { return sent.done; });
    expect(written, "the write ends", "it waits on");
    expect_same(all, wanted);
  }
}

// The same with three readers: whoever is cancelled, the bytes stay in order.
inline task<> cancelling_one_of_three_reads(law_run& run, std::size_t which, bool data_first) {
  flow_ends ends = co_await run.connect();
  reading reads[3];
  writing writes[4];
  std::vector<foreign> writers;
  task_scope scope;
  task_scope leaving;
  for (std::size_t i = 0; i < 3; ++i) start(i == which ? leaving : scope, read_once(&ends.a, &reads[i]));
  co_await turns();
  if (data_first) writers.push_back(ends.b->write_abroad(buffer("1"), &writes[0]));
  leaving.cancel();
  if (!data_first) writers.push_back(ends.b->write_abroad(buffer("1"), &writes[0]));
  const bool gone = co_await until([&reads, which] { return reads[which].done; });
  expect(gone, "a cancelled read ends", "it waits on");
  for (std::size_t i = 1; i < 4; ++i) {
    const char byte = static_cast<char>('1' + i);
    writers.push_back(ends.b->write_abroad(buffer(std::string_view(&byte, 1)), &writes[i]));
    co_await turns(3);
  }
  shutting shut;
  writers.push_back(ends.b->shutdown_abroad(shutdown_mode::write, &shut));
  const bool done = co_await until([&reads] { return reads[0].done && reads[1].done && reads[2].done; });
  expect(done, "all reads end", "one of them waits on");
  if (!done) co_return;
  std::string all;
  for (std::size_t i = 0; i < 3; ++i) {
    if (reads[i].got.has_data())
      all += reads[i].got->text();
    else if (i == which)
      expect_error(reads[i].got, canceled());
    else
      expect_eof(reads[i].got);
  }
  expect(!all.empty(), "somebody is served", "no read gave data");
  const read_result last = co_await drain(&ends.a, &all);
  expect_eof(last);
  expect_same(all, "1234");
}

inline task<> cancelling_any_of_three_reads(law_run& run) {
  for (std::size_t which = 0; which < 3; ++which) {
    co_await cancelling_one_of_three_reads(run, which, false);
    co_await cancelling_one_of_three_reads(run, which, true);
  }
}

// An end that comes in the turn of the cancellation is not lost either.
inline task<> a_cancelled_read_leaves_the_end(law_run& run, bool reset, bool end_first) {
  flow_ends ends = co_await run.connect();
  reading read;
  shutting shut;
  std::vector<foreign> shutter;
  task_scope scope;
  start(scope, read_once(&ends.a, &read));
  co_await turns();
  if (!end_first) scope.cancel();
  if (reset)
    ends.b->reset();
  else
    shutter.push_back(ends.b->shutdown_abroad(shutdown_mode::write, &shut));
  if (end_first) scope.cancel();
  const bool done = co_await until([&read] { return read.done; });
  expect(done, "a cancelled read ends", "it waits on");
  if (!done) co_return;
  const read_result next = co_await ends.a.read();
  if (reset)
    expect_reset(next);
  else
    expect_eof(next);
  const bool cancelled = read.got.failed() && read.got.error() == canceled();
  if (cancelled) co_return;
  if (reset)
    expect_reset(read.got);
  else
    expect_eof(read.got);
}

// ---- at any time: readers that come and go all the time lose and repeat nothing

inline task<> write_in_pieces(checked_flow* flow, const std::string* text) {
  std::string_view rest(*text);
  std::size_t size = 1;
  while (!rest.empty()) {
    const std::string_view piece = rest.substr(0, size);
    rest.remove_prefix(piece.size());
    size = size * 3 % 2999 + 1;
    const result<void> sent = co_await flow->write(buffer(piece));
    expect_success(sent);
    if (!sent) co_return;
  }
  co_await flow->shutdown(shutdown_mode::write);
}

inline task<> readers_that_come_and_go(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(200'000);
  std::string all;
  task_scope scope;
  start(scope, write_in_pieces(&ends.b, &text));
  for (int round = 0; round < 300; ++round) {
    reading drained[3];
    task_scope readers;
    for (reading& one : drained) start(readers, drain_once(&ends.a, &all, &one));
    co_await turns(1 + round % 3);
    if (round % 2 == 0) {
      readers.cancel();
      const result<void> joined = co_await readers.join();
      expect_success(joined);
    }
  }
  const read_result last = co_await drain(&ends.a, &all);
  expect_eof(last);
  expect_same(all, text);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> cancelled_read_laws() noexcept {
  static constexpr need stop = need::cancellation;
  static constexpr law all[] = {
      {"X1", "a read that is cancelled before bytes come in the same turn loses nothing",
       [](law_run& run) { return a_cancelled_read_loses_nothing(run, stop_order::stop_then_data); }, nullptr, stop},
      {"X1", "a read that is cancelled after bytes came in the same turn loses nothing",
       [](law_run& run) { return a_cancelled_read_loses_nothing(run, stop_order::data_then_stop); }, nullptr, stop},
      {"X1", "a read that is cancelled a turn after bytes came loses nothing",
       [](law_run& run) { return a_cancelled_read_loses_nothing(run, stop_order::data_then_turn_then_stop); }, nullptr,
       stop},
      {"X1", "a read that is cancelled a turn before bytes come loses nothing",
       [](law_run& run) { return a_cancelled_read_loses_nothing(run, stop_order::stop_then_turn_then_data); }, nullptr,
       stop},
      {"X1", "cancelling one of three reads keeps the bytes in order", cancelling_any_of_three_reads, nullptr, stop},
      {"X1", "a read that is cancelled before the end comes leaves it to the next",
       [](law_run& run) { return a_cancelled_read_leaves_the_end(run, false, false); }, nullptr, stop},
      {"X1", "a read that is cancelled after the end came leaves it to the next",
       [](law_run& run) { return a_cancelled_read_leaves_the_end(run, false, true); }, nullptr, stop},
      {"X1", "a read that is cancelled before a reset comes leaves it to the next",
       [](law_run& run) { return a_cancelled_read_leaves_the_end(run, true, false); }, nullptr, stop | need::reset},
      {"X1", "a read that is cancelled after a reset came leaves it to the next",
       [](law_run& run) { return a_cancelled_read_leaves_the_end(run, true, true); }, nullptr, stop | need::reset},
      {"X1", "readers that are cancelled and destroyed all the time lose no byte", readers_that_come_and_go, nullptr,
       stop},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
