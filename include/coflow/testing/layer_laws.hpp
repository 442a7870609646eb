/// \file
/// The law suite for layers: says of whatever wraps a flow whether it keeps the laws of layers.
///
///     auto report = coflow::check_layer([](coflow::probe_flow inner) { return my_layer(std::move(inner)); });
///     if (!report) std::fputs(report.text().c_str(), stderr);
///
/// It looks at both sides of the layer: what its user gets, and what the flow below is asked. That the layer is a flow
/// that keeps the contract is another matter: `check_flow` over a pair of layers says that.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coflow/memory/memory_pipe.hpp"
#include "coflow/testing/finding.hpp"
#include "coflow/testing/law_runner.hpp"
#include "coflow/testing/layer_close_laws.hpp"
#include "coflow/testing/layer_data_laws.hpp"
#include "coflow/testing/layer_run.hpp"
#include "coflow/testing/virtual_executor.hpp"

namespace coflow::inline v0 {

/// What a caller of `check_layer` may say about its layer, and which checks to run.
class layer_options {
 public:
  layer_options() noexcept {}

  /// Runs the checks of one law ("L4"), or the one check of that name. As often as is wanted; all if never.
  layer_options& only(std::string law_or_check) {
    only_.push_back(std::move(law_or_check));
    return *this;
  }
  /// The layer changes bytes, and so orders what it writes below and ends a connection that is over (laws L3, L8). A
  /// layer that forwards operations leaves that to the flow below.
  layer_options& codec() noexcept {
    codec_ = true;
    return *this;
  }
  /// The layer is a codec whose protocol demands a goodbye: a stream without one is truncated (law L7).
  layer_options& ends_with_goodbye() noexcept {
    goodbye_ = true;
    return codec();
  }
  /// How long a close may take with a peer that does not answer; 10 s unless set.
  layer_options& close_limit(std::chrono::milliseconds time) noexcept {
    close_limit_ = time;
    return *this;
  }
  /// How long a check may take on an executor with a real clock; see `law_options`.
  layer_options& limit(std::chrono::milliseconds time) noexcept {
    limit_ = time;
    return *this;
  }

  [[nodiscard]] bool wants(const laws::layer_law& one) const {
    if (only_.empty()) return true;
    for (const std::string& name : only_)
      if (name == one.id || name == one.check) return true;
    return false;
  }
  /// Why a check is left out; empty if it is not.
  [[nodiscard]] const char* misses(laws::layer_need wanted) const noexcept {
    if (wanted == laws::layer_need::codec && !codec_) return "the layer is no codec";
    if (wanted == laws::layer_need::goodbye && !goodbye_) return "the layer's protocol has no goodbye";
    return "";
  }
  [[nodiscard]] bool is_codec() const noexcept { return codec_; }
  [[nodiscard]] std::chrono::milliseconds close_limit() const noexcept { return close_limit_; }
  [[nodiscard]] std::chrono::milliseconds limit() const noexcept { return limit_; }

 private:
  std::vector<std::string> only_;
  bool codec_ = false;
  bool goodbye_ = false;
  std::chrono::milliseconds close_limit_{10'000};
  std::chrono::milliseconds limit_{120'000};
};

namespace laws {

/// Every law of layers, in the order in which they are checked.
[[nodiscard]] inline std::vector<layer_law> all_layer_laws() {
  std::vector<layer_law> all;
  for (const std::span<const layer_law> some : {layer_close_laws(), layer_data_laws()})
    all.insert(all.end(), some.begin(), some.end());
  return all;
}

/// Runs a body that needs no pair of flows, on an executor of its own.
template <drivable_executor E>
void run_alone(task<> body, const law_options& options, report& into) {
  const auto no_pair = [] { return memory_pipe(); };
  law_runner<E, const decltype(no_pair)> runner(no_pair, options, into);
  runner.begin_executor();
  runner.run(std::move(body));
}

}  // namespace laws

/// Checks whether the layers that `wrap` makes keep the laws of layers (L2 to L9, L11, L12, W3), and reports every law
/// that they break.
///
/// `wrap(inner)`, or `wrap(inner, end)` where the ends differ, takes a `probe_flow` and gives the layer around it, a
/// `result` of one, or something awaitable that gives either, such as a handshake. It is called for both ends of a
/// connection at once, again and again, on a fresh executor of type `E` for each check. Two layers of the same kind
/// are to write the same number of bytes for the same operations.
template <drivable_executor E = virtual_executor, class Wrap>
[[nodiscard]] report check_layer(Wrap wrap, const layer_options& options = layer_options()) {
  report found;
  const law_options limits = law_options().limit(options.limit());
  for (const laws::layer_law& one : laws::all_layer_laws()) {
    if (!options.wants(one)) continue;
    if (const std::string why = options.misses(one.needs); !why.empty()) {
      found.skip(one.check, why);
      continue;
    }
    const std::string reproduce = "layer_options().only(\"" + std::string(one.check) + "\")";
    const laws::check_in_progress now(one.id, one.check, reproduce, found);
    laws::layer_run_of<Wrap> run(wrap, options.close_limit(), options.is_codec());
    laws::run_alone<E>(one.body(run), limits, found);
  }
  return found;
}

}  // namespace coflow::inline v0
