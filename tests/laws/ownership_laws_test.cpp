// The laws of operations and of what owns what: O1 to O4.
#include <array>
#include <memory>
#include <vector>

#include "laws/harness.hpp"

namespace {

using coflow::buffer;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using laws::expect;
using laws::start;

// ---- O1: an operation begins when it is awaited

template <class Kind>
task<> operations_that_are_never_awaited_do_nothing() {
  auto ends = co_await Kind::connect();
  std::array<buffer, 2> list{buffer("never "), buffer("sent")};
  const buffer payload("shared");
  coflow::result<void> sent = co_await ends.b.write(buffer("unread"));
  laws::expect_success(sent);
  co_await laws::arrived<Kind>(&ends.a, 6);
  for (int i = 0; i < 3; ++i) {
    [[maybe_unused]] auto read = ends.a.read();
    [[maybe_unused]] auto write = ends.a.write(payload.share());
    [[maybe_unused]] auto writev = ends.a.writev(list);
    [[maybe_unused]] auto shutdown = ends.a.shutdown(shutdown_mode::read_write);
    [[maybe_unused]] auto close = ends.a.close();
    co_await laws::turns();
  }
  laws::expect_same(laws::joined(list), "never sent");
  coflow::read_result got = co_await ends.a.read();
  laws::expect_data(got, "unread");
  sent = co_await ends.a.write(buffer("real"));
  laws::expect_success(sent);
  got = co_await ends.b.read();
  laws::expect_data(got, "real");
}

template <class Kind>
task<> operations_begin_in_the_order_in_which_they_are_awaited() {
  auto ends = co_await Kind::connect();
  std::array<buffer, 2> list{buffer("sec"), buffer("ond ")};
  auto third = ends.a.write(buffer("third"));
  auto second = ends.a.writev(list);
  coflow::result<void> sent = co_await ends.a.write(buffer("first "));
  laws::expect_success(sent);
  sent = co_await std::move(second);
  laws::expect_success(sent);
  sent = co_await std::move(third);
  laws::expect_success(sent);
  std::string all;
  co_await laws::read_up_to(&ends.b, 18, &all);
  laws::expect_same(all, "first second third");
  // Made before the close, begun after it.
  auto read = ends.a.read();
  auto write = ends.a.write(buffer("late"));
  auto shutdown = ends.a.shutdown(shutdown_mode::write);
  auto close = ends.a.close();
  co_await ends.a.close();
  const coflow::read_result got = co_await std::move(read);
  laws::expect_error(got, coflow::error::closed);
  sent = co_await std::move(write);
  laws::expect_error(sent, coflow::error::closed);
  co_await std::move(shutdown);
  co_await std::move(close);
}

// The state changes at the call, before the operation first waits.
template <class Kind>
task<> state_changes_come_first() {
  auto ends = co_await Kind::connect();
  laws::writing blocked;
  laws::shutting shut;
  task_scope scope;
  start(scope, laws::write_once(&ends.a, buffer(std::string(Kind::more_than_fits, 'b')), &blocked));
  co_await laws::turns();
  auto abroad = laws::shutdown_abroad(&ends.a, shutdown_mode::read_write, &shut);
  expect(!shut.done, "the shutdown waits");
  laws::turn_mark mark;
  const coflow::result<void> sent = co_await ends.a.write(buffer("late"));
  laws::expect_error(sent, coflow::error::closed);
  const coflow::read_result got = co_await ends.a.read();
  laws::expect_eof(got);
  expect(!mark.passed(), "both halves were changed at the call");
  bool closed = false;
  auto closing = laws::close_abroad(&ends.a, &closed);
  expect(closed, "close does not wait");
  const coflow::read_result after = co_await ends.a.read();
  laws::expect_error(after, coflow::error::closed);
  co_await laws::turns();
  expect(shut.done, "the shutdown ends");
  laws::expect_error(blocked.sent, coflow::error::closed);
}

// ---- O2: a flow may be moved and destroyed while operations are pending

template <class Kind>
task<> a_flow_may_move_under_its_operations() {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(Kind::more_than_fits);
  laws::reading reads[2];
  laws::writing writes[2];
  laws::shutting shut;
  task_scope scope;
  for (laws::reading& one : reads) start(scope, laws::read_once(&ends.a, &one));
  start(scope, laws::write_once(&ends.a, buffer(text), &writes[0]));
  start(scope, laws::write_once(&ends.a, buffer("queued"), &writes[1]));
  co_await laws::turns(2);
  auto moved = std::make_unique<typename Kind::flow>(std::move(ends.a));
  start(scope, laws::shutdown_once(&*moved, shutdown_mode::write, &shut));
  co_await laws::turns();
  typename Kind::flow again(std::move(*moved));
  moved.reset();
  coflow::result<void> sent = co_await ends.b.write(buffer("one"));
  laws::expect_success(sent);
  const bool first = co_await laws::until([&reads] { return reads[0].done; });
  expect(first, "a pending read follows the flow");
  laws::expect_data(reads[0].got, "one");
  sent = co_await ends.b.write(buffer("two"));
  laws::expect_success(sent);
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, text + "queued");
  const bool done =
      co_await laws::until([&] { return reads[1].done && writes[0].done && writes[1].done && shut.done; });
  expect(done, "everything follows the flow");
  laws::expect_data(reads[1].got, "two");
  laws::expect_success(writes[0].sent);
  laws::expect_success(writes[1].sent);
  sent = co_await ends.b.write(buffer("three"));
  laws::expect_success(sent);
  const coflow::read_result got = co_await again.read();
  laws::expect_data(got, "three");
}

