// What buffered_reader gives: lines, records, numbers, and what is left of the stream around them.
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer/any_flow.hpp>
#include <coflow/layer/buffered_reader.hpp>
#include <coflow/memory.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::buffered_reader;
using coflow::memory_flow;
using coflow::record_result;
using coflow::task;
using support::expect;
using support::expect_same;

using reader = buffered_reader<memory_flow>;

static_assert(coflow::check_flow_shape<reader>());
static_assert(coflow::ReadIntoFlow<reader>);
static_assert(coflow::ReadIntoFlow<buffered_reader<coflow::any_flow>>, "also over a flow that cannot");
static_assert(!std::is_copy_constructible_v<reader>);
static_assert(std::is_nothrow_move_constructible_v<reader>);
static_assert(sizeof(reader) == sizeof(void*));

// A reader of a stream that comes in these pieces, one by each read below, and then ends.
struct stream {
  explicit stream(std::vector<std::string> come, bool ends = true)
      : stream(coflow::memory_pipe(1 << 20), std::move(come), ends) {}
  stream(std::pair<memory_flow, memory_flow> ends_of_pipe, std::vector<std::string> come, bool ends)
      : in(std::move(ends_of_pipe.first)), peer(std::move(ends_of_pipe.second)), pieces(std::move(come)), ended(ends) {}

  task<> arrives() {
    for (const std::string& one : pieces) {
      const coflow::result<void> sent = co_await peer.write(buffer(one));
      support::expect_success(sent);
    }
    if (ended) co_await peer.shutdown(coflow::shutdown_mode::write);
  }

  reader in;
  memory_flow peer;
  std::vector<std::string> pieces;
  bool ended;
};

std::string said(const record_result<buffer>& got) {
  if (got.eof()) return "<eof>";
  if (got.failed()) return "<" + got.error().message() + ">";
  return std::string(got->text());
}
const std::string truncated = "<" + make_error_code(coflow::error::truncated).message() + ">";
const std::string too_long = "<" + std::make_error_code(std::errc::message_size).message() + ">";

// All that `read` still gives.
task<std::string> rest_of(reader* in) {
  std::string all;
  for (;;) {
    const coflow::read_result got = co_await in->read();
    if (!got) co_return all;
    all += got->text();
  }
}

// ---- lines

task<std::vector<std::string>> lines_of(std::vector<std::string> pieces, std::size_t limit) {
  stream from(std::move(pieces));
  co_await from.arrives();
  std::vector<std::string> all;
  while (auto line = co_await from.in.read_line(limit)) all.emplace_back(line->text());
  auto last = co_await from.in.read_line(limit);
  all.push_back(said(last));
  const std::string rest = co_await rest_of(&from.in);
  all.push_back(rest);
  co_return all;
}

struct line_case {
  std::string_view text;
  std::size_t limit;
  std::vector<std::string> lines;  // the last but one is the outcome that is no line, the last what is left
};
const std::vector<line_case> line_cases{
    {"", 10, {"<eof>", ""}},
    {"\n", 10, {"", "<eof>", ""}},
    {"one\ntwo\n", 10, {"one", "two", "<eof>", ""}},
    {"one\r\n\r\n\n\rtwo\r\r\n", 10, {"one", "", "", "\rtwo\r", "<eof>", ""}},
    {"one\n two", 10, {"one", truncated, " two"}},
    {"one\n\r", 10, {"one", truncated, "\r"}},
    {"1234\n12345\n123456\n", 5, {"1234", "12345", too_long, "123456\n"}},
    {"12345\r\n123456\r\n", 5, {"12345", too_long, "123456\r\n"}},
    {"12345\rx\n", 5, {too_long, "12345\rx\n"}},
    {"\n\r\nx\n", 0, {"", "", too_long, "x\n"}},
    {"no end, but no limit either", SIZE_MAX, {truncated, "no end, but no limit either"}},
};

