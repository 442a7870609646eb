#pragma once

// The micro scenarios: two things that happen at once, with whoever is on the other side. Each is played in every order
// in which the ready nodes can run. The pipes hold 4 bytes, so that a write of 6 goes out in two parts.

#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "schedules/stage.hpp"

namespace schedules {

// Begins with a greeting, and then passes the bytes on as they are.
class greeting_codec {
 public:
  static constexpr std::string_view greeting = "hi";

  greeting_codec() noexcept {}
  void start(coflow::codec_output& out) { out.send(coflow::buffer(greeting)); }
  [[nodiscard]] bool established() const noexcept { return seen_ == greeting.size(); }
  void feed(coflow::buffer bytes, coflow::codec_output& out) {
    for (; !established() && !bytes.empty(); bytes.remove_prefix(1)) {
      if (bytes.text().front() != greeting[seen_++]) return out.fail(std::make_error_code(std::errc::protocol_error));
    }
    out.data(std::move(bytes));
  }
  std::error_code seal(std::span<coflow::buffer> plain, coflow::codec_output& out) {
    for (coflow::buffer& one : plain) out.send(std::move(one));
    return {};
  }
  void farewell(coflow::codec_output&) {}

 private:
  std::size_t seen_ = 0;
};

// Here end b has read everything up to a verdict: what writes of end a said must fit that.
template <class Stage>
void check_stream(Stage& on, const note& written, const note& received, const std::string& text) {
  const bool whole = received.bytes == text;
  on.expect(text.starts_with(received.bytes), "what is received is no prefix of what was sent");
  on.expect(written.came_to != model::done || whole, "bytes of a write that succeeded are lost");
  on.expect(written.came_to == model::done || !whole, "a write that was sent whole fails");
  const bool torn = written.came_to != model::done && !received.bytes.empty();
  on.expect(received, torn ? model::reset : model::eof, "the end of the stream");  // [X3]
}

template <class Kind>
std::string read_with_close(choices& order) {
  stage<Kind> on(order);
  note read, written, rest;
  on.act(read_once(&on.a, &read));
  on.act(write(&on.b, "xyz", &written));
  on.act(close(&on.a));
  on.play_to_the_end();
  on.expect(read, model::data | model::closed, "a read with a close");
  on.expect(read.bytes == (read.came_to == model::data ? "xyz" : ""), "a read gives other bytes than were written");
  on.expect(written, model::done | model::closed, "a write with the peer's close");
  on.expect(read.came_to != model::data || written.came_to == model::done, "a write fails whose bytes were read");
  on.act(read_all(&on.b, &rest));
  on.play_to_the_end();
  on.expect(rest, model::eof, "a read after the peer's close");
  return on.wrong();
}

template <class Kind>
std::string write_with_shutdown(choices& order) {
  stage<Kind> on(order);
  note written, received;
  on.act(write(&on.a, "abcdef", &written));
  on.act(shut(&on.a, coflow::shutdown_mode::write));
  on.act(read_all(&on.b, &received));
  on.play_to_the_end();
  on.expect(written, model::done | model::closed, "a write with a shutdown");
  on.expect(received, model::eof, "the end after a shutdown");
  check_stream(on, written, received, "abcdef");
  return on.wrong();
}

template <class Kind>
std::string write_with_write(choices& order) {
  stage<Kind> on(order);
  note first, second, received;
  on.act(write(&on.a, "abcdef", &first));
  on.act(write(&on.a, "ghijkl", &second));
  auto& reader = on.act(read_all(&on.b, &received));
  on.play();
  on.expect(first, model::done, "a write with a write");
  on.expect(second, model::done, "a write with a write");
  on.expect(received.bytes == "abcdefghijkl" || received.bytes == "ghijklabcdef", "two writes are mixed, or lost");
  on.expect(!reader.ended(), "a read ends on an open stream");
  on.act(shut(&on.a, coflow::shutdown_mode::read_write));
  on.play_to_the_end();
  on.expect(received, model::eof, "the end after a shutdown");
  return on.wrong();
}

template <class Kind>
std::string read_with_cancel(choices& order) {
  stage<Kind> on(order);
  note first, second, written;
  auto& victim = on.act(read_once(&on.a, &first));
  on.act(write(&on.b, "xyz", &written));
  on.act(cancel(&victim));
  on.play();  // the write may be waiting for a reader
  on.expect(first, model::data | model::canceled, "a read with a cancellation");
  on.act(shut(&on.b, coflow::shutdown_mode::write));
  on.act(read_all(&on.a, &second));
  on.play_to_the_end();
  on.expect(written, model::done, "a write");
  on.expect(first.bytes + second.bytes == "xyz", "a cancelled read loses bytes");  // [X1]
  on.expect(first.came_to != model::canceled || first.bytes.empty(), "a cancelled read takes bytes");
  on.expect(second, model::eof, "the end after a shutdown");
  return on.wrong();
}

template <class Kind>
std::string close_with_close(choices& order) {
  stage<Kind> on(order);
  note here, there;
  on.act(read_once(&on.a, &here));
  on.act(read_once(&on.b, &there));
  on.act(close(&on.a));
  on.act(close(&on.b));
  on.play_to_the_end();
  on.expect(here, model::eof | model::closed, "a read with closes at both ends");
  on.expect(there, model::eof | model::closed, "a read with closes at both ends");
  on.expect(here.came_to == model::closed || there.came_to == model::closed, "each end has seen the other close first");
  note again;
  on.act(read_once(&on.a, &again));
  on.play_to_the_end();
  on.expect(again, model::closed, "a read after a close");
  return on.wrong();
}

template <class Kind>
std::string read_with_destruction(choices& order) {
  stage<Kind> on(order);
  note first, second, written, rest;
  on.act(read_once(&on.a, &first));
  on.act(read_once(&on.a, &second));
  on.act(write(&on.b, "xyz", &written));
  on.act(destroy(&on.a));
  on.play_to_the_end();
  // Pending: it came too late, and has not begun.
  on.expect(first.came_to == model::pending || (first.came_to & (model::data | model::closed)) != 0,
            "a read with the destruction of its flow gives something else than data or closed");
  on.expect(written, model::done | model::closed, "a write with the destruction of the peer");
  on.expect(first.bytes + second.bytes == "xyz" || (first.bytes + second.bytes).empty(), "bytes are read twice");
  on.act(read_all(&on.b, &rest));
  on.play_to_the_end();
  on.expect(rest, model::eof, "a read after the destruction of the peer");
  return on.wrong();
}

template <class Kind>
std::string write_with_cancel(choices& order) {
  stage<Kind> on(order);
  note written, received;
  auto& victim = on.act(write(&on.a, "abcdef", &written));
  on.act(read_all(&on.b, &received));
  on.act(cancel(&victim));
  on.play();
  on.expect(written, model::done | model::canceled, "a write with a cancellation");
  const bool torn = written.came_to == model::canceled && !received.bytes.empty();
  note next;
  on.act(write(&on.a, "g", &next));
  on.play();
  on.expect(next, torn ? model::torn : model::done, "a write after one that was cancelled");  // [X2]
  on.act(close(&on.a));
  on.play_to_the_end();
  if (next.came_to == model::done) {
    on.expect(received.bytes.ends_with('g'), "bytes of a write that succeeded are lost");
    if (!received.bytes.empty()) received.bytes.pop_back();
  }
  check_stream(on, written, received, "abcdef");
  return on.wrong();
}

template <class Kind>
std::string shutdown_with_close(choices& order) {
  stage<Kind> on(order);
  note written, received;
  on.act(write(&on.a, "abcdef", &written));
  on.act(shut(&on.a, coflow::shutdown_mode::write));
  on.act(close(&on.a));
  on.act(read_all(&on.b, &received));
  on.play_to_the_end();
  on.expect(written, model::done | model::closed, "a write with a shutdown and a close");
  check_stream(on, written, received, "abcdef");
  return on.wrong();
}

// A handshake beside the close of the connection at its other end, or beside its own cancellation: it comes to an end,
// and so does the flow below.
template <class Kind>
class handshake_play {
 public:
  using made = coflow::result<coflow::codec_flow<greeting_codec, typename Kind::flow>>;

