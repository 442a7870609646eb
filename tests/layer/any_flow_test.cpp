// What any_flow promises beyond the contract of the flow inside: any shape of operation fits, nothing is allocated, and
// the flow can be asked who it is.
#include <array>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::any_flow;
using coflow::buffer;
using coflow::memory_flow;
using coflow::read_result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::yield_turn;

static_assert(coflow::check_flow_shape<any_flow>());
static_assert(coflow::SystemFlow<any_flow>);
static_assert(!std::copyable<any_flow>);
static_assert(std::is_nothrow_move_constructible_v<any_flow>);
static_assert(sizeof(any_flow) == sizeof(void*));

// ---- a flow whose operations are made by the test

/// What one operation does, with the bytes of nobody: reads give "x" and count, the rest succeeds.
struct ledger {
  int reads = 0;
  int writes = 0;
  int shutdowns = 0;
  int closes = 0;
  int flows = 0;        // alive
  int waits = 0;        // alive
  bool refuse = false;  // shutdown and close find no memory
};

/// Flows of `Awaiter<Result>`, which is made with a function to call for its result.
template <template <class> class Awaiter>
class shaped_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit shaped_flow(ledger& into) noexcept : ledger_(&into) { ++ledger_->flows; }
  shaped_flow(shaped_flow&& other) noexcept : ledger_(std::exchange(other.ledger_, nullptr)) {}
  shaped_flow& operator=(shaped_flow&& other) noexcept {
    std::swap(ledger_, other.ledger_);
    return *this;
  }
  ~shaped_flow() {
    if (ledger_ != nullptr) --ledger_->flows;
  }

  Awaiter<read_result> read() { return Awaiter<read_result>(*ledger_, &ledger::reads); }
  Awaiter<coflow::result<void>> write(buffer) { return Awaiter<coflow::result<void>>(*ledger_, &ledger::writes); }
  Awaiter<coflow::result<void>> writev(std::span<buffer>) {
    return Awaiter<coflow::result<void>>(*ledger_, &ledger::writes);
  }
  Awaiter<void> shutdown(shutdown_mode) {
    if (ledger_->refuse) throw std::bad_alloc();
    return Awaiter<void>(*ledger_, &ledger::shutdowns);
  }
  Awaiter<void> close() {
    if (ledger_->refuse) throw std::bad_alloc();
    return Awaiter<void>(*ledger_, &ledger::closes);
  }

 private:
  ledger* ledger_;
};

template <class Result>
Result outcome() {
  if constexpr (std::same_as<Result, read_result>) return buffer("x");
  if constexpr (std::same_as<Result, coflow::result<void>>) return coflow::success;
}

/// What the shapes share. It counts itself, and cannot be moved: it is made where it stays.
template <class Result>
class shape : public coflow::node {
 public:
  shape(ledger& into, int ledger::* what) noexcept : ledger_(into), what_(what) { ++ledger_.waits; }
  shape(shape&&) = delete;
  ~shape() { --ledger_.waits; }
  Result await_resume() {
    ++(ledger_.*what_);
    return outcome<Result>();
  }

 protected:
  void post_for(std::coroutine_handle<> coroutine) noexcept {
    waiting_ = coroutine;
    coflow::executor::current()->post(*this);
  }

 private:
  void run() noexcept override { waiting_.resume(); }
  ledger& ledger_;
  int ledger::* what_;
  std::coroutine_handle<> waiting_;
};

template <class Result>
class ready_shape final : public shape<Result> {
 public:
  using shape<Result>::shape;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
};
template <class Result>
class void_shape final : public shape<Result> {
 public:
  using shape<Result>::shape;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept { this->post_for(coroutine); }
};
template <class Result>
class bool_shape final : public shape<Result> {
 public:
  using shape<Result>::shape;
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) const noexcept { return false; }
};
template <class Result>
class handle_shape final : public shape<Result> {
 public:
  using shape<Result>::shape;
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> coroutine) const noexcept { return coroutine; }
};
/// Wants to see a promise that it can ask something.
template <class Result>
class picky_shape final : public shape<Result> {
 public:
  using shape<Result>::shape;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    if (coroutine.promise().stop() != nullptr && coroutine.promise().stop()->stop_requested()) return false;
    this->post_for(coroutine);
    return true;
  }
};
template <class Result>
class large_shape final : public shape<Result> {
 public:
  using shape<Result>::shape;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept { this->post_for(coroutine); }

