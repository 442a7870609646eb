#include <coflow/testing/ownership_laws.hpp>

#include "broken/broken_ownership.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using broken::behaving;
using broken::behaving_with_handle;
using broken::handled_pair;
using coflow::laws::ownership_laws;
using support::check_table;
using support::require_rejected;

TEST_CASE("the laws of ownership hold in memory", "[ownership_laws]") {
  support::require_kept_in_memory(ownership_laws());
}

TEST_CASE("flows that break a law of ownership are rejected for it", "[ownership_laws]") {
  require_rejected(ownership_laws(), &behaving<broken::closes_before_that_is_awaited>, "O1");
  require_rejected(ownership_laws(), &behaving<broken::writes_in_the_order_of_the_calls>, "O1");
  require_rejected(ownership_laws(), &behaving<broken::lets_others_run_before_it_shuts_down>, "O1");
  CHECK(check_table(ownership_laws(), handled_pair(&behaving_with_handle<broken::ends_its_reads_when_moved>))
            .broke("O2"));
  CHECK(check_table(ownership_laws(), handled_pair(&behaving_with_handle<broken::forgets_what_it_was_when_moved>))
            .broke("O2"));
}

}  // namespace
