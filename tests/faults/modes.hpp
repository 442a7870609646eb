#pragma once

// What the program can do; each has a ctest of its own.

#include <string>
#include <string_view>

#include "faults/run.hpp"
#include "support/proof.hpp"

namespace faults {

/// Runs a plan and counts it; says what it breaks, with the words that run it again.
outcome check(support::proof& proof, const plan& of, const world& in, const scenario& what);

void sweep(support::proof& proof);
void storms(support::proof& proof);
void short_calls(support::proof& proof);
void starved_accepts(support::proof& proof);
void broken_pipes(support::proof& proof);
void controls(support::proof& proof);

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
