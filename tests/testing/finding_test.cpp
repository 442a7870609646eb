#include <coflow/testing/finding.hpp>
#include <string>
#include <utility>

#include "support/catch.hpp"

namespace {

using coflow::finding;
using coflow::report;

finding about(std::string law, std::string happened) {
  finding made;
  made.law = std::move(law);
  made.check = "a read gives bytes";
  made.expected = "bytes";
  made.happened = std::move(happened);
  made.where = "flow.cpp:7";
  made.reproduce = "law_options().only(\"a read gives bytes\")";
  return made;
}

}  // namespace

TEST_CASE("a finding says which law, what was expected and what happened, and how to see it again", "[finding]") {
  CHECK(to_string(about("R1", "an empty buffer")) ==
        "R1: a read gives bytes\n  expected  bytes\n  happened  an empty buffer\n  where     flow.cpp:7\n"
        "  reproduce law_options().only(\"a read gives bytes\")\n");
}

TEST_CASE("a report that has looked at nothing has not passed", "[finding]") {
  report found;
  CHECK_FALSE(found);
  found.count_check();
  CHECK_FALSE(found);
  found.count_expectation();
  CHECK(found);
  CHECK(found.passed());
  found.skip("a write waits", "writers never wait");
  CHECK(found.passed());
  found.add(about("R1", "an empty buffer"));
  CHECK_FALSE(found.passed());
}

TEST_CASE("a report knows which laws were broken", "[finding]") {
  report found;
  found.add(about("R1", "an empty buffer"));
  found.add(about("W10", "SIGPIPE"));
  CHECK(found.broke("R1"));
  CHECK(found.broke("W10"));
  CHECK_FALSE(found.broke("W1"));
  CHECK_FALSE(found.broke("R"));
  CHECK(found.findings().size() == 2);
}

TEST_CASE("a report in words holds every finding and sums it up", "[finding]") {
  report found;
  found.count_check();
  for (int i = 0; i < 3; ++i) found.count_expectation();
  found.skip("a write waits", "writers never wait");
  found.add(about("R1", "an empty buffer"));
  CHECK(found.text() ==
        to_string(about("R1", "an empty buffer")) + "1 checks, 3 expectations, 1 checks left out, 1 findings\n");
  REQUIRE(found.skipped().size() == 1);
  CHECK(found.skipped().front() == "a write waits: writers never wait");
}

TEST_CASE("reports that are merged add up, in order", "[finding]") {
  report first;
  first.count_check();
  first.count_expectation();
  first.add(about("R1", "first"));
  first.skip("one", "why");
  report second;
  second.count_check();
  second.count_expectation();
  second.count_expectation();
  second.add(about("W1", "second"));
  second.skip("other", "why not");
  first.merge(std::move(second));
  CHECK(first.checks() == 2);
  CHECK(first.expectations() == 3);
  REQUIRE(first.findings().size() == 2);
  CHECK(first.findings()[0].happened == "first");
  CHECK(first.findings()[1].happened == "second");
  REQUIRE(first.skipped().size() == 2);
  CHECK(first.skipped()[1] == "other: why not");
}
