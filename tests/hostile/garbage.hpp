#pragma once

// Bytes that no honest peer sends: frames that are too long, and a recorded session of an authenticating codec with
// something wrong at each of its bytes (laws L7, L9); urgent data.

#include <coflow/memory.hpp>
#include <string>
#include <vector>

#include "hostile/ground.hpp"
#include "support/toy_codec.hpp"

namespace hostile {

template <class Wire>
task<> one_length(ground<Wire>* on, std::uint32_t length, std::uint32_t limit) {
  auto met = co_await ground<Wire>::meet(on);
  raw_peer peer(std::move(met.peer));
  using flow_type = coflow::codec_flow<coflow::length_prefix_codec, typename Wire::flow>;
  flow_type flow(coflow::length_prefix_codec(limit), std::move(met.flow));
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(length >> shift);
  text += "abc";
  peer.send(text);
  peer.shut();
  const heard all = co_await listen_to(&flow);
  const std::string where = "a frame of " + std::to_string(length) + " bytes, limit " + std::to_string(limit);
  if (length > limit)
    on->check(all.text.empty() && all.error == std::errc::message_size, "long frames", where + ": " + in_words(all));
  else
    on->check(all.text == "abc" && all.error == coflow::error::truncated, "long frames", where + ": " + in_words(all));
  co_await flow.close();
}

template <class Wire>
task<> sweep_lengths(ground<Wire>* on) {
  for (const std::uint32_t limit : {std::uint32_t{4}, std::uint32_t{1000}, std::uint32_t{1} << 24})
    for (const std::uint32_t past : {0U, 1U, 2U, 100U, 1U << 28}) co_await one_length(on, limit + past, limit);
  co_await one_length(on, 0xffffffff, 1000);
}

// ---- a recorded session

// What a client of the toy codec sends: it does not depend on what the server says.
template <class F>
task<> write_all(F* to) {
  const result<void> first = co_await to->write(buffer("what is said in confidence"));
  const result<void> second = co_await to->write(buffer("and more"));
  if (!first || !second) co_return;
  co_await to->close();
}
inline task<> record_server(coflow::memory_flow from) {
  auto flow = co_await coflow::codec_handshake(support::toy_codec(support::toy_role::server), std::move(from));
  if (!flow) co_return;
  const heard all = co_await listen_to(&*flow);
  static_cast<void>(all);
  co_await flow->close();
}
inline task<> record_client(coflow::memory_flow to) {
  auto flow = co_await coflow::codec_handshake(support::toy_codec(support::toy_role::client), std::move(to));
  if (flow) co_await write_all(&*flow);
}
inline task<> pass_on(coflow::memory_flow* from, coflow::memory_flow* to, std::string* log) {
  for (;;) {
    read_result got = co_await from->read();
    if (!got) break;
    if (log != nullptr) log->append(got->text());
    const result<void> sent = co_await to->write(std::move(*got));
    if (!sent) break;
  }
  co_await to->shutdown(coflow::shutdown_mode::write);
}
inline task<std::string> record_session() {
  auto front = coflow::memory_pipe();
  auto back = coflow::memory_pipe();
  std::string log;
  coflow::task_scope all;
  all.spawn(record_client(std::move(front.first))).value();
  all.spawn(record_server(std::move(back.second))).value();
  all.spawn(pass_on(&front.second, &back.first, &log)).value();
  all.spawn(pass_on(&back.first, &front.second, nullptr)).value();
  const result<void> joined = co_await all.join();
  static_cast<void>(joined);
  co_return log;
}

/// What the library's side makes of a session: `clean` if it ends like a whole one.
template <class Wire>
task<heard> play_secure(ground<Wire>* on, std::string session) {
  auto met = co_await ground<Wire>::meet(on);
  raw_peer peer(std::move(met.peer));
  peer.send(session);
  peer.shut();
  auto flow = co_await coflow::codec_handshake(support::toy_codec(support::toy_role::server), std::move(met.flow));
  if (!flow) {
    heard none;
    none.error = flow.error();
    co_return none;
  }
  heard all = co_await listen_to(&*flow);
  co_await flow->close();
  co_return all;
}
/// The same with a codec that authenticates nothing: the sweep must see that.
template <class Wire>
task<heard> play_frames(ground<Wire>* on, std::string session) {
  auto met = co_await ground<Wire>::meet(on);
  raw_peer peer(std::move(met.peer));
  peer.send(session);
  peer.shut();
  using flow_type = coflow::codec_flow<coflow::length_prefix_codec, typename Wire::flow>;
  flow_type flow(coflow::length_prefix_codec(), std::move(met.flow));
  heard all = co_await listen_to(&flow);
  co_await flow.close();
  co_return all;
}

inline std::vector<std::string> wrong_at(const std::string& session, std::size_t at) {
  std::vector<std::string> all;
  for (int bit = 0; bit < 8; ++bit) {
    all.push_back(session);
    all.back()[at] = static_cast<char>(static_cast<unsigned char>(session[at]) ^ (1U << bit));
  }
  all.push_back(session);
  all.back().erase(at, 1);  // that byte is missing
  all.push_back(session);
  all.back().insert(at, 1, static_cast<char>(~session[at]));
  all.push_back(session.substr(0, at));
  return all;
}

template <class Wire>
task<> sweep_flips(ground<Wire>* on, std::string session, std::string whole,
                   task<heard> (*play)(ground<Wire>*, std::string)) {
  const heard good = co_await play(on, session);
  on->check(good.eof && good.text == whole, "bit flips", "the session itself gives " + in_words(good));
  for (std::size_t at = 0; at < session.size(); ++at) {
    std::vector<std::string> variants = wrong_at(session, at);
    for (std::size_t i = 0; i < variants.size(); ++i) {
      const heard all = co_await play(on, std::move(variants[i]));
      const std::string where = "variant " + std::to_string(i) + " of byte " + std::to_string(at);
      on->check(whole.starts_with(all.text), "bit flips", where + ": other bytes were decoded");
      on->check(!all.eof && all.error, "bit flips", where + " looks like a clean end");
    }
  }
}

// ---- urgent data

inline std::string without_urgent(const std::string& text) {
  std::string ordinary;
  for (const char one : text)
    if (one != '!') ordinary += one;
  return ordinary;
}

template <class Wire>
task<> one_urgent(ground<Wire>* on, std::size_t at, bool waiting, bool second) {
  auto met = co_await ground<Wire>::meet(on);
  raw_peer peer(std::move(met.peer));
  typename Wire::flow flow(std::move(met.flow));
  const std::string text = "the quick brown fox jumps over the lazy dog";
  heard all;
  bool done = false;
  coflow::task_scope reading;
  if (waiting) {
    reading.spawn(listen_into(&flow, &all, &done)).value();
    co_await let_others_run(1);
  }
  peer.send(std::string_view(text).substr(0, at));
  peer.send_urgent('!');
  if (waiting && second) co_await let_others_run(2);
  if (second) peer.send_urgent('!');
  peer.send(std::string_view(text).substr(at));
  if (!waiting) reading.spawn(listen_into(&flow, &all, &done)).value();
  // All of it is read without anything else that happens. An urgent byte that a second one overtakes becomes part of
  // the stream.
  for (int i = 0; i < 1000 && without_urgent(all.text) != text; ++i) co_await let_others_run(1);
  const std::string where = "urgent data after " + std::to_string(at) + " bytes" + (waiting ? ", a read waits" : "");
  on->check(without_urgent(all.text) == text, "urgent data", where + ": a read is not woken");
  peer.shut();
  const result<void> joined = co_await reading.join();
  on->check(joined.has_value() && all.eof && without_urgent(all.text) == text, "urgent data",
            where + ": " + in_words(all));
  co_await flow.close();
}

template <class Wire>
task<> sweep_urgent(ground<Wire>* on) {
  for (std::size_t at = 0; at <= 43; ++at)
    for (const bool waiting : {false, true})
      for (const bool second : {false, true}) co_await one_urgent(on, at, waiting, second);
}

}  // namespace hostile
