// What layered_flow promises: it forwards all five operations, and adapters may stand on it.
#include <array>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "broken/honest_flow.hpp"
#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::layered_flow;
using coflow::memory_flow;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::read_once;
using support::reading;
using support::start;
using support::yield_turn;

// ---- a flow that writes down what is asked of it

struct record {
  int reads = 0;
  int writes = 0;
  int writevs = 0;
  int closes = 0;
  int destructions = 0;
  std::vector<shutdown_mode> shutdowns;
  std::string written;
};

class recording_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit recording_flow(record* log) noexcept : log_(log) {}
  recording_flow(recording_flow&& other) noexcept : log_(std::exchange(other.log_, nullptr)) {}
  recording_flow& operator=(recording_flow&& other) noexcept {
    std::swap(log_, other.log_);
    return *this;
  }
  ~recording_flow() {
    if (log_ != nullptr) ++log_->destructions;
  }

  task<coflow::read_result> read() { return reading(log_); }
  task<coflow::result<void>> write(buffer bytes) { return writing(log_, std::move(bytes)); }
  task<coflow::result<void>> writev(std::span<buffer> list) { return writing_all(log_, list); }
  task<> shutdown(shutdown_mode mode) { return shutting(log_, mode); }
  task<> close() { return closing(log_); }

  [[nodiscard]] record* log() const noexcept { return log_; }

 private:
  static task<coflow::read_result> reading(record* log) {
    ++log->reads;
    co_return coflow::end_of_stream;
  }
  static task<coflow::result<void>> writing(record* log, buffer bytes) {
    ++log->writes;
    log->written += bytes.text();
    co_return coflow::success;
  }
  static task<coflow::result<void>> writing_all(record* log, std::span<buffer> list) {
    ++log->writevs;
    for (buffer& one : list) log->written += std::exchange(one, buffer()).text();
    co_return coflow::success;
  }
  static task<> shutting(record* log, shutdown_mode mode) {
    log->shutdowns.push_back(mode);
    co_return;
  }
  static task<> closing(record* log) {
    ++log->closes;
    co_return;
  }

  record* log_;
};

template <class Flow>
task<> use_everything(Flow* flow, record* log) {
  expect(log->reads + log->writes + log->writevs + log->closes == 0, "making a layer asks nothing");
  const coflow::read_result got = co_await flow->read();
  support::expect_eof(got);
  coflow::result<void> sent = co_await flow->write(buffer("one "));
  support::expect_success(sent);
  std::array<buffer, 2> list{buffer("two "), buffer("three")};
  sent = co_await flow->writev(list);
  support::expect_success(sent);
  for (const shutdown_mode mode : {shutdown_mode::read, shutdown_mode::write, shutdown_mode::read_write})
    co_await flow->shutdown(mode);
  co_await flow->close();
}

void everything_is_forwarded_once() {
  record log;
  {
    layered_flow<recording_flow> first{recording_flow(&log)};
    layered_flow<layered_flow<recording_flow>> second{std::move(first)};
    layered_flow<layered_flow<layered_flow<recording_flow>>> flow{std::move(second)};
    support::drive(use_everything(&flow, &log));
    CHECK(log.destructions == 0);
  }
  CHECK(log.reads == 1);
  CHECK(log.writes == 1);
  CHECK(log.writevs == 1);
  CHECK(log.written == "one two three");
  CHECK(log.shutdowns ==
        std::vector<shutdown_mode>{shutdown_mode::read, shutdown_mode::write, shutdown_mode::read_write});
  CHECK(log.closes == 1);
  CHECK(log.destructions == 1);
}

// ---- no cost

using one_layer = layered_flow<memory_flow>;
using three_layers = layered_flow<layered_flow<layered_flow<memory_flow>>>;

static_assert(coflow::check_flow_shape<one_layer>());
static_assert(coflow::SystemFlow<three_layers>);
static_assert(sizeof(three_layers) == sizeof(memory_flow), "layers that do nothing take no room");
static_assert(!std::is_copy_constructible_v<three_layers>);
static_assert(std::is_nothrow_move_constructible_v<three_layers>);
static_assert(std::same_as<three_layers::error_type, std::error_code>);
static_assert(std::same_as<three_layers::next_layer_type, layered_flow<layered_flow<memory_flow>>>);
template <class Flow>
using read_of = decltype(std::declval<Flow&>().read());
template <class Flow>
using write_of = decltype(std::declval<Flow&>().write(buffer()));
template <class Flow>
using writev_of = decltype(std::declval<Flow&>().writev(std::span<buffer>()));
template <class Flow>
using shutdown_of = decltype(std::declval<Flow&>().shutdown(shutdown_mode::read));
template <class Flow>
using close_of = decltype(std::declval<Flow&>().close());
static_assert(std::same_as<read_of<three_layers>, read_of<memory_flow>>, "the inner operation itself is returned");
static_assert(std::same_as<write_of<three_layers>, write_of<memory_flow>>);
static_assert(std::same_as<writev_of<three_layers>, writev_of<memory_flow>>);
static_assert(std::same_as<shutdown_of<three_layers>, shutdown_of<memory_flow>>);
static_assert(std::same_as<close_of<three_layers>, close_of<memory_flow>>);

