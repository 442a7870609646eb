// The laws of cancellation: X0 to X3.
#include <array>
#include <vector>

#include "laws/harness.hpp"

namespace {

using coflow::buffer;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using laws::expect;
using laws::start;

// ---- X0: a cancelled operation says so, and stop is a level

struct stopped_session {
  bool ran = false;
  bool at_once = false;
  coflow::read_result read;
  coflow::result<void> written;
  coflow::result<void> listed;
  coflow::result<void> slept;
  std::size_t left = 0;
};

template <class Flow>
task<> try_everything(Flow* flow, stopped_session* out) {
  laws::turn_mark mark;
  std::array<buffer, 2> list{buffer("two"), buffer("buffers")};
  out->read = co_await flow->read();
  out->written = co_await flow->write(buffer("one"));
  out->listed = co_await flow->writev(list);
  out->slept = co_await coflow::sleep_for(std::chrono::hours(1));
  out->left = list[0].size() + list[1].size();
  out->at_once = !mark.passed();
  out->ran = true;
}

// Bytes are there, and there is room; a stopped task gets neither.
template <class Kind>
task<> operations_of_a_stopped_task_are_cancelled_at_once() {
  auto ends = co_await Kind::connect();
  coflow::result<void> sent = co_await ends.b.write(buffer("ready"));
  laws::expect_success(sent);
  co_await laws::arrived<Kind>(&ends.a, 5);
  stopped_session session;
  task_scope scope;
  start(scope, try_everything(&ends.a, &session));
  scope.cancel();
  co_await laws::turns(2);
  expect(session.ran, "a stopped task goes on");
  expect(session.at_once, "its operations end at once");
  laws::expect_error(session.read, coflow::canceled());
  laws::expect_error(session.written, coflow::canceled());
  laws::expect_error(session.listed, coflow::canceled());
  laws::expect_error(session.slept, coflow::canceled());
  expect(session.left == 10, "a cancelled write keeps its buffers");
  expect(session.read.error() == std::errc::operation_canceled, "it is the standard's code");
  const bool disconnected = session.read.error() == coflow::condition::disconnected;
  expect(!disconnected, "cancelled does not mean disconnected");
  // Nothing was latched, and nothing was lost.
  coflow::read_result got = co_await ends.a.read();
  laws::expect_data(got, "ready");
  sent = co_await ends.a.write(buffer("answer"));
  laws::expect_success(sent);
  got = co_await ends.b.read();
  laws::expect_data(got, "answer");
}

template <class Flow>
task<> shut_and_close(Flow* flow, shutdown_mode mode, bool close, bool* done) {
  co_await flow->shutdown(mode);
  if (close) co_await flow->close();
  *done = true;
}

template <class Kind>
task<> stop_prevents_no_shutdown_and_no_close() {
  for (const bool close : {false, true}) {
    auto ends = co_await Kind::connect();
    const coflow::result<void> sent = co_await ends.a.write(buffer("before"));
    laws::expect_success(sent);
    bool done = false;
    task_scope scope;
    scope.cancel();
    start(scope, shut_and_close(&ends.a, shutdown_mode::read_write, close, &done));
    co_await laws::turns(2);
    expect(done, "a stopped task can end a flow");
    std::string all;
    coflow::read_result last = co_await laws::drain(&ends.b, &all);
    laws::expect_eof(last);
    laws::expect_same(all, "before");
    last = co_await ends.a.read();
    if (close)
      laws::expect_error(last, coflow::error::closed);
    else
      laws::expect_eof(last);
    const coflow::result<void> late = co_await ends.a.write(buffer("late"));
    laws::expect_error(late, coflow::error::closed);
  }
}

// Writes are queued; the shutdown of a stopped task does not wait for them, and they go out all the same.
template <class Kind>
task<> a_stopped_shutdown_keeps_draining() {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(Kind::more_than_fits);
  laws::writing written;
  bool done = false;
  task_scope scope;
  start(scope, laws::write_once(&ends.a, buffer(text), &written));
  co_await laws::turns(2);
  {
    task_scope stopped;
    stopped.cancel();
    start(stopped, shut_and_close(&ends.a, shutdown_mode::write, false, &done));
    co_await laws::turns();
    expect(done, "a stopped shutdown does not wait");
  }
  expect(!written.done, "the queued write waits");
  const coflow::result<void> late = co_await ends.a.write(buffer("late"));
  laws::expect_error(late, coflow::error::closed);
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, text);
}

