// A deadline of the flow below a codec ends the read that waits, and nothing else (law X0).
#include <coflow/layer/read_deadline.hpp>
#include <string>
#include <utility>

#include "support/codec_ends.hpp"

namespace {

using namespace codec_ends;
using timed = coflow::read_deadline<memory_flow>;

// Changes nothing, and must be fed to work.
class eager_codec {
 public:
  eager_codec() noexcept {}
  void feed(buffer bytes, coflow::codec_output& out) { out.data(std::move(bytes)); }
  std::error_code seal(std::span<buffer> plain, coflow::codec_output& out) {
    for (buffer& one : plain) out.send(std::move(one));
    return {};
  }
  void farewell(coflow::codec_output& out) { out.send(buffer("bye")); }
  [[nodiscard]] bool needs_input() const noexcept { return true; }
};

template <class Codec>
task<> deadlines_pass(std::string message, std::string wanted, std::string last) {
  auto pipe = coflow::memory_pipe();
  coflow::codec_flow<Codec, timed> flow(Codec(), timed(std::move(pipe.first)));
  memory_flow& raw = pipe.second;
  flow.next_layer().expires_after(1s);
  for (int i = 0; i < 3; ++i) {  // the first waits for it, the others come too late
    const read_result late = co_await flow.read();
    CHECK(late.failed());
    if (late.failed()) CHECK(late.error() == coflow::error::timed_out);
  }
  came<read_result> waiting[2];
  {
    flow.next_layer().expires_after(1s);
    task_scope scope;
    for (came<read_result>& one : waiting) start(scope, read_once(&flow, &one));
    const result<void> slept = co_await coflow::sleep_for(2s);
    CHECK(slept.has_value());
  }
  for (const came<read_result>& one : waiting) {
    CHECK(one.done);
    CHECK(one.to.failed());
    if (one.to.failed()) CHECK(one.to.error() == coflow::error::timed_out);
  }
  const result<void> sent = co_await flow.write(buffer("x"));
  CHECK(sent.has_value());
  flow.next_layer().never();
  co_await say(&raw, message);
  read_result got = co_await flow.read();
  CHECK(got.has_data());
  if (got) CHECK(got->text() == wanted);
  // One that passes when nobody waits is nobody's.
  flow.next_layer().limit_each(1s);
  {
    came<read_result> given_up;
    task_scope scope;
    start(scope, read_once(&flow, &given_up));
    co_await turns(3);
    scope.cancel();
    co_await turns(3);
  }
  const result<void> slept = co_await coflow::sleep_for(5s);
  CHECK(slept.has_value());
  flow.next_layer().never();
  co_await say(&raw, message);
  got = co_await flow.read();
  CHECK(got.has_data());
  if (got) CHECK(got->text() == wanted);
  co_await flow.close();
  const std::string there = co_await all_that_is_there(&raw);
  CHECK(there.ends_with(last));
}

TEST_CASE("a deadline below a codec ends what waits, and not the stream", "[codec_deadline]") {
  drive(deadlines_pass<coflow::length_prefix_codec>(frame("hello"), "hello", goodbye));
}
TEST_CASE("a deadline below ends no stream of a codec that reads ahead", "[codec_deadline]") {
  drive(deadlines_pass<eager_codec>("hello", "hello", "bye"));
}

task<> late_handshake() {
  auto pipe = coflow::memory_pipe();
  timed below(std::move(pipe.first));
  below.limit_each(1s);
  const auto failed = co_await coflow::codec_handshake(toy_codec(toy_role::client), std::move(below));
  CHECK(!failed.has_value());
  if (!failed) CHECK(failed.error() == coflow::error::timed_out);
}
TEST_CASE("a deadline below fails a handshake", "[codec_deadline]") { drive(late_handshake()); }

}  // namespace
