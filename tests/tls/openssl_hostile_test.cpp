// TLS with OpenSSL against a network that means harm: cuts after every byte, flips of every byte, garbage, silence.
#include <coflow/tls/openssl.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "support/codec_sink.hpp"
#include "support/openssl_ends.hpp"

namespace {

using namespace openssl_ends;

const std::string there = "what the client says, twice";
const std::string back = "what the server says, once";

// What a session comes to where one direction's bytes are changed or cut on their way.
struct outcome {
  bool made = false;  // both handshakes were done
  heard at_client;
  heard at_server;
  std::error_code client_failed;
  std::error_code server_failed;
  std::size_t to_client = 0;  // bytes that came
  std::size_t to_server = 0;
  bool struck = false;  // sessions differ in length by a few bytes, so that not every place is in each
};

enum class harm { flip, cut };

// Hands on what comes, up to a byte that it changes, or behind which it ends the stream.
class meddler {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  meddler(memory_flow inner, harm what, std::size_t at, std::size_t* passed, bool* struck) noexcept
      : inner_(std::move(inner)), what_(what), at_(at), passed_(passed), struck_(struck) {}

  task<read_result> read() {
    if (what_ == harm::cut && *passed_ > at_) co_return coflow::end_of_stream;
    read_result got = co_await inner_.read();
    if (!got) co_return std::move(got);
    const std::size_t before = *passed_;
    *passed_ += got->size();
    if (at_ < before || at_ >= *passed_) co_return std::move(got);
    *struck_ = true;
    std::string text(got->text());
    if (what_ == harm::flip)
      text[at_ - before] = static_cast<char>(text[at_ - before] ^ (1 << at_ % 8));
    else
      text.resize(at_ - before);
    if (text.empty()) co_return coflow::end_of_stream;
    co_return buffer(text);
  }
  auto write(buffer bytes) { return inner_.write(std::move(bytes)); }
  auto writev(std::span<buffer> list) { return inner_.writev(list); }
  auto shutdown(shutdown_mode mode) { return inner_.shutdown(mode); }
  auto close() { return inner_.close(); }

 private:
  memory_flow inner_;
  harm what_;
  std::size_t at_;
  std::size_t* passed_;
  bool* struck_;
};

template <class F>
task<> client_talks(F* flow, outcome* out) {
  const std::error_code sent = co_await say(flow, there);
  out->client_failed = sent;
  co_await flow->shutdown(shutdown_mode::write);
  co_await listen(flow, &out->at_client);
}
template <class F>
task<> server_answers(F* flow, outcome* out) {
  co_await listen(flow, &out->at_server);
  const std::error_code sent = co_await say(flow, back);
  out->server_failed = sent;
  co_await flow->close();
}
template <class Inner>
task<> session(std::pair<Inner, Inner> below, const openssl_context* of_client, const openssl_context* of_server,
               outcome* out) {
  both<openssl_context, Inner> sides;
  co_await connect(std::move(below), of_client, of_server, &sides);
  out->client_failed = sides.client.failed.code();
  out->server_failed = sides.server.failed.code();
  out->made = sides.client.flow && sides.server.flow;
  task_scope scope(coflow::on_failure::isolate);
  if (sides.client.flow) start(scope, client_talks(&*sides.client.flow, out));
  if (sides.server.flow) start(scope, server_answers(&*sides.server.flow, out));
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}

struct stage {
  tls_version version;
  openssl_context of_client = client();
  openssl_context of_server = server(openssl_options().maximum_version(version));

  // Byte number `at` of what comes to one side is changed, or the first that does not come.
  outcome play(harm what, std::size_t to_client, std::size_t to_server) const {
    outcome out;
    auto pipe = coflow::memory_pipe();
    drive(session(std::pair(meddler(std::move(pipe.first), what, to_client, &out.to_client, &out.struck),
                            meddler(std::move(pipe.second), what, to_server, &out.to_server, &out.struck)),
                  &of_client, &of_server, &out));
    return out;
  }
};

// Nobody has heard what was not said, nor a clean end too early.
void check_heard(const heard& what, const std::string& whole) {
  CHECK(whole.starts_with(what.text));
  if (what.eof) CHECK(what.text == whole);
}

TEST_CASE("a session that nobody meddles with goes well", "[openssl_hostile]") {
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    const outcome out = stage{version}.play(harm::flip, SIZE_MAX, SIZE_MAX);
    CHECK(out.made);
    CHECK((out.at_client.eof && out.at_client.text == back));
    CHECK((out.at_server.eof && out.at_server.text == there));
  }
}

