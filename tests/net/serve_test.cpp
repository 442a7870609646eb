// A server on virtual time and memory pipes, every event where the test puts it, and then on real sockets.
#include "coflow/net/serve.hpp"

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "coflow/async/task_scope.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/memory/memory_pipe.hpp"
#include "coflow/net/event_loop.hpp"
#include "coflow/net/run_main.hpp"
#include "coflow/net/tcp_connect.hpp"
#include "coflow/net/tcp_listener.hpp"
#include "coflow/testing/virtual_executor.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::connection_failure;
using coflow::error;
using coflow::memory_flow;
using coflow::result;
using coflow::serve;
using coflow::serve_options;
using coflow::server_stop;
using coflow::task;
using support::job;

// ---- a listener over memory pipes

// What a test has of it: clients that connect, and what became of the listener.
struct port {
  class wait;

  memory_flow connect(std::size_t capacity = 1024) {
    auto [client, served] = coflow::memory_pipe(capacity);
    queue.push_back(std::move(served));
    ring();
    return std::move(client);
  }
  inline void ring();
  void break_down(std::error_code why) {
    broken = why;
    ring();
  }

  coflow::executor* on = nullptr;
  std::vector<memory_flow> queue;
  std::size_t accepted = 0;
  wait* waiting = nullptr;
  std::error_code broken;
  bool throws = false;
  int open = 0;
  int closed = 0;
};

class port::wait final : public coflow::operation {
 public:
  explicit wait(port& at) noexcept : port_(at) {}
  wait(wait&& unbegun) noexcept : port_(unbegun.port_) {}
  ~wait() {
    if (port_.waiting == this) port_.waiting = nullptr;
  }
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <coflow::suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    if (this->stop_requested()) outcome_ = coflow::canceled();
    if (port_.open == 0) outcome_ = error::closed;
    if (outcome_ || can_go_on()) return false;
    port_.waiting = this;
    this->begin_wait();
    return true;
  }
  result<memory_flow> await_resume() {
    if (port_.throws) throw std::runtime_error("accept");
    if (outcome_) return outcome_;
    if (port_.open == 0) return error::closed;
    if (port_.broken) return port_.broken;
    ++port_.accepted;
    memory_flow first = std::move(port_.queue.front());
    port_.queue.erase(port_.queue.begin());
    return first;
  }

 private:
  friend port;
  bool can_go_on() const { return !port_.queue.empty() || port_.broken || port_.throws; }
  void on_stop() noexcept override {
    outcome_ = coflow::canceled();
    wake();
  }
  void wake() noexcept {
    port_.waiting = nullptr;
    this->end_wait();
    port_.on->post(*this);
  }
  void run() noexcept override { this->resume(); }
  const char* waits_for() const noexcept override { return "a client"; }

  port& port_;
  std::error_code outcome_;
};

inline void port::ring() {
  if (waiting != nullptr) waiting->wake();
}

class fake_listener {
 public:
  explicit fake_listener(port& at) noexcept : port_(&at) { port_->open = 1; }
  fake_listener(fake_listener&& other) noexcept : port_(std::exchange(other.port_, nullptr)) {}
  fake_listener& operator=(fake_listener&& other) noexcept {
    std::swap(port_, other.port_);
    return *this;
  }
  ~fake_listener() {
    if (port_ != nullptr && port_->open != 0) close();
  }
  port::wait accept() noexcept { return port::wait(*port_); }
  void close() noexcept {
    port_->open = 0;
    ++port_->closed;
    port_->ring();
  }

 private:
  port* port_;
};

static_assert(coflow::check_listener_shape<fake_listener>());

// ---- handlers

template <coflow::Flow F>
task<result<void>> echo(F flow) {
  for (;;) {
    auto chunk = co_await flow.read();
    if (chunk.eof()) co_return coflow::success;
    if (!chunk) co_return chunk.error();
    auto sent = co_await flow.write(std::move(*chunk));
    if (!sent) co_return sent.error();
  }
}
constexpr auto echo_anything = [](auto flow) { return echo(std::move(flow)); };

// Reads one message; its first letter says what to do.
template <class F>
task<result<void>> obey(F flow) {
  auto order = co_await flow.read();
  if (!order) co_return order.error();
  switch (order->text().front()) {
    case 'e':
      co_return std::make_error_code(std::errc::protocol_error);
    case 't':
      throw std::runtime_error("thrown by a handler");
    case 'l': {  // finishes a second later, whatever comes
      const auto slept = co_await coflow::sleep_for(1s);
      if (!slept) co_return slept.error();
      const auto sent = co_await flow.write(buffer("late"));
      co_return sent;
    }
    case 'w': {  // writes more than there is room for
      const auto sent = co_await flow.write(buffer(std::string(100000, 'w')));
      co_return sent;
    }
    default:
      co_return coflow::success;
  }
}
constexpr auto obey_anything = [](auto flow) { return obey(std::move(flow)); };

// ---- a stage: a server, its clients, and what was reported

std::string in_words(const std::error_code& code) {
  if (!code) return "success";
  if (code == std::errc::operation_canceled) return "canceled";
  if (code == error::closed) return "closed";
  if (code == error::timed_out) return "timed out";
  if (code == error::no_executor) return "no executor";
  if (code == std::errc::protocol_error) return "protocol error";
  return code.message();
}

using journal = std::vector<std::string>;

struct stage {
  stage() { door.on = &on; }

