// The laws of shutdown: S1 to S4.
#include <array>
#include <cstring>
#include <vector>

#include "laws/harness.hpp"

namespace {

using coflow::buffer;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using laws::expect;
using laws::start;

constexpr shutdown_mode all_modes[] = {shutdown_mode::read, shutdown_mode::write, shutdown_mode::read_write};

// ---- S1: never fails; repeated, overlapping or late calls do nothing

template <class Kind>
task<> repeated_and_late_shutdowns_do_nothing() {
  auto ends = co_await Kind::connect();
  for (int round = 0; round < 3; ++round) {
    for (const shutdown_mode mode : all_modes) {
      laws::turn_mark mark;
      co_await ends.a.shutdown(mode);
      expect(!mark.passed(), "a shutdown with nothing queued does not wait");
    }
  }
  coflow::read_result got = co_await ends.b.read();
  laws::expect_eof(got);
  // After the peer's end, after the flow's close, after a reset, and again.
  co_await ends.b.shutdown(shutdown_mode::write);
  co_await laws::end_arrived<Kind>(&ends.a);
  for (const shutdown_mode mode : all_modes) co_await ends.a.shutdown(mode);
  co_await ends.a.close();
  for (const shutdown_mode mode : all_modes) co_await ends.a.shutdown(mode);
  got = co_await ends.a.read();
  laws::expect_error(got, coflow::error::closed);
  laws::reset(ends.b);
  for (const shutdown_mode mode : all_modes) co_await ends.b.shutdown(mode);
}

template <class Kind>
task<> shutdown_after_a_reset_does_nothing() {
  auto ends = co_await Kind::connect();
  laws::reset(ends.b);
  co_await laws::end_arrived<Kind>(&ends.a);
  for (const shutdown_mode mode : {shutdown_mode::write, shutdown_mode::write}) {
    laws::turn_mark mark;
    co_await ends.a.shutdown(mode);
    expect(!mark.passed(), "there is nothing to wait for");
  }
  const coflow::read_result got = co_await ends.a.read();
  laws::expect_reset(got);
}

template <class Kind>
task<> overlapping_shutdowns_end_together() {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(Kind::more_than_fits);
  laws::writing written;
  laws::shutting shut[4];
  task_scope scope;
  start(scope, laws::write_once(&ends.a, buffer(text), &written));
  for (laws::shutting& one : shut) start(scope, laws::shutdown_once(&ends.a, shutdown_mode::write, &one));
  co_await laws::turns(3);
  for (const laws::shutting& one : shut) {
    expect(one.started, "the shutdown has begun");
    expect(!one.done, "the shutdown waits for the queued write");
  }
  // A shutdown of the other half does not wait.
  laws::turn_mark mark;
  co_await ends.a.shutdown(shutdown_mode::read);
  expect(!mark.passed(), "ending the read half does not wait for writes");
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, text);
  const bool done =
      co_await laws::until([&shut] { return shut[0].done && shut[1].done && shut[2].done && shut[3].done; });
  expect(done, "every shutdown ends");
  expect(written.done, "the write ended");
  laws::expect_success(written.sent);
}

// ---- S2: shutdown(read)

template <class Flow>
task<> write_much(Flow* flow, std::size_t size, laws::writing* out) {
  const std::string chunk = laws::pattern(64 * 1024);
  out->started = true;
  for (std::size_t count = 0; count < size; count += chunk.size()) {
    out->sent = co_await flow->write(buffer(chunk));
    if (!out->sent) break;
  }
  out->done = true;
}

