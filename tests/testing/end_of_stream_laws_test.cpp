#include <coflow/testing/end_of_stream_laws.hpp>

#include "broken/broken_reads.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::laws::end_of_stream_laws;

TEST_CASE("the laws of the end of a stream hold in memory", "[end_of_stream_laws]") {
  support::require_kept_in_memory(end_of_stream_laws());
}

TEST_CASE("flows that break a law of the end of a stream are rejected for it", "[end_of_stream_laws]") {
  support::require_rejected(end_of_stream_laws(), &broken::behaving<broken::forgets_eof>, "R4");
  support::require_rejected(end_of_stream_laws(), &broken::behaving<broken::forgets_errors>, "R4");
  support::require_rejected(end_of_stream_laws(), &broken::behaving<broken::closes_on_eof>, "R6");
}

}  // namespace
