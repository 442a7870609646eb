// Certificates: whose are accepted, what is said of those that are not, and what can be read of them.
#include <coflow/tls/openssl_certificate.hpp>
#include <string>
#include <vector>

#include "support/openssl_ends.hpp"

namespace {

using namespace openssl_ends;
using coflow::openssl_certificate;

// ---- the server's

struct wrong {
  const char* what;
  identity shown;
  const char* host;
  tls_condition condition;
  const char* message;
  tls_condition not_this = tls_condition::bad_configuration;
};

std::vector<wrong> wrong_servers() {
  const authority stranger("nobody's authority");
  std::vector<wrong> all;
  all.push_back({"expired", cast().trusted.issue(request("old").hosts("DNS:localhost").valid(-7200, -3600)),
                 "localhost", tls_condition::certificate_expired,
                 "certificate verify failed: certificate has expired (host localhost)",
                 tls_condition::certificate_untrusted});
  all.push_back({"not yet valid", cast().trusted.issue(request("new").hosts("DNS:localhost").valid(3600, 7200)),
                 "localhost", tls_condition::certificate_expired,
                 "certificate verify failed: certificate is not yet valid (host localhost)"});
  all.push_back({"another host", cast().server, "example.com", tls_condition::certificate_wrong_host,
                 "certificate verify failed: hostname mismatch, the certificate is for localhost, *.example.org, "
                 "127.0.0.1, 0000:0000:0000:0000:0000:0000:0000:0001 (host example.com)",
                 tls_condition::certificate_untrusted});
  all.push_back({"another address", cast().server, "127.0.0.2", tls_condition::certificate_wrong_host,
                 "certificate verify failed: IP address mismatch, the certificate is for localhost, *.example.org, "
                 "127.0.0.1, 0000:0000:0000:0000:0000:0000:0000:0001 (host 127.0.0.2)"});
  all.push_back({"unknown authority", stranger.issue(request("x").hosts("DNS:localhost")), "localhost",
                 tls_condition::certificate_untrusted,
                 "certificate verify failed: unable to get local issuer certificate (host localhost)"});
  all.push_back({"a client's", cast().trusted.issue(request("c").hosts("DNS:localhost").for_clients()), "localhost",
                 tls_condition::certificate_refused,
                 "certificate verify failed: unsuitable certificate purpose (host localhost)",
                 tls_condition::certificate_untrusted});
  return all;
}

void check_refused(const ends& both, const wrong& one) {
  INFO(one.what);
  CHECK(!both.client.flow);
  CHECK(both.client.failed == one.condition);
  CHECK(both.client.failed == tls_condition::certificate_refused);
  CHECK(!(both.client.failed == one.not_this));
  CHECK(both.client.failed.message() == one.message);
  CHECK(both.client.failed.host() == one.host);
  // The alert has come to the server before the end of the connection.
  CHECK(!both.server.flow);
  CHECK(both.server.failed == tls_condition::refused_by_peer);
  CHECK(both.server.failed == tls_condition::own_certificate_refused);
}

TEST_CASE("a client refuses a server whose certificate is not in order, and says why", "[openssl_certificate]") {
  const openssl_context asking = client();
  for (const wrong& one : wrong_servers()) {
    if (one.condition == tls_condition::certificate_refused) {
      const ends both = meet(asking, server_as(one.shown), one.host);
      CHECK(both.client.failed.message() == one.message);
      CHECK(both.client.failed == one.condition);
      CHECK(!(both.client.failed == one.not_this));
      continue;
    }
    for (const tls_version version : {tls_version::v1_2, tls_version::v1_3})
      check_refused(meet(asking, server_as(one.shown, openssl_options().maximum_version(version)), one.host), one);
  }
}

TEST_CASE("a self-signed certificate is called so", "[openssl_certificate]") {
  const authority alone("alone");
  const identity leaf = alone.issue(request("leaf").hosts("DNS:example.org"));
  const identity with_root{leaf.chain + alone.pem(), leaf.key};
  const ends both = meet(client(), server_as(with_root), "example.org");
  CHECK(both.client.failed.message() ==
        "certificate verify failed: self-signed certificate in certificate chain (host example.org)");
  CHECK(both.client.failed == tls_condition::certificate_untrusted);
}

TEST_CASE("names, wildcards and addresses are what a certificate is for", "[openssl_certificate]") {
  const openssl_context asking = client();
  const openssl_context answering = server();
  for (const char* host : {"localhost", "LOCALHOST", "localhost.", "127.0.0.1", "::1", "[::1]", "a.example.org"}) {
    INFO(host);
    CHECK(meet(asking, answering, host).client.flow);
  }
  for (const char* host : {"example.org", "a.b.example.org", "localhost.example.com", "127.0.0.11", "::2", "local"}) {
    INFO(host);
    CHECK(meet(asking, answering, host).client.failed == tls_condition::certificate_wrong_host);
  }
}

TEST_CASE("a client that verifies needs to know whom", "[openssl_certificate]") {
  const openssl_context asking = client();
  for (const std::string& host : {std::string(), std::string("."), std::string("a\0b", 3), std::string(300, 'x')}) {
    const ends both = meet(asking, server(), host);
    CHECK(both.client.failed == std::errc::invalid_argument);
    CHECK(both.server.failed == coflow::error::truncated);
  }
}

TEST_CASE("verification is on unless it is turned off by its unmistakable name", "[openssl_certificate]") {
  const identity nobody = authority("nobody").issue(request("x").hosts("DNS:elsewhere"));
  CHECK(!meet(other_client(openssl_options()), server_as(nobody)).client.flow);
  const openssl_context any = other_client(openssl_options().dangerously_accept_any_certificate());
  const ends both = meet(any, server_as(nobody));
  REQUIRE(both.client.flow);
  CHECK(both.client.flow->engine().peer_certificate().subject() == "CN = x");
  CHECK(meet(any, server_as(nobody), "").client.flow);
}

TEST_CASE("a chain leads to the authority through those between", "[openssl_certificate]") {
  const authority between = cast().trusted.intermediate("between");
  const identity leaf = between.issue(request("leaf").hosts("DNS:localhost"));
  CHECK(meet(client(), server_as({leaf.chain + between.pem(), leaf.key})).client.flow);
  CHECK(meet(client(), server_as(leaf)).client.failed == tls_condition::certificate_untrusted);
}

// ---- the client's

struct mutual {
  std::error_code client;  // of the handshake, or of the first read
  tls_error server;
  std::string subject;
};
task<> ask_for(const openssl_context* of_client, const openssl_context* of_server, mutual* out) {
  ends both_sides;
  co_await connect(coflow::memory_pipe(), of_client, of_server, &both_sides);
  out->client = both_sides.client.failed.code();
  out->server = both_sides.server.failed;
  if (both_sides.server.flow) {
    out->subject = both_sides.server.flow->engine().peer_certificate().subject();
    co_await both_sides.server.flow->close();
  }
  if (!both_sides.client.flow) co_return;
  const read_result got = co_await both_sides.client.flow->read();
  if (!got && !got.eof()) out->client = got.error();
}
mutual ask(const openssl_context& of_client, const openssl_context& of_server) {
  mutual out;
  drive(ask_for(&of_client, &of_server, &out));
  return out;
}

TEST_CASE("a server may ask for a certificate, or require one", "[openssl_certificate]") {
  const identity& good = cast().client;
  const identity bad = authority("nobody").issue(request("nobody").for_clients());
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    const auto options = [version] { return openssl_options().maximum_version(version); };
    const openssl_context with = client(options().certificate(good.chain, good.key));
    const openssl_context with_bad = client(options().certificate(bad.chain, bad.key));
    const openssl_context without = client(options());
    const openssl_context asks = server(openssl_options().trust(cast().trusted.pem()).request_client_certificate());
    const openssl_context requires_one =
        server(openssl_options().trust(cast().trusted.pem()).require_client_certificate());

    CHECK(ask(with, server()).subject.empty());
    for (const openssl_context* one : {&asks, &requires_one}) {
      const mutual accepted = ask(with, *one);
      CHECK(!accepted.client);
      CHECK(accepted.subject == "CN = a client");
      const mutual refused = ask(with_bad, *one);
      CHECK(refused.server == tls_condition::certificate_untrusted);
      CHECK(refused.client == tls_condition::own_certificate_refused);
    }
    const mutual nothing = ask(without, asks);
    CHECK((!nothing.client && !nothing.server.code() && nothing.subject.empty()));
    const mutual missing = ask(without, requires_one);
    CHECK(missing.server == tls_condition::certificate_missing);
    CHECK(missing.server.message() == "the peer sent no certificate, and one is required");
    CHECK(missing.client == tls_condition::refused_by_peer);
  }
}

