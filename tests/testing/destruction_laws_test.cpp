#include <coflow/testing/destruction_laws.hpp>

#include "broken/broken_ownership.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using broken::behaving_with_handle;
using broken::handled_pair;
using coflow::laws::destruction_laws;
using support::check_table;

TEST_CASE("the laws of destroying a flow hold in memory", "[destruction_laws]") {
  support::require_kept_in_memory(destruction_laws());
}

TEST_CASE("flows that break a law of destroying a flow are rejected for it", "[destruction_laws]") {
  CHECK(check_table(destruction_laws(),
                    handled_pair(&behaving_with_handle<broken::loses_the_others_when_a_reader_destroys_it>))
            .broke("C4"));
  CHECK(check_table(destruction_laws(),
                    handled_pair(&behaving_with_handle<broken::keeps_its_peer_waiting_when_destroyed>))
            .broke("C6"));
  CHECK(check_table(destruction_laws(), handled_pair(&behaving_with_handle<broken::breaks_its_stream_when_destroyed>))
            .broke("C6"));
}

}  // namespace
