#pragma once

// An engine of OpenSSL alone, which is fed what an input makes of a genuine peer's stream: changed, put together anew,
// or made up, and cut anywhere, before and after the handshake. Whatever it is: no data before the handshake is done,
// none that the peer did not seal, no end that it did not make, answers in proportion, and silence after a failure.

#include <coflow/tls/openssl.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "fuzz/engine_stage.hpp"
#include "fuzz/input.hpp"
#include "fuzz/records.hpp"
#include "support/codec_sink.hpp"

namespace fuzz {

/// An engine, and what is known of its half of the conversation.
struct engine_end {
  explicit engine_end(openssl_engine fresh) : engine(std::move(fresh)) { engine.start(sink); }

  openssl_engine engine;
  support::codec_sink sink;
  std::string said;   // sealed
  std::string heard;  // decoded
  bool said_goodbye = false;

  [[nodiscard]] bool may_seal() const { return engine.established() && !said_goodbye && !sink.failure(); }
  void seal(std::size_t size) {
    if (!may_seal()) return;
    const std::string text = text_of(static_cast<unsigned>(said.size()), size);
    coflow::buffer plain[] = {coflow::buffer(std::string_view(text).substr(0, size / 3)),
                              coflow::buffer(std::string_view(text).substr(size / 3))};
    if (engine.seal(plain, sink)) breach("an engine that has not failed seals nothing");
    said += text;
  }
  void say_goodbye() {
    if (!may_seal()) return;
    said_goodbye = true;
    engine.farewell(sink);
  }
};

class engine_run {
 public:
  explicit engine_run(choices from) : from_(from), how_(from_.next()), subject_(make(is_client())) {
    if ((how_ & 0x20U) == 0) peer_.emplace(make(!is_client()));
  }

  void operator()() {
    if (is_established()) exchange();
    for (int i = 0; i < 48 && !from_.empty(); ++i) step();
    if (is_established()) exchange();
    judge_end();
  }

 private:
  [[nodiscard]] bool is_client() const noexcept { return (how_ & 1U) != 0; }
  // A handshake costs more than all the rest: most inputs do without, or with a part of one.
  [[nodiscard]] bool is_established() const noexcept { return (how_ & 0x18U) == 0x18U; }
  [[nodiscard]] openssl_engine make(bool client) const {
    const engine_stage& on = engine_stage::the();
    const bool old = (how_ & 2U) != 0;
    return client ? on.client(old, (how_ & 0xC4U) != 0xC4U) : on.server(old);
  }

  void step() {
    const unsigned what = from_.next();
    const unsigned amount = what >> 4U;
    switch (what % 16) {
      case 0:
        if (amount == 15) return exchange();
        if (amount % 2 == 0) feed_peer();
        return feed_all(SIZE_MAX);
      case 1:
        if (amount % 4 == 0) return feed_all(1 + from_.next());
        hear_peer();
        return feed(to_subject_.take_front(amount % 4 == 1 ? from_.next() : amount * 200));
      case 2:
        return hear_peer();
      case 3:
        if (amount < 8) return subject_.seal(amount * 40);
        if (amount < 12) return subject_.engine.request_key_update();
        return subject_.say_goodbye();
      case 4:
      case 5:
        if (peer_) peer_->seal(amount * amount * 4);
        return hear_peer();
      case 6:
        if (peer_ && amount < 10) peer_->engine.request_key_update();
        if (peer_ && amount < 14 && !is_client()) return;
        if (peer_ && amount >= 14) peer_->say_goodbye();
        return hear_peer();
      case 7:
        return give_ticket();
      case 8: {  // as it is
        const std::string raw = from_.take(1 + amount * 2);
        tampered_ = true;
        return feed(raw);
      }
      case 9: {
        tampered_ = true;
        const unsigned length = from_.next();
        return to_subject_.insert(amount, record_of(from_.next(), length, from_.take(length % 40)));
      }
      case 10:
      case 11:
      case 12: {
        const unsigned at = from_.next_two();
        tampered_ |= to_subject_.change(at, static_cast<char>(from_.next()));
        return;
      }
      case 13:
        tampered_ |= to_subject_.remove(amount);
        return;
      case 14:
        tampered_ |= to_subject_.repeat(amount);
        return;
      default:
        tampered_ |= amount % 2 == 0 ? to_subject_.swap(amount / 2) : to_subject_.cut(from_.next_two());
    }
  }

  // ---- the wire

