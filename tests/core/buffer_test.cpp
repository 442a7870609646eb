#include "coflow/core/buffer.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/core/detail/pool.hpp"
#include "support/catch.hpp"
#include "support/survival.hpp"

using coflow::buffer;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

buffer filled(std::size_t size, char with) {
  buffer made = buffer::allocate(size);
  std::memset(made.writable().data(), with, size);
  return made;
}

// Hides from the compiler that both are the same.
template <class T>
T& same(T& object) {
  return object;
}

}  // namespace

TEST_CASE("a buffer cannot be copied, so its bytes have one owner", "[buffer]") {
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<buffer>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<buffer>);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<buffer>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<buffer>);
  STATIC_REQUIRE(std::is_nothrow_default_constructible_v<buffer>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<std::string_view, buffer>);  // a copy is asked for by name
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<buffer>);                      // or g++ 12 destroys a temporary twice
}

TEST_CASE("an empty buffer owns nothing", "[buffer]") {
  const auto before = support::allocation_count();
  {
    buffer empty;
    buffer from_text("");
    const buffer from_bytes{std::span<const std::byte>()};
    const buffer adopted = buffer::adopt("");
    const buffer allocated = buffer::allocate(0);
    const buffer shared = empty.share();
    const buffer taken = empty.take_front(3);
    empty.remove_prefix(3);
    empty.remove_suffix(3);
    empty.clear();
    empty.swap(from_text);
  }
  const auto after = support::allocation_count();
  CHECK(after == before);

  buffer empty;
  CHECK(empty.empty());
  CHECK(empty.size() == 0);
  CHECK(empty.text().empty());
  CHECK(empty.bytes().empty());
  CHECK(empty.writable().empty());
  CHECK(buffer("").empty());
  CHECK(buffer::adopt("").empty());
  CHECK(buffer::allocate(0).empty());
  CHECK(empty.share().empty());
  CHECK(empty.take_front(0).empty());
  CHECK(empty.take_front(1).empty());
}

TEST_CASE("a buffer made from text or bytes is a copy of its own", "[buffer]") {
  std::string text = "hello";
  const buffer from_text(text);
  const buffer from_bytes(bytes_of(text));
  text = "XXXXX";
  CHECK(from_text.text() == "hello");
  CHECK(from_bytes.text() == "hello");
  CHECK(from_text.size() == 5);
  CHECK(from_text.bytes().size() == 5);
  CHECK(from_text.data() == from_text.bytes().data());
  CHECK(std::to_integer<char>(from_text.bytes()[1]) == 'e');

  const buffer with_zeros(std::string_view("a\0b", 3));
  CHECK(with_zeros.size() == 3);
}

TEST_CASE("a buffer adopts a string without copying its characters", "[buffer]") {
  std::string text(1000, 'x');
  const void* where = text.data();
  const buffer adopted = buffer::adopt(std::move(text));
  CHECK(adopted.data() == where);
  CHECK(adopted.size() == 1000);

  const buffer small = buffer::adopt("short");  // within the string object itself
  CHECK(small.text() == "short");
}

TEST_CASE("bytes are writable only where allocate made them", "[buffer]") {
  buffer allocated = buffer::allocate(10);
  CHECK(allocated.size() == 10);
  CHECK(allocated.writable().size() == 10);
  CHECK(allocated.writable().data() == allocated.data());
  std::memcpy(allocated.writable().data(), "0123456789", 10);
  CHECK(allocated.text() == "0123456789");

  buffer copied("text");
  CHECK(copied.writable().empty());
  buffer adopted = buffer::adopt("text");
  CHECK(adopted.writable().empty());
}

TEST_CASE("bytes are writable only while their block has one handle", "[buffer]") {
  buffer first = buffer::allocate(10);
  {
    buffer second = first.share();
    CHECK(first.writable().empty());
    CHECK(second.writable().empty());
  }
  CHECK(first.writable().size() == 10);

  buffer front = first.take_front(4);
  CHECK(first.writable().empty());
  CHECK(front.writable().empty());
  first.clear();
  CHECK(front.writable().size() == 4);  // its own part alone, though the block is longer
  front.clear();
  CHECK(front.writable().empty());
}

