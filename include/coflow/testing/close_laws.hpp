/// \file
/// The laws of closing: a close ends both halves and everything that waits, once, waits for nobody and resumes nobody
/// inline (C1, C2, C3, C5, O3).
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- C1: both halves end, and everything is released

enum class before_close { nothing, unread_input, end, reset, shutdown };

// A closed flow refuses every operation, at once and for good.
inline task<> expect_all_closed(checked_flow* flow) {
  buffer list[2] = {buffer("two"), buffer("buffers")};
  turn_mark mark;
  for (int i = 0; i < 3; ++i) {
    const read_result got = co_await flow->read();
    expect_error(got, error::closed);
    result<void> sent = co_await flow->write(buffer("x"));
    expect_error(sent, error::closed);
    sent = co_await flow->writev(list);
    expect_error(sent, error::closed);
    sent = co_await flow->write(buffer());
    expect_error(sent, error::closed);
  }
  expect(!mark.passed(), "a closed flow answers at once", "it let others run first");
  expect_same(joined(list), "twobuffers");
}

inline task<> a_closed_flow_says_closed(law_run& run, before_close what) {
  flow_ends ends = co_await run.connect();
  writing unread;
  task_scope scope;
  if (what == before_close::unread_input) {
    co_await offer(&scope, &ends.b, "unread", &unread);
    if (unread.done) co_await arrived(&ends.a, 6);
  }
  if (what == before_close::end) {
    co_await ends.b.shutdown(shutdown_mode::write);
    const read_result got = co_await ends.a.read();
    expect_eof(got);
  }
  if (what == before_close::reset) {
    ends.b->reset();
    const read_result got = co_await ends.a.read();
    expect_reset(got);
  }
  if (what == before_close::shutdown) co_await ends.a.shutdown(shutdown_mode::read_write);
  co_await ends.a.close();
  co_await expect_all_closed(&ends.a);
  if (what == before_close::reset) co_return;
  // The peer comes to an end, and to nothing else.
  std::string all;
  const read_result last = co_await drain(&ends.b, &all);
  expect(all.empty(), "the peer reads nothing that was not written", std::to_string(all.size()) + " bytes");
  if (what != before_close::unread_input) expect_eof(last);
  const result<void> failed = co_await write_until_error(&ends.b);
  const bool gone = !failed && failed.error() == condition::disconnected;
  expect(gone, "the peer's writes fail: nobody will read them", in_words(failed));
}

// ---- C2: a second close does nothing

inline task<> closing_again_does_nothing(law_run& run) {
  flow_ends ends = co_await run.connect();
  writing words;
  std::string all;
  task_scope scope;
  co_await offer(&scope, &ends.a, "last words", &words);
  if (!words.done) co_await read_up_to(&ends.b, 10, &all);
  // What is under way to the peer stays as it was, and so does what the peer has seen.
  for (int i = 0; i < 3; ++i) co_await ends.a.close();
  co_await turns(3);
  const read_result end = co_await drain(&ends.b, &all);
  expect_eof(end);
  expect_same(all, "last words");
  for (int i = 0; i < 3; ++i) {
    co_await ends.a.close();
    co_await turns(2);
    const read_result again = co_await ends.b.read();
    expect_eof(again);
  }
  for (int i = 0; i < 3; ++i) co_await ends.b.close();
  co_await ends.a.close();
  co_await expect_all_closed(&ends.a);
  co_await expect_all_closed(&ends.b);
  // What it has given back may be somebody else's by now: that is left alone.
  flow_ends others = co_await run.connect();
  writing untouched;
  std::string heard;
  start(scope, write_once(&others.a, buffer("un"), &untouched));
  co_await read_up_to(&others.b, 2, &heard);
  co_await ends.a.close();
  co_await ends.b.close();
  start(scope, write_once(&others.a, buffer("touched"), &untouched));
  co_await read_up_to(&others.b, 9, &heard);
  expect_same(heard, "untouched");
}

inline task<> several_coroutines_close_one_flow(law_run& run) {
  flow_ends ends = co_await run.connect();
  shutting closes[4];
  reading read;
  task_scope scope;
  start(scope, read_once(&ends.a, &read));
  for (shutting& one : closes) start(scope, close_once(&ends.a, &one));
  const auto all_over = [&closes] {
    return std::all_of(std::begin(closes), std::end(closes), [](const shutting& one) { return one.done; });
  };
  const bool over = co_await until(all_over);
  expect(over, "every close of several ends", "one of them waits for ever");
  const bool ended = co_await promptly([&read] { return read.done; });
  expect(ended, "the pending read ends with the flow", "it waits on");
  expect_error(read.got, error::closed);
  const read_result end = co_await ends.b.read();
  expect_eof(end);
}

// ---- C3 and O3: what is pending resumes promptly with `closed`, and never inline

/// Everything that can be pending on one flow at once.
struct pending_operations {
  pending_operations() noexcept {}
  reading reads[3];
  writing writes[3];
  shutting shut[2];
  std::vector<buffer> list;

