// The laws of closing: C1 to C6.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "laws/harness.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using laws::expect;
using laws::start;

// ---- C1: ends both halves and releases everything

enum class before { nothing, unread, eof, reset, shutdown };

template <class Kind>
task<> a_closed_flow_says_closed(before what) {
  auto ends = co_await Kind::connect();
  if (what == before::unread) {
    const coflow::result<void> sent = co_await ends.b.write(buffer("unread"));
    laws::expect_success(sent);
    co_await laws::arrived<Kind>(&ends.a, 6);
  }
  if (what == before::eof) {
    co_await ends.b.shutdown(shutdown_mode::write);
    const coflow::read_result got = co_await ends.a.read();
    laws::expect_eof(got);
  }
  if (what == before::reset) {
    laws::reset(ends.b);
    const coflow::read_result got = co_await ends.a.read();
    laws::expect_reset(got);
  }
  if (what == before::shutdown) co_await ends.a.shutdown(shutdown_mode::read_write);
  laws::turn_mark mark;
  co_await ends.a.close();
  expect(!mark.passed(), "close does not wait");
  std::array<buffer, 2> list{buffer("two"), buffer("buffers")};
  for (int i = 0; i < 3; ++i) {
    const coflow::read_result got = co_await ends.a.read();
    laws::expect_error(got, coflow::error::closed);
    expect(got.error() == coflow::condition::disconnected, "closed means disconnected");
    coflow::result<void> sent = co_await ends.a.write(buffer("x"));
    laws::expect_error(sent, coflow::error::closed);
    sent = co_await ends.a.writev(list);
    laws::expect_error(sent, coflow::error::closed);
  }
  expect(!mark.passed(), "a closed flow answers at once");
  laws::expect_same(laws::joined(list), "twobuffers");
  if constexpr (Kind::has_descriptor)
    expect(laws::lowest(ends.a).native_handle() == -1, "the descriptor is given back");
  // The peer comes to an end, and nothing else.
  if (what != before::reset) {
    std::string all;
    const coflow::read_result last = co_await laws::drain(&ends.b, &all);
    expect(all.empty(), "nothing was sent");
    if (what != before::unread) laws::expect_eof(last);
  }
}

// ---- C2: a second close does nothing

template <class Kind>
task<> closing_again_does_nothing() {
  auto ends = co_await Kind::connect();
  for (int i = 0; i < 3; ++i) co_await ends.a.close();
  const coflow::read_result got = co_await ends.b.read();
  laws::expect_eof(got);
  for (int i = 0; i < 3; ++i) co_await ends.b.close();
  laws::reset(ends.a);
  laws::reset(ends.b);
  co_await ends.a.close();
  co_await ends.b.close();
  // The descriptor's number may belong to somebody else by now: it is not closed again.
  if constexpr (Kind::has_descriptor) {
    auto others = co_await Kind::connect();
    co_await ends.a.close();
    co_await ends.b.close();
    coflow::result<void> sent = co_await others.a.write(buffer("untouched"));
    laws::expect_success(sent);
    const coflow::read_result heard = co_await others.b.read();
    laws::expect_data(heard, "untouched");
  }
}

template <class Flow>
task<> close_once(Flow* flow, bool* done) {
  co_await flow->close();
  *done = true;
}

template <class Kind>
task<> closing_from_several_sides() {
  auto ends = co_await Kind::connect();
  bool done[4] = {};
  laws::reading read;
  task_scope scope;
  start(scope, laws::read_once(&ends.a, &read));
  for (bool& one : done) start(scope, close_once(&ends.a, &one));
  co_await laws::turns(2);
  for (const bool one : done) expect(one, "every close ends");
  expect(read.done, "the read ends");
  laws::expect_error(read.got, coflow::error::closed);
}

// ---- C3 and O3: what is pending resumes promptly with `closed`, and never inline

enum class manner { close, destroy, assign, reset };

