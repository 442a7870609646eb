#include <coflow/testing/cancellation_laws.hpp>

#include "broken/broken_cancellations.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using broken::behaving;
using coflow::laws::cancellation_laws;
using support::require_rejected;

TEST_CASE("the laws of stopping hold in memory", "[cancellation_laws]") {
  support::require_kept_in_memory(cancellation_laws());
}

TEST_CASE("flows that break a law of stopping are rejected for it", "[cancellation_laws]") {
  require_rejected(cancellation_laws(), &behaving<broken::says_closed_when_cancelled>, "X0");
  require_rejected(cancellation_laws(), &behaving<broken::latches_a_cancellation>, "X0");
  require_rejected(cancellation_laws(), &behaving<broken::hears_of_a_stop_only_while_it_waits>, "X0");
  require_rejected(cancellation_laws(), &behaving<broken::resumes_inside_a_stop_request>, "X0");
  require_rejected(cancellation_laws(), &behaving<broken::is_deaf>, "X0");
  require_rejected(cancellation_laws(), &behaving<broken::does_not_shut_down_when_stopped>, "X0");
  require_rejected(cancellation_laws(), &behaving<broken::does_not_close_when_stopped>, "X0");
  require_rejected(cancellation_laws(), &behaving<broken::stops_draining_when_stopped>, "X0");
}

}  // namespace
