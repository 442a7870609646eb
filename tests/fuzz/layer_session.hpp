#pragma once

// A session over a toy engine, which costs nothing, so that what is fuzzed is the layer around it. The input says what
// happens to the bytes on the way, how much the pipe below holds, in what order ready work runs, and what either side
// does: writes of several writers, some given up, reads that stop for a while or are given up, key updates, shutdowns,
// closes, moves and the end of the flow. Whatever it does: nobody hears what was not said, no cut is taken for an end,
// nothing hangs, nothing is left.

#include <algorithm>
#include <coflow/async.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/choices.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <coflow/tls.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/harm.hpp"
#include "fuzz/input.hpp"
#include "fuzz/layer_actors.hpp"
#include "fuzz/layer_side.hpp"
#include "support/toy_engine.hpp"

namespace fuzz {

struct layer_plan {
  explicit layer_plan(choices from) {
    static constexpr std::size_t capacities[] = {65536, 1, 2, 7, 64, 300, 4096, 1};
    const unsigned how = from.next();
    ping_every = how % 4;
    in_any_order = (how & 4U) != 0;
    same_secret = how < 0xF8U;
    capacity = capacities[from.pick(8)];
    seed = from.next();
    for (std::size_t& one : pieces) one = from.next();
    sides[0].below.be(support::toy_role::client, 1);
    sides[1].below.be(support::toy_role::server, same_secret ? 1 : 2);
    std::size_t smallest = capacity;
    for (const std::size_t one : pieces)
      if (one != 0) smallest = std::min(smallest, one);
    for (side& one : sides) one.most = smallest * 64;
    for (unsigned count = 0; !from.empty() && count < 24; ++count) add(from);
  }

  unsigned ping_every;
  bool in_any_order;
  bool same_secret;
  std::size_t capacity;
  unsigned seed;
  std::size_t pieces[2];
  std::vector<harm> harms[2];  // to what a side reads
  side sides[2] = {side(0), side(1)};

 private:
  // A harm, or what somebody does: his kind, his side and the number of the step in one byte.
  void add(choices& from) {
    const unsigned what = from.next();
    const unsigned at = what >> 7U;
    if ((what & 0x60U) == 0) {
      harm one;
      one.what = static_cast<harm::kind>(what % 7);
      one.at = from.next_two() & 0xFFFU;
      one.byte = static_cast<std::uint8_t>(from.next());
      harms[at].push_back(one);
      return;
    }
    const step one{what & 7U, from.next()};
    side& of = sides[at];
    if ((what & 0x60U) == 0x20U)
      of.writes[what >> 3U & 1U].push_back(one);
    else if ((what & 0x60U) == 0x40U)
      of.reads.push_back(one);
    else
      of.moves.push_back(one);
  }
};

// What the layer was told is what was heard (laws L9, L11, L12).
inline void judge_by_engine(side& here) {
  const std::string& want = here.below.text();
  if (!std::string_view(want).starts_with(here.heard)) breach("a side has heard what the engine did not decode");
  if (!here.from_stream) return;
  if (here.heard != want) breach("what was decoded before the end is lost");
  const std::error_code failure = here.below.failure();
  if (here.below.ended() && (here.eof == static_cast<bool>(failure) || here.verdict != failure))
    breach("an end that is not the engine's");
  if (!here.below.ended() && here.eof) breach("an end that the engine has not seen");
}
inline void judge(const side& here, const side& there) {
  if (!there.said.can_be(here.heard, false)) breach("a side has heard what was not said");
  if (!here.peers_end) return;
  if (!there.said.can_be(here.heard, true)) breach("a side has taken a cut for an end");
  if (!there.shut_write && !there.closed) breach("an end that nobody has made");
}

/// One session. The first five bytes choose how things are, the others what happens, two or four bytes each.
inline void layer_session(std::span<const std::uint8_t> input) {
  layer_plan plan{choices(input)};
  const bool harmless = plan.harms[0].empty() && plan.harms[1].empty() && plan.same_secret;
  side& client = plan.sides[0];
  side& server = plan.sides[1];
  {
    coflow::choices order = coflow::choices::by_seed(plan.seed);
    std::optional<coflow::virtual_executor> executor;
    if (plan.in_any_order)
      executor.emplace(order);
    else
      executor.emplace();
    auto pipe = coflow::memory_pipe(plan.capacity);
    const support::toy_context of_client(1, plan.ping_every);
    const support::toy_context of_server(plan.same_secret ? 1 : 2, plan.ping_every);
    harmed_flow below_client(std::move(pipe.first), std::move(plan.harms[0]), plan.pieces[0], &client.below);
    harmed_flow below_server(std::move(pipe.second), std::move(plan.harms[1]), plan.pieces[1], &server.below);
    const auto both = [](task<> one, task<> other) -> task<> {
      coflow::task_scope scope(coflow::on_failure::isolate);
      scope.spawn(std::move(one)).value();
      scope.spawn(std::move(other)).value();
      static_cast<void>(co_await scope.join());
    };
    try {
      coflow::run(*executor, both(be(&client, coflow::tls_client(of_client, std::move(below_client), "localhost")),
                                  be(&server, coflow::tls_server(of_server, std::move(below_server)))));
    } catch (const coflow::hang& hung) {
      breach(hung.what());
    }
    client.flow.reset();
    server.flow.reset();
  }
  judge(client, server);
  judge(server, client);
  judge_by_engine(client);
  judge_by_engine(server);
  const bool whole = client.peers_end && server.peers_end;
  if (harmless && !client.disturbed && !server.disturbed && !whole)
    breach("a session that nobody harms or disturbs is not whole");
}

/// Three kinds in turn: nobody disturbs, nobody harms, and all at once.
inline bytes made_layer_session(unsigned seed) {
  maker by(seed);
  bytes made{by.any(), by.any(), by.any(), by.any(), by.any()};
  if (by.pick(8) != 0) made[0] &= 0x7FU;
  if (by.pick(3) != 0) made[3] = 0;
  if (by.pick(3) != 0) made[4] = 0;
  const unsigned kind = seed % 3;
  for (unsigned count = by.pick(20); count != 0; --count) {
    unsigned what = by.any();
    if (kind != 0 && (what & 0x60U) == 0) what |= 0x20U;
    if (kind == 0 && (what & 0x60U) == 0x60U) what &= 0xF8U | by.pick(4);
    if (kind == 0 && (what & 0x60U) == 0x20U) what &= 0xF8U | by.pick(4);
    made.push_back(static_cast<std::uint8_t>(what));
    if ((what & 0x60U) == 0) {
      const unsigned at = by.pick(by.pick(4) == 0 ? 30 : 300) + (by.pick(4) == 0 ? 0 : 22);  // so long is the handshake
      made.push_back(static_cast<std::uint8_t>(at >> 8U));
      made.push_back(static_cast<std::uint8_t>(at));
    }
    made.push_back(by.any());
  }
  return made;
}

}  // namespace fuzz
