/// \file
/// The library's version and its one checked-precondition macro.
#pragma once

#include <cstdio>
#include <cstdlib>

#define COFLOW_VERSION_MAJOR 0
#define COFLOW_VERSION_MINOR 1
#define COFLOW_VERSION_PATCH 0

/// The version as one number that grows: major * 10000 + minor * 100 + patch.
#define COFLOW_VERSION (COFLOW_VERSION_MAJOR * 10000 + COFLOW_VERSION_MINOR * 100 + COFLOW_VERSION_PATCH)
#define COFLOW_VERSION_STRING "0.1.0"

/// COFLOW_ASSERT(condition, "what the caller did wrong") ends the program with that message unless NDEBUG is defined.
/// It guards mistakes of the program alone (a flow used on a foreign thread), never anything a peer can cause, and the
/// code behind it stays defined when the check is compiled out.
#ifdef NDEBUG
#define COFLOW_ASSERT(condition, message) static_cast<void>(0)
#else
#define COFLOW_ASSERT(condition, message) \
  static_cast<void>((condition) || (::coflow::detail::assertion_failed(message, __FILE__, __LINE__), false))
#endif

namespace coflow::inline v0 {
namespace detail {

[[noreturn]] inline void assertion_failed(const char* message, const char* file, int line) noexcept {
  std::fprintf(stderr, "coflow: %s (%s:%d)\n", message, file, line);
  std::abort();
}

}  // namespace detail
}  // namespace coflow::inline v0
