#pragma once

// What the program can do; each has a ctest of its own.

#include <span>
#include <string>
#include <string_view>

#include "faults/run.hpp"
#include "support/proof.hpp"

namespace faults {

/// Runs a plan and counts it; says what it breaks, with the words that run it again.
outcome check(support::proof& proof, const plan& of, const world& in, const scenario& what);

/// The worlds that the options ask for: those with TLS, or all others. OpenSSL's handshakes take their time, so that
/// they have a run of their own, and in a short one do without a second reactor, which is shown to be like the first.
[[nodiscard]] inline std::span<const world> chosen_worlds(const support::proof& proof) {
  if (proof.value("--world") != "tls") return worlds();
  return tls_worlds().first(proof.has("--long") || tls_worlds().empty() ? tls_worlds().size() : 1);
}

void sweep(support::proof& proof);
void storms(support::proof& proof);
void short_calls(support::proof& proof);
void starved_accepts(support::proof& proof);
void broken_pipes(support::proof& proof);
void controls(support::proof& proof);
void tls_controls(support::proof& proof);

/// True where sanitizers make everything slow.
[[nodiscard]] constexpr bool sanitized() noexcept {
#if defined(__SANITIZE_ADDRESS__)
  return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  return true;
#else
  return false;
#endif
#else
  return false;
#endif
}

}  // namespace faults
