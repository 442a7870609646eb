/// \file
/// What a flow that only takes must do: laws W1, W3 to W5, W9, S1 to S3, C1, C2, X0 and O1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "coflow/testing/one_way_run.hpp"

namespace coflow::inline v0 {
namespace laws {

inline task<> a_sink_has_what_was_written(one_way_run& run) {
  checked_flow sink;
  co_await run.make(&sink);
  std::string wanted;
  for (std::uint32_t i = 0; i < 50; ++i) {
    const std::string piece = pattern(1 + i * i % 997, i);
    wanted += piece;
    const result<void> sent = co_await sink.write(buffer(piece));
    expect_success(sent);
    expect_same(run.received(sink), wanted);
  }
}

inline task<> a_sink_takes_lists(one_way_run& run) {
  checked_flow sink;
  co_await run.make(&sink);
  std::string wanted;
  for (const std::size_t count :
       {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{10'000}}) {
    std::vector<buffer> list;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string piece = i % 3 == 1 ? std::string() : pattern(1 + i % 11, static_cast<std::uint32_t>(i));
      wanted += piece;
      list.emplace_back(piece);
    }
    const result<void> sent = co_await sink.writev(list);
    expect_success(sent);
    expect(joined(list).empty(), "every buffer is emptied", "some are not");
  }
  expect_same(run.received(sink), wanted);
}

// In the order in which they were awaited; each whole; the ones before a shutdown all of them.
inline task<> queued_writes_reach_a_sink(one_way_run& run) {
  checked_flow sink;
  co_await run.make(&sink);
  std::array<writing, 5> writes;
  shutting shut;
  std::string wanted;
  task_scope scope;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const std::string piece = pattern(1000, static_cast<std::uint32_t>(i));
    wanted += piece;
    start(scope, write_once(&sink, buffer(piece), &writes[i]));
  }
  start(scope, shutdown_once(&sink, shutdown_mode::write, &shut));
  const bool over = co_await until([&shut] { return shut.done; });
  expect(over, "a shutdown of a sink ends", "it waits on");
  for (const writing& one : writes) {
    expect(one.done, "a queued write ends before the shutdown", "it waits on");
    expect_success(one.sent);
  }
  expect_same(run.received(sink), wanted);
  const result<void> late = co_await sink.write(buffer("late"));
  expect_error(late, error::closed);
  expect_same(run.received(sink), wanted);
}

enum class sink_end { shutdown_write, shutdown_both, close };

inline task<> an_ended_sink_takes_nothing(one_way_run& run) {
  for (const sink_end how : {sink_end::shutdown_write, sink_end::shutdown_both, sink_end::close}) {
    checked_flow sink;
    co_await run.make(&sink);
    result<void> sent = co_await sink.write(buffer("before"));
    expect_success(sent);
    for (int i = 0; i < 3; ++i) {
      if (how == sink_end::shutdown_write) co_await sink.shutdown(shutdown_mode::write);
      if (how == sink_end::shutdown_both) co_await sink.shutdown(shutdown_mode::read_write);
      if (how == sink_end::close) co_await sink.close();
      sent = co_await sink.write(buffer("after"));
      expect_error(sent, error::closed);
      std::array<buffer, 2> list{buffer("af"), buffer("ter")};
      sent = co_await sink.writev(list);
      expect_error(sent, error::closed);
      expect_same(joined(list), "after");
      sent = co_await sink.write(buffer());
      expect_error(sent, error::closed);
    }
    expect_same(run.received(sink), "before");
  }
}

inline task<> writing_nothing_to_a_sink(one_way_run& run) {
  checked_flow sink;
  co_await run.make(&sink);
  const turn_mark mark;
  result<void> sent = co_await sink.write(buffer());
  expect_success(sent);
  sent = co_await sink.writev(std::span<buffer>());
  expect_success(sent);
  std::array<buffer, 3> empty;
  sent = co_await sink.writev(empty);
  expect_success(sent);
  expect(!mark.passed(), "writing nothing never waits", "it waited");
  expect_same(run.received(sink), "");
}

inline task<> shutting_the_read_half_of_a_sink(one_way_run& run) {
  checked_flow sink;
  co_await run.make(&sink);
  co_await sink.shutdown(shutdown_mode::read);
  const result<void> sent = co_await sink.write(buffer("still"));
  expect_success(sent);
  expect_same(run.received(sink), "still");
}

inline task<> nothing_begins_unawaited_at_a_sink(one_way_run& run) {
  checked_flow sink;
  co_await run.make(&sink);
  sink->begin_nothing();
  co_await turns(2);
  expect_same(run.received(sink), "");
  const result<void> sent = co_await sink.write(buffer("real"));
  expect_success(sent);
  expect_same(run.received(sink), "real");
}

inline task<> a_stopped_write_changes_nothing(one_way_run& run) {
  checked_flow sink;
  co_await run.make(&sink);
  writing writes[2];
  std::array<buffer, 1> list{buffer("kept")};
  {
    task_scope scope;
    scope.cancel();
    start(scope, write_once(&sink, buffer("never"), &writes[0]));
    start(scope, writev_once(&sink, list, &writes[1]));
    co_await turns(2);
  }
  for (const writing& one : writes) {
    expect(one.done, "a write of a stopped task ends at once", "it waits");
    expect_error(one.sent, canceled());
  }
  expect_same(joined(list), "kept");
  const result<void> sent = co_await sink.write(buffer("real"));
  expect_success(sent);
  expect_same(run.received(sink), "real");
}

/// The checks of this header.
[[nodiscard]] inline std::span<const one_way_law> sink_laws() noexcept {
  static constexpr one_way_law all[] = {
      {"W1", "a sink has what was written when the write has succeeded", a_sink_has_what_was_written},
      {"W3", "a list is to a sink what its bytes are", a_sink_takes_lists},
      {"W4", "concurrent writes reach a sink whole and in order", queued_writes_reach_a_sink},
      {"W5", "a sink that was ended gives closed", an_ended_sink_takes_nothing},
      {"W9", "writing nothing to a sink never waits", writing_nothing_to_a_sink},
      {"S1", "a shutdown of a sink is harmless", shutdown_is_harmless},
      {"S2", "shutdown(read) leaves a sink its writes", shutting_the_read_half_of_a_sink},
      {"S3", "writes that are queued reach a sink before its shutdown", queued_writes_reach_a_sink},
      {"C1", "a sink that is closed, once or more, keeps what it has", an_ended_sink_takes_nothing},
      {"C2", "a second close of a sink does nothing", an_ended_sink_takes_nothing},
      {"X0", "a stopped task writes nothing to a sink", a_stopped_write_changes_nothing, true},
      {"O1", "operations on a sink that are never awaited do nothing", nothing_begins_unawaited_at_a_sink},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
