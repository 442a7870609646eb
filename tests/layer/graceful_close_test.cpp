// What graceful_close promises: nothing that was written is lost, the wait is bounded, and the flow is closed at the
// end of it in every case.
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/net.hpp>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"

namespace {

using coflow::buffer;
using coflow::graceful_close;
using coflow::memory_flow;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::start;
using support::turns;
using support::yield_turn;
using namespace std::chrono_literals;

struct closing {
  bool done = false;
  result<void> came_to;
};
template <class F>
task<> close_within(F* flow, std::chrono::nanoseconds limit, closing* out) {
  out->came_to = co_await graceful_close(*flow, limit);
  out->done = true;
}

template <class F>
task<> expect_closed(F* flow) {
  const read_result got = co_await flow->read();
  support::expect_error(got, coflow::error::closed);
  const result<void> sent = co_await flow->write(buffer("x"));
  support::expect_error(sent, coflow::error::closed);
}

task<std::string> read_all(memory_flow* flow) {
  std::string all;
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) {
      support::expect_eof(got);
      break;
    }
    all += got->text();
  }
  co_return all;
}

// ---- the peer's end

task<> the_peer_ends_in_its_own_time() {
  auto [a, b] = coflow::memory_pipe();
  const result<void> sent = co_await a.write(buffer("last words"));
  support::expect_success(sent);
  const result<void> unread = co_await b.write(buffer("nobody reads this"));
  support::expect_success(unread);
  closing closed;
  task_scope scope;
  start(scope, close_within(&a, 5s, &closed));
  const std::string all = co_await read_all(&b);
  support::expect_same(all, "last words");
  co_await turns(3);
  expect(!closed.done, "it waits for the peer's end");
  const result<void> more = co_await b.write(buffer("nor this"));
  support::expect_success(more);
  const result<void> slept = co_await coflow::sleep_for(4s);
  support::expect_success(slept);
  expect(!closed.done, "it waits on");
  co_await b.shutdown(shutdown_mode::write);
  co_await turns(4);
  expect(closed.done, "it ends with the peer");
  support::expect_success(closed.came_to);
  co_await expect_closed(&a);
}
TEST_CASE("a graceful close waits for the peer's end and discards what comes", "[graceful_close]") {
  support::manual_executor on;
  const auto begin = on.now();
  support::drive(on, the_peer_ends_in_its_own_time());
  CHECK(on.now() - begin == 4s);  // no timer is left
  CHECK(!on.next_deadline());
}

task<> the_peer_is_at_its_end() {
  auto [a, b] = coflow::memory_pipe();
  const result<void> sent = co_await b.write(buffer("unread"));
  support::expect_success(sent);
  co_await b.close();
  const result<void> came_to = co_await graceful_close(a, 1h);
  support::expect_success(came_to);
  co_await expect_closed(&a);
}
TEST_CASE("a graceful close does not wait where the end is there", "[graceful_close]") {
  support::manual_executor on;
  const auto begin = on.now();
  support::drive(on, the_peer_is_at_its_end());
  CHECK(on.now() == begin);
  CHECK(!on.next_deadline());
}

task<> queued_writes_go_out_first() {
  auto [a, b] = coflow::memory_pipe(4);
  task_scope scope;
  bool written = false;
  const auto write = [](memory_flow* flow, bool* done) -> task<> {
    const result<void> sent = co_await flow->write(buffer("much longer than the pipe"));
    support::expect_success(sent);
    *done = true;
  };
  start(scope, write(&a, &written));
  co_await yield_turn();
  closing closed;
  start(scope, close_within(&a, 5s, &closed));
  co_await turns(2);
  expect(!written, "the write is under way");
  const std::string all = co_await read_all(&b);
  support::expect_same(all, "much longer than the pipe");
  co_await b.close();
  co_await turns(3);
  expect(closed.done && written, "all end");
  support::expect_success(closed.came_to);
}
TEST_CASE("a graceful close lets the writes out that are queued", "[graceful_close]") {
  support::drive(queued_writes_go_out_first());
}

// ---- the limit

