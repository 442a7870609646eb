#include <coflow/testing/unsent_write_laws.hpp>

#include "broken/broken_cancellations.hpp"
#include "broken/broken_ownership.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using broken::behaving;
using coflow::laws::unsent_write_laws;
using support::require_rejected;

TEST_CASE("the laws of unsent writes hold in memory", "[unsent_write_laws]") {
  support::require_kept_in_memory(unsent_write_laws());
}

TEST_CASE("flows that break a law of unsent writes are rejected for it", "[unsent_write_laws]") {
  require_rejected(unsent_write_laws(), &behaving<broken::sends_what_was_cancelled>, "X2");
  require_rejected(unsent_write_laws(), &behaving<broken::sends_what_was_destroyed>, "X2");
  require_rejected(unsent_write_laws(), &behaving<broken::takes_the_buffers_of_a_cancelled_list>, "X2");
  require_rejected(unsent_write_laws(), &behaving<broken::tears_what_it_has_not_begun>, "X2");
  require_rejected(unsent_write_laws(), &behaving<broken::gives_no_more_turns_when_a_writer_dies>, "X2");
}

}  // namespace
