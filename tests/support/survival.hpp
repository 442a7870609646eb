#pragma once

// What survives a test case is a defect of it. A Catch2 listener (survival.cpp) looks around every test case of
// coflow_tests, once for each way through its sections, and fails the case that leaves behind
//
//   - an open descriptor, or closes one that it did not open,
//   - a live coroutine frame,
//   - a live allocation: made by operator new while the body ran, not by Catch2, and not freed when it ended. The
//   blocks
//     that coflow's pool keeps are given back first. Not looked at if the case has failed anyway.
//
// and ends the program, with the name of the case, when one runs longer than 60 s (300 s under a sanitizer), or than
// the environment's COFLOW_HANG_LIMIT in seconds; 0 means no limit. Each check has a test that must trip it:
// tests/core/survival_test.cpp.
//
// A generator of GENERATE outlives the test case and looks like a leak; use a loop.

#include <cstdint>

namespace support {

#if defined(__SANITIZE_THREAD__)
#define COFLOW_TEST_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COFLOW_TEST_UNDER_TSAN 1
#endif
#endif

// Under the thread sanitizer, whose runtime has an operator new of its own, allocations are not counted.
#ifdef COFLOW_TEST_UNDER_TSAN
inline constexpr bool counts_allocations = false;
#else
inline constexpr bool counts_allocations = true;
#endif

// How many times operator new has been called by this process, by coflow, the test and Catch2 alike; 0 for ever where
// counts_allocations is false. No CHECK may stand between two calls that are compared.
[[nodiscard]] std::uint64_t allocation_count() noexcept;

// While one lives, one call of operator new fails: the one behind so many others of this thread, Catch2's own aside.
// The blocks that coflow's pool keeps are given back first. None fails where counts_allocations is false.
class failing_allocation {
 public:
  explicit failing_allocation(std::int64_t behind) noexcept;
  failing_allocation(const failing_allocation&) = delete;
  failing_allocation& operator=(const failing_allocation&) = delete;
  ~failing_allocation();
  [[nodiscard]] bool has_struck() const noexcept;
};

// While one lives, what this thread allocates may outlive the test case: for things that are made once for the whole
// program.
class lasting_allocations {
 public:
  lasting_allocations() noexcept;
  lasting_allocations(const lasting_allocations&) = delete;
  lasting_allocations& operator=(const lasting_allocations&) = delete;
  ~lasting_allocations();
};

}  // namespace support