TEST_CASE("a moved buffer stays writable and the one that was moved from is empty", "[buffer]") {
  buffer first = buffer::allocate(10);
  const std::byte* where = first.data();
  buffer second = std::move(first);
  CHECK(first.empty());
  CHECK(first.data() == nullptr);
  CHECK(first.writable().empty());
  CHECK(second.data() == where);
  CHECK(second.writable().size() == 10);
  buffer third("to be dropped");
  third = std::move(second);
  CHECK(second.empty());
  CHECK(third.data() == where);
  CHECK(third.writable().size() == 10);
}

TEST_CASE("a buffer survives being moved or swapped onto itself", "[buffer]") {
  buffer one("text");
  one = std::move(same(one));
  CHECK(one.text() == "text");
  one.swap(one);
  CHECK(one.text() == "text");
  swap(one, one);
  CHECK(one.text() == "text");
}

TEST_CASE("two buffers swap", "[buffer]") {
  buffer one("one");
  buffer two("second");
  swap(one, two);
  CHECK(one.text() == "second");
  CHECK(two.text() == "one");
}

TEST_CASE("a buffer splits without copying", "[buffer]") {
  buffer whole("hello world");
  const std::byte* where = whole.data();
  const buffer front = whole.take_front(5);
  CHECK(front.text() == "hello");
  CHECK(front.data() == where);
  CHECK(whole.text() == " world");
  CHECK(whole.data() == where + 5);
}

TEST_CASE("the two parts of a split buffer live on their own", "[buffer]") {
  buffer rest;
  {
    buffer whole("hello world");
    buffer front = whole.take_front(5);
    rest = std::move(whole);
  }
  CHECK(rest.text() == " world");
  buffer front;
  {
    buffer whole("hello world");
    front = whole.take_front(5);
  }
  CHECK(front.text() == "hello");
}

TEST_CASE("splitting off nothing or everything leaves one handle", "[buffer]") {
  buffer whole = filled(10, 'x');
  const buffer none = whole.take_front(0);
  CHECK(none.empty());
  CHECK(whole.writable().size() == 10);
  buffer all = whole.take_front(10);
  CHECK(all.size() == 10);
  CHECK(whole.empty());
  CHECK(all.writable().size() == 10);
  buffer more_than_all = all.take_front(1000);
  CHECK(more_than_all.size() == 10);
  CHECK(all.empty());
  CHECK(more_than_all.writable().size() == 10);
}

TEST_CASE("prefixes and suffixes drop off down to an empty buffer", "[buffer]") {
  buffer one("0123456789");
  one.remove_prefix(0);
  one.remove_suffix(0);
  CHECK(one.text() == "0123456789");
  one.remove_prefix(2);
  CHECK(one.text() == "23456789");
  one.remove_suffix(2);
  CHECK(one.text() == "234567");
  one.remove_prefix(6);
  CHECK(one.empty());
  CHECK(one.data() == nullptr);

  buffer two("0123456789");
  two.remove_suffix(100);
  CHECK(two.empty());
  buffer three("0123456789");
  three.remove_prefix(SIZE_MAX);
  CHECK(three.empty());
}

TEST_CASE("dropping the last byte gives up the block", "[buffer]") {
  buffer one = buffer::allocate(10);
  buffer other = one.share();
  CHECK(one.writable().empty());
  other.remove_prefix(10);
  CHECK(one.writable().size() == 10);
  other = one.share();
  other.remove_suffix(10);
  CHECK(one.writable().size() == 10);
  other = one.share();
  other.clear();
  CHECK(one.writable().size() == 10);
}

TEST_CASE("shared handles see the same bytes and keep them alive", "[buffer]") {
  buffer second;
  const std::byte* where = nullptr;
  {
    const buffer first("payload");
    where = first.data();
    second = first.share();
    const buffer third = second.share();
    CHECK(third.data() == where);
  }
  CHECK(second.data() == where);
  CHECK(second.text() == "payload");

  buffer adopted = buffer::adopt(std::string(100, 'a'));
  const buffer part = adopted.share();
  adopted.clear();
  CHECK(part.text() == std::string(100, 'a'));
}

TEST_CASE("a shared handle is cut without touching the others", "[buffer]") {
  buffer first("0123456789");
  buffer second = first.share();
  second.remove_prefix(3);
  second.remove_suffix(3);
  CHECK(second.text() == "3456");
  CHECK(first.text() == "0123456789");
}

