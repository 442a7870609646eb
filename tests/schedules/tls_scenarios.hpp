#pragma once

// The micro scenarios of TLS's handshake. Whatever happens beside it, it ends, and so does its peer's.

#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coflow/tls/openssl.hpp>
#include <optional>
#include <string>
#include <utility>

#include "schedules/scenarios.hpp"
#include "schedules/tls.hpp"

namespace schedules {

// Pipes in memory that take a flight in several parts.
class under_tls {
 public:
  using flow = coflow::memory_flow;
  static std::pair<flow, flow> connect() { return coflow::memory_pipe(100); }
};

class tls_handshakes {
 public:
  using made = over_tls::made;

  explicit tls_handshakes(choices& order) : on(order) {}

  auto& client() { return on.act(over_tls::be_client(take(&on.a), &here)); }
  auto& server() { return on.act(over_tls::be_server(take(&on.b), &there)); }

  // `legal` is what an error may be; a handshake that has succeeded may not have.
  void expect(const std::optional<made>& came, outcomes legal, const std::string& of) {
    on.expect(came.has_value(), of + " does not end");
    if (!came.has_value() || came->has_value()) return;
    note failed;
    failed.came_to = model::classify(came->error().code());
    on.expect(failed, legal, of);
  }
  // The other side is gone: whoever has a flow all the same hears of it.
  void expect_cut(std::optional<made>& came, const std::string& of) {
    if (!came.has_value() || !came->has_value()) return;
    std::optional<over_tls::flow> flow(std::move(**came));
    note received;
    on.act(read_all(&flow, &received));
    on.play();  // an actor may have been destroyed
    on.expect(received, model::truncated | model::reset | model::closed, of);
    on.expect(received.bytes.empty(), "bytes that nobody has written");
  }

  static coflow::memory_flow take(std::optional<coflow::memory_flow>* from) {
    return *std::exchange(*from, std::nullopt);
  }

  stage<under_tls> on;
  std::optional<made> here;
  std::optional<made> there;
};

inline task<> read_and_close(std::optional<coflow::memory_flow>* flow, note* into) {
  co_await read_once(flow, into);
  co_await close(flow);
}

inline std::string tls_handshake_with_close(choices& order) {
  tls_handshakes play(order);
  note hello;
  play.client();
  play.on.act(read_and_close(&play.on.b, &hello));
  play.on.act(close(&play.on.b));
  play.on.play_to_the_end();
  play.expect(play.here, model::closed | model::truncated | model::reset, "a handshake with the peer's close");
  play.on.expect(!play.here.has_value() || !play.here->has_value(), "a handshake succeeds without a peer");
  return play.on.wrong();
}

inline std::string tls_handshake_with_cancel(choices& order) {
  tls_handshakes play(order);
  auto& victim = play.client();
  play.server();
  play.on.act(cancel(&victim));
  play.on.play_to_the_end();
  play.expect(play.here, model::canceled, "a handshake with a cancellation");
  play.expect(play.there, model::closed | model::truncated | model::reset, "a handshake with one that is cancelled");
  const bool client_made = play.here.has_value() && play.here->has_value();
  const bool server_made = play.there.has_value() && play.there->has_value();
  play.on.expect(!client_made || server_made, "one side's handshake succeeds, and it is not cut off");
  if (!client_made) play.expect_cut(play.there, "a read from one whose handshake was cancelled");
  return play.on.wrong();
}

inline std::string tls_handshake_with_its_coroutines_end(choices& order) {
  tls_handshakes play(order);
  auto& victim = play.server();
  play.client();
  play.on.act(kill(&victim));
  play.on.play();
  play.expect(play.here, model::closed | model::truncated | model::reset, "a handshake with one that is destroyed");
  const bool server_made = play.there.has_value() && play.there->has_value();
  if (!server_made) play.expect_cut(play.here, "a read from one whose handshake was destroyed");
  return play.on.wrong();
}

// Who is ready first talks and says farewell at once, while the other may not be ready yet: nothing of it is lost.
inline task<> talk_and_leave(task<> shaking, std::optional<over_tls::made>* into, std::optional<over_tls::flow>* flow,
                             note* received) {
  co_await std::move(shaking);
  if (!into->has_value() || !(*into)->has_value()) co_return;
  flow->emplace(std::move(***into));
  note sent;
  co_await write(flow, "x", &sent);
  co_await shut(flow, coflow::shutdown_mode::write);
  co_await read_all(flow, received);
}
inline std::string tls_handshake_with_farewell(choices& order) {
  tls_handshakes play(order);
  std::optional<over_tls::flow> flows[2];
  note at_client, at_server;
  play.on.act(
      talk_and_leave(over_tls::be_client(play.take(&play.on.a), &play.here), &play.here, &flows[0], &at_client));
  play.on.act(
      talk_and_leave(over_tls::be_server(play.take(&play.on.b), &play.there), &play.there, &flows[1], &at_server));
  play.on.play_to_the_end();
  play.on.expect(at_client, model::eof, "what a client reads behind its handshake");
  play.on.expect(at_server, model::eof, "what a server reads behind its handshake");
  play.on.expect(at_client.bytes == "x" && at_server.bytes == "x", "bytes behind a handshake are lost");
  return play.on.wrong();
}

}  // namespace schedules