  void hear_peer() {
    if (peer_) to_subject_.add(peer_->sink.take_sent());
  }
  void feed_all(std::size_t piece) {
    hear_peer();
    const std::string all = to_subject_.take();
    for (std::string_view rest = all; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size())))
      feed(rest.substr(0, piece));
  }
  void feed(std::string_view some) {
    if (some.empty() || (subject_.sink.ended() && !subject_.sink.failure())) return;
    if (subject_.sink.failure()) return expect_silence(some);
    collect_subject();
    subject_.engine.feed(coflow::buffer(some), subject_.sink);
    fed_ += some.size();
    const std::string data = subject_.sink.take_data();
    if (!data.empty() && !subject_.engine.established()) breach("data before the handshake is done");
    subject_.heard += data;
    if (!peer_ && !data.empty()) breach("data of a peer that is not there");
    if (peer_ && !std::string_view(peer_->said).starts_with(subject_.heard)) breach("data that the peer did not seal");
    const std::string answer = subject_.sink.take_sent();
    answered_ += answer.size();
    if (answered_ > 4096 + 2 * fed_ + 2 * subject_.said.size()) breach("an answer out of proportion");
    to_peer_ += answer;
    if (subject_.sink.ended()) judge_verdict();
  }
  void judge_verdict() {
    const std::error_code failure = subject_.sink.failure();
    if (failure) {
      if (subject_.engine.explain(failure).empty()) breach("a failure without a word");
      if (!tampered_) breach("a failure, and nobody has changed anything");
      return expect_silence("\x17\x03\x03");
    }
    if (!peer_ || !peer_->said_goodbye || !subject_.engine.established()) breach("an end that the peer has not made");
    if (subject_.heard != peer_->said) breach("an end before the end");
    if (!subject_.engine.peer_said_goodbye()) breach("the end is no goodbye");
  }
  // Whatever is called after a failure does nothing.
  void expect_silence(std::string_view some) {
    support::codec_sink after;
    coflow::buffer plain("what nobody will hear");
    openssl_engine& engine = subject_.engine;
    engine.feed(coflow::buffer(some), after);
    engine.request_key_update();
    if (engine.seal(std::span<coflow::buffer>(&plain, 1), after) != subject_.sink.failure())
      breach("a failure is followed by another, or by none");
    engine.farewell(after);
    if (after.pieces() != 0 || after.ended()) breach("an engine goes on after its failure");
  }
  // What the subject has said of its own accord.
  void collect_subject() { to_peer_ += subject_.sink.take_sent(); }
  void feed_peer() {
    collect_subject();
    if (!peer_ || to_peer_.empty() || peer_->sink.ended()) return;
    peer_->engine.feed(coflow::buffer(std::exchange(to_peer_, std::string())), peer_->sink);
    peer_->heard += peer_->sink.take_data();
    if (!std::string_view(subject_.said).starts_with(peer_->heard)) breach("the peer hears what was not said");
    if (peer_->sink.failure() && !tampered_) breach("the peer fails, and nobody has changed anything");
  }
  void exchange() {
    if (!peer_) return;
    for (int i = 0; i < 8; ++i) {
      feed_peer();
      hear_peer();
      if (to_subject_.empty() && to_peer_.empty()) return;
      feed_all(SIZE_MAX);
    }
  }
  // A server that nobody has asked for one.
  void give_ticket() {
    if (!peer_ || !is_client() || !peer_->may_seal() || (how_ & 2U) != 0) return;
    SSL_new_session_ticket(peer_->engine.native_handle());
    peer_->seal(1);
    hear_peer();
  }

  void judge_end() {
    const openssl_engine& engine = subject_.engine;
    if (!engine.established() && !(engine.version().empty() && engine.cipher().empty()))
      breach("something is agreed on before the handshake is done");
    if (tampered_ || !peer_ || !is_established()) return;
    if (!engine.established() || !peer_->engine.established()) breach("a handshake that nobody disturbs is not done");
    if (subject_.heard != peer_->said || peer_->heard != subject_.said)
      breach("bytes that nobody has changed are lost");
    if (peer_->said_goodbye != subject_.sink.ended()) breach("a goodbye is not heard");
  }

  choices from_;
  unsigned how_;
  engine_end subject_;
  std::optional<engine_end> peer_;
  records to_subject_;
  std::string to_peer_;
  std::size_t fed_ = 0;
  std::size_t answered_ = 0;
  bool tampered_ = false;
};

/// The first byte: the subject's role, the version, whether a session is taken up, whether the handshake is done before
/// anything else happens, and whether there is a peer at all.
inline void engine_feed(std::span<const std::uint8_t> input) {
  engine_stage::the();
  engine_run run{choices(input)};
  run();
}

/// Of eight, one in which all goes well, but in pieces, and one at most in which the handshake is done before the rest.
inline bytes made_engine_feed(unsigned seed) {
  maker by(seed);
  bytes made = by.some(1 + by.pick(by.pick(2) == 0 ? 12 : 50));
  const bool good = seed % 8 == 0;
  if (good) made[0] = static_cast<std::uint8_t>((made[0] & 7U) | 0x18U);
  if (seed % 8 > 1 && (made[0] & 0x18U) == 0x18U) made[0] &= 0xEFU;
  for (std::size_t i = 1; i < made.size(); ++i)  // most of what is random leaves nothing of a handshake
    if ((good || by.pick(3) == 0) && made[i] % 16 > 7) made[i] = static_cast<std::uint8_t>(made[i] - 8);
  return made;
}

}  // namespace fuzz
