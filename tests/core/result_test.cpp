#include "coflow/core/result.hpp"

#include <any>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/core/buffer.hpp"
#include "coflow/core/error.hpp"
#include "support/catch.hpp"

using coflow::bad_result_access;
using coflow::error;
using coflow::result;
using coflow::success;
using coflow::unexpected;

namespace {

// How many live; a copy or a destructor too many shows.
struct counted {
  explicit counted(int given) : number(given) { ++alive; }
  counted(const counted& other) : number(other.number) { ++alive; }
  counted(counted&& other) noexcept : number(std::exchange(other.number, -1)) { ++alive; }
  counted& operator=(const counted&) = default;
  counted& operator=(counted&&) = default;
  ~counted() { --alive; }
  int number;
  static inline int alive = 0;
};

// Its moves fail while `armed`.
struct fragile {
  explicit fragile(int given) : number(given) { ++alive; }
  fragile(const fragile& other) : number(other.number) { maybe_throw(); }
  fragile(fragile&& other) : number(other.number) { maybe_throw(); }
  fragile& operator=(const fragile&) = delete;
  fragile& operator=(fragile&&) = delete;
  ~fragile() { --alive; }
  int number;
  static inline int alive = 0;
  static inline int moves_left = 1 << 20;

 private:
  static void maybe_throw() {
    if (moves_left-- == 0) throw std::runtime_error("moved once too often");
    ++alive;
  }
};

enum class their_error { none, broken };

// g++ 12 warns at -O2 that the value may be used uninitialized where it sees too much.
[[gnu::noinline]] result<std::string> hidden_failure() { return error::closed; }

result<int> parse(const std::string& text) {
  if (text.empty()) return error::truncated;
  return static_cast<int>(text.size());
}

}  // namespace

TEST_CASE("a result holds a value or an error", "[result]") {
  const result<int> value = 7;
  CHECK(value.has_value());
  CHECK(static_cast<bool>(value));
  CHECK(*value == 7);
  CHECK(value.value() == 7);

  const result<int> failed = error::closed;
  CHECK_FALSE(failed.has_value());
  CHECK_FALSE(static_cast<bool>(failed));
  CHECK(failed.error() == error::closed);
}

TEST_CASE("a result without a value has success or an error", "[result]") {
  const result<void> good = success;
  CHECK(good.has_value());
  CHECK(static_cast<bool>(good));
  CHECK(good.error() == std::error_code());
  good.value();
  *good;
  const result<void> made;
  CHECK(made);

  const result<void> failed = error::closed;
  CHECK_FALSE(failed.has_value());
  CHECK(failed.error() == error::closed);
  CHECK_THROWS_AS(failed.value(), std::system_error);
}

TEST_CASE("error codes of every kind convert to a result", "[result]") {
  CHECK(result<int>(error::closed).error() == error::closed);
  CHECK(result<int>(std::make_error_code(std::errc::io_error)).error() == std::errc::io_error);
  CHECK(result<void>(error::closed).error() == error::closed);
  CHECK(result<void>(std::make_error_code(std::errc::io_error)).error() == std::errc::io_error);
  STATIC_REQUIRE(std::is_convertible_v<std::error_code, result<int>>);
  STATIC_REQUIRE(std::is_convertible_v<error, result<int>>);
  STATIC_REQUIRE(std::is_convertible_v<std::error_code, result<void>>);
  STATIC_REQUIRE(std::is_convertible_v<error, result<std::string>>);
  STATIC_REQUIRE(std::is_convertible_v<const char*, result<std::string>>);
  STATIC_REQUIRE(std::is_convertible_v<coflow::buffer, result<coflow::buffer>>);
}

TEST_CASE("an error code converts to a result of a bool too", "[result]") {
  // std::error_code has an explicit operator bool, which must not make it a value.
  CHECK(std::is_convertible_v<std::error_code, result<bool>>);
  CHECK(std::is_convertible_v<error, result<bool>>);
  CHECK(std::is_convertible_v<bool, result<bool>>);
}

TEST_CASE("an error type that could be made from the value by an explicit constructor does not hide it", "[result]") {
  CHECK(std::is_convertible_v<int, result<int, counted>>);
}

TEST_CASE("unexpected names the error where the two could be mistaken", "[result]") {
  const result<std::string, std::string_view> failed = unexpected<std::string_view>("it broke");
  CHECK_FALSE(failed);
  CHECK(failed.error() == "it broke");
  const result<int, long> number = unexpected<long>(3L);
  CHECK_FALSE(number);
  CHECK(number.error() == 3);
  const result<bool> of_bool = unexpected<std::error_code>(error::closed);
  CHECK(of_bool.error() == error::closed);
  const result<void> nothing = unexpected<error>(error::closed);
  CHECK(nothing.error() == error::closed);
}