// Every way to cut it in two, and one byte at a time (law L12).
void each_split(std::string_view text, auto judge) {
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    std::vector<std::string> pieces;
    if (cut != 0) pieces.emplace_back(text.substr(0, cut));
    if (cut != text.size()) pieces.emplace_back(text.substr(cut));
    judge(std::move(pieces));
  }
  std::vector<std::string> bytes;
  for (const char one : text) bytes.emplace_back(1, one);
  judge(std::move(bytes));
}

// ---- delimiters

struct until_case {
  std::string_view text;
  std::string_view delimiter;
  std::size_t limit;
  std::vector<std::string> records;
};
const std::vector<until_case> until_cases{
    {"a;;b;", ";", 10, {"a", "", "b", "<eof>", ""}},
    {"head\r\nmore\r\n\r\nbody", "\r\n\r\n", 20, {"head\r\nmore", truncated, "body"}},
    {"a\r\n\r\r\n\r\n", "\r\n\r\n", 20, {"a\r\n\r", "<eof>", ""}},
    {"aabaabaac", "aabaac", 20, {"aab", "<eof>", ""}},
    {"ababab", "abab", 20, {"", truncated, "ab"}},
    {"12345--123456--", "--", 5, {"12345", too_long, "123456--"}},
    {"1234-6--", "--", 5, {too_long, "1234-6--"}},
    {std::string_view("a\0b\0", 4), std::string_view("\0", 1), 5, {"a", "b", "<eof>", ""}},
};

task<std::vector<std::string>> records_of(std::vector<std::string> pieces, const until_case* one) {
  stream from(std::move(pieces));
  co_await from.arrives();
  std::vector<std::string> all;
  for (;;) {
    auto got = co_await from.in.read_until(one->delimiter, one->limit);
    all.push_back(said(got));
    if (!got) break;
  }
  const std::string rest = co_await rest_of(&from.in);
  all.push_back(rest);
  co_return all;
}

// ---- sizes and numbers

task<> sizes_and_numbers(std::vector<std::string> pieces) {
  stream from(std::move(pieces));
  co_await from.arrives();
  reader& in = from.in;
  auto bytes = co_await in.read_exactly(3);
  expect_same(said(bytes), "abc");
  auto nothing = co_await in.read_exactly(0);
  expect(nothing.has_value() && nothing->empty(), "nothing is a record of no bytes");
  auto u8 = co_await in.read_big<std::uint8_t>();
  expect(u8 && *u8 == 0xF1, "a byte");
  auto big = co_await in.read_big<std::uint16_t>();
  expect(big && *big == 0x0102, "two bytes, big-endian");
  auto little = co_await in.read_little<std::uint16_t>();
  expect(little && *little == 0x0201, "two bytes, little-endian");
  auto big4 = co_await in.read_big<std::uint32_t>();
  expect(big4 && *big4 == 0x80000001, "four bytes, big-endian");
  auto little8 = co_await in.read_little<std::int64_t>();
  expect(little8 && *little8 == -2, "eight bytes, little-endian, with a sign");
  auto seen = co_await in.peek(4);
  expect(seen && seen->size() >= 4 && seen->text().substr(0, 4) == "skip", "a peek gives what is asked for, or more");
  auto skipped = co_await in.skip(4);
  expect(skipped && *skipped == 4 && in.unskipped() == 0, "a skip drops");
  auto same = co_await in.peek(2);
  expect(same && same->text().substr(0, 2) == "to", "a peek takes nothing");
  auto all = co_await in.peek(1000);
  expect_same(said(all), "to");
  auto number = co_await in.read_big<std::uint32_t>();
  expect(number.failed() && number.error() == coflow::error::truncated, "a torn number");
  auto more = co_await in.read_exactly(3);
  expect_same(said(more), truncated);
  auto last = co_await in.read_exactly(2);
  expect_same(said(last), "to");
  auto end = co_await in.read_exactly(1);
  expect_same(said(end), "<eof>");
  auto no_number = co_await in.read_little<std::uint16_t>();
  expect(no_number.eof(), "a clean end between two numbers");
  auto no_peek = co_await in.peek(1);
  expect(no_peek.eof(), "nothing is left to peek at");
  auto no_skip = co_await in.skip(1);
  expect(no_skip.eof() && in.unskipped() == 1, "nothing is left to skip");
}

