// What string_source and string_sink promise beyond the laws of one-way flows: the text in pieces, and what was written
// in one string.
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::shutdown_mode;
using coflow::string_flow;
using coflow::string_sink;
using coflow::string_source;
using coflow::task;
using support::expect;

static_assert(coflow::check_flow_shape<string_flow>());
static_assert(coflow::SystemFlow<string_flow>);

task<std::vector<std::string>> pieces(string_flow* flow) {
  std::vector<std::string> all;
  for (;;) {
    const coflow::read_result got = co_await flow->read();
    if (!got) {
      support::expect_eof(got);
      break;
    }
    all.emplace_back(got->text());
  }
  co_return all;
}

task<> a_source_reads_in_chunks() {
  string_flow whole = string_source("one text");
  const std::vector<std::string> one = co_await pieces(&whole);
  expect(one == std::vector<std::string>{"one text"}, "the text comes whole unless told otherwise");
  string_flow cut = string_source("abcdefgh", 3);
  const std::vector<std::string> three = co_await pieces(&cut);
  expect(three == std::vector<std::string>{"abc", "def", "gh"}, "pieces are as long as was asked");
  string_flow fits = string_source("abcd", 2);
  const std::vector<std::string> two = co_await pieces(&fits);
  expect(two == std::vector<std::string>{"ab", "cd"}, "a last piece may be full");
  string_flow bytes = string_source("xy", 0);
  const std::vector<std::string> single = co_await pieces(&bytes);
  expect(single == std::vector<std::string>{"x", "y"}, "a piece has one byte at least");
  string_flow empty = string_source("");
  const std::vector<std::string> none = co_await pieces(&empty);
  expect(none.empty(), "no text is no data");
}

task<> a_source_takes_nothing() {
  string_flow flow = string_source("text");
  const coflow::result<void> sent = co_await flow.write(buffer("x"));
  support::expect_error(sent, coflow::error::closed);
  const coflow::result<void> nothing = co_await flow.write(buffer());
  support::expect_error(nothing, coflow::error::closed);
  co_await flow.shutdown(shutdown_mode::write);
  const coflow::read_result got = co_await flow.read();
  support::expect_data(got, "text");
}

task<> a_sink_collects() {
  string_flow flow = string_sink();
  const coflow::read_result got = co_await flow.read();
  support::expect_eof(got);
  const coflow::result<void> first = co_await flow.write(buffer("a"));
  support::expect_success(first);
  std::vector<buffer> list;
  list.emplace_back("bc");
  list.emplace_back();
  list.emplace_back("d");
  const coflow::result<void> second = co_await flow.writev(list);
  support::expect_success(second);
  support::expect_same(flow.text(), "abcd");
  co_await flow.close();
  support::expect_same(flow.text(), "abcd");
  support::expect_same(flow.take_text(), "abcd");
  support::expect_same(flow.text(), "");
}

task<> a_bounded_sink_ends_at_its_limit() {
  string_flow flow = string_sink(5);
  const coflow::result<void> fits = co_await flow.write(buffer("12345"));
  support::expect_success(fits);
  const coflow::result<void> nothing = co_await flow.write(buffer());
  support::expect_success(nothing);
  const coflow::result<void> over = co_await flow.write(buffer("6"));
  support::expect_error(over, std::make_error_code(std::errc::no_space_on_device));
  static_cast<void>(flow.take_text());
  const coflow::result<void> after = co_await flow.write(buffer("7"));
  support::expect_error(after, std::make_error_code(std::errc::no_space_on_device));

  string_flow part = string_sink(5);
  std::vector<buffer> list;
  list.emplace_back("123");
  list.emplace_back("4567");
  list.emplace_back("8");
  const coflow::result<void> cut = co_await part.writev(list);
  support::expect_error(cut, std::make_error_code(std::errc::no_space_on_device));
  support::expect_same(part.text(), "12345");
  expect(list[0].empty(), "the first was taken");
  support::expect_same(list[1].text(), "67");
  support::expect_same(list[2].text(), "8");
}

task<> both_at_once() {
  string_flow flow("request", 4, 100);
  const coflow::result<void> sent = co_await flow.write(buffer("reply"));
  support::expect_success(sent);
  const coflow::read_result first = co_await flow.read();
  support::expect_data(first, "requ");
  co_await flow.shutdown(shutdown_mode::read);
  const coflow::read_result ended = co_await flow.read();
  support::expect_eof(ended);
  const coflow::result<void> more = co_await flow.write(buffer("!"));
  support::expect_success(more);
  support::expect_same(flow.text(), "reply!");
}

task<> pieces_are_immutable() {
  string_flow flow = string_source("aabb", 2);
  coflow::read_result first = co_await flow.read();
  expect(first->writable().empty(), "nobody can write to what others share");
  string_flow moved = std::move(flow);
  const coflow::read_result second = co_await moved.read();
  support::expect_data(second, "bb");
  support::expect_data(first, "aa");
}

task<std::uint64_t> a_million_operations() {
  string_flow source = string_source(std::string(1'000'000, 'x'), 1);
  string_flow sink = string_sink();
  std::uint64_t count = 0;
  for (;;) {
    coflow::read_result got = co_await source.read();
    if (!got) break;
    const coflow::result<void> sent = co_await sink.write(*std::move(got));
    if (!sent) break;
    ++count;
  }
  co_return sink.text().size() == count ? count : 0;
}

task<std::uint64_t> allocations_of_reads() {
  string_flow source = string_source(std::string(1000, 'x'), 1);
  const std::uint64_t before = support::allocation_count();
  for (;;) {
    const coflow::read_result got = co_await source.read();
    if (!got) break;
  }
  co_return support::allocation_count() - before;
}

TEST_CASE("a string source reads its text in pieces and then eof", "[string_flow]") {
  support::drive(a_source_reads_in_chunks());
}
TEST_CASE("a string source's write half is closed from the beginning", "[string_flow]") {
  support::drive(a_source_takes_nothing());
}
TEST_CASE("a string sink reads eof and collects what is written", "[string_flow]") {
  support::drive(a_sink_collects());
}
TEST_CASE("a bounded string sink takes what fits and then has no space for good", "[string_flow]") {
  support::drive(a_bounded_sink_ends_at_its_limit());
}
TEST_CASE("a string flow may read and collect at once", "[string_flow]") { support::drive(both_at_once()); }
TEST_CASE("the pieces of a string source share its memory and outlive each other", "[string_flow]") {
  support::drive(pieces_are_immutable());
}
TEST_CASE("a million operations on string flows use no stack", "[string_flow]") {
  CHECK(support::drive(a_million_operations()) == 1'000'000);
}
TEST_CASE("reading a string source allocates nothing", "[string_flow]") {
  if (support::counts_allocations) CHECK(support::drive(allocations_of_reads()) == 0);
}
task<coflow::read_result> read_from(string_flow* flow) {
  coflow::read_result got = co_await flow->read();
  co_return std::move(got);
}

TEST_CASE("a string flow whose executor is gone is closed", "[string_flow]") {
  string_flow flow = string_source("ab", 1);
  {
    support::manual_executor on;
    const coflow::read_result got = support::drive(on, read_from(&flow));
    CHECK(got.has_data());
  }
  support::manual_executor other;
  const coflow::read_result got = support::drive(other, read_from(&flow));
  CHECK(got.error() == coflow::error::closed);
}

}  // namespace
