// The scenarios over TLS; without OpenSSL there are none.

#include "faults/tls_scenarios.hpp"

#include "faults/other_scenarios.hpp"
#include "faults/plain_scenarios.hpp"
#include "faults/scenarios.hpp"
#include "faults/wrong_tls_scenarios.hpp"

namespace faults {
namespace {

constexpr scenario all_over_tls[] = {
    {"S1", s1<tls_world>},
    {"S2", s2<tls_world>},
    {"S2-older", s2<older_tls_world>},
    {"S3", s3<tls_world>},
    {"S4", s4<tls_world, 3'000>},
    {"S5", s5_tls<tls_world>},
    {"S6", s6_tls<tls_world>},
    {"S7", s7<tls_world>},
    {"S8", s8<tcp_world, tls>},
    {"S9", s9<tcp_world, tls>},
    {"S10", s10_tls<tls_world>},
    {"S11", s11<tls_world>},
    {"S13", s13<tls_world>},
    {"S14", s14_tls<tcp_world>},
    {"S15", s15<tls_world>},
    {"S16", s16<distrustful_tls_world>},
};

std::unique_ptr<coflow::event_loop> with_epoll() {
  return std::make_unique<coflow::event_loop>(coflow::reactor::epoll);
}
std::unique_ptr<coflow::event_loop> with_poll() { return std::make_unique<coflow::event_loop>(coflow::reactor::poll); }

constexpr world all_tls_worlds[] = {
    {"tls", "epoll", with_epoll, all_over_tls},
    {"tls", "poll", with_poll, all_over_tls},
};

}  // namespace

std::span<const world> tls_worlds() { return all_tls_worlds; }
std::span<const scenario> wrong_tls_scenarios() { return all_wrong_over_tls; }

}  // namespace faults