struct log_of_reads {
  std::vector<coflow::read_result> got;
  bool done = false;
};

template <class Flow>
task<> read_four_times(Flow* flow, log_of_reads* out) {
  for (int i = 0; i < 4; ++i) {
    coflow::read_result got = co_await flow->read();
    out->got.push_back(std::move(got));
  }
  out->done = true;
}

template <class Kind>
task<> stop_is_a_level() {
  auto ends = co_await Kind::connect();
  log_of_reads log;
  task_scope scope;
  start(scope, read_four_times(&ends.a, &log));
  co_await laws::turns(2);
  expect(log.got.empty(), "the read waits");
  scope.cancel();
  expect(log.got.empty(), "stop resumes nobody inline");
  co_await laws::turns();
  expect(log.done, "all later reads end in the same turn");
  for (const coflow::read_result& one : log.got) laws::expect_error(one, coflow::canceled());
  scope.cancel();
  const coflow::result<void> sent = co_await ends.b.write(buffer("kept"));
  laws::expect_success(sent);
  const coflow::read_result got = co_await ends.a.read();
  laws::expect_data(got, "kept");
}

// A verdict that is known is still not given to a stopped task; afterwards it is as it was.
template <class Kind>
task<> stop_hides_a_verdict_without_changing_it() {
  auto ends = co_await Kind::connect();
  laws::reset(ends.b);
  coflow::read_result got = co_await ends.a.read();
  laws::expect_reset(got);
  stopped_session session;
  task_scope scope;
  scope.cancel();
  start(scope, try_everything(&ends.a, &session));
  co_await laws::turns(2);
  expect(session.ran, "a stopped task goes on");
  laws::expect_error(session.read, coflow::canceled());
  laws::expect_error(session.written, coflow::canceled());
  got = co_await ends.a.read();
  laws::expect_reset(got);
  const coflow::result<void> sent = co_await ends.a.write(buffer("x"));
  laws::expect_reset(sent);
}

// ---- X1: a cancelled read loses nothing

enum class order { cancel_then_data, data_then_cancel, data_then_turn_then_cancel, cancel_then_turn_then_data };

template <class Kind>
task<> a_cancelled_read_loses_nothing(order what_first) {
  auto ends = co_await Kind::connect();
  for (int round = 0; round < 20; ++round) {
    laws::reading read;
    task_scope scope;
    start(scope, laws::read_once(&ends.a, &read));
    co_await laws::turns(round % 3);
    const bool data_first = what_first == order::data_then_cancel || what_first == order::data_then_turn_then_cancel;
    if (!data_first) scope.cancel();
    if (what_first == order::cancel_then_turn_then_data) co_await laws::turns();
    const coflow::result<void> sent = co_await ends.b.write(buffer("abc"));
    laws::expect_success(sent);
    if (what_first == order::data_then_turn_then_cancel) co_await laws::turns();
    if (data_first) scope.cancel();
    const bool done = co_await laws::until([&read] { return read.done; });
    expect(done, "the read ends");
    if (read.got.has_data()) {
      laws::expect_data(read.got, "abc");
    } else {
      laws::expect_error(read.got, coflow::canceled());
      const coflow::read_result next = co_await ends.a.read();
      laws::expect_data(next, "abc");
    }
    if (what_first == order::cancel_then_turn_then_data) laws::expect_error(read.got, coflow::canceled());
  }
}

