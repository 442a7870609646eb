// Contexts: whom a client asks for, sessions that are taken up again, servers of several names, and what copies share.
#include <coflow/tls/openssl_context.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/openssl_ends.hpp"

namespace {

using namespace openssl_ends;
using coflow::openssl_session;

// ---- hosts

// None when a server of the name is accepted, else why it is not.
std::error_code verdict_on(const std::string& host, const openssl_context& answering) {
  const openssl_context asking = client();
  const ends both_sides = meet(asking, answering, host);
  CHECK(both_sides.client.flow.has_value() == !both_sides.client.failed.code());
  return both_sides.client.failed.code();
}
std::string with_zero(std::string before, std::string_view behind) { return before.append(1, '\0').append(behind); }

TEST_CASE("a host is a name or an address, in any of its spellings", "[openssl_context]") {
  const openssl_context answering = server();
  for (const char* host : {"localhost", "LOCALHOST.", "a.example.org", "127.0.0.1", "127.0.0.1.", "::1", "[::1]",
                           "0:0:0:0:0:0:0:1", "::1%lo", "[::1%25lo]"}) {
    INFO(host);
    CHECK(!verdict_on(host, answering));
  }
}

TEST_CASE("what is no name or address is nobody's, whatever it begins with", "[openssl_context]") {
  const openssl_context answering = server();
  const std::string addresses[] = {"127.0.0.1 evil.test",
                                   "127.0.0.1%evil.test",
                                   "127.0.0.1%lo",
                                   "::1 evil.test",
                                   "[127.0.0.1",
                                   with_zero("127.0.0.1", ".evil"),
                                   with_zero("::1", ".evil"),
                                   with_zero("::1%lo", ".evil")};
  const std::string names[] = {"",
                               ".",
                               ".example.org",
                               "*.example.org",
                               " localhost",
                               "localhost ",
                               "localhost\n",
                               "user@localhost",
                               "localhost:443",
                               "[localhost",
                               "[",
                               "[]",
                               with_zero("localhost", ".evil"),
                               std::string(300, 'a')};
  for (const std::string& host : addresses) {
    INFO(host);
    CHECK(verdict_on(host, answering) == std::errc::invalid_argument);
  }
  for (const std::string& host : names) {
    INFO(host);
    CHECK(verdict_on(host, answering) == std::errc::invalid_argument);
  }
  // These could be names, and the certificate is for others.
  for (const char* host : {"127.00.0.1", "127.1", "0x7f.0.0.1", "2130706433", "localhost..", "a.b.example.org"}) {
    INFO(host);
    CHECK(verdict_on(host, answering) == tls_condition::certificate_wrong_host);
  }
}

TEST_CASE("a host with a leading dot does not stand for every name below", "[openssl_context]") {
  const openssl_context deep = server_as(cast().trusted.issue(request("deep").hosts("DNS:deep.sub.example.com")));
  for (const char* host : {".sub.example.com", ".example.com", ".com"}) {
    INFO(host);
    CHECK(verdict_on(host, deep) == std::errc::invalid_argument);
  }
  CHECK(!verdict_on("deep.sub.example.com", deep));
}

// ---- resumption

struct visit {
  bool resumed = false;
  std::string failed;
  openssl_session session;
};
task<> visiting(const openssl_context* of_client, const openssl_context* of_server, std::string host, visit* out) {
  ends both_sides;
  co_await connect(coflow::memory_pipe(), of_client, of_server, &both_sides, std::move(host));
  out->failed = both_sides.client.failed.message();
  if (!both_sides.client.flow || !both_sides.server.flow) co_return;
  out->resumed = both_sides.client.flow->engine().resumed();
  CHECK(out->resumed == both_sides.server.flow->engine().resumed());
  const std::error_code sent = co_await say(&*both_sides.server.flow, "x");
  CHECK(!sent);
  const read_result got = co_await both_sides.client.flow->read();
  CHECK(got);
  out->session = both_sides.client.flow->engine().session();
}
visit visit_of(const openssl_context& of_client, const openssl_context& of_server, std::string host = "localhost") {
  visit out;
  drive(visiting(&of_client, &of_server, std::move(host), &out));
  return out;
}

TEST_CASE("a session is taken up again, also after a connection that just ended", "[openssl_context]") {
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    const openssl_context asking = client();
    const openssl_context answering = server(openssl_options().maximum_version(version));
    visit one = visit_of(asking, answering);
    CHECK(!one.resumed);
    for (int i = 0; i < 3; ++i) {
      REQUIRE(one.session);
      CHECK(one.session.host() == "localhost");
      one = visit_of(asking.resuming(one.session), answering);
      CHECK(one.resumed);
    }
    CHECK(!visit_of(asking, answering).resumed);
  }
}

