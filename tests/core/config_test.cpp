#include "coflow/core/config.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "support/catch.hpp"

TEST_CASE("the version is one number that grows with each of its parts", "[config]") {
  STATIC_REQUIRE(COFLOW_VERSION == COFLOW_VERSION_MAJOR * 10000 + COFLOW_VERSION_MINOR * 100 + COFLOW_VERSION_PATCH);
#if COFLOW_VERSION < 100
  FAIL("the preprocessor can compare versions");
#endif
}

TEST_CASE("the version as text says the same as the numbers", "[config]") {
  const std::string text = std::to_string(COFLOW_VERSION_MAJOR) + "." + std::to_string(COFLOW_VERSION_MINOR) + "." +
                           std::to_string(COFLOW_VERSION_PATCH);
  CHECK(text == COFLOW_VERSION_STRING);
}

TEST_CASE("an assertion that holds is evaluated once and does nothing", "[config]") {
  int evaluated = 0;
  COFLOW_ASSERT(++evaluated == 1, "never said");
#ifdef NDEBUG
  CHECK(evaluated == 0);
#else
  CHECK(evaluated == 1);
#endif
}

#ifndef NDEBUG
TEST_CASE("an assertion that fails says what the caller did wrong and aborts", "[config]") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);  // Catch2's handler would report from the child
    dup2(ends[1], STDERR_FILENO);
    COFLOW_ASSERT(1 > 2, "one is not more than two");
    _exit(0);
  }
  close(ends[1]);
  char said[512];
  std::string text;
  for (ssize_t count = 0; (count = read(ends[0], said, sizeof(said))) > 0;)
    text.append(said, static_cast<std::size_t>(count));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
  CHECK(text.find("one is not more than two") != std::string::npos);
  CHECK(text.find("config_test.cpp:") != std::string::npos);
}
#endif