  // Options that report to the journal.
  serve_options reporting() {
    return serve_options().stopped_by(stop).on_error([this](const connection_failure& failed) {
      reports.push_back(failed.exception() ? failed.message() : in_words(failed.code()));
    });
  }
  template <class Handler, bool Watched = false>
  void begin(Handler handler, coflow::basic_serve_options<Watched> options) {
    serving.emplace(job<result<void>>::of(serve(fake_listener(door), std::move(handler), std::move(options))));
    serving->start(on);
    on.run_until_idle();
  }
  template <class Handler>
  void begin(Handler handler) {
    begin(std::move(handler), reporting());
  }
  memory_flow connect(std::size_t capacity = 1024) {
    const coflow::executor::entry inside(on);
    memory_flow client = door.connect(capacity);
    on.run_until_idle();
    return client;
  }
  void say(memory_flow& client, std::string_view text) {
    auto sending = job<result<void>>::of(write_all(&client, buffer(text)));
    sending.start(on);
    on.run_until_idle();
    REQUIRE(sending.ended());
    CHECK(sending.take().has_value());
  }
  static task<result<void>> write_all(memory_flow* client, buffer bytes) {
    const auto sent = co_await client->write(std::move(bytes));
    co_return sent;
  }
  static task<std::string> read_once(memory_flow* client) {
    auto got = co_await client->read();
    if (got.eof()) co_return "eof";
    if (!got) co_return in_words(got.error());
    co_return std::string(got->text().substr(0, 40));
  }
  // What is there to read, or "nothing".
  std::string hear(memory_flow& client) {
    auto reading = job<std::string>::of(read_once(&client));
    reading.start(on);
    on.run_until_idle();
    return reading.ended() ? reading.take() : "nothing";
  }
  void request_stop() {
    const coflow::executor::entry inside(on);
    stop.request();
    on.run_until_idle();
  }
  void stop_task() {
    const coflow::executor::entry inside(on);
    serving->request_stop();
    on.run_until_idle();
  }
  void pass(coflow::executor::duration time) {
    on.advance(time);
    on.run_until_idle();
  }
  bool ended() const { return serving->ended(); }
  // How it ended, as a string.
  std::string outcome() {
    if (!ended()) return "has not ended";
    try {
      return in_words(serving->take().error());
    } catch (const std::exception& thrown) {
      return std::string("threw ") + thrown.what();
    }
  }
  journal told() { return std::exchange(reports, {}); }

  coflow::virtual_executor on;
  port door;
  server_stop stop;
  journal reports;
  std::optional<job<result<void>>> serving;
};

long frames() { return coflow::detail::live_frames.load(); }

}  // namespace

// ---- serving

TEST_CASE("a server runs its handler for each connection, side by side", "[serve]") {
  stage s;
  s.begin(echo_anything);
  memory_flow a = s.connect();
  memory_flow b = s.connect();
  s.say(a, "to a");
  s.say(b, "to b");
  CHECK(s.hear(b) == "to b");
  CHECK(s.hear(a) == "to a");
  {
    const memory_flow gone = std::move(a);
  }
  s.on.run_until_idle();
  s.say(b, "still here");
  CHECK(s.hear(b) == "still here");
  CHECK(s.told().empty());
  CHECK_FALSE(s.ended());
}

TEST_CASE("a handler may take its flow by value, by rvalue or by reference, and return anything to await", "[serve]") {
  stage s;
  const auto serves_one = [&s](auto handler) {
    s.begin(handler);
    memory_flow client = s.connect();
    s.say(client, "x");
    CHECK(s.hear(client) == "eof");
    s.request_stop();
    CHECK(s.outcome() == "success");
    s.serving.reset();
    return s.told();
  };
  SECTION("a task of nothing, by value") {
    CHECK(serves_one([](memory_flow flow) -> task<> { auto got = co_await flow.read(); }).empty());
  }
  SECTION("by reference, into the server's own storage") {
    CHECK(serves_one([](memory_flow& flow) -> task<> { auto got = co_await flow.read(); }).empty());
  }
  SECTION("by rvalue reference, as a coroutine would let dangle") {
    CHECK(serves_one([](memory_flow&& flow) -> task<> { auto got = co_await flow.read(); }).empty());
  }
  SECTION("a result of a value") {
    CHECK(serves_one([](memory_flow flow) -> task<result<int>> {
            auto got = co_await flow.read();
            co_return 7;
          }).empty());
  }
  SECTION("a result whose error is no error code") {
    CHECK(serves_one([](memory_flow flow) -> task<result<void, std::string>> {
            auto got = co_await flow.read();
            co_return std::string("broken");
          }) == journal{std::make_error_code(std::errc::io_error).message()});
  }
  SECTION("an awaitable that is no task") {
    s.begin([](memory_flow& flow) { return flow.close(); });
    memory_flow client = s.connect();
    CHECK(s.hear(client) == "eof");
    CHECK(s.told().empty());
  }
  SECTION("an awaitable that is no task and gives a result") {
    s.begin([](memory_flow& flow) { return flow.write(buffer("y")); });
    memory_flow client = s.connect();
    CHECK(s.hear(client) == "y");
    CHECK(s.hear(client) == "eof");
    CHECK(s.told().empty());
  }
  SECTION("with captures, whose closure lives as long as its connections") {
    const auto kept = std::make_shared<int>(1);
    CHECK(serves_one([kept](memory_flow flow) -> task<> {
            auto got = co_await flow.read();
            if (*kept != 1) throw std::runtime_error("the closure is gone");
          }).empty());
  }
}

