#include <coflow/testing/executor_end_laws.hpp>

#include "broken/broken_ownership.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using broken::behaving;
using coflow::laws::executor_end_laws;
using support::require_rejected;

TEST_CASE("the laws of executors that end hold in memory", "[executor_end_laws]") {
  support::require_kept_in_memory(executor_end_laws());
}

TEST_CASE("flows that break a law of executors that end are rejected for it", "[executor_end_laws]") {
  require_rejected(executor_end_laws(), &behaving<broken::succeeds_without_an_executor>, "O4");
  require_rejected(executor_end_laws(), &behaving<broken::latches_that_there_was_no_executor>, "O4");
  require_rejected(executor_end_laws(), &behaving<broken::waits_for_an_executor_that_is_gone>, "O4");
  require_rejected(executor_end_laws(), &behaving<broken::succeeds_after_its_executor>, "O4");
  require_rejected(executor_end_laws(), &behaving<broken::gives_eof_when_its_executor_ends>, "O4");
}

}  // namespace
