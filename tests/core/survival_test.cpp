#include "support/survival.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "coflow/core/buffer.hpp"
#include "coflow/core/task.hpp"
#include "support/catch.hpp"

// The negative controls of the survival listener: each hidden case leaves something behind, and a case below runs this
// same program with it and wants to see it fail.

namespace {

struct outcome {
  int status = 0;
  std::string said;
  [[nodiscard]] bool exited_with_failure() const { return WIFEXITED(status) && WEXITSTATUS(status) != 0; }
  [[nodiscard]] bool exited_well() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
  [[nodiscard]] bool aborted() const { return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT; }
  [[nodiscard]] bool says(const std::string& text) const { return said.find(text) != std::string::npos; }
};

// Runs one test case of this program in a process of its own.
outcome run_case(const char* name, const char* hang_limit = "60") {
  outcome result;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return result;
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    setenv("COFLOW_HANG_LIMIT", hang_limit, 1);
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // the listener is to find it
    execl("/proc/self/exe", "coflow_tests", name, "-r", "compact", static_cast<char*>(nullptr));
    _exit(127);
  }
  close(ends[1]);
  char part[4096];
  for (ssize_t count = 0; (count = read(ends[0], part, sizeof(part))) > 0;)
    result.said.append(part, static_cast<std::size_t>(count));
  close(ends[0]);
  waitpid(child, &result.status, 0);
  return result;
}

coflow::task<int> never_awaited() { co_return 1; }

std::unique_ptr<int> kept_forever;
int* volatile kept_pointer = nullptr;

}  // namespace

TEST_CASE("survival control: a descriptor is left open", "[survival][.survival_control]") {
  CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}
TEST_CASE("survival control: a foreign descriptor is closed", "[survival][.survival_control]") {
  CHECK(close(STDIN_FILENO) == 0);
}
TEST_CASE("survival control: a descriptor becomes another file", "[survival][.survival_control]") {
  close(STDIN_FILENO);
  CHECK(open("/proc/self/status", O_RDONLY) == STDIN_FILENO);
}
TEST_CASE("survival control: a coroutine frame is left alive", "[survival][.survival_control]") {
  static_cast<void>(never_awaited().release());
  CHECK(true);
}
TEST_CASE("survival control: an allocation is left alive", "[survival][.survival_control]") {
  kept_forever = std::make_unique<int>(1);
  CHECK(true);
}
TEST_CASE("survival control: an allocation is lost behind an assertion", "[survival][.survival_control]") {
  CHECK(true);
  kept_pointer = new int(1);
  kept_pointer = nullptr;
}
TEST_CASE("survival control: an allocation of the second section is lost", "[survival][.survival_control]") {
  SECTION("first") { CHECK(true); }
  SECTION("second") { kept_pointer = new int[7]; }
}
TEST_CASE("survival control: a buffer is left alive", "[survival][.survival_control]") {
  static coflow::buffer kept;
  kept = coflow::buffer("a text");
  CHECK(true);
}
TEST_CASE("survival control: a test hangs", "[survival][.survival_control]") {
  for (;;) poll(nullptr, 0, -1);
}
TEST_CASE("survival control: nothing is left behind", "[survival][.survival_control]") {
  // All that Catch2 keeps for itself.
  INFO("a message that is longer than a small string, to be kept on the heap while it is in scope");
  const std::string text = "a text that is longer than a small string";
  CAPTURE(text);
  SECTION("first section with a name that is longer than a small string") {
    CHECK(text.size() > 10);
    CHECK(text == "a text that is longer than a small string");
  }
  SECTION("second") {
    SECTION("nested") { REQUIRE_THROWS_AS(std::string().at(1), std::out_of_range); }
    CHECK_NOTHROW(text.at(1));
  }
  {
    const support::lasting_allocations lasting;
    if (!kept_forever) kept_forever = std::make_unique<int>(1);
  }
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(fd);
  const auto made = never_awaited();
  const coflow::buffer bytes(text);
}

TEST_CASE("a test that leaves nothing behind passes", "[survival]") {
  const outcome result = run_case("survival control: nothing is left behind");
  INFO(result.said);
  CHECK(result.exited_well());
}

TEST_CASE("a test that leaves a descriptor open fails", "[survival]") {
  const outcome result = run_case("survival control: a descriptor is left open");
  INFO(result.said);
  CHECK(result.exited_with_failure());
  CHECK(result.says("\"survival control: a descriptor is left open\" leaves behind"));
  CHECK(result.says(": /dev/null"));
}

