/// \file
/// The laws of a write that was given up after a part of it had gone out: it is the last one, and the stream never ends
/// cleanly (X2, X3).
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

/// A large write in a scope of its own, of which a part has surely gone out when `begin_torn_write` is done.
///
/// Giving it up tears it, unless the flow has taken the whole of it over already (a codec that has sealed it): then it
/// is reported as sent, and all of it goes out.
struct torn_write {
  explicit torn_write(std::size_t size) : text(pattern(size)), writer(std::make_unique<task_scope>()) {}
  std::string text;
  std::string heard;  // what the peer has read
  writing write;
  std::unique_ptr<task_scope> writer;

  [[nodiscard]] bool sent_after_all() const noexcept { return write.done && write.sent.has_value(); }
};

inline task<> begin_torn_write(flow_ends* ends, torn_write* out) {
  start(*out->writer, write_once(&ends->a, buffer(out->text), &out->write));
  co_await turns(2);
  // Nothing is sent before somebody reads, on some flows; there is more left than one read frees.
  co_await read_up_to(&ends->b, 1, &out->heard);
  co_await turns(2);
  expect(!out->write.done, "a write that is larger than what fits waits for the peer", in_words(out->write.sent));
}
inline task<> cancel_torn_write(torn_write* out) {
  out->writer->cancel();
  expect(!out->write.done, "stop resumes nobody inline", "the write ended inside the request");
  const bool ended = co_await promptly([out] { return out->write.done; });
  expect(ended, "a cancelled write ends promptly", "it waits on");
  if (ended && !out->write.sent) expect_error(out->write.sent, canceled());
}

// ---- X2: it is the last

enum class giving_up { cancellation, destruction };

// After the write half was torn every write gives one error, at once, and it is not the cancellation's.
inline task<> expect_no_more_writes(checked_flow* flow, std::error_code verdict) {
  expect(verdict != canceled(), "what follows a torn write has an error of its own", in_words(verdict));
  buffer list[2] = {buffer("more"), buffer("still")};
  turn_mark mark;
  for (int i = 0; i < 3; ++i) {
    result<void> sent = co_await flow->write(buffer("more"));
    expect_error(sent, verdict);
    sent = co_await flow->writev(list);
    expect_error(sent, verdict);
    sent = co_await flow->write(buffer());
    expect(!sent, "even a write of nothing fails after a torn write", in_words(sent));
  }
  expect(!mark.passed(), "a known error comes at once", "others ran first");
  expect_same(joined(list), "morestill");
}

inline task<> a_torn_write_is_the_last(law_run& run, giving_up how) {
  flow_ends ends = co_await run.connect();
  torn_write torn(run.more_than_fits());
  writing queued[2];
  std::vector<buffer> list;
  list.emplace_back("list");
  writing answer;
  reading last;
  shutting shut;
  task_scope scope;
  co_await begin_torn_write(&ends, &torn);
  start(scope, write_once(&ends.a, buffer("queued"), &queued[0]));
  start(scope, writev_once(&ends.a, list, &queued[1]));
  co_await turns();
  if (how == giving_up::cancellation)
    co_await cancel_torn_write(&torn);
  else
    torn.writer.reset();
  static_cast<void>(co_await promptly([&queued] { return queued[0].done && queued[1].done; }));
  const bool refused = queued[0].done && !queued[0].sent;
  const bool prompt = run.has(need::prompt_acceptance);
  if (how == giving_up::cancellation && !torn.sent_after_all() && prompt)
    expect(refused, "the write behind a torn one fails promptly", queued[0].done ? "it succeeded" : "it waits on");
  if (refused) {
    expect(queued[1].done, "all the writes behind a torn one fail promptly", "the second one waits on");
    if (queued[1].done) expect_error(queued[1].sent, queued[0].sent.error());
    expect_same(joined(list), "list");
    co_await expect_no_more_writes(&ends.a, queued[0].sent.error());
  } else {
    // It was taken over as a whole: nothing of it is missing, and the others follow it.
    start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
    start(scope, drain_once(&ends.b, &torn.heard, &last));
    const bool over = co_await until([&] { return last.done && shut.done; });
    const std::string all = torn.text + "queuedlist";
    if (!prompt && torn.heard != all) {  // or the write behind it was accepted before that was known
      expect(shut.done, "the shutdown comes to its end", "it does not");
      expect_same(torn.heard, std::string_view(all).substr(0, std::min(torn.heard.size(), torn.text.size())));
      if (last.done) expect_broken(last.got);
      co_return;
    }
    expect(over, "the stream comes to its end", "it does not");
    if (!over) co_return;
    expect_same(torn.heard, all);
    expect_eof(last.got);
  }
  // The read half is untouched.
  std::string heard;
  start(scope, write_once(&ends.b, buffer("still reading"), &answer));
  co_await read_up_to(&ends.a, 13, &heard);
  expect_same(heard, "still reading");
}

// ---- X3: no clean end follows

// The peer has come to its end. Only a stream that arrived whole may have ended cleanly.
inline void expect_no_clean_end(const torn_write& torn, const reading& last) {
  const std::string_view text(torn.text);
  expect_same(torn.heard, text.substr(0, torn.heard.size()));
  const bool canceled = torn.write.done && !torn.write.sent && torn.write.sent.error() == coflow::canceled();
  const bool whole = torn.heard.size() == text.size() && !canceled;
  if (torn.sent_after_all())
    expect(whole, "a write that was reported as sent arrives whole", std::to_string(torn.heard.size()) + " bytes did");
  else if (!whole)
    expect_broken(last.got);
}