// Calls `check(outcome, at, of_server)` for every byte of either side's stream that was struck.
template <class Check>
std::size_t strike_each(const stage& on, harm what, Check check) {
  const outcome whole = on.play(what, SIZE_MAX, SIZE_MAX);
  std::size_t struck = 0;
  for (const bool of_server : {false, true}) {
    const std::size_t size = (of_server ? whole.to_client : whole.to_server) + 8;
    for (std::size_t at = 0; at < size; ++at) {
      const outcome out = of_server ? on.play(what, at, SIZE_MAX) : on.play(what, SIZE_MAX, at);
      INFO("byte " << at << (of_server ? " of the server" : " of the client"));
      check_heard(out.at_client, back);
      check_heard(out.at_server, there);
      if (!out.struck) {
        CHECK((out.at_client.eof && out.at_server.eof));
        continue;
      }
      ++struck;
      check(out, at, of_server);
    }
  }
  return struck;
}

TEST_CASE("a byte that is changed on its way is an error, wherever it is", "[openssl_hostile]") {
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    const auto check = [](const outcome& out, std::size_t at, bool) {
      const bool noticed = out.client_failed || out.server_failed || out.at_client.failed || out.at_server.failed;
      // The version in the header of a side's first record counts for nothing (RFC 8446, 5.1).
      if (!noticed) CHECK((at < 3 && out.at_client.eof && out.at_server.eof));
      if (at >= 3) CHECK(!(out.at_client.eof && out.at_server.eof));
    };
    CHECK(strike_each(stage{version}, harm::flip, check) > 1000);
  }
}

TEST_CASE("a session that is cut before any byte is truncated, never at its end", "[openssl_hostile]") {
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3}) {
    const auto check = [](const outcome& out, std::size_t, bool of_server) {
      const heard& at_end = of_server ? out.at_client : out.at_server;
      const std::error_code failed = of_server ? out.client_failed : out.server_failed;
      CHECK(!at_end.eof);
      CHECK((failed == coflow::error::truncated || at_end.failed == coflow::error::truncated));
    };
    CHECK(strike_each(stage{version}, harm::cut, check) > 1000);
  }
}

// ---- no handshake at all

task<> garbage(std::string text, bool to_server, tls_error* failed) {
  auto pipe = coflow::memory_pipe();
  const openssl_context of_client = client();
  const openssl_context of_server = server();
  task_scope scope;
  made<flow> maker;
  if (to_server)
    start(scope, keep(coflow::tls_server(of_server, std::move(pipe.first)), &maker));
  else
    start(scope, keep(coflow::tls_client(of_client, std::move(pipe.first), "localhost"), &maker));
  const result<void> sent = co_await pipe.second.write(buffer(text));
  CHECK(sent.has_value());
  co_await pipe.second.shutdown(shutdown_mode::write);
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  CHECK(!maker.flow);
  *failed = maker.failed;
  heard all;
  co_await listen(&pipe.second, &all);
  CHECK(all.eof);  // the inner flow is closed
}

TEST_CASE("what is no TLS is called so", "[openssl_hostile]") {
  tls_error failed;
  drive(garbage("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", true, &failed));
  CHECK(failed == tls_condition::not_tls);
  CHECK(failed.message() == "the peer does not speak TLS here: http request");
  drive(garbage("HTTP/1.1 400 Bad Request\r\n\r\n", false, &failed));
  CHECK(failed == tls_condition::not_tls);
  CHECK(failed.message() == "the peer does not speak TLS here: wrong version number (host localhost)");
  drive(garbage("SSH-2.0-OpenSSH_9.2\r\n", false, &failed));
  CHECK(failed == tls_condition::not_tls);
}

TEST_CASE("a close_notify in the middle of a handshake is an end that comes too early", "[openssl_hostile]") {
  const std::string close_notify("\x15\x03\x03\x00\x02\x01\x00", 7);
  const std::string user_canceled("\x15\x03\x03\x00\x02\x01\x5a", 7);
  for (const tls_version version : {tls_version::v1_2, tls_version::v1_3})
    for (const std::string& said : {close_notify, user_canceled + close_notify}) {
      tls_error failed;
      drive(garbage(said, false, &failed));
      CHECK(failed == coflow::error::truncated);
      openssl_engine asking = client(openssl_options().maximum_version(version)).client_engine("localhost").value();
      support::codec_sink flight;
      asking.start(flight);
      drive(garbage(flight.take_sent() + said, true, &failed));
      CHECK(failed == coflow::error::truncated);
    }
}

