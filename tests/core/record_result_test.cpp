#include "coflow/core/record_result.hpp"

#include <cstdint>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/fallible.hpp"
#include "support/catch.hpp"

namespace {

using coflow::buffer;
using coflow::record_result;

static_assert(coflow::Fallible<record_result<buffer>>);
static_assert(coflow::Fallible<record_result<std::uint32_t>>);
static_assert(!std::is_copy_constructible_v<record_result<buffer>>);
static_assert(!std::is_convertible_v<record_result<buffer>, bool>);

}  // namespace

TEST_CASE("a record result is a record, eof or an error, and only one of them", "[record_result]") {
  const record_result<buffer> line = buffer("line");
  CHECK(static_cast<bool>(line));
  CHECK(line.has_value());
  CHECK_FALSE(line.eof());
  CHECK_FALSE(line.failed());
  CHECK((*line).text() == "line");
  CHECK(line->size() == 4);
  CHECK(line.error() == std::error_code());

  const record_result<buffer> ended = coflow::end_of_stream;
  CHECK_FALSE(static_cast<bool>(ended));
  CHECK_FALSE(ended.has_value());
  CHECK(ended.eof());
  CHECK_FALSE(ended.failed());
  CHECK(ended->empty());
  CHECK(ended.error() == std::error_code());

  const record_result<buffer> failed = coflow::error::truncated;
  CHECK_FALSE(static_cast<bool>(failed));
  CHECK_FALSE(failed.eof());
  CHECK(failed.failed());
  CHECK(failed->empty());
  CHECK(failed.error() == coflow::error::truncated);
}

TEST_CASE("an empty line and the number 0 are records", "[record_result]") {
  const record_result<buffer> line = buffer();
  CHECK(static_cast<bool>(line));
  CHECK_FALSE(line.eof());
  const record_result<std::uint16_t> number = std::uint16_t{0};
  CHECK(static_cast<bool>(number));
  CHECK(*number == 0);
  const record_result<std::uint16_t> none;
  CHECK(none.eof());
  CHECK(*none == 0);
}

TEST_CASE("a record result moves, and what it held goes along", "[record_result]") {
  record_result<buffer> first = buffer("line");
  record_result<buffer> second(std::move(first));
  CHECK(second->text() == "line");
  record_result<buffer> third = coflow::error::closed;
  third = std::move(second);
  CHECK(third->text() == "line");
  third = record_result<buffer>(coflow::error::closed);
  CHECK(third.error() == coflow::error::closed);
  record_result<buffer>& same = third;
  third = std::move(same);
  CHECK(third.error() == coflow::error::closed);
  const buffer taken = *record_result<buffer>(buffer("taken"));
  CHECK(taken.text() == "taken");
}

TEST_CASE("the failure of a record result is told like that of any outcome", "[record_result]") {
  CHECK(coflow::failure_of(record_result<buffer>(buffer())) == std::error_code());
  CHECK(coflow::failure_of(record_result<buffer>()) == std::error_code());
  CHECK(coflow::failure_of(record_result<int>(coflow::error::closed)) == coflow::error::closed);
}