template <class Kind>
task<> flows_may_be_swapped_under_their_operations() {
  auto first = co_await Kind::connect();
  auto second = co_await Kind::connect();
  laws::reading one;
  laws::reading two;
  task_scope scope;
  start(scope, laws::read_once(&first.a, &one));
  start(scope, laws::read_once(&second.a, &two));
  co_await laws::turns();
  std::swap(first.a, second.a);
  coflow::result<void> sent = co_await first.b.write(buffer("1"));
  laws::expect_success(sent);
  sent = co_await second.b.write(buffer("2"));
  laws::expect_success(sent);
  const bool done = co_await laws::until([&one, &two] { return one.done && two.done; });
  expect(done, "both reads end");
  laws::expect_data(one.got, "1");
  laws::expect_data(two.got, "2");
}

template <class Kind>
task<> both_ends_may_go_in_any_order(bool operations_first) {
  auto ends = co_await Kind::connect();
  std::optional<typename Kind::flow> a(std::move(ends.a));
  std::optional<typename Kind::flow> b(std::move(ends.b));
  laws::reading reads[2];
  laws::writing writes[2];
  std::optional<task_scope> scope(std::in_place);
  start(*scope, laws::read_once(&*a, &reads[0]));
  start(*scope, laws::read_once(&*b, &reads[1]));
  start(*scope, laws::write_once(&*a, buffer(std::string(Kind::more_than_fits, 'a')), &writes[0]));
  start(*scope, laws::write_once(&*b, buffer(std::string(Kind::more_than_fits, 'b')), &writes[1]));
  // Reads take what writes bring at once; wait again.
  co_await laws::turns(3);
  laws::reading more[2];
  if (operations_first) scope.reset();
  b.reset();
  a.reset();
  co_await laws::turns(2);
  if (!operations_first) {
    expect(writes[0].done && writes[1].done, "both writes end");
    expect(!writes[0].sent && !writes[1].sent, "both writes fail");
    scope.reset();
  }
  co_await laws::turns(2);
}

// ---- O4: a loop that goes away completes what waits; without a loop nothing crashes

template <class Kind>
struct waiting_session {
  std::optional<laws::ends<typename Kind::flow>> ends;
  laws::reading reads[2];
  laws::writing writes[2];
  laws::shutting shut;
  std::vector<buffer> list;
  coflow::result<void> slept;
  bool ready = false;
  bool over = false;
};

