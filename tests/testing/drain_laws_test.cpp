#include <coflow/testing/drain_laws.hpp>

#include "broken/broken_shutdowns.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::laws::drain_laws;

TEST_CASE("the laws of draining hold in memory", "[drain_laws]") { support::require_kept_in_memory(drain_laws()); }

TEST_CASE("flows that break a law of draining are rejected for it", "[drain_laws]") {
  support::require_rejected(drain_laws(), &broken::behaving<broken::drops_queued_writes>, "S3");
  support::require_rejected(drain_laws(), &broken::behaving<broken::lets_new_writes_in>, "S3");
  support::require_rejected(drain_laws(), &broken::behaving<broken::signals_no_end>, "S3");
  support::require_rejected(drain_laws(), &broken::behaving<broken::stops_reading_too>, "S3");
  support::require_rejected(drain_laws(), &broken::behaving<broken::does_not_wait_for_queued_writes>, "S3");
}

}  // namespace
