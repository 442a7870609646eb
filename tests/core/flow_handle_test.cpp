#include "coflow/core/flow_handle.hpp"

#include <string>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"

namespace {

// Notes what is done to it: "c" for close, "d" for destroy.
class noting_block {
 public:
  explicit noting_block(std::string& into) noexcept : into_(into) {}
  void close() noexcept { into_ += 'c'; }
  void destroy() noexcept { into_ += 'd'; }
  int answer() const noexcept { return 42; }

 private:
  std::string& into_;
};

using handle = coflow::flow_handle<noting_block>;

}  // namespace

TEST_CASE("a handle closes its block and then gives it up", "[flow_handle]") {
  std::string noted;
  noting_block block(noted);
  {
    const handle owner(&block);
    CHECK(owner->answer() == 42);
    CHECK(&*owner == &block);
    CHECK(noted.empty());
  }
  CHECK(noted == "cd");
}

TEST_CASE("a handle that was moved from does nothing", "[flow_handle]") {
  std::string noted;
  noting_block block(noted);
  {
    handle first(&block);
    const handle second = std::move(first);
    CHECK(second->answer() == 42);
  }
  CHECK(noted == "cd");
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<handle>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<handle>);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<handle>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<handle>);
}

TEST_CASE("a handle that is assigned to closes what it held", "[flow_handle]") {
  std::string of_first;
  std::string of_second;
  noting_block one(of_first);
  noting_block two(of_second);
  {
    handle first(&one);
    handle second(&two);
    first = std::move(second);
    CHECK(of_first == "cd");
    CHECK(of_second.empty());
    handle& same = first;
    first = std::move(same);
    CHECK(of_second.empty());
    second = std::move(first);
    CHECK(of_second.empty());
  }
  CHECK(of_second == "cd");
}

TEST_CASE("a handle without a block may be destroyed and assigned to", "[flow_handle]") {
  std::string noted;
  noting_block block(noted);
  {
    handle none(nullptr);
    none = handle(&block);
    CHECK(noted.empty());
    none = handle(nullptr);
    CHECK(noted == "cd");
  }
  CHECK(noted == "cd");
}
