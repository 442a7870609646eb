#include <coflow/testing/read_laws.hpp>

#include "broken/broken_reads.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::laws::read_laws;

TEST_CASE("the laws of reading hold in memory", "[read_laws]") { support::require_kept_in_memory(read_laws()); }

TEST_CASE("flows that break a law of reading are rejected for it", "[read_laws]") {
  support::require_rejected(read_laws(), &broken::behaving<broken::gives_empty_buffers>, "R1");
  support::require_rejected(read_laws(), &broken::behaving<broken::reuses_its_buffer>, "R2");
  support::require_rejected(read_laws(), &broken::behaving<broken::waits_for_two_bytes>, "R3");
  support::require_rejected(read_laws(), &broken::behaving<broken::ends_before_its_data>, "R5");
  support::require_rejected(read_laws(), &broken::behaving<broken::serves_the_last_reader_first>, "R8");
  support::require_rejected(read_laws(), &broken::behaving<broken::tells_the_end_to_one_reader>, "R8");
}

}  // namespace