TEST_CASE("a session is no use with another server, host or nobody", "[openssl_context]") {
  const openssl_context asking = client();
  const openssl_context answering = server();
  const visit one = visit_of(asking, answering);
  REQUIRE(one.session);
  CHECK(!visit_of(asking.resuming(one.session), server()).resumed);
  CHECK(!visit_of(asking.resuming(one.session), answering, "127.0.0.1").resumed);
  CHECK(!visit_of(asking.resuming(openssl_session()), answering).resumed);
  CHECK(visit_of(asking.resuming(one.session), answering).resumed);
}

TEST_CASE("a server without tickets has nothing taken up again", "[openssl_context]") {
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    const openssl_context answering = server(openssl_options().maximum_version(version).without_tickets());
    const openssl_context asking = client();
    const visit one = visit_of(asking, answering);
    CHECK(!visit_of(asking.resuming(one.session), answering).resumed);
  }
}

TEST_CASE("a session whose certificate nobody verified is not good enough for those who do", "[openssl_context]") {
  const identity nobody = authority("nobody").issue(request("x").hosts("DNS:localhost"));
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    const openssl_context answering = server_as(nobody, openssl_options().maximum_version(version));
    const openssl_context careless = other_client(openssl_options().dangerously_accept_any_certificate());
    const visit one = visit_of(careless, answering);
    REQUIRE(one.session);
    const visit careful = visit_of(client().resuming(one.session), answering);
    CHECK(!careful.session);
    CHECK(careful.failed.starts_with("certificate verify failed: unable to "));
    CHECK(visit_of(careless.resuming(one.session), answering).resumed);  // which uses it up
  }
}

TEST_CASE("a session that was made with other trust is not taken up", "[openssl_context]") {
  const authority stranger("nobody");
  const identity nobody = stranger.issue(request("x").hosts("DNS:localhost"));
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    const openssl_context answering = server_as(nobody, openssl_options().maximum_version(version));
    const openssl_context trusting = other_client(openssl_options().trust(stranger.pem()));
    const visit one = visit_of(trusting, answering);
    REQUIRE(one.session);
    const ends others = meet(client().resuming(one.session), answering);
    CHECK(!others.client.flow);
    CHECK(others.client.failed == tls_condition::certificate_untrusted);
    CHECK(visit_of(trusting.resuming(one.session), answering).resumed);  // which uses it up
  }
}

TEST_CASE("a session that was made as somebody else is not taken up", "[openssl_context]") {
  const identity other = cast().trusted.issue(request("another client").for_clients());
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    const openssl_context strict =
        server(openssl_options().maximum_version(version).trust(cast().trusted.pem()).require_client_certificate());
    const openssl_context as_one = client(openssl_options().certificate(cast().client.chain, cast().client.key));
    const openssl_context as_other = client(openssl_options().certificate(other.chain, other.key));
    const visit one = visit_of(as_one, strict);
    REQUIRE(one.session);
    const ends both_sides = meet(as_other.resuming(one.session), strict);
    REQUIRE(both_sides.server.flow);
    CHECK(!both_sides.server.flow->engine().resumed());
    CHECK(both_sides.server.flow->engine().peer_certificate().subject() == "CN = another client");
  }
}

TEST_CASE("a client's certificate is known when its session is taken up again", "[openssl_context]") {
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    const openssl_context asking =
        client(openssl_options().maximum_version(version).certificate(cast().client.chain, cast().client.key));
    const openssl_context strict = server(openssl_options().trust(cast().trusted.pem()).require_client_certificate());
    const visit one = visit_of(asking, strict);
    REQUIRE(one.session);
    const ends again = meet(asking.resuming(one.session), strict);
    REQUIRE(again.server.flow);
    CHECK(again.server.flow->engine().resumed());
    CHECK(again.server.flow->engine().server_name() == "localhost");
    CHECK(again.server.flow->engine().peer_certificate().subject() == "CN = a client");
  }
}

// ---- servers of several names

openssl_context server_of_names() {
  const identity b = cast().trusted.issue(request("b").hosts("DNS:b.test"));
  const openssl_context of_b = server_as(b, openssl_options().application_protocols({"only-b"}));
  const openssl_context strict_b =
      server_as(cast().trusted.issue(request("strict").hosts("DNS:strict.test")),
                openssl_options().trust(cast().trusted.pem()).require_client_certificate());
  const auto choose = [of_b, strict_b](std::string_view name) -> std::optional<openssl_context> {
    if (name == "b.test") return of_b;
    if (name == "strict.test") return strict_b;
    if (name == "trouble.test") throw std::runtime_error("no such thing");
    return std::nullopt;
  };
  return server(openssl_options().choose_by_name(choose).application_protocols({"only-a"}));
}

