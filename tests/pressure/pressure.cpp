// Back-pressure: whatever is written against a reader that has stopped, memory grows by what may be under way and no
// more (law W8); and when the reader goes on, everything arrives unchanged.
//
//     pressure [--long] [--flow NAME] [--seed N]
//
// A program of its own, because it replaces operator new. Live bytes are looked at in every allocation and, as points,
// at each stop of the reader.

// Every block counts, also those that a pool would give out again.
#define COFLOW_NO_POOL 1

#include <sys/resource.h>

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/net.hpp>
#include <coflow/testing/choices.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "laws/factories.hpp"
#include "pressure/answers.hpp"
#include "pressure/course.hpp"
#include "pressure/crowd.hpp"
#include "pressure/hoarding_flow.hpp"
#include "soak/wire.hpp"
#include "support/proof.hpp"
#ifdef COFLOW_WITH_OPENSSL
#include "laws/tls_factories.hpp"
#endif

namespace pressure {
namespace {

bool muted = false;  // a defect is being shown, whose failure is wanted

/// `own` is what a part of the stack holds by its own right: the capacity of a pipe, a codec's rest of a record.
template <class Wire, class Factory>
bool try_one(support::proof& proof, std::string_view name, const Factory& make, course how, std::size_t own) {
  const auto seed = static_cast<std::uint64_t>(proof.number("--seed", 1));
  coflow::choices pick = coflow::choices::by_seed(seed);
  state out;
  const long before = memory_in_use.blocks;
  {
    const auto loop = Wire::make_loop();
    coflow::run(*loop, connect_and_run(&make, how, &pick, &out));
  }
  const long left = memory_in_use.blocks - before;
  const auto allowed = static_cast<long>(may_grow(how) + own);
  const std::string where = std::string(name) + ", writes of " + std::to_string(how.list) + " times " +
                            std::to_string(how.piece) + " bytes: ";
  std::string breach;
  if (out.most > allowed) breach = "grows by " + std::to_string(out.most) + " bytes at a stop";
  // What the reader has been given, and what is made in its place, for a moment.
  if (out.peak > allowed + static_cast<long>(64 * kib)) breach = "grows by " + std::to_string(out.peak) + " bytes";
  if (out.writer_failed || out.written < how.total) breach = "a write failed";
  if (out.other_bytes) breach = "other bytes were received";
  if (!out.eof || out.read != out.written) breach = "bytes are missing at the end";
  if (left != 0) breach = std::to_string(left) + " allocations are left";
  if (proof.has("--figures"))
    std::printf("%s%ld bytes at most at a stop, %ld ever, %zu accepted and unread\n", where.c_str(), out.most, out.peak,
                out.ahead_most);
  if (muted) return breach.empty();
  if (breach.empty()) {
    proof.point(out.looks);
    return true;
  }
  proof.fail(where + breach, "--flow '" + std::string(name) + "' --seed " + std::to_string(seed));
  return false;
}

template <class Wire, class Factory>
void sweep(support::proof& proof, std::string_view name, const Factory& make, std::size_t own) {
  const std::string only = proof.value("--flow");
  if (!only.empty() && only != name) return;
#ifdef COFLOW_FEWER_POINTS
  const std::size_t total = 4 * mib;
#else
  const std::size_t total = proof.has("--long") ? 1024 * mib : 64 * mib;
#endif
  course how;
  how.total = total;
  how.stops = 200;
  how.piece = 64 * kib;
  try_one<Wire>(proof, name, make, how, own);
  how.total = total / 4;
  how.piece = 4000;
  how.list = 16;
  try_one<Wire>(proof, name, make, how, own);
  how.total = total / 64;
  how.piece = 100;
  how.list = 1;
  try_one<Wire>(proof, name, make, how, own);
  proof.part(name);
}

}  // namespace
}  // namespace pressure

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  using namespace factories;
  using namespace pressure;
  using wire = support::tcp_wire;
  static_cast<void>(pattern());
  if (proof.has("--long")) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
  }
  const std::size_t capacity = 16 * kib;
  const memory pipe(capacity);
  const over_any<over_frames<>> frames_in_any{over_frames<>(pipe)};
  sweep<wire>(proof, "memory_pipe", pipe, capacity);
  sweep<wire>(proof, "layered_flow", over_layer<>(pipe), capacity);
  sweep<wire>(proof, "any_flow", over_any<>(pipe), capacity);
  sweep<wire>(proof, "function_flow", over_functions<>(pipe), capacity);
  sweep<wire>(proof, "codec_flow, frames", over_frames<>(pipe), capacity);
  sweep<wire>(proof, "codec_flow, secure", over_secure<>(pipe), capacity);
  sweep<wire>(proof, "secure, any, frames", over_secure<over_any<over_frames<>>>(frames_in_any), capacity);
  // The toy codec keeps what it has not decoded in a string that doubles.
  const std::size_t rest = 128 * kib;
  sweep<wire>(proof, "tcp", tcp(), 0);
  sweep<wire>(proof, "frames over tcp", over_frames<tcp>(), 0);
  sweep<wire>(proof, "secure over tcp", over_secure<tcp>(), rest);
  sweep<wire>(proof, "any, secure, layer over tcp", over_any<over_secure<over_layer<tcp>>>(), rest);
#ifdef COFLOW_WITH_OPENSSL
  tls_contexts::all();  // made once, and not in the middle of a sweep
  sweep<wire>(proof, "tls", over_tls<>(pipe), capacity);
  sweep<wire>(proof, "tls over tcp", over_tls<tcp>(), 0);
#endif
  if (proof.value("--flow").empty()) {
    crowd<wire>(proof, "many pipes", pipe, capacity);
    crowd<wire>(proof, "many connections", tcp(), 0);
    crowd<wire>(proof, "many secure connections", over_secure<tcp>(), rest);
    course few;
    few.total = 4 * mib;
    few.piece = 64 * kib;
    few.stops = 20;
    muted = true;
    const bool unseen = try_one<wire>(proof, "a flow that hoards", around<memory, hoarded>(pipe), few, capacity);
    muted = false;
    if (unseen) proof.fail("a flow that hoards what is written goes unseen", "");
    proof.point();
  }
  if (proof.value("--flow", "answers") == "answers") {
    const auto loop = wire::make_loop();
    for (const std::size_t size : {std::size_t{90}, std::size_t{1000}, std::size_t{0}})
      coflow::run(*loop, flood_with_questions(&proof, size, 20'000));
    proof.part("answers");
  }
  return proof.end();
}
