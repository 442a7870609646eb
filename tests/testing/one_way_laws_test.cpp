// What the suite for one-way flows promises: it passes for sources and sinks that keep the laws, and rejects others.
#include <coflow/core.hpp>
#include <coflow/memory/string_flow.hpp>
#include <coflow/testing/one_way_laws.hpp>
#include <coflow/testing/scripted_flow.hpp>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "support/catch.hpp"

namespace {

using coflow::check_sink;
using coflow::check_source;
using coflow::law_options;
using coflow::report;
using coflow::string_flow;
using coflow::task;

std::string findings(const report& found) {
  CHECK(found.expectations() > 20);
  std::string text;
  for (const coflow::finding& one : found.findings()) text += to_string(one);
  return text;
}

}  // namespace

TEST_CASE("a string source keeps the laws of sources", "[one_way_laws]") {
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, string_flow::all}) {
    const report found =
        check_source([chunk] { return coflow::string_source("the whole text", chunk); }, "the whole text");
    CHECK(findings(found) == "");
    CHECK(found.checks() == coflow::laws::source_laws().size());
  }
  CHECK(findings(check_source([] { return coflow::string_source(""); }, "")) == "");
}

TEST_CASE("a string sink keeps the laws of sinks", "[one_way_laws]") {
  const report found = check_sink([] { return coflow::string_sink(); }, [](string_flow& sink) { return sink.text(); });
  CHECK(findings(found) == "");
  CHECK(found.checks() == coflow::laws::sink_laws().size());
}

TEST_CASE("a scripted flow is a source of what its script gives", "[one_way_laws]") {
  const auto make = [] {
    coflow::flow_script script;
    script.gives_in_chunks("abcdef", 4).gives("ghi").gives_eof();
    return coflow::scripted_flow(script);
  };
  CHECK(findings(check_source(make, "abcdefghi")) == "");
}

namespace {

task<string_flow> made_by_awaiting() { co_return coflow::string_source("abc"); }

}  // namespace

TEST_CASE("a source may be made by awaiting", "[one_way_laws]") {
  CHECK(findings(check_source(made_by_awaiting, "abc")) == "");
  const report one = check_source(made_by_awaiting, "abc", law_options().only("R4"));
  CHECK(one.checks() == 1);
  CHECK(check_source(made_by_awaiting, "abc", law_options().without_cancellation()).skipped().size() == 2);
}

TEST_CASE("a source that breaks a law and a sink that breaks one are rejected for it", "[one_way_laws]") {
  // A source is a sink that is closed from the start, and a sink is a source of nothing.
  const report found =
      check_sink([] { return coflow::string_source("abc"); }, [](string_flow& sink) { return sink.text(); });
  CHECK_FALSE(found);
  CHECK(found.broke("W1"));
  const report other = check_source([] { return coflow::string_sink(); }, "abc");
  CHECK_FALSE(other);
  CHECK(other.broke("R5"));
}

TEST_CASE("what a factory of sources throws is a finding", "[one_way_laws]") {
  const report found = check_source([]() -> string_flow { throw std::runtime_error("no source today"); }, "abc",
                                    law_options().only("R4"));
  CHECK(found.checks() == 1);
  REQUIRE(found.findings().size() == 1);
  CHECK(found.findings().front().happened == "no source today");
  CHECK(found.findings().front().reproduce == "law_options().only(\"the end of a source is final\")");
}

TEST_CASE("a source of another text is rejected", "[one_way_laws]") {
  CHECK(check_source([] { return coflow::string_source("abc"); }, "abd").broke("R5"));
}
