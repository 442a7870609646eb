#include <coflow/testing/abandoned_wait_laws.hpp>

#include "broken/broken_cancellations.hpp"
#include "broken/broken_ownership.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using broken::behaving;
using coflow::laws::abandoned_wait_laws;
using support::require_rejected;

TEST_CASE("the laws of abandoned waits hold in memory", "[abandoned_wait_laws]") {
  support::require_kept_in_memory(abandoned_wait_laws());
}

TEST_CASE("flows that break a law of abandoned waits are rejected for it", "[abandoned_wait_laws]") {
  require_rejected(abandoned_wait_laws(), &behaving<broken::buries_bytes_with_their_reader>, "C6");
  require_rejected(abandoned_wait_laws(), &behaving<broken::sends_what_was_destroyed>, "C6");
}

}  // namespace
