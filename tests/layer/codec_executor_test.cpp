// The end of a codec's flow where no executor is, and outside of the executor's turn.
#include <coflow/testing/checked_flow.hpp>
#include <optional>
#include <string>

#include "support/codec_ends.hpp"

namespace {

using namespace codec_ends;
using coflow::laws::foreign;

// ---- what is asked for where no executor is

foreign shut_alone(framed* flow, bool* done) {
  co_await flow->shutdown(shutdown_mode::write);
  *done = true;
}
foreign close_alone(framed* flow, bool* done) {
  co_await flow->close();
  *done = true;
}

task<> read_beside(framed* flow, memory_flow* raw, std::string* there) {
  came<read_result> got;
  task_scope scope;
  start(scope, read_once(flow, &got));
  co_await turns(3);
  *there = co_await all_that_is_there(raw);
}

TEST_CASE("a goodbye that had no executor goes out when there is one", "[codec_executor]") {
  ends on;
  bool done = false;
  const foreign shut = shut_alone(&on.flow, &done);
  CHECK(done);
  std::string there;
  drive(read_beside(&on.flow, &on.raw, &there));
  CHECK(there == goodbye);
}

TEST_CASE("a close without an executor closes the inner flow without a goodbye", "[codec_executor]") {
  ends on;
  bool done = false;
  const foreign close = close_alone(&on.flow, &done);
  CHECK(done);
  CHECK(drive(all_that_is_there(&on.raw)).empty());
  bool done_again = false;
  const foreign close_again = close_alone(&on.flow, &done_again);
  CHECK(done_again);
}

// ---- what is asked for outside of the executor's turn

foreign shut_both_alone(framed* flow, bool* done) {
  co_await flow->shutdown(shutdown_mode::read_write);
  *done = true;
}

task<> say_and_take(framed* flow, memory_flow* raw) {
  const result<void> sent = co_await flow->write(buffer("x"));
  CHECK(sent.has_value());
  const std::string there = co_await all_that_is_there(raw);
  CHECK(there == frame("x"));
}

TEST_CASE("what is asked for outside of the executor's turn is done in it", "[codec_executor]") {
  ends on;
  coflow::virtual_executor home;
  coflow::run(home, say_and_take(&on.flow, &on.raw));
  bool done = false;
  const foreign shut = shut_both_alone(&on.flow, &done);
  CHECK(coflow::run(home, all_that_is_there(&on.raw)) == goodbye);
  CHECK(done);
}

TEST_CASE("what is asked for outside of the executor's turn goes with the executor", "[codec_executor]") {
  ends on;
  bool shut = false;
  std::optional<foreign> shutting;
  {
    coflow::virtual_executor home;
    coflow::run(home, say_and_take(&on.flow, &on.raw));
    shutting.emplace(shut_both_alone(&on.flow, &shut));
  }
  CHECK(shut);
  bool closed = false;
  const foreign close = close_alone(&on.flow, &closed);
  CHECK(closed);
  CHECK(drive(all_that_is_there(&on.raw)).empty());
}

}  // namespace