// The same with three readers: whoever is cancelled, the bytes stay in order.
template <class Kind>
task<> cancelling_one_of_three_reads(int which, bool data_first) {
  auto ends = co_await Kind::connect();
  laws::reading reads[3];
  task_scope scope;
  {
    task_scope leaving;
    for (int i = 0; i < 3; ++i) {
      if (i == which)
        start(leaving, laws::read_once(&ends.a, &reads[i]));
      else
        start(scope, laws::read_once(&ends.a, &reads[i]));
    }
    co_await laws::turns();
    coflow::result<void> sent;
    if (data_first) {
      sent = co_await ends.b.write(buffer("1"));
      laws::expect_success(sent);
    }
    leaving.cancel();
    if (!data_first) {
      sent = co_await ends.b.write(buffer("1"));
      laws::expect_success(sent);
    }
    const bool gone = co_await laws::until([&reads, which] { return reads[which].done; });
    expect(gone, "the cancelled read ends");
  }
  std::string all;
  int served = 0;
  for (int i = 0; i < 3; ++i) {
    const coflow::result<void> sent = co_await ends.b.write(buffer(std::to_string(i + 2)));
    laws::expect_success(sent);
    co_await laws::turns(3);
  }
  co_await ends.b.shutdown(shutdown_mode::write);
  const bool done = co_await laws::until([&reads] { return reads[0].done && reads[1].done && reads[2].done; });
  expect(done, "all reads end");
  for (int i = 0; i < 3; ++i) {
    if (reads[i].got.has_data()) {
      ++served;
      all += reads[i].got->text();
    } else if (i == which) {
      laws::expect_error(reads[i].got, coflow::canceled());
    } else {
      laws::expect_eof(reads[i].got);
    }
  }
  expect(served >= 1, "somebody is served");
  const coflow::read_result last = co_await laws::drain(&ends.a, &all);
  laws::expect_eof(last);
  laws::expect_same(all, "1234");
}

// An end that comes in the turn of the cancellation is not lost either.
template <class Kind>
task<> a_cancelled_read_leaves_the_end_to_the_next(bool broken, bool end_first) {
  auto ends = co_await Kind::connect();
  laws::reading read;
  task_scope scope;
  start(scope, laws::read_once(&ends.a, &read));
  co_await laws::turns();
  if (!end_first) scope.cancel();
  if (broken)
    laws::reset(ends.b);
  else
    co_await ends.b.shutdown(shutdown_mode::write);
  if (end_first) scope.cancel();
  const bool done = co_await laws::until([&read] { return read.done; });
  expect(done, "the read ends");
  const coflow::read_result next = co_await ends.a.read();
  for (const coflow::read_result* one : {&static_cast<const coflow::read_result&>(read.got), &next}) {
    if (one->failed() && one->error() == coflow::canceled()) {
      expect(one != &next, "only the cancelled read is cancelled");
      continue;
    }
    if (broken)
      laws::expect_reset(*one);
    else
      laws::expect_eof(*one);
  }
}

// ---- X2: a cancelled write

template <class Kind>
task<> an_unsent_write_can_be_taken_back(bool by_destruction) {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(Kind::more_than_fits);
  laws::writing blocked;
  laws::writing taken_back[2];
  laws::writing others[2];
  std::vector<buffer> list;
  list.emplace_back("never ");
  list.emplace_back("sent");
  std::vector<buffer> other_list;
  other_list.emplace_back("fourth ");
  other_list.emplace_back("fifth");
  task_scope scope;
  {
    task_scope leaving;
    start(scope, laws::write_once(&ends.a, buffer(text), &blocked));
    co_await laws::turns();
    start(leaving, laws::write_once(&ends.a, buffer("never sent"), &taken_back[0]));
    co_await laws::turns();
    start(scope, laws::write_once(&ends.a, buffer("third "), &others[0]));
    co_await laws::turns();
    start(leaving, laws::writev_once(&ends.a, list, &taken_back[1]));
    co_await laws::turns();
    start(scope, laws::writev_once(&ends.a, other_list, &others[1]));
    co_await laws::turns();
    if (!by_destruction) {
      leaving.cancel();
      expect(!taken_back[0].done, "stop resumes nobody inline");
      co_await laws::turns();
      for (const laws::writing& one : taken_back) {
        expect(one.done, "a cancelled write ends within a turn");
        laws::expect_error(one.sent, coflow::canceled());
      }
    }
  }
  laws::expect_same(laws::joined(list), "never sent");
  laws::writing last_write;
  start(scope, laws::write_once(&ends.a, buffer(" sixth"), &last_write));
  co_await laws::turns();
  std::string all;
  const std::string wanted = text + "third fourth fifth sixth";
  co_await laws::read_up_to(&ends.b, wanted.size(), &all);
  laws::expect_same(all, wanted);
  const bool done = co_await laws::until([&] { return blocked.done && others[0].done && others[1].done; });
  expect(done, "the other writes end");
  laws::expect_success(blocked.sent);
  laws::expect_success(others[0].sent);
  laws::expect_success(others[1].sent);
  // The half can still be ended cleanly.
  co_await ends.a.shutdown(shutdown_mode::write);
  const coflow::read_result last = co_await ends.b.read();
  laws::expect_eof(last);
}