TEST_CASE("at its bound a server accepts nothing, and goes on when a connection ends", "[serve]") {
  stage s;
  s.begin(obey_anything, s.reporting().max_connections(2));
  std::vector<memory_flow> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(s.connect());
  CHECK(s.door.accepted == 2);
  CHECK(s.door.queue.size() == 3);
  CHECK(s.door.waiting == nullptr);
  s.say(clients[1], "bye");
  CHECK(s.door.accepted == 3);
  s.say(clients[0], "e");  // also when it fails
  CHECK(s.door.accepted == 4);
  CHECK(s.told() == journal{"protocol error"});
  s.say(clients[2], "bye");
  CHECK(s.door.accepted == 5);
  s.say(clients[3], "bye");
  s.say(clients[4], "bye");
  CHECK(s.door.waiting != nullptr);
  CHECK_FALSE(s.ended());
}

TEST_CASE("a listener that always has more cannot starve the handlers, nor they the acceptor", "[serve]") {
  stage s;
  std::vector<memory_flow> clients;
  {
    const coflow::executor::entry inside(s.on);
    for (int i = 0; i < 300; ++i) {
      clients.push_back(s.door.connect());
    }
  }
  std::size_t handled = 0;
  std::size_t accepted_at_first = 0;
  const port* door = &s.door;
  SECTION("handlers begin before everything is accepted") {
    s.begin([&handled, &accepted_at_first, door](memory_flow) -> task<> {
      if (handled++ == 0) accepted_at_first = door->accepted;
      co_return;
    });
    CHECK(handled == 300);
    CHECK(accepted_at_first <= 64);
  }
  SECTION("a handler whose operations all complete at once") {
    // Each writes to itself, so that nothing ever waits.
    bool enough = false;
    s.serving.emplace(job<result<void>>::of(serve(
        fake_listener(s.door),
        [&handled, &enough, door](memory_flow) -> task<> {
          ++handled;
          auto [a, b] = coflow::memory_pipe();
          while (!enough) {
            const auto sent = co_await a.write(buffer("x"));
            auto got = co_await b.read();
            if (!sent || !got) co_return;
            if (door->accepted == 300) enough = true;
          }
        },
        s.reporting())));
    s.serving->start(s.on);
    s.on.run_until_idle();
    CHECK(handled == 300);
  }
}

// ---- failures

TEST_CASE("an error or an exception is reported once, closes its flow, and touches nobody else", "[serve]") {
  stage s;
  s.begin(obey_anything);
  memory_flow fails = s.connect();
  memory_flow throws = s.connect();
  memory_flow lives = s.connect();
  s.say(fails, "e");
  CHECK(s.told() == journal{"protocol error"});
  CHECK(s.hear(fails) == "eof");
  s.say(throws, "t");
  CHECK(s.told() == journal{"thrown by a handler"});
  CHECK(s.hear(throws) == "eof");
  s.say(lives, "bye");
  CHECK(s.hear(lives) == "eof");
  CHECK(s.told().empty());
  s.request_stop();
  CHECK(s.outcome() == "success");
}

TEST_CASE("the flow of a connection is closed when its failure is reported", "[serve]") {
  stage s;
  std::string heard = "never reported";
  std::optional<memory_flow> client;
  s.begin(obey_anything, serve_options().on_error([&](const connection_failure&) {
    auto reading = job<std::string>::of(stage::read_once(&*client));
    reading.start(s.on);
    coflow::executor::current()->renew_turns();
    reading.started().unlink();
    reading.started().run();
    heard = reading.ended() ? reading.take() : "nothing";
  }));
  client.emplace(s.connect());
  s.say(*client, "e");
  CHECK(heard == "eof");
}

TEST_CASE("an exception that nobody is told of is thrown when the server ends", "[serve]") {
  stage s;
  s.begin(obey_anything, serve_options().stopped_by(s.stop));
  memory_flow fails = s.connect();
  memory_flow throws = s.connect();
  s.say(fails, "e");
  s.say(throws, "t");
  memory_flow lives = s.connect();
  s.say(lives, "bye");
  CHECK(s.hear(lives) == "eof");
  CHECK_FALSE(s.ended());
  s.request_stop();
  CHECK(s.outcome() == "threw thrown by a handler");
}

TEST_CASE("a handler that throws when it is called loses its connection alone", "[serve]") {
  stage s;
  s.begin([](memory_flow flow) -> task<result<void>> {
    static int calls = 0;
    if (++calls % 2 == 1) throw std::runtime_error("no handler");
    return echo(std::move(flow));
  });
  memory_flow first = s.connect();
  CHECK(s.told() == journal{"no handler"});
  CHECK(s.hear(first) == "eof");
  memory_flow second = s.connect();
  s.say(second, "here");
  CHECK(s.hear(second) == "here");
}

TEST_CASE("a report that throws or stops the server harms nothing", "[serve]") {
  stage s;
  s.begin(obey_anything, serve_options().stopped_by(s.stop).on_error([&s](const connection_failure& failed) {
    s.reports.push_back(failed.message());
    if (failed.exception()) {
      s.stop.request();
      s.stop.request();
    }
    throw 1;
  }));
  memory_flow lives = s.connect();
  memory_flow fails = s.connect();
  s.say(fails, "e");
  CHECK(s.told().size() == 1);
  memory_flow throws = s.connect();
  s.say(throws, "t");
  CHECK(s.told().size() == 2);  // the other handler was cancelled
  CHECK(s.outcome() == "success");
  CHECK(s.hear(lives) == "eof");
}

