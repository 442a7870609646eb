#include "coflow/core/read_into_result.hpp"

#include <cerrno>
#include <cstddef>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/error.hpp"
#include "support/catch.hpp"

using coflow::basic_read_into_result;
using coflow::end_of_stream;
using coflow::read_into_result;

TEST_CASE("a read_into result is a count, eof or an error, and only one of them", "[read_into_result]") {
  const read_into_result count = std::size_t{5};
  CHECK(count.has_count());
  CHECK(static_cast<bool>(count));
  CHECK_FALSE(count.eof());
  CHECK_FALSE(count.failed());
  CHECK(*count == 5);
  CHECK(count.error() == std::error_code());

  const read_into_result ended = end_of_stream;
  CHECK_FALSE(ended.has_count());
  CHECK_FALSE(static_cast<bool>(ended));
  CHECK(ended.eof());
  CHECK_FALSE(ended.failed());
  CHECK(*ended == 0);
  CHECK(ended.error() == std::error_code());

  const read_into_result failed = make_error_code(coflow::error::closed);
  CHECK_FALSE(failed.has_count());
  CHECK_FALSE(static_cast<bool>(failed));
  CHECK_FALSE(failed.eof());
  CHECK(failed.failed());
  CHECK(*failed == 0);
  CHECK(failed.error() == coflow::error::closed);
}

TEST_CASE("a read_into result of no bytes is a count all the same", "[read_into_result]") {
  const read_into_result none = std::size_t{0};
  CHECK(none.has_count());
  CHECK_FALSE(none.eof());
  CHECK(*none == 0);
}

TEST_CASE("a read_into result made from nothing is eof", "[read_into_result]") {
  const read_into_result made;
  CHECK(made.eof());
}

TEST_CASE("an error of the library, a system error and errc all convert to a failed read_into", "[read_into_result]") {
  const read_into_result from_enum = coflow::error::truncated;
  CHECK(from_enum.error() == coflow::error::truncated);
  const read_into_result from_errc = std::make_error_code(std::errc::io_error);
  CHECK(from_errc.error() == std::errc::io_error);
  const read_into_result from_system = coflow::from_system(ECONNRESET);
  CHECK(from_system.error() == std::errc::connection_reset);
}

TEST_CASE("a read_into result moves as one, with its error", "[read_into_result]") {
  read_into_result first = std::size_t{7};
  read_into_result second = std::move(first);
  CHECK(*second == 7);
  second = coflow::error::closed;
  CHECK(second.failed());
  CHECK(*second == 0);
  second = std::size_t{9};
  CHECK(second.has_count());
  CHECK(*second == 9);
  CHECK(second.error() == std::error_code());
  second = end_of_stream;
  CHECK(second.eof());
  CHECK(*second == 0);

  basic_read_into_result<std::string> in_words = std::string(100, 'x');
  basic_read_into_result<std::string> moved = std::move(in_words);
  CHECK(moved.error() == std::string(100, 'x'));
  moved = std::size_t{1};
  CHECK(moved.error().empty());
  moved = std::string(200, 'y');
  basic_read_into_result<std::string>& same = moved;
  moved = std::move(same);
  CHECK(moved.error() == std::string(200, 'y'));
}

TEST_CASE("a read_into result is made from no number but a size, and mistaken for none", "[read_into_result]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<read_into_result>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<read_into_result>);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<read_into_result>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<read_into_result>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<read_into_result>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<read_into_result, bool>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<read_into_result, std::size_t>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<read_into_result, int>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<read_into_result, std::ptrdiff_t>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<read_into_result, bool>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<read_into_result, const char*>);
}

TEST_CASE("a read_into result can carry an error type of another library", "[read_into_result]") {
  enum class their_error { none, broken };
  using theirs = basic_read_into_result<their_error>;
  STATIC_REQUIRE(std::is_same_v<theirs::error_type, their_error>);
  const theirs failed = their_error::broken;
  CHECK(failed.failed());
  CHECK((failed.error() == their_error::broken));
  const theirs count = std::size_t{3};
  CHECK((count.error() == their_error::none));
  const basic_read_into_result<std::string> from_literal = "it broke";
  CHECK(from_literal.error() == "it broke");
}
