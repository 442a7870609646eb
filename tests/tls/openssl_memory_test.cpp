// TLS with OpenSSL where memory runs out, in each allocation in turn: a write that says it went well has sent
// everything (law W1), and what has come can still be read (law W7).
#include <coflow/tls/openssl.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "support/openssl_ends.hpp"
#include "support/survival.hpp"
#include "support/tls_forger.hpp"

namespace {

using namespace openssl_ends;
using support::failing_allocation;

// Calls `once(n)`, which runs its scene with allocation `n` failing, until there is no such allocation any more.
template <class Once>
void at_every_allocation(Once once) {
  std::int64_t at = 0;
  while (once(at)) ++at;
  CHECK((at > 0 || !support::counts_allocations));
}

// ---- what was held back

task<> write_it(flow* on, buffer text, bool* done, std::error_code* failed) {
  const result<void> came = co_await on->write(std::move(text));
  *failed = came.error();
  *done = true;
}
task<> a_held_write(std::int64_t at, bool* struck) {
  forged_stage on(1024 * 1024);
  co_await shake(&on);
  const std::string ticket = tls_forger::ticket(1000);
  const std::string text = many_bytes(60'000);
  task_scope scope(coflow::on_failure::isolate);
  co_await send_below(&on, on.peer.handshake_record(ticket.substr(0, 500)));
  co_await turns(3);
  bool done = false;
  std::error_code failed;
  start(scope, write_it(&*on.near.flow, buffer(text), &done, &failed));
  co_await turns(3);
  CHECK(!done);
  co_await send_below(&on, on.peer.handshake_record(ticket.substr(500)));
  {
    task<> some_turns = turns(2);
    const failing_allocation no_memory(at);
    co_await std::move(some_turns);
    *struck = no_memory.has_struck();
  }
  start(scope, hear_below(&on));
  co_await turns(20);
  const std::string got = on.peer.take_text();
  INFO("allocation " << at << ": " << failed.message() << ", " << got.size() << " bytes came");
  CHECK(done);
  CHECK((failed || got == text));
  scope.cancel();
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}
TEST_CASE("a held write that finds no memory does not say that it went well", "[openssl_memory]") {
  at_every_allocation([](std::int64_t at) {
    bool struck = false;
    drive(a_held_write(at, &struck));
    return struck;
  });
}

// ---- what the peer says

enum class act { write, goodbye };
task<> read_afterwards(act what, std::int64_t at, bool* struck) {
  const openssl_context of_client = client();
  const openssl_context of_server = server();
  ends sides;
  // Behind the goodbye a record comes in parts.
  co_await connect(coflow::memory_pipe(what == act::goodbye ? 1000 : 1024 * 1024), &of_client, &of_server, &sides);
  REQUIRE(sides.client.flow);
  REQUIRE(sides.server.flow);
  flow& here = *sides.client.flow;
  co_await turns(5);
  buffer text(many_bytes(60'000));
  std::error_code failed;
  if (what == act::goodbye) {
    auto shutting = here.shutdown(shutdown_mode::write);
    const failing_allocation no_memory(at);
    co_await shutting;
    *struck = no_memory.has_struck();
  } else {
    auto writing = here.write(std::move(text));
    const failing_allocation no_memory(at);
    const result<void> sent = co_await writing;
    *struck = no_memory.has_struck();
    failed = sent.error();
  }
  heard at_client;
  task_scope scope(coflow::on_failure::isolate);
  start(scope, listen(&here, &at_client));
  const std::string words = many_bytes(5000);
  const std::error_code said = co_await say(&*sides.server.flow, words);
  CHECK(!said);
  co_await turns(20);
  INFO("allocation " << at << ": " << failed.message() << ", " << at_client.failed.message());
  CHECK(at_client.text == words);
  CHECK(!at_client.failed);
  scope.cancel();
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}
TEST_CASE("what the peer says can be read although a write or a goodbye found no memory", "[openssl_memory]") {
  for (const act what : {act::write, act::goodbye})
    at_every_allocation([what](std::int64_t at) {
      bool struck = false;
      drive(read_afterwards(what, at, &struck));
      return struck;
    });
}

}  // namespace
