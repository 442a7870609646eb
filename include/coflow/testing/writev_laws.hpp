/// \file
/// The laws of writing lists: buffers pass to the flow (W2), and a list is one write however it is cut (W3).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- W2: buffers pass to the flow

inline task<> writev_empties_what_was_accepted(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string text(100, 'p');
  const buffer payload(text);
  std::array<buffer, 5> list{buffer("one "), buffer(), buffer(), buffer("three "), buffer("four")};
  list[1] = payload.share();
  const std::string wanted = "one " + text + "three four";
  std::string all;
  writing written;
  task_scope scope;
  start(scope, writev_once(&ends.a, list, &written));
  co_await read_up_to(&ends.b, wanted.size(), &all);
  expect_same(all, wanted);
  const bool done = co_await until([&written] { return written.done; });
  expect(done, "the write ends", "it waits on");
  expect_success(written.sent);
  for (const buffer& one : list)
    expect(one.empty(), "each buffer is emptied as it is accepted", "one holds " + std::to_string(one.size()));
  expect_same(payload.text(), text);
}

enum class cut_short { cancel, destroy, close, peer_closes, peer_resets };

// What was not sent is still in the array, what was sent is not; together they are what the caller gave.
inline task<> writev_leaves_the_unsent_rest(law_run& run, cut_short how) {
  flow_ends ends = co_await run.connect();
  std::vector<buffer> list;
  std::string whole;
  for (std::uint32_t i = 0; i < 10; ++i) {
    const std::string piece = pattern(run.more_than_fits() / 4, i);
    whole += piece;
    list.emplace_back(piece);
    list.emplace_back();
  }
  writing written;
  {
    task_scope scope;
    start(scope, writev_once(&ends.a, list, &written));
    co_await turns(3);
    expect(written.started, "the write has begun");
    expect(!written.done, "the write waits for a reader", "it ended");
    if (how == cut_short::cancel) scope.cancel();
    if (how == cut_short::close) co_await ends.a.close();
    if (how == cut_short::peer_closes) co_await ends.b.close();
    if (how == cut_short::peer_resets) ends.b->reset();
    if (how != cut_short::destroy) {
      const bool done = co_await until([&written] { return written.done; });
      expect(done, "the write ends", "it waits on");
      expect(!written.sent, "the write fails", "it succeeded");
      if (how == cut_short::cancel) expect_error(written.sent, canceled());
      if (how == cut_short::close) expect_error(written.sent, error::closed);
      if (how == cut_short::peer_resets) expect_reset(written.sent);
    }
  }
  const std::string rest = joined(list);
  expect(rest.size() <= whole.size(), "what is left was given", "there is more");
  if (rest.size() > whole.size()) co_return;
  expect_same(rest, std::string_view(whole).substr(whole.size() - rest.size()));
  if (how == cut_short::cancel || how == cut_short::destroy) {
    // Nothing that was accepted is lost as long as both ends stay, and no more was sent than a part of the next buffer.
    const auto next = std::find_if(list.begin(), list.end(), [](const buffer& one) { return !one.empty(); });
    std::size_t part = 0;
    if (next != list.end()) part = next->size();
    std::string all;
    co_await read_up_to(&ends.b, whole.size() - rest.size(), &all);
    expect_same(all + rest, whole);
    const std::size_t before = all.size();
    co_await ends.a.close();
    const read_result last = co_await drain(&ends.b, &all);
    expect(!last.has_data(), "the peer comes to an end", in_words(last));
    expect(all.size() <= before + part, "buffers that were sent are not left in the array",
           std::to_string(all.size() - before) + " bytes were sent and are in it");
  }
  // The caller may go on with its buffers.
  for (buffer& one : list) one.clear();
}

inline task<> a_refused_writev_takes_nothing(law_run& run) {
  flow_ends ends = co_await run.connect();
  std::array<buffer, 3> list{buffer("kept "), buffer(), buffer("whole")};
  co_await ends.a.close();
  const result<void> sent = co_await ends.a.writev(list);
  expect_error(sent, error::closed);
  expect_same(joined(list), "kept whole");
}

// ---- W3: in call order, in one piece, however it is cut

