// The error of TLS flows, and the conditions that every engine's codes are compared with.
#include <coflow/core/error.hpp>
#include <coflow/core/result.hpp>
#include <coflow/tls/tls_error.hpp>
#include <set>
#include <string>
#include <system_error>

#include "support/catch.hpp"

namespace {

using coflow::tls_condition;
using coflow::tls_error;

// A category such as an engine has: code 1 is an expired certificate.
class sample_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "sample"; }
  std::string message(int) const override { return "the sample failed"; }
  bool equivalent(int code, const std::error_condition& condition) const noexcept override {
    return code == 1 &&
           (condition == tls_condition::certificate_expired || condition == tls_condition::certificate_refused);
  }
};
const sample_category sample;

TEST_CASE("an error without a text says what its code says", "[tls_error]") {
  CHECK(tls_error(coflow::error::timed_out).message() == "the deadline has passed");
  CHECK(!tls_error().code());
  CHECK(tls_error().host().empty());
}

TEST_CASE("an error names the host that it is about", "[tls_error]") {
  const tls_error failed(std::error_code(1, sample), "certificate verify failed: expired", "example.org");
  CHECK(failed.message() == "certificate verify failed: expired (host example.org)");
  CHECK(failed.host() == "example.org");
  const tls_error copy = failed;
  CHECK(copy.host().data() == failed.host().data());
  CHECK(tls_error(std::error_code(1, sample), "", "a").message() == "the sample failed (host a)");
}

TEST_CASE("what cannot be printed is not printed", "[tls_error]") {
  CHECK(tls_error(std::error_code(1, sample), "x", "evil\nhost\x1b[2J").message() == "x (host evil?host?[2J)");
}

TEST_CASE("an error compares by its code, which may have several conditions", "[tls_error]") {
  const tls_error failed(std::error_code(1, sample));
  CHECK(failed == tls_condition::certificate_expired);
  CHECK(failed == tls_condition::certificate_refused);
  CHECK(!(failed == tls_condition::certificate_wrong_host));
  CHECK(!(failed == coflow::error::timed_out));
  CHECK(tls_error(coflow::error::timed_out) == coflow::error::timed_out);
  const std::error_code code = failed;
  CHECK(code == tls_condition::certificate_expired);
  const coflow::result<int, tls_error> as_result = failed;
  CHECK(!as_result.has_value());
}

TEST_CASE("every condition has a message of its own", "[tls_error]") {
  std::set<std::string> all;
  constexpr int last = static_cast<int>(tls_condition::bad_configuration);
  for (int i = 1; i <= last; ++i) all.insert(make_error_condition(static_cast<tls_condition>(i)).message());
  CHECK(all.size() == last);
  CHECK(!all.contains(make_error_condition(static_cast<tls_condition>(last + 1)).message()));
}

}  // namespace