  [[nodiscard]] bool any_done() const noexcept {
    const auto done = [](const auto& one) { return one.done; };
    return std::any_of(std::begin(reads), std::end(reads), done) ||
           std::any_of(std::begin(writes), std::end(writes), done) ||
           std::any_of(std::begin(shut), std::end(shut), done);
  }
  [[nodiscard]] bool all_done() const noexcept {
    const auto done = [](const auto& one) { return one.done; };
    return std::all_of(std::begin(reads), std::end(reads), done) &&
           std::all_of(std::begin(writes), std::end(writes), done) &&
           std::all_of(std::begin(shut), std::end(shut), done);
  }
};

/// Starts them all. A large write is in progress and is never finished; the others wait behind it.
inline void start_everything(task_scope& scope, law_run& run, checked_flow* flow, pending_operations* out) {
  for (int i = 0; i < 4; ++i) out->list.emplace_back(std::string(1000, 'l'));
  for (reading& one : out->reads) start(scope, read_once(flow, &one));
  start(scope, write_once(flow, buffer(std::string(run.more_than_fits(), 'w')), &out->writes[0]));
  start(scope, write_once(flow, buffer("queued"), &out->writes[1]));
  start(scope, writev_once(flow, out->list, &out->writes[2]));
  for (shutting& one : out->shut) start(scope, shutdown_once(flow, shutdown_mode::write, &one));
}

/// All of them have ended with `closed`, and nothing was taken out of what waited behind the write in progress.
inline void expect_everything_closed(const pending_operations& pending) {
  for (const reading& one : pending.reads) {
    expect(one.done, "a pending read ends promptly", "it waits on");
    if (one.done) expect_error(one.got, error::closed);
  }
  for (const writing& one : pending.writes) {
    expect(one.done, "a pending write ends promptly", "it waits on");
    if (one.done) expect_error(one.sent, error::closed);
  }
  for (const shutting& one : pending.shut) expect(one.done, "a pending shutdown ends promptly", "it waits on");
  expect_same(joined(pending.list), std::string(4000, 'l'));
}

enum class sudden_end { close, destruction, assignment, reset };

inline task<> everything_pending_ends(law_run& run, sudden_end how) {
  flow_ends ends = co_await run.connect();
  flow_ends others = co_await run.connect();
  pending_operations pending;
  shutting closing;
  writing fresh;
  task_scope scope;
  start_everything(scope, run, &ends.a, &pending);
  co_await turns(2);
  expect(!pending.any_done(), "everything waits while nobody reads and nobody writes", "an operation has ended");
  std::vector<foreign> closer;
  if (how == sudden_end::close) closer.push_back(ends.a->close_abroad(&closing));
  if (how == sudden_end::destruction) ends.a.destroy();
  if (how == sudden_end::reset) ends.a->reset();
  if (how == sudden_end::assignment) {
    const bool replaced = ends.a->replace_by(*others.a);
    expect(replaced, "a flow can be assigned");
  }
  expect(!pending.any_done(), "nobody is resumed inline", "an operation ended inside the call that ends the flow");
  static_cast<void>(co_await promptly([&pending] { return pending.all_done(); }));
  if (how == sudden_end::reset) {
    // It reaches a layer from below, in its own time, and may be news to it.
    const bool done = co_await until([&pending] { return pending.all_done(); });
    expect(done, "everything that waits ends when the connection is broken from here", "something waits on");
    for (const reading& one : pending.reads) {
      const bool gone = one.got.failed() && one.got.error() == condition::disconnected;
      expect(gone, "a pending read says that the connection is gone", in_words(one.got));
    }
    for (const writing& one : pending.writes) expect(!one.sent, "a pending write fails", in_words(one.sent));
    co_return;
  }
  expect_everything_closed(pending);
  if (how == sudden_end::close) {
    const bool over = co_await until([&closing] { return closing.done; });
    expect(over, "the close ends, although nobody reads", "it waits for ever");
  }
  if (how == sudden_end::assignment) {
    start(scope, write_once(&ends.a, buffer("new"), &fresh));
    std::string heard;
    co_await read_up_to(&others.b, 3, &heard);
    expect_same(heard, "new");
  }
}

// Bytes come in the turn in which the flow is closed. They may have reached one read; nothing waits on.
inline task<> closing_in_the_turn_in_which_bytes_come(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading reads[2];
  shutting closing;
  task_scope scope;
  for (reading& one : reads) start(scope, read_once(&ends.a, &one));
  co_await turns();
  const result<void> sent = co_await ends.b.write(buffer("d"));
  expect_success(sent);
  start(scope, close_once(&ends.a, &closing));
  const bool over = co_await until([&] { return reads[0].done && reads[1].done && closing.done; });
  expect(over, "every pending read ends", "one of them waits on");
  if (reads[0].got.has_data())
    expect_data(reads[0].got, "d");
  else
    expect_error(reads[0].got, error::closed);
  expect_error(reads[1].got, error::closed);
}