enum class stuck { peer_says_nothing, peer_never_reads, peer_never_ends };
task<> the_limit_ends_it(stuck how) {
  auto [a, b] = coflow::memory_pipe(4);
  task_scope scope;
  std::error_code written;
  const auto write = [](memory_flow* flow, std::error_code* out) -> task<> {
    const result<void> sent = co_await flow->write(buffer("much longer than the pipe"));
    *out = sent.error();
  };
  const auto babble = [](memory_flow* flow) -> task<> {
    for (;;) {
      const result<void> sent = co_await flow->write(buffer("blah"));
      if (!sent) co_return;
      const result<void> slept = co_await coflow::sleep_for(1ms);
      if (!slept) co_return;
    }
  };
  if (how == stuck::peer_never_reads) start(scope, write(&a, &written));
  if (how == stuck::peer_never_ends) start(scope, babble(&b));
  co_await turns(2);
  const auto begin = coflow::executor::current()->now();
  const result<void> came_to = co_await graceful_close(a, 3s);
  support::expect_error(came_to, coflow::error::timed_out);
  expect(coflow::executor::current()->now() - begin == 3s, "the limit is kept");
  co_await expect_closed(&a);
  co_await turns(3);
  if (how == stuck::peer_never_reads) expect(written == coflow::error::closed, "the write ends with the flow");
  scope.cancel();
  const result<void> joined = co_await scope.join();
  support::expect_success(joined);
}
TEST_CASE("a graceful close keeps its limit", "[graceful_close]") {
  SECTION("the peer says nothing") { support::drive(the_limit_ends_it(stuck::peer_says_nothing)); }
  SECTION("the peer never reads") { support::drive(the_limit_ends_it(stuck::peer_never_reads)); }
  SECTION("the peer never ends") { support::drive(the_limit_ends_it(stuck::peer_never_ends)); }
}

task<> no_time_at_all() {
  auto [a, b] = coflow::memory_pipe();
  const result<void> sent = co_await a.write(buffer("last words"));
  support::expect_success(sent);
  const result<void> came_to = co_await graceful_close(a, -1s);
  support::expect_error(came_to, coflow::error::timed_out);
  const std::string all = co_await read_all(&b);
  support::expect_same(all, "last words");
}
TEST_CASE("a graceful close without time sends what goes at once", "[graceful_close]") {
  support::drive(no_time_at_all());
}

// ---- other ends

task<> errors_come_through() {
  auto [a, b] = coflow::memory_pipe();
  b.reset();
  const result<void> came_to = co_await graceful_close(a, 1s);
  expect(came_to.error() == std::errc::connection_reset, "a reset is an error");
  co_await expect_closed(&a);
  const result<void> again = co_await graceful_close(a, 1s);
  support::expect_error(again, coflow::error::closed);
}
TEST_CASE("a graceful close gives the error that reading ended with", "[graceful_close]") {
  support::drive(errors_come_through());
}

task<> a_flow_given_away() {
  auto [a, b] = coflow::memory_pipe();
  task_scope scope;
  const auto answer = [](memory_flow* flow) -> task<> {
    const std::string all = co_await read_all(flow);
    support::expect_same(all, "bye");
    co_await flow->close();
  };
  const result<void> sent = co_await a.write(buffer("bye"));
  support::expect_success(sent);
  start(scope, answer(&b));
  const result<void> came_to = co_await graceful_close(std::move(a), 1s);
  support::expect_success(came_to);
}
TEST_CASE("a graceful close may be given the flow", "[graceful_close]") { support::drive(a_flow_given_away()); }

TEST_CASE("a graceful close does nothing before it is awaited", "[graceful_close]") {
  auto [a, b] = coflow::memory_pipe();
  {
    const auto never = graceful_close(a, 1s);
    static_cast<void>(never);
  }
  const auto talk = [](memory_flow* from, memory_flow* to) -> task<> {
    const result<void> sent = co_await from->write(buffer("still open"));
    support::expect_success(sent);
    const read_result got = co_await to->read();
    support::expect_data(got, "still open");
  };
  support::drive(talk(&a, &b));
}

// ---- stop

/// Knows nothing of stops: its operations are foreign awaiters around a queue of one.
class deaf_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  struct state {
    support::gate closed;
    support::gate close_may_end;
    int closes = 0;
    int shutdowns = 0;
    bool is_closed = false;
    bool slow_close = false;
  };
  explicit deaf_flow(state& of) noexcept : state_(&of) {}

  struct reading {
    support::gate::waiter wait;
    state* of;
    bool await_ready() const noexcept { return wait.await_ready(); }
    void await_suspend(std::coroutine_handle<> coroutine) noexcept { wait.await_suspend(coroutine); }
    read_result await_resume() const noexcept { return coflow::error::closed; }
  };
  reading read() { return reading{state_->closed.pass(), state_}; }
  task<result<void>> write(buffer) { co_return coflow::success; }
  task<result<void>> writev(std::span<buffer>) { co_return coflow::success; }
  task<> shutdown(shutdown_mode) {
    ++state_->shutdowns;
    co_return;
  }
  task<> close() { return close_it(state_); }

 private:
  static task<> close_it(state* of) {
    ++of->closes;
    of->is_closed = true;
    of->closed.open();
    if (of->slow_close) co_await of->close_may_end.pass();
  }
  state* state_;
};
static_assert(coflow::check_flow_shape<deaf_flow>());

