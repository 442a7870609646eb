/// \file
/// The laws of writing: what success means (W1), who comes first (W4), what nobody reads (W8), and writing nothing
/// (W9). What a list of buffers means is in writev_laws.hpp, what an error means in write_error_laws.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- W1: success means that the transport below has accepted all the bytes

struct slow_reading {
  std::string_view pattern;  // repeated for ever
  std::size_t count = 0;
  bool intact = true;
};

inline task<> read_slowly(checked_flow* flow, slow_reading* out) {
  std::size_t rested = 0;
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) co_return;
    std::string_view text = got->text();
    while (!text.empty()) {
      const std::size_t offset = out->count % out->pattern.size();
      const std::size_t part = std::min(text.size(), out->pattern.size() - offset);
      if (text.substr(0, part) != out->pattern.substr(offset, part)) out->intact = false;
      out->count += part;
      text.remove_prefix(part);
    }
    const bool rests = out->count - rested >= 512;
    if (!rests) continue;
    rested = out->count;
    co_await turns(2);
  }
}

inline task<> a_large_write_waits_for_a_slow_reader(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string piece = pattern(run.more_than_fits());
  constexpr std::size_t most = std::size_t{64} << 20;
  const std::size_t size = std::max(piece.size(), std::min(4 * piece.size(), most));
  std::string whole;
  whole.reserve(size);
  while (whole.size() < size) whole.append(piece, 0, size - whole.size());
  slow_reading read;
  read.pattern = piece;
  task_scope scope;
  start(scope, read_slowly(&ends.b, &read));
  const result<void> sent = co_await ends.a.write(buffer::adopt(std::move(whole)));
  expect_success(sent);
  if (run.has(need::back_pressure)) {
    // A layer may hold a record of which not all has come, at either end.
    constexpr std::size_t in_layers = 128 * 1024;
    expect(read.count + run.capacity() + in_layers >= size, "a write succeeds only when the rest of it fits below",
           std::to_string(size - read.count) + " bytes were neither read nor could they be below");
  }
  const bool there = co_await until([&read, size] { return read.count >= size; });
  expect(there, "all the bytes arrive", std::to_string(read.count) + " of " + std::to_string(size));
  expect(read.count <= size, "no byte arrives twice", std::to_string(read.count) + " of " + std::to_string(size));
  expect(read.intact, "the bytes arrive as they were", "they differ");
}

inline task<> a_close_loses_nothing_that_was_written(law_run& run) {
  for (const std::size_t size : {std::size_t{1}, run.capacity() / 2 + 1, run.more_than_fits()}) {
    flow_ends ends = co_await run.connect();
    const std::string text = pattern(size);
    std::string all;
    reading drained;
    task_scope scope;
    start(scope, drain_once(&ends.b, &all, &drained));
    const result<void> sent = co_await ends.a.write(buffer(text));
    expect_success(sent);
    co_await ends.a.close();
    const bool done = co_await until([&drained] { return drained.done; });
    expect(done, "the peer of a closed flow comes to an end", "it waits on");
    // Where the peer answers by itself, the transport below may break off what it has not yet sent (fact K4), but says
    // so.
    const bool broken_off = size > run.capacity() && drained.got.failed();
    if (broken_off) {
      expect_broken(drained.got);
      expect_same(all, std::string_view(text).substr(0, all.size()));
    } else {
      expect_same(all, text);
      expect_eof(drained.got);
    }
  }
}

// ---- W4: concurrent writes queue; none interleaves with another

inline task<> write_two_ways(checked_flow* flow, std::string text, bool in_pieces, std::string* finished) {
  if (in_pieces) {
    std::vector<buffer> list;
    for (std::size_t at = 0; at < text.size(); at += 1000) list.emplace_back(std::string_view(text).substr(at, 1000));
    const result<void> sent = co_await flow->writev(list);
    expect_success(sent);
  } else {
    const result<void> sent = co_await flow->write(buffer(text));
    expect_success(sent);
  }
  finished->push_back(text.front());
}

