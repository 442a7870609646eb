/// \file
/// The calls to the operating system that concern signals. Every function gives a non-negative value, or minus the
/// errno value.
#pragma once

#include <signal.h>

#include <cerrno>

#include "coflow/net/detail/platform.hpp"

namespace coflow::inline v0 {
namespace detail::sys {

/// What the process does about a signal.
using signal_action = struct sigaction;

/// True for signals whose arrival can be waited for: the system lets them be caught, and a handler that returns does
/// not bring them about again at once.
[[nodiscard]] inline bool can_be_watched(int number) noexcept {
  if (number < 1 || number > 64) return false;
  switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
      return false;
    default:
      return true;
  }
}

/// Has `handler` called for the signal `number`; what was done about it before is kept in `before`. Other system calls
/// of the program are restarted where the system can do that.
[[nodiscard]] inline int catch_signal(int number, void (*handler)(int), signal_action& before) noexcept {
  signal_action action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  return checked(::sigaction(number, &action, &before));
}

/// Does about the signal what was done before, unless somebody else has replaced `handler` meanwhile.
inline void release_signal(int number, void (*handler)(int), const signal_action& before) noexcept {
  signal_action present{};
  if (::sigaction(number, nullptr, &present) != 0) return;
  if ((present.sa_flags & SA_SIGINFO) != 0 || present.sa_handler != handler) return;
  static_cast<void>(::sigaction(number, &before, nullptr));
}

}  // namespace detail::sys
}  // namespace coflow::inline v0