task<> a_skip_that_meets_the_end_says_how_far_it_came() {
  stream from({"12345", "678"});
  co_await from.arrives();
  auto skipped = co_await from.in.skip(10);
  expect(skipped.failed() && skipped.error() == coflow::error::truncated, "the end is inside of what is skipped");
  expect(from.in.unskipped() == 2, "two bytes were missing");
  auto end = co_await from.in.skip(1);
  expect(end.eof(), "then eof");
}

task<> a_peek_does_not_read_needlessly() {
  stream from({"first", "second"});
  co_await from.arrives();
  auto nothing = co_await from.in.peek(0);
  expect(nothing.has_value() && nothing->empty(), "nothing is buffered");
  auto first = co_await from.in.peek(1);
  expect_same(said(first), "first");
  auto still = co_await from.in.peek(0);
  expect_same(said(still), "first");
  expect(from.in.buffered() == 5, "one read was enough");
  auto both = co_await from.in.peek(6);
  expect(both.has_value() && both->text().substr(0, 6) == "firsts", "two are joined where it must be");
  const std::string all = co_await rest_of(&from.in);
  expect_same(all, "firstsecond");
}

// ---- a flow

task<> reads_give_what_is_buffered_first() {
  stream from({"line\nrest", "next"});
  co_await from.arrives();
  auto line = co_await from.in.read_line();
  expect_same(said(line), "line");
  coflow::read_result got = co_await from.in.read();
  support::expect_data(got, "rest");
  std::byte room[3];
  auto count = co_await from.in.read_into(room);
  expect(count && *count == 3 && buffer(std::span<const std::byte>(room)).text() == "nex", "a room is filled");
  auto sent = co_await from.in.write(buffer("answer"));
  support::expect_success(sent);
  got = co_await from.peer.read();
  support::expect_data(got, "answer");
  std::vector<buffer> list;
  list.emplace_back("a");
  list.emplace_back("b");
  sent = co_await from.in.writev(list);
  support::expect_success(sent);
  auto last = co_await from.in.read_exactly(1);
  expect_same(said(last), "t");
}

task<> records_are_slices_of_what_came() {
  stream from({"one\ntwo\nth", "ree\nfour\n"});
  co_await from.arrives();
  auto all = co_await from.in.peek(1);
  const std::byte* first_piece = all->data();
  *all = buffer();
  auto one = co_await from.in.read_line();
  auto two = co_await from.in.read_line();
  expect(one->data() == first_piece, "the first line is where it came");
  expect(two->data() == first_piece + 4, "the second line is where it came");
  auto three = co_await from.in.read_line();
  expect_same(said(three), "three");
  expect(three->writable().size() == 5, "a line of two pieces is a copy");
  auto rest = co_await from.in.peek(1);
  auto four = co_await from.in.read_line();
  expect(four->data() == rest->data(), "and what follows is where it came");
}

task<> nothing_is_allocated() {
  auto ends = coflow::memory_pipe(1000);
  reader in(std::move(ends.first));
  const buffer payload("a line\nand a torn one,12345 which ends here\n");
  std::uint64_t before = 0;
  bool right = true;
  for (int i = 0; i < 200; ++i) {
    if (i == 100) before = support::allocation_count();
    auto sent = co_await ends.second.write(payload.share());
    auto line = co_await in.read_line();
    auto half = co_await in.read_exactly(3);
    auto torn = co_await in.read_until(',');
    auto seen = co_await in.peek(5);
    auto skipped = co_await in.skip(2);
    coflow::read_result rest = co_await in.read();
    if (!sent || !line || !half || !torn || !seen || !skipped || !rest) right = false;
  }
  const std::uint64_t after = support::allocation_count();
  expect(right, "every operation succeeds");
  expect(after == before, "no operation allocates");
}

