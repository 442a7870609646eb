// Each call fails in each way, once and from then on; and pairs of such faults.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "faults/modes.hpp"

namespace faults {
namespace {

plan plan_of(const world& in, const scenario& what, std::uint32_t seed = 1) {
  plan made;
  made.scenario = what.name;
  made.world = in.name;
  made.reactor = in.reactor;
  made.seed = seed;
  return made;
}

// Calls of one kind resemble each other the more there are of them: beyond the first and the last few, a selection.
bool selected(unsigned nth, unsigned count, unsigned whole) noexcept {
  if (nth <= whole || nth + 4 > count) return true;
  return nth % (count / whole + 1) == 0;
}

std::vector<fault> all_faults(const outcome& clean, unsigned whole) {
  std::vector<fault> all;
  for (const answer& each : answers) {
    const unsigned count = clean.counts[index(each.where)];
    for (unsigned nth = 1; nth <= count; ++nth) {
      if (!selected(nth, count, whole)) continue;
      all.push_back(fault{each.where, nth, each.what, false});
      if (each.for_good) all.push_back(fault{each.where, nth, each.what, true});
    }
  }
  return all;
}

// A local connection is never under way: it stands at once, or not at all.
bool local_connect_says(const fault& one) noexcept {
  if (one.where != call::connect) return true;
  return one.what == EINTR ? !one.persistent : one.what != EISCONN && one.what != EALREADY && one.what != EINPROGRESS;
}

void pairs(support::proof& proof, const world& in, const scenario& what, const std::vector<fault>& all, long count) {
  std::uint32_t random = 12345;
  for (long i = 0; i < count; ++i) {
    plan of = plan_of(in, what, static_cast<std::uint32_t>(i));
    for (int j = 0; j < 2; ++j) {
      random = random * 1664525U + 1013904223U;
      of.faults.push_back(all[(random >> 8) % all.size()]);
    }
    const outcome came_to = check(proof, of, in, what);
    if (came_to.fired != 0) proof.point();
  }
}

}  // namespace

void sweep(support::proof& proof) {
  const bool longer = proof.has("--long");
  const std::string only = proof.value("--scenario");
  const int usual = proof.value("--world") == "tls" ? 10 : 48;
  const auto whole = static_cast<unsigned>(proof.number("--whole", longer ? 1000 : sanitized() ? 3 : usual));
  const std::span<const world> chosen = chosen_worlds(proof);
  for (const world& in : chosen) {
    // What the first world has shown in full is sampled in the others.
    const unsigned reach = &in == &chosen.front() || longer || whole < 6 ? whole : 6;
    for (const scenario& what : in.scenarios) {
      if (what.name == "S4-many" || (!only.empty() && only != what.name)) continue;
      static_cast<void>(run_once(plan_of(in, what), in, what));  // what is made once and kept for ever
      const outcome clean = check(proof, plan_of(in, what), in, what);
      const std::vector<fault> all = all_faults(clean, reach);
      for (const fault& one : all) {
        if (in.name == "unix" && !local_connect_says(one)) continue;
        plan of = plan_of(in, what);
        of.faults.push_back(one);
        const outcome came_to = check(proof, of, in, what);
        if (came_to.fired != 0) proof.point();
      }
      if (longer) pairs(proof, in, what, all, proof.number("--pairs", 12'000));
      proof.part(std::string(what.name) + ", " + std::string(in.name) + ", " + std::string(in.reactor));
    }
  }
}

}  // namespace faults
