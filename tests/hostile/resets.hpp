#pragma once

// Resets: with data queued in front of them, seen by the reader or by the writer first (facts K2, K3; laws R5, R7), and
// resets and ends in the middle of a frame (law L7).

#include <array>
#include <string>

#include "hostile/ground.hpp"

namespace hostile {

/// Who meets the reset first.
enum class first { reader, waiting_reader, writer, list_writer, option, shutter };
inline constexpr std::array<first, 6> all_orders = {first::reader,      first::waiting_reader, first::writer,
                                                    first::list_writer, first::option,         first::shutter};
inline const char* in_words(first who) {
  constexpr std::array<const char*, 6> names = {"the reader",          "a reader that waits", "the writer",
                                                "a writer of several", "who asks SO_ERROR",   "a shutdown"};
  return names[static_cast<std::size_t>(who)];
}
/// How the peer brings the reset about.
enum class how { abort, close_with_input };

template <class F>
coflow::result<int> ask_for_error(F& flow) {
  if constexpr (requires { flow.option(SOL_SOCKET, SO_ERROR); })
    return flow.option(SOL_SOCKET, SO_ERROR);
  else
    return 0;
}

template <class Stack, class Wire>
task<> one_reset(ground<Wire>* on, std::size_t queued, first who, how by) {
  auto met = co_await ground<Wire>::meet(on);
  raw_peer peer(std::move(met.peer));
  auto flow = Stack::over(std::move(met.flow));
  if (by == how::close_with_input) {
    const result<void> sent = co_await flow.write(buffer("input that the peer never reads"));
    if (!sent) co_return;
  }
  std::string text(queued, ' ');
  for (std::size_t i = 0; i < queued; ++i) text[i] = static_cast<char>('a' + i % 23);

  heard all;
  bool done = false;
  coflow::task_scope reading;
  if (who == first::waiting_reader) {
    reading.spawn(listen_into(&flow, &all, &done)).value();
    co_await let_others_run(1);
  }
  peer.send(Stack::sent_as(text));
  if (by == how::abort)
    peer.reset();
  else
    peer.close();
  std::error_code written;
  if (who == first::writer) {
    const result<void> sent = co_await flow.write(buffer("hello"));
    written = sent.error();
  } else if (who == first::list_writer) {
    std::array<buffer, 2> list = {buffer("hello "), buffer("there")};
    const result<void> sent = co_await flow.writev(list);
    written = sent.error();
  } else if (who == first::option) {
    static_cast<void>(ask_for_error(flow));
  } else if (who == first::shutter) {
    co_await flow.shutdown(coflow::shutdown_mode::write);
  }
  if (who != first::waiting_reader) reading.spawn(listen_into(&flow, &all, &done)).value();
  const result<void> joined = co_await reading.join();

  const std::string where = std::string(Stack::name) + ", " + std::to_string(queued) + " bytes queued, seen first by " +
                            in_words(who) + (by == how::abort ? "" : ", the peer left input unread");
  on->check(joined.has_value() && done && all.text == text, "resets", where + ": bytes are lost: " + in_words(all));
  on->check(all.error == std::errc::connection_reset, "resets", where + ": it ends with " + in_words(all));
  const read_result again = co_await flow.read();
  on->check(again.failed() && again.error() == all.error, "resets", where + ": the reset is not kept");
  if (who == first::writer || who == first::list_writer) {
    const bool gone = written == coflow::condition::disconnected;
    on->check(gone, "resets", where + ": a write gives " + coflow::laws::in_words(written));
    const result<void> sent = co_await flow.write(buffer("again"));
    on->check(!sent && sent.error() == written, "resets", where + ": the writer's error is not kept");
  }
  co_await flow.close();
}

template <class Stack, class Wire>
task<> sweep_resets(ground<Wire>* on) {
  std::array<std::size_t, 12> sizes = {0, 1, 2, 100, 4096, 8185, 8186, 16384, 40000, 65519, 65520, 65537};
  for (const std::size_t queued : sizes)
    for (const first who : all_orders)
      for (const how by : {how::abort, how::close_with_input}) co_await one_reset<Stack>(on, queued, who, by);
}

// ---- in the middle of a frame

inline std::string framed_session() {
  std::string whole;
  for (const std::string& one : {std::string("what is said"), std::string(1, 'x'), std::string(40, 'y')}) {
    whole.append(3, '\0');
    whole += static_cast<char>(one.size());
    whole += one;
  }
  whole.append(4, '\0');
  return whole;
}

template <class Wire>
task<> one_cut(ground<Wire>* on, std::size_t cut, bool resets) {
  auto met = co_await ground<Wire>::meet(on);
  raw_peer peer(std::move(met.peer));
  using flow_type = coflow::codec_flow<coflow::length_prefix_codec, typename Wire::flow>;
  flow_type flow(coflow::length_prefix_codec(), std::move(met.flow));
  const std::string session = framed_session();
  peer.send(std::string_view(session).substr(0, cut));
  if (resets)
    peer.reset();
  else
    peer.close();
  const heard all = co_await listen_to(&flow);
  const std::string whole = "what is said" + std::string(1, 'x') + std::string(40, 'y');
  const std::string where = std::string(resets ? "a reset" : "an end") + " after " + std::to_string(cut) + " bytes";
  on->check(whole.starts_with(all.text), "cut frames", where + ": other bytes were decoded");
  if (cut == session.size())
    on->check(all.eof, "cut frames", where + ": after the goodbye comes " + in_words(all));
  else if (resets)
    on->check(all.error == std::errc::connection_reset, "cut frames", where + ": " + in_words(all));
  else
    on->check(all.error == coflow::error::truncated, "cut frames", where + ": " + in_words(all));
  co_await flow.close();
}

template <class Wire>
task<> sweep_cuts(ground<Wire>* on) {
  const std::size_t whole = framed_session().size();
  for (std::size_t cut = 0; cut <= whole; ++cut)
    for (const bool resets : {false, true}) co_await one_cut(on, cut, resets);
}

}  // namespace hostile
