// What copy promises: every byte in order, both sides' errors told apart, and nothing lost however it ends.
#include <array>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/faulty_flow.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "broken/honest_flow.hpp"
#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/hand_flow.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::copy_options;
using coflow::copy_result;
using coflow::memory_flow;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::expect_same;
using support::start;

struct copying {
  copying() noexcept {}
  bool done = false;
  copy_result came_to;
};

template <class From, class To>
task<> copy_once(From* from, To* to, copy_options options, copying* out) {
  copy_result came_to = co_await coflow::copy(*from, *to, options);
  out->came_to = std::move(came_to);
  out->done = true;
}

std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

// ---- everything, and what is said of it

task<> everything_arrives() {
  const std::string text = pattern(1000);
  auto from = coflow::string_source(text, 300);
  auto to = coflow::string_sink();
  const copy_result came_to = co_await coflow::copy(from, to);
  expect(static_cast<bool>(came_to) && came_to.ended && !came_to.error(), "the copy succeeds");
  expect(came_to.bytes == 1000 && came_to.chunks == 4 && came_to.largest == 300, "the figures are right");
  expect(came_to.unsent.empty(), "nothing is left");
  expect_same(to.text(), text);
  const coflow::result<void> sent = co_await to.write(buffer("more"));
  support::expect_success(sent);
  const copy_result again = co_await coflow::copy(from, to);
  expect(again.ended && again.bytes == 0 && again.chunks == 0, "an ended source gives nothing");
}

task<> the_end_is_passed_on(bool wanted) {
  auto from = coflow::string_source("text");
  auto [to, far] = coflow::memory_pipe();
  const copy_result came_to = co_await coflow::copy(from, to, copy_options().shutdown(wanted));
  expect(came_to.ended, "the source has ended");
  const coflow::result<void> sent = co_await to.write(buffer("more"));
  if (wanted)
    support::expect_error(sent, coflow::error::closed);
  else
    support::expect_success(sent);
  coflow::read_result got = co_await far.read();
  support::expect_data(got, "text");
  got = co_await far.read();
  if (wanted)
    support::expect_eof(got);
  else
    support::expect_data(got, "more");
}

task<> a_flow_is_copied_to_itself() {
  auto [near, far] = coflow::memory_pipe(100);
  copying echo;
  task_scope scope;
  start(scope, copy_once(&near, &near, copy_options().shutdown(true), &echo));
  for (const std::string_view word : {"one", "two"}) {
    const coflow::result<void> sent = co_await far.write(buffer(word));
    support::expect_success(sent);
    const coflow::read_result got = co_await far.read();
    support::expect_data(got, word);
  }
  co_await far.shutdown(coflow::shutdown_mode::write);
  const coflow::read_result got = co_await far.read();
  support::expect_eof(got);
  co_await support::turns(1);
  expect(echo.done && echo.came_to.bytes == 6 && echo.came_to.ended, "the echo has ended");
}

task<> its_time_is_told() {
  auto [from, source] = coflow::memory_pipe();
  auto to = coflow::string_sink();
  copying timed;
  task_scope scope;
  start(scope, copy_once(&from, &to, copy_options(), &timed));
  coflow::result<void> slept = co_await coflow::sleep_for(std::chrono::seconds(3));
  support::expect_success(slept);
  co_await source.close();
  co_await support::turns(2);
  expect(timed.done && timed.came_to.duration == std::chrono::seconds(3), "it took three seconds");
}

// ---- limits

template <class From>
task<> a_limit_holds(From* from, std::uint64_t limit, std::string_view text, bool exact) {
  auto to = coflow::string_sink();
  const copy_result came_to = co_await coflow::copy(*from, to, copy_options().limit(limit).shutdown(true));
  expect(static_cast<bool>(came_to), "a limit is no failure");
  expect(came_to.bytes == limit && !came_to.ended, "it ends at the limit");
  expect_same(to.text(), text.substr(0, limit));
  const coflow::result<void> more = co_await to.write(buffer("x"));
  support::expect_success(more);  // the source has not ended
  std::string rest(came_to.unsent.text());
  if (exact) expect(rest.empty(), "a source that reads into memory is asked for no byte more");
  coflow::read_result got = co_await from->read();
  while (got) {
    rest += got->text();
    got = co_await from->read();
  }
  expect_same(rest, text.substr(limit));
}