 private:
  std::array<std::byte, 1000> ballast_{};
};
template <class Result>
class alignas(64) aligned_shape final : public shape<Result> {
 public:
  using shape<Result>::shape;
  bool await_ready() const noexcept {
    expect(reinterpret_cast<std::uintptr_t>(this) % 64 == 0, "an operation is as aligned as it wants to be");
    return false;
  }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept { this->post_for(coroutine); }
};
/// No awaiter, but something that gives one.
template <class Result>
class giving_shape {
 public:
  giving_shape(ledger& into, int ledger::* what) noexcept : ledger_(into), what_(what), self_(this) {}
  giving_shape(giving_shape&&) = delete;
  void_shape<Result> operator co_await() && noexcept {
    expect(self_ == this, "the awaiter is made when the awaitable has its place");
    return void_shape<Result>(ledger_, what_);
  }

 private:
  ledger& ledger_;
  int ledger::* what_;
  giving_shape* self_;
};

static_assert(coflow::detail::waits_in_place<void_shape<void>>);
static_assert(coflow::detail::waits_in_place<bool_shape<void>>);
static_assert(coflow::detail::waits_in_place<giving_shape<void>>);
static_assert(coflow::detail::waits_in_place<task<read_result>>);
static_assert(!coflow::detail::waits_in_place<handle_shape<void>>);
static_assert(!coflow::detail::waits_in_place<picky_shape<void>>);
static_assert(coflow::detail::waits_in_place<decltype(std::declval<memory_flow&>().read())>);
static_assert(coflow::detail::waits_in_place<decltype(std::declval<memory_flow&>().close())>);

template <template <class> class Awaiter>
task<> every_operation_gets_through(ledger* book) {
  any_flow flow{shaped_flow<Awaiter>(*book)};
  const read_result got = co_await flow.read();
  support::expect_data(got, "x");
  const coflow::result<void> sent = co_await flow.write(buffer("y"));
  support::expect_success(sent);
  std::vector<buffer> list(3);
  const coflow::result<void> sent_all = co_await flow.writev(list);
  support::expect_success(sent_all);
  co_await flow.shutdown(shutdown_mode::write);
  co_await flow.close();
  expect(book->reads == 1 && book->writes == 2 && book->shutdowns == 1 && book->closes == 1, "each was run once");
  expect(book->waits == 0, "what has given its result is gone");
}

template <template <class> class Awaiter>
void a_shape_fits() {
  ledger book;
  support::drive(every_operation_gets_through<Awaiter>(&book));
  CHECK(book.flows == 0);
}

TEST_CASE("any_flow takes operations of every shape", "[any_flow]") {
  SECTION("ready at once") { a_shape_fits<ready_shape>(); }
  SECTION("suspending for good") { a_shape_fits<void_shape>(); }
  SECTION("changing their mind") { a_shape_fits<bool_shape>(); }
  SECTION("naming who goes on") { a_shape_fits<handle_shape>(); }
  SECTION("asking the promise") { a_shape_fits<picky_shape>(); }
  SECTION("large") { a_shape_fits<large_shape>(); }
  SECTION("strictly aligned") { a_shape_fits<aligned_shape>(); }
  SECTION("giving an awaiter") { a_shape_fits<giving_shape>(); }
}

template <template <class> class Awaiter>
task<> read_for_ever(any_flow* flow) {
  const read_result got = co_await flow->read();
  static_cast<void>(got);
}
template <template <class> class Awaiter>
void a_wait_is_taken_back() {
  support::manual_executor on;
  ledger book;
  std::optional<any_flow> flow(std::in_place, shaped_flow<Awaiter>(book));
  {
    auto reader = support::job<void>::of(read_for_ever<Awaiter>(&*flow));
    const coflow::executor::entry current(on);
    reader.started().run();
    CHECK(book.waits == 1);
    CHECK(!reader.ended());
    SECTION("the coroutine dies first") {
      reader.destroy();
      CHECK(book.waits == 0);
      CHECK(book.flows == 1);
    }
    SECTION("the flow dies first") {
      flow.reset();
      CHECK(book.flows == 0);
      CHECK(book.waits == 1);
      reader.destroy();
      CHECK(book.waits == 0);
    }
    SECTION("the flow dies and the operation completes") {
      flow.reset();
      on.run_until_idle();
      CHECK(reader.ended());
      CHECK(book.reads == 1);
    }
  }
  CHECK(book.waits == 0);
}

