#include "coflow/net/run_main.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "coflow/core/result.hpp"
#include "support/catch.hpp"

namespace {

using coflow::result;
using coflow::task;
using namespace std::chrono_literals;

// What is written to standard error while this lives.
class captured_stderr {
 public:
  captured_stderr() : saved_(::dup(STDERR_FILENO)), file_(::memfd_create("stderr", 0)) {
    std::fflush(stderr);
    ::dup2(file_, STDERR_FILENO);
  }
  captured_stderr(const captured_stderr&) = delete;
  captured_stderr& operator=(const captured_stderr&) = delete;
  ~captured_stderr() {
    restore();
    ::close(file_);
  }
  std::string text() {
    restore();
    std::string found(4096, '\0');
    const auto size = ::pread(file_, found.data(), found.size(), 0);
    found.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return found;
  }

 private:
  void restore() {
    if (saved_ < 0) return;
    std::fflush(stderr);
    ::dup2(saved_, STDERR_FILENO);
    ::close(std::exchange(saved_, -1));
  }
  int saved_;
  int file_;
};

struct main_outcome {
  int code;
  std::string said;
};

template <class T>
main_outcome run_main_of(task<T> body) {
  captured_stderr captured;
  const int code = coflow::run_main(std::move(body));
  return main_outcome{code, captured.text()};
}

task<> nothing() { co_return; }
task<int> number(int value) { co_return value; }
task<std::unique_ptr<int>> move_only() { co_return std::make_unique<int>(5); }
task<int&> referred(int* to) { co_return *to; }
task<> throwing() {
  throw std::runtime_error("this is what went wrong");
  co_return;
}
task<> throwing_a_number() {
  throw 42;
  co_return;
}
task<> waiting() {
  const result<void> slept = co_await coflow::sleep_for(1ms);
  slept.value();
}

task<result<void>> giving_success() { co_return coflow::success; }
task<result<void>> giving_an_error() { co_return coflow::error::truncated; }
task<result<int>> giving_a_result(int value) { co_return value; }
task<result<int>> giving_a_system_error() { co_return coflow::from_system(ECONNREFUSED); }

// An error with words of its own.
class worded_error {
 public:
  worded_error() noexcept {}
  [[nodiscard]] std::string message() const { return "in words of its own"; }
};
task<result<void, worded_error>> giving_a_worded_error() { co_return coflow::unexpected(worded_error()); }

task<coflow::executor*> the_current_executor() { co_return coflow::executor::current(); }
task<coflow::executor*> the_current_executor_after(coflow::executor** inner) {
  *inner = coflow::run(the_current_executor());
  co_return coflow::executor::current();
}

task<> noting_its_end(std::error_code* end) {
  const result<void> slept = co_await coflow::sleep_for(24h);
  *end = slept.error();
}
task<> leaving_another_behind(std::error_code* end) {
  coflow::spawn(*coflow::executor::current(), noting_its_end(end));
  const result<void> slept = co_await coflow::sleep_for(1ms);
  slept.value();
}

// UBSan opens descriptors when it sees a class for the first time: let it see what a refused loop throws.
void show_system_error() {
  try {
    throw std::system_error(coflow::from_system(EMFILE), "shown");
  } catch (const std::exception& thrown) {
    CHECK_FALSE(std::string(thrown.what()).empty());
    CHECK(dynamic_cast<const std::system_error&>(thrown).code() == std::errc::too_many_files_open);
  }
}

// While it lives, the process can open no more than `spare` descriptors.
class descriptor_limit {
 public:
  explicit descriptor_limit(int spare) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    std::vector<int> probes;
    for (int i = 0; i <= spare; ++i) probes.push_back(::dup(STDERR_FILENO));
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(probes.back());
    for (const int probe : probes) ::close(probe);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  descriptor_limit(descriptor_limit&& other) noexcept
      : before_(other.before_), lifted_(std::exchange(other.lifted_, true)) {}
  ~descriptor_limit() {
    if (!lifted_) ::setrlimit(RLIMIT_NOFILE, &before_);
  }