// A stream of tiny pieces is kept in proportion to its bytes.
task<> tiny_pieces_take_no_more_memory_than_their_bytes() {
  auto ends = coflow::memory_pipe();
  reader in(std::move(ends.first));
  record_result<buffer> got;
  coflow::task_scope scope;
  const auto read = [](reader* from, record_result<buffer>* out) -> task<> {
    auto line = co_await from->read_line();
    *out = std::move(line);
  };
  support::start(scope, read(&in, &got));
  std::string whole;
  const std::uint64_t before = support::allocation_count();
  for (int i = 0; i < 20'000; ++i) {
    const char one = static_cast<char>('a' + i % 26);
    whole += one;
    auto sent = co_await ends.second.write(buffer(std::string_view(&one, 1)));
    if (!sent) break;
    co_await support::yield_turn();
    co_await support::yield_turn();
  }
  const std::uint64_t after = support::allocation_count();
  expect(after - before < 20'000 || !coflow::detail::pooling, "the pieces are not kept one by one");
  auto sent = co_await ends.second.write(buffer("\n"));
  support::expect_success(sent);
  co_await support::turns(5);
  expect_same(said(got), whole);
}

task<> it_is_given_away_with_what_is_left() {
  stream from({"upgrade\n\nframes", "more"});
  co_await from.arrives();
  auto line = co_await from.in.read_line();
  auto empty = co_await from.in.read_line();
  expect(line && empty, "the request is read");
  coflow::released_flow<memory_flow> given = std::move(from.in).release();
  expect_same(given.unread.text(), "frames");
  buffered_reader<memory_flow> next(std::move(given.flow), std::move(given.unread));
  auto ten = co_await next.read_exactly(10);
  expect_same(said(ten), "framesmore");
}

TEST_CASE("lines come whole, without their ends, however the stream is cut", "[buffered_reader]") {
  for (const line_case& one : line_cases) {
    each_split(one.text, [&one](std::vector<std::string> pieces) {
      CHECK(support::drive(lines_of(std::move(pieces), one.limit)) == one.lines);
    });
  }
}

TEST_CASE("records end with any delimiter, however the stream is cut", "[buffered_reader]") {
  for (const until_case& one : until_cases) {
    each_split(one.text, [&one](std::vector<std::string> pieces) {
      CHECK(support::drive(records_of(std::move(pieces), &one)) == one.records);
    });
  }
}

TEST_CASE("sizes and numbers come whole, however the stream is cut", "[buffered_reader]") {
  const char text[] = "abc\xF1\1\2\1\2\x80\0\0\1\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFFskipto";
  each_split(std::string_view(text, sizeof text - 1),
             [](std::vector<std::string> pieces) { support::drive(sizes_and_numbers(std::move(pieces))); });
}

TEST_CASE("a skip that meets the end says how far it came", "[buffered_reader]") {
  support::drive(a_skip_that_meets_the_end_says_how_far_it_came());
}

TEST_CASE("a peek reads no more than it must", "[buffered_reader]") {
  support::drive(a_peek_does_not_read_needlessly());
}

TEST_CASE("a buffered reader is a flow, whose reads give what is buffered first", "[buffered_reader]") {
  support::drive(reads_give_what_is_buffered_first());
}

TEST_CASE("records are slices of what came, but where they span two reads", "[buffered_reader]") {
  support::drive(records_are_slices_of_what_came());
}

TEST_CASE("records cost no allocation", "[buffered_reader]") { support::drive(nothing_is_allocated()); }

TEST_CASE("a stream of tiny pieces is kept in few", "[buffered_reader]") {
  support::drive(tiny_pieces_take_no_more_memory_than_their_bytes());
}

TEST_CASE("a reader gives its flow away with the bytes that it has not used", "[buffered_reader]") {
  support::drive(it_is_given_away_with_what_is_left());
}

}  // namespace