// The flow is full to the brim, so that the first write in the queue has sent nothing.
template <class Kind>
task<> the_first_write_in_the_queue_can_be_taken_back_unsent() {
  auto ends = co_await Kind::connect();
  const std::string full = laws::pattern(Kind::capacity);
  const coflow::result<void> sent = co_await ends.a.write(buffer(full));
  laws::expect_success(sent);
  laws::writing taken_back;
  laws::writing next;
  task_scope scope;
  {
    task_scope leaving;
    start(leaving, laws::write_once(&ends.a, buffer("never sent"), &taken_back));
    co_await laws::turns();
    start(scope, laws::write_once(&ends.a, buffer("next"), &next));
    co_await laws::turns();
    expect(!taken_back.done, "the write waits");
    leaving.cancel();
    co_await laws::turns();
    laws::expect_error(taken_back.sent, coflow::canceled());
  }
  std::string all;
  co_await laws::read_up_to(&ends.b, full.size() + 4, &all);
  laws::expect_same(all, full + "next");
}

// A write whose room has just been made is cancelled before it has run.
template <class Kind>
task<> cancelling_a_write_in_the_turn_in_which_it_has_room() {
  auto ends = co_await Kind::connect();
  const std::string full = laws::pattern(Kind::capacity);
  const coflow::result<void> sent = co_await ends.a.write(buffer(full));
  laws::expect_success(sent);
  laws::writing taken_back;
  laws::writing next;
  task_scope scope;
  std::string all;
  {
    task_scope leaving;
    start(leaving, laws::write_once(&ends.a, buffer("A"), &taken_back));
    co_await laws::turns();
    start(scope, laws::write_once(&ends.a, buffer("B"), &next));
    co_await laws::turns();
    const coflow::read_result got = co_await ends.b.read();
    expect(got.has_data(), "the bytes are there");
    all += got->text();
    leaving.cancel();
    const bool done = co_await laws::until([&] { return taken_back.done && next.done; });
    expect(done, "both writes end");
  }
  laws::expect_success(next.sent);
  std::string wanted = full;
  if (taken_back.sent) wanted += "A";
  wanted += "B";
  co_await ends.a.shutdown(shutdown_mode::write);
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, wanted);
}

enum class tearing { cancel, destroy };

template <class Kind>
task<> a_torn_write_is_the_last(tearing how) {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(Kind::more_than_fits);
  laws::writing torn;
  laws::writing queued[2];
  std::vector<buffer> list;
  list.emplace_back("list");
  task_scope scope;
  {
    task_scope leaving;
    start(leaving, laws::write_once(&ends.a, buffer(text), &torn));
    co_await laws::turns();
    start(scope, laws::write_once(&ends.a, buffer("queued"), &queued[0]));
    start(scope, laws::writev_once(&ends.a, list, &queued[1]));
    co_await laws::turns(2);
    if (how == tearing::cancel) {
      leaving.cancel();
      co_await laws::turns();
      expect(torn.done, "the cancelled write ends within a turn");
      laws::expect_error(torn.sent, coflow::canceled());
    }
  }
  co_await laws::turns();
  for (const laws::writing& one : queued) {
    expect(one.done, "the queued writes end");
    laws::expect_error(one.sent, coflow::error::torn_write);
  }
  laws::expect_same(laws::joined(list), "list");
  for (int i = 0; i < 3; ++i) {
    laws::turn_mark mark;
    coflow::result<void> sent = co_await ends.a.write(buffer("more"));
    laws::expect_error(sent, coflow::error::torn_write);
    sent = co_await ends.a.writev(list);
    laws::expect_error(sent, coflow::error::torn_write);
    sent = co_await ends.a.write(buffer());
    laws::expect_error(sent, coflow::error::torn_write);
    expect(!mark.passed(), "a known error comes at once");
  }
  // The read half is untouched.
  const coflow::result<void> answered = co_await ends.b.write(buffer("still reading"));
  laws::expect_success(answered);
  const coflow::read_result got = co_await ends.a.read();
  laws::expect_data(got, "still reading");
}

