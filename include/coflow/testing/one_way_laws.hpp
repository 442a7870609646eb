/// \file
/// The law suite for flows that go one way: sources, which only give, and sinks, which only take.
///
///     auto report = coflow::check_source([] { return coflow::string_source("abc"); }, "abc");
///     auto other = coflow::check_sink([] { return coflow::string_sink(); }, [](auto& sink) { return sink.text(); });
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "coflow/core/awaitable.hpp"
#include "coflow/memory/memory_pipe.hpp"
#include "coflow/testing/checked_flow.hpp"
#include "coflow/testing/finding.hpp"
#include "coflow/testing/law_runner.hpp"
#include "coflow/testing/one_way_run.hpp"
#include "coflow/testing/sink_laws.hpp"
#include "coflow/testing/source_laws.hpp"
#include "coflow/testing/virtual_executor.hpp"

namespace coflow::inline v0 {
namespace laws {

/// Makes flows of one kind, and looks into sinks.
template <class Make, class Received>
class one_way_run_of final : public one_way_run {
 public:
  one_way_run_of(Make& make, Received& received, std::string text)
      : one_way_run(std::move(text)), looking_(received), make_(make) {}
  ~one_way_run_of() = default;

  task<> make(checked_flow* into) override { return making(this, into); }
  std::string received(checked_flow& sink) override {
    static_cast<void>(sink->unread());
    return looking_.seen;
  }

 private:
  // Looks at what has arrived in the flow itself, where its type is known.
  class looking {
   public:
    explicit looking(Received& received) noexcept : received_(received) {}
    template <class F>
    std::size_t unread(F& flow) {
      seen = received_(flow);
      return seen.size();
    }
    std::string seen;

   private:
    Received& received_;
  };
  using given = std::invoke_result_t<Make&>;

  template <class F>
  static checked_flow under_check(F flow, looking& with) {
    return checked_flow(std::make_unique<subject_of<F, looking>>(std::move(flow), with));
  }
  static task<> making(one_way_run_of* self, checked_flow* into) {
    if constexpr (awaitable<given>) {
      auto flow = co_await self->make_();
      *into = under_check(std::move(flow), self->looking_);
    } else {
      *into = under_check(self->make_(), self->looking_);
      co_return;
    }
  }

  looking looking_;
  Make& make_;
};

/// Runs some laws, each on an executor of its own.
template <drivable_executor E, class Make, class Received>
[[nodiscard]] report check_one_way(std::span<const one_way_law> all, Make& make, Received& received,
                                   const std::string& text, const law_options& options) {
  report found;
  const auto no_pair = [] { return memory_pipe(); };
  for (const one_way_law& one : all) {
    if (!options.wants(law{one.id, one.check})) continue;
    if (one.cancels && !options.cancellation()) {
      found.skip(one.check, "operations do not hear of stop requests");
      continue;
    }
    const std::string reproduce = "law_options().only(\"" + std::string(one.check) + "\")";
    const check_in_progress now(one.id, one.check, reproduce, found);
    one_way_run_of<Make, Received> run(make, received, text);
    law_runner<E, const decltype(no_pair)> runner(no_pair, options, found);
    runner.begin_executor();
    runner.run(one.body(run));
  }
  return found;
}

}  // namespace laws

/// Checks whether the flows that `make` gives are sources of `text`: flows whose reads give that and then eof, and keep
/// the laws about reading. What writes do is not looked at.
///
/// `make()` gives a fresh flow, or something awaitable that gives it; it is called again and again, on a fresh executor
/// of type `E` for each check. Of the options those about back-pressure and goodbyes mean nothing here.
template <drivable_executor E = virtual_executor, class Make>
[[nodiscard]] report check_source(Make make, const std::string& text, const law_options& options = law_options()) {
  auto nothing = [](auto&) { return std::string(); };
  return laws::check_one_way<E>(laws::source_laws(), make, nothing, text, options);
}

/// Checks whether the flows that `make` gives are sinks: flows that keep what is written to them, without an end, and
/// the laws about writing. `received(flow)` gives what a flow has taken so far, as a string, also when it is closed.
/// What reads do is not looked at, but for the error `closed` after a close (law C1).
template <drivable_executor E = virtual_executor, class Make, class Received>
[[nodiscard]] report check_sink(Make make, Received received, const law_options& options = law_options()) {
  return laws::check_one_way<E>(laws::sink_laws(), make, received, std::string(), options);
}

}  // namespace coflow::inline v0