template <class Kind>
task<> everything_pending_ends(manner how) {
  auto ends = co_await Kind::connect();
  std::optional<typename Kind::flow> a(std::move(ends.a));
  laws::reading reads[3];
  laws::writing writes[3];
  laws::shutting shut[2];
  std::vector<buffer> list;
  for (int i = 0; i < 4; ++i) list.emplace_back(std::string(1000, 'l'));
  task_scope scope;
  for (laws::reading& one : reads) start(scope, laws::read_once(&*a, &one));
  start(scope, laws::write_once(&*a, buffer(std::string(Kind::more_than_fits, 'w')), &writes[0]));
  start(scope, laws::write_once(&*a, buffer("queued"), &writes[1]));
  start(scope, laws::writev_once(&*a, list, &writes[2]));
  for (laws::shutting& one : shut) start(scope, laws::shutdown_once(&*a, shutdown_mode::write, &one));
  co_await laws::turns(2);
  const auto any_done = [&reads, &writes, &shut] {
    return reads[0].done || reads[1].done || reads[2].done || writes[0].done || writes[1].done || writes[2].done ||
           shut[0].done || shut[1].done;
  };
  expect(!any_done(), "everything waits");
  if (how == manner::close) co_await a->close();
  if (how == manner::destroy) a.reset();
  if (how == manner::reset) laws::reset(*a);
  if (how == manner::assign) {
    auto others = co_await Kind::connect();
    *a = std::move(others.a);
    expect(!any_done(), "assignment resumes nobody inline");
    co_await laws::turns();
    const coflow::result<void> sent = co_await a->write(buffer("new"));
    laws::expect_success(sent);
    const coflow::read_result got = co_await others.b.read();
    laws::expect_data(got, "new");
  } else {
    expect(!any_done(), "nobody is resumed inline");
    co_await laws::turns();
  }
  for (const laws::reading& one : reads) {
    expect(one.done, "a pending read ends within a turn");
    laws::expect_error(one.got, coflow::error::closed);
  }
  for (const laws::writing& one : writes) {
    expect(one.done, "a pending write ends within a turn");
    laws::expect_error(one.sent, coflow::error::closed);
  }
  for (const laws::shutting& one : shut) expect(one.done, "a pending shutdown ends within a turn");
  laws::expect_same(laws::joined(list), std::string(4000, 'l'));
}

// The operation is about to be served, or has been told of bytes, when the flow is closed.
template <class Kind>
task<> closing_beats_what_has_not_moved() {
  auto ends = co_await Kind::connect();
  laws::reading reads[2];
  task_scope scope;
  for (laws::reading& one : reads) start(scope, laws::read_once(&ends.a, &one));
  co_await laws::turns();
  const coflow::result<void> sent = co_await ends.b.write(buffer("data"));
  laws::expect_success(sent);
  co_await ends.a.close();
  co_await laws::turns(2);
  for (const laws::reading& one : reads) {
    expect(one.done, "a pending read ends");
    laws::expect_error(one.got, coflow::error::closed);
  }
}

// ---- C4: waiters are taken off first and resumed last

template <class Flow>
task<> read_then_destroy(std::optional<Flow>* flow, laws::reading* out) {
  out->started = true;
  out->got = co_await (*flow)->read();
  flow->reset();
  out->done = true;
}
template <class Flow>
task<> write_then_destroy(std::optional<Flow>* flow, std::size_t size, laws::writing* out) {
  out->started = true;
  out->sent = co_await (*flow)->write(buffer(std::string(size, 'd')));
  flow->reset();
  out->done = true;
}
template <class Flow>
task<> shutdown_then_destroy(std::optional<Flow>* flow, laws::shutting* out) {
  out->started = true;
  co_await (*flow)->shutdown(shutdown_mode::write);
  flow->reset();
  out->done = true;
}

enum class cause { data, eof, reset, close, shutdown };

