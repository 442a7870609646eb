#include <coflow/testing/write_laws.hpp>

#include "broken/broken_writes.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::laws::write_laws;

TEST_CASE("the laws of writing hold in memory", "[write_laws]") { support::require_kept_in_memory(write_laws()); }

TEST_CASE("flows that break a law of writing are rejected for it", "[write_laws]") {
  support::require_rejected(write_laws(), &broken::behaving<broken::keeps_the_last_byte>, "W1");
  support::require_rejected(write_laws(), &broken::behaving<broken::writes_in_two_halves>, "W4");
  support::require_rejected(write_laws(), &broken::behaving<broken::serves_the_last_writer_first>, "W4");
  support::require_rejected(write_laws(), &broken::behaving<broken::waits_to_write_nothing>, "W9");
  support::require_rejected(write_laws(), &broken::behaving<broken::refuses_to_write_nothing>, "W9");
  support::require_rejected(write_laws(), &broken::behaving<broken::writes_nothing_to_a_closed_flow>, "W9");
}

TEST_CASE("a flow that takes everything at once is found out by measuring", "[write_laws]") {
  broken::altered_pair make(&broken::behaving<broken::takes_everything>);
  coflow::report found;
  const coflow::law_options options;
  coflow::laws::law_runner<coflow::virtual_executor, broken::altered_pair> runner(make, options, found);
  CHECK_FALSE(runner.measure());
}

}  // namespace