TEST_CASE("accept fails only for good: the server then ends gracefully with its error", "[serve]") {
  stage s;
  s.begin(obey_anything, s.reporting().grace(5s));
  memory_flow busy = s.connect();
  s.say(busy, "l");
  std::string expected;
  {
    const coflow::executor::entry inside(s.on);
    SECTION("an error") {
      s.door.break_down(std::make_error_code(std::errc::protocol_error));
      expected = "protocol error";
    }
    SECTION("an exception") {
      s.door.throws = true;
      s.door.ring();
      expected = "threw accept";
    }
  }
  s.on.run_until_idle();
  CHECK(s.door.closed == 1);
  CHECK_FALSE(s.ended());
  s.pass(1s);
  CHECK(s.hear(busy) == "late");
  CHECK(s.told().empty());
  CHECK(s.outcome() == expected);
}

// ---- idle peers

TEST_CASE("a peer that is idle for too long is cut off, never earlier and at most an eighth later", "[serve]") {
  for (const auto begins : {0ms, 1ms, 500ms, 999ms, 1000ms}) {
    stage s;
    s.begin(echo_anything, s.reporting().idle_timeout(8s));
    memory_flow other = s.connect();  // its beginning sets the looks
    s.pass(begins);
    memory_flow client = s.connect();
    s.say(other, "x");
    s.say(client, "x");
    CHECK(s.hear(client) == "x");
    const auto last = s.on.now();
    while (s.told().empty()) {
      REQUIRE(s.on.now() - last < 20s);
      s.pass(10ms);
    }
    CHECK(s.on.now() - last >= 8s);
    CHECK(s.on.now() - last <= 9s);
    CHECK(s.hear(client) == "eof");
    CHECK_FALSE(s.ended());
  }
}

TEST_CASE("activity keeps a connection, in either direction", "[serve]") {
  stage s;
  s.begin(
      [](auto flow) -> task<result<void>> {
        for (;;) {  // writes alone
          const auto slept = co_await coflow::sleep_for(7s);
          if (!slept) co_return slept.error();
          const auto sent = co_await flow.write(buffer("tick"));
          if (!sent) co_return sent.error();
        }
      },
      s.reporting().idle_timeout(8s));
  memory_flow client = s.connect();
  for (int i = 0; i < 20; ++i) {
    s.pass(7s);
    CHECK(s.hear(client) == "tick");
  }
  CHECK(s.told().empty());
}

TEST_CASE("what a cut off handler waits for on its flow gives timed_out, and so does the report", "[serve]") {
  stage s;
  journal seen;
  const auto noting = [&seen](auto flow) -> task<> {
    auto order = co_await flow.read();
    if (!order) {
      seen.push_back("read: " + in_words(order.error()));
      co_return;
    }
    if (order->text() == "w") {
      const auto sent = co_await flow.write(buffer(std::string(100000, 'w')));
      seen.push_back("write: " + in_words(sent.error()));
    } else if (order->text() == "v") {
      buffer list[2] = {buffer("a"), buffer(std::string(100000, 'w'))};
      const auto sent = co_await flow.writev(std::span<buffer>(list));
      seen.push_back("writev: " + in_words(sent.error()));
    } else {
      const auto slept = co_await coflow::sleep_for(1h);
      seen.push_back("sleep: " + in_words(slept.error()));
    }
  };
  s.begin(noting, s.reporting().idle_timeout(8s));
  memory_flow reads = s.connect();
  memory_flow writes = s.connect(10);
  memory_flow lists = s.connect(10);
  memory_flow sleeps = s.connect();
  s.say(writes, "w");
  s.say(lists, "v");
  s.say(sleeps, "s");
  for (int i = 0; i < 12; ++i) s.pass(1s);
  CHECK(seen == journal{"read: timed out", "write: timed out", "writev: timed out", "sleep: canceled"});
  CHECK(s.told() == journal(4, "timed out"));
}

TEST_CASE("keep_alive counts as activity, and no idle time is no limit", "[serve]") {
  stage s;
  SECTION("keep_alive") {
    s.begin(
        [](auto flow) -> task<result<void>> {
          for (int i = 0; i < 20; ++i) {
            flow.keep_alive();
            const auto slept = co_await coflow::sleep_for(7s);
            if (!slept) co_return slept.error();
          }
          co_return coflow::success;
        },
        s.reporting().idle_timeout(8s));
    memory_flow client = s.connect();
    for (int i = 0; i < 20; ++i) s.pass(7s);
    CHECK(s.told().empty());
    CHECK(s.hear(client) == "eof");
  }
  SECTION("zero") {
    s.begin(echo_anything, s.reporting().idle_timeout(0s));
    memory_flow client = s.connect();
    CHECK_FALSE(s.on.advance_to_next_deadline());
    s.pass(1000h);
    s.say(client, "x");
    CHECK(s.hear(client) == "x");
  }
}

TEST_CASE("a server without connections sets no timer", "[serve]") {
  stage s;
  s.begin(obey_anything, s.reporting().idle_timeout(8s));
  CHECK_FALSE(s.on.advance_to_next_deadline());
  memory_flow client = s.connect();
  CHECK(s.on.advance_to_next_deadline());
  s.on.run_until_idle();
  s.say(client, "bye");
  CHECK_FALSE(s.on.advance_to_next_deadline());
}

