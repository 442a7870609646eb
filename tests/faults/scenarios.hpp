#pragma once

// Every scenario in every world.

#include <coflow/core/task.hpp>
#include <coflow/net/event_loop.hpp>
#include <memory>
#include <span>
#include <string_view>

#include "faults/stage.hpp"

namespace faults {

struct scenario {
  std::string_view name;
  coflow::task<> (*body)(stage*);
};

struct world {
  std::string_view name;
  std::string_view reactor;
  std::unique_ptr<coflow::event_loop> (*loop)();
  std::span<const scenario> scenarios;
};

[[nodiscard]] std::span<const world> worlds();
/// Those with TLS; none where OpenSSL is not.
[[nodiscard]] std::span<const world> tls_worlds();
[[nodiscard]] const world* find_world(const plan& of);
[[nodiscard]] const scenario* find_scenario(const world& in, std::string_view name);

/// Scenarios that are wrong, each in a way of its own: what finds the faults must find these.
[[nodiscard]] std::span<const scenario> wrong_scenarios();
[[nodiscard]] std::span<const scenario> wrong_tls_scenarios();

}  // namespace faults
