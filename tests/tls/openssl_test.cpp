// TLS with OpenSSL, as whoever includes the binding uses it: connections that carry bytes, over everything that is a
// flow.
#include <coflow/layer/any_flow.hpp>
#include <coflow/layer/codec_flow.hpp>
#include <coflow/layer/length_prefix_codec.hpp>
#include <coflow/net.hpp>
#include <coflow/tls/openssl.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/openssl_ends.hpp"

namespace {

using namespace openssl_ends;

// Both directions at once, then both ends.
template <class Ends>
task<> exchange(Ends* sides, std::size_t bytes) {
  REQUIRE(sides->client.flow);
  REQUIRE(sides->server.flow);
  const std::string there = many_bytes(bytes, 1);
  const std::string back = many_bytes(bytes, 2);
  heard at_client;
  heard at_server;
  std::error_code of_client;
  std::error_code of_server;
  task_scope scope;
  start(scope, talk_and_shut(&*sides->client.flow, there, &of_client));
  start(scope, talk_and_shut(&*sides->server.flow, back, &of_server));
  start(scope, listen(&*sides->client.flow, &at_client));
  start(scope, listen(&*sides->server.flow, &at_server));
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  CHECK(!of_client);
  CHECK(!of_server);
  CHECK((at_client.eof && at_client.text == back));
  CHECK((at_server.eof && at_server.text == there));
  co_await sides->client.flow->close();
  co_await sides->server.flow->close();
}

task<> talk(std::size_t capacity, std::size_t bytes, tls_version version) {
  const openssl_context of_client = client();
  const openssl_context of_server = server(openssl_options().maximum_version(version));
  ends sides;
  co_await connect(coflow::memory_pipe(capacity), &of_client, &of_server, &sides);
  REQUIRE(sides.client.flow);
  const bool newest = version == tls_version::v1_3;
  CHECK(sides.client.flow->version() == (newest ? "TLSv1.3" : "TLSv1.2"));
  CHECK(sides.client.flow->cipher() == sides.server.flow->cipher());
  CHECK(!sides.client.flow->cipher().empty());
  CHECK(sides.server.flow->engine().server_name() == "localhost");
  co_await exchange(&sides, bytes);
}

TEST_CASE("both directions of a connection flow at once, through little room too", "[openssl]") {
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    drive(talk(64 * 1024, 1'000'000, version));
    drive(talk(4096, 300'000, version));
    drive(talk(100, 100'000, version));
    drive(talk(1, 3'000, version));
  }
}

// Over a flow whose type is not part of the type: what is below makes no difference to the layer.
using coflow::any_flow;
using any_ends = both<openssl_context, any_flow>;
using any_pair = std::pair<any_flow, any_flow>;

task<> over(any_pair below, std::size_t bytes) {
  const openssl_context of_client = client();
  const openssl_context of_server = server();
  any_ends sides;
  co_await connect(std::move(below), &of_client, &of_server, &sides);
  co_await exchange(&sides, bytes);
}

TEST_CASE("TLS goes over a framed flow", "[openssl]") {
  using framed = coflow::codec_flow<coflow::length_prefix_codec, memory_flow>;
  auto pipe = coflow::memory_pipe(4096);
  drive(over(any_pair(framed(coflow::length_prefix_codec(), std::move(pipe.first)),
                      framed(coflow::length_prefix_codec(), std::move(pipe.second))),
             200'000));
}

task<> over_itself() {
  const openssl_context of_client = client();
  const openssl_context of_server = server();
  ends below;
  co_await connect(coflow::memory_pipe(4096), &of_client, &of_server, &below, "127.0.0.1");
  REQUIRE(below.client.flow);
  REQUIRE(below.server.flow);
  co_await over(any_pair(std::move(*below.client.flow), std::move(*below.server.flow)), 200'000);
}
TEST_CASE("TLS goes over TLS", "[openssl]") { drive(over_itself()); }

task<std::pair<coflow::tcp_flow, coflow::tcp_flow>> tcp_pair() {
  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
  REQUIRE(listener);
  auto from = co_await coflow::tcp_connect(listener->local_endpoint());
  REQUIRE(from);
  auto to = co_await listener->accept();
  REQUIRE(to);
  std::pair<coflow::tcp_flow, coflow::tcp_flow> both(std::move(*from), std::move(*to));
  co_return std::move(both);
}
task<> over_tcp() {
  auto below = co_await tcp_pair();
  co_await over(any_pair(std::move(below.first), std::move(below.second)), 3'000'000);
}
TEST_CASE("TLS goes over TCP", "[openssl]") {
  coflow::event_loop loop;
  coflow::run(loop, over_tcp());
}

// A client's handshake is done before its server has seen that it shows no certificate.
task<> refused_client(coflow::tcp_flow below, const openssl_context* of_client, std::error_code* learnt) {
  auto made = co_await coflow::tls_client(*of_client, std::move(below), "localhost");
  REQUIRE(made);
  // More than the server's side reads at once: when it refuses, there is input that nobody has read.
  static_cast<void>(co_await made->write(buffer(std::string(400'000, 'x'))));
  for (;;) {
    const read_result got = co_await made->read();
    if (got) continue;
    if (!got.eof()) *learnt = got.error();
    break;
  }
  co_await made->close();
}
task<> refuse_over_tcp() {
  const openssl_context of_client = client();
  const openssl_context strict = server(openssl_options().trust(cast().trusted.pem()).require_client_certificate());
  auto below = co_await tcp_pair();
  std::error_code learnt;
  task_scope scope;
  start(scope, refused_client(std::move(below.first), &of_client, &learnt));
  const auto refused = co_await coflow::tls_server(strict, std::move(below.second));
  REQUIRE(!refused);
  CHECK(refused.error() == tls_condition::certificate_missing);
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  CHECK(learnt == tls_condition::own_certificate_refused);
}
TEST_CASE("a client that is refused learns why, whatever it has sent already", "[openssl]") {
  coflow::event_loop loop;
  coflow::run(loop, refuse_over_tcp());
}

task<> many_small_buffers() {
  const openssl_context of_client = client();
  const openssl_context of_server = server();
  ends sides;
  co_await connect(coflow::memory_pipe(1024 * 1024), &of_client, &of_server, &sides);
  std::vector<buffer> list;
  std::string whole;
  for (int i = 0; i < 10'000; ++i) {
    std::string text(static_cast<std::size_t>(i % 7), static_cast<char>('a' + i % 26));
    whole += text;
    list.push_back(buffer::adopt(std::move(text)));
  }
  const result<void> sent = co_await sides.client.flow->writev(list);
  CHECK(sent.has_value());
  for (const buffer& one : list) CHECK(one.empty());
  std::string got;
  int reads = 0;
  while (got.size() < whole.size()) {
    const read_result some = co_await sides.server.flow->read();
    REQUIRE(some);
    got.append(some->text());
    ++reads;
  }
  CHECK(got == whole);
  CHECK(reads <= 3);  // 30,000 bytes are two records
}
TEST_CASE("very many small buffers fill records", "[openssl]") { drive(many_small_buffers()); }

// ---- what the context's lifetime does not matter to

task<> without_contexts() {
  ends sides;
  {
    const openssl_context of_client = client();
    const openssl_context of_server = server();
    auto pipe = coflow::memory_pipe();
    auto from = coflow::tls_client(of_client, std::move(pipe.first), "localhost");
    auto to = coflow::tls_server(of_server, std::move(pipe.second));
    task_scope scope;
    start(scope, keep(std::move(from), &sides.client));
    start(scope, keep(std::move(to), &sides.server));
    const result<void> joined = co_await scope.join();
    CHECK(joined.has_value());
  }
  co_await exchange(&sides, 1000);
}
TEST_CASE("a connection outlives the contexts that it was made with", "[openssl]") { drive(without_contexts()); }

// ---- endings

task<> half_closed(bool client_first, tls_version version) {
  const openssl_context of_client = client();
  const openssl_context of_server = server(openssl_options().maximum_version(version));
  ends sides;
  co_await connect(coflow::memory_pipe(), &of_client, &of_server, &sides);
  flow& first = client_first ? *sides.client.flow : *sides.server.flow;
  flow& second = client_first ? *sides.server.flow : *sides.client.flow;
  co_await first.shutdown(shutdown_mode::write);
  const read_result end = co_await second.read();
  CHECK(end.eof());
  CHECK(second.peer_said_goodbye());
  CHECK(!first.peer_said_goodbye());
  const std::error_code sent = co_await say(&second, "one direction is left");
  CHECK(!sent);
  const read_result got = co_await first.read();
  REQUIRE(got);
  CHECK(got->text() == "one direction is left");
  co_await second.close();
  const read_result last = co_await first.read();
  CHECK(last.eof());
}
TEST_CASE("close_notify ends one direction", "[openssl]") {
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    drive(half_closed(true, version));
    drive(half_closed(false, version));
  }
}

task<> destroyed() {
  const openssl_context of_client = client();
  const openssl_context of_server = server();
  ends sides;
  co_await connect(coflow::memory_pipe(), &of_client, &of_server, &sides);
  const std::error_code sent = co_await say(&*sides.client.flow, "last words");
  CHECK(!sent);
  sides.client.flow.reset();
  heard at_server;
  co_await listen(&*sides.server.flow, &at_server);
  CHECK(at_server.text == "last words");
  CHECK(at_server.failed == coflow::error::truncated);
}
TEST_CASE("the end of the connection without close_notify is truncation", "[openssl]") { drive(destroyed()); }

// ---- key updates

task<> new_keys(bool by_client) {
  const openssl_context of_client = client();
  const openssl_context of_server = server();
  ends sides;
  co_await connect(coflow::memory_pipe(), &of_client, &of_server, &sides);
  flow& asking = by_client ? *sides.client.flow : *sides.server.flow;
  flow& other = by_client ? *sides.server.flow : *sides.client.flow;
  for (int round = 0; round < 20; ++round) {
    asking.request_key_update();
    if (round % 3 == 0) asking.request_key_update();
    const std::error_code sent = co_await say(&asking, "under new keys");
    CHECK(!sent);
    const read_result got = co_await other.read();
    REQUIRE(got);
    CHECK(got->text() == "under new keys");
    const std::error_code answered = co_await say(&other, "these too");
    CHECK(!answered);
    const read_result back = co_await asking.read();
    REQUIRE(back);
    CHECK(back->text() == "these too");
  }
  asking.request_key_update();
  co_await asking.close();
  const read_result end = co_await other.read();
  CHECK(end.eof());
}
TEST_CASE("keys are updated on demand, and the peer follows", "[openssl]") {
  drive(new_keys(true));
  drive(new_keys(false));
}

task<> no_new_keys() {
  const openssl_context of_client = client(openssl_options().maximum_version(tls_version::v1_2));
  const openssl_context of_server = server();
  ends sides;
  co_await connect(coflow::memory_pipe(), &of_client, &of_server, &sides);
  sides.client.flow->request_key_update();
  co_await exchange(&sides, 10);
}
TEST_CASE("TLS 1.2 has no key updates, and minds no request", "[openssl]") { drive(no_new_keys()); }

}  // namespace
