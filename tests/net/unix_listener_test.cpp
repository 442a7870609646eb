#include "coflow/net/unix_listener.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/task_scope.hpp"
#include "coflow/net/run_main.hpp"
#include "coflow/net/unix_connect.hpp"
#include "support/catch.hpp"
#include "support/loop_tasks.hpp"

namespace {

using coflow::event_loop;
using coflow::read_result;
using coflow::result;
using coflow::task;
using coflow::task_scope;
using coflow::unix_address;
using coflow::unix_flow;
using coflow::unix_listener;
using coflow::unix_listener_options;
using support::directory;
using support::finishes;
using support::loop_turns;
using support::unique_fd;

static_assert(!std::is_copy_constructible_v<unix_listener>);
static_assert(std::is_nothrow_move_constructible_v<unix_listener>);
static_assert(std::is_nothrow_move_assignable_v<unix_listener>);
static_assert(!std::is_aggregate_v<coflow::unix_accept_operation>);

unix_address path(const std::string& name) { return unix_address::path(name).value(); }
// An abstract name that no other process has.
unix_address own_name(const char* what) {
  return unix_address::abstract("coflow-test-" + std::to_string(::getpid()) + "-" + what).value();
}
std::error_code error_of(const result<unix_listener>& listener) {
  return listener ? std::error_code() : listener.error();
}

bool exists(const std::string& file) {
  struct stat status{};
  return ::lstat(file.c_str(), &status) == 0;
}
mode_t mode_of(const std::string& file) {
  struct stat status{};
  return ::lstat(file.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}
int try_connect(const unix_address& to, unique_fd& socket) {
  const coflow::detail::sys::kernel_unix_address address(to.raw());
  socket = unique_fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return ::connect(socket.get(), address.data(), address.size()) == 0 ? 0 : errno;
}
unique_fd raw_connect(const unix_address& to) {
  unique_fd made;
  if (const int failure = try_connect(to, made); failure != 0)
    throw std::system_error(failure, std::system_category(), "connect");
  return made;
}
// Leaves the file of a socket behind on which nobody listens; or on which somebody does, while the result lives.
unique_fd raw_bind(const std::string& file, bool listens, int type = SOCK_STREAM) {
  unique_fd made(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const coflow::detail::sys::kernel_unix_address address(path(file).raw());
  support::checked(::bind(made.get(), address.data(), address.size()), "bind");
  if (listens) support::checked(::listen(made.get(), 5), "listen");
  return made;
}

struct accepted {
  bool over = false;
  std::error_code failure;
  std::optional<unix_flow> flow;
};
task<> accept_one(unix_listener* listener, accepted* seen) {
  result<unix_flow> client = co_await listener->accept();
  seen->over = true;
  if (client)
    seen->flow.emplace(std::move(*client));
  else
    seen->failure = client.error();
}
task<> accept_then_close(unix_listener* listener, accepted* pending, accepted* late) {
  task_scope scope;
  scope.spawn(accept_one(listener, pending)).value();
  co_await loop_turns(2);
  listener->close();
  CHECK_FALSE(pending->over);
  const result<void> joined = co_await scope.join();
  joined.value();
  co_await accept_one(listener, late);
}
// Two connections that came before, one that comes while somebody waits.
task<> accept_three(unix_listener* listener, std::vector<unique_fd>* clients, std::vector<accepted>* seen) {
  for (int i = 0; i < 2; ++i) clients->push_back(raw_connect(listener->local_address()));
  for (int i = 0; i < 2; ++i) co_await accept_one(listener, &(*seen)[static_cast<std::size_t>(i)]);
  task_scope scope;
  scope.spawn(accept_one(listener, &(*seen)[2])).value();
  co_await loop_turns(2);
  CHECK_FALSE((*seen)[2].over);
  clients->push_back(raw_connect(listener->local_address()));
  const result<void> joined = co_await scope.join();
  joined.value();
}
task<> greet(unix_flow* flow, std::string* heard) {
  const read_result got = co_await flow->read();
  if (got) *heard = got->text();
}

}  // namespace

TEST_CASE("a local listener accepts at a path and at an abstract name, in order", "[unix_listener]") {
  directory here;
  for (const unix_address& at : {path(here.file("socket")), own_name("accepts")}) {
    CAPTURE(at.to_string());
    unix_listener listener = unix_listener::bind(at).value();
    CHECK(listener.local_address() == at);
    CHECK((::fcntl(listener.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(listener.native_handle(), F_GETFL) & O_NONBLOCK) != 0);
    std::vector<unique_fd> clients;
    std::vector<accepted> seen(3);
    event_loop loop;
    const support::watchdog dog(loop);
    coflow::run(loop, accept_three(&listener, &clients, &seen));
    REQUIRE_FALSE(dog.barked());
    for (std::size_t i = 0; i < 3; ++i) {
      REQUIRE(seen[i].flow);
      unix_flow* flow = &*seen[i].flow;
      CHECK((::fcntl(flow->native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
      CHECK((::fcntl(flow->native_handle(), F_GETFL) & O_NONBLOCK) != 0);
      CHECK(flow->local_address() == at);
      CHECK(flow->remote_address().unnamed());
      CHECK(flow->peer_credentials().value().pid() == ::getpid());
      support::say(clients[i], std::to_string(i));
      std::string heard;
      coflow::run(loop, greet(flow, &heard));
      CHECK(heard == std::to_string(i));
    }
  }
}

TEST_CASE("a local listener's close gives closed to all that accept, and unnames it", "[unix_listener]") {
  unix_listener listener = unix_listener::bind(own_name("closes")).value();
  accepted pending;
  accepted late;
  REQUIRE(finishes(accept_then_close(&listener, &pending, &late)));
  CHECK(pending.failure == coflow::error::closed);
  CHECK(late.failure == coflow::error::closed);
  CHECK(listener.native_handle() == -1);
  CHECK(listener.local_address().unnamed());
  listener.close();
}

TEST_CASE("connections that nobody has accepted are reset by the close", "[unix_listener]") {
  unix_listener listener = unix_listener::bind(own_name("resets")).value();
  const unique_fd client = raw_connect(listener.local_address());
  listener.close();
  CHECK(support::hear_all(client) == "!" + std::to_string(ECONNRESET));
}

// ---- the file

TEST_CASE("the file of a local listener goes with it", "[unix_listener]") {
  directory here;
  const std::string file = here.file("socket");
  for (const bool by_close : {false, true}) {
    {
      unix_listener listener = unix_listener::bind(path(file)).value();
      CHECK(exists(file));
      if (by_close) {
        listener.close();
        CHECK_FALSE(exists(file));
      }
      unix_listener moved(std::move(listener));
    }
    CHECK_FALSE(exists(file));
  }
}

TEST_CASE("a file that has taken the place of the listener's is left alone", "[unix_listener]") {
  directory here;
  const std::string file = here.file("socket");
  const std::string elsewhere = here.file("elsewhere");
  {
    const unix_listener listener = unix_listener::bind(path(file)).value();
    REQUIRE(::unlink(file.c_str()) == 0);
    const unique_fd another = raw_bind(file, false);
  }
  CHECK(exists(file));
  REQUIRE(::unlink(file.c_str()) == 0);
  {
    const unix_listener listener = unix_listener::bind(path(file)).value();
    REQUIRE(std::rename(file.c_str(), elsewhere.c_str()) == 0);
    std::ofstream(file) << "data";
  }
  CHECK(exists(file));
  CHECK(exists(elsewhere));  // it is not looked for
  ::unlink(file.c_str());
  {
    const unix_listener listener = unix_listener::bind(path(file)).value();
    REQUIRE(::unlink(file.c_str()) == 0);
  }
  CHECK_FALSE(exists(file));
}

TEST_CASE("the file's mode is what the options say, whatever the umask is", "[unix_listener]") {
  directory here;
  const mode_t before = ::umask(0077);
  {
    const unix_listener plain = unix_listener::bind(path(here.file("plain"))).value();
    const unix_listener open =
        unix_listener::bind(path(here.file("open")), unix_listener_options().permissions(0666)).value();
    const unix_listener group =
        unix_listener::bind(path(here.file("group")), unix_listener_options().permissions(0460)).value();
    const result<unix_listener> abstract =
        unix_listener::bind(own_name("mode"), unix_listener_options().permissions(0600));
    CHECK(abstract);
    CHECK(mode_of(here.path() + "/plain") == 0700);
    CHECK(mode_of(here.path() + "/open") == 0666);
    CHECK(mode_of(here.path() + "/group") == 0460);
  }
  ::umask(before);
}

TEST_CASE("a path that is taken is in use, whatever it is", "[unix_listener]") {
  directory here;
  const std::string live = here.file("live");
  const std::string stale = here.file("stale");
  const std::string data = here.file("data");
  const std::string link = here.file("link");
  const unix_listener first = unix_listener::bind(path(live)).value();
  raw_bind(stale, false);
  std::ofstream(data) << "data";
  REQUIRE(::symlink("nowhere", link.c_str()) == 0);
  for (const std::string& file : {live, stale, data, link, here.path()}) {
    CAPTURE(file);
    CHECK(error_of(unix_listener::bind(path(file))) == std::errc::address_in_use);
    CHECK(exists(file));
  }
  CHECK(error_of(unix_listener::bind(unix_address(path(live)))) == std::errc::address_in_use);
  const unix_listener named = unix_listener::bind(own_name("taken")).value();
  CHECK(error_of(unix_listener::bind(own_name("taken"), unix_listener_options().replace_stale(true))) ==
        std::errc::address_in_use);
}

TEST_CASE("a left-over file is replaced if the options say so", "[unix_listener]") {
  directory here;
  const std::string file = here.file("socket");
  raw_bind(file, true);
  unix_listener listener = unix_listener::bind(path(file), unix_listener_options().replace_stale(true)).value();
  const unique_fd client = raw_connect(path(file));
  listener.close();
  CHECK_FALSE(exists(file));
  // Where there is none, there is nothing to replace.
  const result<unix_listener> fresh = unix_listener::bind(path(file), unix_listener_options().replace_stale(true));
  CHECK(fresh);
}

TEST_CASE("what is no left-over file is never replaced", "[unix_listener]") {
  directory here;
  const unix_listener_options replacing = unix_listener_options().replace_stale(true);
  const std::string live = here.file("live");
  const std::string data = here.file("data");
  const std::string link = here.file("link");
  const std::string stale = here.file("stale");
  const std::string datagrams = here.file("datagrams");
  const unix_listener first = unix_listener::bind(path(live), unix_listener_options().backlog(0)).value();
  std::ofstream(data) << "data";
  raw_bind(stale, false);
  REQUIRE(::symlink(stale.c_str(), link.c_str()) == 0);
  const unique_fd other_kind = raw_bind(datagrams, false, SOCK_DGRAM);
  for (const std::string& file : {live, data, link, datagrams, here.path()}) {
    CAPTURE(file);
    CHECK(error_of(unix_listener::bind(path(file), replacing)) == std::errc::address_in_use);
    CHECK(exists(file));
  }
  // Whoever listens and does not accept is there, too.
  unique_fd full;
  CHECK(try_connect(path(live), full) == EAGAIN);
  CHECK(error_of(unix_listener::bind(path(live), replacing)) == std::errc::address_in_use);
  CHECK(exists(live));
  CHECK(exists(stale));
}

namespace {
int bind_without_permission(const char* directory) {
  if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 2;
  const std::string file = std::string(directory) + "/socket";
  return error_of(unix_listener::bind(path(file))) == std::errc::permission_denied ? 0 : 1;
}
int bind_without_descriptors() {
  rlimit none{};
  ::getrlimit(RLIMIT_NOFILE, &none);
  none.rlim_cur = 3;
  ::setrlimit(RLIMIT_NOFILE, &none);
  return error_of(unix_listener::bind(own_name("many"))) == std::errc::too_many_files_open ? 0 : 1;
}
}  // namespace

TEST_CASE("an address that a local listener cannot have is refused with a reason", "[unix_listener]") {
  directory here;
  CHECK(error_of(unix_listener::bind(unix_address())) == std::errc::invalid_argument);
  CHECK(error_of(unix_listener::bind(path(here.path() + "/none/socket"))) == std::errc::no_such_file_or_directory);
  CHECK(error_of(unix_listener::bind(path("/proc/self/exe/socket"))) == std::errc::not_a_directory);
  REQUIRE(::chmod(here.path().c_str(), 0500) == 0);
  CHECK(support::in_child(bind_without_permission, here.path().c_str()) == 0);
  CHECK(support::in_child(bind_without_descriptors) == 0);
}

TEST_CASE("as many local connections wait as the backlog says", "[unix_listener]") {
  const unix_listener listener = unix_listener::bind(own_name("backlog"), unix_listener_options().backlog(2)).value();
  std::vector<unique_fd> clients(5);
  int connected = 0;
  for (unique_fd& one : clients) connected += try_connect(listener.local_address(), one) == 0 ? 1 : 0;
  CHECK(connected == 3);  // the system counts from zero
}

// ---- adopting

TEST_CASE("a listening local socket is adopted, and its file stays", "[unix_listener]") {
  directory here;
  const std::string file = here.file("socket");
  {
    unique_fd raw = raw_bind(file, true);
    const int fd = raw.get();
    unix_listener listener = unix_listener::adopt(fd).value();
    static_cast<void>(raw.release());
    CHECK(listener.native_handle() == fd);
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK(listener.local_address() == path(file));
    const unique_fd client = raw_connect(path(file));
    accepted seen;
    REQUIRE(finishes(accept_one(&listener, &seen)));
    REQUIRE(seen.flow);
    CHECK(seen.flow->local_address() == path(file));
  }
  CHECK(exists(file));
}

TEST_CASE("what is no listening local stream socket is not adopted and stays the caller's", "[unix_listener]") {
  directory here;
  std::vector<std::pair<std::string, unique_fd>> others;
  others.emplace_back("file", unique_fd(::open("/proc/self/exe", O_RDONLY)));
  others.emplace_back("socket that does not listen", raw_bind(here.file("one"), false));
  others.emplace_back("packet socket", raw_bind(here.file("two"), true, SOCK_SEQPACKET));
  const unix_listener listener = unix_listener::bind(own_name("connected")).value();
  others.emplace_back("connected socket", raw_connect(listener.local_address()));
  unique_fd tcp(::socket(AF_INET, SOCK_STREAM, 0));
  REQUIRE(::listen(tcp.get(), 1) == 0);
  others.emplace_back("TCP listener", std::move(tcp));
  for (const auto& [name, fd] : others) {
    CAPTURE(name);
    const int flags = ::fcntl(fd.get(), F_GETFL);
    CHECK(error_of(unix_listener::adopt(fd.get())) == coflow::error::not_a_stream);
    CHECK(::fcntl(fd.get(), F_GETFL) == flags);
  }
  CHECK(error_of(unix_listener::adopt(-1)) == std::errc::bad_file_descriptor);
}
