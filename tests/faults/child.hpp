#pragma once

// A process of its own for what cannot be taken back: limits, dispositions of signals.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace faults {

/// Runs `body()` in a child, which ends with the status that it gives; gives what came of it, "" for 0.
template <class Body>
[[nodiscard]] std::string in_a_child(Body body) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child < 0) return "there is no child";
  if (child == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    const int status = body();
    std::fflush(stdout);
    ::_exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return "ended with status " + std::to_string(WEXITSTATUS(status));
  return "";
}

}  // namespace faults