TEST_CASE("a flow that its handler gives away may outlive the connection and the server", "[serve]") {
  stage s;
  std::optional<coflow::watched_flow<memory_flow>> kept;
  s.begin(
      [&kept](coflow::watched_flow<memory_flow> flow) -> task<> {
        kept.emplace(std::move(flow));
        co_return;
      },
      s.reporting().idle_timeout(8s));
  memory_flow client = s.connect();
  s.request_stop();
  CHECK(s.outcome() == "success");
  s.serving.reset();
  s.say(client, "x");
  auto reading = job<result<void>>::of(echo(std::move(*kept)));
  reading.start(s.on);
  s.on.run_until_idle();
  CHECK(s.hear(client) == "x");
  kept.reset();
}

// ---- stopping

TEST_CASE("a stop closes the listener once and lets the handlers finish", "[serve]") {
  stage s;
  s.begin(obey_anything, s.reporting().grace(5s));
  memory_flow late = s.connect();
  s.say(late, "l");
  s.request_stop();
  CHECK(s.door.closed == 1);
  CHECK(s.door.waiting == nullptr);
  CHECK_FALSE(s.ended());
  s.pass(1s);
  CHECK(s.outcome() == "success");
  CHECK(s.hear(late) == "late");
  CHECK(s.told().empty());
  CHECK(s.door.closed == 1);
  CHECK_FALSE(s.on.advance_to_next_deadline());  // the grace is not waited out
}

TEST_CASE("a server stops whatever its handlers and its acceptor are doing", "[serve]") {
  stage s;
  std::vector<memory_flow> clients;
  bool waits = true;  // somebody is left to be cancelled
  SECTION("nobody is connected and accept is pending") {
    s.begin(obey_anything, s.reporting().grace(5s));
    CHECK(s.door.waiting != nullptr);
    waits = false;
  }
  SECTION("a handler reads") {
    s.begin(obey_anything, s.reporting().grace(5s));
    clients.push_back(s.connect());
  }
  SECTION("a handler writes") {
    s.begin(obey_anything, s.reporting().grace(5s));
    clients.push_back(s.connect(10));
    s.say(clients[0], "w");
  }
  SECTION("the server is full, and more wait") {
    s.begin(obey_anything, s.reporting().grace(5s).max_connections(1));
    clients.push_back(s.connect());
    clients.push_back(s.connect());
    CHECK(s.door.queue.size() == 1);
  }
  SECTION("a client has come in the same turn") {
    s.begin(obey_anything, s.reporting().grace(5s));
    const coflow::executor::entry inside(s.on);
    clients.push_back(s.door.connect());
    s.stop.request();
    s.on.run_until_idle();
    waits = false;  // it was never handled
    CHECK(s.ended());
  }
  s.request_stop();  // in the last section the second
  CHECK(s.door.closed == 1);
  CHECK(s.ended() == !waits);
  if (waits) {
    s.pass(4999ms);
    CHECK_FALSE(s.ended());
    CHECK(s.told().empty());
    s.pass(1ms);
    CHECK(s.told() == journal{"canceled"});
  }
  CHECK(s.outcome() == "success");
  CHECK(s.door.closed == 1);
  s.door.queue.clear();
}

TEST_CASE("a second request cancels the handlers at once, from either side", "[serve]") {
  for (int order = 0; order < 4; ++order) {
    stage s;
    s.begin(obey_anything, s.reporting().grace(5s));
    memory_flow client = s.connect();
    for (int i = 0; i < 2; ++i) {
      CHECK_FALSE(s.ended());
      if ((order >> i & 1) != 0)
        s.stop_task();
      else
        s.request_stop();
      if (order == 3) break;  // a task is stopped once
    }
    if (order == 3) s.pass(5s);
    CHECK(s.told() == journal{"canceled"});
    CHECK(s.outcome() == ((order & 1) != 0 ? "canceled" : "success"));  // what asked first
    CHECK(s.door.closed == 1);
    CHECK(s.hear(client) == "eof");
  }
}

TEST_CASE("a stop of the task is graceful too and gives operation_canceled", "[serve]") {
  stage s;
  s.begin(obey_anything, s.reporting().grace(5s));
  memory_flow late = s.connect();
  s.say(late, "l");
  s.stop_task();
  CHECK_FALSE(s.ended());
  s.pass(1s);
  CHECK(s.hear(late) == "late");
  CHECK(s.outcome() == "canceled");
  CHECK(s.told().empty());
}

TEST_CASE("no grace is no time, and an endless one has no end", "[serve]") {
  stage s;
  SECTION("none") {
    s.begin(obey_anything, s.reporting().grace(0s));
    memory_flow client = s.connect();
    s.request_stop();
    CHECK(s.outcome() == "success");
    CHECK(s.told() == journal{"canceled"});
  }
  SECTION("endless") {
    s.begin(obey_anything, s.reporting().grace(std::chrono::hours::max()));
    memory_flow client = s.connect();
    s.request_stop();
    s.pass(24h * 365 * 10);
    CHECK_FALSE(s.ended());
    s.say(client, "bye");
    CHECK(s.outcome() == "success");
  }
}

TEST_CASE("a server that is told before it begins accepts nothing", "[serve]") {
  stage s;
  SECTION("by its switch") {
    s.stop.request();
    s.begin(obey_anything);
    CHECK(s.outcome() == "success");
  }
  SECTION("by its task") {
    s.serving.emplace(job<result<void>>::of(serve(fake_listener(s.door), obey_anything, s.reporting())));
    s.serving->request_stop();
    s.serving->start(s.on);
    s.on.run_until_idle();
    CHECK(s.outcome() == "canceled");
  }
  CHECK(s.door.closed == 1);
  CHECK(s.door.accepted == 0);
}