inline task<> writev_is_write_of_it_all(law_run& run, std::size_t buffers, std::size_t largest) {
  flow_ends ends = co_await run.connect();
  const std::size_t size = std::min(largest, run.more_than_fits());
  std::vector<buffer> list;
  std::string wanted;
  for (std::size_t i = 0; i < buffers; ++i) {
    if (i % 3 == 1) {
      list.emplace_back();
      continue;
    }
    const std::string piece = pattern(1 + (i * 7) % size, static_cast<std::uint32_t>(i));
    wanted += piece;
    list.emplace_back(piece);
  }
  std::string all;
  reading drained;
  shutting shut;
  task_scope scope;
  start(scope, drain_once(&ends.b, &all, &drained));
  const result<void> sent = co_await ends.a.writev(list);
  expect_success(sent);
  const bool emptied = std::all_of(list.begin(), list.end(), [](const buffer& one) { return one.empty(); });
  expect(emptied, "every buffer is emptied", "some are not");
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  const bool done = co_await until([&drained] { return drained.done; });
  expect(done, "the peer comes to the end", "it waits on");
  expect_same(all, wanted);
}

// Every list of up to five buffers, with every choice of empty ones among them.
inline task<> any_element_may_be_empty(law_run& run) {
  flow_ends ends = co_await run.connect();
  std::string wanted;
  std::string all;
  reading drained;
  shutting shut;
  task_scope scope;
  start(scope, drain_once(&ends.b, &all, &drained));
  for (std::size_t count = 0; count <= 5; ++count) {
    for (unsigned full = 0; full < (1U << count); ++full) {
      std::vector<buffer> list;
      for (std::size_t i = 0; i < count; ++i) {
        const std::string piece = pattern(1 + i, full);
        const bool empty = (full >> i & 1U) == 0;
        if (empty)
          list.emplace_back();
        else
          list.emplace_back(piece);
        if (!empty) wanted += piece;
      }
      const result<void> sent = co_await ends.a.writev(list);
      expect_success(sent);
      expect(joined(list).empty(), "every buffer is emptied", "one is not");
    }
  }
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  const bool done = co_await until([&drained] { return drained.done; });
  expect(done, "the peer comes to the end", "it waits on");
  expect_same(all, wanted);
}

inline task<> writes_of_all_kinds_keep_their_order(law_run& run) {
  flow_ends ends = co_await run.connect();
  std::string all;
  reading drained;
  shutting shut;
  task_scope scope;
  start(scope, drain_once(&ends.b, &all, &drained));
  std::string wanted;
  std::vector<buffer> list;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const std::string piece = pattern(1 + (i * i) % 5000, i);
    wanted += piece;
    result<void> sent;
    if (i % 3 == 0) {
      sent = co_await ends.a.write(buffer(piece));
    } else if (i % 3 == 1) {
      sent = co_await ends.a.write(buffer::adopt(piece));
    } else {
      list.clear();
      for (std::size_t at = 0; at < piece.size(); at += 61) list.emplace_back(std::string_view(piece).substr(at, 61));
      sent = co_await ends.a.writev(list);
    }
    expect_success(sent);
  }
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  const bool done = co_await until([&drained] { return drained.done; });
  expect(done, "the peer comes to the end", "it waits on");
  expect_same(all, wanted);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> writev_laws() noexcept {
  static constexpr law all[] = {
      {"W2", "writev empties the buffers of its array and leaves shared handles alone",
       writev_empties_what_was_accepted},
      {"W2", "a writev that was refused leaves every buffer in the array", a_refused_writev_takes_nothing},
      {"W2", "after a writev that was cancelled the unsent rest is still in the array",
       [](law_run& run) { return writev_leaves_the_unsent_rest(run, cut_short::cancel); }, nullptr,
       need::cancellation | need::back_pressure},
      {"W2", "after a writev whose coroutine was destroyed the unsent rest is still in the array",
       [](law_run& run) { return writev_leaves_the_unsent_rest(run, cut_short::destroy); }, nullptr,
       need::back_pressure},
      {"W2", "after a writev that a close ended the unsent rest is still in the array",
       [](law_run& run) { return writev_leaves_the_unsent_rest(run, cut_short::close); }, nullptr, need::back_pressure},
      {"W2", "after a writev that the peer's close ended the unsent rest is still in the array",
       [](law_run& run) { return writev_leaves_the_unsent_rest(run, cut_short::peer_closes); }, nullptr,
       need::back_pressure},
      {"W2", "after a writev that a reset ended the unsent rest is still in the array",
       [](law_run& run) { return writev_leaves_the_unsent_rest(run, cut_short::peer_resets); }, nullptr,
       need::reset | need::back_pressure},
      {"W3", "writev of 10,000 buffers, every third empty, is a write of it all",
       [](law_run& run) { return writev_is_write_of_it_all(run, 10'000, 30); }},
      {"W3", "writev of large buffers is a write of it all",
       [](law_run& run) { return writev_is_write_of_it_all(run, 100, 50'000); }},
      {"W3", "any buffer of a list may be empty", any_element_may_be_empty},
      {"W3", "write and writev keep their order", writes_of_all_kinds_keep_their_order},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
