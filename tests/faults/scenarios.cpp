#include "faults/scenarios.hpp"

#include "faults/layered_scenarios.hpp"
#include "faults/other_scenarios.hpp"
#include "faults/plain_scenarios.hpp"
#include "faults/worlds.hpp"
#include "faults/wrong_scenarios.hpp"

namespace faults {
namespace {

template <class W>
constexpr scenario all_of[] = {
    {"S1", s1<W>},
    {"S2", s2<W>},
    {"S3", s3<W>},
    {"S4", s4<W, 3'000>},
    {"S5", s5<W>},
    {"S6", s6<W>},
    {"S7", s7<W>},
    {"S8", s8<W, secure>},
    {"S8-frames", s8<W, framed>},
    {"S9", s9<W, secure>},
    {"S9-frames", s9<W, framed>},
    {"S10", s10<W>},
    {"S11", s11<W>},
    {"S12", s12<W>},
    {"S13", s13<W>},
    {"S14", s14<W>},
    {"S15", s15<W>},
    {"S4-few", s4<W, 30>},
    {"S4-many", s4<W, 10'000>},
};

template <class W>
constexpr scenario without_resets[] = {
    {"S1", s1<W>},         {"S2", s2<W>},   {"S3", s3<W>},   {"S4", s4<W, 3'000>}, {"S5", s5<W>},   {"S7", s7<W>},
    {"S8", s8<W, secure>}, {"S11", s11<W>}, {"S12", s12<W>}, {"S13", s13<W>},      {"S14", s14<W>}, {"S15", s15<W>},
};

std::unique_ptr<coflow::event_loop> with_epoll() {
  return std::make_unique<coflow::event_loop>(coflow::reactor::epoll);
}
std::unique_ptr<coflow::event_loop> with_poll() { return std::make_unique<coflow::event_loop>(coflow::reactor::poll); }

constexpr world all_worlds[] = {
    {"tcp", "epoll", with_epoll, all_of<tcp_world>},
    {"tcp", "poll", with_poll, all_of<tcp_world>},
    {"unix", "epoll", with_epoll, without_resets<unix_world>},
};

}  // namespace

std::span<const world> worlds() { return all_worlds; }

#ifndef COFLOW_WITH_OPENSSL
std::span<const world> tls_worlds() { return {}; }
std::span<const scenario> wrong_tls_scenarios() { return {}; }
#endif

const world* find_world(const plan& of) {
  for (const std::span<const world> some : {worlds(), tls_worlds()})
    for (const world& one : some)
      if (one.name == of.world && one.reactor == of.reactor) return &one;
  return nullptr;
}
const scenario* find_scenario(const world& in, std::string_view name) {
  for (const scenario& one : in.scenarios)
    if (one.name == name) return &one;
  return nullptr;
}
std::span<const scenario> wrong_scenarios() { return all_wrong; }

}  // namespace faults