template <class Kind>
task<> wait_for_ever(waiting_session<Kind>* session) {
  auto ends = co_await Kind::connect();
  session->ends.emplace(std::move(ends));
  auto& a = session->ends->a;
  // A flow belongs to the loop on which its first operation begins.
  const coflow::result<void> sent = co_await session->ends->b.write(buffer("hello"));
  laws::expect_success(sent);
  const coflow::read_result hello = co_await a.read();
  laws::expect_data(hello, "hello");
  for (int i = 0; i < 3; ++i) session->list.emplace_back("list");
  task_scope scope;
  for (laws::reading& one : session->reads) start(scope, laws::read_once(&a, &one));
  start(scope, laws::write_once(&a, buffer(std::string(Kind::more_than_fits, 'w')), &session->writes[0]));
  start(scope, laws::writev_once(&a, session->list, &session->writes[1]));
  start(scope, laws::shutdown_once(&a, shutdown_mode::write, &session->shut));
  co_await laws::turns(3);
  session->ready = true;
  session->slept = co_await coflow::sleep_for(std::chrono::hours(1));
  const coflow::result<void> joined = co_await scope.join();
  laws::expect_success(joined);
  // In a loop that is going away everything answers closed.
  const coflow::read_result got = co_await a.read();
  laws::expect_error(got, coflow::error::closed);
  const coflow::read_result other = co_await session->ends->b.read();
  laws::expect_error(other, coflow::error::closed);
  const coflow::result<void> slept = co_await coflow::sleep_for(std::chrono::hours(1));
  laws::expect_error(slept, coflow::error::closed);
  session->over = true;
}

template <class Kind>
void a_loop_that_goes_away_completes_everything() {
  waiting_session<Kind> session;
  {
    auto loop = std::make_unique<coflow::event_loop>();
    coflow::spawn(*loop, wait_for_ever(&session));
    const bool ready = laws::turn_until(*loop, [&session] { return session.ready; });
    expect(ready, "everything waits");
    expect(!session.reads[0].done && !session.writes[0].done && !session.shut.done, "everything waits");
  }
  expect(session.over, "the task has run to its end");
  laws::expect_error(session.slept, coflow::error::closed);
  for (const laws::reading& one : session.reads) {
    expect(one.done, "a read ends");
    laws::expect_error(one.got, coflow::error::closed);
  }
  for (const laws::writing& one : session.writes) {
    expect(one.done, "a write ends");
    laws::expect_error(one.sent, coflow::error::closed);
  }
  expect(session.shut.done, "a shutdown ends");
  laws::expect_same(laws::joined(session.list), "listlistlist");
  // The flows have outlived their loop.
  laws::reading read;
  laws::writing write;
  laws::shutting shut;
  bool closed = false;
  for (auto* flow : {&session.ends->a, &session.ends->b}) {
    auto reading = laws::read_abroad(flow, &read);
    expect(read.done, "a flow without a loop answers at once");
    laws::expect_error(read.got, coflow::error::closed);
    auto writing = laws::write_abroad(flow, buffer("x"), &write);
    laws::expect_error(write.sent, coflow::error::closed);
    auto shutting = laws::shutdown_abroad(flow, shutdown_mode::read_write, &shut);
    expect(shut.done, "a shutdown does nothing");
    auto closing = laws::close_abroad(flow, &closed);
    expect(closed, "a close does nothing");
  }
}

struct accepting {
  bool done = false;
  std::error_code failure;
};

task<> accept_for_ever(coflow::tcp_listener* listener, accepting* out) {
  const auto got = co_await listener->accept();
  if (!got) out->failure = got.error();
  out->done = true;
}

struct connecting {
  bool done = false;
  std::error_code failure;
};

task<> connect_for_ever(coflow::endpoint remote, connecting* out) {
  const auto got = co_await coflow::tcp_connect(remote);
  if (!got) out->failure = got.error();
  out->done = true;
}

void pending_accepts_and_connects_end_with_the_loop() {
  accepting accepts[3];
  connecting attempt;
  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
  auto crowded = coflow::tcp_listener::bind("127.0.0.1", 0, coflow::listener_options().backlog(0));
  expect(listener.has_value() && crowded.has_value(), "listeners can be made");
  if (!listener || !crowded) return;
  {
    coflow::event_loop loop;
    for (accepting& one : accepts) coflow::spawn(loop, accept_for_ever(&*listener, &one));
    coflow::run(loop, laws::turns(2));
    // An attempt that has just begun has not been decided.
    coflow::spawn(loop, connect_for_ever(crowded->local_endpoint(), &attempt));
  }
  for (const accepting& one : accepts) {
    expect(one.done, "a pending accept ends");
    expect(one.failure == coflow::error::closed, "it gives closed");
  }
  expect(attempt.done, "a pending connect ends");
  accepting late;
  coflow::run(accept_for_ever(&*listener, &late));
  expect(late.done && late.failure == coflow::error::closed, "a listener that outlives its loop answers closed");
}