template <class Kind>
task<> a_resumed_reader_may_destroy_the_flow(cause why) {
  auto ends = co_await Kind::connect();
  std::optional<typename Kind::flow> a(std::move(ends.a));
  laws::reading first;
  laws::reading others[2];
  laws::writing write;
  task_scope scope;
  start(scope, read_then_destroy(&a, &first));
  for (laws::reading& one : others) start(scope, laws::read_once(&*a, &one));
  start(scope, laws::write_once(&*a, buffer(std::string(Kind::more_than_fits, 'w')), &write));
  co_await laws::turns(2);
  expect(!first.done, "the read waits");
  expect(!write.done, "the write waits");
  if (why == cause::data) {
    const coflow::result<void> sent = co_await ends.b.write(buffer("data"));
    laws::expect_success(sent);
  }
  if (why == cause::eof) co_await ends.b.shutdown(shutdown_mode::write);
  if (why == cause::reset) laws::reset(ends.b);
  if (why == cause::close) co_await a->close();
  if (why == cause::shutdown) co_await a->shutdown(shutdown_mode::read);
  const bool done = co_await laws::until(
      [&first, &others, &write] { return first.done && others[0].done && others[1].done && write.done; });
  expect(done, "everything ends");
  expect(!a, "the flow is gone");
  if (why == cause::data) {
    laws::expect_data(first.got, "data");
    laws::expect_error(others[0].got, coflow::error::closed);
    laws::expect_error(others[1].got, coflow::error::closed);
  }
  if (why == cause::eof) laws::expect_eof(first.got);
  if (why == cause::reset) laws::expect_reset(first.got);
  if (why == cause::close) laws::expect_error(first.got, coflow::error::closed);
  if (why == cause::shutdown) laws::expect_eof(first.got);
  expect(!write.sent, "the pending write fails");
}

template <class Kind>
task<> a_resumed_writer_may_destroy_the_flow(bool queued_behind) {
  auto ends = co_await Kind::connect();
  std::optional<typename Kind::flow> a(std::move(ends.a));
  laws::writing first;
  laws::writing second;
  laws::reading read;
  task_scope scope;
  start(scope, laws::read_once(&*a, &read));
  start(scope, write_then_destroy(&a, Kind::more_than_fits, &first));
  if (queued_behind) start(scope, laws::write_once(&*a, buffer(std::string(Kind::more_than_fits, 'q')), &second));
  co_await laws::turns(2);
  expect(!first.done, "the write waits");
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  expect(!last.has_data(), "the peer comes to an end");
  expect(all.size() >= Kind::more_than_fits - 1, "the first write went out");
  const bool done = co_await laws::until([&] { return first.done && read.done && (!queued_behind || second.done); });
  expect(done, "everything ends");
  laws::expect_success(first.sent);
  laws::expect_error(read.got, coflow::error::closed);
  if (queued_behind) laws::expect_error(second.sent, coflow::error::closed);
}

template <class Kind>
task<> a_resumed_shutdown_may_destroy_the_flow() {
  auto ends = co_await Kind::connect();
  std::optional<typename Kind::flow> a(std::move(ends.a));
  laws::writing write;
  laws::reading read;
  laws::shutting first;
  laws::shutting second;
  task_scope scope;
  const std::string text = laws::pattern(Kind::more_than_fits);
  start(scope, laws::read_once(&*a, &read));
  start(scope, laws::write_once(&*a, buffer(text), &write));
  start(scope, shutdown_then_destroy(&a, &first));
  start(scope, laws::shutdown_once(&*a, shutdown_mode::write, &second));
  co_await laws::turns(2);
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, text);
  const bool done = co_await laws::until([&] { return first.done && second.done && read.done && write.done; });
  expect(done, "everything ends");
  laws::expect_error(read.got, coflow::error::closed);
}

template <class Flow>
task<> read_then_close(Flow* flow, laws::reading* out) {
  out->started = true;
  out->got = co_await flow->read();
  co_await flow->close();
  const coflow::read_result again = co_await flow->read();
  laws::expect_error(again, coflow::error::closed);
  out->done = true;
}

template <class Kind>
task<> a_resumed_reader_may_close() {
  auto ends = co_await Kind::connect();
  laws::reading first;
  laws::reading others[2];
  task_scope scope;
  start(scope, read_then_close(&ends.a, &first));
  for (laws::reading& one : others) start(scope, laws::read_once(&ends.a, &one));
  co_await laws::turns();
  const coflow::result<void> sent = co_await ends.b.write(buffer("data"));
  laws::expect_success(sent);
  const bool done = co_await laws::until([&] { return first.done && others[0].done && others[1].done; });
  expect(done, "everything ends");
  laws::expect_data(first.got, "data");
  for (const laws::reading& one : others) laws::expect_error(one.got, coflow::error::closed);
}

// Several flows are reported ready in one batch; whoever is resumed first closes the others and takes their numbers.
template <class Flow>
struct batch {
  std::vector<std::optional<Flow>> flows;
  std::vector<laws::reading> reads;
  int spare = -1;
  std::vector<int> taken;
};

