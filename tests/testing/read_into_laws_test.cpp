#include "coflow/testing/read_into_laws.hpp"

#include <coflow/core.hpp>
#include <coflow/layer/layered_flow.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/laws.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "broken/broken_read_intos.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::law_options;
using coflow::report;
using coflow::laws::guarded_room;
using coflow::laws::read_into_laws;
using support::check_table;
using support::memory_ends;

// The honest one among the specimens.
class fills_as_it_should : public broken::room_behaviour {};

}  // namespace

TEST_CASE("pipes of every capacity keep the laws of reading into a room", "[read_into_laws]") {
  for (const std::size_t capacity : {std::size_t{7}, std::size_t{4096}, std::size_t{65536}}) {
    INFO("a pipe of " << capacity << " bytes");
    support::require_kept(check_table(read_into_laws(), memory_ends(capacity)), read_into_laws());
  }
}

TEST_CASE("a flow made of coroutines keeps the laws of reading into a room", "[read_into_laws]") {
  support::require_kept(check_table(read_into_laws(), broken::room_pair<fills_as_it_should>()), read_into_laws());
}

TEST_CASE("a flow without read_into is not asked about it", "[read_into_laws]") {
  const report found = check_table(read_into_laws(), support::honest_ends());
  CHECK(found.skipped().size() == read_into_laws().size());
  CHECK(found.findings().empty());
  REQUIRE_FALSE(found.skipped().empty());
  CHECK(found.skipped().front().find("the flows have no read_into") != std::string::npos);
}

TEST_CASE("each law of reading into a room rejects the flow that breaks it", "[read_into_laws]") {
  for (const broken::specimen& one : broken::broken_read_intos()) {
    INFO(one.name);
    const report found = one.check(law_options().only(one.law).without_back_pressure());
    CHECK(found.broke(one.law));
  }
}

TEST_CASE("the laws of reading hold for reads that are done by read_into", "[read_into_laws]") {
  const memory_ends pipe(1000);
  const law_options quick = law_options().without_back_pressure().only("R1").only("R4").only("R8");
  const report kept = coflow::check_flow(pipe, law_options(quick).by_read_into());
  INFO(kept.text());
  CHECK(kept.passed());
  CHECK(kept.skipped().empty());
  CHECK(kept.checks() == coflow::check_flow(pipe, quick).checks());
  const report broken =
      coflow::check_flow(broken::room_pair<broken::writes_behind_the_count>(), law_options(quick).by_read_into());
  REQUIRE(broken.broke("R8"));  // which has no check of its own for that
  CHECK(broken.findings().front().reproduce.find("law_options().by_read_into().only(\"") == 0);
  const report without = coflow::check_flow(support::honest_ends(), law_options(quick).by_read_into());
  CHECK(without.checks() == 0);
  CHECK_FALSE(without.passed());
}

TEST_CASE("a guarded room tells what was written to it", "[read_into_laws]") {
  guarded_room to(10);
  CHECK(to.room().size() == 10);
  CHECK(to.trouble_beyond(0).empty());
  CHECK(to.trouble_beyond(11) == "the count is 11 of a room of 10 bytes");
  to.room()[0] = std::byte{'a'};
  to.room()[1] = std::byte{'b'};
  CHECK(to.text(2) == "ab");
  CHECK(to.text(100).size() == 10);
  CHECK(to.trouble_beyond(2).empty());
  CHECK(to.trouble_beyond(1) == "byte 1 of a room of 10 bytes was written, and the count is 1");
  *(to.room().data() + 10) = std::byte{0};  // behind it
  CHECK(to.trouble_beyond(2) == "byte 10 of a room of 10 bytes was written, and the count is 2");
}
