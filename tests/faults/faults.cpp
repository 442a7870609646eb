// System calls fail on real sockets: each call of each scenario, in every way that the system has for it, once and from
// then on. Shipped headers need no hook: the calls are wrapped by the linker.
//
//     faults [--long] [--scenario S7]     every single fault, and the controls; --long: pairs of faults, too
//     faults --world tls ...              all that over TLS instead, where OpenSSL is; as well with --mode
//     faults --mode storms                EINTR and EAGAIN at random, events that mean nothing
//     faults --mode short                 calls that move a byte or a few, lists cut at every byte
//     faults --mode emfile                accepting without descriptors or memory
//     faults --mode sigpipe               nothing raises SIGPIPE
//     faults --mode controls              what is wrong on purpose is found
//
//     COFLOW_REPRO="S7 sendmsg#3 ECONNRESET persistent reactor=epoll seed=42" faults      runs that alone

#include <cstdio>
#include <cstdlib>
#include <string>

#include "faults/modes.hpp"

namespace faults {

outcome check(support::proof& proof, const plan& of, const world& in, const scenario& what) {
  outcome came_to = run_once(of, in, what);
  if (came_to.starved && !came_to.breaches.empty()) {  // on a busy machine the wait may have been too short
    kernel::be_patient(true);
    came_to = run_once(of, in, what);
    kernel::be_patient(false);
  }
  for (const std::string& one : came_to.breaches) proof.fail(one, in_words(of));
  return came_to;
}

namespace {

void run_alone(support::proof& proof, const char* text) {
  const plan of = parse(text);
  const world* in = find_world(of);
  const scenario* what = in == nullptr ? nullptr : find_scenario(*in, of.scenario);
  if (what == nullptr) return proof.fail("no such scenario, or no such world", in_words(of));
  plan clean = of;
  clean.faults.clear();
  static_cast<void>(run_once(clean, *in, *what));  // what is made once and kept for ever
  const outcome came_to = check(proof, of, *in, *what);
  std::printf("%s: %zu faults, %s\n", in_words(of).c_str(), came_to.fired,
              came_to.complete ? "all as it was meant to go" : "not as it was meant to go");
  for (std::size_t i = 0; i < call_count; ++i)
    if (came_to.counts[i] != 0) std::printf("  %-14s %u\n", std::string(call_names[i]).c_str(), came_to.counts[i]);
  proof.point();
}

}  // namespace
}  // namespace faults

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  using namespace faults;
  watch_the_clock(60);
  count_openssl();
  const std::string mode = proof.value("--mode");
  if (const char* repro = std::getenv("COFLOW_REPRO"))
    run_alone(proof, repro);
  else if (mode == "storms")
    storms(proof);
  else if (mode == "short")
    short_calls(proof);
  else if (mode == "emfile")
    starved_accepts(proof);
  else if (mode == "sigpipe")
    broken_pipes(proof);
  else if (mode == "controls")
    controls(proof);
  else {
    if (proof.value("--world") == "tls")
      tls_controls(proof);
    else
      controls(proof);
    sweep(proof);
  }
  return proof.end();
}
