// The goodbye of a codec's flow: a codec is asked for it once, and nothing follows it (laws L2 to L4).
#include <coflow/testing/layer_run.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "support/codec_ends.hpp"

namespace {

using namespace codec_ends;

// ---- what is asked of the codec, and of the flow below

// A codec that changes nothing and says no goodbye, but counts how often it was to.
class plain_codec {
 public:
  plain_codec() noexcept {}
  void feed(buffer bytes, coflow::codec_output& out) { out.data(std::move(bytes)); }
  std::error_code seal(std::span<buffer> plain, coflow::codec_output& out) {
    for (buffer& one : plain) out.send(std::move(one));
    return {};
  }
  void farewell(coflow::codec_output&) { ++farewells_; }
  [[nodiscard]] int farewells() const noexcept { return farewells_; }

 private:
  int farewells_ = 0;
};
using plainly = coflow::codec_flow<plain_codec, coflow::probe_flow>;

task<> a_close_without_words() {
  auto pipe = coflow::memory_pipe();
  auto record = std::make_shared<coflow::probe_record>();
  plainly flow(plain_codec(), coflow::probe_flow(std::move(pipe.first), coflow::fault_plan(), record));
  const result<void> sent = co_await flow.write(buffer("x"));
  CHECK(sent.has_value());
  const auto began = coflow::executor::current()->now();
  co_await flow.close();
  CHECK(coflow::executor::current()->now() == began);
  CHECK(flow.codec().farewells() == 1);
  CHECK(record->closes == 1);
  CHECK(record->shutdowns_of_write == 0);
  CHECK(record->shutdowns_of_read == 0);
}

TEST_CASE("a close asks of the flow below nothing but to be closed", "[codec_goodbye]") {
  drive(a_close_without_words());
}

task<> a_shutdown_without_words() {
  auto pipe = coflow::memory_pipe();
  auto record = std::make_shared<coflow::probe_record>();
  plainly flow(plain_codec(), coflow::probe_flow(std::move(pipe.first), coflow::fault_plan(), record));
  for (int i = 0; i < 2; ++i) co_await flow.shutdown(shutdown_mode::write);
  const read_result end = co_await pipe.second.read();
  CHECK(end.eof());
  CHECK(record->shutdowns_of_write == 1);
  CHECK(record->shutdowns_of_read == 0);
  co_await flow.close();
  CHECK(flow.codec().farewells() == 1);
  CHECK(record->shutdowns_of_write == 1);
  CHECK(record->closes == 1);
}

TEST_CASE("a codec is asked for its goodbye once, and the inner half is shut once", "[codec_goodbye]") {
  drive(a_shutdown_without_words());
}

// Says a goodbye, and counts how often it is asked to.
class counting_codec : public coflow::length_prefix_codec {
 public:
  counting_codec() noexcept {}
  void farewell(coflow::codec_output& out) {
    ++farewells_;
    coflow::length_prefix_codec::farewell(out);
  }
  [[nodiscard]] int farewells() const noexcept { return farewells_; }

 private:
  int farewells_ = 0;
};

task<> many_ask_for_a_goodbye() {
  auto pipe = coflow::memory_pipe(2);
  coflow::codec_flow<counting_codec, memory_flow> flow(counting_codec(), std::move(pipe.first));
  bool done[4] = {};
  task_scope scope;
  for (bool& one : done) {
    if (&one == &done[3])
      start(scope, close_once(&flow, &one));
    else
      start(scope, shutdown_once(&flow, shutdown_mode::write, &one));
    co_await turns(2);
  }
  CHECK(!done[3]);
  const std::string there = co_await all_that_is_there(&pipe.second);
  CHECK(there == goodbye);
  for (const bool one : done) CHECK(one);
  CHECK(flow.codec().farewells() == 1);
}

TEST_CASE("a codec is asked for its goodbye once, however many end the flow", "[codec_goodbye]") {
  drive(many_ask_for_a_goodbye());
}

// ---- what comes when the goodbye is out

task<> open_server(memory_flow inner, std::optional<secure>* out) {
  auto made = co_await coflow::codec_handshake(toy_codec(toy_role::server), std::move(inner));
  if (made) out->emplace(std::move(*made));
}

task<> nothing_follows_the_goodbye() {
  auto pipe = coflow::memory_pipe();
  toy_codec peer(toy_role::client);
  std::optional<secure> server;
  task_scope scope;
  start(scope, open_server(std::move(pipe.second), &server));
  co_await say(&pipe.first, std::string(peer.forge('H', "clientNC").text()));
  co_await say(&pipe.first, std::string(peer.forge('F', {}).text()));
  co_await turns(5);
  const bool open = server.has_value();
  CHECK(open);
  if (!open) co_return;
  std::string there = co_await all_that_is_there(&pipe.first);
  // A ping is answered, though nobody reads: the codec needs input to work.
  co_await say(&pipe.first, std::string(peer.forge('P', "one").text()));
  there = co_await all_that_is_there(&pipe.first);
  CHECK(there.size() == 10);
  co_await server->shutdown(shutdown_mode::write);
  there = co_await all_that_is_there(&pipe.first);
  CHECK(there.size() == 7);
  co_await say(&pipe.first, std::string(peer.forge('P', "two").text()));
  co_await say(&pipe.first, std::string(peer.forge('D', "data").text()));
  const read_result got = co_await server->read();
  CHECK(got->text() == "data");
  there = co_await all_that_is_there(&pipe.first);
  CHECK(there.empty());
}

TEST_CASE("a codec that answers on its own has nothing to say after its goodbye", "[codec_goodbye]") {
  drive(nothing_follows_the_goodbye());
}

// ---- L4: what comes while the goodbye waits to go out

task<> a_goodbye_that_waits() {
  auto pipe = coflow::memory_pipe(12);
  toy_codec peer(toy_role::client);
  std::optional<secure> server;
  task_scope scope;
  start(scope, open_server(std::move(pipe.second), &server));
  co_await say(&pipe.first, std::string(peer.forge('H', "clientNC").text()));
  std::string there = co_await all_that_is_there(&pipe.first);
  co_await say(&pipe.first, std::string(peer.forge('F', {}).text()));
  co_await turns(5);
  const bool open = server.has_value();
  CHECK(open);
  if (!open) co_return;
  co_await say(&pipe.first, std::string(peer.forge('P', "one").text()));
  co_await turns(3);
  bool shut = false;
  start(scope, shutdown_once(&*server, shutdown_mode::write, &shut));
  co_await turns(3);
  CHECK(!shut);
  co_await say(&pipe.first, std::string(peer.forge('P', "two").text()));
  co_await turns(3);
  there = co_await all_that_is_there(&pipe.first);
  CHECK(there.size() == 10 + 7);
  CHECK(shut);
}

TEST_CASE("nothing is said after a goodbye that waits to go out", "[codec_goodbye]") { drive(a_goodbye_that_waits()); }

}  // namespace