// Used by a coroutine that no executor runs.
template <class Kind>
void without_an_executor() {
  coflow::event_loop loop;
  auto ends = coflow::run(loop, Kind::connect());
  std::array<buffer, 2> list{buffer("two"), buffer("buffers")};
  for (int i = 0; i < 2; ++i) {
    laws::reading read;
    laws::writing writes[2];
    auto reading = laws::read_abroad(&ends.a, &read);
    auto writing = laws::write_abroad(&ends.a, buffer("x"), &writes[0]);
    auto listing = laws::writev_abroad(&ends.a, std::span<buffer>(list), &writes[1]);
    expect(read.done && writes[0].done && writes[1].done, "operations end at once");
    laws::expect_error(read.got, coflow::error::no_executor);
    laws::expect_error(writes[0].sent, coflow::error::no_executor);
    laws::expect_error(writes[1].sent, coflow::error::no_executor);
  }
  laws::expect_same(laws::joined(list), "twobuffers");
  // That was no verdict on the flow.
  laws::reading read;
  laws::writing write;
  coflow::run(loop, laws::write_once(&ends.a, buffer("now"), &write));
  laws::expect_success(write.sent);
  coflow::run(loop, laws::read_once(&ends.b, &read));
  laws::expect_data(read.got, "now");
  // Ending needs no executor.
  laws::shutting shut;
  auto shutting = laws::shutdown_abroad(&ends.a, shutdown_mode::write, &shut);
  expect(shut.done, "a shutdown ends at once");
  coflow::run(loop, laws::read_once(&ends.b, &read));
  laws::expect_eof(read.got);
  bool closed = false;
  auto closing = laws::close_abroad(&ends.a, &closed);
  expect(closed, "a close ends at once");
  laws::reading last;
  auto reading = laws::read_abroad(&ends.a, &last);
  laws::expect_error(last.got, coflow::error::closed);
}

// A shutdown that has writes to wait for, where there is no executor to wait on.
template <class Kind>
void a_draining_shutdown_without_an_executor() {
  coflow::event_loop loop;
  auto ends = coflow::run(loop, Kind::connect());
  const std::string text = laws::pattern(Kind::more_than_fits);
  laws::writing written;
  coflow::spawn(loop, laws::write_once(&ends.a, buffer(text), &written));
  coflow::run(loop, laws::turns(3));
  expect(!written.done, "the write waits");
  laws::shutting shut;
  auto shutting = laws::shutdown_abroad(&ends.a, shutdown_mode::write, &shut);
  expect(shut.done, "a shutdown without an executor does not wait");
  std::string all;
  laws::reading drained;
  coflow::run(loop, laws::drain_once(&ends.b, &all, &drained));
  laws::expect_same(all, text);
  laws::expect_eof(drained.got);
  coflow::run(loop, laws::turns(3));
  expect(written.done, "the queued write goes out");
  laws::expect_success(written.sent);
}

// ---- foreign coroutines: no stop state, no task

template <class Kind>
task<> a_foreign_coroutine_can_use_a_flow() {
  auto ends = co_await Kind::connect();
  laws::reading reads[2];
  laws::writing write;
  laws::shutting shut;
  auto first = laws::read_abroad(&ends.a, &reads[0]);
  auto second = laws::read_abroad(&ends.a, &reads[1]);
  expect(!reads[0].done, "a foreign read waits");
  const coflow::result<void> sent = co_await ends.b.write(buffer("data"));
  laws::expect_success(sent);
  const bool served = co_await laws::until([&reads] { return reads[0].done; });
  expect(served, "a foreign read is served");
  laws::expect_data(reads[0].got, "data");
  const std::string text = laws::pattern(Kind::more_than_fits);
  auto third = laws::write_abroad(&ends.a, buffer(text), &write);
  auto fourth = laws::shutdown_abroad(&ends.a, shutdown_mode::write, &shut);
  expect(!write.done && !shut.done, "a foreign write waits");
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  laws::expect_eof(last);
  laws::expect_same(all, text);
  const bool over = co_await laws::until([&write, &shut] { return write.done && shut.done; });
  expect(over, "foreign operations end");
  laws::expect_success(write.sent);
  co_await ends.a.close();
  expect(!reads[1].done, "nobody is resumed inline");
  co_await laws::turns();
  expect(reads[1].done, "a close ends a foreign read");
  laws::expect_error(reads[1].got, coflow::error::closed);
}