template <class Kind>
task<> pending_and_later_reads_give_eof() {
  auto ends = co_await Kind::connect();
  task_scope scope;
  laws::reading reads[3];
  for (laws::reading& one : reads) start(scope, laws::read_once(&ends.a, &one));
  co_await laws::turns();
  co_await ends.a.shutdown(shutdown_mode::read);
  co_await laws::turns(2);
  for (const laws::reading& one : reads) {
    expect(one.done, "a pending read ends");
    laws::expect_eof(one.got);
  }
  for (int i = 0; i < 3; ++i) {
    laws::turn_mark mark;
    const coflow::read_result got = co_await ends.a.read();
    expect(!mark.passed(), "eof comes at once");
    laws::expect_eof(got);
  }
}

// The peer goes on for 10 MiB; nothing of it is ever delivered, and the other direction works.
template <class Kind>
task<> input_is_dropped(bool unread_before) {
  auto ends = co_await Kind::connect();
  laws::writing written;
  task_scope scope;
  coflow::read_result got;
  if (unread_before) {
    start(scope, write_much(&ends.b, std::size_t{10} << 20, &written));
    co_await laws::turns(5);
    expect(!written.done, "the peer waits for a reader");
    got = co_await ends.a.read();
    expect(got.has_data(), "the input is there");
  }
  co_await ends.a.shutdown(shutdown_mode::read);
  if (unread_before) {
    const bool dropped = co_await laws::until([&ends] { return laws::held_by_kernel<Kind>(ends.a) == 0; });
    expect(dropped, "what was unread is dropped");
  }
  if (!unread_before) start(scope, write_much(&ends.b, std::size_t{10} << 20, &written));
  const bool done = co_await laws::until([&written] { return written.done; });
  expect(done, "the peer is not held up");
  laws::expect_success(written.sent);
  got = co_await ends.a.read();
  laws::expect_eof(got);
  co_await laws::turns(5);
  const coflow::result<void> more = co_await ends.b.write(buffer("more"));
  laws::expect_success(more);
  co_await laws::turns(5);
  got = co_await ends.a.read();
  laws::expect_eof(got);
  const coflow::result<void> sent = co_await ends.a.write(buffer("still here"));
  laws::expect_success(sent);
  got = co_await ends.b.read();
  laws::expect_data(got, "still here");
  // What was dropped does not turn the close into a reset (K4).
  const coflow::result<void> last_words = co_await ends.a.write(buffer("goodbye"));
  laws::expect_success(last_words);
  co_await ends.a.close();
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_same(all, "goodbye");
  laws::expect_eof(last);
}

template <class Kind>
task<> a_read_that_was_about_to_be_served_gives_eof() {
  auto ends = co_await Kind::connect();
  task_scope scope;
  laws::reading read;
  start(scope, laws::read_once(&ends.a, &read));
  co_await laws::turns();
  const coflow::result<void> sent = co_await ends.b.write(buffer("too late"));
  laws::expect_success(sent);
  co_await ends.a.shutdown(shutdown_mode::read);
  co_await laws::turns(3);
  expect(read.done, "the read ends");
  laws::expect_eof(read.got);
}

template <class Kind>
task<> nothing_re_opens_a_read_half(bool broken) {
  auto ends = co_await Kind::connect();
  co_await ends.a.shutdown(shutdown_mode::read);
  const coflow::result<void> sent = co_await ends.b.write(buffer("unheard"));
  laws::expect_success(sent);
  if (broken)
    laws::reset(ends.b);
  else
    co_await ends.b.close();
  co_await laws::end_arrived<Kind>(&ends.a);
  co_await laws::turns(5);
  for (int i = 0; i < 3; ++i) {
    const coflow::read_result got = co_await ends.a.read();
    laws::expect_eof(got);
  }
  const coflow::result<void> failed = co_await laws::write_until_error(&ends.a);
  if (broken)
    laws::expect_reset(failed);
  else
    laws::expect_error(failed, coflow::error::closed);
}

