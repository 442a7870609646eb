#pragma once

// Peers that say nothing, or read nothing: nobody waits for them longer than he wants to (laws C3, X1 to X3, L2, W8).

#include <array>
#include <string>
#include <vector>

#include "hostile/ground.hpp"

namespace hostile {

using clock = std::chrono::steady_clock;

// Long for a machine that is busy, and short beside for ever.
inline constexpr std::chrono::seconds promptly{20};

/// Many that connect and never speak: reads are cancelled without harm, and end when their flow is closed.
template <class Wire>
task<> sweep_silent(ground<Wire>* on) {
  const std::size_t count = sanitized ? 200 : 1000;
  std::vector<raw_peer> peers;
  std::vector<typename Wire::flow> flows;
  for (std::size_t i = 0; i < count; ++i) {
    auto met = co_await ground<Wire>::meet(on);
    peers.push_back(std::move(met.peer));
    flows.push_back(std::move(met.flow));
  }
  std::vector<heard> all(count);
  std::vector<char> done(count);
  {
    coflow::task_scope reading;
    for (std::size_t i = 0; i < count; ++i)
      reading.spawn(listen_into(&flows[i], &all[i], reinterpret_cast<bool*>(&done[i]))).value();
    co_await let_others_run(2);
    on->check(reading.size() == count, "silent peers", "a read ended though nothing was said");
    reading.cancel();
    const result<void> joined = co_await reading.join();
    static_cast<void>(joined);
  }
  for (std::size_t i = 0; i < count; ++i)
    on->check(all[i].error == std::errc::operation_canceled, "silent peers",
              "a cancelled read gives " + in_words(all[i]));
  // Every third speaks after all; to the others the connection is closed under a read.
  coflow::task_scope reading;
  for (std::size_t i = 0; i < count; ++i) {
    reading.spawn(listen_into(&flows[i], &all[i], reinterpret_cast<bool*>(&done[i]))).value();
    if (i % 3 != 0) continue;
    peers[i].send("late");
    peers[i].shut();
  }
  co_await let_others_run(10);
  for (std::size_t i = 0; i < count; ++i)
    if (i % 3 != 0) co_await flows[i].close();
  const result<void> joined = co_await reading.join();
  static_cast<void>(joined);
  for (std::size_t i = 0; i < count; ++i) {
    const bool good = i % 3 == 0 ? all[i].eof && all[i].text == "late" : all[i].error == coflow::error::closed;
    on->check(good, "silent peers", "afterwards a read gives " + in_words(all[i]));
  }
}

/// A graceful close of a connection whose peer stays away ends at its limit.
template <class Wire>
task<> sweep_half_open(ground<Wire>* on) {
  for (const int limit : {0, 1, 20, 50}) {
    auto met = co_await ground<Wire>::meet(on);
    const auto begun = clock::now();
    const result<void> closed = co_await coflow::graceful_close(met.flow, std::chrono::milliseconds(limit));
    const auto took = clock::now() - begun;
    on->check(!closed && closed.error() == coflow::error::timed_out, "half-open peers",
              "a graceful close gives " + coflow::laws::in_words(closed.error()));
    on->check(took < promptly && took >= std::chrono::milliseconds(limit), "half-open peers",
              "a graceful close takes another time than it was given");
  }
}

// More than the sockets take at once, so that a write stands in its middle.
inline constexpr std::size_t large_write = 300'001;

template <class F>
task<> write_until_it_fails(F* flow, std::size_t* accepted, std::error_code* ended) {
  for (;;) {
    const result<void> sent = co_await flow->write(buffer(std::string(large_write, 'x')));
    if (!sent) {
      *ended = sent.error();
      co_return;
    }
    *accepted += large_write;
  }
}
/// Waits until a writer has come to a stand.
inline task<> until_still(const std::size_t* accepted) {
  std::size_t before = *accepted + 1;
  int still = 0;
  while (still < 20) {
    still = before == *accepted ? still + 1 : 0;
    before = *accepted;
    co_await let_others_run(1);
  }
}

enum class leave { cancel, close, destroy };

/// A peer that reads `reads` bytes and no more. The writer stands; what ends it is no clean end for the peer.
template <class Stack, class Wire>
task<> one_full(ground<Wire>* on, std::size_t reads, leave way) {
  auto met = co_await ground<Wire>::meet(on);
  raw_peer peer(std::move(met.peer));
  static_cast<void>(met.flow.set_option(SOL_SOCKET, SO_SNDBUF, 32768));
  std::string drained;
  std::size_t accepted = 0;
  std::error_code ended;
  {
    auto flow = std::make_unique<decltype(Stack::over(std::move(met.flow)))>(Stack::over(std::move(met.flow)));
    coflow::task_scope writing;
    writing.spawn(write_until_it_fails(flow.get(), &accepted, &ended)).value();
    co_await until_still(&accepted);
    while (drained.size() < reads) {
      if (peer.read_to_end(drained, reads) >= 0) break;
      co_await until_still(&accepted);
    }
    on->check(writing.size() == 1 && !ended, "peers that never read", "the writer does not wait");
    if (way == leave::cancel) {
      writing.cancel();
      const result<void> joined = co_await writing.join();
      static_cast<void>(joined);
      co_await flow->shutdown(coflow::shutdown_mode::write);
      co_await flow->close();
    } else if (way == leave::close) {
      co_await flow->close();
      const result<void> joined = co_await writing.join();
      static_cast<void>(joined);
      on->check(ended == coflow::error::closed, "peers that never read",
                "a write that was closed under gives " + coflow::laws::in_words(ended));
    }
  }
  int end = peer.read_to_end(drained);
  for (int i = 0; end < 0 && i < 1000; ++i) {
    co_await let_others_run(1);
    end = peer.read_to_end(drained);
  }
  // A write that was given up in its middle is followed by a reset; one that was not may have ended on a boundary.
  const bool torn = drained.size() % large_write != 0 || drained.size() < accepted;
  const std::string where = std::string(Stack::name) + ", the peer has read " + std::to_string(reads) + " bytes";
  on->check(end == ECONNRESET || (end == 0 && !torn), "peers that never read",
            where + ": it finds " + std::to_string(end) + " behind " + std::to_string(drained.size()) + " of " +
                std::to_string(accepted) + " bytes");
}
template <class Stack, class Wire>
task<> sweep_full(ground<Wire>* on) {
  for (const std::size_t reads : std::array<std::size_t, 6>{0, 1, 1000, 16384, 50000, 100000})
    for (const leave way : {leave::cancel, leave::close, leave::destroy}) co_await one_full<Stack>(on, reads, way);
}

/// The goodbye of a layer waits no longer than its limit for a peer that takes nothing.
template <class Wire>
task<> sweep_goodbyes(ground<Wire>* on) {
  for (const int limit : {0, 10, 50}) {
    auto met = co_await ground<Wire>::meet(on);
    static_cast<void>(met.flow.set_option(SOL_SOCKET, SO_SNDBUF, 32768));
    using flow_type = coflow::codec_flow<coflow::length_prefix_codec, typename Wire::flow>;
    flow_type flow(coflow::length_prefix_codec(), std::move(met.flow),
                   coflow::codec_options().close_limit(std::chrono::milliseconds(limit)));
    std::size_t accepted = 0;
    std::error_code ended;
    coflow::task_scope writing;
    writing.spawn(write_until_it_fails(&flow, &accepted, &ended)).value();
    co_await until_still(&accepted);
    const auto begun = clock::now();
    co_await flow.close();
    on->check(clock::now() - begun < promptly, "goodbyes", "a close waits for a peer that does not read");
    const result<void> joined = co_await writing.join();
    static_cast<void>(joined);
    on->check(ended == coflow::error::closed || ended == coflow::error::torn_write, "goodbyes",
              "the write that stood gives " + coflow::laws::in_words(ended));
  }
}

}  // namespace hostile
