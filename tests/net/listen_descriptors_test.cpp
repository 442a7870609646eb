#include "coflow/net/listen_descriptors.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <system_error>
#include <vector>

#include "coflow/net/run_main.hpp"
#include "coflow/net/tcp_connect.hpp"
#include "coflow/net/tcp_listener.hpp"
#include "coflow/net/unix_connect.hpp"
#include "coflow/net/unix_listener.hpp"
#include "support/catch.hpp"
#include "support/loop_tasks.hpp"

namespace {

using coflow::listen_descriptor;
using coflow::listen_descriptors;
using coflow::result;
using found = result<std::vector<listen_descriptor>>;

// Everything here runs in a child process, whose descriptors from 3 on are free; null leaves a variable out.
void set(const char* name, const char* value) {
  if (value == nullptr)
    ::unsetenv(name);
  else
    ::setenv(name, value, 1);
}
void announce(const char* count, const char* names, const char* process = nullptr) {
  set("LISTEN_PID", process != nullptr ? process : std::to_string(::getpid()).c_str());
  set("LISTEN_FDS", count);
  set("LISTEN_FDNAMES", names);
}
bool nothing_is_left() {
  return std::getenv("LISTEN_PID") == nullptr && std::getenv("LISTEN_FDS") == nullptr &&
         std::getenv("LISTEN_FDNAMES") == nullptr;
}
// Descriptors 3 to 5, and no more.
void open_three() {
  for (int fd = 3; fd < 6; ++fd) ::dup2(STDERR_FILENO, fd);
  for (int fd = 6; fd < 20; ++fd) ::close(fd);
}

coflow::task<> serve_one(coflow::tcp_listener* tcp, coflow::unix_listener* local, bool* served) {
  const auto to_tcp = co_await coflow::tcp_connect(tcp->local_endpoint());
  const auto at_tcp = co_await tcp->accept();
  const auto to_local = co_await coflow::unix_connect(local->local_address());
  const auto at_local = co_await local->accept();
  *served = to_tcp && at_tcp && to_local && at_local;
}

int given_with_names() {
  open_three();
  announce("3", "web:admin:");
  const found all = listen_descriptors();
  if (!all || all->size() != 3) return 1;
  if ((*all)[0].number() != 3 || (*all)[1].number() != 4 || (*all)[2].number() != 5) return 2;
  if ((*all)[0].name() != "web" || (*all)[1].name() != "admin" || (*all)[2].name() != "unknown") return 3;
  for (const listen_descriptor& one : *all)
    if ((::fcntl(one.number(), F_GETFD) & FD_CLOEXEC) == 0) return 4;
  if (!nothing_is_left()) return 5;
  const found again = listen_descriptors();
  return again && again->empty() ? 0 : 6;
}
int given_without_names() {
  open_three();
  announce("2", nullptr);
  const found all = listen_descriptors();
  if (!all || all->size() != 2) return 1;
  if ((*all)[0].name() != "unknown" || (*all)[1].name() != "unknown") return 2;
  return (::fcntl(5, F_GETFD) & FD_CLOEXEC) == 0 ? 0 : 3;  // not handed over
}
int given_nothing() {
  for (int fd = 3; fd < 20; ++fd) ::close(fd);
  announce(nullptr, nullptr);
  const found without_count = listen_descriptors();
  if (!without_count || !without_count->empty() || !nothing_is_left()) return 1;
  set("LISTEN_FDS", "1");
  const found without_process = listen_descriptors();
  if (!without_process || !without_process->empty() || !nothing_is_left()) return 2;
  announce("0", "");
  const found none = listen_descriptors();
  if (!none || !none->empty() || !nothing_is_left()) return 3;
  announce("7", "a:b", std::to_string(::getppid()).c_str());
  const found of_others = listen_descriptors();
  return of_others && of_others->empty() && nothing_is_left() ? 0 : 4;
}
int bad_values() {
  open_three();
  const auto is_refused = [](std::errc why) {
    const found all = listen_descriptors();
    return !all && all.error() == why && nothing_is_left();
  };
  for (const char* process : {"", "x", "12x", "-5", "0", " 7", "99999999999999999999"}) {
    announce("1", nullptr, process);
    if (!is_refused(std::errc::invalid_argument)) return 1;
  }
  for (const char* count : {"", "x", "2x", "-1", "99999999999999999999"}) {
    announce(count, nullptr);
    if (!is_refused(std::errc::invalid_argument)) return 2;
  }
  for (const char* names : {"", "a", "a:b:c", "a:b:"}) {
    announce("2", names);
    if (!is_refused(std::errc::invalid_argument)) return 3;
  }
  for (const char* count : {"4", "2147483647"}) {
    announce(count, nullptr);
    if (!is_refused(std::errc::bad_file_descriptor)) return 4;
  }
  return 0;
}
int are_adopted() {
  for (int fd = 3; fd < 20; ++fd) ::close(fd);
  const int tcp = ::socket(AF_INET, SOCK_STREAM, 0);
  const int local = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const sockaddr_un unnamed{AF_UNIX, {}};
  if (tcp != 3 || local != 4 || ::listen(tcp, 5) != 0 ||
      ::bind(local, reinterpret_cast<const sockaddr*>(&unnamed), sizeof(sa_family_t)) != 0 || ::listen(local, 5) != 0)
    return 1;
  announce("2", "tcp:local");
  const found all = listen_descriptors();
  if (!all || all->size() != 2) return 2;
  auto tcp_listener = coflow::tcp_listener::adopt((*all)[0].number());
  auto local_listener = coflow::unix_listener::adopt((*all)[1].number());
  if (!tcp_listener || !local_listener) return 3;
  if (coflow::tcp_listener::adopt((*all)[1].number()) || coflow::unix_listener::adopt((*all)[0].number())) return 4;
  bool served = false;
  if (!support::finishes(serve_one(&*tcp_listener, &*local_listener, &served))) return 5;
  return served ? 0 : 6;
}

}  // namespace

TEST_CASE("descriptors that are handed over come with their names, close-on-exec, once", "[listen_descriptors]") {
  CHECK(support::in_child(given_with_names) == 0);
}

TEST_CASE("descriptors that are handed over without names are unknown", "[listen_descriptors]") {
  CHECK(support::in_child(given_without_names) == 0);
}

TEST_CASE("where nothing is handed over to this process there is nothing", "[listen_descriptors]") {
  CHECK(support::in_child(given_nothing) == 0);
}

TEST_CASE("a hand-over that is described badly is refused", "[listen_descriptors]") {
  CHECK(support::in_child(bad_values) == 0);
}

TEST_CASE("listening sockets that are handed over are adopted by listeners of their kind", "[listen_descriptors]") {
  CHECK(support::in_child(are_adopted) == 0);
}
