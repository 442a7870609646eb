#include <coflow/testing/write_error_laws.hpp>

#include "broken/broken_writes.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::laws::write_error_laws;

TEST_CASE("the laws of errors of writing hold in memory", "[write_error_laws]") {
  support::require_kept_in_memory(write_error_laws());
}

TEST_CASE("flows that break a law of errors of writing are rejected for it", "[write_error_laws]") {
  support::require_rejected(write_error_laws(), &broken::behaving<broken::calls_closed_a_broken_pipe>, "W5");
  support::require_rejected(write_error_laws(), &broken::behaving<broken::succeeds_after_an_error>, "W6");
  support::require_rejected(write_error_laws(), &broken::behaving<broken::changes_its_error>, "W6");
  support::require_rejected(write_error_laws(), &broken::behaving<broken::raises_a_signal>, "W10");
}

}  // namespace
