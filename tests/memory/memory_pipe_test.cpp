// What memory_pipe promises beyond the contract, whose laws tests/laws runs over it: exact capacity, no copies, no
// allocation, no operating system.
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::memory_flow;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using support::expect;
using support::read_once;
using support::reading;
using support::start;
using support::write_once;
using support::writev_once;
using support::writing;
using support::yield_turn;

buffer filled(std::size_t size, char with) {
  buffer made = buffer::allocate(size);
  if (size != 0) std::memset(made.writable().data(), with, size);
  return made;
}

// ---- capacity

task<> capacity_is_exact(std::size_t capacity) {
  auto [a, b] = coflow::memory_pipe(capacity);
  task_scope scope;
  for (int round = 0; round < 3; ++round) {
    const coflow::result<void> fits = co_await a.write(filled(capacity, 'f'));
    support::expect_success(fits);
    writing one_more;
    start(scope, write_once(&a, buffer("+"), &one_more));
    co_await yield_turn();
    co_await yield_turn();
    expect(!one_more.done, "a full pipe takes not one byte more");
    coflow::read_result got = co_await b.read();
    support::expect_data(got, std::string(capacity, 'f'));
    co_await yield_turn();
    expect(one_more.done, "a read makes room");
    support::expect_success(one_more.sent);
    got = co_await b.read();
    support::expect_data(got, "+");
  }
}

task<> capacity_counts_what_is_unread() {
  auto [a, b] = coflow::memory_pipe(10);
  task_scope scope;
  writing writes[4];
  for (writing& one : writes) start(scope, write_once(&a, filled(4, 'w'), &one));
  co_await yield_turn();
  co_await yield_turn();
  expect(writes[0].done && writes[1].done, "two writes fit");
  expect(!writes[2].done, "the third has gone in half");
  std::vector<std::size_t> sizes;
  for (int i = 0; i < 5; ++i) {
    const coflow::read_result got = co_await b.read();
    sizes.push_back(got->size());
    co_await yield_turn();
  }
  expect(sizes == std::vector<std::size_t>{4, 4, 2, 2, 4}, "pieces are cut at the capacity, never merged");
  expect(writes[3].done, "all writes end");
}

task<> one_byte_at_a_time() {
  auto [a, b] = coflow::memory_pipe(1);
  const std::string text = "one byte is all that fits";
  task_scope scope;
  writing written;
  start(scope, write_once(&a, buffer(text), &written));
  std::string all;
  while (all.size() < text.size()) {
    const coflow::read_result got = co_await b.read();
    expect(got->size() == 1, "one byte comes at a time");
    all.append(got->text());
  }
  co_await yield_turn();
  expect(written.done, "the write ends with its last byte");
  support::expect_same(all, text);
}

task<> a_pipe_of_no_capacity_holds_one_byte() {
  auto [a, b] = coflow::memory_pipe(0);
  task_scope scope;
  writing written;
  start(scope, write_once(&a, buffer("xy"), &written));
  co_await yield_turn();
  expect(!written.done, "the second byte waits");
  coflow::read_result got = co_await b.read();
  support::expect_data(got, "x");
  got = co_await b.read();
  support::expect_data(got, "y");
}

task<> the_directions_are_independent() {
  auto [a, b] = coflow::memory_pipe(8);
  task_scope scope;
  writing blocked;
  start(scope, write_once(&a, filled(100, 'a'), &blocked));
  co_await yield_turn();
  expect(!blocked.done, "one direction is full");
  for (int i = 0; i < 10; ++i) {
    const coflow::result<void> sent = co_await b.write(buffer("12345678"));
    support::expect_success(sent);
    const coflow::read_result got = co_await a.read();
    support::expect_data(got, "12345678");
  }
  expect(!blocked.done, "one direction is still full");
}

