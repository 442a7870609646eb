#include "coflow/async/on_failure.hpp"

#include "support/catch.hpp"

TEST_CASE("an error in one child cancels its siblings unless told otherwise", "[on_failure]") {
  // The default of a value-made policy is the rule of the house.
  STATIC_REQUIRE(coflow::on_failure() == coflow::on_failure::cancel_siblings);
  STATIC_REQUIRE(coflow::on_failure::isolate != coflow::on_failure::cancel_siblings);
}