enum class way_out {
  shutdown_then_close,
  close,
  destruction,
  shutdown_then_destruction,
  close_while_writing,
  destruction_while_writing
};

inline task<> a_torn_stream_has_no_clean_end(law_run& run, way_out how) {
  flow_ends ends = co_await run.connect();
  torn_write torn(run.more_than_fits());
  reading last;
  shutting shut;
  shutting closing;
  task_scope scope;
  co_await begin_torn_write(&ends, &torn);
  if (how != way_out::close_while_writing && how != way_out::destruction_while_writing)
    co_await cancel_torn_write(&torn);
  const bool sent = torn.sent_after_all();
  if (how == way_out::shutdown_then_close || how == way_out::shutdown_then_destruction) {
    start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
    static_cast<void>(co_await promptly([&shut] { return shut.done; }));
    if (!sent) expect(shut.done, "a shutdown after a torn write has nothing to wait for", "it waits");
    // The peer reads what was sent, and no end follows.
    start(scope, drain_once(&ends.b, &torn.heard, &last));
    co_await turns(20);
    if (!sent)
      expect(!last.done, "a shutdown after a torn write signals nothing", "the peer gets " + in_words(last.got));
    if (sent) {
      const bool over = co_await until([&] { return last.done && shut.done; });
      expect(over, "the stream comes to its end", "it does not");
      if (over) expect_eof(last.got);
    }
  }
  const bool by_close =
      how == way_out::shutdown_then_close || how == way_out::close || how == way_out::close_while_writing;
  if (by_close)
    start(scope, close_once(&ends.a, &closing));
  else
    ends.a.destroy();
  if (!last.started) start(scope, drain_once(&ends.b, &torn.heard, &last));
  const bool over = co_await until([&] { return last.done && (!by_close || closing.done); });
  expect(over, "the close ends, and the peer comes to an end", "something waits for ever");
  if (!over) co_return;
  // A destruction may cut off what was sealed but not yet accepted below.
  if (!(sent && how == way_out::destruction)) expect_no_clean_end(torn, last);
  const read_result again = co_await ends.b.read();
  if (last.got.eof())
    expect_eof(again);
  else
    expect_error(again, last.got.error());
}

// A shutdown is under way when the write that it waits for is torn: it ends, and signals nothing.
inline task<> a_write_is_torn_under_a_shutdown(law_run& run) {
  flow_ends ends = co_await run.connect();
  torn_write torn(run.more_than_fits());
  shutting shut;
  shutting closing;
  reading last;
  task_scope scope;
  co_await begin_torn_write(&ends, &torn);
  start(scope, shutdown_once(&ends.a, shutdown_mode::write, &shut));
  co_await turns();
  expect(!shut.done, "a shutdown waits for the write in progress", "it ended");
  co_await cancel_torn_write(&torn);
  static_cast<void>(co_await promptly([&shut] { return shut.done; }));
  const bool sent = torn.sent_after_all();
  if (!sent) expect(shut.done, "the shutdown ends with the write that it waited for", "it waits on");
  start(scope, drain_once(&ends.b, &torn.heard, &last));
  co_await turns(20);
  if (!sent) expect(!last.done, "a shutdown after a torn write signals nothing", "the peer gets " + in_words(last.got));
  if (sent) {
    const bool over = co_await until([&] { return last.done && shut.done; });
    expect(over, "the stream comes to its end", "it does not");
    if (over) expect_eof(last.got);
  }
  start(scope, close_once(&ends.a, &closing));
  const bool over = co_await until([&] { return last.done && closing.done; });
  expect(over, "the close ends, and the peer comes to an end", "something waits for ever");
  if (over) expect_no_clean_end(torn, last);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> torn_write_laws() noexcept {
  static constexpr need waits = need::back_pressure;
  static constexpr need stops = need::back_pressure | need::cancellation;
  static constexpr law all[] = {
      {"X2", "a write that is cancelled half-way is the last",
       [](law_run& run) { return a_torn_write_is_the_last(run, giving_up::cancellation); }, nullptr, stops},
      {"X2", "a write that is destroyed half-way is the last",
       [](law_run& run) { return a_torn_write_is_the_last(run, giving_up::destruction); }, nullptr, waits},
      {"X3", "shutdown, then close after a torn write is no clean end",
       [](law_run& run) { return a_torn_stream_has_no_clean_end(run, way_out::shutdown_then_close); }, nullptr, stops},
      {"X3", "a close after a torn write is no clean end",
       [](law_run& run) { return a_torn_stream_has_no_clean_end(run, way_out::close); }, nullptr, stops},
      {"X3", "a destruction after a torn write is no clean end",
       [](law_run& run) { return a_torn_stream_has_no_clean_end(run, way_out::destruction); }, nullptr, stops},
      {"X3", "shutdown, then destruction after a torn write is no clean end",
       [](law_run& run) { return a_torn_stream_has_no_clean_end(run, way_out::shutdown_then_destruction); }, nullptr,
       stops},
      {"X3", "a close in the middle of a write is no clean end",
       [](law_run& run) { return a_torn_stream_has_no_clean_end(run, way_out::close_while_writing); }, nullptr, waits},
      {"X3", "a destruction in the middle of a write is no clean end",
       [](law_run& run) { return a_torn_stream_has_no_clean_end(run, way_out::destruction_while_writing); }, nullptr,
       waits},
      {"X3", "a shutdown whose last write is torn ends and signals nothing", a_write_is_torn_under_a_shutdown, nullptr,
       stops},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
