/// \file
/// Finding out, at the end of a stream, whether what a flow has accepted early has gone out.
#pragma once

#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/awaitable.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/fallible.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/next_layer.hpp"

namespace coflow::inline v0 {
namespace detail {

template <class F>
concept has_flush = requires(F& flow) {
  { flow.flush() } -> awaitable;
};

/// True for flows that accept writes early (law W1), or stand on one that does.
template <class F>
[[nodiscard]] consteval bool accepts_early() noexcept {
  if constexpr (has_flush<F>)
    return true;
  else if constexpr (has_next_layer<F>)
    return accepts_early<std::remove_reference_t<decltype(std::declval<F&>().next_layer())>>();
  else
    return false;
}

/// The error of something that has failed, whatever it says.
[[nodiscard]] inline std::error_code certain(const std::error_code& failure) noexcept {
  return failure ? failure : std::make_error_code(std::errc::io_error);
}

/// Flushes `flow` and what is below it, from above; gives the error that the first of them has met, or none. `flow`
/// must outlive it.
template <class F>
task<std::error_code> flush_below(F* flow) {
  if constexpr (has_flush<F>) {
    const auto sent = co_await flow->flush();
    if (!sent.has_value()) co_return certain(failure_of(sent));
  }
  if constexpr (has_next_layer<F>) {
    using below = std::remove_reference_t<decltype(flow->next_layer())>;
    if constexpr (accepts_early<below>()) {
      const std::error_code failure = co_await flush_below<below>(&flow->next_layer());
      co_return failure;
    }
  }
  co_return std::error_code();
}

}  // namespace detail
}  // namespace coflow::inline v0
