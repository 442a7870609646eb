/// \file
/// The program's standard input and output as a flow.
#pragma once

#include <atomic>
#include <system_error>
#include <utility>

#include "coflow/core/flow_handle.hpp"
#include "coflow/core/result.hpp"
#include "coflow/net/detail/fd_stream.hpp"
#include "coflow/net/fd_flow.hpp"

namespace coflow::inline v0 {
namespace detail {

// Default visibility, so that several shared libraries agree on it.
[[gnu::visibility("default")]] inline std::atomic<bool> standard_streams_taken{false};

}  // namespace detail

/// The flow that reads from descriptor 0 and writes to descriptor 1.
///
/// They are borrowed: the flow's close, or its end, leaves them open and gives them back as they were found. Until then
/// they do not block, nor does standard error where it is the same terminal: what prints past the flow meanwhile
/// (printf, std::cout) may fail with EAGAIN. `shutdown(write)` tells a pipe's reader nothing; it hears the end when the
/// program ends.
///
/// There is one at a time in the process: while it is open, another call gives `std::errc::device_or_resource_busy`.
/// Other errors: what `fd_flow::adopt` gives, such as EBADF if the program was started without one of the two.
/// Throws std::bad_alloc.
[[nodiscard]] inline result<fd_flow> standard_streams() {
  flow_handle fresh(new detail::fd_stream);
  if (detail::standard_streams_taken.exchange(true, std::memory_order_acquire))
    return std::make_error_code(std::errc::device_or_resource_busy);
  fresh->claim(detail::standard_streams_taken);
  if (const std::error_code refused = fresh->take_over(0, 1, true)) return refused;
  return fd_flow(std::move(fresh));
}

}  // namespace coflow::inline v0
