#include "coflow/core/shutdown_mode.hpp"

#include "support/catch.hpp"

using coflow::covers_read;
using coflow::covers_write;
using coflow::shutdown_mode;

TEST_CASE("each shutdown mode covers the halves in its name", "[shutdown_mode]") {
  STATIC_REQUIRE(covers_read(shutdown_mode::read));
  STATIC_REQUIRE_FALSE(covers_write(shutdown_mode::read));
  STATIC_REQUIRE(covers_write(shutdown_mode::write));
  STATIC_REQUIRE_FALSE(covers_read(shutdown_mode::write));
  STATIC_REQUIRE(covers_read(shutdown_mode::read_write));
  STATIC_REQUIRE(covers_write(shutdown_mode::read_write));
}
