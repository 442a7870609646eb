#include "coflow/net/unix_options.hpp"

#include <chrono>
#include <system_error>
#include <type_traits>

#include "support/catch.hpp"

namespace {

using coflow::unix_connect_options;
using coflow::unix_listener_options;
using namespace std::chrono_literals;

// An aggregate made inside a co_await expression would be destroyed twice by g++ 12.
static_assert(!std::is_aggregate_v<unix_connect_options>);
static_assert(!std::is_aggregate_v<unix_listener_options>);

}  // namespace

TEST_CASE("a local connection is tried for as long as it takes unless the options say otherwise", "[unix_options]") {
  CHECK_FALSE(unix_connect_options().timeout().has_value());
  const unix_connect_options chosen = unix_connect_options().timeout(20ms);
  REQUIRE(chosen.timeout().has_value());
  CHECK(*chosen.timeout() == 20ms);
}

TEST_CASE("a local listener removes nobody's file and leaves the mode to the umask unless the options say otherwise",
          "[unix_options]") {
  const unix_listener_options plain;
  CHECK(plain.backlog() > 0);
  CHECK_FALSE(plain.permissions().has_value());
  CHECK_FALSE(plain.replace_stale());
  CHECK_FALSE(plain.on_trouble());
}

TEST_CASE("the options of a local listener are set one after another", "[unix_options]") {
  std::error_code told;
  const unix_listener_options chosen =
      unix_listener_options().backlog(3).permissions(0640).replace_stale(true).on_trouble(
          [&told](std::error_code code) { told = code; });
  CHECK(chosen.backlog() == 3);
  REQUIRE(chosen.permissions().has_value());
  CHECK(*chosen.permissions() == 0640);
  CHECK(chosen.replace_stale());
  REQUIRE(chosen.on_trouble());
  chosen.on_trouble()(std::make_error_code(std::errc::too_many_files_open));
  CHECK(told == std::errc::too_many_files_open);
}
