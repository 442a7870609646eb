#include <coflow/testing/cancelled_read_laws.hpp>

#include "broken/broken_cancellations.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using broken::behaving;
using coflow::laws::cancelled_read_laws;
using support::require_rejected;

TEST_CASE("the laws of cancelled reads hold in memory", "[cancelled_read_laws]") {
  support::require_kept_in_memory(cancelled_read_laws());
}

TEST_CASE("flows that break a law of cancelled reads are rejected for it", "[cancelled_read_laws]") {
  require_rejected(cancelled_read_laws(), &behaving<broken::drops_what_a_cancelled_read_got>, "X1");
  require_rejected(cancelled_read_laws(), &behaving<broken::gives_bytes_back_at_the_wrong_end>, "X1");
}

}  // namespace
