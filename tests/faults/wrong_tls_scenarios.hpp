#pragma once

// Scenarios over TLS that are wrong, each in a way of its own.

#include <coflow/core.hpp>
#include <coflow/tls/openssl.hpp>
#include <optional>
#include <utility>

#include "faults/scenarios.hpp"
#include "faults/tls_scenarios.hpp"

namespace faults {

// Whoever takes the end of the connection for the end of the stream can be cut short.
inline task<> takes_a_cut_for_an_end(stage* on) {
  co_await meet<careless_tls_world>(on, s2_client<careless_tls_world>, s2_server<careless_tls_world>);
}

// OpenSSL's memory counts like that of operator new.
inline task<> leaks_a_tls_session(stage* on) {
  static std::optional<coflow::openssl_engine> kept;  // until the program ends
  co_await s1<tls_world>(on);
  kept.emplace(std::move(*tls_contexts::all().client.client_engine("localhost")));
}

inline constexpr scenario all_wrong_over_tls[] = {
    {"S101", takes_a_cut_for_an_end},
    {"S102", leaks_a_tls_session},
};

}  // namespace faults
