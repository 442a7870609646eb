// Codecs that hold back what they have sealed until more input has come (law W1: a write waits for its bytes).
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "support/codec_ends.hpp"

namespace {

using namespace codec_ends;

// Changes nothing. A '(' in the input begins a message, in the middle of which nothing can be sent; ')' ends it.
class holding_codec {
 public:
  holding_codec() noexcept {}
  void feed(buffer bytes, coflow::codec_output& out) {
    for (const char one : bytes.text()) {
      if (one == '(') in_message_ = true;
      if (one == ')') in_message_ = false;
      if (one == '!') return out.fail(std::make_error_code(std::errc::bad_message));
    }
    out.data(std::move(bytes));
    if (!in_message_) out.send(buffer(std::exchange(held_, std::string())));
  }
  std::error_code seal(std::span<buffer> plain, coflow::codec_output& out) {
    for (buffer& one : plain) {
      if (in_message_)
        held_.append(one.text());
      else
        out.send(std::move(one));
    }
    return {};
  }
  void farewell(coflow::codec_output& out) {
    if (held_.empty()) out.send(buffer("bye"));
  }
  [[nodiscard]] bool needs_input() const noexcept { return true; }
  [[nodiscard]] bool holds_back() const noexcept { return !held_.empty(); }

 private:
  bool in_message_ = false;
  std::string held_;
};

struct holding {
  explicit holding(coflow::codec_options options = {}) : holding(coflow::memory_pipe(), options) {}
  holding(std::pair<memory_flow, memory_flow> pipe, coflow::codec_options options)
      : flow(holding_codec(), std::move(pipe.first), options), raw(std::move(pipe.second)) {}
  coflow::codec_flow<holding_codec, memory_flow> flow;
  memory_flow raw;
};

// The message has begun, and a write is held back by it.
task<> hold(holding* on, task_scope* scope, came<result<void>>* sent) {
  co_await say(&on->raw, "(");
  const read_result got = co_await on->flow.read();
  CHECK(got->text() == "(");
  start(*scope, write_once(&on->flow, "held", sent));
  co_await turns(5);
  CHECK(!sent->done);
  const std::string there = co_await all_that_is_there(&on->raw);
  CHECK(there.empty());
}

task<> a_write_waits_for_the_message() {
  holding on;
  came<result<void>> sent;
  came<result<void>> next;
  task_scope scope;
  co_await hold(&on, &scope, &sent);
  start(scope, write_once(&on.flow, " and next", &next));
  // Data that nobody has read does not keep the rest of the message away.
  co_await say(&on.raw, "middle");
  co_await turns(5);
  CHECK(!sent.done);
  co_await say(&on.raw, ")");
  co_await turns(5);
  CHECK(sent.done);
  CHECK(sent.to.has_value());
  CHECK(next.done);
  CHECK(next.to.has_value());
  co_await on.flow.shutdown(shutdown_mode::write);
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == "held and nextbye");
  const read_result middle = co_await on.flow.read();
  CHECK(middle->text() == "middle");
}

TEST_CASE("a write whose bytes the codec holds back waits until they have gone out", "[codec_holding]") {
  drive(a_write_waits_for_the_message());
}

task<> unread_data_before_the_write() {
  holding on;
  came<result<void>> sent;
  task_scope scope;
  co_await say(&on.raw, "x");
  const read_result first = co_await on.flow.read();
  CHECK(first->text() == "x");
  co_await say(&on.raw, "(");
  co_await turns(5);  // decoded, and read by nobody
  start(scope, write_once(&on.flow, "held", &sent));
  co_await turns(5);
  CHECK(!sent.done);
  co_await say(&on.raw, ")");
  co_await turns(5);
  CHECK(sent.done);
  CHECK(sent.to.has_value());
}

TEST_CASE("a held write goes out although nobody reads", "[codec_holding]") { drive(unread_data_before_the_write()); }

// What a held write comes to when `input` comes, or the end of the input where that is empty.
task<> a_write_that_cannot_go_out(std::string input, std::error_code wanted, coflow::codec_options options = {}) {
  holding on(options);
  came<result<void>> sent;
  task_scope scope;
  co_await hold(&on, &scope, &sent);
  if (input.empty())
    co_await on.raw.shutdown(shutdown_mode::write);
  else
    co_await say(&on.raw, std::move(input));
  co_await turns(5);
  CHECK(sent.done);
  CHECK(!sent.to.has_value());
  if (!sent.to.has_value()) CHECK(sent.to.error() == wanted);
  const result<void> later = co_await on.flow.write(buffer("later"));
  CHECK(!later.has_value());
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there.empty());
}

TEST_CASE("a held write fails when the input that it waits for cannot come", "[codec_holding]") {
  const std::error_code truncated = coflow::error::truncated;
  drive(a_write_that_cannot_go_out("", truncated));
  drive(a_write_that_cannot_go_out("", truncated, coflow::codec_options().allow_truncation(true)));
  drive(a_write_that_cannot_go_out("!", std::make_error_code(std::errc::bad_message)));
}

task<> a_write_behind_the_end_of_input() {
  holding on;
  co_await say(&on.raw, "(");
  co_await on.raw.shutdown(shutdown_mode::write);
  const read_result got = co_await on.flow.read();
  CHECK(got->text() == "(");
  co_await turns(5);
  const result<void> sent = co_await on.flow.write(buffer("never"));
  CHECK(!sent.has_value());
  if (!sent) CHECK(sent.error() == coflow::error::truncated);
}

TEST_CASE("a write fails that would be held when no input can come any more", "[codec_holding]") {
  drive(a_write_behind_the_end_of_input());
}

task<> a_close_of_what_is_held() {
  holding on;
  came<result<void>> sent;
  bool closed = false;
  task_scope scope;
  co_await hold(&on, &scope, &sent);
  start(scope, close_once(&on.flow, &closed));
  co_await turns(5);
  CHECK(closed);
  CHECK(sent.done);
  CHECK(!sent.to.has_value());
  if (!sent.to.has_value()) CHECK(sent.to.error() == coflow::error::closed);
  const read_result end = co_await on.raw.read();  // and no goodbye: the peer knows that something is missing
  CHECK(end.eof());
}

TEST_CASE("a close ends a held write, and no goodbye covers it up", "[codec_holding]") {
  drive(a_close_of_what_is_held());
}

}  // namespace