TEST_CASE("a server shows the certificate of the name that is asked for", "[openssl_context]") {
  const openssl_context names = server_of_names();
  const ends b = meet(client(openssl_options().application_protocols({"only-a", "only-b"})), names, "b.test");
  REQUIRE(b.client.flow);
  CHECK(b.client.flow->engine().peer_certificate().subject() == "CN = b");
  CHECK(b.client.flow->application_protocol() == "only-b");
  CHECK(b.server.flow->engine().server_name() == "b.test");

  const ends others = meet(client(openssl_options().application_protocols({"only-a", "only-b"})), names);
  REQUIRE(others.client.flow);
  CHECK(others.client.flow->engine().peer_certificate().subject() == "CN = server");
  CHECK(others.client.flow->application_protocol() == "only-a");
  // An address is no name.
  const ends address = meet(client(), names, "127.0.0.1");
  REQUIRE(address.server.flow);
  CHECK(address.server.flow->engine().server_name().empty());
  CHECK(meet(client(), names, "c.test").client.failed == tls_condition::certificate_wrong_host);
}

TEST_CASE("what a chosen context demands of clients is demanded", "[openssl_context]") {
  const openssl_context names = server_of_names();
  CHECK(meet(client(), names, "strict.test").server.failed == tls_condition::certificate_missing);
  const openssl_context known = client(openssl_options().certificate(cast().client.chain, cast().client.key));
  CHECK(meet(known, names, "strict.test").server.flow);
  // A ticket of the lenient name does not open the strict one.
  const visit lenient = visit_of(client(), names, "localhost");
  REQUIRE(lenient.session);
  const openssl_session forged("strict.test", [&] {
    SSL_SESSION_up_ref(lenient.session.native_handle());
    return lenient.session.native_handle();
  }());
  const ends sneaking = meet(client().resuming(forged), names, "strict.test");
  CHECK(!sneaking.server.flow);
}

TEST_CASE("a chosen context that accepts any certificate does, and one behind such a context does not",
          "[openssl_context]") {
  const identity nobody = authority("nobody").issue(request("x").for_clients());
  const openssl_context asking = client(openssl_options().certificate(nobody.chain, nobody.key));
  const openssl_context careless =
      server(openssl_options().request_client_certificate().dangerously_accept_any_certificate());
  const openssl_context careful = server(openssl_options().request_client_certificate().trust(cast().trusted.pem()));
  const auto choose = [careless, careful](std::string_view name) -> std::optional<openssl_context> {
    if (name == "careless.example.org") return careless;
    return careful;
  };
  const openssl_context neither = server(openssl_options().choose_by_name(choose));
  const openssl_context any = server(
      openssl_options().request_client_certificate().dangerously_accept_any_certificate().choose_by_name(choose));
  for (const openssl_context& first : {neither, any}) {
    CHECK(meet(asking, first, "careless.example.org").server.flow);
    CHECK(meet(asking, first, "careful.example.org").server.failed == tls_condition::certificate_untrusted);
  }
}

TEST_CASE("an exception in the choice refuses the client", "[openssl_context]") {
  const ends both = meet(client(), server_of_names(), "trouble.test");
  CHECK(!both.server.flow);
  CHECK(both.server.failed.code());
  CHECK(both.server.failed != tls_condition::protocol_violation);  // it is no fault of the client's
  CHECK(both.client.failed == tls_condition::refused_by_peer);
}

TEST_CASE("a server whose every name is chosen needs no certificate of its own", "[openssl_context]") {
  const openssl_context inside = server();
  const auto choose = [inside](std::string_view) -> std::optional<openssl_context> { return inside; };
  const openssl_context outside = openssl_context::server(openssl_options().choose_by_name(choose)).value();
  CHECK(meet(client(), outside).client.flow);
  CHECK(!meet(client(), outside, "127.0.0.1").client.flow);  // names nobody
}

TEST_CASE("copies of a context are one", "[openssl_context]") {
  const openssl_context one = client();
  openssl_context other = client();
  other = one;
  CHECK(other.native_handle() == one.native_handle());
  const openssl_context moved = std::move(other);
  CHECK(moved.native_handle() == one.native_handle());
}

}  // namespace