TEST_CASE("a size that no memory can have is out of memory", "[buffer]") {
  CHECK_THROWS_AS(static_cast<void>(buffer::allocate(SIZE_MAX)), std::bad_alloc);
  CHECK_THROWS_AS(static_cast<void>(buffer::allocate(SIZE_MAX - 8)), std::bad_alloc);
  CHECK_THROWS_AS(static_cast<void>(buffer::allocate(std::size_t{PTRDIFF_MAX})), std::bad_alloc);
}

TEST_CASE("buffers of every size around a size class hold their bytes", "[buffer]") {
  std::vector<buffer> all;
  std::vector<std::size_t> sizes;
  for (std::size_t near = 64; near <= 512 * 1024; near *= 2) {
    for (std::size_t size = near - 40; size <= near + 8; ++size) sizes.push_back(size);
  }
  for (const std::size_t size : sizes) all.push_back(filled(size, static_cast<char>(size % 251)));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const char expected = static_cast<char>(sizes[i] % 251);
    const auto text = all[i].text();
    const bool right =
        text.size() == sizes[i] && std::all_of(text.begin(), text.end(), [expected](char c) { return c == expected; });
    if (!right) FAIL(sizes[i]);
  }
  SUCCEED();
}

TEST_CASE("random operations on many handles agree with strings", "[buffer]") {
  std::mt19937 random(20240601);
  const auto pick = [&random](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  std::vector<buffer> buffers(8);
  std::vector<std::string> model(8);
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t i = pick(8);
    const std::size_t j = pick(8);
    const std::size_t count = pick(model[i].size() + 3);
    switch (pick(8)) {
      case 0:
        model[i] = std::string(pick(300), static_cast<char>('a' + pick(26)));
        buffers[i] = buffer(model[i]);
        break;
      case 1:
        model[i] = std::string(pick(300), static_cast<char>('a' + pick(26)));
        buffers[i] = buffer::adopt(model[i]);
        break;
      case 2:
        buffers[j] = buffers[i].share();
        model[j] = model[i];
        break;
      case 3:
        if (i == j) break;
        buffers[j] = buffers[i].take_front(count);
        model[j] = model[i].substr(0, count);
        model[i].erase(0, count);
        break;
      case 4:
        buffers[i].remove_prefix(count);
        model[i].erase(0, count);
        break;
      case 5:
        buffers[i].remove_suffix(count);
        model[i].resize(count >= model[i].size() ? 0 : model[i].size() - count);
        break;
      case 6:
        buffers[i].swap(buffers[j]);
        if (i != j) model[i].swap(model[j]);
        break;
      default:
        if (i == j) break;
        buffers[j] = std::move(buffers[i]);
        model[j] = std::move(model[i]);
        model[i].clear();
        break;
    }
    for (std::size_t k = 0; k < 8; ++k)
      if (buffers[k].text() != model[k]) FAIL("step " << step);
  }
  SUCCEED();
}

TEST_CASE("a buffer may be freed on another thread", "[buffer][threads]") {
  for (int round = 0; round < 50; ++round) {
    buffer made = filled(100, 'x');
    std::thread([moved = std::move(made)]() mutable { moved.clear(); }).join();
    CHECK(made.empty());
  }
}

TEST_CASE("a buffer outlives the thread that made it", "[buffer][threads]") {
  buffer kept;
  buffer adopted;
  std::thread([&kept, &adopted] {
    kept = filled(1000, 'k');
    adopted = buffer::adopt(std::string(1000, 'a'));
    const buffer freed_here = filled(1000, 'f');  // so that the thread's pool has something to give back
  }).join();
  CHECK(kept.text() == std::string(1000, 'k'));
  CHECK(adopted.text() == std::string(1000, 'a'));
}

TEST_CASE("handles on one block are dropped from several threads at once", "[buffer][threads]") {
  for (int round = 0; round < 200; ++round) {
    buffer made = filled(100, 'x');
    std::vector<std::thread> threads;
    std::array<bool, 4> right{};
    for (std::size_t i = 0; i < 4; ++i) {
      threads.emplace_back([&right, i, mine = made.share()]() mutable {
        buffer part = mine.take_front(50);
        const buffer again = mine.share();
        right[i] = part.text() == std::string(50, 'x') && again.text() == std::string(50, 'x');
      });
    }
    made.clear();
    for (auto& one : threads) one.join();
    if (right != std::array<bool, 4>{true, true, true, true}) FAIL("round " << round);
  }
  SUCCEED();
}