TEST_CASE("an operation of any_flow lives in the awaiting frame and dies with it", "[any_flow]") {
  SECTION("in place") { a_wait_is_taken_back<void_shape>(); }
  SECTION("outside") { a_wait_is_taken_back<large_shape>(); }
  SECTION("strictly aligned") { a_wait_is_taken_back<aligned_shape>(); }
  SECTION("in a task") { a_wait_is_taken_back<picky_shape>(); }
}

// ---- memory

task<> a_flow_that_finds_no_memory_ends(ledger* book, bool at_close) {
  any_flow flow{shaped_flow<ready_shape>(*book)};
  book->refuse = true;
  if (at_close)
    co_await flow.close();
  else
    co_await flow.shutdown(shutdown_mode::write);
  expect(book->flows == 0, "the flow is destroyed instead");
  const read_result got = co_await flow.read();
  support::expect_error(got, coflow::error::closed);
  const coflow::result<void> sent = co_await flow.write(buffer("x"));
  support::expect_error(sent, coflow::error::closed);
  co_await flow.shutdown(shutdown_mode::read_write);
  co_await flow.close();
  expect(flow.target<shaped_flow<ready_shape>>() == nullptr, "no flow is inside");
}
TEST_CASE("shutdown and close of any_flow never throw for lack of memory", "[any_flow]") {
  ledger book;
  SECTION("close") { support::drive(a_flow_that_finds_no_memory_ends(&book, true)); }
  SECTION("shutdown") { support::drive(a_flow_that_finds_no_memory_ends(&book, false)); }
}

task<> converse(any_flow* a, any_flow* b, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const coflow::result<void> sent = co_await a->write(buffer("ping"));
    support::expect_success(sent);
    const read_result got = co_await b->read();
    if (!got) co_return;
  }
}
task<std::uint64_t> allocations_of_a_conversation() {
  auto [a, b] = coflow::memory_pipe();
  any_flow first(std::move(a));
  any_flow second(std::move(b), "the other end");
  task_scope scope;
  co_await converse(&first, &second, 100);
  const std::uint64_t before = support::allocation_count();
  for (int i = 0; i < 1000; ++i) {
    const coflow::result<void> sent = co_await first.write(buffer("ping"));
    if (!sent) break;
    const read_result got = co_await second.read();
    if (!got) break;
  }
  const std::uint64_t made = support::allocation_count() - before;
  co_await first.shutdown(shutdown_mode::write);
  co_await first.close();
  co_return coflow::detail::pooling ? made : 0;
}
TEST_CASE("an operation of any_flow allocates nothing", "[any_flow]") {
  if (support::counts_allocations) CHECK(support::drive(allocations_of_a_conversation()) == 0);
}

template <template <class> class Awaiter>
task<int> a_million_reads(ledger* book) {
  any_flow flow{shaped_flow<Awaiter>(*book)};
  int count = 0;
  for (; count < 1'000'000; ++count) {
    const read_result got = co_await flow.read();
    if (!got) break;
  }
  co_return count;
}
TEST_CASE("a million operations of any_flow that complete at once use no stack", "[any_flow]") {
  ledger book;
  SECTION("ready") { CHECK(support::drive(a_million_reads<ready_shape>(&book)) == 1'000'000); }
  SECTION("changing their mind") { CHECK(support::drive(a_million_reads<bool_shape>(&book)) == 1'000'000); }
  SECTION("naming who goes on") { CHECK(support::drive(a_million_reads<handle_shape>(&book)) == 1'000'000); }
}

// ---- cancellation

