#include <coflow/testing/shutdown_laws.hpp>

#include "broken/broken_shutdowns.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::laws::shutdown_laws;

TEST_CASE("the laws of shutdown hold in memory", "[shutdown_laws]") {
  support::require_kept_in_memory(shutdown_laws());
}

TEST_CASE("flows that break a law of shutdown are rejected for it", "[shutdown_laws]") {
  support::require_rejected(shutdown_laws(), &broken::behaving<broken::throws_the_second_time>, "S1");
  support::require_rejected(shutdown_laws(), &broken::behaving<broken::never_ends_the_second_time>, "S1");
  support::require_rejected(shutdown_laws(), &broken::behaving<broken::delivers_after_one_eof>, "S2");
  support::require_rejected(shutdown_laws(), &broken::behaving<broken::delivers_what_was_buffered>, "S2");
  support::require_rejected(shutdown_laws(), &broken::behaving<broken::leaves_readers_waiting>, "S2");
  support::require_rejected(shutdown_laws(), &broken::behaving<broken::shuts_one_half_of_both>, "S4");
}

}  // namespace
