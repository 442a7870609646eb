/// \file
/// What a flow that only gives must do: laws R1 to R5, S1, S2, C1 to C3, C6, X0, X1 and O1.
#pragma once

#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coflow/testing/one_way_run.hpp"

namespace coflow::inline v0 {
namespace laws {

inline task<> a_source_gives_its_text(one_way_run& run) {
  checked_flow source;
  co_await run.make(&source);
  std::vector<buffer> kept;
  for (;;) {
    read_result got = co_await source.read();
    if (!got) {
      expect_eof(got);
      break;
    }
    expect(!got->empty(), "a read gives a byte or more", "an empty buffer");
    kept.push_back(std::move(*got));
  }
  co_await source.close();
  source.destroy();
  expect_same(joined(kept), run.text());
}

inline task<> the_end_of_a_source_is_final(one_way_run& run) {
  checked_flow source;
  co_await run.make(&source);
  std::string all;
  const read_result end = co_await drain(&source, &all);
  expect_eof(end);
  expect_same(all, run.text());
  for (int i = 0; i < 3; ++i) {
    const turn_mark mark;
    const read_result again = co_await source.read();
    expect_eof(again);
    expect(!mark.passed(), "an end that is known comes at once", "the read waited");
    co_await turns();
  }
}

inline task<> nothing_begins_unawaited_at_a_source(one_way_run& run) {
  checked_flow source;
  co_await run.make(&source);
  for (int i = 0; i < 3; ++i) {
    source->begin_nothing();
    co_await turns();
  }
  std::string all;
  const read_result end = co_await drain(&source, &all);
  expect_eof(end);
  expect_same(all, run.text());
}

inline task<> shutting_a_source_ends_it(one_way_run& run) {
  for (const bool in_the_middle : {false, true}) {
    for (const shutdown_mode mode : {shutdown_mode::read, shutdown_mode::read_write}) {
      checked_flow source;
      co_await run.make(&source);
      if (in_the_middle) static_cast<void>(co_await source.read());
      for (int i = 0; i < 2; ++i) co_await source.shutdown(mode);
      for (int i = 0; i < 3; ++i) {
        const read_result got = co_await source.read();
        expect_eof(got);
      }
    }
  }
}

inline task<> a_closed_source_is_closed(one_way_run& run) {
  for (const bool at_the_end : {false, true}) {
    checked_flow source;
    co_await run.make(&source);
    std::string all;
    if (at_the_end) static_cast<void>(co_await drain(&source, &all));
    for (int i = 0; i < 3; ++i) {
      co_await source.close();
      const read_result got = co_await source.read();
      expect_error(got, error::closed);
    }
  }
}

inline task<> a_close_ends_pending_reads(one_way_run& run) {
  for (int before = 0; before < 3; ++before) {
    checked_flow source;
    co_await run.make(&source);
    std::array<reading, 3> reads;
    task_scope scope;
    for (reading& one : reads) start(scope, read_once(&source, &one));
    co_await turns(before);
    co_await source.close();
    co_await turns(3);
    std::string all;
    for (const reading& one : reads) {
      expect(one.done, "a pending read ends with the close", "it waits on");
      if (one.got.has_data()) all += one.got->text();
    }
    expect(run.text().starts_with(all), "what was read is what the source gives", "it differs");
  }
}

inline task<> a_stopped_read_changes_nothing(one_way_run& run) {
  checked_flow source;
  co_await run.make(&source);
  reading read;
  {
    task_scope scope;
    scope.cancel();
    start(scope, read_once(&source, &read));
    co_await turns(2);
  }
  expect(read.done, "a read of a stopped task ends at once", "it waits");
  expect_error(read.got, canceled());
  std::string all;
  const read_result end = co_await drain(&source, &all);
  expect_eof(end);
  expect_same(all, run.text());
}

inline task<> no_byte_of_a_source_is_lost(one_way_run* run, bool by_destruction) {
  checked_flow source;
  co_await run->make(&source);
  std::string all;
  bool over = false;
  for (int round = 0; round < 20 && !over; ++round) {
    reading read;
    {
      task_scope scope;
      start(scope, read_once(&source, &read));
      co_await turns(round % 3);
      if (!by_destruction) {
        scope.cancel();
        const bool done = co_await until([&read] { return read.done; });
        expect(done, "a cancelled read ends", "it waits on");
        if (!done) co_return;
      }
    }
    if (!read.done) continue;
    if (read.got.has_data()) all += read.got->text();
    over = read.got.eof();
    if (read.got.failed()) expect_error(read.got, canceled());
  }
  const read_result end = co_await drain(&source, &all);
  expect_eof(end);
  expect_same(all, run->text());
}
inline task<> a_cancelled_read_of_a_source_loses_nothing(one_way_run& run) {
  co_await no_byte_of_a_source_is_lost(&run, false);
}
inline task<> a_destroyed_read_of_a_source_loses_nothing(one_way_run& run) {
  co_await no_byte_of_a_source_is_lost(&run, true);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const one_way_law> source_laws() noexcept {
  static constexpr one_way_law all[] = {
      {"R1", "each read of a source gives bytes", a_source_gives_its_text},
      {"R2", "what a source gave stays as it was", a_source_gives_its_text},
      {"R4", "the end of a source is final", the_end_of_a_source_is_final},
      {"R5", "a source gives all of its text before its end", the_end_of_a_source_is_final},
      {"S1", "a shutdown of a source is harmless", shutdown_is_harmless},
      {"S2", "shutdown(read) ends a source", shutting_a_source_ends_it},
      {"C1", "a source that is closed gives closed, however often it is closed", a_closed_source_is_closed},
      {"C2", "a second close of a source does nothing", a_closed_source_is_closed},
      {"C3", "a close ends the pending reads of a source", a_close_ends_pending_reads},
      {"C6", "a read of a source that is destroyed loses nothing", a_destroyed_read_of_a_source_loses_nothing},
      {"X0", "a stopped task reads nothing from a source", a_stopped_read_changes_nothing, true},
      {"X1", "a read of a source that is cancelled loses nothing", a_cancelled_read_of_a_source_loses_nothing, true},
      {"O1", "operations on a source that are never awaited do nothing", nothing_begins_unawaited_at_a_source},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