template <class Kind>
task<> a_foreign_coroutine_may_die_waiting() {
  auto ends = co_await Kind::connect();
  laws::reading dead[2];
  laws::reading alive;
  laws::writing dead_write;
  {
    auto first = laws::read_abroad(&ends.a, &dead[0]);
    auto living = laws::read_abroad(&ends.a, &alive);
    const coflow::result<void> sent = co_await ends.b.write(buffer("data"));
    laws::expect_success(sent);
    first.destroy();  // its bytes are there, it has not run
    const bool served = co_await laws::until([&alive] { return alive.done; });
    expect(served, "the next read is served");
    laws::expect_data(alive.got, "data");
    auto second = laws::read_abroad(&ends.a, &dead[1]);
    auto writing = laws::write_abroad(&ends.a, buffer(std::string(Kind::more_than_fits, 'd')), &dead_write);
    co_await ends.a.close();
    second.destroy();  // its verdict is there, it has not run
    writing.destroy();
  }
  co_await laws::turns(2);
  expect(!dead[0].done && !dead[1].done && !dead_write.done, "dead coroutines do not go on");
}

// ---- between two turns: the loop's own thread, but no turn of the loop

// Whoever drives a loop by hand may end flows between two turns. What waits gets its verdict in the next turn, or dies
// before that, or the loop goes first.
struct steps {
  bool end_a;
  bool end_b;
  bool coroutines_die;
  bool turn;
};

template <class Kind>
bool flows_end_between_two_turns(steps what) {
  laws::reading at_a;
  laws::reading at_b;
  auto loop = std::make_unique<coflow::event_loop>();
  auto made = coflow::run(*loop, Kind::connect());
  std::optional<typename Kind::flow> a(std::move(made.a));
  std::optional<typename Kind::flow> b(std::move(made.b));
  std::optional<laws::foreign> reading_a;
  std::optional<laws::foreign> reading_b;
  {
    const coflow::executor::entry entered(*loop);
    reading_a.emplace(laws::read_abroad(&*a, &at_a));
    reading_b.emplace(laws::read_abroad(&*b, &at_b));
  }
  coflow::run(*loop, laws::turns(3));
  if (at_a.done || at_b.done) return false;
  if (what.end_a) a.reset();
  if (what.end_b) b.reset();
  if (at_a.done || at_b.done) return false;
  if (what.coroutines_die) {
    reading_b.reset();
    reading_a.reset();
  }
  if (what.turn) coflow::run(*loop, laws::turns(5));
  loop.reset();
  if (what.coroutines_die) return !at_a.done && !at_b.done;
  if (!at_a.done || !at_b.done) return false;
  if (what.end_a && at_a.got.error() != coflow::error::closed) return false;
  if (what.end_b && at_b.got.error() != coflow::error::closed) return false;
  return !at_a.got.has_data() && !at_b.got.has_data();
}

template <class Kind, unsigned Bits>
bool flows_end_between_two_turns() {
  constexpr bool scenario_ends_a = (Bits & 1) != 0;
  constexpr bool scenario_ends_b = (Bits & 2) != 0;
  constexpr bool coroutines_die = (Bits & 4) != 0;
  constexpr bool turn = (Bits & 8) != 0;
  const bool fine = laws::survives(
      [] { return flows_end_between_two_turns<Kind>(steps{scenario_ends_a, scenario_ends_b, coroutines_die, turn}); });
  std::string what = std::string(Kind::name) + ": ";
  if (scenario_ends_a) what += "one flow is destroyed, ";
  if (scenario_ends_b) what += "the other flow is destroyed, ";
  if (coroutines_die) what += "the coroutines are destroyed, ";
  if (turn) what += "the loop makes a turn, ";
  expect(fine, what + "the loop is destroyed, and everything is well");
  return fine;
}

