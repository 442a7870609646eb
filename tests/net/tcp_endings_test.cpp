// What the end of a connection costs and whom it concerns: descriptors whose numbers are used again, and allocations.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/net.hpp>
#include <coflow/testing/law.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using coflow::tcp_flow;
using coflow::laws::reading;
using coflow::laws::shutting;
using coflow::laws::turns;
using coflow::laws::until;
using coflow::laws::writing;

using connection = std::pair<tcp_flow, tcp_flow>;

task<connection> connect() {
  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
  if (!listener) throw std::system_error(listener.error());
  auto client = co_await coflow::tcp_connect(listener->local_endpoint());
  if (!client) throw std::system_error(client.error());
  auto server = co_await listener->accept();
  if (!server) throw std::system_error(server.error());
  connection both(std::move(*client), std::move(*server));
  co_return std::move(both);
}

template <class Flow>
task<> read_once(Flow* flow, reading* out) {
  read_result got = co_await flow->read();
  out->got = std::move(got);
  out->done = true;
}
template <class Flow>
task<> write_once(Flow* flow, std::size_t size, writing* out) {
  const result<void> sent = co_await flow->write(buffer(std::string(size, 'w')));
  out->sent = sent;
  out->done = true;
}
template <class Flow>
task<> shutdown_once(Flow* flow, shutting* out) {
  co_await flow->shutdown(shutdown_mode::write);
  out->done = true;
}
template <class T>
void start(task_scope& scope, task<T> child) {
  const result<void> started = scope.spawn(std::move(child));
  REQUIRE(started);
}

// ---- descriptors

task<> close_again_when_the_numbers_are_used_again() {
  connection old = co_await connect();
  const int first = old.first.native_handle();
  const int second = old.second.native_handle();
  co_await old.first.close();
  co_await old.second.close();
  connection fresh = co_await connect();
  const std::array<int, 2> now{fresh.first.native_handle(), fresh.second.native_handle()};
  const bool reused = now[0] == first || now[1] == first || now[0] == second || now[1] == second;
  CHECK(reused);
  for (tcp_flow* flow : {&old.first, &old.second}) {
    co_await flow->close();
    flow->reset();
    co_await flow->shutdown(shutdown_mode::read_write);
  }
  for (const int fd : now) CHECK(::fcntl(fd, F_GETFD) >= 0);
  const result<void> sent = co_await fresh.first.write(buffer("untouched"));
  CHECK(sent);
  const read_result got = co_await fresh.second.read();
  CHECK(got.has_data());
  if (got) CHECK(got->text() == "untouched");
}

// Several connections are reported ready in one batch; whoever is resumed first destroys them all, and somebody else
// takes their numbers.
struct batch {
  explicit batch(std::size_t size) : flows(size), reads(size), spare(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}
  batch(const batch&) = delete;
  batch& operator=(const batch&) = delete;
  ~batch() {
    for (const int fd : taken) ::close(fd);
    ::close(spare);
  }
  std::vector<std::optional<tcp_flow>> flows;
  std::vector<reading> reads;
  int spare;
  std::vector<int> taken;
};

task<> read_then_destroy_all(batch* all, std::size_t mine) {
  read_result got = co_await all->flows[mine]->read();
  all->reads[mine].got = std::move(got);
  all->reads[mine].done = true;
  for (std::optional<tcp_flow>& one : all->flows) {
    if (!one) continue;
    one.reset();
    all->taken.push_back(::fcntl(all->spare, F_DUPFD_CLOEXEC, 0));
  }
}

task<> reports_for_destroyed_connections_reach_nobody() {
  batch all(8);
  std::vector<tcp_flow> peers;
  for (std::optional<tcp_flow>& one : all.flows) {
    connection made = co_await connect();
    one.emplace(std::move(made.first));
    peers.push_back(std::move(made.second));
  }
  task_scope scope;
  for (std::size_t i = 0; i < all.flows.size(); ++i) start(scope, read_then_destroy_all(&all, i));
  co_await turns(3);
  for (tcp_flow& peer : peers) {
    const result<void> sent = co_await peer.write(buffer("now"));
    CHECK(sent);
  }
  const bool done = co_await until([&all] {
    for (const reading& one : all.reads)
      if (!one.done) return false;
    return true;
  });
  CHECK(done);
  int served = 0;
  for (const reading& one : all.reads) {
    if (one.got.has_data())
      ++served;
    else
      CHECK(one.got.error() == coflow::error::closed);
  }
  CHECK(served == 1);
  CHECK(all.taken.size() == 8);
  for (const int fd : all.taken) CHECK(::fcntl(fd, F_GETFD) >= 0);
}

// ---- allocations

enum class manner { close, destruction, assignment, reset };

// Everything that can wait waits when the flow ends.
template <class Flow>
task<> end_without_an_allocation(Flow flow, Flow other, manner how) {
  std::optional<Flow> a(std::move(flow));
  std::array<reading, 3> reads;
  std::array<writing, 3> writes;
  shutting shut;
  task_scope scope;
  for (reading& one : reads) start(scope, read_once(&*a, &one));
  for (writing& one : writes) start(scope, write_once(&*a, 8 << 20, &one));
  co_await turns(2);
  start(scope, shutdown_once(&*a, &shut));
  co_await turns(2);
  const bool any = reads[0].done || writes[0].done || shut.done;
  REQUIRE_FALSE(any);
  const std::uint64_t before = support::allocation_count();
  co_await a->shutdown(shutdown_mode::read);
  if (how == manner::close) co_await a->close();
  if (how == manner::destruction) a.reset();
  if (how == manner::assignment) *a = std::move(other);
  if constexpr (requires { a->lowest_layer(); }) {
    if (how == manner::reset) a->lowest_layer().reset();
  } else {
    if (how == manner::reset) a->reset();
  }
  const std::uint64_t after = support::allocation_count();
  CHECK(after == before);
  co_await turns(2);
  CHECK(reads[2].done);
  CHECK(writes[2].done);
  CHECK(shut.done);
}

task<> end_everything_without_an_allocation(manner how) {
  using layer = coflow::layered_flow<tcp_flow>;
  using two_layers = coflow::layered_flow<layer>;
  connection bare = co_await connect();
  co_await end_without_an_allocation(std::move(bare.first), std::move(bare.second), how);
  connection below = co_await connect();
  two_layers first(layer(std::move(below.first)));
  two_layers second(layer(std::move(below.second)));
  co_await end_without_an_allocation(std::move(first), std::move(second), how);
  auto pipe = coflow::memory_pipe(4096);
  co_await end_without_an_allocation(std::move(pipe.first), std::move(pipe.second), how);
}

TEST_CASE("closing again leaves connections alone that have the old numbers", "[tcp_endings]") {
  coflow::run(close_again_when_the_numbers_are_used_again());
}

TEST_CASE("what is reported for destroyed connections reaches nobody, and their numbers stay whose they are",
          "[tcp_endings]") {
  coflow::run(reports_for_destroyed_connections_reach_nobody());
}

TEST_CASE("shutdown, close, destruction, assignment and reset allocate nothing, whatever waits", "[tcp_endings]") {
  for (const manner how : {manner::close, manner::destruction, manner::assignment, manner::reset})
    coflow::run(end_everything_without_an_allocation(how));
}

}  // namespace