task<> no_more_than_1024_buffers() {
  auto [a, b] = coflow::memory_pipe(std::size_t{1} << 20);
  task_scope scope;
  std::vector<buffer> list;
  for (int i = 0; i < 3000; ++i) list.push_back(filled(1, static_cast<char>('a' + i % 26)));
  writing written;
  start(scope, writev_once(&a, list, &written));
  co_await yield_turn();
  co_await yield_turn();
  expect(!written.done, "however small they are, only so many buffers are held");
  std::size_t held = 0;
  while (held < list.size() && list[held].empty()) ++held;
  expect(held == 1024, "1024 buffers are held, not " + std::to_string(held));
  writing behind;
  start(scope, write_once(&a, buffer("end"), &behind));
  std::string all;
  for (int i = 0; i < 3001; ++i) {
    const coflow::read_result got = co_await b.read();
    all.append(got->text());
  }
  co_await yield_turn();
  expect(written.done && behind.done, "the writes end");
  std::string wanted;
  for (int i = 0; i < 3000; ++i) wanted += static_cast<char>('a' + i % 26);
  support::expect_same(all, wanted + "end");
}

task<> the_usual_capacity_is_64_kib() {
  auto [a, b] = coflow::memory_pipe();
  const coflow::result<void> fits = co_await a.write(filled(64 * 1024, 'x'));
  support::expect_success(fits);
  task_scope scope;
  writing one_more;
  start(scope, write_once(&a, buffer("+"), &one_more));
  co_await yield_turn();
  expect(!one_more.done, "64 KiB is all that fits");
}

// ---- no copies

task<> buffers_go_through_without_a_copy() {
  auto [a, b] = coflow::memory_pipe(100);
  task_scope scope;
  buffer sent = filled(250, 's');
  const std::byte* bytes = sent.data();
  writing written;
  start(scope, write_once(&a, std::move(sent), &written));
  std::size_t offset = 0;
  std::vector<std::size_t> sizes;
  while (offset < 250) {
    const coflow::read_result got = co_await b.read();
    expect(got->data() == bytes + offset, "the reader gets the writer's own bytes");
    sizes.push_back(got->size());
    offset += got->size();
  }
  expect(sizes == std::vector<std::size_t>{100, 100, 50}, "a large write is cut at the capacity");
}

task<> memory_goes_back_when_it_was_read() {
  auto [a, b] = coflow::memory_pipe(1000);
  buffer sent = filled(100, 's');
  buffer kept = sent.share();
  coflow::result<void> written = co_await a.write(std::move(sent));
  support::expect_success(written);
  expect(kept.writable().empty(), "the pipe holds the block");
  {
    const coflow::read_result got = co_await b.read();
    expect(kept.writable().empty(), "the reader holds the block");
  }
  expect(kept.writable().size() == 100, "nobody else holds the block");
  // A close gives back what nobody has read, in both directions.
  written = co_await a.write(kept.share());
  support::expect_success(written);
  buffer other = filled(10, 'o');
  written = co_await b.write(other.share());
  support::expect_success(written);
  expect(kept.writable().empty() && other.writable().empty(), "the pipe holds both blocks");
  co_await b.close();
  expect(!kept.writable().empty(), "closing an end drops what it has not read");
  expect(other.writable().empty(), "the other end may still read");
  co_await a.close();
  expect(!other.writable().empty(), "nobody will read it now");
}

// ---- no allocation

task<> nothing_is_allocated_once_it_runs() {
  auto [a, b] = coflow::memory_pipe(4096);
  const buffer payload(std::string(1000, 'p'));
  std::uint64_t before = 0;
  bool right = true;
  for (int i = 0; i < 1000; ++i) {
    if (i == 100) before = support::allocation_count();
    for (int j = 0; j < 3; ++j) {
      const coflow::result<void> sent = co_await a.write(payload.share());
      if (!sent) right = false;
    }
    for (int j = 0; j < 3; ++j) {
      const coflow::read_result got = co_await b.read();
      if (!got.has_data()) right = false;
    }
  }
  const std::uint64_t after = support::allocation_count();
  expect(right, "every operation succeeds");
  expect(after == before, "900 rounds allocate " + std::to_string(after - before) + " times");
}

task<> read_for_ever(memory_flow* flow, int* count) {
  for (;;) {
    const coflow::read_result got = co_await flow->read();
    if (!got) co_return;
    ++*count;
  }
}