// ---- X3: a torn write is never followed by a clean end

enum class leaving {
  shutdown_then_close,
  close,
  destroy,
  shutdown_then_destroy,
  close_while_writing,
  destroy_while_writing
};

template <class Kind>
task<> a_torn_stream_ends_in_a_reset(leaving how) {
  auto ends = co_await Kind::connect();
  std::optional<typename Kind::flow> a(std::move(ends.a));
  const std::string text = laws::pattern(Kind::more_than_fits);
  laws::writing torn;
  laws::reading waiting;
  std::string all;
  task_scope scope;
  task_scope writer;
  start(writer, laws::write_once(&*a, buffer(text), &torn));
  co_await laws::turns(2);
  expect(!torn.done, "the write waits");
  const bool while_writing = how == leaving::close_while_writing || how == leaving::destroy_while_writing;
  if (!while_writing) {
    writer.cancel();
    co_await laws::turns();
    laws::expect_error(torn.sent, coflow::canceled());
  }
  if (how == leaving::shutdown_then_close || how == leaving::shutdown_then_destroy) {
    laws::turn_mark mark;
    co_await a->shutdown(shutdown_mode::write);
    expect(!mark.passed(), "there is nothing to wait for");
    // The peer reads what was sent, and no end follows.
    start(scope, laws::drain_once(&ends.b, &all, &waiting));
    co_await laws::turns(20);
    expect(!waiting.done, "a torn stream has no clean end");
  }
  if (how == leaving::shutdown_then_close || how == leaving::close || how == leaving::close_while_writing)
    co_await a->close();
  else
    a.reset();
  if (!waiting.started) start(scope, laws::drain_once(&ends.b, &all, &waiting));
  const bool done = co_await laws::until([&waiting] { return waiting.done; });
  expect(done, "the peer comes to an end");
  laws::expect_reset(waiting.got);
  expect(all.size() < text.size(), "not everything was sent");
  laws::expect_same(all, std::string_view(text).substr(0, all.size()));
  const coflow::read_result again = co_await ends.b.read();
  laws::expect_reset(again);
}

// A shutdown is under way when the write that it waits for is torn: it ends, and signals nothing.
template <class Kind>
task<> tearing_a_write_under_a_shutdown() {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(Kind::more_than_fits);
  laws::writing torn;
  laws::shutting shut;
  laws::reading waiting;
  std::string all;
  task_scope scope;
  task_scope writer;
  start(writer, laws::write_once(&ends.a, buffer(text), &torn));
  co_await laws::turns();
  start(scope, laws::shutdown_once(&ends.a, shutdown_mode::write, &shut));
  co_await laws::turns();
  expect(!shut.done, "the shutdown waits");
  writer.cancel();
  co_await laws::turns();
  expect(torn.done, "the cancelled write ends");
  expect(shut.done, "the shutdown ends with it");
  start(scope, laws::drain_once(&ends.b, &all, &waiting));
  co_await laws::turns(20);
  expect(!waiting.done, "a torn stream has no clean end");
  co_await ends.a.close();
  const bool done = co_await laws::until([&waiting] { return waiting.done; });
  expect(done, "the peer comes to an end");
  laws::expect_reset(waiting.got);
}