template <class Flow>
task<> read_then_close_all(batch<Flow>* all, std::size_t mine) {
  laws::reading& read = all->reads[mine];
  read.started = true;
  read.got = co_await all->flows[mine]->read();
  read.done = true;
  for (std::optional<Flow>& one : all->flows) {
    if (one) {
      one.reset();
      all->taken.push_back(::fcntl(all->spare, F_DUPFD_CLOEXEC, 0));
    }
  }
}

template <class Kind>
task<> stale_reports_reach_nobody() {
  batch<typename Kind::flow> all;
  std::vector<typename Kind::flow> peers;
  all.reads.resize(8);
  all.spare = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  for (std::size_t i = 0; i < 8; ++i) {
    auto ends = co_await Kind::connect();
    all.flows.emplace_back(std::move(ends.a));
    peers.push_back(std::move(ends.b));
  }
  {
    task_scope scope;
    for (std::size_t i = 0; i < 8; ++i) start(scope, read_then_close_all(&all, i));
    co_await laws::turns(3);
    for (auto& peer : peers) {
      const coflow::result<void> sent = co_await peer.write(buffer("now"));
      laws::expect_success(sent);
    }
    const bool done = co_await laws::until([&all] {
      for (const laws::reading& one : all.reads)
        if (!one.done) return false;
      return true;
    });
    expect(done, "every read ends");
  }
  int served = 0;
  for (const laws::reading& one : all.reads) {
    if (one.got.has_data())
      ++served;
    else
      laws::expect_error(one.got, coflow::error::closed);
  }
  expect(served == 1, "the first reader closes all flows before the others are served");
  for (const int fd : all.taken) {
    expect(::fcntl(fd, F_GETFD) >= 0, "a descriptor that is somebody else's is not closed");
    ::close(fd);
  }
  ::close(all.spare);
}

// A flow that gets the number of a closed one hears nothing that was meant for the other.
template <class Kind>
task<> a_reused_number_is_another_flow() {
  auto old = co_await Kind::connect();
  laws::reading old_read;
  task_scope scope;
  start(scope, laws::read_once(&old.a, &old_read));
  co_await laws::turns(2);
  const int number = laws::lowest(old.a).native_handle();
  const coflow::result<void> sent = co_await old.b.write(buffer("for the old one"));
  laws::expect_success(sent);
  co_await old.a.close();
  auto fresh = co_await Kind::connect();
  const bool reused =
      laws::lowest(fresh.a).native_handle() == number || laws::lowest(fresh.b).native_handle() == number;
  expect(reused || old_read.done, "the old read has ended, or its number is not yet used again");
  laws::reading fresh_read;
  start(scope, laws::read_once(&fresh.a, &fresh_read));
  co_await laws::turns(5);
  expect(old_read.done, "the old read ends");
  laws::expect_error(old_read.got, coflow::error::closed);
  expect(!fresh_read.done, "the new flow hears nothing");
  const coflow::result<void> meant = co_await fresh.b.write(buffer("for the new one"));
  laws::expect_success(meant);
  const bool done = co_await laws::until([&fresh_read] { return fresh_read.done; });
  expect(done, "the new read is served");
  laws::expect_data(fresh_read.got, "for the new one");
}

// ---- C5: a close waits for nobody

template <class Kind>
task<> close_does_not_wait_for_the_peer() {
  auto ends = co_await Kind::connect();
  std::string chunk(Kind::capacity / 64, 'c');
  std::string sent_text;
  // The peer reads nothing; some of it may be on its way still.
  coflow::result<void> sent = co_await ends.a.write(buffer(chunk));
  laws::expect_success(sent);
  laws::turn_mark mark;
  co_await ends.a.close();
  expect(!mark.passed(), "close is immediate");
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, chunk);
}

// ---- O3: ending allocates nothing, whatever waits

