/// \file
/// What every layer does with the end of the flow below it: laws L2 to L5 and L8.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/testing/layer_run.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- L2: close

// After so many closes of the layer: what forwards may have forwarded each, a codec only the first.
inline void expect_closed(const layer_run& run, const probe_record& below, std::size_t asked,
                          place at = place::current()) {
  const bool holds = below.closes != 0 && below.closes <= (run.codec() ? 1 : asked);
  expect(holds, "close closes the inner flow exactly once",
         std::to_string(below.closes) + " closes below, for " + std::to_string(asked) + " of the layer", at);
}

enum class close_after { nothing, data, shutdown, read_error, write_error };

inline task<> close_closes_once(layer_run* run, close_after what, bool two_closers) {
  const bytes_below start_at = co_await bytes_of_handshake(run);
  const std::error_code trouble = std::make_error_code(std::errc::io_error);
  layer_plan plan;
  if (what == close_after::read_error) plan.first(fault_plan().fail_read_after(start_at.to_a, trouble));
  if (what == close_after::write_error) plan.first(fault_plan().fail_write_after(start_at.to_b, trouble));
  layer_ends ends;
  const bool made = co_await connected(run, plan, &ends);
  if (!made) co_return;
  reading drained;
  shutting closes[2];
  std::string all;
  task_scope scope;
  start(scope, drain_once(&*ends.b, &all, &drained));
  if (what == close_after::read_error) {
    const read_result got = co_await ends.a->read();
    expect(!got.has_data(), "the inner error reaches the reader", in_words(got));
  } else if (what != close_after::nothing) {
    static_cast<void>(co_await ends.a->write(buffer("data")));
  }
  if (what == close_after::shutdown) co_await ends.a->shutdown(shutdown_mode::write);
  start(scope, close_once(&*ends.a, &closes[0]));
  if (two_closers) start(scope, close_once(&*ends.a, &closes[1]));
  const bool ended =
      co_await within(run->close_limit(), [&] { return closes[0].done && (!two_closers || closes[1].done); });
  expect(ended, "close ends", "it waits for ever");
  if (!ended) co_return;
  std::size_t asked = two_closers ? 2 : 1;
  expect_closed(*run, *ends.below_a, asked);
  co_await ends.a->close();
  ++asked;
  co_await turns(3);
  ends.a.reset();
  co_await turns(3);
  expect_closed(*run, *ends.below_a, asked);
}
inline task<> close_closes_the_inner_flow(layer_run& run) {
  for (const bool two : {false, true})
    for (const close_after what : {close_after::nothing, close_after::data, close_after::shutdown})
      co_await close_closes_once(&run, what, two);
}
inline task<> close_closes_the_inner_flow_after_errors(layer_run& run) {
  for (const bool two : {false, true})
    for (const close_after what : {close_after::read_error, close_after::write_error})
      co_await close_closes_once(&run, what, two);
}