// An unsent write that was taken back tears nothing: the end is clean.
template <class Kind>
task<> an_unsent_write_tears_nothing() {
  auto ends = co_await Kind::connect();
  const std::string full = laws::pattern(Kind::capacity);
  const coflow::result<void> sent = co_await ends.a.write(buffer(full));
  laws::expect_success(sent);
  laws::writing taken_back;
  {
    task_scope leaving;
    start(leaving, laws::write_once(&ends.a, buffer("never sent"), &taken_back));
    co_await laws::turns();
    expect(!taken_back.done, "the write waits");
  }
  co_await ends.a.close();
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_same(all, full);
  laws::expect_eof(last);
}

// ---- at any time: cancelling at every turn of a conversation loses and repeats nothing

template <class Flow>
task<> read_counting(Flow* flow, std::string* all) {
  for (;;) {
    coflow::read_result got = co_await flow->read();
    if (!got) co_return;
    all->append(got->text());
  }
}

template <class Flow>
task<> write_pieces(Flow* flow, const std::string* text) {
  std::string_view rest(*text);
  std::size_t size = 1;
  while (!rest.empty()) {
    const std::string_view piece = rest.substr(0, size);
    rest.remove_prefix(piece.size());
    size = size * 3 % 2999 + 1;
    const coflow::result<void> sent = co_await flow->write(buffer(piece));
    laws::expect_success(sent);
  }
  co_await flow->shutdown(shutdown_mode::write);
}

