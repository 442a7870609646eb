/// \file
/// The laws of taking a write back that has sent nothing: it leaves no trace, the others go out in order, and the
/// stream can still end cleanly (X2).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- behind a write that is in progress

enum class taking_back { by_cancellation, by_destruction };

// Cancelling takes it back, or comes too late: then it is reported as sent, and it is.
inline void expect_taken_back_or_sent(const writing& one, std::string_view text, std::string* wanted) {
  expect(one.done, "a cancelled write ends promptly", "it waits on");
  if (one.done && one.sent)
    wanted->append(text);
  else if (one.done)
    expect_error(one.sent, canceled());
}

inline task<> a_queued_write_can_be_taken_back(law_run& run, taking_back how) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  std::vector<buffer> list;
  std::vector<buffer> other_list;
  for (const char* word : {"never ", "sent"}) list.emplace_back(word);
  for (const char* word : {"fourth ", "fifth "}) other_list.emplace_back(word);
  writing blocked;
  writing taken_back[2];
  writing others[3];
  std::string all;
  reading last;
  task_scope scope;
  auto leaving = std::make_unique<task_scope>();
  start(scope, write_once(&ends.a, buffer(text), &blocked));
  co_await turns();
  start(*leaving, write_once(&ends.a, buffer("never sent"), &taken_back[0]));
  co_await turns();
  start(scope, write_once(&ends.a, buffer("third "), &others[0]));
  co_await turns();
  start(*leaving, writev_once(&ends.a, list, &taken_back[1]));
  co_await turns();
  start(scope, writev_once(&ends.a, other_list, &others[1]));
  co_await turns();
  std::string wanted = text;
  if (how == taking_back::by_cancellation) {
    leaving->cancel();
    expect(!taken_back[0].done, "stop resumes nobody inline", "a write ended inside the request");
    static_cast<void>(co_await promptly([&taken_back] { return taken_back[0].done && taken_back[1].done; }));
    expect_taken_back_or_sent(taken_back[0], "never sent", &wanted);
    wanted += "third ";
    expect_taken_back_or_sent(taken_back[1], "never sent", &wanted);
    if (taken_back[1].done && !taken_back[1].sent) expect_same(joined(list), "never sent");
  } else {
    leaving.reset();
    expect_same(joined(list), "never sent");
    wanted += "third ";
  }
  wanted += "fourth fifth sixth";
  start(scope, write_once(&ends.a, buffer("sixth"), &others[2]));
  co_await turns();
  // The half can still be ended, and ends cleanly.
  shutting shut;
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  start(scope, drain_once(&ends.b, &all, &last));
  const bool over = co_await until([&] { return last.done && shut.done && blocked.done; });
  expect(over, "the stream comes to its end", "it does not");
  if (!over) co_return;
  expect_same(all, wanted);
  expect_eof(last.got);
  expect_success(blocked.sent);
  for (const writing& one : others) {
    expect(one.done, "the other writes end", "one of them waits on");
    expect_success(one.sent);
  }
}

// ---- the first in the queue

// A byte is sent whole or not at all: the one that waits has sent nothing.
struct filling {
  filling() noexcept {}
  std::size_t bulk = 0;  // a first write, of so many bytes
  writing bulk_written;
  std::size_t accepted = 0;  // single bytes after it
  bool done = false;
  result<void> last;
};

inline task<> write_single_bytes(checked_flow* flow, filling* out) {
  const buffer byte("f");
  for (;;) {
    const result<void> sent = co_await flow->write(byte.share());
    if (!sent) {
      out->last = sent;
      out->done = true;
      co_return;
    }
    ++out->accepted;
  }
}

// Writes until a single byte waits: the last one, in `leaving`. The peer reads only until the first write is through,
// into `all`, so that few single bytes fill what is left.
inline task<> fill(law_run& run, flow_ends* ends, task_scope* scope, task_scope* leaving, filling* out,
                   std::string* all) {
  out->bulk = 2 * run.capacity() + 1;
  start(*scope, write_once(&ends->a, buffer(std::string(out->bulk, 'f')), &out->bulk_written));
  co_await turns(3);
  while (!out->bulk_written.done && all->size() < out->bulk) {
    const read_result got = co_await ends->b.read();
    if (!got) {
      expect(false, "the bytes arrive", in_words(got));
      co_return;
    }
    all->append(got->text());
    co_await turns();
  }
  start(*leaving, write_single_bytes(&ends->a, out));
  std::size_t seen = 0;
  for (int quiet = 0; quiet < 30; ++quiet) {
    co_await turns();
    if (out->accepted != seen) quiet = 0;
    seen = out->accepted;
  }
  expect(!out->done, "a write waits when nobody reads", in_words(out->last));
}

// What has arrived after `what` was taken back: a byte whose coroutine has died may have been on its way.
inline void expect_filling(std::string_view all, const filling& what, std::string_view then, taking_back how) {
  std::size_t size = what.bulk + what.accepted;
  if (how == taking_back::by_destruction && all.size() == size + then.size() + 1) ++size;
  expect_same(all, std::string(size, 'f').append(then));
}

// What follows; or was begun before, and waits for the write that is taken back.
enum class next_step { write_and_shutdown, close, shutdown_under_way };

