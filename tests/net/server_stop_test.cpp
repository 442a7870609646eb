#include "coflow/net/server_stop.hpp"

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

using coflow::server_stop;

static_assert(!std::is_copy_constructible_v<server_stop>);

class listening final : public coflow::detail::stop_subscriber {
 public:
  listening() noexcept {}
  void on_stop_request() noexcept override {
    ++told;
    if (ends != nullptr) ends->reset();
  }
  int told = 0;
  std::unique_ptr<listening>* ends = nullptr;
};

}  // namespace

TEST_CASE("a stop is told to everybody, twice at most, and stays", "[server_stop]") {
  server_stop stop;
  listening a;
  listening b;
  stop.servers().add(a);
  stop.servers().add(b);
  CHECK_FALSE(stop.requested());
  CHECK(stop.servers().requests() == 0);
  stop.request();
  CHECK(stop.requested());
  CHECK(stop.servers().requests() == 1);
  CHECK(a.told == 1);
  stop.request();
  CHECK(stop.servers().requests() == 2);
  for (int i = 0; i < 10; ++i) stop.request();
  CHECK(stop.servers().requests() == 2);
  CHECK(a.told == 2);
  CHECK(b.told == 2);
}

TEST_CASE("whoever is told may end others that have been told or not", "[server_stop]") {
  for (const bool first : {true, false}) {
    server_stop stop;
    auto other = std::make_unique<listening>();
    listening ending;
    ending.ends = &other;
    if (first) stop.servers().add(ending);
    stop.servers().add(*other);
    if (!first) stop.servers().add(ending);
    stop.request();
    CHECK(other == nullptr);
    CHECK(ending.told == 1);
    stop.request();
    CHECK(ending.told == 2);
  }
}

TEST_CASE("those who are told and the stop may die in any order", "[server_stop]") {
  listening outlives;
  {
    server_stop stop;
    stop.servers().add(outlives);
    listening dies;
    stop.servers().add(dies);
  }
  CHECK_FALSE(outlives.linked());
}