template <class Kind>
task<> ending_allocates_nothing(manner how) {
  auto ends = co_await Kind::connect();
  auto others = co_await Kind::connect();
  std::optional<typename Kind::flow> a(std::move(ends.a));
  laws::reading reads[3];
  laws::writing writes[3];
  laws::shutting shut;
  task_scope scope;
  for (laws::reading& one : reads) start(scope, laws::read_once(&*a, &one));
  for (laws::writing& one : writes)
    start(scope, laws::write_once(&*a, buffer(std::string(Kind::more_than_fits, 'w')), &one));
  co_await laws::turns(2);
  start(scope, laws::shutdown_once(&*a, shutdown_mode::write, &shut));
  co_await laws::turns(2);
  expect(!reads[0].done && !writes[0].done && !shut.done, "everything waits");
  const std::uint64_t before = support::allocation_count();
  co_await a->shutdown(shutdown_mode::read);
  if (how == manner::close) co_await a->close();
  if (how == manner::destroy) a.reset();
  if (how == manner::reset) laws::reset(*a);
  if (how == manner::assign) *a = std::move(others.a);
  const std::uint64_t after = support::allocation_count();
  expect(after == before, "ending allocates nothing");
  co_await laws::turns(2);
  expect(reads[2].done && writes[2].done && shut.done, "everything ends");
}

// ---- C6: destroying a flow, and destroying a coroutine that waits

template <class Kind>
task<> destroying_a_flow_ends_the_stream() {
  auto ends = co_await Kind::connect();
  std::optional<typename Kind::flow> a(std::move(ends.a));
  const coflow::result<void> sent = co_await a->write(buffer("last words"));
  laws::expect_success(sent);
  laws::reading reads[2];
  task_scope scope;
  a.reset();
  for (laws::reading& one : reads) start(scope, laws::read_once(&ends.b, &one));
  const bool done = co_await laws::until([&reads] { return reads[0].done && reads[1].done; });
  expect(done, "the peer's reads end");
  laws::expect_data(reads[0].got, "last words");
  laws::expect_eof(reads[1].got);
  const coflow::result<void> failed = co_await laws::write_until_error(&ends.b);
  laws::expect_error(failed, coflow::error::closed);
}

template <class Kind>
task<> destroyed_waits_are_taken_back() {
  auto ends = co_await Kind::connect();
  laws::reading gone_read;
  laws::writing blocked;
  laws::writing gone_write;
  laws::writing next_write;
  task_scope scope;
  {
    task_scope dying;
    start(dying, laws::read_once(&ends.a, &gone_read));
    start(scope, laws::write_once(&ends.a, buffer(std::string(Kind::more_than_fits, '1')), &blocked));
    co_await laws::turns();
    start(dying, laws::write_once(&ends.a, buffer("gone"), &gone_write));
    co_await laws::turns();
    start(scope, laws::write_once(&ends.a, buffer("2"), &next_write));
    co_await laws::turns();
  }
  coflow::result<void> sent = co_await ends.b.write(buffer("data"));
  laws::expect_success(sent);
  const coflow::read_result got = co_await ends.a.read();
  laws::expect_data(got, "data");
  std::string all;
  co_await laws::read_up_to(&ends.b, Kind::more_than_fits + 1, &all);
  laws::expect_same(all, std::string(Kind::more_than_fits, '1') + "2");
  const bool done = co_await laws::until([&blocked, &next_write] { return blocked.done && next_write.done; });
  expect(done, "the other writes end");
  laws::expect_success(blocked.sent);
  laws::expect_success(next_write.sent);
  expect(!gone_read.done && !gone_write.done, "a destroyed coroutine does not go on");
}

// Three reads wait; the bytes come, and in the same turn the first reader dies before it has run.
template <class Kind>
task<> bytes_of_a_dying_reader_go_to_the_next() {
  auto ends = co_await Kind::connect();
  laws::reading dead;
  laws::reading second;
  laws::reading third;
  task_scope scope;
  {
    task_scope dying;
    start(dying, laws::read_once(&ends.a, &dead));
    co_await laws::turns();
    start(scope, laws::read_once(&ends.a, &second));
    start(scope, laws::read_once(&ends.a, &third));
    co_await laws::turns();
    for (const char* piece : {"1", "2", "3"}) {
      const coflow::result<void> sent = co_await ends.b.write(buffer(piece));
      laws::expect_success(sent);
    }
  }
  const bool first_done = co_await laws::until([&second] { return second.done; });
  expect(first_done, "the next reader is served");
  co_await ends.b.shutdown(shutdown_mode::write);
  const bool done = co_await laws::until([&third] { return third.done; });
  expect(done, "the reader after it ends");
  expect(!dead.done, "the dead reader got nothing");
  std::string rest;
  const coflow::read_result last = co_await laws::drain(&ends.a, &rest);
  laws::expect_eof(last);
  expect(second.got.has_data(), "the second reader gets the bytes");
  std::string all(second.got->text());
  all += third.got->text();
  all += rest;
  laws::expect_same(all, "123");
}

