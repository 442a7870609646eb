#include <coflow/async/run.hpp>
#include <coflow/async/task_scope.hpp>
#include <coflow/core.hpp>
#include <coflow/memory/memory_pipe.hpp>
#include <coflow/memory/string_flow.hpp>
#include <coflow/testing/checked_flow.hpp>
#include <coflow/testing/law.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

using coflow::buffer;
using coflow::memory_flow;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using coflow::laws::checked_flow;
using coflow::laws::flow_ends;
using coflow::laws::foreign;
using coflow::laws::reading;
using coflow::laws::shutting;
using coflow::laws::subject_of;
using coflow::laws::turns;
using coflow::laws::writing;

// A factory that offers nothing beyond flows, and one that offers all there is.
struct plain_maker {};
struct rich_maker {
  int resets = 0;
  int cuts = 0;
  void reset(memory_flow& flow) {
    ++resets;
    flow.reset();
  }
  void cut(memory_flow& flow) {
    ++cuts;
    flow.reset();
  }
  std::size_t unread(memory_flow&) { return 42; }
  bool end_has_arrived(memory_flow&) { return true; }
};

plain_maker plain;

template <class F, class Maker>
checked_flow under_check(F flow, Maker& make) {
  return checked_flow(std::make_unique<subject_of<F, Maker>>(std::move(flow), make));
}
flow_ends checked_pipe() {
  auto ends = coflow::memory_pipe(64);
  return flow_ends(under_check(std::move(ends.first), plain), under_check(std::move(ends.second), plain));
}

void drive(task<> body) {
  coflow::virtual_executor on;
  coflow::run(on, std::move(body));
}

task<std::string> rest_of(checked_flow* flow) {
  std::string all;
  const read_result end = co_await coflow::laws::drain(flow, &all);
  if (!end.eof()) all += " and no eof";
  co_return all;
}

task<> all_five_operations() {
  flow_ends ends = checked_pipe();
  result<void> sent = co_await ends.a.write(buffer("one "));
  CHECK(sent);
  buffer list[2] = {buffer("two "), buffer("three")};
  sent = co_await ends.a.writev(list);
  CHECK(sent);
  CHECK(list[1].empty());
  co_await ends.a.shutdown(shutdown_mode::write);
  const std::string all = co_await rest_of(&ends.b);
  CHECK(all == "one two three");
  co_await ends.a.close();
  const read_result got = co_await ends.a.read();
  CHECK(got.error() == coflow::error::closed);
}

}  // namespace

TEST_CASE("a flow under check does what the flow does", "[checked_flow]") { drive(all_five_operations()); }

namespace {

task<> nothing_is_begun() {
  flow_ends ends = checked_pipe();
  ends.a->begin_nothing();
  co_await turns(2);
  const result<void> sent = co_await ends.a.write(buffer("real"));
  CHECK(sent);
  co_await ends.a.close();
  const std::string all = co_await rest_of(&ends.b);
  CHECK(all == "real");
}
task<> written_in_reverse() {
  flow_ends ends = checked_pipe();
  const result<void> sent = co_await ends.a->write_in_reverse(buffer("first"), buffer("second"));
  CHECK(sent);
  co_await ends.a.close();
  const std::string all = co_await rest_of(&ends.b);
  CHECK(all == "secondfirst");
}
task<> awaited_after_close() {
  flow_ends ends = checked_pipe();
  reading read;
  writing sent;
  co_await ends.a->await_after_close(&read, &sent);
  CHECK(read.done);
  CHECK(read.got.error() == coflow::error::closed);
  CHECK(sent.done);
  CHECK((!sent.sent && sent.sent.error() == coflow::error::closed));
}

}  // namespace

TEST_CASE("operations that are made and never awaited reach the flow as such", "[checked_flow]") {
  drive(nothing_is_begun());
}

TEST_CASE("operations may be awaited in another order than they were made in", "[checked_flow]") {
  drive(written_in_reverse());
  drive(awaited_after_close());
}