TEST_CASE("a handler that ignores cancellation is waited for", "[serve]") {
  stage s;
  support::gate gate;
  s.begin(
      [&gate](memory_flow) -> task<> {
        co_await gate.pass();  // knows nothing of stop requests
      },
      s.reporting().grace(1s));
  memory_flow client = s.connect();
  s.request_stop();
  s.request_stop();
  s.pass(1h);
  CHECK_FALSE(s.ended());
  gate.open();
  s.on.run_until_idle();
  CHECK(s.outcome() == "success");
}

TEST_CASE("a handler may stop its own server, and see that it is being stopped", "[serve]") {
  stage s;
  bool seen = false;
  s.begin(
      [&](memory_flow flow) -> task<result<void>> {
        s.stop.request();
        seen = s.stop.requested();
        const auto answered = co_await flow.write(buffer("stopping"));
        co_return answered;
      },
      s.reporting());
  memory_flow client = s.connect();
  CHECK(seen);
  CHECK(s.hear(client) == "stopping");
  CHECK(s.outcome() == "success");
}

TEST_CASE("a handler that stops its server when it is called is not begun", "[serve]") {
  stage s;
  s.begin([&s](memory_flow flow) {
    s.stop.request();
    return echo(std::move(flow));
  });
  memory_flow client = s.connect();
  CHECK(s.hear(client) == "eof");
  CHECK(s.outcome() == "success");
  CHECK(s.told().empty());
  CHECK(s.door.closed == 1);
}

TEST_CASE("the end of the executor ends a server with closed", "[serve]") {
  port door;
  journal reports;
  std::optional<result<void>> outcome;
  std::optional<memory_flow> client;
  {
    coflow::virtual_executor on;
    door.on = &on;
    coflow::spawn(on,
                  serve(fake_listener(door), obey_anything, serve_options().on_error([&](const connection_failure& f) {
                    reports.push_back(in_words(f.code()));
                  })),
                  [&outcome](coflow::task_outcome<result<void>> got) { outcome = std::move(*got); });
    on.run_until_idle();
    const coflow::executor::entry inside(on);
    client.emplace(door.connect());
    on.run_until_idle();
  }
  REQUIRE(outcome.has_value());
  CHECK(in_words(outcome->error()) == "closed");
  CHECK(reports.size() == 1);
  CHECK(door.closed == 1);
}

TEST_CASE("a server that outlives its executor can be told and destroyed", "[serve]") {
  port door;
  server_stop stop;
  support::gate gate;
  std::optional<job<result<void>>> serving;
  std::optional<memory_flow> client;
  {
    coflow::virtual_executor on;
    door.on = &on;
    serving.emplace(job<result<void>>::of(serve(
        fake_listener(door), [&gate](auto) -> task<> { co_await gate.pass(); },
        serve_options().stopped_by(stop).idle_timeout(1s))));
    serving->start(on);
    on.run_until_idle();
    const coflow::executor::entry inside(on);
    client.emplace(door.connect());
    on.run_until_idle();
  }
  CHECK_FALSE(serving->ended());
  stop.request();
  serving->request_stop();
  serving.reset();
  CHECK(door.closed == 1);
}

TEST_CASE("without an executor a server closes its listener and says so", "[serve]") {
  port door;
  auto serving = job<result<void>>::of(serve(fake_listener(door), obey_anything));
  serving.started().run();
  REQUIRE(serving.ended());
  CHECK(in_words(serving.take().error()) == "no executor");
  CHECK(door.closed == 1);
}

TEST_CASE("one server_stop stops several servers, also one that another ends", "[serve]") {
  stage s;
  port other_door;
  other_door.on = &s.on;
  s.begin(obey_anything, s.reporting());
  std::optional<job<result<void>>> other;
  other.emplace(job<result<void>>::of(serve(fake_listener(other_door), obey_anything, s.reporting())));
  other->start(s.on);
  s.on.run_until_idle();
  SECTION("both") {
    s.request_stop();
    CHECK(s.outcome() == "success");
    CHECK(other->ended());
  }
  SECTION("one that is gone is not told") {
    other.reset();
    s.request_stop();
    CHECK(s.outcome() == "success");
  }
}

// ---- destruction and cancellation everywhere

namespace {

// Clients of every kind against one server, in some number of rounds.
void drive_clients(stage& s, std::vector<memory_flow>& clients, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    switch (i % 8) {
      case 0:
      case 3:
      case 5: {
        const coflow::executor::entry inside(s.on);
        clients.push_back(s.door.connect(10));
        break;
      }
      case 2:
      case 4:
      case 6: {
        static constexpr const char* orders[] = {"w", "l", "e"};
        if (!clients.empty()) {
          auto sending = job<result<void>>::of(
              stage::write_all(&clients.back(), buffer(orders[static_cast<unsigned>(i / 2 % 3)])));
          sending.start(s.on);
          s.on.run_once();
        }
        break;
      }
      case 7:
        s.on.advance_to_next_deadline();
        break;
      default:
        break;
    }
    s.on.run_once();
  }
}

}  // namespace

