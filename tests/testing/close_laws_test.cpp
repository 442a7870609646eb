#include <coflow/testing/close_laws.hpp>

#include "broken/broken_closes.hpp"
#include "broken/broken_ownership.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using broken::behaving;
using broken::behaving_with_handle;
using broken::handled_pair;
using coflow::laws::close_laws;
using support::check_table;
using support::require_rejected;

TEST_CASE("the laws of closing hold in memory", "[close_laws]") { support::require_kept_in_memory(close_laws()); }

TEST_CASE("flows that break a law of closing are rejected for it", "[close_laws]") {
  require_rejected(close_laws(), &behaving<broken::gives_eof_after_its_close>, "C1");
  require_rejected(close_laws(), &behaving<broken::keeps_the_connection_when_closed>, "C1");
  require_rejected(close_laws(), &behaving<broken::is_slow_to_say_closed>, "C1");
  require_rejected(close_laws(), &behaving<broken::throws_at_a_second_close>, "C2");
  require_rejected(close_laws(), &behaving<broken::never_ends_a_second_close>, "C2");
  require_rejected(close_laws(), &behaving<broken::closes_who_came_after_it>, "C2");
  require_rejected(close_laws(), &behaving<broken::breaks_the_connection_at_a_second_close>, "C2");
  require_rejected(close_laws(), &behaving<broken::loses_a_read_when_closed>, "C3");
  require_rejected(close_laws(), &behaving<broken::loses_a_write_when_closed>, "C3");
  require_rejected(close_laws(), &behaving<broken::resumes_readers_inside_its_close>, "C3");
  require_rejected(close_laws(), &behaving<broken::cancels_what_waits_when_closed>, "C3");
  require_rejected(close_laws(), &behaving<broken::waits_for_its_peer_to_close>, "C5");
  require_rejected(close_laws(), &behaving<broken::drops_what_was_accepted_when_closed>, "C5");
  CHECK(
      check_table(close_laws(), handled_pair(&behaving_with_handle<broken::leaves_its_reads_waiting_when_assigned_to>))
          .broke("C3"));
  CHECK(check_table(close_laws(), handled_pair(&behaving_with_handle<broken::resumes_readers_inside_its_destruction>))
            .broke("C3"));
}

}  // namespace