namespace {

task<> moved_with_a_read_pending() {
  flow_ends ends = checked_pipe();
  reading read;
  task_scope scope;
  coflow::laws::start(scope, coflow::laws::read_once(&ends.a, &read));
  co_await turns();
  ends.a->move_about();
  const result<void> sent = co_await ends.b.write(buffer("x"));
  CHECK(sent);
  co_await turns(2);
  CHECK(read.done);
  CHECK(read.got.has_data());
}
task<> exchanged() {
  flow_ends ends = checked_pipe();
  flow_ends others = checked_pipe();
  CHECK(ends.a->swap_with(*others.a));
  result<void> sent = co_await others.a.write(buffer("to the first"));
  CHECK(sent);
  const read_result got = co_await ends.b.read();
  CHECK((got && got->text() == "to the first"));
  // In place of the first one: whoever was connected with it comes to its end.
  CHECK(others.a->replace_by(*ends.a));
  const read_result end = co_await ends.b.read();
  CHECK(end.eof());
  sent = co_await others.a.write(buffer("to the second"));
  CHECK(sent);
  const read_result there = co_await others.b.read();
  CHECK((there && there->text() == "to the second"));
}
task<> of_two_types() {
  flow_ends ends = checked_pipe();
  checked_flow other = under_check(coflow::string_source("text"), plain);
  CHECK_FALSE(ends.a->swap_with(*other));
  CHECK_FALSE(ends.a->replace_by(*other));
  CHECK_FALSE(other->swap_with(*ends.a));
  CHECK(ends.a->type() == ends.b->type());
  CHECK(ends.a->type() != other->type());
  const std::string all = co_await rest_of(&other);
  CHECK(all == "text");
}
task<> destroyed() {
  flow_ends ends = checked_pipe();
  ends.a.destroy();
  const read_result end = co_await ends.b.read();
  CHECK(end.eof());
  // Whoever uses it again is told so.
  CHECK_THROWS_AS(ends.a.read(), std::logic_error);
  CHECK_THROWS_AS(ends.a.close(), std::logic_error);
  CHECK_THROWS_AS(ends.a->begin_nothing(), std::logic_error);
  ends.a.destroy();
  checked_flow none;
  none.destroy();
}
task<> assigned() {
  flow_ends ends = checked_pipe();
  flow_ends others = checked_pipe();
  ends.a = std::move(others.a);
  const read_result end = co_await ends.b.read();
  CHECK(end.eof());
}

}  // namespace

TEST_CASE("a flow under check is moved about, exchanged and replaced", "[checked_flow]") {
  drive(moved_with_a_read_pending());
  drive(exchanged());
  drive(assigned());
}

TEST_CASE("flows of two types are not exchanged", "[checked_flow]") { drive(of_two_types()); }

TEST_CASE("a flow that is destroyed is gone, and using it again throws", "[checked_flow]") { drive(destroyed()); }

namespace {

task<> abroad() {
  flow_ends ends = checked_pipe();
  reading read;
  writing sent;
  writing listed;
  shutting shut;
  shutting closed;
  buffer list[1] = {buffer("cd")};
  {
    // It starts at once, and dies with its handle.
    reading lost;
    const foreign dies = ends.b->read_abroad(&lost);
    CHECK(lost.started);
    CHECK_FALSE(lost.done);
  }
  const foreign reader = ends.b->read_abroad(&read);
  const foreign writer = ends.a->write_abroad(buffer("ab"), &sent);
  CHECK(sent.done);
  const foreign lister = ends.a->writev_abroad(list, &listed);
  CHECK(listed.done);
  co_await turns(2);
  CHECK(read.done);
  CHECK(read.got.has_data());
  const foreign shutter = ends.a->shutdown_abroad(shutdown_mode::write, &shut);
  CHECK(shut.done);
  const foreign closer = ends.b->close_abroad(&closed);
  CHECK(closed.done);
  const read_result got = co_await ends.b.read();
  CHECK(got.error() == coflow::error::closed);
}

// A flow whose operations throw.
class throwing_flow : public coflow::string_flow {
 public:
  throwing_flow() : string_flow("text") {}
  [[nodiscard]] task<read_result> read() { return failing(); }

 private:
  static task<read_result> failing() {
    throw std::runtime_error("no reading here");
    co_return coflow::end_of_stream;
  }
};
task<> throws_abroad() {
  checked_flow flow = under_check(throwing_flow(), plain);
  reading read;
  coflow::report found;
  {
    const coflow::laws::check_in_progress now("R1", "a check", "", found);
    const foreign reader = flow->read_abroad(&read);
  }
  CHECK(found.broke("R1"));
  CHECK_FALSE(read.done);
  co_return;
}

}  // namespace