TEST_CASE("a value may be of a type that is made from anything", "[result]") {
  result<std::any> first = std::any(3);
  result<std::any> second = unexpected<std::error_code>(error::closed);
  const result<std::any> copy = first;
  std::swap(first, second);
  CHECK(std::any_cast<int>(*copy) == 3);
  CHECK(std::any_cast<int>(*second) == 3);
  CHECK(first.error() == error::closed);
}

TEST_CASE("a result converts to bool only when asked", "[result]") {
  STATIC_REQUIRE_FALSE(std::is_convertible_v<result<int>, bool>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<result<void>, bool>);
  STATIC_REQUIRE(std::is_constructible_v<bool, result<int>>);
}

// Converts to a code, and has more to say.
class detailed_error {
 public:
  detailed_error() noexcept {}
  operator std::error_code() const noexcept { return std::make_error_code(std::errc::io_error); }
  [[nodiscard]] std::string message() const { return "all the details"; }
};

TEST_CASE("value throws what converts to a code as a system_error with its message", "[result]") {
  const coflow::result<int, detailed_error> failed{coflow::unexpected(detailed_error())};
  try {
    static_cast<void>(failed.value());
    FAIL("nothing was thrown");
  } catch (const std::system_error& thrown) {
    CHECK(thrown.code() == std::errc::io_error);
    CHECK(std::string(thrown.what()).find("all the details") == 0);
  }
}

TEST_CASE("value throws the error as a system_error", "[result]") {
  result<int> failed = error::truncated;
  try {
    static_cast<void>(failed.value());
    FAIL("nothing was thrown");
  } catch (const std::system_error& thrown) {
    CHECK(thrown.code() == error::truncated);
  }
  CHECK_THROWS_AS(static_cast<void>(std::as_const(failed).value()), std::system_error);
  CHECK_THROWS_AS(static_cast<void>(std::move(failed).value()), std::system_error);
}

TEST_CASE("value throws an error of another type inside an exception of its own", "[result]") {
  const result<int, their_error> failed = their_error::broken;
  try {
    static_cast<void>(failed.value());
    FAIL("nothing was thrown");
  } catch (const bad_result_access<their_error>& thrown) {
    CHECK((thrown.error() == their_error::broken));
    CHECK(std::string(thrown.what()) == "the result holds an error");
  }
  const result<void, their_error> nothing = their_error::broken;
  CHECK_THROWS_AS(nothing.value(), bad_result_access<their_error>);
}

TEST_CASE("a result of a move-only type moves and cannot be copied", "[result]") {
  using pointer = result<std::unique_ptr<int>>;
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<pointer>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<pointer>);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<pointer>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<pointer>);
  STATIC_REQUIRE(std::is_copy_constructible_v<result<int>>);
  pointer first = std::make_unique<int>(3);
  pointer second = std::move(first);
  CHECK(**second == 3);
  const std::unique_ptr<int> taken = *std::move(second);
  CHECK(*taken == 3);
  pointer third = std::make_unique<int>(4);
  CHECK(*std::move(third).value() == 4);
}