// Memory: the blocks that were buffered go back when the half is shut.
template <class Kind>
task<> buffered_input_is_released() {
  auto ends = co_await Kind::connect();
  buffer payload = buffer::allocate(1000);
  std::memset(payload.writable().data(), 'm', payload.size());
  buffer kept = payload.share();
  const coflow::result<void> sent = co_await ends.b.write(std::move(payload));
  laws::expect_success(sent);
  expect(kept.writable().empty(), "the pipe holds the block");
  co_await ends.a.shutdown(shutdown_mode::read);
  expect(!kept.writable().empty(), "shutdown gives the block back");
}

// Where no executor runs, shutdown still does what it is for.
template <class Kind>
void shutdown_outside_of_a_turn() {
  coflow::event_loop loop;
  auto ends = coflow::run(loop, Kind::connect());
  bool blocked = false;
  laws::writing written;
  auto fill = []<class Flow>(Flow* flow, laws::writing* out, bool* waits) -> task<> {
    task_scope scope;
    start(scope, write_much(flow, std::size_t{4} << 20, out));
    co_await laws::turns(20);
    *waits = !out->done;
    const auto joined = co_await scope.join();
    expect(joined.has_value(), "the writer ends well");
  };
  coflow::spawn(loop, fill(&ends.b, &written, &blocked));
  laws::reading read;
  {
    // The input is known to the loop, and left unread.
    coflow::run(loop, laws::read_once(&ends.a, &read));
    coflow::run(loop, laws::turns(30));
  }
  expect(read.got.has_data(), "the input is there");
  expect(blocked, "the peer waits for a reader");
  laws::shutting shut;
  auto abroad = laws::shutdown_abroad(&ends.a, shutdown_mode::read, &shut);
  expect(shut.done, "the shutdown does not wait");
  // The peer, which is no longer held up, goes on sending meanwhile.
  for (int i = 0; i < 1000 && laws::held_by_kernel<Kind>(ends.a) != 0; ++i) coflow::run(loop, laws::turns(3));
  expect(laws::held_by_kernel<Kind>(ends.a) == 0, "what was unread is dropped");
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!written.done && std::chrono::steady_clock::now() < limit) coflow::run(loop, laws::turns(10));
  expect(written.done, "the peer is not held up");
  laws::expect_success(written.sent);
  laws::reading after;
  coflow::run(loop, laws::read_once(&ends.a, &after));
  laws::expect_eof(after.got);
  coflow::run(loop, laws::turns(3));
}

// ---- S3: shutdown(write)

template <class Kind>
task<> queued_writes_go_out_whole() {
  auto ends = co_await Kind::connect();
  std::string wanted;
  laws::writing writes[3];
  laws::writing lists[2];
  std::vector<buffer> pieces;
  task_scope scope;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const std::string text = laws::pattern(Kind::more_than_fits, i);
    wanted += text;
    start(scope, laws::write_once(&ends.a, buffer(text), &writes[i]));
  }
  for (int i = 0; i < 100; ++i) pieces.emplace_back(std::string(100, 'l'));
  wanted.append(10'000, 'l');
  start(scope, laws::writev_once(&ends.a, pieces, &lists[0]));
  co_await laws::turns(2);
  for (const laws::writing& one : writes) expect(!one.done, "the writes wait");
  laws::shutting shut;
  start(scope, laws::shutdown_once(&ends.a, shutdown_mode::write, &shut));
  co_await laws::turns();
  laws::turn_mark mark;
  coflow::result<void> late = co_await ends.a.write(buffer("late"));
  laws::expect_error(late, coflow::error::closed);
  std::array<buffer, 1> list{buffer("later")};
  late = co_await ends.a.writev(list);
  laws::expect_error(late, coflow::error::closed);
  expect(!mark.passed(), "new writes are refused at once");
  expect(!shut.done, "the shutdown waits for what is queued");
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, wanted);
  const bool done = co_await laws::until([&shut] { return shut.done; });
  expect(done, "the shutdown ends");
  for (const laws::writing& one : writes) {
    expect(one.done, "a queued write ends before the shutdown");
    laws::expect_success(one.sent);
  }
  laws::expect_success(lists[0].sent);
  // Reading goes on.
  const coflow::result<void> sent = co_await ends.b.write(buffer("answer"));
  laws::expect_success(sent);
  const coflow::read_result got = co_await ends.a.read();
  laws::expect_data(got, "answer");
}