task<> limits_hold() {
  const std::string text = pattern(200000);
  for (const std::uint64_t limit : {0U, 1U, 9U, 10U, 11U, 100U, 65536U, 150001U}) {
    auto whole = coflow::string_source(text, 7000);  // has no read_into
    co_await a_limit_holds(&whole, limit, text, limit == 0);
    auto [source, from] = coflow::memory_pipe(1 << 20);
    const coflow::result<void> sent = co_await source.write(buffer(text));
    support::expect_success(sent);
    co_await source.close();
    co_await a_limit_holds(&from, limit, text, true);
  }
  // Beyond the end.
  auto from = coflow::string_source("short");
  auto to = coflow::string_sink();
  const copy_result came_to = co_await coflow::copy(from, to, copy_options().limit(6));
  expect(came_to.ended && came_to.bytes == 5, "the end comes before the limit");
}

// What is beyond the limit is kept together with what was not accepted.
task<> a_limit_and_a_failure() {
  auto from = coflow::string_source("0123456789");
  auto to = coflow::string_sink(3);
  const copy_result came_to = co_await coflow::copy(from, to, copy_options().limit(8));
  expect(came_to.write_error == std::errc::no_space_on_device && !came_to.read_error, "writing failed");
  expect(came_to.bytes == 3 && came_to.chunks == 1 && came_to.largest == 3, "a part was accepted");
  expect_same(came_to.unsent.text(), "3456789");
}

// A small piece does not keep the room that it was read into; a large one takes it along.
void small_pieces_are_small() {
  coflow::detail::bounded_room room;
  const std::span<std::byte> first = room.open(1 << 20);
  CHECK(first.size() == 64 * 1024 - 64);
  first[0] = std::byte{'s'};
  const buffer small = room.take(1);
  CHECK(small.text() == "s");
  CHECK(small.data() != first.data());
  const std::span<std::byte> again = room.open(5000);
  CHECK(again.data() == first.data());
  CHECK(again.size() == 5000);
  const buffer large = room.take(first.size() / 2);
  CHECK(large.data() == first.data());
  CHECK(large.size() == first.size() / 2);
  CHECK(room.open(7).size() == 7);
}

// ---- errors

task<> errors_are_told_apart() {
  {
    auto [source, from] = coflow::memory_pipe();
    auto to = coflow::string_sink();
    const coflow::result<void> sent = co_await source.write(buffer("before"));
    support::expect_success(sent);
    source.reset();
    const copy_result came_to = co_await coflow::copy(from, to, copy_options().shutdown(true));
    expect(!came_to && !came_to.ended && came_to.read_error == std::errc::connection_reset, "reading failed");
    expect(!came_to.write_error && came_to.error() == came_to.read_error, "writing did not");
    expect_same(to.text(), "before");
    const coflow::result<void> more = co_await to.write(buffer("x"));
    support::expect_success(more);  // no end is made of a reset
  }
  {
    auto from = coflow::string_source("never taken");
    auto [to, far] = coflow::memory_pipe();
    co_await far.close();
    const copy_result came_to = co_await coflow::copy(from, to);
    expect(!came_to && came_to.write_error == coflow::error::closed, "writing failed");
    expect(!came_to.read_error && came_to.error() == came_to.write_error, "reading did not");
    expect(came_to.bytes == 0 && came_to.chunks == 0, "nothing was accepted");
    expect_same(came_to.unsent.text(), "never taken");
  }
}

// A flow whose errors are its own.
class strange_flow {
 public:
  struct mishap {};
  using error_type = mishap;
  using write_error_type = mishap;
  explicit strange_flow(bool reads) noexcept : reads_(reads) {}
  task<coflow::basic_read_result<mishap>> read() { return reading(reads_); }
  task<coflow::result<void, mishap>> write(buffer) { co_return mishap(); }
  task<coflow::result<void, mishap>> writev(std::span<buffer>) { co_return mishap(); }
  task<> shutdown(coflow::shutdown_mode) { co_return; }
  task<> close() { co_return; }

 private:
  static task<coflow::basic_read_result<mishap>> reading(bool works) {
    if (works) co_return buffer("x");
    co_return mishap();
  }
  bool reads_;
};

// A flow that fails and does not say with what.
class speechless_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  explicit speechless_flow(bool reads) noexcept : reads_(reads) {}
  task<coflow::read_result> read() { return reading(reads_); }
  task<coflow::result<void>> write(buffer) { co_return std::error_code(); }
  task<coflow::result<void>> writev(std::span<buffer>) { co_return std::error_code(); }
  task<> shutdown(coflow::shutdown_mode) { co_return; }
  task<> close() { co_return; }

 private:
  static task<coflow::read_result> reading(bool works) {
    if (works) co_return buffer("x");
    co_return std::error_code();
  }
  bool reads_;
};

