// What is wrong on purpose must be found, by the words that are expected.

#include <span>
#include <string>
#include <string_view>

#include "faults/modes.hpp"

namespace faults {
namespace {

void expect(support::proof& proof, std::string_view name, plan of, std::string_view words) {
  of.scenario = name;
  const world& in = worlds().front();
  const scenario* what = find_scenario(in, name);
  for (const std::span<const scenario> some : {wrong_scenarios(), wrong_tls_scenarios()})
    for (const scenario& one : some)
      if (one.name == name) what = &one;
  const outcome came_to = run_once(of, in, *what);
  bool found = false;
  for (const std::string& one : came_to.breaches) found = found || one.find(words) != std::string::npos;
  if (!found) {
    std::string instead;
    for (const std::string& one : came_to.breaches) instead += "; " + one;
    proof.fail("not found: " + std::string(words) + instead, std::string("--mode controls (") + in_words(of) + ")");
  }
  proof.point();
}

plan with(call where, unsigned nth, int what) {
  plan made;
  made.faults.push_back(fault{where, nth, what, false});
  return made;
}

}  // namespace

void controls(support::proof& proof) {
  const world& in = worlds().front();
  static_cast<void>(run_once(plan(), in, *find_scenario(in, "S1")));  // what is made once and kept for ever
  expect(proof, "S90", {}, "descriptors: ");
  expect(proof, "S91", {}, "allocations are left");
  expect(proof, "S92", {}, "coroutine frames are left");
  expect(proof, "S93", {}, "a clean end after");
  expect(proof, "S94", {}, "is not what was sent");
  expect(proof, "S95", {}, "nothing goes on any more");
  expect(proof, "S96", {}, "it does not end");
  expect(proof, "S97", with(call::recv, 1, ECONNRESET), "neither reported nor absorbed");
  expect(proof, "S98", with(call::recv, 1, ECONNRESET), "its system call failed with ECONNRESET");
  expect(proof, "S99", {}, "verdict has changed");
  expect(proof, "S100", {}, "a clean end after");
  plan lost;
  lost.storm = true;
  lost.no_edges = true;  // wake-ups never come
  expect(proof, "S1", lost, "nothing goes on any more");
  proof.part("what is wrong on purpose");
}

void tls_controls(support::proof& proof) {
  if (tls_worlds().empty()) return;
  const world& in = tls_worlds().front();
  for (const scenario& one : in.scenarios) static_cast<void>(run_once(plan(), in, one));
  plan cut_short;  // behind the handshakes
  cut_short.faults.push_back(fault{call::recv, 6, end_of_file, true});
  expect(proof, "S101", cut_short, "a clean end after");
  expect(proof, "S102", {}, "allocations are left");
  proof.part("what is wrong on purpose with TLS");
}

}  // namespace faults