TEST_CASE("a foreign coroutine begins operations at once and may be destroyed in them", "[checked_flow]") {
  drive(abroad());
}

TEST_CASE("what is thrown in a foreign coroutine is a finding", "[checked_flow]") { drive(throws_abroad()); }

namespace {

task<> offered() {
  rich_maker rich;
  auto ends = coflow::memory_pipe(64);
  checked_flow a = under_check(std::move(ends.first), rich);
  checked_flow b = under_check(std::move(ends.second), rich);
  CHECK(a->unread() == std::size_t{42});
  CHECK(a->end_has_arrived() == true);
  CHECK((rich.resets == 0 && rich.cuts == 0));
  a->reset();
  CHECK((rich.resets == 1 && rich.cuts == 0));
  const read_result got = co_await b.read();
  CHECK(got.error() == std::errc::connection_reset);
  b->cut();
  CHECK((rich.resets == 1 && rich.cuts == 1));
}
task<> not_offered() {
  flow_ends ends = checked_pipe();
  CHECK_FALSE(ends.a->unread().has_value());
  CHECK_FALSE(ends.a->end_has_arrived().has_value());
  ends.a->reset();
  ends.a->cut();
  const result<void> sent = co_await ends.a.write(buffer("x"));
  CHECK(sent);
}

}  // namespace

TEST_CASE("what a factory offers is used, and what it does not is not missed", "[checked_flow]") {
  drive(offered());
  drive(not_offered());
}

namespace {

// Errors of a kind of their own, which convert to error codes.
class own_error {
 public:
  own_error() noexcept {}
  explicit own_error(std::error_code code) noexcept : code_(code) {}
  operator std::error_code() const noexcept { return code_; }

 private:
  std::error_code code_;
};

class own_flow {
 public:
  using error_type = own_error;
  using write_error_type = own_error;
  using own_read = coflow::basic_read_result<own_error>;
  using own_write = result<void, own_error>;

  explicit own_flow(memory_flow inner) : inner_(std::move(inner)) {}
  [[nodiscard]] task<own_read> read() { return reading_of(&inner_); }
  [[nodiscard]] task<own_write> write(buffer bytes) { return writing_of(&inner_, std::move(bytes)); }
  [[nodiscard]] task<own_write> writev(std::span<buffer> list) { return listing_of(&inner_, list); }
  [[nodiscard]] auto shutdown(shutdown_mode mode) { return inner_.shutdown(mode); }
  [[nodiscard]] auto close() { return inner_.close(); }

 private:
  static task<own_read> reading_of(memory_flow* inner) {
    read_result got = co_await inner->read();
    if (got.eof()) co_return coflow::end_of_stream;
    if (got.failed()) co_return own_error(got.error());
    co_return std::move(*got);
  }
  static own_write converted(const result<void>& sent) {
    if (sent) return coflow::success;
    return own_error(sent.error());
  }
  static task<own_write> writing_of(memory_flow* inner, buffer bytes) {
    const result<void> sent = co_await inner->write(std::move(bytes));
    co_return converted(sent);
  }
  static task<own_write> listing_of(memory_flow* inner, std::span<buffer> list) {
    const result<void> sent = co_await inner->writev(list);
    co_return converted(sent);
  }
  memory_flow inner_;
};

task<> of_errors_of_their_own() {
  auto ends = coflow::memory_pipe(64);
  checked_flow a = under_check(own_flow(std::move(ends.first)), plain);
  checked_flow b = under_check(own_flow(std::move(ends.second)), plain);
  result<void> sent = co_await a.write(buffer("data"));
  CHECK(sent);
  const read_result data = co_await b.read();
  CHECK((data && data->text() == "data"));
  co_await a.close();
  const read_result end = co_await b.read();
  CHECK(end.eof());
  const read_result closed = co_await a.read();
  CHECK(closed.error() == coflow::error::closed);
  sent = co_await a.write(buffer("late"));
  CHECK((!sent && sent.error() == coflow::error::closed));
  buffer list[1] = {buffer("late")};
  sent = co_await a.writev(list);
  CHECK((!sent && sent.error() == coflow::error::closed));
}

}  // namespace

TEST_CASE("errors of another type become error codes", "[checked_flow]") { drive(of_errors_of_their_own()); }