task<> a_failure_without_a_code_is_one() {
  speechless_flow from(false);
  auto to = coflow::string_sink();
  const copy_result unread = co_await coflow::copy(from, to);
  expect(unread.read_error == std::errc::io_error && !unread.ended, "reading has failed");
  speechless_flow both(true);
  const copy_result unsent = co_await coflow::copy(both, both);
  expect(unsent.write_error == std::errc::io_error, "writing has failed");
  expect_same(unsent.unsent.text(), "x");
}

task<> strange_errors_are_errors() {
  strange_flow from(false);
  auto to = coflow::string_sink();
  const copy_result unread = co_await coflow::copy(from, to);
  expect(unread.read_error == std::errc::io_error, "an error of another kind is io_error");
  strange_flow both(true);
  const copy_result unsent = co_await coflow::copy(both, both);
  expect(unsent.write_error == std::errc::io_error, "also of the destination");
  expect_same(unsent.unsent.text(), "x");
}

task<> lack_of_memory_is_an_error() {
  auto by = std::make_shared<support::hand>();
  support::hand_flow flow(by);
  copying out;
  task_scope scope;
  start(scope, copy_once(&flow, &flow, copy_options(), &out));
  co_await support::turns(1);
  by->give_no_memory();
  co_await support::turns(1);
  expect(out.done && out.came_to.read_error == std::errc::not_enough_memory, "there was none to read");
  out.done = false;
  start(scope, copy_once(&flow, &flow, copy_options(), &out));
  co_await support::turns(1);
  by->no_memory_for_writes = true;
  by->give("kept");
  co_await support::turns(1);
  expect(out.done && out.came_to.write_error == std::errc::not_enough_memory, "there was none to write");
  expect_same(out.came_to.unsent.text(), "kept");
}

// ---- cancellation: after so many turns, and then the copy is resumed; no byte is lost

template <class From, class To>
task<> go_on_until_done(From* from, To* to, memory_flow* far, int patience, std::string* heard, int* stops) {
  for (;;) {
    copying out;
    {
      task_scope scope;
      start(scope, copy_once(from, to, copy_options().shutdown(true), &out));
      if (patience >= 0) {
        co_await support::turns(patience);
        scope.cancel();
      }
      task_scope listening;
      const auto listen = [](memory_flow* at, std::string* into) -> task<> {
        for (;;) {
          const coflow::read_result got = co_await at->read();
          if (!got) co_return;
          into->append(got->text());
        }
      };
      if (patience < 0) start(listening, listen(far, heard));
      const coflow::result<void> joined = co_await scope.join();
      support::expect_success(joined);
      if (out.came_to.ended) {
        const coflow::result<void> over = co_await listening.join();
        support::expect_success(over);
        co_return;
      }
    }
    ++*stops;
    expect(out.came_to.error() == coflow::canceled(), "it was told to stop");
    // What the destination has accepted, then what was read and not accepted, then the rest.
    std::size_t taken = 0;
    while (taken < out.came_to.bytes) {
      const coflow::read_result got = co_await far->read();
      if (!got) break;
      taken += got->size();
      heard->append(got->text());
    }
    expect(taken == out.came_to.bytes, "what was accepted is what arrives");
    heard->append(out.came_to.unsent.text());
    if (out.came_to.write_error && out.came_to.bytes % 10 != 0) {
      const coflow::result<void> sent = co_await to->write(buffer("x"));
      support::expect_error(sent, coflow::error::torn_write);
      for (;;) {
        const coflow::read_result got = co_await from->read();
        if (!got) break;
        heard->append(got->text());
      }
      co_return;
    }
    patience = -1;
  }
}

int stop_after(int patience, std::size_t capacity) {
  int stops = 0;
  const std::string text = pattern(200);
  std::string heard;
  auto from = coflow::string_source(text, 10);
  auto [to, far] = coflow::memory_pipe(capacity);
  support::drive(go_on_until_done(&from, &to, &far, patience, &heard, &stops));
  CHECK(heard == text);
  return stops;
}

void a_copy_is_destroyed_anywhere() {
  for (int after = 0; after < 12; ++after) {
    auto [source, from] = coflow::memory_pipe(16);
    auto [to, far] = coflow::memory_pipe(16);
    const auto run = [](int turns, memory_flow* s, memory_flow* f, memory_flow* t) -> task<> {
      copying out;
      support::writing sent;
      task_scope feeding;
      start(feeding, support::write_once(s, buffer(pattern(64)), &sent));
      {
        task_scope scope;
        start(scope, copy_once(f, t, copy_options(), &out));
        co_await support::turns(turns);
      }
      expect(!out.done, "it was destroyed first");
      const coflow::read_result got = co_await f->read();
      expect(got.has_data(), "the source goes on");
    };
    support::drive(run(after, &source, &from, &to));
  }
}

