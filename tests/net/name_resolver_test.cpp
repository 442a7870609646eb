#include "coflow/net/name_resolver.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/core/error.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using coflow::endpoint;
using coflow::name_resolver;
using coflow::resolved;
using coflow::task;

static_assert(std::is_nothrow_move_constructible_v<name_resolver> && std::is_copy_constructible_v<name_resolver>);
static_assert(!std::is_aggregate_v<name_resolver>);

task<resolved> loopback(std::string host, std::uint16_t port) {
  if (host != "here") co_return coflow::canceled();
  std::vector<endpoint> found;
  found.push_back(endpoint::loopback_v4(port));
  co_return std::move(found);
}
static_assert(coflow::resolver_function<decltype(&loopback)>);
static_assert(!coflow::resolver_function<int (*)(std::string, std::uint16_t)>);
static_assert(!coflow::resolver_function<task<coflow::result<int>> (*)(std::string, std::uint16_t)>);

// An awaitable that is no task, made from a view of the name.
class at_once {
 public:
  explicit at_once(std::string_view host) : size_(static_cast<std::uint16_t>(host.size())) {}
  [[nodiscard]] bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  [[nodiscard]] resolved await_resume() const {
    std::vector<endpoint> found;
    found.push_back(endpoint::loopback_v6(size_));
    return found;
  }

 private:
  std::uint16_t size_;
};

// Waits at a gate and then tells how often it was called; it may be moved and not copied.
class counting {
 public:
  explicit counting(support::gate& at) : at_(at), calls_(std::make_unique<std::uint16_t>(std::uint16_t{0})) {}
  task<resolved> operator()(std::string, std::uint16_t) {
    const std::uint16_t number = ++*calls_;
    return answer(&at_, number);
  }

 private:
  static task<resolved> answer(support::gate* at, std::uint16_t number) {
    co_await at->pass();
    std::vector<endpoint> found;
    found.push_back(endpoint::loopback_v4(number));
    co_return std::move(found);
  }

  support::gate& at_;
  std::unique_ptr<std::uint16_t> calls_;
};

task<resolved> throws(std::string, std::uint16_t) { throw std::runtime_error("no answer"); }

}  // namespace

TEST_CASE("a resolver is empty until it is given something to call", "[name_resolver]") {
  CHECK_FALSE(name_resolver());
  CHECK(name_resolver(&loopback));
}

TEST_CASE("a resolver hands on what it is asked and what it is told", "[name_resolver]") {
  const name_resolver find(&loopback);
  const resolved found = support::drive(find("here", 80));
  REQUIRE(found);
  REQUIRE(found->size() == 1);
  CHECK(found->front() == endpoint::loopback_v4(80));
  CHECK(support::drive(find("there", 80)).error() == std::errc::operation_canceled);
}

TEST_CASE("a resolver may return any awaitable and take a view of the name", "[name_resolver]") {
  const name_resolver find([](std::string_view host, int) { return at_once(host); });
  const resolved found = support::drive(find("four", 80));
  REQUIRE(found);
  CHECK(found->front() == endpoint::loopback_v6(4));
}

TEST_CASE("copies of a resolver share it, and a call that is pending keeps it alive", "[name_resolver]") {
  support::gate open;
  std::optional<name_resolver> first = name_resolver(counting(open));
  std::optional<name_resolver> second = first;
  support::manual_executor on;
  auto one = support::job<resolved>::of((*first)("a", 1));
  auto two = support::job<resolved>::of((*second)("b", 2));
  one.start(on);
  two.start(on);
  on.run_until_idle();
  first.reset();
  second.reset();
  open.open();
  on.run_until_idle();
  CHECK(one.take()->front().port() == 1);
  CHECK(two.take()->front().port() == 2);
}

TEST_CASE("what a resolver throws is thrown where its answer is awaited", "[name_resolver]") {
  const name_resolver find(&throws);
  task<resolved> asked = find("a", 1);
  CHECK_THROWS_WITH(support::drive(std::move(asked)), "no answer");
}