inline task<> sixteen_writers_do_not_interleave(law_run& run) {
  flow_ends ends = co_await run.connect();
  // Together more than fits.
  const std::size_t size = std::max(run.capacity() / 8, std::size_t{20'000});
  const std::string_view names = "abcdefghijklmnop";
  std::string wanted;
  std::string finished;
  task_scope scope;
  for (const char name : names) {
    start(scope, write_two_ways(&ends.a, std::string(size, name), name % 2 == 0, &finished));
    wanted.append(size, name);
  }
  co_await turns();
  std::string all;
  co_await read_up_to(&ends.b, wanted.size(), &all);
  expect_same(all, wanted);
  const bool done = co_await until([&finished, names] { return finished.size() == names.size(); });
  expect(done, "all writes end", "only '" + finished + "' did");
  expect(finished == names, "writes end in the order in which they began", "they ended as '" + finished + "'");
}

inline task<> write_again_and_again(checked_flow* flow, char byte, std::size_t size) {
  for (int i = 0; i < 3; ++i) {
    const result<void> sent = co_await flow->write(buffer(std::string(size, byte)));
    expect_success(sent);
  }
}

// A writer that has been served goes to the end of the line.
inline task<> writers_that_come_back_queue_again(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::size_t size = run.more_than_fits();
  std::string wanted;
  std::string all;
  task_scope scope;
  for (const char byte : {'a', 'b', 'c'}) start(scope, write_again_and_again(&ends.a, byte, size));
  co_await turns();
  for (int i = 0; i < 3; ++i) {
    for (const char byte : {'a', 'b', 'c'}) wanted.append(size, byte);
  }
  co_await read_up_to(&ends.b, wanted.size(), &all);
  expect_same(all, wanted);
}

// ---- W8: a peer that does not read suspends the writer

inline task<> write_for_ever(checked_flow* flow, std::size_t* accepted) {
  for (;;) {
    const result<void> sent = co_await flow->write(buffer(std::string(1000, 'x')));
    if (!sent) co_return;
    *accepted += 1000;
  }
}

inline task<> what_nobody_reads_is_bounded(law_run& run) {
  flow_ends ends = co_await run.connect();
  std::size_t accepted = 0;
  task_scope scope;
  start(scope, write_for_ever(&ends.a, &accepted));
  for (int i = 0; i < 2000 && accepted <= run.more_than_fits(); ++i) co_await turns();
  const std::size_t before = accepted;
  expect(before <= run.more_than_fits(), "what nobody reads is bounded", std::to_string(before) + " bytes, and more");
  co_await turns(100);
  expect(accepted == before, "the writer waits", "it went on");
  std::size_t count = 0;
  while (accepted == before) {
    const read_result got = co_await ends.b.read();
    expect(got.has_data(), "what was accepted can be read", in_words(got));
    if (!got) co_return;
    count += got->size();
    expect(count <= before + 1000, "room that the reader makes lets the writer go on", "the writer waits on");
    if (count > before + 1000) co_return;
    co_await turns(3);
  }
}

// ---- W9: writing nothing

/// Why a write half takes no more.
enum class no_more_writes { after_shutdown, after_close, peer_closed, peer_reset };

// Every way of writing nothing, and that none waits; `code` is what each gives, if it is one.
inline task<> write_nothing(checked_flow* flow, std::error_code code) {
  std::vector<buffer> empties(100);
  turn_mark mark;
  result<void> outcomes[4];
  outcomes[0] = co_await flow->write(buffer());
  outcomes[1] = co_await flow->write(buffer(""));
  outcomes[2] = co_await flow->writev(std::span<buffer>());
  outcomes[3] = co_await flow->writev(empties);
  expect(!mark.passed(), "writing nothing does not wait", "it took a turn");
  for (const result<void>& one : outcomes) {
    if (code)
      expect_error(one, code);
    else
      expect_success(one);
  }
}

inline task<> writing_nothing_is_a_success_until_the_half_ends(law_run& run, no_more_writes why) {
  flow_ends ends = co_await run.connect();
  shutting shut;
  task_scope scope;
  co_await write_nothing(&ends.a, {});
  if (why == no_more_writes::after_shutdown) start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  if (why == no_more_writes::after_close) co_await ends.a.close();
  if (why == no_more_writes::peer_reset) ends.b->reset();
  co_await turns();
  std::error_code code = error::closed;
  if (why == no_more_writes::peer_reset) {
    const result<void> failed = co_await write_until_error(&ends.a);
    expect_reset(failed);
    if (!failed) code = failed.error();
  }
  co_await write_nothing(&ends.a, code);
  std::string all;
  const read_result last = co_await drain(&ends.b, &all);
  expect(!last.has_data(), "the peer comes to an end", in_words(last));
  expect(all.empty(), "nothing was written", std::to_string(all.size()) + " bytes arrived");
}

inline task<> writing_nothing_never_waits_on_a_full_flow(law_run& run) {
  flow_ends ends = co_await run.connect();
  writing blocked;
  shutting shut;
  task_scope scope;
  start(scope, write_once(&ends.a, buffer(std::string(run.more_than_fits(), 'f')), &blocked));
  co_await turns(3);
  expect(!blocked.done, "the flow is full", "the write ended");
  co_await write_nothing(&ends.a, {});
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  co_await turns(2);
  expect(!shut.done, "the shutdown waits for the queued write", "it ended");
  co_await write_nothing(&ends.a, error::closed);
  co_await ends.a.close();
  co_await write_nothing(&ends.a, error::closed);
  std::string all;
  const read_result last = co_await drain(&ends.b, &all);
  expect(!last.has_data(), "the peer comes to an end", in_words(last));
  expect(all.find_first_not_of('f') == std::string::npos, "nothing was written", "something arrived");
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> write_laws() noexcept {
  static constexpr law all[] = {
      {"W1", "a large write goes through a slow reader whole", a_large_write_waits_for_a_slow_reader},
      {"W1", "a close right after a write loses nothing", a_close_loses_nothing_that_was_written},
      {"W4", "sixteen concurrent writes go out whole and in order", sixteen_writers_do_not_interleave},
      {"W4", "a writer that was served goes to the end of the line", writers_that_come_back_queue_again, nullptr,
       need::back_pressure},
      {"W8", "a peer that does not read suspends the writer within bounds", what_nobody_reads_is_bounded, nullptr,
       need::back_pressure},
      {"W9", "writing nothing never waits, and is closed after a shutdown",
       [](law_run& run) {
         return writing_nothing_is_a_success_until_the_half_ends(run, no_more_writes::after_shutdown);
       }},
      {"W9", "writing nothing never waits, and is closed after a close",
       [](law_run& run) { return writing_nothing_is_a_success_until_the_half_ends(run, no_more_writes::after_close); }},
      {"W9", "writing nothing on a half that has failed gives the half's error",
       [](law_run& run) { return writing_nothing_is_a_success_until_the_half_ends(run, no_more_writes::peer_reset); },
       nullptr, need::reset},
      {"W9", "writing nothing never waits on a full flow", writing_nothing_never_waits_on_a_full_flow, nullptr,
       need::back_pressure},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
