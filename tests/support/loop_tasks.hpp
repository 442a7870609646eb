#pragma once

// What tests of the system's sockets share: running a task to its end with a limit, descriptors that close themselves,
// what operations came to as words, and child processes.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/net/event_loop.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace support {

class unique_fd {
 public:
  explicit unique_fd(int fd = -1) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd() { reset(); }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

/// A directory of its own, for the files of sockets; it is removed with what is in it.
class directory {
 public:
  directory() : path_("/tmp/coflow-test-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) throw std::system_error(errno, std::system_category(), "mkdtemp");
  }
  directory(const directory&) = delete;
  directory& operator=(const directory&) = delete;
  ~directory() {
    for (const std::string& one : given_) ::unlink(one.c_str());
    ::rmdir(path_.c_str());
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string file(std::string_view name) {
    given_.push_back(path_ + "/" + std::string(name));
    return given_.back();
  }

 private:
  std::string path_;
  std::vector<std::string> given_;
};

/// Stops a loop that would wait for ever: nothing but a lost wake-up exceeds its patience.
class watchdog final : public coflow::timer {
 public:
  explicit watchdog(coflow::event_loop& loop) : loop_(loop) { loop.arm(*this, loop.now() + std::chrono::seconds(20)); }
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog() = default;
  [[nodiscard]] bool barked() const noexcept { return barked_; }

 private:
  void run() noexcept override {
    barked_ = true;
    loop_.stop();
  }
  coflow::event_loop& loop_;
  bool barked_ = false;
};

/// Runs `body` to its end on a loop of its own. False if it would have waited for ever.
[[nodiscard]] inline bool finishes(coflow::task<> body) {
  std::exception_ptr thrown;
  bool on_time = false;
  {
    coflow::event_loop loop;
    const watchdog dog(loop);
    coflow::spawn(loop, std::move(body), [&](const coflow::task_outcome<void>& outcome) {
      if (!outcome) thrown = outcome.error();
      loop.stop();
    });
    loop.run();
    on_time = !dog.barked();
  }
  if (thrown) std::rethrow_exception(thrown);
  return on_time;
}

/// Lets everybody else run that is ready, and the loop look at its descriptors.
inline coflow::task<> loop_turns(int count) {
  for (int i = 0; i < count; ++i) {
    const coflow::result<void> slept = co_await coflow::sleep_for(std::chrono::milliseconds(0));
    slept.value();
  }
}

/// What operations came to: the data, "sent", "eof", or the error's message.
using several = std::vector<std::string>;
struct notes {
  several all;
  void operator()(const coflow::read_result& got) {
    if (got)
      all.emplace_back(got->text());
    else
      all.push_back(got.eof() ? "eof" : got.error().message());
  }
  void operator()(const coflow::result<void>& sent) { all.push_back(sent ? "sent" : sent.error().message()); }
};
inline std::string message_of(std::errc code) { return std::make_error_code(code).message(); }
inline std::string message_of(coflow::error code) { return coflow::make_error_code(code).message(); }

/// What a system call gives; throws if that is an error.
inline int checked(int outcome, const char* what) {
  if (outcome < 0) throw std::system_error(errno, std::system_category(), what);
  return outcome;
}
inline void say(const unique_fd& peer, std::string_view text, int flags = 0) {
  if (::send(peer.get(), text.data(), text.size(), flags | MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
    throw std::system_error(errno, std::system_category(), "send");
}
/// All that comes until the end, or an error: then its number is behind a '!'.
inline std::string hear_all(const unique_fd& peer) {
  std::string heard;
  std::vector<char> some(65536);
  for (;;) {
    pollfd one{peer.get(), POLLIN, 0};
    if (::poll(&one, 1, 20000) != 1) return heard + "!nothing";
    const ssize_t got = ::recv(peer.get(), some.data(), some.size(), MSG_DONTWAIT);
    if (got == 0) return heard;
    if (got < 0) return heard + "!" + std::to_string(errno);
    heard.append(some.data(), static_cast<std::size_t>(got));
  }
}

/// What `check` makes of a child process that prints nothing: its exit code, or minus the signal that ended it.
template <class... Args>
int in_child(int (*check)(Args...), Args... args) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(SIGABRT, SIG_DFL);
    ::signal(SIGPIPE, SIG_DFL);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDERR_FILENO);
    ::dup2(nowhere, STDOUT_FILENO);
    ::_exit(check(args...));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace support