// The half is closed to new writes at the call, not when the shutdown has run its course.
template <class Kind>
task<> the_half_closes_at_the_call() {
  auto ends = co_await Kind::connect();
  laws::writing first;
  laws::writing late;
  laws::shutting shut;
  task_scope scope;
  start(scope, laws::write_once(&ends.a, buffer(std::string(Kind::more_than_fits, 'x')), &first));
  start(scope, laws::shutdown_once(&ends.a, shutdown_mode::write, &shut));
  start(scope, laws::write_once(&ends.a, buffer("late"), &late));
  co_await laws::turns();
  expect(late.done, "the late write is refused in the same turn");
  laws::expect_error(late.sent, coflow::error::closed);
  expect(!shut.done, "the shutdown waits");
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, std::string(Kind::more_than_fits, 'x'));
}

enum class departure { cancel, destroy };

// Whoever waits in a shutdown may leave; the half keeps draining.
template <class Kind>
task<> the_half_drains_without_a_waiter(departure how) {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(2 * Kind::more_than_fits);
  laws::writing written;
  laws::shutting shut;
  task_scope scope;
  start(scope, laws::write_once(&ends.a, buffer(text), &written));
  {
    task_scope waiter;
    start(waiter, laws::shutdown_once(&ends.a, shutdown_mode::write, &shut));
    co_await laws::turns(2);
    expect(!shut.done, "the shutdown waits");
    if (how == departure::cancel) {
      waiter.cancel();
      co_await laws::turns();
      expect(shut.done, "stop ends the wait");
    }
  }
  const coflow::result<void> late = co_await ends.a.write(buffer("late"));
  laws::expect_error(late, coflow::error::closed);
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, text);
  const bool done = co_await laws::until([&written] { return written.done; });
  expect(done, "the queued write ends");
  laws::expect_success(written.sent);
}

// A queued write that is taken back while the half drains is not waited for.
template <class Kind>
task<> a_withdrawn_write_ends_the_drain(departure how) {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(Kind::more_than_fits);
  laws::writing first;
  laws::writing second;
  laws::writing third;
  laws::shutting shut;
  task_scope scope;
  task_scope leaving;
  start(scope, laws::write_once(&ends.a, buffer(text), &first));
  co_await laws::turns();
  {
    task_scope inner;
    start(inner, laws::write_once(&ends.a, buffer("second"), &second));
    co_await laws::turns();
    start(scope, laws::write_once(&ends.a, buffer("third"), &third));
    start(scope, laws::shutdown_once(&ends.a, shutdown_mode::write, &shut));
    co_await laws::turns();
    if (how == departure::cancel) {
      inner.cancel();
      co_await laws::turns();
      expect(second.done, "the cancelled write ends");
      laws::expect_error(second.sent, coflow::canceled());
    }
  }
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, text + "third");
  const bool done = co_await laws::until([&shut, &third] { return shut.done && third.done; });
  expect(done, "the shutdown ends");
  laws::expect_success(third.sent);
}

enum class trouble { reset, peer_close, close, destroy };

