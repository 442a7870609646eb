#pragma once

// Questions without end from a peer that reads no answer (law L1).

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>

#include "pressure/course.hpp"
#include "support/proof.hpp"
#include "support/toy_codec.hpp"

namespace pressure {

struct asking {
  std::size_t asked = 0;
  bool done = false;
};
inline task<> ask_and_ask(coflow::memory_flow* to, support::toy_codec* forger, std::size_t size, std::size_t count,
                          asking* out) {
  for (; out->asked < count; ++out->asked) {
    buffer ping = forger->forge('P', std::string(size, 'p'));
    const result<void> sent = co_await to->write(std::move(ping));
    if (!sent) break;
  }
  out->done = true;
}
using secure_flow = coflow::codec_flow<support::toy_codec, coflow::memory_flow>;

inline task<> read_for_ever(secure_flow* flow) {
  const read_result got = co_await flow->read();
  static_cast<void>(got);
}
// The peer is in the handshake with somebody who forges its records, and reads nothing until told.
inline task<> flood_with_questions(support::proof* proof, std::size_t size, std::size_t count) {
  auto ends = coflow::memory_pipe(4 * kib);
  support::toy_codec forger(support::toy_role::client);
  buffer hello = forger.forge('H', "clientNC");
  const result<void> greeted = co_await ends.first.write(std::move(hello));
  buffer finished = forger.forge('F', "");
  const result<void> sent = co_await ends.first.write(std::move(finished));
  auto flow = co_await coflow::codec_handshake(support::toy_codec(support::toy_role::server), std::move(ends.second));
  if (!greeted || !sent || !flow) {
    proof->fail("answers: the handshake fails", "--flow answers");
    co_return;
  }
  const long start = memory_in_use.bytes;
  asking state;
  coflow::task_scope both;
  both.spawn(read_for_ever(&*flow)).value();
  both.spawn(ask_and_ask(&ends.first, &forger, size, count, &state)).value();
  std::size_t before = 1;
  for (int still = 0; still < 5;) {
    still = before == state.asked ? still + 1 : 0;
    before = state.asked;
    co_await let_others_run(1);
  }
  const long grown = memory_in_use.bytes - start;
  if (proof->has("--figures"))
    std::printf("answers: %ld bytes for %zu questions of %zu bytes\n", grown, state.asked, size);
  if (state.done) proof->fail("answers: the peer's questions are taken without end", "--flow answers");
  // The limit counts bytes; each answer of the toy codec is a string and a block of its own.
  const std::size_t answers = 64 * kib / (size + 7);
  if (grown > static_cast<long>(answers * (size + 7 + 160) + 64 * kib + around_it))
    proof->fail("answers: memory grows by " + std::to_string(grown) + " bytes", "--flow answers");
  // The answers come when the peer reads after all.
  const std::size_t all = count * (size + 7) + 2 * 7 + 8;
  for (std::size_t got = 0; got < all;) {
    const read_result answer = co_await ends.first.read();
    if (!answer) {
      proof->fail("answers: they do not come", "--flow answers");
      break;
    }
    got += answer->size();
  }
  proof->point(count / 100);
}

}  // namespace pressure
