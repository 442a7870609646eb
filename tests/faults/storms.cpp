// EINTR and EAGAIN on half of all calls, and events that mean nothing: every scenario goes as it was meant to go.

#include <cstddef>
#include <cstdint>
#include <string>

#include "faults/modes.hpp"

namespace faults {

void storms(support::proof& proof) {
  const long seeds = proof.number("--seeds", sanitized() ? 30 : proof.value("--world") == "tls" ? 150 : 300);
  for (const world& in : chosen_worlds(proof)) {
    for (const scenario& what : in.scenarios) {
      plan of;
      of.scenario = what.name;
      of.world = in.name;
      of.reactor = in.reactor;
      static_cast<void>(run_once(of, in, what));  // what is made once and kept for ever
      of.storm = true;
      std::size_t failed = 0;
      for (long seed = 1; seed <= seeds; ++seed) {
        of.seed = static_cast<std::uint32_t>(seed);
        static_cast<void>(check(proof, of, in, what));
        failed += kernel::failed_at_random();
        proof.point();
      }
      if (failed == 0) proof.fail("no call has failed", in_words(of));
      proof.part(std::string(what.name) + ", " + std::string(in.name) + ", " + std::string(in.reactor) + ": " +
                 std::to_string(failed) + " calls failed");
    }
  }
}

}  // namespace faults
