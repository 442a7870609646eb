// The law suite has teeth: every flow and layer here breaks one law on purpose, and must be rejected for that law. A
// flow of the same make that breaks none must pass.
//
//     broken [--long] [--only NAME] [--findings]
//
// --long runs the whole suite over each, not the checks of that law alone.

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broken/broken_cancellations.hpp"
#include "broken/broken_closes.hpp"
#include "broken/broken_layers.hpp"
#include "broken/broken_ownership.hpp"
#include "broken/broken_read_intos.hpp"
#include "broken/broken_reads.hpp"
#include "broken/broken_shutdowns.hpp"
#include "broken/broken_writes.hpp"
#include "broken/honest_flow.hpp"
#include "broken/specimen.hpp"
#include "support/proof.hpp"

namespace {

struct honest {
  using flow = broken::honest_flow;
  std::pair<flow, flow> operator()() const {
    auto below = coflow::memory_pipe(4096);
    return {flow(std::move(below.first)), flow(std::move(below.second))};
  }
  void reset(flow& end) const noexcept { end.reset(); }
};

void reject(support::proof& proof, const std::vector<broken::specimen>& group) {
  const std::string only = proof.value("--only");
  for (const broken::specimen& one : group) {
    if (!only.empty() && only != one.name) continue;
    coflow::law_options options;
    if (!proof.has("--long")) options.only(one.law);
    const coflow::report found = one.check(options);
    proof.point();
    if (!found.broke(one.law))
      proof.fail(std::string(one.name) + ": is not rejected for " + one.law + " but\n" + found.text(),
                 "--only '" + std::string(one.name) + "'");
    if (proof.has("--findings")) std::printf("---- %s\n%s", one.name, found.text().c_str());
    proof.part(std::string(one.law) + "  " + one.name);
  }
}

}  // namespace

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  if (proof.value("--only").empty()) {
    const coflow::report passed = coflow::check_flow(honest());
    if (!passed) proof.fail("a flow that breaks no law is rejected:\n" + passed.text(), "");
  }
  reject(proof, broken::broken_reads());
  reject(proof, broken::broken_read_intos());
  reject(proof, broken::broken_writes());
  reject(proof, broken::broken_shutdowns());
  reject(proof, broken::broken_closes());
  reject(proof, broken::broken_cancellations());
  reject(proof, broken::broken_ownership());
  reject(proof, broken::broken_layers());
  return proof.end();
}
