#include "coflow/net/connect_error.hpp"

#include <cerrno>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/core/result.hpp"
#include "support/catch.hpp"
#include "support/survival.hpp"

namespace {

using coflow::connect_error;
using coflow::connect_failure;
using coflow::endpoint;
using coflow::result;

static_assert(std::is_nothrow_copy_constructible_v<connect_error> && std::is_nothrow_copy_assignable_v<connect_error>);
static_assert(std::is_nothrow_move_constructible_v<connect_error> && std::is_nothrow_move_assignable_v<connect_error>);
static_assert(std::is_convertible_v<const connect_error&, std::error_code>);
static_assert(!std::is_aggregate_v<connect_error> && !std::is_aggregate_v<connect_failure>);

std::error_code system(int number) { return {number, std::system_category()}; }

connect_failure failure(const char* to, int number) { return {endpoint::parse(to).value(), system(number)}; }

result<void> handed_on(const connect_error& failed) { return failed; }

}  // namespace

TEST_CASE("a connect error names the host and every address with its reason", "[connect_error]") {
  const auto failed = connect_error::of_all(
      "example.org", 443, {failure("[2001:db8::1]:443", ENETUNREACH), failure("192.0.2.1:443", ECONNREFUSED)});
  CHECK(failed.message() == "cannot connect to example.org:443: [2001:db8::1]:443: " + system(ENETUNREACH).message() +
                                "; 192.0.2.1:443: " + system(ECONNREFUSED).message());
  CHECK(failed.host() == "example.org");
  CHECK(failed.port() == 443);
  REQUIRE(failed.failures().size() == 2);
  CHECK(failed.failures()[0].remote().to_string() == "[2001:db8::1]:443");
  CHECK(failed.failures()[0].code() == std::errc::network_unreachable);
  CHECK(failed.failures()[1].remote().to_string() == "192.0.2.1:443");
  CHECK(failed.failures()[1].code() == std::errc::connection_refused);
}

TEST_CASE("a connect error tells what ended it in front of what had failed before", "[connect_error]") {
  const connect_error without("example.org", 80, coflow::error::timed_out);
  CHECK(without.message() == "cannot connect to example.org:80: the deadline has passed");
  const connect_error with("example.org", 80, coflow::canceled(), {failure("192.0.2.1:80", ECONNREFUSED)});
  CHECK(with.message() == "cannot connect to example.org:80: " + coflow::canceled().message() +
                              ": 192.0.2.1:80: " + system(ECONNREFUSED).message());
  const connect_error among(
      "example.org", 80, coflow::error::timed_out,
      {failure("192.0.2.1:80", ECONNREFUSED), {endpoint::parse("192.0.2.2:80").value(), coflow::error::timed_out}});
  CHECK(among.message() == "cannot connect to example.org:80: 192.0.2.1:80: " + system(ECONNREFUSED).message() +
                               "; 192.0.2.2:80: the deadline has passed");
}

TEST_CASE("the code of a connect error is the reason of the address that came furthest", "[connect_error]") {
  const auto code = [](const std::vector<int>& numbers) {
    std::vector<connect_failure> failures;
    for (const int number : numbers) failures.push_back(failure("192.0.2.1:80", number));
    return connect_error::of_all("h", 80, failures).code().value();
  };
  CHECK(code({ENETUNREACH, ECONNREFUSED}) == ECONNREFUSED);
  CHECK(code({ECONNREFUSED, ENETUNREACH}) == ECONNREFUSED);
  CHECK(code({ETIMEDOUT, ECONNRESET}) == ECONNRESET);
  CHECK(code({EHOSTUNREACH, ETIMEDOUT, ENETUNREACH}) == ETIMEDOUT);
  CHECK(code({EADDRNOTAVAIL, EHOSTUNREACH}) == EHOSTUNREACH);
  CHECK(code({EAFNOSUPPORT, ENETDOWN}) == ENETDOWN);
  CHECK(code({ECONNREFUSED, ECONNABORTED}) == ECONNREFUSED);
  CHECK(code({EMFILE, EACCES}) == EMFILE);
  CHECK(connect_error::of_all("h", 80, {{endpoint(), coflow::error::closed}}).code() == coflow::error::closed);
  CHECK(connect_error::of_all("h", 80, {{endpoint(), coflow::error::closed}, failure("192.0.2.1:80", ENETUNREACH)})
            .code() == std::errc::network_unreachable);
}

TEST_CASE("a connect error is handed on where an error code is expected", "[connect_error]") {
  const auto failed = connect_error::of_all("h", 80, {failure("192.0.2.1:80", ECONNREFUSED)});
  const std::error_code code = failed;
  CHECK(code == std::errc::connection_refused);
  CHECK(handed_on(failed).error() == std::errc::connection_refused);
  CHECK((failed == std::errc::connection_refused));
  CHECK((failed != std::errc::connection_reset));
  CHECK((failed == code));
  CHECK((connect_error("h", 80, coflow::error::closed) == coflow::error::closed));
  CHECK((connect_error("h", 80, coflow::error::closed) == coflow::condition::disconnected));
  CHECK((connect_error("h", 80, coflow::error::closed) != coflow::error::timed_out));
}

TEST_CASE("a connect error that was made by default is none", "[connect_error]") {
  const connect_error none;
  CHECK_FALSE(none.code());
  CHECK(none.host().empty());
  CHECK(none.port() == 0);
  CHECK(none.failures().empty());
  CHECK(none.message() == std::error_code().message());
}

TEST_CASE("a copy of a connect error costs no allocation and outlives the original", "[connect_error]") {
  connect_error copy;
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  {
    const auto failed = connect_error::of_all(std::string(100, 'h'), 80, {failure("192.0.2.1:80", ECONNREFUSED)});
    before = support::allocation_count();
    copy = failed;
    after = support::allocation_count();
  }
  CHECK(before == after);
  CHECK(copy.host() == std::string(100, 'h'));
  CHECK(copy.failures().size() == 1);
  const connect_error moved = std::move(copy);
  CHECK(moved.code() == std::errc::connection_refused);
  CHECK(moved.failures().size() == 1);
}

TEST_CASE("the host in a message is one readable line, whatever it was", "[connect_error]") {
  const auto line = [](std::string host) {
    return connect_error(std::move(host), 80, coflow::error::timed_out).message();
  };
  CHECK(line("::1") == "cannot connect to [::1]:80: the deadline has passed");
  CHECK(line("[::1]") == "cannot connect to [::1]:80: the deadline has passed");
  CHECK(line("a\nb\x7f") == "cannot connect to a?b?:80: the deadline has passed");
  CHECK(line(std::string("a\0b", 3)) == "cannot connect to a?b:80: the deadline has passed");
  CHECK(line("") == "cannot connect to :80: the deadline has passed");
  CHECK(line(std::string(1000, 'x')) ==
        "cannot connect to " + std::string(253, 'x') + "...:80: the deadline has passed");
}