task<read_result> read_once(any_flow* flow) {
  read_result got = co_await flow->read();
  co_return std::move(got);
}
template <class Wrap>
void a_stop_reaches_the_inner_read(Wrap wrap) {
  support::manual_executor on;
  auto [a, b] = coflow::memory_pipe();
  any_flow flow = wrap(std::move(a));
  auto reader = support::job<read_result>::of(read_once(&flow));
  reader.start(on);
  on.run_until_idle();
  REQUIRE(!reader.ended());
  reader.request_stop();
  on.run_until_idle();
  REQUIRE(reader.ended());
  CHECK(reader.take().error() == coflow::canceled());
  auto again = support::job<read_result>::of(read_once(&flow));
  again.request_stop();
  again.start(on);
  on.run_until_idle();
  REQUIRE(again.ended());
  CHECK(again.take().error() == coflow::canceled());
}

/// A memory flow whose operations are seen by a function on their way.
class watched : public coflow::layered_flow<memory_flow> {
 public:
  using layered_flow::layered_flow;
  auto read() {
    return coflow::observed(layered_flow::read(), [](read_result got) { return got; });
  }
};
TEST_CASE("a stop gets through any_flow and through what is in it", "[any_flow]") {
  SECTION("through an observed operation") {
    a_stop_reaches_the_inner_read([](memory_flow flow) { return any_flow(watched(std::move(flow))); });
  }
}

task<int> promise_of_a_picky_operation(any_flow* flow) {
  const read_result got = co_await flow->read();
  co_return got.has_data() ? 1 : 0;
}
TEST_CASE("an operation that asks its promise sees the stop state of the awaiting task", "[any_flow]") {
  support::manual_executor on;
  ledger book;
  any_flow flow{shaped_flow<picky_shape>(book)};
  auto reader = support::job<int>::of(promise_of_a_picky_operation(&flow));
  reader.request_stop();
  const coflow::executor::entry current(on);
  reader.started().run();
  CHECK(reader.ended());  // it did not suspend
  CHECK(reader.take() == 1);
}

// ---- a flow with errors of its own

enum class trouble { none, broken };
class translating_error {
 public:
  translating_error(trouble what = trouble::none) noexcept : what_(what) {}  // NOLINT: conversion is the point
  operator std::error_code() const noexcept {                                // NOLINT: conversion is the point
    return what_ == trouble::none ? std::error_code() : std::make_error_code(std::errc::io_error);
  }

 private:
  trouble what_;
};
class foreign_errors {
 public:
  using error_type = translating_error;
  using write_error_type = translating_error;
  task<coflow::basic_read_result<translating_error>> read() {
    ++reads_;
    if (reads_ == 1) co_return buffer("data");
    if (reads_ == 2) co_return coflow::end_of_stream;
    co_return translating_error(trouble::broken);
  }
  task<coflow::result<void, translating_error>> write(buffer bytes) {
    if (bytes.empty()) co_return coflow::success;
    co_return translating_error(trouble::broken);
  }
  task<coflow::result<void, translating_error>> writev(std::span<buffer>) { co_return coflow::success; }
  task<> shutdown(shutdown_mode) { co_return; }
  task<> close() { co_return; }

 private:
  int reads_ = 0;
};
static_assert(coflow::SystemFlow<foreign_errors>);

task<> errors_are_translated() {
  any_flow flow{foreign_errors()};
  const read_result data = co_await flow.read();
  support::expect_data(data, "data");
  const read_result end = co_await flow.read();
  support::expect_eof(end);
  const read_result failed = co_await flow.read();
  support::expect_error(failed, std::make_error_code(std::errc::io_error));
  const coflow::result<void> sent = co_await flow.write(buffer("x"));
  support::expect_error(sent, std::make_error_code(std::errc::io_error));
  const coflow::result<void> nothing = co_await flow.write(buffer());
  support::expect_success(nothing);
}
TEST_CASE("any_flow turns errors of a flow's own into error codes", "[any_flow]") {
  support::drive(errors_are_translated());
}

// ---- who it is

TEST_CASE("any_flow carries a name wherever it is moved", "[any_flow]") {
  auto [a, b] = coflow::memory_pipe();
  any_flow unnamed(std::move(b));
  CHECK(unnamed.name().empty());
  std::string text = "a name that is too long to be kept in a string object itself";
  any_flow named(std::move(a), text);
  text.assign(text.size(), '-');
  any_flow moved(std::move(named));
  CHECK(moved.name() == "a name that is too long to be kept in a string object itself");
  unnamed = std::move(moved);
  CHECK(unnamed.name().substr(0, 6) == "a name");
}