TEST_CASE("a graceful close works on a flow that knows nothing of stops", "[graceful_close]") {
  support::manual_executor on;
  deaf_flow::state of;
  deaf_flow flow(of);
  closing closed;
  auto closer = support::job<void>::of(close_within(&flow, 3s, &closed));
  closer.start(on);
  on.run_until_idle();
  REQUIRE(!closer.ended());
  CHECK(of.shutdowns == 1);
  SECTION("the limit") {
    on.advance(2s);
    on.run_until_idle();
    CHECK(of.closes == 0);
    on.advance(1s);
    on.run_until_idle();
    CHECK(closer.ended());
    CHECK(closed.came_to.error() == coflow::error::timed_out);
  }
  SECTION("a stop") {
    closer.request_stop();
    CHECK(of.closes == 0);  // nothing runs inline
    on.run_until_idle();
    CHECK(closer.ended());
    CHECK(closed.came_to.error() == coflow::canceled());
    CHECK(!on.next_deadline());
  }
  SECTION("a stop in the turn of the limit") {
    on.advance(3s);
    closer.request_stop();
    on.run_until_idle();
    CHECK(closer.ended());
    CHECK(closed.came_to.error() == coflow::canceled());
  }
  SECTION("a slow close") {
    of.slow_close = true;
    on.advance(3s);
    on.run_until_idle();
    CHECK(of.closes == 1);
    CHECK(!closer.ended());
    closer.request_stop();
    on.run_until_idle();
    CHECK(!closer.ended());  // a stop never prevents a close
    of.close_may_end.open();
    on.run_until_idle();
    CHECK(closer.ended());
    CHECK(closed.came_to.error() == coflow::error::timed_out);
  }
  SECTION("the executor goes") {
    on.finish();
    CHECK(closer.ended());
    CHECK(closed.came_to.error() == coflow::error::closed);
  }
  SECTION("the coroutine goes") {
    closer.destroy();
    CHECK(!on.next_deadline());
    CHECK(of.closes == 0);
    of.closes = 1;
  }
  CHECK(of.closes == 1);
}

TEST_CASE("a graceful close in a stopped task closes at once", "[graceful_close]") {
  support::manual_executor on;
  auto [a, b] = coflow::memory_pipe();
  closing closed;
  auto closer = support::job<void>::of(close_within(&a, 3s, &closed));
  closer.request_stop();
  closer.start(on);
  on.run_until_idle();
  REQUIRE(closer.ended());
  CHECK(closed.came_to.error() == coflow::canceled());
  support::drive(on, expect_closed(&a));
}

TEST_CASE("a graceful close without an executor closes at once", "[graceful_close]") {
  auto [a, b] = coflow::memory_pipe();
  closing closed;
  auto closer = support::job<void>::of(close_within(&a, 3s, &closed));
  closer.started().run();
  REQUIRE(closer.ended());
  CHECK(closed.came_to.error() == coflow::error::no_executor);
  support::drive(expect_closed(&a));
}

// ---- flows that never wait, and flows that throw

class chatterbox {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  explicit chatterbox(bool* closed, bool throws = false) noexcept : closed_(closed), throws_(throws) {}
  task<read_result> read() { return talk(closed_, throws_); }
  task<result<void>> write(buffer) { co_return coflow::success; }
  task<result<void>> writev(std::span<buffer>) { co_return coflow::success; }
  task<> shutdown(shutdown_mode) { co_return; }
  task<> close() {
    *closed_ = true;
    co_return;
  }

 private:
  static task<read_result> talk(bool* closed, bool throws) {
    if (throws) throw std::bad_alloc();
    if (*closed) co_return coflow::error::closed;
    co_return buffer("blah");
  }
  bool* closed_;
  bool throws_;
};

TEST_CASE("a graceful close ends a flow that never stops talking", "[graceful_close]") {
  support::manual_executor on;
  bool is_closed = false;
  chatterbox flow(&is_closed);
  closing closed;
  auto closer = support::job<void>::of(close_within(&flow, 3s, &closed));
  closer.start(on);
  for (int i = 0; i < 100; ++i) on.run_once();
  CHECK(!closer.ended());  // and others have run meanwhile
  on.advance(3s);
  on.run_until_idle();
  CHECK(closer.ended());
  CHECK(is_closed);
  CHECK(closed.came_to.error() == coflow::error::timed_out);
}

