#include <coflow/testing/acceptance_laws.hpp>

#include "broken/broken_writes.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::laws::acceptance_laws;

TEST_CASE("the law of what a successful write is worth holds in memory", "[acceptance_laws]") {
  support::require_kept_in_memory(acceptance_laws());
}

TEST_CASE("a flow that loses accepted bytes behind a clean end is rejected for it", "[acceptance_laws]") {
  support::require_rejected(acceptance_laws(), &broken::behaving<broken::keeps_the_last_byte>, "W1");
}

}  // namespace
