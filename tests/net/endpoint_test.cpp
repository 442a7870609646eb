#include "coflow/net/endpoint.hpp"

#include <net/if.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "support/catch.hpp"

namespace {

using coflow::endpoint;
using namespace std::string_view_literals;

static_assert(std::is_nothrow_default_constructible_v<endpoint>);
static_assert(std::is_copy_constructible_v<endpoint>);
static_assert(!std::is_aggregate_v<endpoint>);

struct good_text {
  std::string_view text;
  std::string_view address;
  std::uint16_t port;
  bool v6;
};

constexpr good_text good_texts[] = {
    {"127.0.0.1:80", "127.0.0.1", 80, false},
    {"0.0.0.0:0", "0.0.0.0", 0, false},
    {"255.255.255.255:65535", "255.255.255.255", 65535, false},
    {"10.1.2.3:1", "10.1.2.3", 1, false},
    {"[::1]:80", "::1", 80, true},
    {"[::]:0", "::", 0, true},
    {"[::]:65535", "::", 65535, true},
    {"[2001:db8::1]:443", "2001:db8::1", 443, true},
    {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:9", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 9, true},
    {"[::ffff:192.0.2.1]:80", "::ffff:192.0.2.1", 80, true},
    {"[fe80::1%4000000]:22", "fe80::1%4000000", 22, true},  // an interface that is not there yet goes by its number
};

// RFC 5952: lower case, no leading zeros, the longest run of zeros shortened, the first of equals.
constexpr good_text other_spellings[] = {
    {"127.0.0.1:0080", "127.0.0.1", 80, false},
    {"127.0.0.1:00000000000000000000065535", "127.0.0.1", 65535, false},
    {"[0:0:0:0:0:0:0:1]:80", "::1", 80, true},
    {"[2001:DB8::AbCd]:80", "2001:db8::abcd", 80, true},
    {"[2001:0db8:0000:0000:0001:0000:0000:0001]:80", "2001:db8::1:0:0:1", 80, true},
    {"[2001:db8:0:1:1:1:1:1]:80", "2001:db8:0:1:1:1:1:1", 80, true},
    {"[2001:db8:0:0:1:0:0:0]:80", "2001:db8:0:0:1::", 80, true},
    {"[2001:db8::0:1]:80", "2001:db8::1", 80, true},
    {"[::ffff:c000:201]:80", "::ffff:192.0.2.1", 80, true},
};

constexpr std::string_view bad_texts[] = {
    // no port, or none that is one
    "",
    ":",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:99999999999999999999",
    "127.0.0.1:+80",
    "127.0.0.1:-0",
    "127.0.0.1:-80",
    "127.0.0.1:0x50",
    "127.0.0.1:80a",
    "127.0.0.1:http",
    "127.0.0.1:8 0",
    "127.0.0.1::80",
    "127.0.0.1:80:",
    "[::1]",
    "[::1]:",
    "[::1]:65536",
    "[::1]80",
    "[::1]:+80",
    "80",
    ":80",
    // no address, or none that is one
    "localhost:80",
    "example.org:80",
    "127.0.0:80",
    "127.0.0.1.1:80",
    "256.0.0.1:80",
    "127.0.0.01:80",
    "0x7f.0.0.1:80",
    "127.1:80",
    "2130706433:80",
    "-1.0.0.1:80",
    "[]:80",
    "[:80",
    "]:80",
    "[:::1]:80",
    "[1::2::3]:80",
    "[12345::]:80",
    "[1:2:3:4:5:6:7:8:9]:80",
    "[1:2:3:4:5:6:7]:80",
    "[::g]:80",
    "[::1.2.3]:80",
    "[localhost]:80",
    // brackets where they do not belong, or none where they do
    "::1:80",
    "::1",
    "2001:db8::1:80",
    "[127.0.0.1]:80",
    "[[::1]]:80",
    "[::1:80",
    "::1]:80",
    "([::1]):80",
    "[::1]x:80",
    "x[::1]:80",
    // spaces
    " 127.0.0.1:80",
    "127.0.0.1 :80",
    "127.0.0.1: 80",
    "127.0.0.1:80 ",
    "127.0.0.1:80\n",
    " ",
    "[ ::1]:80",
    "[::1 ]:80",
    "[::1] :80",
    "\t[::1]:80",
    // zero bytes
    "127.0.0.1\0:80"sv,
    "127.0.0.1:80\0"sv,
    "127.0.0.1:8\0000"sv,
    "\000127.0.0.1:80"sv,
    "[::1\0]:80"sv,
    "[::1%1\0]:80"sv,
    "\0"sv,
    // scopes that are none
    "[::1%]:80",
    "[fe80::1%0]:80",
    "[fe80::1%-1]:80",
    "[fe80::1%+1]:80",
    "[fe80::1%4294967296]:80",
    "[fe80::1%1x]:80",
    "[fe80::1%no such name]:80",
    "[fe80::1%%]:80",
    "[%1]:80",
    "[fe80::1%1%1]:80",
    "127.0.0.1%1:80",
    "[127.0.0.1%1]:80",
    "[fe80::1%an-interface-name-that-is-longer-than-any-system-allows-it-to-be]:80",
};

// What the text says, or "bad".
std::string parsed(std::string_view text) {
  const coflow::result<endpoint> made = endpoint::parse(text);
  if (made) return made->to_string();
  return made.error() == coflow::error::bad_endpoint ? "bad" : made.error().message();
}

}  // namespace

TEST_CASE("a text of an address and a port becomes an endpoint", "[endpoint]") {
  for (const good_text& good : good_texts) {
    CAPTURE(good.text);
    const coflow::result<endpoint> made = endpoint::parse(good.text);
    REQUIRE(made);
    CHECK(made->port() == good.port);
    CHECK(made->address() == good.address);
    CHECK(made->is_v6() == good.v6);
    CHECK(made->is_v4() == !good.v6);
    CHECK_FALSE(made->unspecified());
  }
}

TEST_CASE("an endpoint is printed as the text that it was read from", "[endpoint]") {
  for (const good_text& good : good_texts) {
    CAPTURE(good.text);
    CHECK(parsed(good.text) == good.text);
  }
}

TEST_CASE("other spellings of an address are printed in the form of RFC 5952", "[endpoint]") {
  for (const good_text& other : other_spellings) {
    CAPTURE(other.text);
    const coflow::result<endpoint> made = endpoint::parse(other.text);
    REQUIRE(made);
    CHECK(made->address() == other.address);
    CHECK(made->port() == other.port);
    CHECK(made->is_v6() == other.v6);
    const coflow::result<endpoint> again = endpoint::parse(made->to_string());
    REQUIRE(again);
    CHECK(*again == *made);
  }
}

TEST_CASE("every other text is a bad endpoint", "[endpoint]") {
  for (const std::string_view bad : bad_texts) {
    CAPTURE(bad);
    CHECK(parsed(bad) == "bad");
  }
}

TEST_CASE("a text as long as you like is a bad endpoint", "[endpoint]") {
  for (std::size_t length = 40; length < 80; ++length) {
    CHECK(parsed(std::string(length, '1') + ":80") == "bad");
    CHECK(parsed("[" + std::string(length, ':') + "]:80") == "bad");
    CHECK(parsed("[::1%" + std::string(length, 'x') + "]:80") == "bad");
  }
  CHECK(parsed(std::string(1000000, '[')) == "bad");
  CHECK(parsed("127.0.0.1:" + std::string(1000000, '9')) == "bad");
}

TEST_CASE("a text that does not end where its bytes end is read no further", "[endpoint]") {
  const std::string_view whole = "127.0.0.1:8080";
  CHECK(parsed(whole.substr(0, 12)) == "127.0.0.1:80");
  CHECK(parsed(whole.substr(0, 9)) == "bad");
}

TEST_CASE("a scope is an interface's name or number", "[endpoint]") {
  const unsigned lo = ::if_nametoindex("lo");
  REQUIRE(lo != 0);
  const coflow::result<endpoint> by_name = endpoint::parse("[fe80::1%lo]:80");
  const coflow::result<endpoint> by_number = endpoint::parse("[fe80::1%" + std::to_string(lo) + "]:80");
  REQUIRE(by_name);
  REQUIRE(by_number);
  CHECK(*by_name == *by_number);
  CHECK(by_name->raw().scope == lo);
  CHECK(by_number->to_string() == "[fe80::1%lo]:80");
  CHECK(by_name->address() == "fe80::1%lo");
  const coflow::result<endpoint> without = endpoint::parse("[fe80::1]:80");
  REQUIRE(without);
  CHECK_FALSE(*without == *by_name);
}

TEST_CASE("an address without a port is read with the port beside it", "[endpoint]") {
  const coflow::result<endpoint> v4 = endpoint::parse("127.0.0.1", 7000);
  const coflow::result<endpoint> v6 = endpoint::parse("::1", 7000);
  REQUIRE(v4);
  REQUIRE(v6);
  CHECK(*v4 == endpoint::loopback_v4(7000));
  CHECK(*v6 == endpoint::loopback_v6(7000));
  for (const std::string_view bad : {""sv, "[::1]"sv, "127.0.0.1:80"sv, "localhost"sv, " ::1"sv, "::1\0"sv,
                                     "127.0.0.1\0"sv, "127.0.0.1\0x"sv, "\0"sv, "::1%"sv}) {
    CAPTURE(bad);
    const coflow::result<endpoint> refused = endpoint::parse(bad, 80);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == coflow::error::bad_endpoint);
  }
}