inline task<> close_ends_pending_operations(layer_run& run) {
  layer_ends ends;
  const bool made = co_await connected(&run, layer_plan().capacity(512), &ends);
  if (!made) co_return;
  reading read;
  writing written;
  shutting closing;
  task_scope scope;
  start(scope, read_once(&*ends.a, &read));
  start(scope, write_once(&*ends.a, buffer(pattern(300'000)), &written));
  co_await turns(10);
  expect(!read.done && !written.done, "operations wait for the peer", "they ended");
  start(scope, close_once(&*ends.a, &closing));
  const bool ended = co_await within(run.close_limit(), [&] { return closing.done && read.done && written.done; });
  expect(ended, "close ends, and the operations with it", closing.done ? "an operation waits on" : "it waits for ever");
  if (!ended) co_return;
  expect_error(read.got, error::closed);
  expect(!written.sent, "the pending write fails", "it succeeded");
  expect_closed(run, *ends.below_a, 1);
}

// The pipe below is filled to the last byte, so that no goodbye can go out.
inline task<> close_does_not_wait_for_the_peer(layer_run& run) {
  std::size_t room = 0;
  for (const bool measured : {false, true}) {
    layer_ends ends;
    layer_plan plan;
    if (measured) plan.capacity(room);
    const bool made = co_await connected(&run, plan, &ends);
    if (!made) co_return;
    writing written;
    shutting closing;
    task_scope scope;
    const std::size_t before = ends.below_a->written.size();
    start(scope, write_once(&*ends.a, buffer(pattern(200)), &written));
    const bool sent = co_await until([&written] { return written.done; });
    expect(sent, "what fits below is accepted", "the write waits");
    if (!sent) co_return;
    room = std::max<std::size_t>(ends.below_a->written.size() - before, 1);
    if (!measured) continue;
    start(scope, close_once(&*ends.a, &closing));
    const bool ended = co_await within(run.close_limit(), [&closing] { return closing.done; });
    expect(ended, "close is bounded in time, whatever the peer does", "it waits for a peer that does not read");
    if (!ended) co_return;
    expect_closed(run, *ends.below_a, 1);
  }
}

inline task<> destruction_lets_the_inner_flow_go(layer_run& run) {
  for (const bool pending : {false, true}) {
    layer_ends ends;
    const bool made = co_await connected(&run, layer_plan().capacity(512), &ends);
    if (!made) co_return;
    reading read;
    writing written;
    task_scope scope;
    if (pending) {
      start(scope, read_once(&*ends.a, &read));
      start(scope, write_once(&*ends.a, buffer(pattern(300'000)), &written));
    }
    co_await turns(10);
    ends.a.reset();
    const bool gone = co_await within(run.close_limit(), [&ends] { return ends.below_a->let_go(); });
    expect(gone, "a layer that is destroyed closes or destroys the inner flow", "it is still there");
    const bool ended = co_await within(run.close_limit(), [&] { return !pending || (read.done && written.done); });
    expect(ended, "pending operations end with the layer", "they wait on");
    expect(ends.below_a->closes <= 1, "at most one close", std::to_string(ends.below_a->closes) + " closes");
  }
}

// ---- L3: shutdown

inline task<> shutdown_of_write_comes_after_the_data(layer_run& run) {
  for (const std::size_t capacity : {std::size_t{256}, std::size_t{64} * 1024}) {
    layer_ends ends;
    const bool made = co_await connected(&run, layer_plan().capacity(capacity), &ends);
    if (!made) co_return;
    const std::string first = pattern(3000);
    const std::string second = pattern(1000, 2);
    writing writes[2];
    shutting shut;
    reading drained;
    std::string all;
    task_scope scope;
    start(scope, write_once(&*ends.a, buffer(first), &writes[0]));
    start(scope, write_once(&*ends.a, buffer(second), &writes[1]));
    co_await turns(5);
    start(scope, shutdown_once(&*ends.a, shutdown_mode::write, &shut));
    co_await turns(5);
    start(scope, drain_once(&*ends.b, &all, &drained));
    const bool over = co_await within(run.close_limit(), [&] { return drained.done && shut.done; });
    expect(over, "the shutdown ends, and the peer comes to the end of the stream", "something waits on");
    expect_same(all, first + second);
    expect_eof(drained.got);
    expect(ends.below_a->shutdowns_of_write != 0 || ends.below_a->let_go(),
           "shutdown(write) reaches the inner write half", "the inner flow heard nothing");
    const std::size_t late = ends.below_a->written.size() - ends.below_a->before_shutdown.size();
    if (run.codec() && ends.below_a->shutdowns_of_write != 0)
      expect(late == 0, "the inner write half is shut after all accepted data", std::to_string(late) + " bytes later");
    const result<void> refused = co_await ends.a->write(buffer("late"));
    expect_error(refused, error::closed);
  }
}

inline task<> shutdown_of_read_leaves_writing(layer_run& run) {
  layer_ends ends;
  const bool made = co_await connected(&run, layer_plan(), &ends);
  if (!made) co_return;
  reading pending;
  reading drained;
  shutting shut;
  std::string all;
  task_scope scope;
  start(scope, read_once(&*ends.a, &pending));
  start(scope, drain_once(&*ends.b, &all, &drained));
  co_await turns(5);
  co_await ends.a->shutdown(shutdown_mode::read);
  const bool ended = co_await until([&pending] { return pending.done; });
  expect(ended, "a pending read ends", "it waits on");
  if (ended) expect_eof(pending.got);
  const read_result later = co_await ends.a->read();
  expect_eof(later);
  const result<void> sent = co_await ends.a->write(buffer("still here"));
  expect_success(sent);
  const bool came = co_await until([&all] { return all.size() >= 10; });
  expect(came, "writing goes on after shutdown(read)", "nothing arrives");
  expect_same(all, "still here");
  start(scope, shutdown_once(&*ends.a, shutdown_mode::write, &shut));
  const bool over = co_await within(run.close_limit(), [&drained] { return drained.done; });
  expect(over, "the peer comes to the end of the stream", "it waits on");
  if (over) expect_eof(drained.got);
}

inline task<> a_connection_that_is_over_is_closed(layer_run& run) {
  layer_ends ends;
  const bool made = co_await connected(&run, layer_plan(), &ends);
  if (!made) co_return;
  reading drained[2];
  shutting shut[2];
  std::string all[2];
  task_scope scope;
  start(scope, drain_once(&*ends.a, &all[0], &drained[0]));
  start(scope, drain_once(&*ends.b, &all[1], &drained[1]));
  start(scope, shutdown_once(&*ends.a, shutdown_mode::write, &shut[0]));
  co_await turns(5);
  expect(ends.below_a->closes == 0, "a half that is open keeps the inner flow open", "it was closed");
  start(scope, shutdown_once(&*ends.b, shutdown_mode::write, &shut[1]));
  const bool over = co_await within(run.close_limit(), [&] { return drained[0].done && drained[1].done; });
  expect(over, "both streams come to their end", "one waits on");
  const bool gone = co_await within(2 * run.close_limit(), [&ends] { return ends.below_a->let_go(); });
  expect(gone, "the layer closes the inner flow when both halves have ended", "it is still open");
  const read_result again = co_await ends.a->read();
  expect_eof(again);
  co_await ends.a->close();
  co_await turns(3);
  expect(ends.below_a->closes <= 1, "at most one close", std::to_string(ends.below_a->closes) + " closes");
}

// ---- L4 and L5: the goodbye

enum class farewell { close, closes, shutdown_and_close, close_and_shutdown, all_at_once };

inline task<> say_farewell(layer_run* run, farewell how, std::size_t* bytes) {
  layer_ends ends;
  const bool made = co_await connected(run, layer_plan(), &ends);
  if (!made) co_return;
  reading drained;
  shutting calls[4];
  std::string all;
  task_scope scope;
  start(scope, drain_once(&*ends.b, &all, &drained));
  const result<void> sent = co_await ends.a->write(buffer("data"));
  expect_success(sent);
  const auto now = [&](int which, bool close) {
    if (close)
      start(scope, close_once(&*ends.a, &calls[which]));
    else
      start(scope,
            shutdown_once(&*ends.a, which % 2 == 0 ? shutdown_mode::write : shutdown_mode::read_write, &calls[which]));
  };
  for (int i = 0; i < 4; ++i) {
    const bool later = i != 0;
    bool close = how != farewell::shutdown_and_close || i >= 2;
    if (how == farewell::close_and_shutdown || how == farewell::all_at_once) close = i % 2 == 0;
    if (how == farewell::close && later) {
      calls[i].done = true;
      continue;
    }
    now(i, close);
    if (how == farewell::all_at_once) continue;
    const bool ended = co_await within(run->close_limit(), [&calls, i] { return calls[i].done; });
    expect(ended, "a close or shutdown ends", "it waits on");
    const result<void> late = co_await ends.a->write(buffer("late"));
    expect_error(late, error::closed);
  }
  const bool over = co_await within(run->close_limit(), [&] {
    return calls[0].done && calls[1].done && calls[2].done && calls[3].done && drained.done;
  });
  expect(over, "it all ends, and the peer comes to the end of the stream", "something waits on");
  co_await turns(5);
  expect_same(all, "data");
  expect_eof(drained.got);
  *bytes = ends.below_a->written.size();
  const std::size_t late = run->codec() ? ends.below_a->late_writes : 0;
  expect(late == 0, "nothing is written below after the end", std::to_string(late) + " writes");
}

inline task<> one_goodbye(layer_run& run) {
  std::size_t once = 0;
  co_await say_farewell(&run, farewell::close, &once);
  for (const farewell how :
       {farewell::closes, farewell::shutdown_and_close, farewell::close_and_shutdown, farewell::all_at_once}) {
    std::size_t bytes = 0;
    co_await say_farewell(&run, how, &bytes);
    expect(bytes == once, "however often it is ended, a layer writes what one close writes, and nothing after it",
           std::to_string(bytes) + " bytes instead of " + std::to_string(once));
  }
}

inline task<> the_peers_end_leaves_the_write_half(layer_run& run) {
  layer_ends ends;
  const bool made = co_await connected(&run, layer_plan(), &ends);
  if (!made) co_return;
  reading ended;
  shutting shut;
  std::string all;
  task_scope scope;
  start(scope, drain_once(&*ends.a, &all, &ended));
  const result<void> before = co_await ends.b->write(buffer("data"));
  expect_success(before);
  start(scope, shutdown_once(&*ends.b, shutdown_mode::write, &shut));
  const bool over = co_await within(run.close_limit(), [&ended] { return ended.done; });
  expect(over, "the peer's end arrives", "the read waits on");
  if (!over) co_return;
  expect_same(all, "data");
  expect_eof(ended.got);
  reading answer;
  start(scope, read_once(&*ends.b, &answer));
  const result<void> sent = co_await ends.a->write(buffer("answer"));
  expect_success(sent);
  const bool came = co_await until([&answer] { return answer.done; });
  expect(came, "the write half stays open", "the answer does not arrive");
  if (came) expect_data(answer.got, "answer");
}

// ---- L8: one inner write at a time

inline task<> inner_writes_do_not_overlap(layer_run& run) {
  layer_ends ends;
  const bool made = co_await connected(&run, layer_plan().capacity(128), &ends);
  if (!made) co_return;
  std::array<writing, 5> writes;
  std::vector<buffer> list;
  list.emplace_back(pattern(300, 8));
  list.emplace_back(pattern(300, 9));
  writing listed;
  shutting shut;
  reading drained;
  std::string all;
  std::string wanted;
  task_scope scope;
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const std::string text = pattern(300, static_cast<std::uint32_t>(i + 1));
    wanted += text;
    start(scope, write_once(&*ends.a, buffer(text), &writes[i]));
  }
  wanted += joined(list);
  start(scope, writev_once(&*ends.a, list, &listed));
  co_await turns(3);
  start(scope, shutdown_once(&*ends.a, shutdown_mode::write, &shut));
  co_await turns(3);
  start(scope, drain_once(&*ends.b, &all, &drained));
  const bool over = co_await within(run.close_limit(), [&] { return drained.done && shut.done; });
  expect(over, "the peer comes to the end of the stream", "it waits on");
  expect_same(all, wanted);
  const std::size_t most = ends.below_a->most_in_flight;
  expect(most == 1, "inner writes never overlap", std::to_string(most) + " at a time");
}

/// The checks of this header.
[[nodiscard]] inline std::span<const layer_law> layer_close_laws() noexcept {
  static constexpr layer_law all[] = {
      {"L2", "a close closes the inner flow exactly once", close_closes_the_inner_flow},
      {"L2", "a close closes the inner flow exactly once after errors", close_closes_the_inner_flow_after_errors},
      {"L2", "a close with operations pending ends them all", close_ends_pending_operations},
      {"L2", "a close does not wait for a peer that reads nothing", close_does_not_wait_for_the_peer},
      {"L2", "a layer that is destroyed lets the inner flow go", destruction_lets_the_inner_flow_go},
      {"L3", "shutdown(write) reaches the inner flow after all accepted data", shutdown_of_write_comes_after_the_data},
      {"L3", "shutdown(read) does not stop writing", shutdown_of_read_leaves_writing},
      {"L3", "a connection that is over is closed by the layer", a_connection_that_is_over_is_closed,
       layer_need::codec},
      {"L4", "a layer says goodbye at most once, and nothing after it", one_goodbye},
      {"L5", "the peer's goodbye is eof, and the write half stays open", the_peers_end_leaves_the_write_half},
      {"L8", "inner writes are serialised", inner_writes_do_not_overlap, layer_need::codec},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