// However the drain comes to grief, the shutdown ends.
template <class Kind>
task<> a_drain_that_fails_ends_the_shutdown(trouble how) {
  auto ends = co_await Kind::connect();
  std::optional<typename Kind::flow> a(std::move(ends.a));
  laws::writing writes[2];
  laws::shutting shut[2];
  task_scope scope;
  for (laws::writing& one : writes)
    start(scope, laws::write_once(&*a, buffer(std::string(Kind::more_than_fits, 'd')), &one));
  for (laws::shutting& one : shut) start(scope, laws::shutdown_once(&*a, shutdown_mode::write, &one));
  co_await laws::turns(2);
  expect(!shut[0].done, "the shutdown waits");
  if (how == trouble::reset) laws::reset(ends.b);
  if (how == trouble::peer_close) co_await ends.b.close();
  if (how == trouble::close) co_await a->close();
  if (how == trouble::destroy) a.reset();
  const bool done = co_await laws::until(
      [&shut, &writes] { return shut[0].done && shut[1].done && writes[0].done && writes[1].done; });
  expect(done, "the writes and the shutdowns end");
  for (const laws::writing& one : writes) {
    expect(!one.sent, "the queued writes fail");
    expect(one.sent.error() == coflow::condition::disconnected, "the connection is gone");
    if (how == trouble::close) laws::expect_error(one.sent, coflow::error::closed);
    if (how == trouble::destroy) laws::expect_error(one.sent, coflow::error::closed);
    if (how == trouble::reset) laws::expect_reset(one.sent);
  }
}

// ---- S4: both

template <class Kind>
task<> shutdown_of_both_is_both() {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(Kind::more_than_fits);
  laws::reading read;
  laws::writing written;
  laws::shutting shut;
  task_scope scope;
  start(scope, laws::read_once(&ends.a, &read));
  start(scope, laws::write_once(&ends.a, buffer(text), &written));
  start(scope, laws::shutdown_once(&ends.a, shutdown_mode::read_write, &shut));
  co_await laws::turns(2);
  expect(read.done, "the pending read ends");
  laws::expect_eof(read.got);
  expect(!shut.done, "the shutdown waits for the queued write");
  const coflow::result<void> late = co_await ends.a.write(buffer("late"));
  laws::expect_error(late, coflow::error::closed);
  laws::writing dropped;
  start(scope, write_much(&ends.b, std::size_t{1} << 20, &dropped));
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, text);
  const bool done = co_await laws::until([&shut, &dropped] { return shut.done && dropped.done; });
  expect(done, "the shutdown ends, and the peer is not held up");
  laws::expect_success(dropped.sent);
  const coflow::read_result got = co_await ends.a.read();
  laws::expect_eof(got);
}

template <class Kind>
task<> both_ends_can_say_goodbye() {
  auto ends = co_await Kind::connect();
  coflow::result<void> sent = co_await ends.a.write(buffer("from a"));
  laws::expect_success(sent);
  sent = co_await ends.b.write(buffer("from b"));
  laws::expect_success(sent);
  co_await ends.a.shutdown(shutdown_mode::write);
  co_await ends.b.shutdown(shutdown_mode::write);
  std::string at_a;
  std::string at_b;
  coflow::read_result last = co_await laws::drain(&ends.a, &at_a);
  laws::expect_eof(last);
  last = co_await laws::drain(&ends.b, &at_b);
  laws::expect_eof(last);
  laws::expect_same(at_a, "from b");
  laws::expect_same(at_b, "from a");
  // Both halves have ended on both sides; only a close makes reads fail.
  co_await ends.a.close();
  last = co_await ends.a.read();
  laws::expect_error(last, coflow::error::closed);
  last = co_await ends.b.read();
  laws::expect_eof(last);
}

TEST_CASE("shutdowns that are repeated or come late do nothing", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return repeated_and_late_shutdowns_do_nothing<Kind>(); });
}

TEST_CASE("a shutdown after a reset does nothing and hides nothing", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return shutdown_after_a_reset_does_nothing<Kind>(); });
}

TEST_CASE("shutdowns that overlap end together", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return overlapping_shutdowns_end_together<Kind>(); });
}

TEST_CASE("shutdown(read) gives eof to pending and later reads", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return pending_and_later_reads_give_eof<Kind>(); });
}

TEST_CASE("shutdown(read) drops what comes later and holds nobody up", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return input_is_dropped<Kind>(false); });
}