// ---- cost

task<> nothing_is_allocated_for_a_chunk() {
  auto [source, from] = coflow::memory_pipe();
  auto [to, far] = coflow::memory_pipe();
  copying out;
  task_scope scope;
  start(scope, copy_once(&from, &to, copy_options(), &out));
  const buffer payload("payload");
  std::uint64_t before = 0;
  bool right = true;
  for (int i = 0; i < 200; ++i) {
    if (i == 20) before = support::allocation_count();
    const coflow::result<void> sent = co_await source.write(payload.share());
    if (!sent) right = false;
    const coflow::read_result got = co_await far.read();
    if (!got.has_data()) right = false;
  }
  const std::uint64_t after = support::allocation_count();
  expect(right && after == before, "a copied chunk costs no allocation");
}

// Foreign flows that never wait: coroutines that end at once.
class endless_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  explicit endless_flow(int chunks) noexcept : left_(chunks) {}
  task<coflow::read_result> read() { return reading(this); }
  task<coflow::result<void>> write(buffer) { co_return coflow::success; }
  task<coflow::result<void>> writev(std::span<buffer>) { co_return coflow::success; }
  task<> shutdown(coflow::shutdown_mode) { co_return; }
  task<> close() { co_return; }

 private:
  static task<coflow::read_result> reading(endless_flow* self) {
    if (self->left_ == 0) co_return coflow::end_of_stream;
    if (self->left_ > 0) --self->left_;
    co_return self->byte_.share();
  }
  int left_;
  buffer byte_{"x"};
};

task<> a_million_chunks() {
  endless_flow flow(1000000);
  const copy_result came_to = co_await coflow::copy(flow, flow);
  expect(came_to.ended && came_to.bytes == 1000000, "every chunk was moved");
}

task<> a_copy_that_never_waits_can_be_stopped() {
  endless_flow flow(-1);
  copying out;
  task_scope scope;
  start(scope, copy_once(&flow, &flow, copy_options(), &out));
  co_await support::turns(5);
  expect(!out.done, "it lets others run");
  scope.cancel();
  co_await support::turns(3);
  expect(out.done && out.came_to.read_error == coflow::canceled(), "and hears of the stop");
}

TEST_CASE("copy moves everything, and says how much", "[copy]") {
  support::drive(everything_arrives());
  support::drive(its_time_is_told());
}

TEST_CASE("copy ends the destination's write half only if it is to", "[copy]") {
  support::drive(the_end_is_passed_on(false));
  support::drive(the_end_is_passed_on(true));
}

TEST_CASE("a flow may be copied to itself", "[copy]") { support::drive(a_flow_is_copied_to_itself()); }

TEST_CASE("a limit holds to the byte, and what was read beyond it is kept", "[copy]") {
  support::drive(limits_hold());
  support::drive(a_limit_and_a_failure());
  small_pieces_are_small();
}

TEST_CASE("errors of the two sides of a copy are told apart", "[copy]") {
  support::drive(errors_are_told_apart());
  support::drive(strange_errors_are_errors());
  support::drive(a_failure_without_a_code_is_one());
  support::drive(lack_of_memory_is_an_error());
}

TEST_CASE("a copy that is stopped anywhere loses nothing", "[copy]") {
  int stops = 0;
  for (int patience = 0; patience < 12; ++patience) {
    stops += stop_after(patience, 35);  // not a multiple of a chunk: writes are torn
    stops += stop_after(patience, 40);
  }
  CHECK(stops > 10);
}

TEST_CASE("a copy that is destroyed anywhere takes its waits back", "[copy]") { a_copy_is_destroyed_anywhere(); }

TEST_CASE("a copy allocates nothing for a chunk", "[copy]") { support::drive(nothing_is_allocated_for_a_chunk()); }

TEST_CASE("copies that never wait use no stack, let others run, and can be stopped", "[copy]") {
  support::drive(a_million_chunks());
  support::drive(a_copy_that_never_waits_can_be_stopped());
}

TEST_CASE("a copy without an executor says so", "[copy]") {
  auto [from, source] = coflow::memory_pipe();
  auto to = coflow::string_sink();
  copying out;
  const auto run = [](memory_flow* f, coflow::string_flow* t, copying* o) -> task<> {
    copy_result came_to = co_await coflow::copy(*f, *t);
    o->came_to = std::move(came_to);
    o->done = true;
  };
  auto job = support::job<void>::of(run(&from, &to, &out));
  job.started().run();
  CHECK(job.ended());
  CHECK(out.came_to.read_error == coflow::error::no_executor);
}

}  // namespace
