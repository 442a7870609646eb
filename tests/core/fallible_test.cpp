#include "coflow/core/fallible.hpp"

#include <memory>
#include <system_error>
#include <type_traits>

#include "coflow/core/error.hpp"
#include "support/catch.hpp"

namespace {

enum class mood { good, bad };

static_assert(coflow::Fallible<coflow::result<int>>);
static_assert(coflow::Fallible<coflow::result<void>>);
static_assert(coflow::Fallible<coflow::read_result>);
static_assert(coflow::Fallible<coflow::read_into_result>);
static_assert(!coflow::Fallible<coflow::result<int, mood>>);
static_assert(!coflow::Fallible<int>);
static_assert(!coflow::Fallible<void>);
static_assert(std::is_same_v<coflow::fallible<coflow::result<int>>, coflow::result<int>>);
static_assert(std::is_same_v<coflow::fallible<coflow::read_result>, coflow::read_result>);
static_assert(std::is_same_v<coflow::fallible<int>, coflow::result<int>>);
static_assert(std::is_same_v<coflow::fallible<void>, coflow::result<void>>);
static_assert(std::is_same_v<coflow::fallible<std::unique_ptr<int>>, coflow::result<std::unique_ptr<int>>>);

}  // namespace

TEST_CASE("values, data and eof are no failures", "[fallible]") {
  CHECK(coflow::failure_of(coflow::result<int>(1)) == std::error_code());
  CHECK(coflow::failure_of(coflow::result<void>(coflow::success)) == std::error_code());
  CHECK(coflow::failure_of(coflow::read_result(coflow::buffer("x"))) == std::error_code());
  CHECK(coflow::failure_of(coflow::read_result(coflow::end_of_stream)) == std::error_code());
  CHECK(coflow::failure_of(coflow::read_into_result(std::size_t{3})) == std::error_code());
}

TEST_CASE("errors are told as codes", "[fallible]") {
  const std::error_code closed = coflow::error::closed;
  CHECK(coflow::failure_of(coflow::result<int>(closed)) == closed);
  CHECK(coflow::failure_of(coflow::read_result(closed)) == closed);
  CHECK(coflow::failure_of(coflow::read_into_result(closed)) == closed);
  CHECK(coflow::failure_of(coflow::result<int, coflow::error>(coflow::error::closed)) == closed);
}

TEST_CASE("an error that is no code is an input/output error", "[fallible]") {
  CHECK(coflow::failure_of(coflow::result<int, mood>(mood::bad)) == std::errc::io_error);
  CHECK(coflow::failure_of(coflow::result<int, mood>(1)) == std::error_code());
}