// The peer is gone once it has answered the first flight: what is written then meets a reset.
class answered_once {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit answered_once(memory_flow inner) noexcept : inner_(std::move(inner)) {}

  auto read() { return inner_.read(); }
  task<result<void>> write(buffer bytes) {
    buffer list[] = {std::move(bytes)};
    result<void> sent = co_await writev(list);
    co_return std::move(sent);
  }
  task<result<void>> writev(std::span<buffer> list) {
    if (std::exchange(written_, true)) co_return std::make_error_code(std::errc::connection_reset);
    result<void> sent = co_await inner_.writev(list);
    co_return std::move(sent);
  }
  auto shutdown(shutdown_mode mode) { return inner_.shutdown(mode); }
  auto close() { return inner_.close(); }

 private:
  memory_flow inner_;
  bool written_ = false;
};
task<> a_lost_alert(made<coflow::tls_flow<answered_once, openssl_engine>>* out) {
  auto below = coflow::memory_pipe();
  const authority stranger("nobody's authority");
  const openssl_context of_client = other_client(openssl_options().trust(stranger.pem()));
  const openssl_context of_server = server();
  task_scope scope;
  made<flow> other;
  answered_once over(std::move(below.first));
  start(scope, keep(coflow::tls_client(of_client, std::move(over), "localhost"), out));
  start(scope, keep(coflow::tls_server(of_server, std::move(below.second)), &other));
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  CHECK(other.failed == coflow::error::truncated);
}

TEST_CASE("a refusal whose alert cannot be sent is still what the handshake says", "[openssl_hostile]") {
  made<coflow::tls_flow<answered_once, openssl_engine>> came;
  drive(a_lost_alert(&came));
  CHECK(!came.flow);
  CHECK(came.failed == tls_condition::certificate_untrusted);
}

TEST_CASE("garbage of any kind is an error", "[openssl_hostile]") {
  for (unsigned seed = 0; seed < 200; ++seed) {
    tls_error failed;
    std::string text = many_bytes(1 + seed * 7, seed);
    if (seed % 2 == 0) text.insert(0, "\x16\x03\x01\x02\x00", 5);
    if (seed % 4 == 0) text.insert(5, "\x01\x00\x01\xfc\x03\x03", 6);
    drive(garbage(text, seed % 3 != 0, &failed));
    INFO(seed << ": " << failed.message());
    CHECK((failed == tls_condition::protocol_violation || failed == coflow::error::truncated ||
           failed == tls_condition::refused_by_peer || failed == tls_condition::no_common_version ||
           failed == tls_condition::no_common_cipher));
  }
}

task<> never_finished(bool with_start) {
  auto pipe = coflow::memory_pipe();
  const openssl_context of_server = server();
  if (with_start) {
    openssl_engine raw = client().client_engine("localhost").value();
    support::codec_sink out;
    raw.start(out);
    const result<void> sent = co_await pipe.second.write(buffer(out.take_sent().substr(0, 100)));
    CHECK(sent.has_value());
  }
  const auto began = coflow::executor::current()->now();
  const auto failed =
      co_await coflow::tls_server(of_server, std::move(pipe.first), tls_options().handshake_timeout(5s));
  REQUIRE(!failed);
  CHECK(failed.error() == coflow::error::timed_out);
  CHECK(coflow::executor::current()->now() - began == 5s);
}
TEST_CASE("a handshake that is never finished ends at its deadline", "[openssl_hostile]") {
  drive(never_finished(false));
  drive(never_finished(true));
}

TEST_CASE("what comes behind the peer's close_notify is ignored", "[openssl_hostile]") {
  const openssl_context of_client = client();
  const openssl_context of_server = server();
  openssl_engine from = of_client.client_engine("localhost").value();
  openssl_engine to = of_server.server_engine().value();
  support::codec_sink of_from;
  support::codec_sink of_to;
  from.start(of_from);
  for (int i = 0; i < 4; ++i) {
    to.feed(buffer(of_from.take_sent()), of_to);
    from.feed(buffer(of_to.take_sent()), of_from);
  }
  REQUIRE(to.established());
  from.farewell(of_from);
  to.feed(buffer(of_from.take_sent() + "and garbage behind it"), of_to);
  CHECK(of_to.ended());
  CHECK(!of_to.failure());
  CHECK(of_to.take_data().empty());
}

}  // namespace
