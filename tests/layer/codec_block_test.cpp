// The outer operations of a codec's flow: sealing is the point of no return (laws X2, X3).
#include <optional>
#include <string>
#include <utility>

#include "support/codec_ends.hpp"

namespace {

using namespace codec_ends;

// ---- X2

task<> a_sealed_write_is_a_success(bool destroyed) {
  ends on(16);
  came<result<void>> sent;
  {
    task_scope leaving;
    start(leaving, write_once(&on.flow, "sealed whole, not yet accepted below", &sent));
    co_await turns(2);
    CHECK(!sent.done);
    if (!destroyed) {
      leaving.cancel();
      co_await turns(2);
      CHECK(sent.done);
      CHECK(sent.to.has_value());
    }
  }
  came<result<void>> next;
  task_scope scope;
  start(scope, write_once(&on.flow, "next", &next));
  co_await turns(2);
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there == frame("sealed whole, not yet accepted below") + frame("next"));
  CHECK(next.to.has_value());
}

TEST_CASE("a write that is cancelled when it is sealed whole is a success and goes out", "[codec_block]") {
  drive(a_sealed_write_is_a_success(false));
}

TEST_CASE("a write whose coroutine dies when it is sealed whole goes out all the same", "[codec_block]") {
  drive(a_sealed_write_is_a_success(true));
}

task<> a_torn_write_gets_no_goodbye() {
  ends on(1024);
  came<result<void>> sent;
  {
    task_scope leaving;
    start(leaving, write_once(&on.flow, std::string(200'000, 't'), &sent));
    co_await turns(3);
    leaving.cancel();
    co_await turns(2);
    CHECK(sent.to.error() == coflow::canceled());
  }
  const result<void> next = co_await on.flow.write(buffer("x"));
  CHECK(next.error() == coflow::error::torn_write);
  co_await on.flow.shutdown(shutdown_mode::write);
  co_await on.flow.close();
  const std::string there = co_await all_that_is_there(&on.raw);
  CHECK(there.size() < 64 * 1024 + 4);
  CHECK(there.find(goodbye, 4) == std::string::npos);
}

TEST_CASE("a write that was cut off in the middle gets no goodbye", "[codec_block]") {
  drive(a_torn_write_gets_no_goodbye());
}

}  // namespace
