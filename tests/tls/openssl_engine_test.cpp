// The engine alone, without a flow: what it makes of bytes, however they are cut, and that it keeps none.
#include <coflow/tls/openssl_engine.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "support/codec_sink.hpp"
#include "support/openssl_ends.hpp"

namespace {

using namespace openssl_ends;
using support::codec_sink;

struct two {
  openssl_engine client;
  openssl_engine server;
  codec_sink of_client;
  codec_sink of_server;

  two(const openssl_context& from, const openssl_context& to)
      : client(from.client_engine("localhost").value()), server(to.server_engine().value()) {
    client.start(of_client);
    server.start(of_server);
  }
  // Until both are silent; in pieces of so many bytes.
  void talk(std::size_t piece = SIZE_MAX) {
    for (;;) {
      const std::string there = of_client.take_sent();
      feed(server, of_server, there, piece);
      const std::string back = of_server.take_sent();
      feed(client, of_client, back, piece);
      if (there.empty() && back.empty()) return;
    }
  }
  static void feed(openssl_engine& to, codec_sink& out, std::string_view bytes, std::size_t piece) {
    while (!bytes.empty()) {
      to.feed(buffer(bytes.substr(0, piece)), out);
      bytes.remove_prefix(bytes.size() < piece ? bytes.size() : piece);
    }
  }
};

std::error_code seal(openssl_engine& by, codec_sink& out, std::vector<std::string> texts) {
  std::vector<buffer> plain;
  for (std::string& one : texts) plain.push_back(buffer::adopt(std::move(one)));
  return by.seal(plain, out);
}
std::vector<std::size_t> records_in(std::string_view bytes) {
  std::vector<std::size_t> sizes;
  while (bytes.size() >= 5) {
    const std::size_t size =
        static_cast<std::size_t>(static_cast<unsigned char>(bytes[3])) << 8 | static_cast<unsigned char>(bytes[4]);
    sizes.push_back(size);
    bytes.remove_prefix(size + 5);
  }
  CHECK(bytes.empty());
  return sizes;
}

TEST_CASE("any split of the stream gives the same bytes", "[openssl_engine]") {
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{5}, std::size_t{1000}, SIZE_MAX}) {
      two ends(client(), server(openssl_options().maximum_version(version)));
      ends.talk(piece);
      REQUIRE(ends.client.established());
      REQUIRE(ends.server.established());
      const std::string text = many_bytes(40'000);
      CHECK(!seal(ends.client, ends.of_client, {text}));
      ends.client.farewell(ends.of_client);
      ends.talk(piece);
      CHECK(ends.of_server.take_data() == text);
      CHECK(ends.of_server.ended());
      CHECK(!ends.of_server.failure());
    }
  }
}

TEST_CASE("what comes glued to the end of the handshake is data", "[openssl_engine]") {
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    two ends(client(), server(openssl_options().maximum_version(version)));
    while (!ends.client.established()) {
      two::feed(ends.server, ends.of_server, ends.of_client.take_sent(), SIZE_MAX);
      two::feed(ends.client, ends.of_client, ends.of_server.take_sent(), SIZE_MAX);
    }
    // In TLS 1.3 the client's last flight is still to be sent.
    CHECK(!seal(ends.client, ends.of_client, {"glued"}));
    two::feed(ends.server, ends.of_server, ends.of_client.take_sent(), SIZE_MAX);
    CHECK(ends.server.established());
    CHECK(ends.of_server.take_data() == "glued");
  }
}