TEST_CASE("any_flow gives the flow inside to who knows its type", "[any_flow]") {
  auto [a, b] = coflow::memory_pipe();
  any_flow flow(std::move(a));
  REQUIRE(flow.target<memory_flow>() != nullptr);
  CHECK(flow.target<coflow::string_flow>() == nullptr);
  CHECK(flow.target<coflow::layered_flow<memory_flow>>() == nullptr);
  CHECK(flow.target<int>() == nullptr);
  CHECK(std::as_const(flow).target<memory_flow>() == flow.target<memory_flow>());
  memory_flow* const inside = flow.target<memory_flow>();
  const any_flow moved(std::move(flow));
  CHECK(moved.target<memory_flow>() == inside);
}

task<> a_list_of_several_kinds() {
  std::vector<any_flow> flows;
  auto [a, b] = coflow::memory_pipe();
  flows.emplace_back(std::move(a), "pipe");
  flows.emplace_back(coflow::string_source("text"), "text");
  flows.emplace_back(coflow::layered_flow<memory_flow>(std::move(b)), "layer");
  const coflow::result<void> sent = co_await flows[0].write(buffer("over the pipe"));
  support::expect_success(sent);
  const read_result text = co_await flows[1].read();
  support::expect_data(text, "text");
  const read_result layer = co_await flows[2].read();
  support::expect_data(layer, "over the pipe");
}
TEST_CASE("flows of several kinds fit into one list", "[any_flow]") { support::drive(a_list_of_several_kinds()); }

class reluctant_flow : public coflow::layered_flow<memory_flow> {
 public:
  reluctant_flow(memory_flow flow, int moves) : layered_flow(std::move(flow)), moves_(moves) {}
  reluctant_flow(reluctant_flow&& other) : layered_flow(std::move(other)), moves_(other.moves_ - 1) {
    if (moves_ < 0) throw std::bad_alloc();
  }
  reluctant_flow& operator=(reluctant_flow&&) = default;

 private:
  int moves_;
};
TEST_CASE("any_flow takes a flow whose move may throw", "[any_flow]") {
  auto [a, b] = coflow::memory_pipe();
  const any_flow taken(reluctant_flow(std::move(a), 10));
  CHECK(taken.target<reluctant_flow>() != nullptr);
  CHECK_THROWS_AS(any_flow(reluctant_flow(std::move(b), 1)), std::bad_alloc);
}

class alignas(128) aligned_flow : public coflow::layered_flow<memory_flow> {
 public:
  using layered_flow::layered_flow;
};
TEST_CASE("any_flow keeps a strictly aligned flow aligned", "[any_flow]") {
  auto [a, b] = coflow::memory_pipe();
  any_flow flow(aligned_flow(std::move(a)), "name");
  CHECK(reinterpret_cast<std::uintptr_t>(flow.target<aligned_flow>()) % 128 == 0);
  CHECK(flow.name() == "name");
}

// ---- reading into the caller's memory

using coflow::any_read_into_flow;
using coflow::read_into_result;

static_assert(coflow::check_flow_shape<any_read_into_flow>());
static_assert(coflow::ReadIntoFlow<any_read_into_flow>);
static_assert(coflow::SystemFlow<any_read_into_flow>);
static_assert(!coflow::ReadIntoFlow<any_flow>);
static_assert(std::is_nothrow_move_constructible_v<any_read_into_flow>);
static_assert(sizeof(any_read_into_flow) == sizeof(void*));
static_assert(std::constructible_from<any_read_into_flow, memory_flow>);
static_assert(!std::constructible_from<any_read_into_flow, any_flow>);
static_assert(!std::constructible_from<any_read_into_flow, foreign_errors>);
static_assert(!std::is_convertible_v<any_read_into_flow&, any_flow&>);  // which could be given another kind of flow

/// Every operation is a task, and the errors are of the flow's own kind.
class foreign_rooms : public foreign_errors {
 public:
  task<coflow::basic_read_into_result<translating_error>> read_into(std::span<std::byte> room) {
    ++calls_;
    if (calls_ == 1) {
      room.front() = std::byte{'r'};
      co_return std::size_t{1};
    }
    if (calls_ == 2) co_return coflow::end_of_stream;
    co_return translating_error(trouble::broken);
  }

