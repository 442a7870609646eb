#include "coflow/core/node.hpp"

#include <memory>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"

namespace {

class numbered final : public coflow::node {
 public:
  explicit numbered(int given) noexcept : number(given) {}
  ~numbered() = default;
  void run() noexcept override {}
  int number;
};

using list = coflow::detail::intrusive_list<numbered>;

std::vector<int> numbers_of(const list& of) {
  std::vector<int> numbers;
  of.for_each([&numbers](const numbered& one) { numbers.push_back(one.number); });
  return numbers;
}

}  // namespace

TEST_CASE("a node cannot be copied or moved, since queues point at it", "[node]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<numbered>);
  STATIC_REQUIRE_FALSE(std::is_move_constructible_v<numbered>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<numbered>);
  STATIC_REQUIRE_FALSE(std::is_move_assignable_v<numbered>);
}

TEST_CASE("nodes leave a queue in the order in which they came", "[node]") {
  list queue;
  CHECK(queue.empty());
  numbered one(1), two(2), three(3);
  queue.push_back(one);
  queue.push_back(two);
  queue.push_front(three);
  CHECK(one.linked());
  CHECK(numbers_of(queue) == std::vector{3, 1, 2});
  CHECK(queue.front().number == 3);
  CHECK(queue.pop_front().number == 3);
  CHECK_FALSE(three.linked());
  CHECK(queue.pop_front().number == 1);
  CHECK(queue.pop_front().number == 2);
  CHECK(queue.empty());
}

TEST_CASE("a node that dies takes itself off its queue, wherever it stands", "[node]") {
  for (std::size_t victim = 0; victim < 3; ++victim) {
    list queue;
    std::vector<std::unique_ptr<numbered>> nodes;
    for (int i = 0; i < 3; ++i) {
      nodes.push_back(std::make_unique<numbered>(i));
      queue.push_back(*nodes.back());
    }
    nodes[victim].reset();
    std::vector<int> left{0, 1, 2};
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(victim));
    CHECK(numbers_of(queue) == left);
  }
}

TEST_CASE("a queue that dies leaves its nodes unlinked", "[node]") {
  numbered one(1), two(2);
  {
    list queue;
    queue.push_back(one);
    queue.push_back(two);
  }
  CHECK_FALSE(one.linked());
  CHECK_FALSE(two.linked());
}

TEST_CASE("unlinking twice is the same as once", "[node]") {
  list queue;
  numbered one(1), two(2);
  queue.push_back(one);
  queue.push_back(two);
  one.unlink();
  one.unlink();
  CHECK(numbers_of(queue) == std::vector{2});
  queue.push_back(one);
  CHECK(numbers_of(queue) == std::vector{2, 1});
}

TEST_CASE("splicing moves a whole queue to the end of another", "[node]") {
  list first, second;
  numbered one(1), two(2), three(3), four(4);
  second.push_back(three);
  second.push_back(four);
  first.splice_back(second);  // onto an empty queue
  CHECK(second.empty());
  CHECK(numbers_of(first) == std::vector{3, 4});
  second.push_back(one);
  second.push_back(two);
  first.splice_back(second);
  CHECK(numbers_of(first) == std::vector{3, 4, 1, 2});
  first.splice_back(second);  // of an empty queue
  CHECK(numbers_of(first) == std::vector{3, 4, 1, 2});
  three.unlink();
  two.unlink();
  CHECK(numbers_of(first) == std::vector{4, 1});
  second.push_back(two);
  CHECK(numbers_of(second) == std::vector{2});
}

TEST_CASE("clearing a queue unlinks everything", "[node]") {
  list queue;
  numbered one(1), two(2);
  queue.push_back(one);
  queue.push_back(two);
  queue.clear();
  CHECK(queue.empty());
  CHECK_FALSE(one.linked());
  queue.clear();
  CHECK(queue.empty());
}