template <class Kind>
task<> a_conversation_with_readers_that_are_cancelled_and_destroyed() {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(300'000);
  std::string all;
  task_scope scope;
  start(scope, write_pieces(&ends.b, &text));
  for (int round = 0; round < 400; ++round) {
    task_scope readers;
    for (int i = 0; i < 3; ++i) start(readers, read_counting(&ends.a, &all));
    co_await laws::turns(1 + round % 3);
    if (round % 2 == 0) {
      readers.cancel();
      const coflow::result<void> joined = co_await readers.join();
      laws::expect_success(joined);
    }
  }
  const coflow::read_result last = co_await laws::drain(&ends.a, &all);
  laws::expect_eof(last);
  laws::expect_same(all, text);
}

TEST_CASE("operations of a stopped task are cancelled at once and change nothing", "[cancellation_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return operations_of_a_stopped_task_are_cancelled_at_once<Kind>(); });
}

TEST_CASE("stop prevents no shutdown and no close", "[cancellation_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return stop_prevents_no_shutdown_and_no_close<Kind>(); });
}

TEST_CASE("a shutdown in a stopped task does not wait, and the half drains", "[cancellation_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_stopped_shutdown_keeps_draining<Kind>(); });
}

TEST_CASE("stop is a level: later operations are cancelled too", "[cancellation_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return stop_is_a_level<Kind>(); });
}

TEST_CASE("stop hides a verdict and does not change it", "[cancellation_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return stop_hides_a_verdict_without_changing_it<Kind>(); });
}

TEST_CASE("a cancelled read loses nothing, whether the bytes or the cancellation come first", "[cancellation_laws]") {
  const std::pair<order, const char*> orders[] = {
      {order::cancel_then_data, "cancelled, then bytes in the same turn"},
      {order::data_then_cancel, "bytes, then cancelled in the same turn"},
      {order::data_then_turn_then_cancel, "bytes, and cancelled a turn later"},
      {order::cancel_then_turn_then_data, "cancelled, and bytes a turn later"}};
  for (const auto& [what, name] : orders) {
    DYNAMIC_SECTION(name) {
      const order now = what;
      laws::on_every_flow([now]<class Kind>(Kind) { return a_cancelled_read_loses_nothing<Kind>(now); });
    }
  }
}

TEST_CASE("cancelling one of three reads keeps the bytes in order", "[cancellation_laws]") {
  for (int which = 0; which < 3; ++which) {
    for (const bool data_first : {false, true}) {
      DYNAMIC_SECTION("read " << which << (data_first ? ", bytes first" : ", cancelled first")) {
        laws::on_every_flow(
            [which, data_first]<class Kind>(Kind) { return cancelling_one_of_three_reads<Kind>(which, data_first); });
      }
    }
  }
}

TEST_CASE("a cancelled read leaves the end of the stream to the next one", "[cancellation_laws]") {
  for (const bool broken : {false, true}) {
    for (const bool end_first : {false, true}) {
      DYNAMIC_SECTION((broken ? "a reset" : "eof") << (end_first ? ", the end first" : ", cancelled first")) {
        laws::on_every_flow([broken, end_first]<class Kind>(Kind) {
          return a_cancelled_read_leaves_the_end_to_the_next<Kind>(broken, end_first);
        });
      }
    }
  }
}

TEST_CASE("an unsent write can be taken back; the others go out in order", "[cancellation_laws]") {
  for (const bool by_destruction : {false, true}) {
    DYNAMIC_SECTION((by_destruction ? "destroyed" : "cancelled")) {
      laws::on_every_flow(
          [by_destruction]<class Kind>(Kind) { return an_unsent_write_can_be_taken_back<Kind>(by_destruction); });
    }
  }
}

TEST_CASE("the first write in the queue can be taken back while it has sent nothing", "[cancellation_laws]") {
  // Only where the capacity is exact can a test say that a write has not begun.
  auto law = []<class Kind>(Kind) { return the_first_write_in_the_queue_can_be_taken_back_unsent<Kind>(); };
  laws::on<laws::over_memory>(law);
  laws::on<laws::layer_over_memory>(law);
  laws::on<laws::coroutines_over_memory>(law);
}

TEST_CASE("a write that is cancelled when it has just got room is sent whole or not at all", "[cancellation_laws]") {
  auto law = []<class Kind>(Kind) { return cancelling_a_write_in_the_turn_in_which_it_has_room<Kind>(); };
  laws::on<laws::over_memory>(law);
  laws::on<laws::layer_over_memory>(law);
  laws::on<laws::coroutines_over_memory>(law);
}

TEST_CASE("a torn write is the last: every later write gives torn_write", "[cancellation_laws]") {
  SECTION("cancelled") {
    laws::on_every_flow([]<class Kind>(Kind) { return a_torn_write_is_the_last<Kind>(tearing::cancel); });
  }
  SECTION("destroyed") {
    laws::on_every_flow([]<class Kind>(Kind) { return a_torn_write_is_the_last<Kind>(tearing::destroy); });
  }
}

TEST_CASE("a torn stream ends in a reset, never in eof", "[cancellation_laws]") {
  const std::pair<leaving, const char*> ways[] = {{leaving::shutdown_then_close, "shutdown, then close"},
                                                  {leaving::close, "close"},
                                                  {leaving::destroy, "destruction"},
                                                  {leaving::shutdown_then_destroy, "shutdown, then destruction"},
                                                  {leaving::close_while_writing, "close during the write"},
                                                  {leaving::destroy_while_writing, "destruction during the write"}};
  for (const auto& [how, name] : ways) {
    DYNAMIC_SECTION(name) {
      const leaving now = how;
      laws::on_every_flow([now]<class Kind>(Kind) { return a_torn_stream_ends_in_a_reset<Kind>(now); });
    }
  }
}

TEST_CASE("a shutdown whose last write is torn ends and signals nothing", "[cancellation_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return tearing_a_write_under_a_shutdown<Kind>(); });
}

TEST_CASE("an unsent write that is taken back leaves a clean end", "[cancellation_laws]") {
  auto law = []<class Kind>(Kind) { return an_unsent_write_tears_nothing<Kind>(); };
  laws::on<laws::over_memory>(law);
  laws::on<laws::layer_over_memory>(law);
  laws::on<laws::coroutines_over_memory>(law);
}

TEST_CASE("readers that are cancelled and destroyed all the time lose no byte", "[cancellation_laws]") {
  laws::on_every_flow(
      []<class Kind>(Kind) { return a_conversation_with_readers_that_are_cancelled_and_destroyed<Kind>(); });
}

}  // namespace
