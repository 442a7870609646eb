#include <coflow/testing/reset_laws.hpp>

#include "broken/broken_reads.hpp"
#include "broken/broken_writes.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::laws::reset_laws;

TEST_CASE("the laws of resets hold in memory", "[reset_laws]") { support::require_kept_in_memory(reset_laws()); }

TEST_CASE("flows that break a law of resets are rejected for it", "[reset_laws]") {
  support::require_rejected(reset_laws(), &broken::behaving<broken::takes_a_reset_for_eof>, "R7");
  support::require_rejected(reset_laws(), &broken::behaving<broken::loses_a_reset_to_the_writer>, "R7");
  support::require_rejected(reset_laws(), &broken::behaving<broken::drops_input_after_a_write_error>, "W7");
}

}  // namespace