 private:
  rlimit before_{};
  bool lifted_ = false;
};

// The limit holds until the task's frame is destroyed, be it that the task never ran.
task<> nothing_within(descriptor_limit) { co_return; }

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 4096; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("run on a loop of its own gives what the task gives", "[run_main]") {
  coflow::run(nothing());
  coflow::run(waiting());
  CHECK(coflow::run(number(42)) == 42);
  CHECK(*coflow::run(move_only()) == 5);
  int place = 1;
  CHECK(&coflow::run(referred(&place)) == &place);
}

TEST_CASE("run on a loop of its own throws what the task throws", "[run_main]") {
  CHECK_THROWS_AS(coflow::run(throwing()), std::runtime_error);
  CHECK_THROWS_AS(coflow::run(throwing_a_number()), int);
}

TEST_CASE("the loop of run is the current executor inside the task, and not after it", "[run_main]") {
  CHECK(coflow::run(the_current_executor()) != nullptr);
  CHECK(coflow::executor::current() == nullptr);
}

TEST_CASE("a run inside a run has a loop of its own and gives the other one back", "[run_main]") {
  coflow::executor* inner = nullptr;
  coflow::executor* const outer = coflow::run(the_current_executor_after(&inner));
  CHECK(inner != nullptr);
  CHECK(outer != nullptr);
  CHECK(outer != inner);
  CHECK(coflow::executor::current() == nullptr);
}

TEST_CASE("what a task leaves behind is completed with closed when run ends", "[run_main]") {
  std::error_code end;
  coflow::run(leaving_another_behind(&end));
  CHECK(end == coflow::error::closed);
}

TEST_CASE("run throws a system error when there are no descriptors for a loop, and leaks none", "[run_main]") {
  show_system_error();
  for (const int spare : {0, 1}) {
    CAPTURE(spare);
    std::error_code refused;
    const int before = open_descriptors();
    try {
      coflow::run(nothing_within(descriptor_limit(spare)));
    } catch (const std::system_error& thrown) {
      refused = thrown.code();
    }
    CHECK(refused == std::errc::too_many_files_open);
    CHECK(open_descriptors() == before);
  }
  coflow::run(nothing_within(descriptor_limit(2)));
}

TEST_CASE("run_main gives zero for a task of nothing", "[run_main]") {
  const main_outcome came = run_main_of(nothing());
  CHECK(came.code == 0);
  CHECK(came.said.empty());
}

TEST_CASE("run_main gives the number of a task of a number", "[run_main]") {
  CHECK(run_main_of(number(0)).code == 0);
  const main_outcome came = run_main_of(number(42));
  CHECK(came.code == 42);
  CHECK(came.said.empty());
}

TEST_CASE("run_main gives zero for a success", "[run_main]") {
  const main_outcome nothing_came = run_main_of(giving_success());
  CHECK(nothing_came.code == 0);
  CHECK(nothing_came.said.empty());
  const main_outcome number_came = run_main_of(giving_a_result(42));
  CHECK(number_came.code == 0);
  CHECK(number_came.said.empty());
}

TEST_CASE("run_main gives one for an error and says it in one line", "[run_main]") {
  const main_outcome ours = run_main_of(giving_an_error());
  CHECK(ours.code == 1);
  CHECK(ours.said == "error: the stream was cut off before its end\n");
  const main_outcome systems = run_main_of(giving_a_system_error());
  CHECK(systems.code == 1);
  CHECK(systems.said == "error: Connection refused\n");
}

TEST_CASE("run_main prints what the error itself has to say", "[run_main]") {
  const main_outcome outcome = run_main_of(giving_a_worded_error());
  CHECK(outcome.code == 1);
  CHECK(outcome.said == "error: in words of its own\n");
}

TEST_CASE("run_main gives one for an exception and says it in one line", "[run_main]") {
  const main_outcome known = run_main_of(throwing());
  CHECK(known.code == 1);
  CHECK(known.said == "error: this is what went wrong\n");
  const main_outcome unknown = run_main_of(throwing_a_number());
  CHECK(unknown.code == 1);
  CHECK(unknown.said == "error: an unknown exception\n");
}

TEST_CASE("run_main gives one when there are no descriptors for a loop", "[run_main]") {
  show_system_error();
  captured_stderr captured;
  const int code = coflow::run_main(nothing_within(descriptor_limit(0)));
  CHECK(captured.text() == "error: cannot make an event loop: Too many open files\n");
  CHECK(code == 1);
}