TEST_CASE("a block becomes writable for the last handle with everything that others saw", "[buffer][threads]") {
  for (int round = 0; round < 200; ++round) {
    buffer made = filled(64, 'a');
    char read_elsewhere = 0;
    std::thread other([&read_elsewhere, shared = made.share()]() mutable {
      read_elsewhere = shared.text()[10];
      shared.clear();
    });
    while (made.writable().empty()) std::this_thread::yield();
    std::memset(made.writable().data(), 'b', 64);  // the thread sanitizer would object to a race with the reader
    other.join();
    if (read_elsewhere != 'a') FAIL("round " << round);
  }
  SUCCEED();
}

TEST_CASE("a buffer may be freed after the pool of its thread has gone", "[buffer][threads]") {
  std::thread([] {
    struct holder {
      buffer held;
    };
    // Made before the pool's own guard, so destroyed after it.
    static thread_local holder last;
    last.held = buffer::adopt("some text that lives until the thread ends");
    const buffer first_to_be_freed("this one makes the guard");
  }).join();
  SUCCEED();
}

// ---- the pool behind buffers, frames and control blocks

#ifndef COFLOW_NO_POOL
TEST_CASE("a block that was freed is used again by the same thread", "[buffer]") {
  const void* where = nullptr;
  {
    const buffer first = filled(100, 'x');
    where = first.data();
  }
  const auto before = support::allocation_count();
  const buffer second = filled(100, 'y');
  const auto after = support::allocation_count();
  CHECK(second.data() == where);
  CHECK(before == after);
}

TEST_CASE("the pool serves the same sizes for ever", "[buffer]") {
  std::string longer(500, 'x');
  const auto round = [&longer] {
    const buffer small("small");
    const buffer kept = filled(2000, 'k');
    const buffer large = filled(100 * 1024, 'l');
    buffer adopted = buffer::adopt(std::move(longer));
    buffer::allocate(300).clear();
    void* frame = coflow::detail::pool_allocate(700);
    coflow::detail::pool_free(frame, 700);
    adopted.clear();
    longer = "in place";
  };
  round();
  const auto before = support::allocation_count();
  for (int i = 0; i < 20'000; ++i) round();
  const auto after = support::allocation_count();
  CHECK(before == after);
}

TEST_CASE("the pool keeps a bounded number of free blocks", "[buffer]") {
  for (const std::size_t size : {std::size_t{50}, std::size_t{200} * 1024}) {
    coflow::detail::thread_pool.drain();
    const std::size_t count = 64 * 1024 * 1024 / (size + 64 * 1024);  // much more than is kept
    {
      std::vector<buffer> many;
      for (std::size_t i = 0; i < 10 * count; ++i) many.push_back(buffer::allocate(size));
    }
    std::vector<buffer> again;
    again.reserve(10 * count);
    const auto before = support::allocation_count();
    for (std::size_t i = 0; i < 10 * count; ++i) again.push_back(buffer::allocate(size));
    const auto fresh = static_cast<std::size_t>(support::allocation_count() - before);
    const std::size_t kept = 10 * count - fresh;
    INFO(size);
    CHECK(kept > 0);
    CHECK(kept * size <= std::size_t{512} * 1024);
  }
}
#endif

TEST_CASE("every size has the smallest class that holds it", "[buffer]") {
  using classes = coflow::detail::size_classes;
  for (std::size_t size = 1; size <= classes::limit; size += size < 5000 ? 1 : 61) {
    const std::size_t index = classes::index(size);
    const bool fits = index < classes::count && classes::size(index) >= size;
    const bool is_smallest = index == 0 || classes::size(index - 1) < size;
    if (!fits || !is_smallest) FAIL(size);
  }
  CHECK(classes::index(0) == 0);
  CHECK(classes::index(classes::limit) == classes::count - 1);
  CHECK(classes::size(classes::count - 1) == classes::limit);
}
