#include "coflow/net/standard_streams.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/net.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::error;
using coflow::fd_flow;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;

bool blocks(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

struct ran {
  int code = 0;  // the exit code, or minus the signal that ended it
  std::string said;
};

// Runs `body` in a child process whose standard input is a pipe with `input` in it and whose standard output is a pipe
// that is read to its end.
ran in_child(int (*body)(), std::string_view input) {
  int to[2];
  int from[2];
  if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0)
    throw std::system_error(errno, std::system_category(), "pipe2");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(SIGABRT, SIG_DFL);
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(to[0], 0);
    ::dup2(from[1], 1);
    for (const int fd : {to[0], to[1], from[0], from[1]}) ::close(fd);
    int code = 99;
    try {
      code = body();
    } catch (...) {
    }
    ::_exit(code);
  }
  ::close(to[0]);
  ::close(from[1]);
  ran outcome;
  if (::write(to[1], input.data(), input.size()) != static_cast<ssize_t>(input.size())) outcome.said = "?";
  ::close(to[1]);
  char some[4096];
  for (ssize_t got = 0; (got = ::read(from[0], some, sizeof some)) > 0;)
    outcome.said.append(some, static_cast<std::size_t>(got));
  ::close(from[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return outcome;
}

// ---- what the children do; each failure has a code of its own

task<int> copy(fd_flow* flow) {
  for (;;) {
    read_result got = co_await flow->read();
    if (got.eof()) break;
    if (!got) co_return 11;
    const result<void> sent = co_await flow->write(std::move(*got));
    if (!sent) co_return 12;
  }
  co_await flow->shutdown(shutdown_mode::write);
  const result<void> late = co_await flow->write(buffer("late"));
  if (late || late.error() != error::closed) co_return 13;
  co_return 0;
}

int copy_and_give_back() {
  {
    result<fd_flow> made = coflow::standard_streams();
    if (!made) return 20;
    if (blocks(0) || blocks(1)) return 21;
    if (const int code = coflow::run(copy(&*made)); code != 0) return code;
    if (!is_open(1)) return 22;
  }
  if (!is_open(0) || !is_open(1)) return 23;
  if (!blocks(0) || !blocks(1)) return 24;
  return ::write(1, " bye", 4) == 4 ? 0 : 25;
}

task<int> say_and_close(fd_flow* flow, const char* text) {
  const result<void> sent = co_await flow->write(buffer(text));
  co_await flow->close();
  co_return sent ? 0 : 31;
}

int take_twice() {
  ::fcntl(1, F_SETFL, ::fcntl(1, F_GETFL) | O_NONBLOCK);
  for (int round = 0; round < 2; ++round) {
    result<fd_flow> first = coflow::standard_streams();
    if (!first) return 40;
    const result<fd_flow> second = coflow::standard_streams();
    if (second || second.error() != std::errc::device_or_resource_busy) return 41;
    if (blocks(0)) return 42;
    if (const int code = coflow::run(say_and_close(&*first, "x")); code != 0) return code;
    // After the close of the first, which may live on.
    result<fd_flow> third = coflow::standard_streams();
    if (!third) return 43;
    static_cast<void>(third->release());
    if (!coflow::standard_streams()) return 44;
  }
  if (!blocks(0)) return 45;
  return blocks(1) ? 46 : 0;  // it was found so
}

int start_without_input() {
  ::close(0);
  for (int round = 0; round < 2; ++round) {
    const result<fd_flow> made = coflow::standard_streams();
    if (made || made.error() != coflow::from_system(EBADF)) return 50;
    if (!blocks(1)) return 51;
  }
  return 0;
}

int write_to_nobody() {
  int ends[2];
  if (::pipe(ends) != 0) return 60;
  ::dup2(ends[1], 1);
  ::close(ends[0]);
  ::close(ends[1]);
  result<fd_flow> made = coflow::standard_streams();
  if (!made) return 61;
  const int code = coflow::run(copy(&*made));
  return code == 12 ? 0 : 62;
}

}  // namespace

TEST_CASE("the standard streams are a flow and are given back as they were", "[standard_streams]") {
  const ran outcome = in_child(copy_and_give_back, "hello");
  CHECK(outcome.code == 0);
  CHECK(outcome.said == "hello bye");
}

TEST_CASE("there is one flow of the standard streams at a time", "[standard_streams]") {
  const ran outcome = in_child(take_twice, "");
  CHECK(outcome.code == 0);
  CHECK(outcome.said == "xx");
}

TEST_CASE("a program that was started without standard input gets an error", "[standard_streams]") {
  CHECK(in_child(start_without_input, "").code == 0);
}

TEST_CASE("a standard output that nobody reads is an error and no signal", "[standard_streams]") {
  CHECK(in_child(write_to_nobody, "anything").code == 0);
}
