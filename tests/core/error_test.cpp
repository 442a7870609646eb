#include "coflow/core/error.hpp"

#include <cerrno>
#include <set>
#include <string>
#include <system_error>

#include "support/catch.hpp"

using coflow::condition;
using coflow::error;
using coflow::from_system;

namespace {

const error every_error[] = {error::closed,      error::truncated,      error::timed_out,    error::torn_write,
                             error::no_executor, error::wrong_executor, error::bad_endpoint, error::not_a_stream};

}  // namespace

TEST_CASE("every error of the library has a number, a category and a message of its own", "[error]") {
  std::set<int> numbers;
  std::set<std::string> messages;
  for (const error one : every_error) {
    const std::error_code code = one;
    CHECK(code);  // none of them is zero, which would be success
    CHECK(code.category() == coflow::error_category());
    CHECK(code.message().find("unknown") == std::string::npos);
    numbers.insert(code.value());
    messages.insert(code.message());
  }
  CHECK(numbers.size() == std::size(every_error));
  CHECK(messages.size() == std::size(every_error));
  CHECK(std::string(coflow::error_category().name()) == "coflow");
}

TEST_CASE("numbers that are no error of the library have a message too", "[error]") {
  CHECK(coflow::error_category().message(0) == "unknown coflow error");
  CHECK(coflow::error_category().message(1000) == "unknown coflow error");
  CHECK(coflow::condition_category().message(0) == "unknown coflow condition");
  CHECK(coflow::condition_category().message(1) == "the connection is gone");
  CHECK(std::string(coflow::condition_category().name()) == "coflow.condition");
}

TEST_CASE("the three spellings of closed become closed", "[error]") {
  for (const int number : {EPIPE, ENOTCONN, ESHUTDOWN}) {
    INFO(number);
    CHECK(from_system(number) == error::closed);
    CHECK(from_system(number).category() == coflow::error_category());
  }
}

TEST_CASE("every other system error keeps its number", "[error]") {
  for (int number = 1; number <= 133; ++number) {
    if (number == EPIPE || number == ENOTCONN || number == ESHUTDOWN) continue;
    INFO(number);
    CHECK(from_system(number) == std::error_code(number, std::system_category()));
  }
  CHECK_FALSE(from_system(0));
  CHECK(from_system(ECONNRESET) == std::errc::connection_reset);
  CHECK(from_system(ECONNABORTED) == std::errc::connection_aborted);
  CHECK(from_system(ETIMEDOUT) == std::errc::timed_out);
}

TEST_CASE("closed and reset mean disconnected, in every spelling", "[error]") {
  CHECK(std::error_code(error::closed) == condition::disconnected);
  for (const int number : {EPIPE, ENOTCONN, ESHUTDOWN, ECONNRESET, ECONNABORTED}) {
    INFO(number);
    CHECK(from_system(number) == condition::disconnected);
    // As a flow that somebody else has written may put it.
    CHECK(std::error_code(number, std::system_category()) == condition::disconnected);
    CHECK(std::error_code(number, std::generic_category()) == condition::disconnected);
  }
}

TEST_CASE("nothing else means disconnected", "[error]") {
  CHECK(std::error_code() != condition::disconnected);
  CHECK(coflow::canceled() != condition::disconnected);  // law X0
  for (const error one : every_error) {
    if (one != error::closed) CHECK(std::error_code(one) != condition::disconnected);
  }
  for (const int number : {EAGAIN, EINTR, EIO, ENOMEM, ETIMEDOUT, ECONNREFUSED, EMFILE, EBADF, ECANCELED}) {
    INFO(number);
    CHECK(from_system(number) != condition::disconnected);
  }
}

TEST_CASE("a condition that the library does not have equals no code", "[error]") {
  const std::error_condition other(2, coflow::condition_category());
  CHECK(std::error_code(error::closed) != other);
  CHECK(from_system(ECONNRESET) != other);
}

TEST_CASE("a cancelled operation is operation_canceled", "[error]") {
  CHECK(coflow::canceled() == std::errc::operation_canceled);
  CHECK(coflow::canceled() != error::timed_out);
}

TEST_CASE("a deadline of the program is not the kernel's time-out", "[error]") {
  CHECK(from_system(ETIMEDOUT) != error::timed_out);
  CHECK(std::error_code(error::timed_out) != std::errc::timed_out);
}

TEST_CASE("a reset ends the connection, in every spelling", "[error]") {
  for (const int number : {ECONNRESET, ECONNABORTED}) {
    INFO(number);
    CHECK(coflow::detail::ends_connection(from_system(number)));
    // What a flow below may say that is not coflow's own: std::make_error_code(std::errc::connection_reset).
    CHECK(coflow::detail::ends_connection(std::error_code(number, std::generic_category())));
  }
}

TEST_CASE("what one half alone can meet does not end the connection", "[error]") {
  for (const int number : {EPIPE, ENOTCONN, ESHUTDOWN, EIO, EAGAIN, EINTR, ENOMEM, ENOBUFS, EMSGSIZE, ECANCELED}) {
    INFO(number);
    CHECK_FALSE(coflow::detail::ends_connection(from_system(number)));
  }
  CHECK_FALSE(coflow::detail::ends_connection(std::error_code()));
  for (const error one : every_error) CHECK_FALSE(coflow::detail::ends_connection(one));
}

TEST_CASE("the categories are one object each", "[error]") {
  CHECK(&coflow::error_category() == &coflow::error_category());
  CHECK(&coflow::condition_category() == &coflow::condition_category());
  CHECK(coflow::error_category() != coflow::condition_category());
}
