// Peers that mean harm, over the kernel: resets with data in front of them, garbage, silence, floods, crowds. The
// laws hold all the same, and others on the same loop are served.
//
//     hostile [--long] [--only SWEEP]

#include <sys/resource.h>

#include <cstdio>
#include <string>

#include "hostile/crowds.hpp"
#include "hostile/garbage.hpp"
#include "hostile/resets.hpp"
#include "hostile/silence.hpp"
#include "support/proof.hpp"

namespace hostile {
namespace {

/// Runs a sweep over something with a defect: it must fail.
template <class Wire>
task<> expect_failures(ground<Wire>* on, task<> sweep, const char* what) {
  const std::size_t failed = on->failed;
  on->muted = true;
  co_await std::move(sweep);
  on->muted = false;
  const bool seen = on->failed != failed;
  on->check(seen, "defects", std::string("goes unseen: ") + what);
}

template <class Wire>
task<> sweep_all(ground<Wire>* on) {
  if (on->wanted("resets")) {
    co_await sweep_resets<plain>(on);
    co_await sweep_resets<through_layer>(on);
    co_await sweep_resets<through_any>(on);
    co_await sweep_resets<through_frames>(on);
    on->proof.part("resets");
    co_await expect_failures(on, sweep_resets<laundered>(on), laundered::name);
    on->proof.part("resets that are laundered are seen");
  }
  if (on->wanted("cut frames")) {
    co_await sweep_cuts(on);
    on->proof.part("frames that are cut");
  }
  if (on->wanted("long frames")) {
    co_await sweep_lengths(on);
    on->proof.part("frames that are too long");
  }
  if (on->wanted("bit flips")) {
    const std::string session = co_await record_session();
    const std::string whole = "what is said in confidenceand more";
    co_await sweep_flips(on, session, whole, &play_secure<Wire>);
    on->proof.part("a recorded session with something wrong at each byte");
    const std::string plain_session = framed_session();
    const std::string plain_whole = "what is saidx" + std::string(40, 'y');
    co_await expect_failures(on, sweep_flips(on, plain_session, plain_whole, &play_frames<Wire>),
                             "a codec that authenticates nothing");
    on->proof.part("a codec that authenticates nothing is seen");
  }
  if (on->wanted("urgent data")) {
    co_await sweep_urgent(on);
    on->proof.part("urgent data");
  }
  if (on->wanted("silent peers")) {
    co_await sweep_silent(on);
    on->proof.part("peers that never speak");
  }
  if (on->wanted("half-open peers")) {
    co_await sweep_half_open(on);
    on->proof.part("half-open peers");
  }
  if (on->wanted("peers that never read")) {
    co_await sweep_full<plain>(on);
    co_await sweep_full<through_layer>(on);
    co_await sweep_full<through_any>(on);
    on->proof.part("peers that never read");
  }
  if (on->wanted("goodbyes")) {
    co_await sweep_goodbyes(on);
    on->proof.part("goodbyes to peers that never read");
  }
  if (on->wanted("backlog")) {
    co_await sweep_backlog(on);
    on->proof.part("more connections than the backlog");
  }
}

template <class Wire>
void sweep(support::proof& proof) {
  ground<Wire> on(proof);
  {
    const auto loop = Wire::make_loop();
    coflow::run(*loop, sweep_all(&on));
  }
  if (support::loop_reactor != coflow::default_reactor) return;
  sweep_crowds(on);
  proof.part("slow lorises and floods");
}

}  // namespace
}  // namespace hostile

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
  }
  hostile::sweep<support::tcp_wire>(proof);
  support::loop_reactor = coflow::reactor::poll;  // what is about numbers is not for poll
  hostile::sweep<support::tcp_wire>(proof);
  return proof.end();
}
