/// \file
/// The laws about writing to a half that takes no more: a closed condition is `closed` (W5), the first error is final
/// (W6), and no signal is raised (W10).
#pragma once

#include <array>
#include <csignal>
#include <span>
#include <string>

#include "coflow/testing/law.hpp"
#include "coflow/testing/write_laws.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- W5: closed

inline task<> writing_after_the_end_is_closed(law_run& run, no_more_writes why) {
  flow_ends ends = co_await run.connect();
  std::array<buffer, 2> list{buffer("more"), buffer("bytes")};
  shutting gone;
  task_scope scope;
  if (why == no_more_writes::after_shutdown) start(scope, shutdown_once(&ends.a, shutdown_mode::write, &gone));
  if (why == no_more_writes::after_close) co_await ends.a.close();
  if (why == no_more_writes::peer_closed) co_await ends.b.close();
  co_await turns();
  result<void> sent = co_await write_until_error(&ends.a);
  for (int i = 0; i < 3; ++i) {
    expect_error(sent, error::closed);
    expect(sent.error() == condition::disconnected, "closed is a kind of disconnected");
    sent = co_await ends.a.write(buffer("again"));
    expect_error(sent, error::closed);
    sent = co_await ends.a.writev(list);
  }
  expect_error(sent, error::closed);
  expect_same(joined(list), "morebytes");
}

// ---- W6: the first write error is final

inline task<> a_write_error_is_final(law_run& run, no_more_writes why) {
  flow_ends ends = co_await run.connect();
  if (why == no_more_writes::peer_reset)
    ends.b->reset();
  else
    co_await ends.b.close();
  const result<void> first = co_await write_until_error(&ends.a);
  expect(!first, "writing to nobody fails", in_words(first));
  if (why == no_more_writes::peer_reset) expect_reset(first);
  if (first) co_return;
  std::array<buffer, 2> list{buffer("more"), buffer("bytes")};
  for (int i = 0; i < 3; ++i) {
    turn_mark mark;
    result<void> sent = co_await ends.a.write(buffer("again"));
    expect_error(sent, first.error());
    sent = co_await ends.a.writev(list);
    expect_error(sent, first.error());
    expect(!mark.passed(), "after a write error a write gives that error at once", "it took a turn");
    co_await turns(2);
  }
  // Reading, and a shutdown, leave it as it is.
  std::string all;
  read_result last = co_await drain(&ends.a, &all);
  expect(!last.has_data(), "the reader comes to an end", in_words(last));
  co_await ends.a.shutdown(shutdown_mode::write);
  const result<void> sent = co_await ends.a.write(buffer("again"));
  expect_error(sent, first.error());
  expect_same(joined(list), "morebytes");
}

// A write refused because of a local shutdown is refused with the same error ever after, whatever becomes of the writes
// that were queued before.
inline task<> refused_by_a_shutdown_means_closed_for_good(law_run& run, bool torn) {
  flow_ends ends = co_await run.connect();
  writing queued;
  shutting shut;
  task_scope writers;
  task_scope scope;
  start(writers, write_once(&ends.a, buffer(std::string(run.more_than_fits(), 'q')), &queued));
  co_await turns(2);
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  co_await turns(2);
  expect(!shut.done, "the shutdown waits for the queued write", "it ended");
  result<void> sent = co_await ends.a.write(buffer("late"));
  expect_error(sent, error::closed);
  if (torn)
    writers.cancel();
  else
    ends.b->reset();
  const bool done = co_await until([&queued, &shut] { return queued.done && shut.done; });
  expect(done, "the queued write and the shutdown end", "one of them waits on");
  expect(!queued.sent, "the queued write fails", in_words(queued.sent));
  sent = co_await ends.a.write(buffer("later"));
  expect_error(sent, error::closed);
}

// ---- W10: no signal