template <class Flow>
task<> write_some_then_read(Flow* flow, int count, laws::reading* out) {
  for (int i = 0; i < count; ++i) {
    const coflow::result<void> sent = co_await flow->write(buffer("w"));
    laws::expect_success(sent);
  }
  out->started = true;
  out->got = co_await flow->read();
  out->done = true;
}

// A coroutine that has used up its turn is called to try again later, although its bytes are there; it dies before
// that. At which operation a turn ends is the library's affair, so every place is tried.
template <class Kind>
task<> bytes_of_a_reader_that_was_called_go_to_the_next() {
  for (int count = 0; count < 140; ++count) {
    auto ends = co_await Kind::connect();
    const coflow::result<void> sent = co_await ends.b.write(buffer("data"));
    laws::expect_success(sent);
    co_await laws::arrived<Kind>(&ends.a, 4);
    laws::reading dead;
    laws::reading next;
    task_scope scope;
    {
      task_scope dying;
      start(dying, write_some_then_read(&ends.a, count, &dead));
      start(scope, laws::read_once(&ends.a, &next));
      // The children have run once when this goes on, in the same round of the ready queue.
      co_await laws::turns();
    }
    if (dead.done) {
      laws::expect_data(dead.got, "data");
      expect(!next.done, "the bytes go to one reader");
    } else {
      const bool done = co_await laws::until([&next] { return next.done; });
      expect(done, "the next reader is served");
      laws::expect_data(next.got, "data");
    }
    if constexpr (Kind::has_descriptor) {
      // Connections are dear, and the turn is the same for all flows.
      if (count < 60 && count > 2) count = 60;
      if (count > 68 && count < 125) count = 125;
    }
  }
}

template <class Kind>
task<> room_of_a_dying_writer_goes_to_the_next() {
  auto ends = co_await Kind::connect();
  // Fill the flow to the brim with writes of one byte's weight, so that the next one waits without having begun.
  laws::writing blocked;
  laws::writing dead;
  laws::writing next;
  task_scope scope;
  start(scope, laws::write_once(&ends.a, buffer(std::string(Kind::more_than_fits, 'f')), &blocked));
  co_await laws::turns();
  {
    task_scope dying;
    start(dying, laws::write_once(&ends.a, buffer("dead"), &dead));
    co_await laws::turns();
    start(scope, laws::write_once(&ends.a, buffer("next"), &next));
    co_await laws::turns();
    // The blocked write ends while the dying one is first in the queue.
    std::string all;
    co_await laws::read_up_to(&ends.b, Kind::more_than_fits - Kind::capacity / 8, &all);
    laws::expect_same(all, std::string(all.size(), 'f'));
    if (dead.done) co_return;  // the reader was too slow to tell
  }
  co_await ends.a.shutdown(shutdown_mode::write);
  std::string rest;
  const coflow::read_result last = co_await laws::drain(&ends.b, &rest);
  laws::expect_eof(last);
  expect(next.done, "the next writer ends");
  laws::expect_success(next.sent);
  const std::size_t tail = rest.find_first_not_of('f');
  expect(tail != std::string::npos, "the next write follows");
  if (tail != std::string::npos) laws::expect_same(rest.substr(tail), "next");
}

TEST_CASE("a closed flow answers closed, whatever came before", "[close_laws]") {
  const std::pair<before, const char*> states[] = {{before::nothing, "an idle flow"},
                                                   {before::unread, "unread input"},
                                                   {before::eof, "after the peer's end"},
                                                   {before::reset, "after a reset"},
                                                   {before::shutdown, "after a shutdown"}};
  for (const auto& [what, name] : states) {
    DYNAMIC_SECTION(name) {
      const before now = what;
      laws::on_every_flow([now]<class Kind>(Kind) { return a_closed_flow_says_closed<Kind>(now); });
    }
  }
}

TEST_CASE("closing again does nothing", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return closing_again_does_nothing<Kind>(); });
}

TEST_CASE("several coroutines may close one flow", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return closing_from_several_sides<Kind>(); });
}

