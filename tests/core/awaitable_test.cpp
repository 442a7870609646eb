#include "coflow/core/awaitable.hpp"

#include <coroutine>
#include <memory>
#include <string>
#include <type_traits>

#include "coflow/core/task.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

struct plain_awaiter {
  plain_awaiter() noexcept {}
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  int await_resume() const noexcept { return 1; }
};

struct with_member {
  with_member() noexcept {}
  plain_awaiter operator co_await() const noexcept { return {}; }
};

// Only an rvalue can be awaited, like a task.
struct rvalue_only {
  rvalue_only() noexcept {}
  plain_awaiter operator co_await() && noexcept { return {}; }
};

struct with_free {
  with_free() noexcept {}
};
struct gives_reference : plain_awaiter {
  explicit gives_reference(std::string& of) noexcept : of_(&of) {}
  std::string& await_resume() const noexcept { return *of_; }

 private:
  std::string* of_;
};
plain_awaiter operator co_await(const with_free&) noexcept { return {}; }

// The condition may be anything that converts to bool.
struct truth {
  explicit operator bool() const { return true; }
};
struct odd_ready : plain_awaiter {
  truth await_ready() const noexcept { return {}; }
};

struct no_resume {
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
};
struct nothing_at_all {};

}  // namespace

using coflow::await_result_t;
using coflow::awaitable;
using coflow::awaitable_of;

TEST_CASE("an awaiter, a member and a free operator co_await all make an awaitable", "[awaitable]") {
  STATIC_REQUIRE(awaitable<plain_awaiter>);
  STATIC_REQUIRE(awaitable<plain_awaiter&>);
  STATIC_REQUIRE(awaitable<with_member>);
  STATIC_REQUIRE(awaitable<with_free>);
  STATIC_REQUIRE(awaitable<with_free&>);
  STATIC_REQUIRE(awaitable<coflow::task<int>>);
  STATIC_REQUIRE(awaitable<std::suspend_always>);
}

TEST_CASE("what cannot be awaited is no awaitable", "[awaitable]") {
  STATIC_REQUIRE_FALSE(awaitable<int>);
  STATIC_REQUIRE_FALSE(awaitable<nothing_at_all>);
  STATIC_REQUIRE_FALSE(awaitable<no_resume>);
  STATIC_REQUIRE_FALSE(awaitable<void>);
  STATIC_REQUIRE_FALSE(awaitable<odd_ready>);  // explicit conversions do not count
}

TEST_CASE("an operator co_await for rvalues makes only the rvalue awaitable", "[awaitable]") {
  STATIC_REQUIRE(awaitable<rvalue_only>);
  STATIC_REQUIRE_FALSE(awaitable<rvalue_only&>);
  STATIC_REQUIRE_FALSE(awaitable<coflow::task<int>&>);
  STATIC_REQUIRE_FALSE(awaitable<const coflow::task<int>>);
}

TEST_CASE("the result of an await is what await_resume gives", "[awaitable]") {
  STATIC_REQUIRE(std::is_same_v<await_result_t<plain_awaiter>, int>);
  STATIC_REQUIRE(std::is_same_v<await_result_t<with_member>, int>);
  STATIC_REQUIRE(std::is_same_v<await_result_t<with_free>, int>);
  STATIC_REQUIRE(std::is_same_v<await_result_t<std::suspend_never>, void>);
  STATIC_REQUIRE(std::is_same_v<await_result_t<gives_reference>, std::string&>);
  STATIC_REQUIRE(std::is_same_v<await_result_t<coflow::task<>>, void>);
  STATIC_REQUIRE(std::is_same_v<await_result_t<coflow::task<std::unique_ptr<int>>>, std::unique_ptr<int>>);
  STATIC_REQUIRE(std::is_same_v<await_result_t<coflow::task<int&>>, int&>);
}

TEST_CASE("awaitable_of looks past references and const but at nothing else", "[awaitable]") {
  STATIC_REQUIRE(awaitable_of<gives_reference, std::string>);
  STATIC_REQUIRE(awaitable_of<plain_awaiter, int>);
  STATIC_REQUIRE_FALSE(awaitable_of<plain_awaiter, long>);
  STATIC_REQUIRE(awaitable_of<std::suspend_never, void>);
  STATIC_REQUIRE_FALSE(awaitable_of<plain_awaiter, void>);
  STATIC_REQUIRE_FALSE(awaitable_of<int, int>);
}

namespace {

coflow::task<int> await_every_kind(std::string* text) {
  int sum = co_await plain_awaiter();
  sum += co_await with_member();
  sum += co_await with_free();
  sum += co_await rvalue_only();
  std::string& same = co_await gives_reference(*text);
  same += "!";
  co_return sum;
}

}  // namespace

TEST_CASE("a task awaits every kind of awaitable", "[awaitable]") {
  std::string text = "hello";
  CHECK(support::drive(await_every_kind(&text)) == 4);
  CHECK(text == "hello!");
}