TEST_CASE("a result destroys what it holds, once", "[result]") {
  REQUIRE(counted::alive == 0);
  {
    result<counted> one = counted(1);
    CHECK(counted::alive == 1);
    const result<counted> two = one;
    CHECK(counted::alive == 2);
    CHECK(two->number == 1);
    one = error::closed;
    CHECK(counted::alive == 1);
    one = two;
    CHECK(counted::alive == 2);
    CHECK(one->number == 1);
    one = counted(5);
    CHECK(counted::alive == 2);
    CHECK(one->number == 5);
    result<counted> three = std::move(one);
    CHECK(three->number == 5);
    CHECK(one->number == -1);
    CHECK(counted::alive == 3);
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("a result holds an error that is an object, and destroys it once", "[result]") {
  REQUIRE(counted::alive == 0);
  {
    result<std::string, counted> one = unexpected<counted>(counted(1));
    CHECK(counted::alive == 1);
    result<std::string, counted> two = one;
    two = "a value";
    CHECK(counted::alive == 1);
    two = std::move(one);
    CHECK(two.error().number == 1);
    CHECK(counted::alive == 2);
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("a result survives being assigned to itself", "[result]") {
  result<std::string> one = std::string(100, 'x');
  result<std::string>& same = one;
  one = same;
  CHECK(*one == std::string(100, 'x'));
  one = std::move(same);
  CHECK(*one == std::string(100, 'x'));
}

TEST_CASE("a move that throws while a result is assigned destroys nothing twice", "[result]") {
  REQUIRE(fragile::alive == 0);
  for (int moves = 0; moves < 4; ++moves) {
    alignas(result<fragile>) std::byte place[sizeof(result<fragile>)];
    fragile::moves_left = 1 << 20;
    auto* target = ::new (static_cast<void*>(place)) result<fragile>(fragile(1));
    result<fragile> source = fragile(2);
    fragile::moves_left = moves;
    bool thrown = false;
    try {
      *target = std::move(source);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    fragile::moves_left = 1 << 20;
    // What std::expected promises: it holds a value or an error still.
    INFO("after " << moves << " moves");
    CHECK(fragile::alive == (target->has_value() ? 2 : 1));
    if (!thrown) CHECK((*target)->number == 2);
    if (fragile::alive == 2) target->~result();
    fragile::alive = 1;  // the source
  }
  fragile::alive = 0;
}

TEST_CASE("a result made from nothing holds a value made from nothing", "[result]") {
  CHECK(*result<int>() == 0);
  CHECK(result<std::string>()->empty());
  STATIC_REQUIRE_FALSE(std::is_default_constructible_v<result<counted>>);
}

TEST_CASE("value_or gives the value or the other one", "[result]") {
  const result<int> value = 7;
  const result<int> failed = error::closed;
  CHECK(value.value_or(9) == 7);
  CHECK(failed.value_or(9) == 9);
  CHECK(*result<std::unique_ptr<int>>(std::make_unique<int>(3)).value_or(nullptr) == 3);
  CHECK(result<std::unique_ptr<int>>(error::closed).value_or(nullptr) == nullptr);
  const result<std::string> text = hidden_failure();
  CHECK(text.value_or("default") == "default");
}

TEST_CASE("and_then goes on with the value or passes the error by", "[result]") {
  int calls = 0;
  const auto half = [&calls](int n) -> result<int> {
    ++calls;
    if (n % 2 != 0) return std::make_error_code(std::errc::invalid_argument);
    return n / 2;
  };
  CHECK(*parse("four").and_then(half) == 2);
  CHECK(parse("odd").and_then(half).error() == std::errc::invalid_argument);
  CHECK(calls == 2);
  CHECK(parse("").and_then(half).error() == error::truncated);
  CHECK(calls == 2);
  const result<void> changed = parse("four").and_then([](int) -> result<void> { return success; });
  CHECK(changed);
}

TEST_CASE("transform changes the value or passes the error by", "[result]") {
  const result<std::string> text = parse("four").transform([](int n) { return std::string(std::size_t(n), 'x'); });
  CHECK(*text == "xxxx");
  const result<std::string> failed = parse("").transform([](int n) { return std::string(std::size_t(n), 'x'); });
  CHECK(failed.error() == error::truncated);
  int seen = 0;
  const result<void> nothing = parse("four").transform([&seen](int n) { seen = n; });
  CHECK(nothing);
  CHECK(seen == 4);
  const auto moved =
      result<std::unique_ptr<int>>(std::make_unique<int>(3)).transform([](std::unique_ptr<int> p) { return *p; });
  CHECK(*moved == 3);
}

TEST_CASE("or_else replaces an error or passes the value by", "[result]") {
  const auto recover = [](std::error_code code) -> result<int> {
    if (code == error::truncated) return 0;
    return code;
  };
  CHECK(*parse("").or_else(recover) == 0);
  CHECK(*parse("four").or_else(recover) == 4);
  CHECK(result<int>(error::closed).or_else(recover).error() == error::closed);
}

TEST_CASE("a result without a value has and_then and or_else too", "[result]") {
  CHECK(*result<void>(success).and_then([]() -> result<int> { return 3; }) == 3);
  CHECK(result<void>(error::closed).and_then([]() -> result<int> { return 3; }).error() == error::closed);
  CHECK(result<void>(error::closed).or_else([](std::error_code) -> result<void> { return success; }));
  CHECK(result<void>(success).or_else([](std::error_code code) -> result<void> { return code; }));
}

TEST_CASE("a result may hold a result", "[result]") {
  // What spawn hands to on_done when the task itself gives a result.
  using inner = result<int>;
  using outer = result<inner, std::exception_ptr>;
  CHECK(std::is_constructible_v<outer, inner>);
  CHECK(std::is_convertible_v<inner, outer>);
  using empty_inner = result<void>;
  using empty_outer = result<empty_inner, std::exception_ptr>;
  CHECK(std::is_convertible_v<empty_inner, empty_outer>);
}

TEST_CASE("a result may hold what is const or compares to nothing", "[result]") {
  struct opaque {
    explicit opaque(int n) : number(n) {}
    int number;
  };
  const result<opaque> one = opaque(3);
  CHECK(one->number == 3);
  const result<std::vector<int>> list = std::vector<int>(3, 1);
  CHECK(list->size() == 3);
  const result<std::shared_ptr<const int>> shared = std::make_shared<int>(4);
  CHECK(**shared == 4);
}

TEST_CASE("the errors of a temporary result move out", "[result]") {
  result<int, std::unique_ptr<int>> failed = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = std::move(failed).error();
  CHECK(*taken == 5);
  result<void, std::string> nothing = std::string(100, 'x');
  const std::string text = std::move(nothing).error();
  CHECK(text.size() == 100);
}