// ---- what can be read of one

TEST_CASE("a peer's certificate can be looked at", "[openssl_certificate]") {
  const ends both = meet(client(), server());
  REQUIRE(both.client.flow);
  const openssl_certificate shown = both.client.flow->engine().peer_certificate();
  REQUIRE(shown);
  CHECK(shown.subject() == "CN = server");
  CHECK(shown.issuer() == "CN = a test authority");
  CHECK(shown.pem() == cast().server.chain);
  CHECK(shown.hosts() ==
        std::vector<std::string>{"localhost", "*.example.org", "127.0.0.1", "0000:0000:0000:0000:0000:0000:0000:0001"});
  CHECK(shown.fingerprint().size() == 64);
  CHECK(shown.fingerprint().find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(!shown.der().empty());
  const openssl_certificate copy = shown;
  CHECK(copy.native_handle() == shown.native_handle());
  CHECK(!both.server.flow->engine().peer_certificate());
}

TEST_CASE("no certificate has nothing to say", "[openssl_certificate]") {
  const openssl_certificate none;
  CHECK(!none);
  CHECK((none.subject() + none.issuer() + none.pem() + none.der() + none.fingerprint()).empty());
  CHECK(none.hosts().empty());
  const openssl_certificate copy = none;
  CHECK(copy.native_handle() == nullptr);
}

}  // namespace
