#include <coflow/core/buffer.hpp>
#include <coflow/core/error.hpp>
#include <coflow/core/read_result.hpp>
#include <coflow/core/result.hpp>
#include <coflow/testing/expect.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "support/catch.hpp"

namespace {

using coflow::buffer;
using coflow::read_result;
using coflow::report;
using coflow::result;
using coflow::laws::check_in_progress;
using coflow::laws::expect;
using coflow::laws::in_words;

const std::error_code reset = std::make_error_code(std::errc::connection_reset);

// Not inlined: g++ at -O2 takes the error of a success that it sees made for one that may be read.
[[gnu::noinline]] result<void> succeeded() { return coflow::success; }

// What `body` comes to as a check.
template <class Body>
report checked(Body body) {
  report found;
  const check_in_progress now("R1", "a check", "only(\"a check\")", found);
  body();
  return found;
}
template <class Body>
bool holds(Body body) {
  const report found = checked(body);
  CHECK(found.expectations() == 1);
  return found.passed();
}
template <class Body>
std::string happened(Body body) {
  const report found = checked(body);
  return found.findings().size() == 1 ? found.findings().front().happened : "not one finding";
}

}  // namespace

TEST_CASE("what fails becomes a finding of the check in progress", "[expect]") {
  int line = 0;
  const report found = checked([&line] {
    expect(true, "this holds");
    line = __LINE__ + 1;
    expect(false, "that holds", "it does not");
  });
  CHECK(found.checks() == 1);
  CHECK(found.expectations() == 2);
  REQUIRE(found.findings().size() == 1);
  const coflow::finding& one = found.findings().front();
  CHECK(one.law == "R1");
  CHECK(one.check == "a check");
  CHECK(one.expected == "that holds");
  CHECK(one.happened == "it does not");
  CHECK(one.reproduce == "only(\"a check\")");
  CHECK(one.where == std::string(__FILE__) + ":" + std::to_string(line));
}

TEST_CASE("an expectation outside of any check is nobody's", "[expect]") {
  REQUIRE(check_in_progress::current() == nullptr);
  expect(false, "nobody looks");
  expect(true, "nobody looks");
  CHECK(check_in_progress::current() == nullptr);
}

TEST_CASE("checks nest, and each gets its own findings", "[expect]") {
  report outer_found;
  report inner_found;
  {
    const check_in_progress outer("W1", "outer", "", outer_found);
    {
      const check_in_progress inner("W2", "inner", "", inner_found);
      CHECK(check_in_progress::current() == &inner);
      expect(false, "inside");
    }
    CHECK(check_in_progress::current() == &outer);
    expect(false, "outside");
  }
  CHECK(check_in_progress::current() == nullptr);
  CHECK(outer_found.broke("W1"));
  CHECK_FALSE(outer_found.broke("W2"));
  CHECK(inner_found.broke("W2"));
  CHECK(inner_found.findings().size() == 1);
}

TEST_CASE("a check belongs to its thread", "[expect]") {
  const report found = checked([] {
    bool seen = true;
    std::thread other([&seen] {
      seen = check_in_progress::current() != nullptr;
      expect(false, "another thread's");
    });
    other.join();
    CHECK_FALSE(seen);
  });
  CHECK(found.expectations() == 0);
}

TEST_CASE("results are told in words", "[expect]") {
  CHECK(in_words(read_result(coflow::end_of_stream)) == "eof");
  CHECK(in_words(read_result(buffer("abc"))) == "3 bytes, 'abc'");
  CHECK(in_words(read_result(buffer(std::string(100, 'x')))) == "100 bytes, '" + std::string(40, 'x') + "'");
  CHECK(in_words(read_result(reset)) == in_words(reset));
  CHECK(in_words(reset) == "error " + std::string(reset.category().name()) + " '" + reset.message() + "'");
  CHECK(in_words(result<void>(coflow::success)) == "success");
  CHECK(in_words(result<void>(reset)) == in_words(reset));
}

TEST_CASE("expectations about reads hold for what they name and for nothing else", "[expect]") {
  const read_result data(buffer("abc"));
  const read_result end(coflow::end_of_stream);
  const read_result closed(coflow::error::closed);
  const read_result broken(reset);
  const read_result cut(coflow::error::truncated);
  const read_result stopped(coflow::canceled());

  CHECK(holds([&] { coflow::laws::expect_data(data, "abc"); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_data(data, "abd"); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_data(data, "ab"); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_data(end, ""); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_data(broken, ""); }));

  CHECK(holds([&] { coflow::laws::expect_eof(end); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_eof(data); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_eof(closed); }));

  CHECK(holds([&] { coflow::laws::expect_error(closed, coflow::error::closed); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_error(broken, coflow::error::closed); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_error(end, coflow::error::closed); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_error(end, std::error_code()); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_error(data, coflow::error::closed); }));

  CHECK(holds([&] { coflow::laws::expect_reset(broken); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_reset(cut); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_reset(end); }));

  CHECK(holds([&] { coflow::laws::expect_broken(broken); }));
  CHECK(holds([&] { coflow::laws::expect_broken(cut); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_broken(end); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_broken(data); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_broken(stopped); }));
}

TEST_CASE("expectations about writes hold for what they name and for nothing else", "[expect]") {
  const result<void> good = succeeded();
  const result<void> closed(coflow::error::closed);
  const result<void> broken(reset);

  CHECK(holds([&] { coflow::laws::expect_success(good); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_success(closed); }));

  CHECK(holds([&] { coflow::laws::expect_error(closed, coflow::error::closed); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_error(broken, coflow::error::closed); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_error(good, coflow::error::closed); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_error(good, std::error_code()); }));

  CHECK(holds([&] { coflow::laws::expect_reset(broken); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_reset(closed); }));
  CHECK_FALSE(holds([&] { coflow::laws::expect_reset(good); }));
}

TEST_CASE("what was seen instead is told", "[expect]") {
  CHECK(happened([] { coflow::laws::expect_eof(read_result(buffer("abc"))); }) == "3 bytes, 'abc'");
  CHECK(happened([] { coflow::laws::expect_success(result<void>(reset)); }) == in_words(reset));
}

TEST_CASE("bytes are compared without printing them", "[expect]") {
  CHECK(holds([] { coflow::laws::expect_same("", ""); }));
  CHECK(holds([] { coflow::laws::expect_same("abc", "abc"); }));
  CHECK(happened([] { coflow::laws::expect_same("abXd", "abcd"); }) == "4 bytes, first difference at 2");
  CHECK(happened([] { coflow::laws::expect_same("ab", "abcd"); }) == "2 bytes, first difference at 2");
  CHECK(happened([] { coflow::laws::expect_same("abcd", "ab"); }) == "4 bytes, first difference at 2");
}