// ---- O3: nobody is resumed inside the call that ends a flow

// Readers wait on every flow, also where writers never do.
inline task<> nobody_is_resumed_inline(law_run& run) {
  for (const sudden_end how : {sudden_end::close, sudden_end::destruction, sudden_end::assignment}) {
    flow_ends ends = co_await run.connect();
    flow_ends others = co_await run.connect();
    reading reads[3];
    shutting closing;
    task_scope scope;
    for (reading& one : reads) start(scope, read_once(&ends.a, &one));
    co_await turns(2);
    const auto count_done = [&reads] {
      return std::count_if(std::begin(reads), std::end(reads), [](const reading& one) { return one.done; });
    };
    expect(count_done() == 0, "a read waits while nobody writes", "it ended");
    std::vector<foreign> closer;
    if (how == sudden_end::close) closer.push_back(ends.a->close_abroad(&closing));
    if (how == sudden_end::destruction) ends.a.destroy();
    if (how == sudden_end::assignment) static_cast<void>(ends.a->replace_by(*others.a));
    expect(count_done() == 0, "nobody is resumed inline", "a read ended inside the call that ends the flow");
    const bool promised = co_await promptly([&count_done] { return count_done() == 3; });
    expect(promised, "whoever waits is resumed promptly", "a read waits on");
    const bool over = co_await until([&] { return how != sudden_end::close || closing.done; });
    expect(over, "the close ends", "it waits for ever");
  }
}

// ---- C5: a close waits for nobody

inline task<> close_does_not_wait_for_the_peer(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::string text = pattern(std::max<std::size_t>(run.capacity() / 64, 1));
  writing sent;
  shutting closing;
  std::string all;
  task_scope scope;
  co_await offer(&scope, &ends.a, text, &sent);
  if (!sent.done) co_await read_up_to(&ends.b, text.size(), &all);
  // The peer neither reads nor writes nor closes.
  start(scope, close_once(&ends.a, &closing));
  if (run.has(need::clean_destruction | need::prompt_acceptance)) {
    const bool at_once = co_await promptly([&closing] { return closing.done; });
    expect(at_once, "a close that sends no goodbye is over at once", "it waits");
  }
  const bool over = co_await until([&closing] { return closing.done; });
  expect(over, "a close comes to an end without the peer", "it waits for the peer");
  const read_result last = co_await drain(&ends.b, &all);
  if (!run.has(need::prompt_acceptance) && all.size() < text.size()) {
    expect_same(all, std::string_view(text).substr(0, all.size()));
    expect_broken(last);
    co_return;
  }
  expect_eof(last);
  expect_same(all, text);
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> close_laws() noexcept {
  static constexpr law all[] = {
      {"C1", "an idle flow that is closed answers closed, and the peer comes to its end",
       [](law_run& run) { return a_closed_flow_says_closed(run, before_close::nothing); }},
      {"C1", "a flow that is closed with unread input answers closed",
       [](law_run& run) { return a_closed_flow_says_closed(run, before_close::unread_input); }},
      {"C1", "a flow that is closed after the peer's end answers closed",
       [](law_run& run) { return a_closed_flow_says_closed(run, before_close::end); }},
      {"C1", "a flow that is closed after a reset answers closed",
       [](law_run& run) { return a_closed_flow_says_closed(run, before_close::reset); }, nullptr, need::reset},
      {"C1", "a flow that is closed after its own shutdown answers closed",
       [](law_run& run) { return a_closed_flow_says_closed(run, before_close::shutdown); }},
      {"C2", "closing again does nothing", closing_again_does_nothing},
      {"C2", "several coroutines may close one flow", several_coroutines_close_one_flow},
      {"C3", "a close ends everything that waits with closed, promptly and never inline",
       [](law_run& run) { return everything_pending_ends(run, sudden_end::close); }, nullptr, need::back_pressure},
      {"C3", "a destruction ends everything that waits with closed, promptly and never inline",
       [](law_run& run) { return everything_pending_ends(run, sudden_end::destruction); }, nullptr,
       need::back_pressure},
      {"C3", "an assignment ends everything that waits with closed, promptly and never inline",
       [](law_run& run) { return everything_pending_ends(run, sudden_end::assignment); }, nullptr, need::back_pressure},
      {"C3", "a reset from this side ends everything that waits, never inline",
       [](law_run& run) { return everything_pending_ends(run, sudden_end::reset); }, nullptr,
       need::back_pressure | need::reset | need::one_type},
      {"C3", "a close in the turn in which bytes come leaves no read waiting", closing_in_the_turn_in_which_bytes_come},
      {"O3", "a close, a destruction and an assignment resume nobody inline", nobody_is_resumed_inline},
      {"C5", "a close does not wait for the peer", close_does_not_wait_for_the_peer},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