TEST_CASE("a test that closes a descriptor it did not open fails", "[survival]") {
  const outcome result = run_case("survival control: a foreign descriptor is closed");
  INFO(result.said);
  CHECK(result.exited_with_failure());
  CHECK(result.says("descriptor 0 closed, which it did not open"));
}

TEST_CASE("a test that replaces a descriptor fails", "[survival]") {
  const outcome result = run_case("survival control: a descriptor becomes another file");
  INFO(result.said);
  CHECK(result.exited_with_failure());
  CHECK(result.says("descriptor 0: /proc"));
}

TEST_CASE("a test that leaves a coroutine frame alive fails", "[survival]") {
  const outcome result = run_case("survival control: a coroutine frame is left alive");
  INFO(result.said);
  CHECK(result.exited_with_failure());
  CHECK(result.says("coroutine frames: 1"));
}

TEST_CASE("a test that leaves an allocation alive fails", "[survival]") {
  const std::array<std::pair<const char*, const char*>, 4> controls{{
      {"survival control: an allocation is left alive", "allocations: 1, of 4 bytes"},
      {"survival control: an allocation is lost behind an assertion", "allocations: 1, of 4 bytes"},
      {"survival control: an allocation of the second section is lost", "allocations: 1, of 28 bytes"},
      {"survival control: a buffer is left alive", "allocations: 1, of"},
  }};
  for (const auto& [name, message] : controls) {
    const outcome result = run_case(name);
    INFO(result.said);
    CHECK(result.exited_with_failure());
    CHECK(result.says(message));
  }
}

TEST_CASE("a test that hangs ends the program with the test's name", "[survival]") {
  const outcome result = run_case("survival control: a test hangs", "0.2");
  INFO(result.said);
  CHECK(result.aborted());
  CHECK(result.says("the test case \"survival control: a test hangs\" hangs"));
}

TEST_CASE("every form of operator new is counted and aligns what it gives", "[survival]") {
  // Called as functions: a compiler may leave out the allocation of a new-expression.
  const auto aligned_to = [](const void* given, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(given) % alignment == 0;
  };
  const auto before = support::allocation_count();
  void* const plain = ::operator new(10);
  void* const array = ::operator new[](10);
  void* const quiet = ::operator new(10, std::nothrow);
  void* const quiet_array = ::operator new[](10, std::nothrow);
  void* const wide = ::operator new(10, std::align_val_t{32});
  void* const wide_array = ::operator new[](10, std::align_val_t{64});
  void* const quiet_wide = ::operator new(10, std::align_val_t{256}, std::nothrow);
  void* const nothing = ::operator new(0);
  const auto after = support::allocation_count();
  CHECK(after == before + 8);
  for (const void* one : {plain, array, quiet, quiet_array, nothing}) CHECK(aligned_to(one, alignof(std::max_align_t)));
  CHECK(aligned_to(wide, 32));
  CHECK(aligned_to(wide_array, 64));
  CHECK(aligned_to(quiet_wide, 256));
  ::operator delete(plain, std::size_t{10});
  ::operator delete[](array);
  ::operator delete(quiet);
  ::operator delete[](quiet_array);
  ::operator delete(wide, std::align_val_t{32});
  ::operator delete[](wide_array, std::size_t{10}, std::align_val_t{64});
  ::operator delete(quiet_wide, std::align_val_t{256});
  ::operator delete(nothing);
  const volatile std::size_t too_much = SIZE_MAX - 10;
  CHECK(::operator new(too_much, std::nothrow) == nullptr);
  CHECK_THROWS_AS(::operator new(too_much), std::bad_alloc);
}

TEST_CASE("what allocates nothing counts nothing", "[survival]") {
  const auto before = support::allocation_count();
  const int on_the_stack = 0;
  const auto after = support::allocation_count();
  CHECK(before == after);
  CHECK(on_the_stack == 0);
}

TEST_CASE("one allocation fails that is to", "[survival]") {
  if (!support::counts_allocations) return;
  void* taken[4];
  bool struck[4];
  {
    const support::failing_allocation one(2);
    for (int i = 0; i < 4; ++i) {
      taken[i] = ::operator new(10, std::nothrow);
      struck[i] = one.has_struck();
    }
  }
  void* const later = ::operator new(10, std::nothrow);
  for (int i = 0; i < 4; ++i) {
    CHECK((taken[i] == nullptr) == (i == 2));
    CHECK(struck[i] == (i >= 2));
    ::operator delete(taken[i]);
  }
  CHECK(later != nullptr);
  ::operator delete(later);
}
