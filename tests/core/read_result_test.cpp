#include "coflow/core/read_result.hpp"

#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/error.hpp"
#include "support/catch.hpp"

using coflow::basic_read_result;
using coflow::buffer;
using coflow::end_of_stream;
using coflow::read_result;

TEST_CASE("a read result is data, eof or an error, and only one of them", "[read_result]") {
  const read_result data = buffer("bytes");
  CHECK(data.has_data());
  CHECK(static_cast<bool>(data));
  CHECK_FALSE(data.eof());
  CHECK_FALSE(data.failed());
  CHECK((*data).text() == "bytes");
  CHECK(data->size() == 5);
  CHECK(data.error() == std::error_code());

  const read_result ended = end_of_stream;
  CHECK_FALSE(ended.has_data());
  CHECK_FALSE(static_cast<bool>(ended));
  CHECK(ended.eof());
  CHECK_FALSE(ended.failed());
  CHECK(ended->empty());
  CHECK(ended.error() == std::error_code());

  const read_result failed = make_error_code(coflow::error::closed);
  CHECK_FALSE(failed.has_data());
  CHECK_FALSE(static_cast<bool>(failed));
  CHECK_FALSE(failed.eof());
  CHECK(failed.failed());
  CHECK(failed->empty());
  CHECK(failed.error() == coflow::error::closed);
}

TEST_CASE("a read result made from nothing is eof", "[read_result]") {
  const read_result made;
  CHECK(made.eof());
}

TEST_CASE("an error of the library, a system error and errc all convert to a failed read", "[read_result]") {
  const read_result from_enum = coflow::error::truncated;
  CHECK(from_enum.error() == coflow::error::truncated);
  const read_result from_errc = std::make_error_code(std::errc::io_error);
  CHECK(from_errc.error() == std::errc::io_error);
  const read_result from_system = coflow::from_system(ECONNRESET);
  CHECK(from_system.error() == std::errc::connection_reset);
}

TEST_CASE("the data of a read result moves out of it", "[read_result]") {
  read_result data = buffer("bytes");
  const std::byte* where = data->data();
  const buffer taken = std::move(*data);
  CHECK(taken.text() == "bytes");
  CHECK(taken.data() == where);

  const buffer directly = *read_result(buffer("more"));
  CHECK(directly.text() == "more");
}

TEST_CASE("a read result moves as one", "[read_result]") {
  read_result first = buffer("bytes");
  read_result second = std::move(first);
  CHECK(second->text() == "bytes");
  second = coflow::error::closed;
  CHECK(second.failed());
  CHECK(second->empty());
  second = buffer("again");
  CHECK(second.has_data());
  CHECK(second.error() == std::error_code());
  second = end_of_stream;
  CHECK(second.eof());
  CHECK(second->empty());
}

TEST_CASE("the error of a read result moves with it", "[read_result]") {
  read_result first = coflow::error::truncated;
  const read_result second = std::move(first);
  CHECK(second.failed());
  CHECK(second.error() == coflow::error::truncated);

  basic_read_result<std::string> in_words = std::string(100, 'x');
  basic_read_result<std::string> moved = std::move(in_words);
  CHECK(moved.error() == std::string(100, 'x'));
  moved = buffer("data");
  CHECK(moved.error().empty());
  moved = std::string(200, 'y');
  basic_read_result<std::string>& same = moved;
  moved = std::move(same);
  CHECK(moved.error() == std::string(200, 'y'));
}

TEST_CASE("a read result cannot be copied, nor mistaken for a number", "[read_result]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<read_result>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<read_result>);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<read_result>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<read_result>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<read_result, bool>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<int, read_result>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<read_result, const char*>);
}

TEST_CASE("a read result can carry an error type of another library", "[read_result]") {
  enum class their_error { none, broken };
  using theirs = basic_read_result<their_error>;
  STATIC_REQUIRE(std::is_same_v<theirs::error_type, their_error>);
  const theirs failed = their_error::broken;
  CHECK(failed.failed());
  CHECK((failed.error() == their_error::broken));
  const theirs data = buffer("x");
  CHECK((data.error() == their_error::none));

  const basic_read_result<std::string> in_words = std::string("it broke");
  CHECK(in_words.error() == "it broke");
  const basic_read_result<std::string> from_literal = "it broke again";
  CHECK(from_literal.error() == "it broke again");
}

TEST_CASE("a pattern with all three outcomes reads as in the README", "[read_result]") {
  std::string seen;
  read_result outcomes[] = {buffer("ab"), end_of_stream, coflow::error::closed};
  for (read_result& chunk : outcomes) {
    if (chunk.eof())
      seen += "|eof";
    else if (!chunk)
      seen += "|" + chunk.error().message();
    else
      seen += chunk->text();
  }
  CHECK(seen == "ab|eof|the flow is closed");
}
