/// \file
/// What a reset means for both halves: it is an error, never eof, whichever half meets it first (R7), and a write error
/// takes no readable input away (W7).
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- R7: a reset is never eof

inline task<> the_reader_meets_a_reset_first(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading read;
  task_scope scope;
  start(scope, read_once(&ends.a, &read));
  co_await turns();
  ends.b->reset();
  const bool done = co_await until([&read] { return read.done; });
  expect(done, "a pending read hears of the reset", "it waits on");
  expect_reset(read.got);
  const result<void> sent = co_await ends.a.write(buffer("x"));
  expect_reset(sent);
}

inline task<> the_writer_meets_a_reset_first(law_run& run, std::size_t queued) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(queued);
  writing written;
  task_scope scope;
  co_await offer(&scope, &ends.b, text, &written);
  if (written.done) co_await arrived(&ends.a, queued);
  ends.b->reset();
  co_await end_arrived(&ends.a);
  result<void> sent = co_await write_until_error(&ends.a);
  expect_reset(sent);
  std::string all;
  read_result last = co_await drain(&ends.a, &all);
  expect_delivered(run, all, text, written);
  for (int i = 0; i < 3; ++i) {
    expect_reset(last);
    last = co_await ends.a.read();
  }
  sent = co_await ends.a.write(buffer("x"));
  expect_reset(sent);
}

// The writer meets the reset while a read waits.
inline task<> both_halves_wait_when_the_reset_comes(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading reads[3];
  writing writes[3];
  task_scope scope;
  for (reading& one : reads) start(scope, read_once(&ends.a, &one));
  for (writing& one : writes) start(scope, write_once(&ends.a, buffer(std::string(run.more_than_fits(), 'w')), &one));
  co_await turns(2);
  expect(!reads[0].done, "the read waits", "it ended");
  expect(!writes[0].done, "the write waits", "it ended");
  ends.b->reset();
  const bool done = co_await until([&reads, &writes] {
    for (const reading& one : reads)
      if (!one.done) return false;
    for (const writing& one : writes)
      if (!one.done) return false;
    return true;
  });
  expect(done, "everything that waits hears of the reset", "something waits on");
  for (const reading& one : reads)
    if (one.done) expect_reset(one.got);
  for (const writing& one : writes)
    if (one.done) expect_reset(one.sent);
}

inline task<> a_reset_after_a_local_shutdown(law_run& run) {
  flow_ends ends = co_await run.connect();
  shutting shut;
  writing answer;
  task_scope scope;
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  const read_result end = co_await ends.b.read();
  expect_eof(end);
  co_await offer(&scope, &ends.b, "answer", &answer);
  if (answer.done) co_await arrived(&ends.a, 6);
  ends.b->reset();
  co_await end_arrived(&ends.a);
  std::string all;
  read_result last = co_await drain(&ends.a, &all);
  expect_delivered(run, all, "answer", answer);
  expect_reset(last);
  last = co_await ends.a.read();
  expect_reset(last);
}

// The stream breaks off while it is under way.
inline task<> a_reset_in_the_middle_of_a_stream(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(run.more_than_fits());
  std::string all;
  writing written;
  reading drained;
  task_scope scope;
  start(scope, write_once(&ends.b, buffer(text), &written));
  co_await turns(3);
  expect(!written.done, "the write waits for a reader", "it ended");
  ends.b->reset();
  const bool told = co_await until([&written] { return written.done; });
  expect(told, "the write that waits at the end that is reset ends", "it waits on");
  expect(!written.sent, "the write that waits at the end that is reset fails", in_words(written.sent));
  start(scope, drain_once(&ends.a, &all, &drained));
  const bool done = co_await until([&drained] { return drained.done; });
  expect(done, "the reader comes to the reset", "it waits on");
  expect_reset(drained.got);
  expect_same(all, std::string_view(text).substr(0, all.size()));
  expect(all.size() < text.size(), "what was not accepted does not arrive", "all of it arrived");
}

// ---- W7: a write error takes no readable input away

inline task<> input_outlives_a_write_error(law_run& run, bool reset) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(3000);
  writing written;
  shutting gone;
  task_scope scope;
  co_await offer(&scope, &ends.b, text, &written);
  const bool whole = written.done && run.has(need::prompt_acceptance);
  if (whole) co_await arrived(&ends.a, text.size());
  if (reset)
    ends.b->reset();
  else
    start(scope, close_once(&ends.b, &gone));
  co_await end_arrived(&ends.a);
  const result<void> failed = co_await write_until_error(&ends.a);
  expect(!failed, "writing to nobody fails", in_words(failed));
  co_await turns(3);
  std::string all;
  const read_result last = co_await drain(&ends.a, &all);
  expect_delivered(run, all, text, written);
  if (reset)
    expect_reset(last);
  else if (whole)
    expect_eof(last);
  else if (all.size() < text.size())
    expect_no_eof_for(written, last);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> reset_laws() noexcept {
  static constexpr law all[] = {
      {"R7", "a reset that a pending read meets first is an error on both halves", the_reader_meets_a_reset_first,
       nullptr, need::reset},
      {"R7", "a reset that the writer meets first is still an error for the reader",
       [](law_run& run) { return the_writer_meets_a_reset_first(run, 1); }, nullptr, need::reset},
      {"R7", "a reset that the writer meets first takes no bytes from the reader",
       [](law_run& run) { return the_writer_meets_a_reset_first(run, 4000); }, nullptr, need::reset},
      {"R7", "a reset ends every read and write that waits", both_halves_wait_when_the_reset_comes, nullptr,
       need::reset | need::back_pressure},
      {"R7", "a reset after a local shutdown is an error for the reader", a_reset_after_a_local_shutdown, nullptr,
       need::reset},
      {"R7", "a reset in the middle of a stream is an error, never eof", a_reset_in_the_middle_of_a_stream, nullptr,
       need::reset | need::back_pressure},
      {"W7", "a write error takes no readable input away when the peer has closed",
       [](law_run& run) { return input_outlives_a_write_error(run, false); }},
      {"W7", "a write error takes no readable input away when the connection was reset",
       [](law_run& run) { return input_outlives_a_write_error(run, true); }, nullptr, need::reset},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