TEST_CASE("everything that waits ends with closed within a turn and never inline", "[close_laws]") {
  const std::pair<manner, const char*> manners[] = {{manner::close, "by close"},
                                                    {manner::destroy, "by destruction"},
                                                    {manner::assign, "by assignment"},
                                                    {manner::reset, "by a reset"}};
  for (const auto& [how, name] : manners) {
    DYNAMIC_SECTION(name) {
      const manner now = how;
      laws::on_every_flow([now]<class Kind>(Kind) { return everything_pending_ends<Kind>(now); });
    }
  }
}

TEST_CASE("shutdown, close and destruction allocate nothing", "[close_laws]") {
  const std::pair<manner, const char*> manners[] = {{manner::close, "close"},
                                                    {manner::destroy, "destruction"},
                                                    {manner::assign, "assignment"},
                                                    {manner::reset, "a reset"}};
  for (const auto& [how, name] : manners) {
    DYNAMIC_SECTION(name) {
      // Coroutines have frames; what they forward to has none.
      const manner now = how;
      auto law = [now]<class Kind>(Kind) { return ending_allocates_nothing<Kind>(now); };
      laws::on<laws::over_memory>(law);
      laws::on<laws::over_tcp>(law);
      laws::on<laws::layer_over_memory>(law);
      laws::on<laws::two_layers_over_tcp>(law);
    }
  }
}

TEST_CASE("closing in the turn in which bytes come still ends reads with closed", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return closing_beats_what_has_not_moved<Kind>(); });
}

TEST_CASE("a reader that is resumed may destroy the flow", "[close_laws]") {
  const std::pair<cause, const char*> causes[] = {{cause::data, "by data"},
                                                  {cause::eof, "by eof"},
                                                  {cause::reset, "by a reset"},
                                                  {cause::close, "by a close"},
                                                  {cause::shutdown, "by a shutdown"}};
  for (const auto& [why, name] : causes) {
    DYNAMIC_SECTION(name) {
      const cause now = why;
      laws::on_every_flow([now]<class Kind>(Kind) { return a_resumed_reader_may_destroy_the_flow<Kind>(now); });
    }
  }
}

TEST_CASE("a writer that is resumed may destroy the flow", "[close_laws]") {
  SECTION("alone") {
    laws::on_every_flow([]<class Kind>(Kind) { return a_resumed_writer_may_destroy_the_flow<Kind>(false); });
  }
  SECTION("with another behind it") {
    laws::on_every_flow([]<class Kind>(Kind) { return a_resumed_writer_may_destroy_the_flow<Kind>(true); });
  }
}

TEST_CASE("whoever is resumed from a shutdown may destroy the flow", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_resumed_shutdown_may_destroy_the_flow<Kind>(); });
}

TEST_CASE("a reader that is resumed may close the flow under the others", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_resumed_reader_may_close<Kind>(); });
}

TEST_CASE("reports for closed descriptors reach nobody", "[close_laws]") {
  laws::on<laws::over_tcp>([]<class Kind>(Kind) { return stale_reports_reach_nobody<Kind>(); });
  laws::on<laws::two_layers_over_tcp>([]<class Kind>(Kind) { return stale_reports_reach_nobody<Kind>(); });
}

TEST_CASE("a descriptor number that is used again belongs to the new flow alone", "[close_laws]") {
  laws::on<laws::over_tcp>([]<class Kind>(Kind) { return a_reused_number_is_another_flow<Kind>(); });
  laws::on<laws::two_layers_over_tcp>([]<class Kind>(Kind) { return a_reused_number_is_another_flow<Kind>(); });
}

TEST_CASE("close does not wait for the peer", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return close_does_not_wait_for_the_peer<Kind>(); });
}

TEST_CASE("destroying a flow ends the stream", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return destroying_a_flow_ends_the_stream<Kind>(); });
}

TEST_CASE("destroying a coroutine takes its wait back", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return destroyed_waits_are_taken_back<Kind>(); });
}

TEST_CASE("bytes of a reader that dies before it runs go to the next one, in order", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return bytes_of_a_dying_reader_go_to_the_next<Kind>(); });
}

TEST_CASE("bytes of a reader that has used up its turn and dies go to the next one", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return bytes_of_a_reader_that_was_called_go_to_the_next<Kind>(); });
}

TEST_CASE("room of a writer that dies before it runs goes to the next one", "[close_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return room_of_a_dying_writer_goes_to_the_next<Kind>(); });
}

}  // namespace