// The first failure will do: each may cost as long as a hang is waited for.
template <class Kind, unsigned... Bits>
void flows_end_between_two_turns(std::integer_sequence<unsigned, Bits...>) {
  static_cast<void>((... && flows_end_between_two_turns<Kind, Bits>()));
}

TEST_CASE("operations that are never awaited do nothing", "[ownership_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return operations_that_are_never_awaited_do_nothing<Kind>(); });
}

TEST_CASE("operations begin in the order in which they are awaited", "[ownership_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return operations_begin_in_the_order_in_which_they_are_awaited<Kind>(); });
}

TEST_CASE("an operation changes the state before it first waits", "[ownership_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return state_changes_come_first<Kind>(); });
}

TEST_CASE("a flow may be moved while operations are pending", "[ownership_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_flow_may_move_under_its_operations<Kind>(); });
}

TEST_CASE("flows may be swapped while operations are pending", "[ownership_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return flows_may_be_swapped_under_their_operations<Kind>(); });
}

TEST_CASE("both ends and their operations may go in any order", "[ownership_laws]") {
  for (const bool operations_first : {false, true}) {
    DYNAMIC_SECTION((operations_first ? "operations first" : "flows first")) {
      laws::on_every_flow(
          [operations_first]<class Kind>(Kind) { return both_ends_may_go_in_any_order<Kind>(operations_first); });
    }
  }
}

TEST_CASE("a loop that is destroyed completes everything that waits with closed", "[ownership_laws]") {
  SECTION(laws::over_memory::name) { a_loop_that_goes_away_completes_everything<laws::over_memory>(); }
  SECTION(laws::over_tcp::name) { a_loop_that_goes_away_completes_everything<laws::over_tcp>(); }
  SECTION(laws::layer_over_memory::name) { a_loop_that_goes_away_completes_everything<laws::layer_over_memory>(); }
  SECTION(laws::two_layers_over_tcp::name) { a_loop_that_goes_away_completes_everything<laws::two_layers_over_tcp>(); }
  SECTION(laws::coroutines_over_memory::name) {
    a_loop_that_goes_away_completes_everything<laws::coroutines_over_memory>();
  }
  SECTION("accept and connect") { pending_accepts_and_connects_end_with_the_loop(); }
}

TEST_CASE("an operation without an executor gives no_executor and leaves the flow as it was", "[ownership_laws]") {
  SECTION(laws::over_memory::name) { without_an_executor<laws::over_memory>(); }
  SECTION(laws::over_tcp::name) { without_an_executor<laws::over_tcp>(); }
  SECTION(laws::layer_over_memory::name) { without_an_executor<laws::layer_over_memory>(); }
  SECTION(laws::two_layers_over_tcp::name) { without_an_executor<laws::two_layers_over_tcp>(); }
  SECTION(laws::coroutines_over_memory::name) { without_an_executor<laws::coroutines_over_memory>(); }
}

TEST_CASE("a shutdown without an executor does not wait, and the half drains", "[ownership_laws]") {
  SECTION(laws::over_memory::name) { a_draining_shutdown_without_an_executor<laws::over_memory>(); }
  SECTION(laws::over_tcp::name) { a_draining_shutdown_without_an_executor<laws::over_tcp>(); }
  SECTION(laws::coroutines_over_memory::name) {
    a_draining_shutdown_without_an_executor<laws::coroutines_over_memory>();
  }
}

TEST_CASE("a coroutine of a foreign type can use a flow", "[ownership_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_foreign_coroutine_can_use_a_flow<Kind>(); });
}

TEST_CASE("a coroutine of a foreign type may die waiting", "[ownership_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_foreign_coroutine_may_die_waiting<Kind>(); });
}

TEST_CASE("flows, their coroutines and their loop may end between two turns, in any combination", "[ownership_laws]") {
  const std::make_integer_sequence<unsigned, 16> all;
  SECTION(laws::over_memory::name) { flows_end_between_two_turns<laws::over_memory>(all); }
  SECTION(laws::over_tcp::name) { flows_end_between_two_turns<laws::over_tcp>(all); }
  SECTION(laws::layer_over_memory::name) { flows_end_between_two_turns<laws::layer_over_memory>(all); }
}

}  // namespace