TEST_CASE("endpoints are equal when family, address, scope and port are", "[endpoint]") {
  CHECK(endpoint::parse("127.0.0.1:80").value() == endpoint::loopback_v4(80));
  CHECK(endpoint::parse("[::1]:80").value() == endpoint::loopback_v6(80));
  CHECK_FALSE(endpoint::loopback_v4(80) == endpoint::loopback_v4(81));
  CHECK_FALSE(endpoint::loopback_v4(80) == endpoint::loopback_v6(80));
  CHECK_FALSE(endpoint::parse("0.0.0.0:80").value() == endpoint::parse("[::]:80").value());
  CHECK_FALSE(endpoint::parse("127.0.0.1:80").value() == endpoint::parse("127.0.0.2:80").value());
  CHECK_FALSE(endpoint::parse("127.0.0.1:80").value() == endpoint::parse("[::ffff:127.0.0.1]:80").value());
  CHECK_FALSE(endpoint::parse("[fe80::1%1000001]:80").value() == endpoint::parse("[fe80::1%1000002]:80").value());
}

TEST_CASE("a default-made endpoint is unspecified", "[endpoint]") {
  const endpoint none;
  CHECK(none.unspecified());
  CHECK_FALSE(none.is_v4());
  CHECK_FALSE(none.is_v6());
  CHECK(none.port() == 0);
  CHECK(none.to_string() == "(unspecified)");
  CHECK(none.address() == "(unspecified)");
  CHECK(none == endpoint());
  CHECK_FALSE(none == endpoint::parse("0.0.0.0:0").value());
}

TEST_CASE("the port of an endpoint can be changed", "[endpoint]") {
  endpoint changed = endpoint::loopback_v6(80);
  changed.set_port(65535);
  CHECK(changed.port() == 65535);
  CHECK(changed.to_string() == "[::1]:65535");
  changed.set_port(80);
  CHECK(changed == endpoint::loopback_v6(80));
}

TEST_CASE("no change of one character makes the parser misbehave", "[endpoint]") {
  for (const good_text& good : good_texts) {
    for (std::size_t at = 0; at < good.text.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed(good.text);
        changed[at] = static_cast<char>(byte);
        const coflow::result<endpoint> made = endpoint::parse(changed);
        if (!made) continue;
        const coflow::result<endpoint> again = endpoint::parse(made->to_string());
        if (!again || !(*again == *made)) FAIL_CHECK("does not survive printing: " << changed);
      }
    }
  }
}