TEST_CASE("a graceful close closes a flow whose read throws", "[graceful_close]") {
  bool is_closed = false;
  chatterbox flow(&is_closed, true);
  closing closed;
  CHECK_THROWS_AS(support::drive(close_within(&flow, 3s, &closed)), std::bad_alloc);
  CHECK(is_closed);
}

task<read_result> fail_at(support::gate* when) {
  co_await when->pass();
  co_return std::make_error_code(std::errc::io_error);
}
task<> pass(support::gate* when) { co_await when->pass(); }
TEST_CASE("a graceful close keeps its error although the close takes longer than the limit", "[graceful_close]") {
  support::manual_executor on;
  support::gate fails;
  support::gate ends;
  const auto read = [&fails] { return fail_at(&fails); };
  const auto write = [](buffer) {};
  const auto close = [&ends] { return pass(&ends); };
  coflow::function_flow flow(read, write, coflow::no_function(), close);
  closing closed;
  auto closer = support::job<void>::of(close_within(&flow, 3s, &closed));
  closer.start(on);
  on.run_until_idle();
  fails.open();
  on.run_until_idle();
  CHECK(!closer.ended());
  CHECK(!on.next_deadline());
  on.advance(5s);
  on.run_until_idle();
  ends.open();
  on.run_until_idle();
  REQUIRE(closer.ended());
  CHECK(closed.came_to.error() == std::errc::io_error);
}

// ---- a layer, and the kernel (fact K4)

task<> an_erased_flow() {
  auto [a, b] = coflow::memory_pipe();
  coflow::any_flow erased(std::move(a));
  closing closed;
  task_scope scope;
  start(scope, close_within(&erased, 1s, &closed));
  co_await turns(2);
  co_await b.close();
  co_await turns(4);
  expect(closed.done, "it ends");
  support::expect_success(closed.came_to);
}
TEST_CASE("a graceful close works through layers", "[graceful_close]") { support::drive(an_erased_flow()); }

struct received {
  std::size_t bytes = 0;
  std::error_code end;
};

// The server answers with much, leaves input unread, and closes. The client reads slowly.
task<> serve_and_close(coflow::tcp_flow flow, std::size_t size, bool gracefully, closing* out) {
  const read_result first = co_await flow.read();
  expect(first.has_data(), "the request comes");
  const result<void> sent = co_await flow.write(buffer::adopt(std::string(size, 'r')));
  support::expect_success(sent);
  if (gracefully) {
    out->came_to = co_await graceful_close(flow, 20s);
  } else {
    co_await flow.close();
  }
  out->done = true;
}
task<received> ask_over_tcp(bool gracefully) {
  constexpr std::size_t size = 256 * 1024;
  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
  if (!listener) throw std::system_error(listener.error());
  auto client = co_await coflow::tcp_connect(listener->local_endpoint());
  if (!client) throw std::system_error(client.error());
  auto server = co_await listener->accept();
  if (!server) throw std::system_error(server.error());
  client->set_option(SOL_SOCKET, SO_RCVBUF, 16 * 1024).value();
  server->set_option(SOL_SOCKET, SO_SNDBUF, 2 * size).value();
  closing closed;
  task_scope scope;
  result<void> sent = co_await client->write(buffer("request"));
  support::expect_success(sent);
  start(scope, serve_and_close(std::move(*server), size, gracefully, &closed));
  // More than the server will read, before it closes and after.
  for (int i = 0; i < 10; ++i) {
    sent = co_await client->write(buffer("more that nobody reads"));
    co_await turns(2);
  }
  received got;
  for (;;) {
    const read_result part = co_await client->read();
    if (!part) {
      got.end = part.error();
      break;
    }
    got.bytes += part->size();
  }
  co_await client->close();
  const result<void> joined = co_await scope.join();
  support::expect_success(joined);
  if (gracefully) support::expect_success(closed.came_to);
  co_return got;
}

TEST_CASE("a server that closes gracefully with unread input loses none of its last bytes", "[graceful_close]") {
  coflow::event_loop loop;
  const received got = coflow::run(loop, ask_over_tcp(true));
  CHECK(got.bytes == 256 * 1024);
  CHECK(!got.end);
}

TEST_CASE("a server that just closes with unread input may lose its last bytes", "[graceful_close]") {
  coflow::event_loop loop;
  const received got = coflow::run(loop, ask_over_tcp(false));
  CHECK(got.bytes < 256 * 1024);
  CHECK(got.end == std::errc::connection_reset);
}

}  // namespace