 private:
  int calls_ = 0;
};

task<> rooms_of_any_kind() {
  auto [a, b] = coflow::memory_pipe();
  any_read_into_flow flow(std::move(b), "with a name");
  CHECK(flow.name() == "with a name");
  CHECK(flow.target<memory_flow>() != nullptr);
  CHECK(flow.target<foreign_rooms>() == nullptr);
  const coflow::result<void> sent = co_await a.write(buffer("12345"));
  support::expect_success(sent);
  std::array<std::byte, 3> room{};
  read_into_result got = co_await flow.read_into(room);
  expect(got.has_count() && *got == 3 && room[2] == std::byte{'3'}, "the room is filled");
  const read_result rest = co_await flow.read();
  support::expect_data(rest, "45");
  co_await a.shutdown(shutdown_mode::write);
  got = co_await flow.read_into(room);
  expect(got.eof(), "eof gets through");
  const coflow::result<void> back = co_await flow.write(buffer("back"));
  support::expect_success(back);
  const read_result answer = co_await a.read();
  support::expect_data(answer, "back");
  co_await flow.shutdown(shutdown_mode::read_write);
  co_await flow.close();
  got = co_await flow.read_into(room);
  expect(got.failed() && got.error() == coflow::error::closed, "closed gets through");

  any_read_into_flow foreign{foreign_rooms()};
  got = co_await foreign.read_into(room);
  expect(got.has_count() && *got == 1 && room[0] == std::byte{'r'}, "a task is an operation, too");
  got = co_await foreign.read_into(room);
  expect(got.eof(), "its eof");
  got = co_await foreign.read_into(room);
  expect(got.failed() && got.error() == std::errc::io_error, "its error");
  // Held by one that holds any flow.
  any_flow around(std::move(foreign));
  const read_result data = co_await around.read();
  support::expect_data(data, "data");
}
TEST_CASE("any_read_into_flow reads into the caller's memory, whatever the flow", "[any_flow]") {
  support::drive(rooms_of_any_kind());
}

task<std::uint64_t> allocations_of_rooms() {
  auto [a, b] = coflow::memory_pipe();
  any_read_into_flow flow(std::move(b));
  std::array<std::byte, 4> room{};
  std::uint64_t before = 0;
  for (int i = 0; i < 200; ++i) {
    if (i == 100) before = support::allocation_count();
    const coflow::result<void> sent = co_await a.write(buffer("ping"));
    if (!sent) break;
    const read_into_result got = co_await flow.read_into(room);
    if (!got) break;
  }
  const std::uint64_t made = support::allocation_count() - before;
  co_return coflow::detail::pooling ? made : 0;
}
TEST_CASE("any_read_into_flow allocates nothing", "[any_flow]") { CHECK(support::drive(allocations_of_rooms()) == 0); }

task<read_into_result> fill_once(any_read_into_flow* flow, std::span<std::byte> room) {
  read_into_result got = co_await flow->read_into(room);
  co_return std::move(got);
}
TEST_CASE("a stop and a destruction reach a read into a room through any_read_into_flow", "[any_flow]") {
  support::manual_executor on;
  auto [a, b] = coflow::memory_pipe();
  std::optional<any_read_into_flow> flow(std::in_place, std::move(b));
  std::array<std::byte, 4> room{};
  auto stopped = support::job<read_into_result>::of(fill_once(&*flow, room));
  auto orphaned = support::job<read_into_result>::of(fill_once(&*flow, room));
  auto destroyed = support::job<read_into_result>::of(fill_once(&*flow, room));
  stopped.start(on);
  orphaned.start(on);
  destroyed.start(on);
  on.run_until_idle();
  stopped.request_stop();
  destroyed.destroy();
  on.run_until_idle();
  REQUIRE(stopped.ended());
  CHECK(stopped.take().error() == coflow::canceled());
  CHECK_FALSE(orphaned.ended());
  {
    const coflow::executor::entry current(on);
    flow.reset();
  }
  on.run_until_idle();
  REQUIRE(orphaned.ended());
  CHECK(orphaned.take().error() == coflow::error::closed);
}

}  // namespace