TEST_CASE("a server may be destroyed at any point; nothing is left of it", "[serve]") {
  const long before = frames();
  for (int rounds = 0; rounds < 60; ++rounds) {
    stage s;
    std::vector<memory_flow> clients;
    s.serving.emplace(job<result<void>>::of(
        serve(fake_listener(s.door), obey_anything, s.reporting().max_connections(3).idle_timeout(8s))));
    s.serving->start(s.on);
    drive_clients(s, clients, rounds);
    s.serving.reset();
    CHECK(s.door.closed == 1);
    CHECK(frames() == before);
    s.on.run_until_idle();
    s.request_stop();
  }
}

TEST_CASE("a server may be stopped at any point, by its switch, by its task, or twice, and ends in time", "[serve]") {
  for (int how = 0; how < 3; ++how) {
    for (int rounds = 0; rounds < 60; ++rounds) {
      stage s;
      std::vector<memory_flow> clients;
      s.serving.emplace(job<result<void>>::of(
          serve(fake_listener(s.door), obey_anything, s.reporting().max_connections(3).idle_timeout(8s).grace(3s))));
      s.serving->start(s.on);
      drive_clients(s, clients, rounds);
      const auto asked = s.on.now();
      {
        const coflow::executor::entry inside(s.on);
        if (how == 1)
          s.serving->request_stop();
        else
          s.stop.request();
        if (how == 2) s.stop.request();
      }
      s.on.run_until_idle();
      CHECK(s.door.closed == 1);
      while (!s.ended()) {
        REQUIRE(s.on.advance_to_next_deadline());
        s.on.run_until_idle();
      }
      CHECK(s.on.now() - asked <= (how == 2 ? 0s : 3s));
      CHECK(s.outcome() == (how == 1 ? "canceled" : "success"));
      CHECK(s.door.closed == 1);
    }
  }
}

// ---- cost

TEST_CASE("nothing allocates for an operation, watched or not", "[serve]") {
  if (!support::counts_allocations || !coflow::detail::pooling) return;
  stage s;
  const auto rounds = [&s](int count) {
    memory_flow client = s.connect();
    auto talking = job<int>::of([](memory_flow* flow, int times) -> task<int> {
      int good = 0;
      for (int i = 0; i < times; ++i) {
        const auto sent = co_await flow->write(buffer("some words to and fro"));
        auto got = co_await flow->read();
        if (sent && got) ++good;
      }
      co_return good;
    }(&client, count));
    talking.start(s.on);
    const auto before = support::allocation_count();
    s.on.run_until_idle();
    const auto allocated = support::allocation_count() - before;
    REQUIRE(talking.ended());
    CHECK(talking.take() == count);
    return allocated;
  };
  SECTION("plain") { s.begin(echo_anything); }
  SECTION("watched") { s.begin(echo_anything, s.reporting().idle_timeout(8s)); }
  static_cast<void>(rounds(10));
  CHECK(rounds(1000) == 0);
}

TEST_CASE("connections come and go without allocations once the pool is warm", "[serve]") {
  if (!support::counts_allocations || !coflow::detail::pooling) return;
  stage s;
  s.begin(echo_anything, s.reporting().idle_timeout(8s));
  s.door.queue.reserve(4);
  const auto churn = [&s] {
    const coflow::executor::entry inside(s.on);
    for (int i = 0; i < 100; ++i) {
      memory_flow client = s.door.connect();
      s.on.run_until_idle();
    }
  };
  churn();
  const auto before = support::allocation_count();
  churn();
  const auto allocated = support::allocation_count() - before;
  CHECK(allocated == 0);
}

// ---- what a hang says

TEST_CASE("a hang names the acceptor and the connections of a server", "[serve]") {
  coflow::virtual_executor on;
  port door;
  door.on = &on;
  std::optional<memory_flow> client;
  {
    const coflow::executor::entry inside(on);
    client.emplace(door.connect());
  }
  std::string said;
  try {
    static_cast<void>(coflow::run(on, serve(fake_listener(door), obey_anything)));
  } catch (const coflow::hang& found) {
    said = found.what();
  }
  CHECK(said.find("a server to end") != std::string::npos);
  CHECK(said.find("the acceptor of a server waits for a client") != std::string::npos);
  CHECK(said.find("connection 0 of a server waits for a read") != std::string::npos);
}

// ---- over TCP

namespace {

using coflow::event_loop;
using coflow::tcp_flow;
using coflow::tcp_listener;

task<result<std::string>> ask(std::uint16_t port, std::string text) {
  auto flow = co_await coflow::tcp_connect(coflow::endpoint::loopback_v4(port));
  if (!flow) co_return flow.error();
  const auto sent = co_await flow->write(buffer(text));
  if (!sent) co_return sent.error();
  co_await flow->shutdown(coflow::shutdown_mode::write);
  std::string heard;
  for (;;) {
    auto got = co_await flow->read();
    if (got.eof()) co_return heard;
    if (!got) co_return got.error();
    heard += got->text();
  }
}

task<> ask_and_note(std::uint16_t port, std::string text, int* good) {
  auto heard = co_await ask(port, text);
  if (heard && *heard == text) ++*good;
}

task<result<void>> many_clients(std::uint16_t port, server_stop* stop, int count, int* good) {
  coflow::task_scope clients;
  for (int i = 0; i < count; ++i) {
    const auto started = clients.spawn(ask_and_note(port, "client " + std::to_string(i), good));
    if (!started) co_return started;
  }
  const auto joined = co_await clients.join();
  stop->request();
  co_return joined;
}

template <bool Watched>
task<result<void>> serve_clients(tcp_listener listener, coflow::basic_serve_options<Watched> options, server_stop* stop,
                                 int count, int* good) {
  const std::uint16_t port = listener.local_endpoint().port();
  coflow::task_scope clients;
  const auto started = clients.spawn(many_clients(port, stop, count, good));
  if (!started) co_return started;
  const auto served = co_await serve(std::move(listener), echo_anything, options);
  const auto joined = co_await clients.join();
  if (!joined) co_return joined;
  co_return served;
}

}  // namespace