three_layers in_three_layers(memory_flow flow) {
  one_layer first(std::move(flow));
  layered_flow<one_layer> second(std::move(first));
  return three_layers(std::move(second));
}

task<> layers_allocate_nothing() {
  auto made = coflow::memory_pipe(1000);
  three_layers a = in_three_layers(std::move(made.first));
  three_layers b = in_three_layers(std::move(made.second));
  const buffer payload("payload");
  std::uint64_t before = 0;
  bool right = true;
  for (int i = 0; i < 100; ++i) {
    if (i == 10) before = support::allocation_count();
    const coflow::result<void> sent = co_await a.write(payload.share());
    if (!sent) right = false;
    const coflow::read_result got = co_await b.read();
    if (!got.has_data()) right = false;
  }
  const std::uint64_t after = support::allocation_count();
  expect(right, "every operation succeeds");
  expect(after == before, "layers allocate nothing");
}

// ---- next_layer and lowest_layer

void the_layers_can_be_reached() {
  auto made = coflow::memory_pipe();
  three_layers flow = in_three_layers(std::move(made.first));
  layered_flow<one_layer>& second = flow.next_layer();
  one_layer& first = second.next_layer();
  memory_flow& bottom = first.next_layer();
  CHECK(&flow.lowest_layer() == &bottom);
  CHECK(&second.lowest_layer() == &bottom);
  CHECK(&first.lowest_layer() == &bottom);
  const three_layers& fixed = flow;
  static_assert(std::same_as<decltype(fixed.lowest_layer()), const memory_flow&>);
  static_assert(std::same_as<decltype(fixed.next_layer()), const layered_flow<one_layer>&>);
  CHECK(&fixed.lowest_layer() == &bottom);
  CHECK(&fixed.next_layer() == &second);
  three_layers moved(std::move(flow));
  CHECK(&moved.lowest_layer() == &moved.next_layer().next_layer().next_layer());
}

// A flow whose own notion of "next layer" ends the walk where it has none.
void a_recording_flow_is_its_own_lowest_layer() {
  record log;
  const layered_flow<layered_flow<recording_flow>> flow{layered_flow<recording_flow>{recording_flow(&log)}};
  CHECK(flow.lowest_layer().log() == &log);
}

// ---- a layer keeps no state of its own

task<> a_layer_ends_with_the_flow_below() {
  auto made = coflow::memory_pipe(100);
  three_layers a = in_three_layers(std::move(made.first));
  reading pending;
  task_scope scope;
  start(scope, read_once(&a, &pending));
  co_await yield_turn();
  co_await a.lowest_layer().close();
  co_await yield_turn();
  expect(pending.done, "a read of the layer ends when the flow below is closed");
  support::expect_error(pending.got, coflow::error::closed);
  const coflow::result<void> sent = co_await a.write(buffer("x"));
  support::expect_error(sent, coflow::error::closed);
  co_await a.close();
  co_await a.next_layer().close();
}

// ---- an adapter that observes, by the rule for state: a block of its own, which its operations co-own

template <coflow::SystemFlow Inner>
class counting_flow : public layered_flow<Inner> {
 public:
  struct totals {
    std::size_t read = 0;
    std::size_t written = 0;
    int ends = 0;
  };

  explicit counting_flow(Inner inner) : layered_flow<Inner>(std::move(inner)), totals_(std::make_shared<totals>()) {}

  auto read() {
    auto count = [shared = totals_](coflow::read_result got) {
      if (got)
        shared->read += got->size();
      else
        ++shared->ends;
      return got;
    };
    return coflow::observed(layered_flow<Inner>::read(), std::move(count));
  }
  auto write(buffer bytes) {
    const std::size_t size = bytes.size();
    return coflow::observed(layered_flow<Inner>::write(std::move(bytes)), counted(size));
  }
  auto writev(std::span<buffer> list) {
    std::size_t size = 0;
    for (const buffer& one : list) size += one.size();
    return coflow::observed(layered_flow<Inner>::writev(list), counted(size));
  }