// Counts SIGPIPE for as long as it lives, where there is such a signal.
class pipe_signals {
 public:
#ifdef SIGPIPE
  pipe_signals() noexcept : before_(std::signal(SIGPIPE, &count)) { raised_ = 0; }
  ~pipe_signals() { std::signal(SIGPIPE, before_); }
#else
  pipe_signals() noexcept {}
  ~pipe_signals() = default;
#endif
  pipe_signals(const pipe_signals&) = delete;
  pipe_signals& operator=(const pipe_signals&) = delete;
  [[nodiscard]] int raised() const noexcept { return raised_; }

 private:
  static inline volatile std::sig_atomic_t raised_ = 0;
#ifdef SIGPIPE
  static void count(int) { raised_ = raised_ + 1; }
  void (*before_)(int);
#endif
};

// What is written first, and ever after, is a single buffer or a list: two system calls.
inline task<> writing_to_nobody_raises_no_signal(law_run& run, no_more_writes why, bool lists) {
  flow_ends ends = co_await run.connect();
  const pipe_signals signals;
  writing waiting;
  task_scope scope;
  if (!lists) start(scope, write_once(&ends.a, buffer(std::string(run.more_than_fits(), 'w')), &waiting));
  co_await turns(2);
  if (why == no_more_writes::peer_reset)
    ends.b->reset();
  else
    co_await ends.b.close();
  co_await end_arrived(&ends.a);
  int failures = 0;
  for (int i = 0; i < 1000 && failures < 5; ++i) {
    std::array<buffer, 2> list{buffer("several"), buffer("buffers")};
    result<void> sent;
    if (lists)
      sent = co_await ends.a.writev(list);
    else
      sent = co_await ends.a.write(buffer("x"));
    if (!sent) ++failures;
    co_await turns();
  }
  expect(failures == 5, "nobody takes the bytes", "they were taken");
  co_await ends.a.shutdown(shutdown_mode::write);
  co_await ends.a.close();
  expect(signals.raised() == 0, "SIGPIPE never reaches the process",
         "it was raised " + std::to_string(signals.raised()) + " times");
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> write_error_laws() noexcept {
  static constexpr law all[] = {
      {"W5", "writing after a shutdown is closed",
       [](law_run& run) { return writing_after_the_end_is_closed(run, no_more_writes::after_shutdown); }},
      {"W5", "writing after a close is closed",
       [](law_run& run) { return writing_after_the_end_is_closed(run, no_more_writes::after_close); }},
      {"W5", "writing to a peer that has gone is closed",
       [](law_run& run) { return writing_after_the_end_is_closed(run, no_more_writes::peer_closed); }},
      {"W6", "after the peer has gone every write gives the same error, at once",
       [](law_run& run) { return a_write_error_is_final(run, no_more_writes::peer_closed); }},
      {"W6", "after a reset every write gives the same error, at once",
       [](law_run& run) { return a_write_error_is_final(run, no_more_writes::peer_reset); }, nullptr, need::reset},
      {"W6", "a write after a shutdown is closed for good, although queued writes meet a reset",
       [](law_run& run) { return refused_by_a_shutdown_means_closed_for_good(run, false); }, nullptr,
       need::reset | need::back_pressure},
      {"W6", "a write after a shutdown is closed for good, although queued writes are torn",
       [](law_run& run) { return refused_by_a_shutdown_means_closed_for_good(run, true); }, nullptr,
       need::cancellation | need::back_pressure},
      {"W10", "writing to a peer that has closed raises no SIGPIPE",
       [](law_run& run) { return writing_to_nobody_raises_no_signal(run, no_more_writes::peer_closed, false); }},
      {"W10", "writing lists to a peer that has closed raises no SIGPIPE",
       [](law_run& run) { return writing_to_nobody_raises_no_signal(run, no_more_writes::peer_closed, true); }},
      {"W10", "writing after a reset raises no SIGPIPE",
       [](law_run& run) { return writing_to_nobody_raises_no_signal(run, no_more_writes::peer_reset, false); }, nullptr,
       need::reset},
      {"W10", "writing lists after a reset raises no SIGPIPE",
       [](law_run& run) { return writing_to_nobody_raises_no_signal(run, no_more_writes::peer_reset, true); }, nullptr,
       need::reset},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