// Waiting, being called, being served and being ended all happen in the operation itself.
task<> waiting_and_ending_allocate_nothing() {
  auto [a, b] = coflow::memory_pipe(4);
  task_scope scope;
  int count = 0;
  writing blocked[3];
  start(scope, read_for_ever(&b, &count));
  start(scope, read_for_ever(&b, &count));
  for (writing& one : blocked) start(scope, write_once(&b, filled(100, 'b'), &one));
  co_await yield_turn();
  const buffer payload("1234");
  const std::uint64_t before = support::allocation_count();
  bool right = true;
  for (int i = 0; i < 100; ++i) {
    const coflow::result<void> sent = co_await a.write(payload.share());
    if (!sent) right = false;
    co_await yield_turn();
  }
  co_await a.shutdown(shutdown_mode::read_write);
  co_await b.shutdown(shutdown_mode::read);
  co_await b.close();
  co_await yield_turn();
  co_await a.close();
  const std::uint64_t after = support::allocation_count();
  expect(right, "every write succeeds");
  expect(count == 100, "every write is read");
  expect(blocked[0].done && blocked[2].done, "the blocked writes end");
  expect(after == before, "100 wake-ups and the end allocate " + std::to_string(after - before) + " times");
}

void a_pipe_is_one_allocation() {
  const std::uint64_t before = support::allocation_count();
  std::optional<std::pair<memory_flow, memory_flow>> made(coflow::memory_pipe());
  const std::uint64_t between = support::allocation_count();
  made.reset();
  const std::uint64_t after = support::allocation_count();
  CHECK(between - before <= 1);
  CHECK(after == between);
}

// ---- lives and deaths

task<> assigning_an_end_to_itself_is_no_close() {
  auto [a, b] = coflow::memory_pipe(10);
  memory_flow& same = b;
  b = std::move(same);
  const coflow::result<void> sent = co_await a.write(buffer("still"));
  support::expect_success(sent);
  const coflow::read_result got = co_await b.read();
  support::expect_data(got, "still");
}

task<> ends_and_operations_go_in_any_order(unsigned order) {
  auto made = coflow::memory_pipe(4);
  std::optional<memory_flow> a(std::move(made.first));
  std::optional<memory_flow> b(std::move(made.second));
  reading reads[2];
  writing writes[2];
  std::optional<task_scope> readers(std::in_place);
  std::optional<task_scope> writers(std::in_place);
  // A reader and a blocked writer on the same end; the other end has a writer in the queue as well.
  start(*readers, read_once(&*a, &reads[0]));
  start(*writers, write_once(&*a, filled(100, 'a'), &writes[0]));
  start(*writers, write_once(&*a, filled(100, 'q'), &writes[1]));
  co_await yield_turn();
  co_await yield_turn();
  expect(!reads[0].done && !writes[0].done, "operations are pending");
  for (int i = 0; i < 4; ++i) {
    const unsigned which = (order >> (2 * i)) & 3U;
    if (which == 0) a.reset();
    if (which == 1) b.reset();
    if (which == 2) readers.reset();
    if (which == 3) writers.reset();
    if ((order >> 8) != 0) co_await yield_turn();
  }
  co_await yield_turn();
}

void an_unused_pipe_needs_no_executor() {
  {
    auto made = coflow::memory_pipe(1);
  }
  auto made = coflow::memory_pipe(1);
  std::optional<memory_flow> first(std::move(made.first));
  std::optional<memory_flow> second(std::move(made.second));
  second.reset();
  first->reset();
  first.reset();
  // The first operation chooses the executor, not the factory.
  auto used = coflow::memory_pipe(10);
  support::manual_executor idle;
  support::manual_executor busy;
  const auto talk = [](memory_flow* from, memory_flow* to) -> task<> {
    const coflow::result<void> sent = co_await from->write(buffer("hello"));
    support::expect_success(sent);
    const coflow::read_result got = co_await to->read();
    support::expect_data(got, "hello");
  };
  support::drive(busy, talk(&used.first, &used.second));
}

