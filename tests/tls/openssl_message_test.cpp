// Messages that come behind the handshake in several records: in the middle of one OpenSSL writes nothing at all.
#include <coflow/tls/openssl.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "support/codec_sink.hpp"
#include "support/openssl_ends.hpp"
#include "support/tls_forger.hpp"

namespace {

using namespace openssl_ends;
using support::codec_sink;

const std::string whole = tls_forger::ticket(1000);
const std::string_view first_half = std::string_view(whole).substr(0, 500);
const std::string_view second_half = std::string_view(whole).substr(500);

// ---- the engine alone

struct engines {
  openssl_context of_client = client();
  openssl_engine near = of_client.client_engine("localhost").value();
  codec_sink out;
  tls_forger peer;

  engines() {
    near.start(out);
    while (!peer.established()) {
      peer.hear(out.take_sent());
      const std::string answer = peer.take_sent();
      if (!peer.established()) near.feed(buffer(answer), out);
    }
  }
  void tell(std::string_view part) { near.feed(buffer(peer.handshake_record(part)), out); }
  // How many bytes are sent for one of text.
  std::size_t say_x() {
    buffer plain[] = {buffer("x")};
    CHECK(!near.seal(plain, out));
    const std::string sent = out.take_sent();
    peer.hear(sent);
    return sent.size();
  }
};

TEST_CASE("an engine has its goodbye wait for the rest of the peer's message", "[openssl_message]") {
  engines on;
  CHECK(!on.near.holds_back());
  on.tell(first_half);
  CHECK(on.near.holds_back());
  on.tell(second_half);
  CHECK(!on.near.holds_back());
  on.near.farewell(on.out);
  on.peer.hear(on.out.take_sent());
  CHECK(on.peer.ended());
  CHECK(!on.peer.failure());
}

TEST_CASE("a key update that is asked for in the middle of the peer's message comes behind it", "[openssl_message]") {
  engines on;
  const std::size_t usual = on.say_x();
  for (const bool in_the_middle : {false, true}) {
    if (in_the_middle) on.tell(first_half);
    on.near.request_key_update();
    if (in_the_middle) on.tell(second_half);
    CHECK(on.say_x() > usual);  // the update, too
    CHECK(on.say_x() == usual);
  }
  CHECK(!on.peer.failure());
  CHECK(on.peer.take_text() == "xxxxx");
}

// ---- the flow

// The first half of the message has come to the client, and the server hears what the client says.
task<> half_told(forged_stage* on, task_scope* scope) {
  co_await shake(on);
  start(*scope, hear_below(on));
  co_await send_below(on, on->peer.handshake_record(first_half));
  co_await turns(3);
}
task<> end_it(flow* on, bool by_close, bool* done) {
  if (by_close)
    co_await on->close();
  else
    co_await on->shutdown(shutdown_mode::write);
  *done = true;
}
task<> write_it(flow* on, std::string text, bool* done, std::error_code* failed) {
  const std::error_code came = co_await say(on, std::move(text));
  *failed = came;
  *done = true;
}

task<> goodbye_in_the_middle(bool by_close) {
  forged_stage on;
  task_scope scope(coflow::on_failure::isolate);
  co_await half_told(&on, &scope);
  bool done = false;
  start(scope, end_it(&*on.near.flow, by_close, &done));
  co_await turns(3);
  CHECK(!done);
  CHECK(!on.over);
  co_await send_below(&on, on.peer.handshake_record(second_half));
  co_await turns(5);
  CHECK(done);
  CHECK(on.peer.ended());
  CHECK(!on.peer.failure());
  CHECK(on.over);
  scope.cancel();
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}
TEST_CASE("a goodbye in the middle of the peer's message is said behind it", "[openssl_message]") {
  drive(goodbye_in_the_middle(false));
  drive(goodbye_in_the_middle(true));
}

task<> no_rest() {
  forged_stage on;
  task_scope scope(coflow::on_failure::isolate);
  co_await half_told(&on, &scope);
  const auto began = coflow::executor::current()->now();
  co_await on.near.flow->close();
  CHECK(coflow::executor::current()->now() - began == 1s);
  co_await turns(3);
  CHECK(on.over);
  CHECK(!on.peer.ended());
}
TEST_CASE("a close does not wait beyond its limit for the rest of a message", "[openssl_message]") { drive(no_rest()); }

task<> cancelled_in_the_middle() {
  forged_stage on;
  task_scope scope(coflow::on_failure::isolate);
  co_await half_told(&on, &scope);
  bool done = false;
  std::error_code failed;
  task_scope writing(coflow::on_failure::isolate);
  start(writing, write_it(&*on.near.flow, "never sent", &done, &failed));
  co_await turns(3);
  CHECK(!done);
  writing.cancel();
  const result<void> given_up = co_await writing.join();
  CHECK(given_up.has_value());
  CHECK(failed == std::errc::operation_canceled);
  bool ended = false;
  start(scope, end_it(&*on.near.flow, false, &ended));
  co_await turns(3);
  co_await send_below(&on, on.peer.handshake_record(second_half));
  co_await turns(5);
  CHECK(ended);
  CHECK(on.peer.take_text().empty());
  CHECK(on.peer.ended());
  scope.cancel();
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}
TEST_CASE("a write that is cancelled in the middle of the peer's message sends nothing", "[openssl_message]") {
  drive(cancelled_in_the_middle());
}

task<> written_in_the_middle() {
  forged_stage on;
  task_scope scope(coflow::on_failure::isolate);
  co_await half_told(&on, &scope);
  bool done = false;
  bool ended = false;
  std::error_code failed;
  start(scope, write_it(&*on.near.flow, "all of it", &done, &failed));
  start(scope, end_it(&*on.near.flow, false, &ended));
  co_await turns(3);
  CHECK(!done);
  co_await send_below(&on, on.peer.handshake_record(second_half));
  co_await turns(5);
  CHECK(done);
  CHECK(ended);
  CHECK(!failed);
  CHECK(on.peer.take_text() == "all of it");
  CHECK(on.peer.ended());
  scope.cancel();
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}
TEST_CASE("what is written in the middle of the peer's message goes out before the goodbye", "[openssl_message]") {
  drive(written_in_the_middle());
}

}  // namespace
