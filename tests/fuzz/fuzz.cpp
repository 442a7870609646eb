// Executions of several targets, each chosen by the bytes of an input: by a fuzzer, or at random for a number of
// points.
//
//     fuzz [--target NAME] [--count N] [--seed N]      N executions of a target, or of each, told by seeds
//     fuzz --target NAME --input FILE                  the one that a fuzzer has found
//
// Compiled with -fsanitize=fuzzer and COFLOW_LIBFUZZER it is the fuzzer's instead, and takes --target=NAME: see `run`
// beside this file.

#include <coflow/core.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "fuzz/endpoint.hpp"
#include "fuzz/engine_feed.hpp"
#include "fuzz/frames.hpp"
#include "fuzz/input.hpp"
#include "fuzz/layer_session.hpp"
#include "fuzz/reader.hpp"
#include "fuzz/tls_session.hpp"
#include "fuzz/writev.hpp"
#include "support/proof.hpp"

namespace {

#ifdef COFLOW_FEWER_POINTS
constexpr bool fewer = true;
#else
constexpr bool fewer = false;
#endif

class target {
 public:
  std::string_view name;
  void (*run)(std::span<const std::uint8_t>);
  fuzz::bytes (*made)(unsigned seed);
  long usual;

  void operator()(std::span<const std::uint8_t> input) const {
    run(input);
    if (coflow::detail::live_frames.load() != 0) fuzz::breach("a coroutine's frame is left");
  }
};
constexpr target targets[] = {
    {"tls_session", fuzz::tls_session, fuzz::made_tls_session, fewer ? 1000 : 3000},
    {"layer_session", fuzz::layer_session, fuzz::made_layer_session, fewer ? 3000 : 20000},
    {"engine_feed", fuzz::engine_feed, fuzz::made_engine_feed, fewer ? 2000 : 10000},
    {"frames", fuzz::frames, fuzz::made_frames, fewer ? 3000 : 20000},
    {"reader", fuzz::reader, fuzz::made_reader, fewer ? 3000 : 20000},
    {"writev", fuzz::writev, fuzz::made_writev, fewer ? 3000 : 20000},
    {"endpoint", fuzz::endpoint, fuzz::made_endpoint, fewer ? 10000 : 50000},
};

const target* find(std::string_view name) {
  for (const target& one : targets)
    if (one.name == name) return &one;
  return nullptr;
}

}  // namespace

#ifdef COFLOW_LIBFUZZER

namespace {
const target* chosen = &targets[0];
}

// The fuzzer itself leaves out arguments with two dashes, and hands them on to the processes that it starts.
extern "C" int LLVMFuzzerInitialize(const int* argc, char*** argv) {
  constexpr std::string_view option = "--target=";
  for (int i = 1; i < *argc; ++i) {
    const std::string_view one((*argv)[i]);
    if (one.starts_with(option)) chosen = find(one.substr(option.size()));
  }
  if (chosen == nullptr) fuzz::breach("there is no such target");
  return 0;
}
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  (*chosen)({bytes, size});
  return 0;
}

#else

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  const std::string only = proof.value("--target");
  if (!only.empty() && find(only) == nullptr) {
    proof.fail("there is no such target", "--target " + only);
    return proof.end();
  }
  if (const std::string file = proof.value("--input"); !file.empty() && !only.empty()) {
    std::ifstream from(file, std::ios::binary);
    const fuzz::bytes input{std::istreambuf_iterator<char>(from), std::istreambuf_iterator<char>()};
    (*find(only))(input);
    proof.point();
    return proof.end();
  }
  for (const target& one : targets) {
    if (!only.empty() && one.name != only) continue;
    const long count = proof.number("--count", one.usual);
    const long first = proof.number("--seed", 1);
    for (long seed = first; seed < first + count; ++seed) {
      fuzz::repro() = "--target " + std::string(one.name) + " --count 1 --seed " + std::to_string(seed);
      one(one.made(static_cast<unsigned>(seed)));
      proof.point();
    }
    proof.part(one.name);
  }
  return proof.end();
}

#endif
