/// \file
/// Running one task, and a program made of one task, on an event loop of its own.
#pragma once

#include <concepts>
#include <cstdio>
#include <exception>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/async/run.hpp"
#include "coflow/core/task.hpp"
#include "coflow/net/event_loop.hpp"

namespace coflow::inline v0 {

/// Runs `body` to its end on an event loop made for it, and gives what it gives. Throws what the task throws, and
/// std::system_error if there can be no event loop.
template <class T>
T run(task<T> body) {
  event_loop loop;
  return run(loop, std::move(body));
}

/// The body of `main`: runs `body` on an event loop of its own and gives the exit code.
/// A task of an integer gives that; one of a `result` gives 0, or 1 after printing the `message()` of its error as one
/// line on stderr; so does an exception.
template <class T>
[[nodiscard]] int run_main(task<T> body) noexcept {
  try {
    if constexpr (std::is_void_v<T>) {
      run(std::move(body));
      return 0;
    } else if constexpr (std::integral<T>) {
      return static_cast<int>(run(std::move(body)));
    } else {
      const T outcome = run(std::move(body));
      if (outcome.has_value()) return 0;
      const auto failure = outcome.error();
      std::fprintf(stderr, "error: %s\n", failure.message().c_str());
      return 1;
    }
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "error: %s\n", thrown.what());
  } catch (...) {
    std::fprintf(stderr, "error: an unknown exception\n");
  }
  return 1;
}

}  // namespace coflow::inline v0