TEST_CASE("small buffers fill records, and large ones are not copied together", "[openssl_engine]") {
  two ends(client(), server());
  ends.talk();
  const auto sizes = [&ends](std::vector<std::string> texts) {
    const std::error_code failed = seal(ends.client, ends.of_client, std::move(texts));
    CHECK(!failed);
    const std::string wire = ends.of_client.take_sent();
    two::feed(ends.server, ends.of_server, wire, SIZE_MAX);
    return records_in(wire);
  };
  constexpr std::size_t overhead = 17;  // of a record of TLS 1.3
  CHECK(sizes({"a"}) == std::vector<std::size_t>{1 + overhead});
  CHECK(sizes(std::vector<std::string>(16, "0123456789")) == std::vector<std::size_t>{160 + overhead});
  CHECK(sizes(std::vector<std::string>(16, std::string(1500, 'x'))) ==
        std::vector<std::size_t>{16384 + overhead, 16 * 1500 - 16384 + overhead});
  CHECK(sizes({std::string(65536, 'x')}) == std::vector<std::size_t>(4, 16384 + overhead));
  CHECK(sizes({std::string(5000, 'x'), "small", "smaller", std::string(5000, 'x')}) ==
        std::vector<std::size_t>{5000 + overhead, 5012 + overhead});
  CHECK(sizes({"small", std::string(40'000, 'x')}) ==
        std::vector<std::size_t>{16384 + overhead, 16384 + overhead, 40'005 - 2 * 16384 + overhead});
  CHECK(ends.of_server.take_data().size() == 1 + 160 + 24'000 + 65536 + 10'012 + 40'005);
}

TEST_CASE("records that come together are handed out together", "[openssl_engine]") {
  two ends(client(), server());
  ends.talk();
  for (int i = 0; i < 50; ++i) CHECK(!seal(ends.client, ends.of_client, {"0123456789"}));
  two::feed(ends.server, ends.of_server, ends.of_client.take_sent(), SIZE_MAX);
  CHECK(ends.of_server.pieces() == 1);
  CHECK(ends.of_server.take_data().size() == 500);
  CHECK(!seal(ends.client, ends.of_client, {std::string(150'000, 'x')}));
  two::feed(ends.server, ends.of_server, ends.of_client.take_sent(), SIZE_MAX);
  CHECK(ends.of_server.pieces() == 3);  // of 64 KiB at most
}

TEST_CASE("data that came before a failure is handed out before it", "[openssl_engine]") {
  two ends(client(), server());
  ends.talk();
  CHECK(!seal(ends.client, ends.of_client, {"good"}));
  const std::string good = ends.of_client.take_sent();
  CHECK(!seal(ends.client, ends.of_client, {"bad"}));
  std::string bad = ends.of_client.take_sent();
  bad.back() = static_cast<char>(bad.back() ^ 1);
  two::feed(ends.server, ends.of_server, good + bad, SIZE_MAX);
  CHECK(ends.of_server.take_data() == "good");
  CHECK(ends.of_server.failure() == tls_condition::record_corrupted);
  // The alert that tells the peer, and nothing behind it.
  CHECK(records_in(ends.of_server.take_sent()).size() == 1);
  CHECK(seal(ends.server, ends.of_server, {"more"}) == ends.of_server.failure());
  ends.server.farewell(ends.of_server);
  CHECK(ends.of_server.take_sent().empty());
}

TEST_CASE("a failure leaves nothing in the thread's error queue, and takes nothing from it", "[openssl_engine]") {
  ERR_raise(ERR_LIB_SSL, SSL_R_UNEXPECTED_MESSAGE);  // somebody else's
  two ends(client(), server());
  ends.talk();
  CHECK(ends.server.established());
  two::feed(ends.server, ends.of_server, "no record at all", SIZE_MAX);
  CHECK(ends.of_server.failure());
  CHECK(ERR_peek_error() == 0);
}

// OpenSSL cannot write while it is in the middle of a message of the peer's.
TEST_CASE("what is sealed in the middle of the peer's message goes out behind it", "[openssl_engine]") {
  std::string padding;
  for (int i = 0; i < 200; ++i) padding += "DNS:host-number-" + std::to_string(i) + ".example.org, ";
  const identity long_one =
      cast().trusted.issue(request("with many names").hosts(padding + "DNS:x.example.org").for_clients());
  // Its ticket holds the client's certificate, and takes several records.
  const openssl_context strict = server(openssl_options().trust(cast().trusted.pem()).require_client_certificate());
  SSL_CTX_set_max_send_fragment(strict.native_handle(), 512);
  two ends(client(openssl_options().certificate(long_one.chain, long_one.key)), strict);
  while (!ends.server.established()) {
    two::feed(ends.server, ends.of_server, ends.of_client.take_sent(), SIZE_MAX);
    if (!ends.server.established()) two::feed(ends.client, ends.of_client, ends.of_server.take_sent(), SIZE_MAX);
  }
  const std::string tickets = ends.of_server.take_sent();
  REQUIRE(records_in(tickets).size() > 4);
  std::size_t waited = 0;
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    ends.client.feed(buffer(std::string_view(tickets).substr(i, 1)), ends.of_client);
    CHECK(!seal(ends.client, ends.of_client, {"x"}));
    const std::string sent = ends.of_client.take_sent();
    waited += sent.empty();
    two::feed(ends.server, ends.of_server, sent, SIZE_MAX);
  }
  CHECK(waited > 100);
  CHECK(ends.of_server.take_data() == std::string(tickets.size(), 'x'));
}

TEST_CASE("an engine that was moved goes on", "[openssl_engine]") {
  two ends(client(), server());
  ends.talk();
  openssl_engine moved = std::move(ends.client);
  CHECK(!seal(moved, ends.of_client, {"from elsewhere"}));
  two::feed(ends.server, ends.of_server, ends.of_client.take_sent(), SIZE_MAX);
  CHECK(ends.of_server.take_data() == "from elsewhere");
  CHECK(moved.session());
}

TEST_CASE("a peer cannot renegotiate", "[openssl_engine]") {
  two ends(client(openssl_options().maximum_version(tls_version::v1_2)), server());
  ends.talk();
  SSL* const raw = ends.client.native_handle();
  SSL_clear_options(raw, SSL_OP_NO_RENEGOTIATION);
  REQUIRE(SSL_renegotiate(raw) == 1);
  static_cast<void>(seal(ends.client, ends.of_client, {"x"}));
  ends.talk();
  CHECK(ends.client.established());
  CHECK(SSL_num_renegotiations(ends.server.native_handle()) == 0);
  CHECK(ends.of_client.failure());
}

}  // namespace