  explicit handshake_play(choices& order) : on(order) {}

  static task<> shake_hands(std::optional<typename Kind::flow>* over, std::optional<made>* into) {
    greeting_codec codec;
    into->emplace(co_await coflow::codec_handshake(codec, *std::exchange(*over, std::nullopt)));
  }
  static task<> greet(std::optional<typename Kind::flow>* flow, note* into) {
    co_await write(flow, greeting_codec::greeting, into);
  }

  stage<Kind> on;
  std::optional<made> here;
};

template <class Kind>
std::string handshake_with_close(choices& order) {
  handshake_play<Kind> play(order);
  auto& on = play.on;
  note greeted, received;
  on.act(play.shake_hands(&on.a, &play.here));
  on.act(play.greet(&on.b, &greeted));
  on.act(close(&on.b));
  on.play_to_the_end();
  on.expect(play.here.has_value(), "a handshake does not end");
  if (!play.here.has_value() || play.here->has_value()) return on.wrong();
  on.expect((model::classify(play.here->error()) & (model::closed | model::truncated)) != 0,
            "a handshake with the peer's close gives another error");
  return on.wrong();
}

template <class Kind>
std::string handshake_with_cancel(choices& order) {
  handshake_play<Kind> play(order);
  auto& on = play.on;
  note greeted, received;
  auto& victim = on.act(play.shake_hands(&on.a, &play.here));
  on.act(play.greet(&on.b, &greeted));
  on.act(cancel(&victim));
  on.play_to_the_end();
  on.expect(play.here.has_value(), "a handshake does not end");
  if (!play.here.has_value()) return on.wrong();
  if (!play.here->has_value()) on.expect(play.here->error() == coflow::canceled(), "a handshake gives another error");
  const bool made = play.here->has_value();
  play.here.reset();
  on.act(read_all(&on.b, &received));
  on.play_to_the_end();  // [L11]: whatever came of it, the flow below is closed by now
  on.expect(received, model::eof | model::reset, "the peer of a handshake that is over");
  on.expect(!made || received.bytes == greeting_codec::greeting, "a handshake succeeds without its greeting");
  return on.wrong();
}

template <class Kind>
std::string read_with_its_coroutines_end(choices& order) {
  stage<Kind> on(order);
  note first, second, written;
  auto& victim = on.act(read_once(&on.a, &first));
  on.act(read_once(&on.a, &second));
  on.act(write(&on.b, "xyz", &written));
  on.act(kill(&victim));
  on.play();
  on.expect(written, model::done, "a write");
  on.act(shut(&on.b, coflow::shutdown_mode::write));
  note rest;
  on.act(read_all(&on.a, &rest));
  on.play();
  on.expect(first.bytes + second.bytes + rest.bytes == "xyz", "the end of a coroutine loses bytes");  // [C6]
  on.expect(second, model::data | model::eof, "a read beside one that is destroyed");
  on.expect(rest, model::eof, "the end after a shutdown");
  return on.wrong();
}

}  // namespace schedules