TEST_CASE("a TCP server serves a hundred clients within its bound and stops", "[serve]") {
  auto listener = tcp_listener::bind("127.0.0.1", 0);
  REQUIRE(listener.has_value());
  server_stop stop;
  int failures = 0;
  int good = 0;
  auto options = serve_options().stopped_by(stop).max_connections(7).on_error([&](const connection_failure& failed) {
    ++failures;
    CHECK(failed.peer().is_v4());
  });
  result<void> outcome;
  SECTION("plain") { outcome = coflow::run(serve_clients(std::move(*listener), options, &stop, 100, &good)); }
  SECTION("watched") {
    outcome = coflow::run(serve_clients(std::move(*listener), options.idle_timeout(60s), &stop, 100, &good));
  }
  CHECK(outcome.has_value());
  CHECK(good == 100);
  CHECK(failures == 0);
}

namespace {

task<result<void>> reset_and_stop(std::uint16_t port, server_stop* stop, coflow::endpoint* from) {
  auto flow = co_await coflow::tcp_connect(coflow::endpoint::loopback_v4(port));
  if (!flow) co_return flow.error();
  *from = flow->local_endpoint();
  const auto sent = co_await flow->write(buffer("x"));
  auto got = co_await flow->read();
  flow->reset();
  auto second = co_await ask(port, "alive");
  stop->request();
  if (!second) co_return second.error();
  co_return sent;
}

task<result<void>> serve_resets(tcp_listener listener, serve_options options, server_stop* stop,
                                coflow::endpoint* from) {
  const std::uint16_t port = listener.local_endpoint().port();
  coflow::task_scope clients;
  const auto started = clients.spawn(reset_and_stop(port, stop, from));
  if (!started) co_return started;
  const auto served = co_await serve(std::move(listener), echo<tcp_flow>, options);
  const auto joined = co_await clients.join();
  if (!joined) co_return joined;
  co_return served;
}

}  // namespace

TEST_CASE("a reset is reported with its peer, and others are served", "[serve]") {
  auto listener = tcp_listener::bind("127.0.0.1", 0);
  REQUIRE(listener.has_value());
  server_stop stop;
  std::vector<connection_failure> failures;
  coflow::endpoint from;
  const auto options = serve_options().stopped_by(stop).on_error(
      [&failures](const connection_failure& failed) { failures.push_back(failed); });
  const auto outcome = coflow::run(serve_resets(std::move(*listener), options, &stop, &from));
  CHECK(outcome.has_value());
  REQUIRE(failures.size() == 1);
  CHECK(failures[0].code() == coflow::condition::disconnected);
  CHECK(failures[0].peer() == from);
  CHECK_FALSE(failures[0].exception());
}

TEST_CASE("an idle TCP client is cut off on the real clock", "[serve]") {
  auto listener = tcp_listener::bind("127.0.0.1", 0);
  REQUIRE(listener.has_value());
  server_stop stop;
  journal reports;
  const std::uint16_t port = listener->local_endpoint().port();
  const auto options = serve_options()
                           .stopped_by(stop)
                           .on_error([&](const connection_failure& failed) {
                             reports.push_back(in_words(failed.code()));
                             stop.request();
                           })
                           .idle_timeout(20ms);
  event_loop loop;
  std::string heard;
  coflow::spawn(
      loop,
      [](std::uint16_t to, std::string* into) -> task<> {
        auto flow = co_await coflow::tcp_connect(coflow::endpoint::loopback_v4(to));
        if (!flow) co_return;
        auto got = co_await flow->read();
        *into = got.eof() ? "eof" : in_words(got.error());
      }(port, &heard),
      [](const coflow::task_outcome<void>&) {});
  const auto outcome = coflow::run(loop, serve(std::move(*listener), echo_anything, options));
  CHECK(outcome.has_value());
  CHECK(reports == journal{"timed out"});
  while (heard.empty()) loop.turn();
  CHECK(heard == "eof");
}

TEST_CASE("a loop that goes away ends a TCP server and its connections", "[serve]") {
  auto listener = tcp_listener::bind("127.0.0.1", 0);
  REQUIRE(listener.has_value());
  const std::uint16_t port = listener->local_endpoint().port();
  std::optional<result<void>> outcome;
  std::string heard;
  {
    event_loop loop;
    coflow::spawn(loop, serve(std::move(*listener), echo_anything, serve_options().idle_timeout(1h)),
                  [&outcome](coflow::task_outcome<result<void>> got) { outcome = std::move(*got); });
    coflow::spawn(
        loop,
        [](std::uint16_t to, std::string* into) -> task<> {
          auto flow = co_await coflow::tcp_connect(coflow::endpoint::loopback_v4(to));
          if (!flow) co_return;
          const auto sent = co_await flow->write(buffer("x"));
          auto got = co_await flow->read();
          *into = sent && got ? "echoed" : "failed";
          got = co_await flow->read();
        }(port, &heard),
        [](const coflow::task_outcome<void>&) {});
    while (heard.empty()) loop.turn();
  }
  CHECK(heard == "echoed");
  REQUIRE(outcome.has_value());
  CHECK(in_words(outcome->error()) == "closed");
}