inline task<> the_first_write_can_be_taken_back(law_run& run, taking_back how, next_step then) {
  flow_ends ends = co_await run.connect();
  filling full;
  writing next;
  shutting ended;
  std::string all;
  reading last;
  task_scope scope;
  auto leaving = std::make_unique<task_scope>();
  co_await fill(run, &ends, &scope, leaving.get(), &full, &all);
  if (then == next_step::write_and_shutdown) {
    start(scope, write_once(&ends.a, buffer("n"), &next));
    co_await turns();
  }
  if (then == next_step::shutdown_under_way) {
    start(scope, shutdown_once(&ends.a, shutdown_mode::write, &ended));
    co_await turns();
    expect(!ended.done, "a shutdown waits for queued writes", "it ended");
  }
  if (how == taking_back::by_cancellation) {
    leaving->cancel();
    expect(!full.done, "stop resumes nobody inline", "a write ended inside the request");
    const bool given_up = co_await promptly([&full] { return full.done; });
    expect(given_up, "a cancelled write ends promptly", "it waits on");
    if (given_up) expect_error(full.last, canceled());
  } else {
    leaving.reset();
  }
  // A goodbye may need the peer to read.
  start(scope, drain_once(&ends.b, &all, &last));
  if (then == next_step::close) {
    // What was accepted may not be torn by the close.
    const bool accepted = co_await until([&full] { return full.bulk_written.done; });
    expect(accepted, "the first write ends", "it waits on");
    start(scope, close_once(&ends.a, &ended));
  }
  if (then == next_step::write_and_shutdown) start(scope, shutdown_once(&ends.a, shutdown_mode::write, &ended));
  const bool over = co_await until([&] { return last.done && ended.done; });
  expect(over, "the stream comes to its end", "it does not");
  if (!over) co_return;
  expect_filling(all, full, then == next_step::write_and_shutdown ? "n" : "", how);
  expect_eof(last.got);
  if (then != next_step::write_and_shutdown) co_return;
  expect(next.done, "the write behind it ends", "it waits on");
  expect_success(next.sent);
}

// A write whose room has just been made is cancelled before it has run.
inline task<> a_write_is_cancelled_when_it_has_room(law_run& run) {
  flow_ends ends = co_await run.connect();
  filling full;
  writing next;
  shutting ended;
  std::string all;
  reading last;
  task_scope scope;
  task_scope leaving;
  co_await fill(run, &ends, &scope, &leaving, &full, &all);
  start(scope, write_once(&ends.a, buffer("n"), &next));
  co_await turns();
  const read_result got = co_await ends.b.read();
  expect(got.has_data(), "the bytes are there", in_words(got));
  if (!got) co_return;
  all.append(got->text());
  leaving.cancel();
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &ended));
  start(scope, drain_once(&ends.b, &all, &last));
  const bool over = co_await until([&] { return full.done && next.done && last.done && ended.done; });
  expect(over, "both writes end, and the stream", "something waits on");
  if (!over) co_return;
  expect_error(full.last, canceled());
  expect_success(next.sent);
  expect_filling(all, full, "n", taking_back::by_cancellation);
  expect_eof(last.got);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> unsent_write_laws() noexcept {
  static constexpr need waits = need::back_pressure;
  static constexpr need stops = need::back_pressure | need::cancellation;
  static constexpr law all[] = {
      {"X2", "a queued write that is cancelled leaves no trace, and the others go out in order",
       [](law_run& run) { return a_queued_write_can_be_taken_back(run, taking_back::by_cancellation); }, nullptr,
       stops},
      {"X2", "a queued write that is destroyed leaves no trace, and the others go out in order",
       [](law_run& run) { return a_queued_write_can_be_taken_back(run, taking_back::by_destruction); }, nullptr, waits},
      {"X2", "the first write of the queue can be cancelled while it has sent nothing",
       [](law_run& run) {
         return the_first_write_can_be_taken_back(run, taking_back::by_cancellation, next_step::write_and_shutdown);
       },
       nullptr, stops},
      {"X2", "the first write of the queue can be destroyed while it has sent nothing",
       [](law_run& run) {
         return the_first_write_can_be_taken_back(run, taking_back::by_destruction, next_step::write_and_shutdown);
       },
       nullptr, waits},
      {"X2", "a close after an unsent write was cancelled is a clean end",
       [](law_run& run) {
         return the_first_write_can_be_taken_back(run, taking_back::by_cancellation, next_step::close);
       },
       nullptr, stops},
      {"X2", "a close after an unsent write was destroyed is a clean end",
       [](law_run& run) {
         return the_first_write_can_be_taken_back(run, taking_back::by_destruction, next_step::close);
       },
       nullptr, waits},
      {"X2", "a shutdown ends cleanly when the unsent write that it waits for is cancelled",
       [](law_run& run) {
         return the_first_write_can_be_taken_back(run, taking_back::by_cancellation, next_step::shutdown_under_way);
       },
       nullptr, stops},
      {"X2", "a shutdown ends cleanly when the unsent write that it waits for is destroyed",
       [](law_run& run) {
         return the_first_write_can_be_taken_back(run, taking_back::by_destruction, next_step::shutdown_under_way);
       },
       nullptr, waits},
      {"X2", "a write that is cancelled when it has just got room is sent whole or not at all",
       a_write_is_cancelled_when_it_has_room, nullptr, stops},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
