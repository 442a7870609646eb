// Calls that move a byte or a few at a time; lists of buffers that are cut at every byte.

#include <cstddef>
#include <string>

#include "faults/modes.hpp"

namespace faults {
namespace {

plan plan_of(const world& in, const scenario& what) {
  plan made;
  made.scenario = what.name;
  made.world = in.name;
  made.reactor = in.reactor;
  return made;
}

void limits(support::proof& proof, const world& in, const scenario& what) {
  for (const std::size_t limit : {1U, 2U, 3U, 7U, 1000U}) {
    plan of = plan_of(in, what);
    of.limit = limit;
    static_cast<void>(check(proof, of, in, what));
    proof.point();
  }
}

// The call that takes the list of S4-few moves so many bytes, and then so many again.
void cuts(support::proof& proof, const world& in, const scenario& what, call where, unsigned times) {
  for (int at = 1;; ++at) {
    plan of = plan_of(in, what);
    for (unsigned nth = 1; nth <= times; ++nth) of.faults.push_back(fault{where, nth, cut - at, false});
    const outcome came_to = check(proof, of, in, what);
    if (came_to.counts[index(where)] <= 1) break;  // nothing was cut off any more
    proof.point();
  }
}

}  // namespace

void short_calls(support::proof& proof) {
  for (const world& in : chosen_worlds(proof)) {
    if (in.name == "unix") continue;  // a few bytes in pieces of one fill a local socket: each costs it a block
    for (const scenario& what : in.scenarios) {
      static_cast<void>(run_once(plan_of(in, what), in, what));  // what is made once and kept for ever
      static_cast<void>(check(proof, plan_of(in, what), in, what));
      proof.point();
      limits(proof, in, what);
      if (what.name == "S4-few") {
        for (const call where : {call::sendmsg, call::writev}) {
          cuts(proof, in, what, where, 1);
          cuts(proof, in, what, where, 2);
        }
      }
      proof.part(std::string(what.name) + ", " + std::string(in.name) + ", " + std::string(in.reactor));
    }
  }
}

}  // namespace faults