// The ends share one executor: the other end has seen nothing of it.
void an_end_goes_with_the_executor_of_the_other() {
  auto made = coflow::memory_pipe(4);
  {
    support::manual_executor on;
    writing used;
    support::drive(on, write_once(&made.second, buffer("used"), &used));
    support::expect_success(used.sent);
  }
  reading after;
  support::drive(read_once(&made.first, &after));
  support::expect_error(after.got, coflow::error::closed);
}

task<> a_reset_closes_the_end_that_it_is_called_on() {
  auto [a, b] = coflow::memory_pipe(100);
  a.reset();
  coflow::read_result got = co_await a.read();
  support::expect_error(got, coflow::error::closed);
  a.reset();
  b.reset();
  b.reset();
  got = co_await b.read();
  support::expect_error(got, coflow::error::closed);
}

TEST_CASE("a pipe holds exactly its capacity of unread bytes", "[memory_pipe]") {
  for (const std::size_t capacity : {1U, 2U, 7U, 4096U, 1'000'000U}) {
    INFO("capacity " << capacity);
    support::drive(capacity_is_exact(capacity));
  }
}

TEST_CASE("a write that fits in part goes in in part", "[memory_pipe]") {
  support::drive(capacity_counts_what_is_unread());
}

TEST_CASE("a pipe of one byte carries one byte at a time", "[memory_pipe]") { support::drive(one_byte_at_a_time()); }

TEST_CASE("a pipe of no capacity holds one byte", "[memory_pipe]") {
  support::drive(a_pipe_of_no_capacity_holds_one_byte());
}

TEST_CASE("the directions of a pipe do not hinder each other", "[memory_pipe]") {
  support::drive(the_directions_are_independent());
}

TEST_CASE("a pipe holds at most 1024 buffers", "[memory_pipe]") { support::drive(no_more_than_1024_buffers()); }

TEST_CASE("a pipe holds 64 KiB unless told otherwise", "[memory_pipe]") {
  support::drive(the_usual_capacity_is_64_kib());
}

TEST_CASE("a pipe copies no bytes", "[memory_pipe]") { support::drive(buffers_go_through_without_a_copy()); }

TEST_CASE("a pipe gives memory back when it was read, and when its end is closed", "[memory_pipe]") {
  support::drive(memory_goes_back_when_it_was_read());
}

TEST_CASE("a pipe that runs allocates nothing", "[memory_pipe]") {
  support::drive(nothing_is_allocated_once_it_runs());
}

TEST_CASE("waiting on a pipe and ending it allocate nothing", "[memory_pipe]") {
  support::drive(waiting_and_ending_allocate_nothing());
}

TEST_CASE("a pipe is one allocation", "[memory_pipe]") { a_pipe_is_one_allocation(); }

TEST_CASE("an end of a pipe that is assigned to itself stays open", "[memory_pipe]") {
  support::drive(assigning_an_end_to_itself_is_no_close());
}

TEST_CASE("the ends of a pipe and their operations may go in any order", "[memory_pipe]") {
  for (unsigned order = 0; order < 512; ++order) {
    unsigned seen = 0;
    for (unsigned i = 0; i < 4; ++i) seen |= 1U << ((order >> (2 * i)) & 3U);
    if (seen != 15U) continue;  // not a permutation
    INFO("order " << order);
    support::drive(ends_and_operations_go_in_any_order(order));
  }
}

TEST_CASE("a pipe belongs to the executor that first uses it", "[memory_pipe]") { an_unused_pipe_needs_no_executor(); }

TEST_CASE("an end of a pipe goes with the executor of the other", "[memory_pipe]") {
  an_end_goes_with_the_executor_of_the_other();
}

TEST_CASE("a reset of a pipe closes the end that it is called on", "[memory_pipe]") {
  support::drive(a_reset_closes_the_end_that_it_is_called_on());
}

// ---- reading into the caller's memory

static_assert(coflow::ReadIntoFlow<memory_flow>);

