#include <coflow/testing/torn_write_laws.hpp>

#include "broken/broken_cancellations.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using broken::behaving;
using coflow::laws::torn_write_laws;
using support::require_rejected;

TEST_CASE("the laws of torn writes hold in memory", "[torn_write_laws]") {
  support::require_kept_in_memory(torn_write_laws());
}

TEST_CASE("flows that break a law of torn writes are rejected for it", "[torn_write_laws]") {
  require_rejected(torn_write_laws(), &behaving<broken::goes_on_after_a_torn_write>, "X2");
  require_rejected(torn_write_laws(), &behaving<broken::repeats_the_cancellation_after_a_torn_write>, "X2");
  require_rejected(torn_write_laws(), &behaving<broken::ends_a_torn_stream_cleanly>, "X3");
  require_rejected(torn_write_laws(), &behaving<broken::signals_an_end_after_a_torn_write>, "X3");
}

}  // namespace
