/// \file
/// The law of what a successful write is worth: what was accepted arrives, or the stream does not end cleanly, also
/// where a flow keeps it before the transport has it (W1, C6, L2).
#pragma once

#include <cstddef>
#include <list>
#include <span>
#include <string>
#include <string_view>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

enum class last_act { destroy, close, shutdown_and_close };

// Nobody reads until the flow has ended.
inline task<> accepted_bytes_are_not_lost_behind_a_clean_end(law_run& run, last_act how) {
  flow_ends ends = co_await run.connect();
  const std::string piece = pattern(run.capacity() / 8 + 100);
  std::string offered;
  std::size_t accepted = 0;
  std::list<writing> words;
  shutting shut;
  shutting closing;
  task_scope scope;
  for (;;) {
    offered += piece;
    co_await offer(&scope, &ends.a, piece, &words.emplace_back());
    if (!words.back().done) break;
    expect_success(words.back().sent);
    if (!words.back().sent) co_return;
    accepted = offered.size();
  }
  if (how == last_act::destroy) ends.a.destroy();
  if (how == last_act::shutdown_and_close) start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  if (how != last_act::destroy) start(scope, close_once(&ends.a, &closing));
  const bool ended = co_await until([&] { return words.back().done && (how == last_act::destroy || closing.done); });
  expect(ended, "the end of a flow whose peer does not read comes", "something waits on");
  if (!ended) co_return;
  if (words.back().sent) accepted = offered.size();  // it waited for time to pass, and not for the reader
  std::string all;
  reading last;
  start(scope, drain_once(&ends.b, &all, &last));
  const bool done = co_await until([&last] { return last.done; });
  expect(done, "the peer of a flow that has ended comes to an end", "its read waits for ever");
  if (!done) co_return;
  expect_same(all, std::string_view(offered).substr(0, all.size()));
  const bool lost = all.size() < accepted;
  expect(!lost || !last.got.eof(), "eof comes behind all that was accepted",
         std::to_string(accepted - all.size()) + " accepted bytes were missing before it");
}

// No turn passes between the last write and the end: a flow that keeps bytes for a while has them still.
inline task<> write_and_end(checked_flow* flow, last_act how, std::string_view piece, std::size_t* accepted,
                            shutting* out) {
  out->started = true;
  for (int i = 0; i < 3; ++i) {
    const result<void> sent = co_await flow->write(buffer(piece));
    expect_success(sent);
    if (sent) *accepted += piece.size();
  }
  if (how == last_act::destroy) flow->destroy();
  if (how == last_act::shutdown_and_close) co_await flow->shutdown(shutdown_mode::write);
  if (how != last_act::destroy) co_await flow->close();
  out->done = true;
}

inline task<> bytes_accepted_just_before_the_end_are_not_lost(law_run& run, last_act how) {
  flow_ends ends = co_await run.connect();
  const std::string piece = pattern(10);
  std::size_t accepted = 0;
  std::string all;
  shutting ending;
  reading last;
  task_scope scope;
  start(scope, drain_once(&ends.b, &all, &last));
  start(scope, write_and_end(&ends.a, how, piece, &accepted, &ending));
  const bool done = co_await until([&] { return ending.done && last.done; });
  expect(done, "both ends of a flow that is ended come to an end", "something waits on");
  if (!done) co_return;
  const std::string offered = piece + piece + piece;
  expect_same(all, std::string_view(offered).substr(0, all.size()));
  const bool lost = all.size() < accepted;
  expect(!lost || !last.got.eof(), "eof comes behind all that was accepted",
         std::to_string(accepted - all.size()) + " accepted bytes were missing before it");
}

/// The checks of this header. What says goodbye is not closed here: that may take its whole limit, and a goodbye that
/// could not be sent is no clean end anyway.
[[nodiscard]] inline std::span<const law> acceptance_laws() noexcept {
  static constexpr law all[] = {
      {"W1", "what was accepted is not lost behind a clean end when the flow is destroyed",
       [](law_run& run) { return accepted_bytes_are_not_lost_behind_a_clean_end(run, last_act::destroy); }, nullptr,
       need::back_pressure},
      {"W1", "what was accepted is not lost behind a clean end when the flow is closed",
       [](law_run& run) { return accepted_bytes_are_not_lost_behind_a_clean_end(run, last_act::close); }, nullptr,
       need::back_pressure | need::clean_destruction},
      {"W1", "what was accepted is not lost behind a clean end when the flow is shut and closed",
       [](law_run& run) { return accepted_bytes_are_not_lost_behind_a_clean_end(run, last_act::shutdown_and_close); },
       nullptr, need::back_pressure | need::clean_destruction},
      {"W1", "what was accepted just before the flow is destroyed is not lost behind a clean end",
       [](law_run& run) { return bytes_accepted_just_before_the_end_are_not_lost(run, last_act::destroy); }},
      {"W1", "what was accepted just before the flow is closed is not lost behind a clean end",
       [](law_run& run) { return bytes_accepted_just_before_the_end_are_not_lost(run, last_act::close); }},
      {"W1", "what was accepted just before the flow is shut and closed is not lost behind a clean end",
       [](law_run& run) { return bytes_accepted_just_before_the_end_are_not_lost(run, last_act::shutdown_and_close); }},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
