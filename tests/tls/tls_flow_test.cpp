// The TLS layer over an engine without TLS: how a flow is made, what its ends are, and that no cut goes unnoticed.
#include <coflow/layer/codec_flow.hpp>
#include <coflow/layer/length_prefix_codec.hpp>
#include <coflow/testing/faulty_flow.hpp>
#include <coflow/testing/layer_laws.hpp>
#include <coflow/tls/tls_flow.hpp>

#include "support/codec_sink.hpp"
#include "support/manual_executor.hpp"
#include "support/tls_ends.hpp"
#include "support/toy_engine.hpp"

namespace {

using namespace tls_ends;
using coflow::fault_plan;
using coflow::faulty_flow;
using support::toy_context;
using support::toy_engine;
using flow = coflow::tls_flow<memory_flow, toy_engine>;
using toys = both<toy_context>;

static_assert(coflow::ReadIntoFlow<flow>);
static_assert(coflow::check_flow_shape<flow>());

const toy_context context;
const toy_context stranger(2);

task<toys> connected(std::size_t capacity = 64 * 1024, tls_options options = {}) {
  toys ends;
  co_await connect(coflow::memory_pipe(capacity), &context, &context, &ends, "localhost", options);
  CHECK(ends.client.flow);
  CHECK(ends.server.flow);
  co_return std::move(ends);
}

// ---- how it is made

task<> a_connection() {
  toys ends = co_await connected();
  CHECK(ends.client.flow->version() == "toy 1");
  CHECK(ends.client.flow->cipher() == "xor");
  CHECK(ends.client.flow->application_protocol().empty());
  ends.client.flow->request_key_update();
  const std::error_code sent = co_await say(&*ends.client.flow, "hello");
  CHECK(!sent);
  const read_result got = co_await ends.server.flow->read();
  REQUIRE(got);
  CHECK(got->text() == "hello");
  const std::error_code answered = co_await say(&*ends.server.flow, "there");
  CHECK(!answered);
  std::byte room[16];
  const auto count = co_await ends.client.flow->read_into(room);
  CHECK(*count == 5);
  CHECK(ends.client.flow->engine().pongs() == 1);
  flow moved = std::move(*ends.client.flow);
  co_await moved.close();
  const read_result last = co_await ends.server.flow->read();
  CHECK(last.eof());
  CHECK(ends.server.flow->peer_said_goodbye());
}
TEST_CASE("two sides that agree get flows that talk", "[tls_flow]") { drive(a_connection()); }

task<> no_agreement() {
  auto pipe = coflow::memory_pipe();
  toys ends;
  co_await connect(std::move(pipe), &context, &stranger, &ends);
  CHECK(ends.server.failed == std::errc::bad_message);
  CHECK(ends.server.failed.message() == "the TLS handshake failed: Bad message");
  CHECK(ends.client.failed == coflow::error::truncated);
  CHECK(ends.client.failed.message() ==
        "the peer closed the connection in the middle of the TLS handshake (host localhost)");
}
TEST_CASE("a handshake that fails gives an error that names the host", "[tls_flow]") { drive(no_agreement()); }

// What the raw peer of a handshake sees when it is over.
task<> peer_sees_the_end(memory_flow* peer) {
  for (;;) {
    const read_result got = co_await peer->read();
    if (got) continue;
    CHECK(got.eof());
    co_return;
  }
}

task<> no_engine() {
  auto pipe = coflow::memory_pipe();
  const auto failed = co_await coflow::tls_client(context, std::move(pipe.first), "nobody");
  REQUIRE(!failed);
  CHECK(failed.error().message() == "no such host (host nobody)");
  co_await peer_sees_the_end(&pipe.second);
}
TEST_CASE("where no engine can be made the inner flow is closed", "[tls_flow]") { drive(no_engine()); }

task<> a_silent_peer(tls_options options, coflow::executor::duration limit) {
  auto pipe = coflow::memory_pipe();
  const auto began = coflow::executor::current()->now();
  const auto failed = co_await coflow::tls_client(context, std::move(pipe.first), "example.org", options);
  REQUIRE(!failed);
  CHECK(failed.error() == coflow::error::timed_out);
  CHECK(failed.error().message() == "the TLS handshake did not end within its deadline (host example.org)");
  CHECK(coflow::executor::current()->now() - began == limit);
  co_await peer_sees_the_end(&pipe.second);
}
TEST_CASE("a handshake has a deadline, ten seconds unless told otherwise", "[tls_flow]") {
  drive(a_silent_peer(tls_options(), 10s));
  drive(a_silent_peer(tls_options().handshake_timeout(1500ms), 1500ms));
  drive(a_silent_peer(tls_options().handshake_timeout(0s), 0s));
}

task<> after_the_deadline() {
  toys ends = co_await connected();
  const result<void> slept = co_await coflow::sleep_for(1min);
  CHECK(slept.has_value());
  const std::error_code sent = co_await say(&*ends.client.flow, "later");
  CHECK(!sent);
  const read_result got = co_await ends.server.flow->read();
  CHECK(got);
}
TEST_CASE("the deadline of a handshake is over with it", "[tls_flow]") { drive(after_the_deadline()); }

task<> given_up(bool destroyed) {
  auto pipe = coflow::memory_pipe();
  made<flow> client;
  {
    task_scope scope(coflow::on_failure::isolate);
    start(scope, keep(coflow::tls_client(context, std::move(pipe.first), "localhost"), &client));
    co_await turns(3);
    CHECK(!client.done);
    if (!destroyed) {
      scope.cancel();
      co_await turns(3);
      CHECK(client.done);
      CHECK(client.failed == std::errc::operation_canceled);
    }
  }
  co_await peer_sees_the_end(&pipe.second);
}
TEST_CASE("a handshake that is given up closes the inner flow", "[tls_flow]") {
  drive(given_up(false));
  drive(given_up(true));
}

// A server whose handshake has failed, and a peer that stays.
task<> refusing(bool stopped) {
  auto pipe = coflow::memory_pipe();
  made<flow> server;
  task_scope scope(coflow::on_failure::isolate);
  const auto began = coflow::executor::current()->now();
  const tls_options options = tls_options().close_limit(2s);
  start(scope, keep(coflow::tls_server(context, std::move(pipe.first), options), &server));
  support::codec_sink flight;
  toy_engine(support::toy_role::client, 2).start(flight);
  const std::error_code sent = co_await say(&pipe.second, flight.take_sent());
  CHECK(!sent);
  co_await peer_sees_the_end(&pipe.second);  // of what the server says, while it still reads
  CHECK(!server.done);
  const std::error_code more = co_await say(&pipe.second, "and more of it");
  CHECK(!more);
  if (stopped) scope.cancel();
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  CHECK(server.failed == std::errc::bad_message);
  CHECK(coflow::executor::current()->now() - began == (stopped ? 0s : 2s));
  const std::error_code late = co_await say(&pipe.second, "too late");
  CHECK(late);
}
TEST_CASE("a handshake that has failed lets the peer read why, up to the close limit or a stop", "[tls_flow]") {
  drive(refusing(false));
  drive(refusing(true));
}

// A server whose handshake fails, and whose peer reads nothing, is stopped after so many steps; false if there were not
// so many to take.
bool stopped_after(std::size_t steps) {
  coflow::choices in_order = coflow::choices::replay("");
  coflow::virtual_executor on(in_order);
  const coflow::executor::entry current(on);
  auto pipe = coflow::memory_pipe(1);
  made<flow> server;
  support::codec_sink flight;
  toy_engine raw(support::toy_role::client);
  raw.start(flight);
  flight.send(raw.forge('D', "too early"));
  auto peer = support::job<std::error_code>::of(say(&pipe.second, flight.take_sent()));
  auto refusal = support::job<void>::of(
      keep(coflow::tls_server(context, std::move(pipe.first), tls_options().close_limit(2s)), &server));
  const auto began = on.now();
  refusal.start(on);
  peer.start(on);
  bool more = true;
  for (std::size_t i = 0; i < steps && more; ++i) more = on.run_once() != 0;
  CHECK(!refusal.ended());
  refusal.request_stop();
  while (!refusal.ended() && (on.run_once() != 0 || on.advance_to_next_deadline())) continue;
  CHECK(refusal.ended());
  CHECK(on.now() == began);
  return more;
}
TEST_CASE("a stop ends a handshake at once, whether it has failed or is about to", "[tls_flow]") {
  std::size_t steps = 0;
  while (stopped_after(steps)) ++steps;
  CHECK(steps > 3);
}

// ---- farewells, in every order

task<> half_closed(bool client_first) {
  toys ends = co_await connected();
  flow& first = client_first ? *ends.client.flow : *ends.server.flow;
  flow& second = client_first ? *ends.server.flow : *ends.client.flow;
  co_await first.shutdown(shutdown_mode::write);
  const read_result end = co_await second.read();
  CHECK(end.eof());
  const std::error_code sent = co_await say(&second, "one direction is left");
  CHECK(!sent);
  const read_result got = co_await first.read();
  REQUIRE(got);
  CHECK(got->text() == "one direction is left");
  const std::error_code refused = co_await say(&first, "no");
  CHECK(refused == coflow::error::closed);
  co_await second.close();
  const read_result last = co_await first.read();
  CHECK(last.eof());
}
TEST_CASE("a farewell ends one direction", "[tls_flow]") {
  drive(half_closed(true));
  drive(half_closed(false));
}

task<> both_at_once(bool by_close) {
  toys ends = co_await connected();
  heard at_client;
  heard at_server;
  std::error_code of_client;
  std::error_code of_server;
  task_scope scope;
  if (!by_close) {
    start(scope, listen(&*ends.client.flow, &at_client));
    start(scope, listen(&*ends.server.flow, &at_server));
  }
  start(scope, talk_and_shut(&*ends.client.flow, "from the client", &of_client));
  start(scope, talk_and_shut(&*ends.server.flow, "from the server", &of_server));
  if (by_close) {
    co_await turns(5);
    start(scope, listen(&*ends.client.flow, &at_client));
    start(scope, listen(&*ends.server.flow, &at_server));
  }
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  CHECK(!of_client);
  CHECK(!of_server);
  CHECK((at_client.eof && at_client.text == "from the server"));
  CHECK((at_server.eof && at_server.text == "from the client"));
}
TEST_CASE("both sides may say farewell at once", "[tls_flow]") {
  drive(both_at_once(false));
  drive(both_at_once(true));
}

task<> farewell_in_mid_handshake() {
  auto pipe = coflow::memory_pipe();
  made<flow> client;
  task_scope scope;
  start(scope, keep(coflow::tls_client(context, std::move(pipe.first), "localhost"), &client));
  toy_engine raw(support::toy_role::server);
  const result<void> sent = co_await pipe.second.write(raw.forge('G', ""));
  CHECK(sent.has_value());
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  CHECK(client.failed == coflow::error::truncated);
  co_await peer_sees_the_end(&pipe.second);
}
TEST_CASE("a farewell in the middle of the handshake is none", "[tls_flow]") { drive(farewell_in_mid_handshake()); }

// ---- cuts (G16)

using faulty = faulty_flow<memory_flow>;
struct session {
  std::error_code failed;  // of the handshake, or of the reader
  std::string text;
  bool eof = false;
};
// The server's stream of a whole session, cut after so many bytes before it comes to the client.
task<> cut_session(std::size_t after, bool allowed, session* out) {
  auto pipe = coflow::memory_pipe();
  std::pair<faulty, faulty> below(faulty(std::move(pipe.first), fault_plan().end_reads_after(after)),
                                  faulty(std::move(pipe.second), fault_plan()));
  both<toy_context, faulty> ends;
  co_await connect(std::move(below), &context, &context, &ends, "localhost", tls_options().allow_truncation(allowed));
  out->failed = ends.client.failed.code();
  if (!ends.client.flow) co_return;
  task_scope scope;
  std::error_code sent;
  heard at_client;
  start(scope, listen(&*ends.client.flow, &at_client));
  start(scope, talk_and_shut(&*ends.server.flow, "some bytes, then some more", &sent));
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  out->failed = at_client.failed;
  out->text = at_client.text;
  out->eof = at_client.eof;
}
TEST_CASE("a session that is cut after any byte is truncated, never at its end", "[tls_flow]") {
  const std::string whole = "some bytes, then some more";
  constexpr std::size_t longest = 200;
  bool complete = false;
  for (std::size_t after = 0; after < longest && !complete; ++after) {
    session came;
    drive(cut_session(after, false, &came));
    INFO(after);
    CHECK(whole.starts_with(came.text));
    complete = came.eof;
    if (!complete) CHECK(came.failed == coflow::error::truncated);
    if (complete) CHECK(came.text == whole);
    session tolerant;
    drive(cut_session(after, true, &tolerant));
    CHECK(whole.starts_with(tolerant.text));
    // Before the handshake is done nothing can be tolerated.
    CHECK((tolerant.eof || tolerant.failed == coflow::error::truncated));
  }
  CHECK(complete);
}

// ---- answers that block

task<> duplex_through_little_room(std::size_t capacity) {
  const toy_context asking(1, 2);
  both<toy_context> ends;
  co_await connect(coflow::memory_pipe(capacity), &asking, &asking, &ends);
  REQUIRE(ends.client.flow);
  REQUIRE(ends.server.flow);
  const std::string there = many_bytes(300'000, 1);
  const std::string back = many_bytes(300'000, 2);
  heard at_client;
  heard at_server;
  std::error_code of_client;
  std::error_code of_server;
  task_scope scope;
  start(scope, talk_and_shut(&*ends.client.flow, there, &of_client));
  start(scope, talk_and_shut(&*ends.server.flow, back, &of_server));
  start(scope, listen(&*ends.client.flow, &at_client));
  start(scope, listen(&*ends.server.flow, &at_server));
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  CHECK(!of_client);
  CHECK(!of_server);
  CHECK((at_client.eof && at_client.text == back));
  CHECK((at_server.eof && at_server.text == there));
}
TEST_CASE("both directions flow at once through little room, with answers in between", "[tls_flow]") {
  for (const std::size_t capacity : {std::size_t{1}, std::size_t{100}, std::size_t{4096}})
    drive(duplex_through_little_room(capacity));
}

task<> read_behind_a_blocked_answer() {
  const toy_context asking(1, 1);
  both<toy_context> ends;
  co_await connect(coflow::memory_pipe(64), &asking, &context, &ends);
  task_scope scope;
  std::error_code sent;
  // The server's writer is stuck: nobody reads at the client's end. Its answers stand behind that.
  start(scope, talk_and_shut(&*ends.server.flow, many_bytes(100'000), &sent));
  co_await turns(5);
  std::error_code of_client;
  start(scope, talk_and_shut(&*ends.client.flow, "delivered all the same", &of_client));
  const read_result got = co_await ends.server.flow->read();
  REQUIRE(got);
  CHECK(got->text() == "delivered all the same");
  scope.cancel();
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}
TEST_CASE("data behind an answer that blocks is delivered first", "[tls_flow]") {
  drive(read_behind_a_blocked_answer());
}

// ---- the laws of layers

template <class F>
task<result<F>> as_code(task<result<F, tls_error>> making) {
  auto came = co_await std::move(making);
  if (!came) co_return came.error().code();
  co_return std::move(*came);
}
TEST_CASE("the TLS layer keeps the laws of layers, all of them", "[tls_flow]") {
  const auto wrap = [](coflow::probe_flow inner, coflow::layer_end end) {
    if (end == coflow::layer_end::first) return as_code(coflow::tls_client(context, std::move(inner), "localhost"));
    return as_code(coflow::tls_server(context, std::move(inner)));
  };
  const coflow::report found = coflow::check_layer(wrap, coflow::layer_options().ends_with_goodbye());
  for (const coflow::finding& one : found.findings()) CHECK(to_string(one) == "");
  CHECK(found.checks() == coflow::laws::all_layer_laws().size());
}

}  // namespace