  [[nodiscard]] std::shared_ptr<totals> count() const noexcept { return totals_; }

 private:
  auto counted(std::size_t size) {
    return [shared = totals_, size](coflow::result<void> sent) {
      if (sent) shared->written += size;
      return sent;
    };
  }

  std::shared_ptr<totals> totals_;
};

static_assert(coflow::check_flow_shape<counting_flow<memory_flow>>());
static_assert(coflow::check_flow_shape<counting_flow<counting_flow<broken::honest_flow>>>());

template <class Flow>
task<> an_adapter_counts(Flow a, memory_flow b) {
  auto count = a.count();
  coflow::result<void> sent = co_await a.write(buffer("12345"));
  support::expect_success(sent);
  std::array<buffer, 3> list{buffer("678"), buffer(), buffer("9")};
  sent = co_await a.writev(list);
  support::expect_success(sent);
  expect(count->written == 9, "what was written is counted");
  sent = co_await b.write(buffer("abc"));
  support::expect_success(sent);
  coflow::read_result got = co_await a.read();
  support::expect_data(got, "abc");
  expect(count->read == 3, "what was read is counted");
  // The adapter moves, and goes, while its read is pending.
  reading first;
  reading second;
  task_scope scope;
  start(scope, read_once(&a, &first));
  co_await yield_turn();
  expect(!first.done, "the read waits");
  std::optional<Flow> moved(std::move(a));
  sent = co_await b.write(buffer("de"));
  support::expect_success(sent);
  co_await yield_turn();
  co_await yield_turn();
  expect(first.done, "the read follows the adapter");
  expect(count->read == 5, "and is counted");
  start(scope, read_once(&*moved, &second));
  co_await yield_turn();
  expect(count->ends == 0, "no end has come");
  moved.reset();
  co_await yield_turn();
  expect(second.done, "the read ends with the adapter");
  support::expect_error(second.got, coflow::error::closed);
  expect(count->ends == 1, "the observer outlives the adapter");
}

// An operation of an adapter that is withdrawn was not observed; its bytes go to the next.
task<> a_withdrawn_read_is_not_counted() {
  auto made = coflow::memory_pipe();
  counting_flow<memory_flow> a(std::move(made.first));
  memory_flow b(std::move(made.second));
  reading withdrawn;
  {
    task_scope scope;
    start(scope, read_once(&a, &withdrawn));
    co_await yield_turn();
    const coflow::result<void> sent = co_await b.write(buffer("kept"));
    support::expect_success(sent);
  }
  expect(a.count()->read == 0, "nothing was counted");
  const coflow::read_result got = co_await a.read();
  support::expect_data(got, "kept");
  expect(a.count()->read == 4, "the next read is counted");
}

// ---- a flow below that throws, and one whose errors are not error codes

class throwing_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  task<coflow::read_result> read() {
    throw_if(true);
    co_return coflow::end_of_stream;
  }
  task<coflow::result<void>> write(buffer bytes) {
    throw_if(!bytes.empty());
    co_return coflow::success;
  }
  task<coflow::result<void>> writev(std::span<buffer>) { co_return coflow::success; }
  task<> shutdown(shutdown_mode) { co_return; }
  task<> close() { co_return; }

 private:
  static void throw_if(bool wanted) {
    if (wanted) throw std::runtime_error("from below");
  }
};

task<int> count_throws(layered_flow<throwing_flow>* flow) {
  int thrown = 0;
  try {
    const coflow::read_result got = co_await flow->read();
    static_cast<void>(got);
  } catch (const std::runtime_error&) {
    ++thrown;
  }
  try {
    const coflow::result<void> sent = co_await flow->write(buffer("x"));
    static_cast<void>(sent);
  } catch (const std::runtime_error&) {
    ++thrown;
  }
  co_await flow->close();
  co_return thrown;
}

class mishap {
 public:
  mishap() noexcept {}
  explicit mishap(std::errc code) noexcept : code_(code) {}
  operator std::error_code() const noexcept { return std::make_error_code(code_); }  // NOLINT: conversion is the point

 private:
  std::errc code_{};
};

