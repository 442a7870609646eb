#include "coflow/testing/choices.hpp"

#include <cstddef>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"

using coflow::choices;

namespace {

using picks = std::vector<std::size_t>;

picks pick_some(choices& from, std::initializer_list<std::size_t> possibilities) {
  picks made;
  for (const std::size_t n : possibilities) made.push_back(from.pick(n));
  return made;
}

/// Every run of `body(choices&)`, which gives the picks it made.
template <class Body>
std::vector<picks> all_runs(Body body) {
  std::vector<picks> runs;
  auto from = choices::exhaustive();
  do {
    runs.push_back(body(from));
  } while (from.next());
  return runs;
}

}  // namespace

TEST_CASE("exhaustive choices go through all combinations, the last pick fastest", "[choices]") {
  const auto runs = all_runs([](choices& from) { return pick_some(from, {2, 3}); });
  CHECK(runs == std::vector<picks>{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}});
}

TEST_CASE("what an exhaustive run can pick may depend on what it has picked", "[choices]") {
  const auto runs = all_runs([](choices& from) {
    picks made{from.pick(3)};
    for (std::size_t i = 0; i < made.front(); ++i) made.push_back(from.pick(2 + i));
    return made;
  });
  CHECK(runs ==
        std::vector<picks>{{0}, {1, 0}, {1, 1}, {2, 0, 0}, {2, 0, 1}, {2, 0, 2}, {2, 1, 0}, {2, 1, 1}, {2, 1, 2}});
}

TEST_CASE("the interleavings of two sequences are counted right", "[choices]") {
  // Of 3 and 4 steps: 7 over 3.
  std::set<std::string> seen;
  auto from = choices::exhaustive();
  int runs = 0;
  do {
    std::string order;
    int left[2] = {3, 4};
    while (left[0] + left[1] != 0) {
      std::size_t side = left[0] == 0 ? 1 : 0;
      if (left[0] != 0 && left[1] != 0) side = from.pick(2);
      --left[side];
      order += static_cast<char>('a' + side);
    }
    seen.insert(order);
    ++runs;
  } while (from.next());
  CHECK(runs == 35);
  CHECK(seen.size() == 35);
}

TEST_CASE("a run without picks is the only one", "[choices]") {
  CHECK(all_runs([](choices&) { return picks{}; }).size() == 1);
  CHECK(all_runs([](choices& from) { return pick_some(from, {1, 1, 1}); }) == std::vector<picks>{{0, 0, 0}});
}

TEST_CASE("when all combinations have been, exhaustive choices begin again", "[choices]") {
  auto from = choices::exhaustive();
  for (int round = 0; round < 2; ++round) {
    CHECK(from.pick(2) == 0);
    CHECK(from.next());
    CHECK(from.pick(2) == 1);
    CHECK_FALSE(from.next());
  }
}

TEST_CASE("an exhaustive run that ends early leaves the later picks to others", "[choices]") {
  auto from = choices::exhaustive();
  CHECK(pick_some(from, {2, 2}) == picks{0, 0});
  CHECK(from.next());
  CHECK(pick_some(from, {2}) == picks{0});  // makes one pick less than the run before it
  CHECK(from.next());
  CHECK(pick_some(from, {2, 2}) == picks{1, 0});
}

TEST_CASE("exhaustive choices notice a run that does not repeat the one before it", "[choices]") {
  auto from = choices::exhaustive();
  CHECK(pick_some(from, {2, 2}) == picks{0, 0});
  CHECK(from.next());
  CHECK_THROWS_AS(from.pick(3), std::logic_error);
}

TEST_CASE("a run is repeated by what repro gives", "[choices]") {
  auto from = choices::exhaustive();
  std::vector<std::string> lines;
  do {
    const picks made = pick_some(from, {3, 1, 2});
    lines.push_back(from.repro());
    auto again = choices::replay(lines.back());
    CHECK(pick_some(again, {3, 1, 2}) == made);
    CHECK(again.repro() == lines.back());
  } while (from.next());
  CHECK(lines == std::vector<std::string>{"0,0", "0,1", "1,0", "1,1", "2,0", "2,1"});
}

TEST_CASE("a replay goes on in the natural order when its picks are used up", "[choices]") {
  auto from = choices::replay("1");
  CHECK(pick_some(from, {2, 5, 5}) == picks{1, 0, 0});
  CHECK(from.repro() == "1,0,0");
  auto natural = choices::replay("");
  CHECK(natural.repro().empty());
  CHECK(pick_some(natural, {9, 9}) == picks{0, 0});
}

TEST_CASE("a replay stays within what can be picked", "[choices]") {
  auto from = choices::replay("7,1");
  CHECK(pick_some(from, {3, 2}) == picks{2, 1});
  CHECK(from.repro() == "2,1");
}

TEST_CASE("a replay and a seed have one run, which can be had again", "[choices]") {
  for (const char* text : {"2,0,1", "seed=5"}) {
    auto from = choices::replay(text);
    const picks first = pick_some(from, {3, 3, 3, 3});
    CHECK_FALSE(from.next());
    CHECK(pick_some(from, {3, 3, 3, 3}) == first);
  }
}

TEST_CASE("a text that is no list of picks is refused", "[choices]") {
  for (const char* text : {"x", "1,", ",1", "1,,2", "1;2", "-1", " 1", "seed=", "seed=x", "seed=-1", "Seed=1"}) {
    INFO(text);
    CHECK_THROWS_AS(choices::replay(text), std::invalid_argument);
  }
}

TEST_CASE("the same seed gives the same picks, another one others", "[choices]") {
  auto first = choices::by_seed(42);
  auto second = choices::by_seed(42);
  auto replayed = choices::replay(first.repro());
  auto other = choices::by_seed(43);
  CHECK(first.repro() == "seed=42");
  int different = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::size_t picked = first.pick(10);
    CHECK(picked == second.pick(10));
    CHECK(picked == replayed.pick(10));
    different += picked != other.pick(10);
  }
  CHECK(different > 800);
  CHECK(first.repro() == "seed=42");
}

TEST_CASE("picks by seed are the published sequence", "[choices]") {
  auto from = choices::by_seed(1234567);
  constexpr std::size_t all = ~std::size_t{0};
  CHECK(from.pick(all) == 6457827717110365317u);
  CHECK(from.pick(all) == 3203168211198807973u);
  CHECK(from.pick(all) == 9817491932198370423u);
}

TEST_CASE("picks by seed reach every possibility about equally often", "[choices]") {
  auto from = choices::by_seed(1);
  std::vector<int> count(7, 0);
  for (int i = 0; i < 7000; ++i) ++count.at(from.pick(7));
  for (const int times : count) {
    CHECK(times > 800);
    CHECK(times < 1200);
  }
}
