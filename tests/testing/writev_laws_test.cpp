#include <coflow/testing/writev_laws.hpp>

#include "broken/broken_writes.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::laws::writev_laws;

TEST_CASE("the laws of writing lists hold in memory", "[writev_laws]") {
  support::require_kept_in_memory(writev_laws());
}

TEST_CASE("flows that break a law of writing lists are rejected for it", "[writev_laws]") {
  support::require_rejected(writev_laws(), &broken::behaving<broken::leaves_sent_buffers_full>, "W2");
  support::require_rejected(writev_laws(), &broken::behaving<broken::empties_unsent_buffers>, "W2");
  support::require_rejected(writev_laws(), &broken::behaving<broken::stops_at_an_empty_buffer>, "W3");
  support::require_rejected(writev_laws(), &broken::behaving<broken::drops_the_neighbour_of_an_empty_buffer>, "W3");
}

}  // namespace