TEST_CASE("shutdown(read) drops what is there and sets a waiting peer free", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return input_is_dropped<Kind>(true); });
}

TEST_CASE("shutdown(read) gives eof to a read whose bytes have just come", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_read_that_was_about_to_be_served_gives_eof<Kind>(); });
}

TEST_CASE("nothing that the peer does re-opens a read half", "[shutdown_laws]") {
  SECTION("a close") {
    laws::on_every_flow([]<class Kind>(Kind) { return nothing_re_opens_a_read_half<Kind>(false); });
  }
  SECTION("a reset") {
    laws::on_every_flow([]<class Kind>(Kind) { return nothing_re_opens_a_read_half<Kind>(true); });
  }
}

TEST_CASE("shutdown(read) gives buffered memory back", "[shutdown_laws]") {
  auto law = []<class Kind>(Kind) { return buffered_input_is_released<Kind>(); };
  laws::on<laws::over_memory>(law);
  laws::on<laws::layer_over_memory>(law);
  laws::on<laws::coroutines_over_memory>(law);
}

TEST_CASE("shutdown(read) between two turns of the loop drops the input all the same", "[shutdown_laws]") {
  SECTION(laws::over_memory::name) { shutdown_outside_of_a_turn<laws::over_memory>(); }
  SECTION(laws::over_tcp::name) { shutdown_outside_of_a_turn<laws::over_tcp>(); }
  SECTION(laws::two_layers_over_tcp::name) { shutdown_outside_of_a_turn<laws::two_layers_over_tcp>(); }
}

TEST_CASE("shutdown(write) lets queued writes out whole and refuses new ones at once", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return queued_writes_go_out_whole<Kind>(); });
}

TEST_CASE("shutdown(write) closes the half at the call", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return the_half_closes_at_the_call<Kind>(); });
}

TEST_CASE("a half that drains goes on draining when nobody waits for it", "[shutdown_laws]") {
  SECTION("the waiter was cancelled") {
    laws::on_every_flow([]<class Kind>(Kind) { return the_half_drains_without_a_waiter<Kind>(departure::cancel); });
  }
  SECTION("the waiter was destroyed") {
    laws::on_every_flow([]<class Kind>(Kind) { return the_half_drains_without_a_waiter<Kind>(departure::destroy); });
  }
}

TEST_CASE("a queued write that is taken back does not hold the shutdown up", "[shutdown_laws]") {
  SECTION("cancelled") {
    laws::on_every_flow([]<class Kind>(Kind) { return a_withdrawn_write_ends_the_drain<Kind>(departure::cancel); });
  }
  SECTION("destroyed") {
    laws::on_every_flow([]<class Kind>(Kind) { return a_withdrawn_write_ends_the_drain<Kind>(departure::destroy); });
  }
}

TEST_CASE("a shutdown whose queued writes fail ends", "[shutdown_laws]") {
  SECTION("the peer reset the connection") {
    laws::on_every_flow([]<class Kind>(Kind) { return a_drain_that_fails_ends_the_shutdown<Kind>(trouble::reset); });
  }
  SECTION("the peer closed") {
    laws::on_every_flow(
        []<class Kind>(Kind) { return a_drain_that_fails_ends_the_shutdown<Kind>(trouble::peer_close); });
  }
  SECTION("the flow was closed") {
    laws::on_every_flow([]<class Kind>(Kind) { return a_drain_that_fails_ends_the_shutdown<Kind>(trouble::close); });
  }
  SECTION("the flow was destroyed") {
    laws::on_every_flow([]<class Kind>(Kind) { return a_drain_that_fails_ends_the_shutdown<Kind>(trouble::destroy); });
  }
}

TEST_CASE("shutdown(read_write) ends both halves", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return shutdown_of_both_is_both<Kind>(); });
}

TEST_CASE("both ends can say goodbye and hear the other out", "[shutdown_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return both_ends_can_say_goodbye<Kind>(); });
}

}  // namespace
