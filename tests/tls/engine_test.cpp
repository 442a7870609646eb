// What is asked of an engine: the concepts, and that the toy engine, over which the layer is tested, keeps the
// promises.
#include <coflow/tls/engine.hpp>
#include <string>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/codec_sink.hpp"
#include "support/toy_engine.hpp"

namespace {

using coflow::buffer;
using coflow::TlsEngine;
using support::codec_sink;
using support::toy_engine;
using support::toy_role;

struct without_explain : support::toy_codec {
  using toy_codec::toy_codec;
};
struct without_update : toy_engine {
  using toy_engine::toy_engine;
  void request_key_update() = delete;
};
struct client_only {
  coflow::result<toy_engine, coflow::tls_error> client_engine(const std::string&) const {
    return toy_engine(toy_role::client);
  }
};
struct engine_without_error {
  coflow::result<toy_engine, int> server_engine() const { return toy_engine(toy_role::server); }
};

static_assert(TlsEngine<toy_engine>);
static_assert(!TlsEngine<without_explain>);
static_assert(!TlsEngine<without_update>);
static_assert(coflow::TlsClientContext<client_only>);
static_assert(!coflow::TlsServerContext<client_only>);
static_assert(!coflow::TlsServerContext<engine_without_error>);

// All that one has to say goes to the other, until both are silent.
void exchange(toy_engine& a, codec_sink& of_a, toy_engine& b, codec_sink& of_b) {
  for (;;) {
    const std::string to_b = of_a.take_sent();
    if (!to_b.empty()) b.feed(buffer(to_b), of_b);
    const std::string to_a = of_b.take_sent();
    if (!to_a.empty()) a.feed(buffer(to_a), of_a);
    if (to_a.empty() && to_b.empty()) return;
  }
}

struct two {
  toy_engine client{toy_role::client};
  toy_engine server{toy_role::server};
  codec_sink of_client;
  codec_sink of_server;
  two() {
    client.start(of_client);
    server.start(of_server);
  }
  void talk() { exchange(client, of_client, server, of_server); }
};

TEST_CASE("an engine tells what was agreed on when the handshake is done, and not before", "[engine]") {
  two ends;
  CHECK(ends.client.version().empty());
  CHECK(!ends.client.established());
  ends.talk();
  CHECK(ends.client.established());
  CHECK(ends.server.established());
  CHECK(ends.client.version() == ends.server.version());
  CHECK(ends.client.cipher() == "xor");
}

TEST_CASE("an engine's key update is answered by the peer's", "[engine]") {
  two ends;
  ends.talk();
  ends.client.request_key_update();
  CHECK(ends.of_client.pieces() == 0);
  buffer text("after the update");
  CHECK(!ends.client.seal(std::span<buffer>(&text, 1), ends.of_client));
  ends.talk();
  CHECK(ends.of_server.take_data() == "after the update");
  CHECK(ends.client.pongs() == 1);
}

TEST_CASE("an engine tells of the peer's goodbye, and goes on sealing", "[engine]") {
  two ends;
  ends.talk();
  ends.client.farewell(ends.of_client);
  CHECK(!ends.server.peer_said_goodbye());
  ends.talk();
  CHECK(ends.server.peer_said_goodbye());
  CHECK(ends.of_server.ended());
  CHECK(!ends.of_server.failure());
  buffer text("still here");
  CHECK(!ends.server.seal(std::span<buffer>(&text, 1), ends.of_server));
  ends.talk();
  CHECK(ends.of_client.take_data() == "still here");
}

TEST_CASE("an engine refuses what was changed on its way, behind the data before it", "[engine]") {
  two ends;
  ends.talk();
  buffer good("good");
  CHECK(!ends.client.seal(std::span<buffer>(&good, 1), ends.of_client));
  buffer bad("bad");
  CHECK(!ends.client.seal(std::span<buffer>(&bad, 1), ends.of_client));
  std::string wire = ends.of_client.take_sent();
  wire.back() = static_cast<char>(wire.back() ^ 1);
  ends.server.feed(buffer(wire), ends.of_server);
  CHECK(ends.of_server.take_data() == "good");
  CHECK(ends.of_server.failure() == std::errc::bad_message);
  CHECK(ends.server.explain(ends.of_server.failure()).starts_with("toy: "));
  CHECK(!ends.server.peer_said_goodbye());
}

}  // namespace