task<std::string> into(memory_flow* flow, std::size_t size) {
  std::string room(size, '.');
  const coflow::read_into_result got = co_await flow->read_into(std::as_writable_bytes(std::span<char>(room)));
  if (got) expect(room.find_first_not_of('.', *got) == std::string::npos, "nothing is written beyond the count");
  if (got.eof()) co_return "eof";
  if (got.failed()) co_return got.error().message();
  room.resize(*got);
  co_return room;
}

task<> a_room_takes_several_pieces() {
  auto [a, b] = coflow::memory_pipe(100);
  for (const char* piece : {"one", "two", "three"}) {
    const coflow::result<void> sent = co_await a.write(buffer(piece));
    support::expect_success(sent);
  }
  std::string got = co_await into(&b, 5);
  CHECK(got == "onetw");
  const coflow::read_result rest = co_await b.read();
  support::expect_data(rest, "o");
  got = co_await into(&b, 5);
  CHECK(got == "three");
  const coflow::result<void> sent = co_await a.write(buffer("last"));
  support::expect_success(sent);
  co_await a.close();
  got = co_await into(&b, 3);
  CHECK(got == "las");
  got = co_await into(&b, 100);
  CHECK(got == "t");
  got = co_await into(&b, 100);
  CHECK(got == "eof");
}

// The ring's places go round, and its count of bytes stays right.
task<> rooms_of_every_size_keep_the_account() {
  auto [a, b] = coflow::memory_pipe(64);
  std::string sent_text;
  std::string got_text;
  for (std::size_t i = 0; i < 2000; ++i) {
    const std::string piece(1 + i % 9, static_cast<char>('a' + i % 26));
    sent_text += piece;
    const coflow::result<void> sent = co_await a.write(buffer(piece));
    support::expect_success(sent);
    while (sent_text.size() - got_text.size() > 40) got_text += co_await into(&b, 1 + i % 23);
  }
  while (got_text.size() < sent_text.size()) got_text += co_await into(&b, 7);
  support::expect_same(got_text, sent_text);
  task_scope scope;
  writing full;
  writing one_more;
  start(scope, write_once(&a, filled(64, 'f'), &full));
  start(scope, write_once(&a, buffer("+"), &one_more));
  co_await yield_turn();
  co_await yield_turn();
  expect(full.done, "an empty pipe takes its capacity");
  expect(!one_more.done, "and not one byte more");
}

task<> a_room_makes_room_for_a_writer() {
  auto [a, b] = coflow::memory_pipe(10);
  task_scope scope;
  writing waits;
  start(scope, write_once(&a, buffer("0123456789abcde"), &waits));
  co_await yield_turn();
  co_await yield_turn();
  expect(!waits.done, "the write waits");
  std::string all = co_await into(&b, 5);
  co_await yield_turn();
  co_await yield_turn();
  expect(waits.done, "half of the capacity is room enough");
  all += co_await into(&b, 100);
  CHECK(all == "0123456789abcde");
}

task<> reading_into_allocates_nothing() {
  auto [a, b] = coflow::memory_pipe();
  std::byte room[8];
  std::uint64_t before = 0;
  for (int i = 0; i < 200; ++i) {
    if (i == 100) before = support::allocation_count();
    const coflow::result<void> sent = co_await a.write(filled(20, 'x'));
    if (!sent) break;
    for (int left = 20; left > 0;) {
      const coflow::read_into_result got = co_await b.read_into(room);
      if (!got) break;
      left -= static_cast<int>(*got);
    }
  }
  const std::uint64_t made = support::allocation_count() - before;
  if (coflow::detail::pooling) CHECK(made == 0);
}

TEST_CASE("a room takes several pieces of a pipe, and leaves the rest", "[memory_pipe]") {
  support::drive(a_room_takes_several_pieces());
}

TEST_CASE("rooms of every size keep the account of a pipe's bytes", "[memory_pipe]") {
  support::drive(rooms_of_every_size_keep_the_account());
}

TEST_CASE("what goes into a room makes room for a writer", "[memory_pipe]") {
  support::drive(a_room_makes_room_for_a_writer());
}

TEST_CASE("reading from a pipe into a room allocates nothing", "[memory_pipe]") {
  support::drive(reading_into_allocates_nothing());
}

}  // namespace
