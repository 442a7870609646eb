/// \file
/// The ways in which an event loop learns that descriptors are ready.
#pragma once

#include "coflow/net/detail/platform.hpp"

namespace coflow::inline v0 {

/// How an event loop asks the system; chosen when the loop is made. Flows behave alike on each.
enum class reactor {
  epoll,  ///< epoll(7): a wait costs what is ready, however much is watched; Linux only
  poll,   ///< poll(2): a wait costs what is watched; every POSIX system
};

/// True if this build can make an event loop with `which`: `epoll` is there on Linux, unless COFLOW_PORTABLE is 1.
[[nodiscard]] constexpr bool is_available(reactor which) noexcept {
  return which == reactor::poll || (which == reactor::epoll && COFLOW_LINUX != 0);
}

/// What an event loop takes by itself: `epoll` where it is available, else `poll`.
inline constexpr reactor default_reactor = is_available(reactor::epoll) ? reactor::epoll : reactor::poll;

}  // namespace coflow::inline v0