class mishap_flow {
 public:
  using error_type = mishap;
  using write_error_type = mishap;
  task<coflow::basic_read_result<mishap>> read() { co_return mishap(std::errc::io_error); }
  task<coflow::result<void, mishap>> write(buffer) { co_return mishap(std::errc::no_space_on_device); }
  task<coflow::result<void, mishap>> writev(std::span<buffer>) { co_return mishap(std::errc::io_error); }
  task<> shutdown(shutdown_mode) { co_return; }
  task<> close() { co_return; }
};

static_assert(coflow::SystemFlow<mishap_flow>);
static_assert(std::same_as<layered_flow<mishap_flow>::error_type, mishap>);
static_assert(coflow::check_flow_shape<layered_flow<layered_flow<mishap_flow>>>());

task<> errors_of_other_types_pass(layered_flow<mishap_flow>* flow) {
  const auto got = co_await flow->read();
  const std::error_code read_code = got.error();
  expect(got.failed(), "the read fails");
  expect(read_code == std::errc::io_error, "the error passes");
  const auto sent = co_await flow->write(buffer("x"));
  const std::error_code write_code = sent.error();
  expect(write_code == std::errc::no_space_on_device, "the error passes");
}

TEST_CASE("a layer forwards each operation once, through three layers", "[layered_flow]") {
  everything_is_forwarded_once();
}

TEST_CASE("layers that do nothing allocate nothing", "[layered_flow]") { support::drive(layers_allocate_nothing()); }

TEST_CASE("next_layer goes one layer down and lowest_layer to the bottom", "[layered_flow]") {
  the_layers_can_be_reached();
  a_recording_flow_is_its_own_lowest_layer();
}

TEST_CASE("a layer whose lowest flow is closed is closed", "[layered_flow]") {
  support::drive(a_layer_ends_with_the_flow_below());
}

TEST_CASE("an adapter keeps counting when it is moved and destroyed under its operations", "[layered_flow]") {
  auto made = coflow::memory_pipe();
  counting_flow<memory_flow> over_memory(std::move(made.first));
  support::drive(an_adapter_counts(std::move(over_memory), std::move(made.second)));
  auto again = coflow::memory_pipe();
  counting_flow<broken::honest_flow> over_coroutines{broken::honest_flow(std::move(again.first))};
  support::drive(an_adapter_counts(std::move(over_coroutines), std::move(again.second)));
}

TEST_CASE("a read that an adapter's caller withdraws is not observed and loses nothing", "[layered_flow]") {
  support::drive(a_withdrawn_read_is_not_counted());
}

TEST_CASE("an exception from the flow below passes a layer", "[layered_flow]") {
  layered_flow<throwing_flow> flow{throwing_flow()};
  CHECK(support::drive(count_throws(&flow)) == 2);
}

TEST_CASE("errors of another type pass a layer as they are", "[layered_flow]") {
  layered_flow<mishap_flow> flow{mishap_flow()};
  support::drive(errors_of_other_types_pass(&flow));
}

// ---- reading into the caller's memory

static_assert(coflow::ReadIntoFlow<layered_flow<layered_flow<memory_flow>>>);
static_assert(!coflow::ReadIntoFlow<layered_flow<recording_flow>>);
static_assert(coflow::check_flow_shape<layered_flow<recording_flow>>());
// Its `read` counts, so that its inherited `read_into` is none.
static_assert(!coflow::ReadIntoFlow<counting_flow<memory_flow>>);
static_assert(coflow::Flow<layered_flow<counting_flow<memory_flow>>>);
static_assert(!coflow::ReadIntoFlow<layered_flow<counting_flow<memory_flow>>>);

task<> a_layer_reads_into_a_room() {
  auto [a, b] = coflow::memory_pipe();
  layered_flow<layered_flow<memory_flow>> flow{layered_flow<memory_flow>(std::move(b))};
  static_assert(std::is_same_v<decltype(flow.read_into({})), decltype(flow.lowest_layer().read_into({}))>);
  const coflow::result<void> sent = co_await a.write(buffer("through"));
  support::expect_success(sent);
  std::array<char, 4> room{};
  const coflow::read_into_result got = co_await flow.read_into(std::as_writable_bytes(std::span(room)));
  expect(got.has_count() && *got == 4, "the room is filled");
  support::expect_same(std::string(room.data(), room.size()), "thro");
  const coflow::read_result rest = co_await flow.read();
  support::expect_data(rest, "ugh");
}

TEST_CASE("a layer reads into the caller's memory where the flow below does", "[layered_flow]") {
  support::drive(a_layer_reads_into_a_room());
}

}  // namespace
