// Sessions of TLS over a network that does harm, chosen by a fuzzer, or at random for a number of points.
//
//     fuzz [--count N] [--seed N]      N sessions, each told by its seed
//
// Compiled with -fsanitize=fuzzer and COFLOW_LIBFUZZER it is the fuzzer's instead: see `run` beside this file.

#include <coflow/core.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "fuzz/tls_session.hpp"
#include "support/proof.hpp"

#ifdef COFLOW_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  fuzz::tls_session({bytes, size});
  return 0;
}

#else

namespace {

// From none to sixteen harms, near the beginning more often than at the end.
std::vector<std::uint8_t> input_of(unsigned seed) {
  std::mt19937 random(seed);
  const auto any = [&random] { return static_cast<std::uint8_t>(random()); };
  std::vector<std::uint8_t> input{any(), any(), any()};
  if (random() % 4 != 0) input[1] = input[2] = 0;
  const unsigned harms = seed % 17 == 0 ? 0 : 1 + random() % 16;
  for (unsigned i = 0; i < harms; ++i) {
    const unsigned at = static_cast<unsigned>(random()) % (1U << (4 + random() % 9));
    input.insert(input.end(), {any(), static_cast<std::uint8_t>(at >> 8U), static_cast<std::uint8_t>(at), any()});
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
#ifdef COFLOW_FEWER_POINTS
  const long usual = 1000;
#else
  const long usual = 3000;
#endif
  const long count = proof.number("--count", usual);
  const long first = proof.number("--seed", 1);
  for (long seed = first; seed < first + count; ++seed) {
    const std::vector<std::uint8_t> input = input_of(static_cast<unsigned>(seed));
    const bool whole = fuzz::tls_session(input);
    if (!whole && input.size() == 3)
      proof.fail("a session that nobody harms is not whole", "--count 1 --seed " + std::to_string(seed));
    proof.point();
  }
  return proof.end();
}

#endif
