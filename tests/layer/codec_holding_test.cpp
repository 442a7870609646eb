// Codecs that hold back what they have sealed until more input has come (law W1: a write waits for its bytes).
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "support/codec_ends.hpp"

namespace {

using namespace codec_ends;

// Changes nothing. A '(' in the input begins a message, in the middle of which nothing can be sent; ')' ends it. It
// holds back what it was given by then, or says so beforehand, and is given nothing.
class holding_codec {
 public:
  explicit holding_codec(bool beforehand = false) noexcept : beforehand_(beforehand) {}
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
    if (!holds_back()) out.send(buffer("bye"));
  }
  [[nodiscard]] bool needs_input() const noexcept { return true; }
  [[nodiscard]] bool holds_back() const noexcept { return (beforehand_ && in_message_) || !held_.empty(); }

 private:
  bool beforehand_;
  bool in_message_ = false;
  std::string held_;
};

struct holding {
  explicit holding(coflow::codec_options options = {}, holding_codec codec = holding_codec())
      : holding(coflow::memory_pipe(), options, std::move(codec)) {}
  holding(std::pair<memory_flow, memory_flow> pipe, coflow::codec_options options, holding_codec codec)
      : flow(std::move(codec), std::move(pipe.first), options), raw(std::move(pipe.second)) {}
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

// ---- goodbyes in the middle of a message

enum class way { shut, closed };
task<> end_once(holding* on, way how, bool* done) {
  if (how == way::closed)
    co_await on->flow.close();
  else
    co_await on->flow.shutdown(shutdown_mode::write);
  *done = true;
}

// What the raw end got in the end, where `input` came behind the goodbye.
task<> a_goodbye(way how, std::string input, bool with_write, bool beforehand, std::string* there) {
  holding on({}, holding_codec(beforehand));
  co_await say(&on.raw, "(");
  const read_result got = co_await on.flow.read();
  CHECK(got->text() == "(");
  if (with_write) {
    came<result<void>> sent;
    task_scope writing(coflow::on_failure::isolate);
    start(writing, write_once(&on.flow, "held", &sent));
    co_await turns(5);
    CHECK(!sent.done);
    writing.cancel();
    const result<void> joined = co_await writing.join();
    CHECK(joined.has_value());
    CHECK(sent.to.has_value() != beforehand);  // law X2
  }
  bool done = false;
  task_scope scope;
  start(scope, end_once(&on, how, &done));
  co_await turns(5);
  CHECK(!done);
  const std::string early = co_await all_that_is_there(&on.raw);
  CHECK(early.empty());
  if (input.empty())
    co_await on.raw.shutdown(shutdown_mode::write);
  else
    co_await say(&on.raw, std::move(input));
  co_await turns(5);
  CHECK(done);
  *there = co_await all_that_is_there(&on.raw);
}
std::string goodbye_of(way how, std::string input, bool with_write, bool beforehand) {
  std::string there;
  drive(a_goodbye(how, std::move(input), with_write, beforehand, &there));
  return there;
}

TEST_CASE("a goodbye waits for what is held back, and loses nothing", "[codec_holding]") {
  for (const way how : {way::shut, way::closed}) {
    CHECK(goodbye_of(how, ")", true, false) == "heldbye");
    CHECK(goodbye_of(how, ")", true, true) == "bye");
    CHECK(goodbye_of(how, ")", false, true) == "bye");
    CHECK(goodbye_of(how, "more of it)", false, true) == "bye");
  }
}

TEST_CASE("a goodbye is not said when what it waits for cannot come", "[codec_holding]") {
  for (const way how : {way::shut, way::closed})
    for (const char* input : {"!", ""}) {
      CHECK(goodbye_of(how, input, true, false).empty());
      CHECK(goodbye_of(how, input, false, true).empty());
    }
}

task<> a_close_in_a_message_that_never_ends() {
  holding on(coflow::codec_options().close_limit(3s), holding_codec(true));
  co_await say(&on.raw, "(");
  const read_result got = co_await on.flow.read();
  CHECK(got->text() == "(");
  const auto began = coflow::executor::current()->now();
  co_await on.flow.close();
  CHECK(coflow::executor::current()->now() - began == 3s);
  const read_result end = co_await on.raw.read();
  CHECK(end.eof());
}

TEST_CASE("a close waits within its limit for the end of a message", "[codec_holding]") {
  drive(a_close_in_a_message_that_never_ends());
}

// ---- a codec that says nothing of the input it needs

// Holds back what it is given until something has come.
class freed_codec {
 public:
  freed_codec() noexcept {}
  void feed(buffer bytes, coflow::codec_output& out) {
    free_ = true;
    out.data(std::move(bytes));
    out.send(buffer(std::exchange(held_, std::string())));
  }
  std::error_code seal(std::span<buffer> plain, coflow::codec_output& out) {
    for (buffer& one : plain) {
      if (free_)
        out.send(std::move(one));
      else
        held_.append(one.text());
    }
    return {};
  }
  void farewell(coflow::codec_output&) {}
  [[nodiscard]] bool holds_back() const noexcept { return !held_.empty(); }

 private:
  bool free_ = false;
  std::string held_;
};

task<> a_write_that_asks_for_input() {
  auto pipe = coflow::memory_pipe();
  coflow::codec_flow<freed_codec, memory_flow> flow(freed_codec(), std::move(pipe.first));
  came<result<void>> sent;
  task_scope scope(coflow::on_failure::isolate);
  start(scope, write_once(&flow, "held", &sent));
  co_await turns(5);
  CHECK(!sent.done);
  co_await say(&pipe.second, "go");
  co_await turns(5);
  CHECK(sent.done);
  CHECK(sent.to.has_value());
  const std::string there = co_await all_that_is_there(&pipe.second);
  CHECK(there == "held");
  scope.cancel();
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}

TEST_CASE("a codec that holds back gets its input without asking for any", "[codec_holding]") {
  drive(a_write_that_asks_for_input());
}

}  // namespace
