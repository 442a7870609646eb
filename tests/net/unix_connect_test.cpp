#include "coflow/net/unix_connect.hpp"

#include <sys/stat.h>

#include <chrono>
#include <coroutine>
#include <cstdio>
#include <exception>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/async/task_scope.hpp"
#include "coflow/net/run_main.hpp"
#include "coflow/net/unix_listener.hpp"
#include "coflow/testing/virtual_executor.hpp"
#include "support/catch.hpp"
#include "support/loop_tasks.hpp"

namespace {

using coflow::event_loop;
using coflow::result;
using coflow::task;
using coflow::task_scope;
using coflow::unix_address;
using coflow::unix_connect_options;
using coflow::unix_flow;
using coflow::unix_listener;
using coflow::unix_listener_options;
using support::directory;
using support::finishes;
using support::loop_turns;
using namespace std::chrono_literals;

unix_address own_name(const char* what) {
  return unix_address::abstract("coflow-test-" + std::to_string(::getpid()) + "-connect-" + what).value();
}

struct attempt {
  bool over = false;
  std::error_code failure;
  std::optional<unix_flow> flow;
};
task<> connect_one(unix_address to, unix_connect_options options, attempt* seen) {
  result<unix_flow> made = co_await coflow::unix_connect(to, options);
  seen->over = true;
  if (made)
    seen->flow.emplace(std::move(*made));
  else
    seen->failure = made.error();
}
std::error_code error_of(const unix_address& to, unix_connect_options options = {}) {
  attempt seen;
  REQUIRE(finishes(connect_one(to, options, &seen)));
  REQUIRE(seen.over);
  return seen.failure;
}

// A listener whose queue is full.
struct crowd {
  unix_listener listener;
  std::vector<attempt> inside;
  explicit crowd(const char* name)
      : listener(unix_listener::bind(own_name(name), unix_listener_options().backlog(0)).value()), inside(1) {
    REQUIRE(finishes(connect_one(listener.local_address(), unix_connect_options(), &inside[0])));
    REQUIRE(inside[0].flow);
  }
};

task<> accept_some(unix_listener* listener, int count) {
  for (int i = 0; i < count; ++i) {
    const result<unix_flow> flow = co_await listener->accept();
    static_cast<void>(flow.value());
  }
}
task<> room_comes(crowd* in, attempt* seen) {
  task_scope scope;
  scope.spawn(connect_one(in->listener.local_address(), unix_connect_options().timeout(20s), seen)).value();
  const result<void> slept = co_await coflow::sleep_for(20ms);
  slept.value();
  CHECK_FALSE(seen->over);
  co_await accept_some(&in->listener, 2);
  const result<void> joined = co_await scope.join();
  joined.value();
}
task<> cancelled(crowd* in, bool at_once, attempt* seen) {
  task_scope scope;
  if (at_once) scope.cancel();
  scope.spawn(connect_one(in->listener.local_address(), unix_connect_options(), seen)).value();
  co_await loop_turns(3);
  CHECK(seen->over == at_once);
  scope.cancel();
  const result<void> joined = co_await scope.join();
  joined.value();
}
task<> stopped_before(unix_address to, attempt* seen) {
  task_scope scope;
  scope.cancel();
  scope.spawn(connect_one(to, unix_connect_options(), seen)).value();
  const result<void> joined = co_await scope.join();
  joined.value();
}

}  // namespace

TEST_CASE("a local connection stands at once, also before anybody accepts it", "[unix_connect]") {
  directory here;
  const unix_address at = unix_address::path(here.file("socket")).value();
  unix_listener listener = unix_listener::bind(at).value();
  attempt seen;
  REQUIRE(finishes(connect_one(at, unix_connect_options(), &seen)));
  REQUIRE(seen.flow);
  CHECK(seen.flow->remote_address() == at);
  CHECK(seen.flow->local_address().unnamed());
  CHECK(seen.flow->peer_credentials().value().pid() == ::getpid());
  CHECK((::fcntl(seen.flow->native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(seen.flow->native_handle(), F_GETFL) & O_NONBLOCK) != 0);
  REQUIRE(finishes(accept_some(&listener, 1)));
}

namespace {
int connect_without_permission(const char* file) {
  if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 2;
  attempt seen;
  if (!finishes(connect_one(unix_address::path(file).value(), unix_connect_options(), &seen))) return 3;
  return seen.failure == std::errc::permission_denied ? 0 : 1;
}
int connect_without_descriptors() {
  event_loop loop;
  attempt rehearsal;  // UBSan opens descriptors when it sees a class for the first time
  coflow::run(loop, connect_one(own_name("nobody"), unix_connect_options(), &rehearsal));
  rlimit none{};
  ::getrlimit(RLIMIT_NOFILE, &none);
  none.rlim_cur = 3;
  ::setrlimit(RLIMIT_NOFILE, &none);
  attempt seen;
  coflow::run(loop, connect_one(own_name("nobody"), unix_connect_options(), &seen));
  return seen.failure == std::errc::too_many_files_open ? 0 : 1;
}
}  // namespace

TEST_CASE("a local connection that cannot be made is refused with a reason", "[unix_connect]") {
  directory here;
  const std::string data = here.file("data");
  const std::string left = here.file("left");
  const std::string guarded = here.file("guarded");
  std::ofstream(data) << "data";
  {
    const unix_listener gone = unix_listener::bind(unix_address::path(left).value()).value();
    REQUIRE(std::rename(left.c_str(), data.c_str()) == 0);  // and stays when the listener goes
  }
  CHECK(error_of(own_name("nobody")) == std::errc::connection_refused);
  CHECK(error_of(unix_address::path(data).value()) == std::errc::connection_refused);
  CHECK(error_of(unix_address::path(left).value()) == std::errc::no_such_file_or_directory);
  CHECK(error_of(unix_address()) == std::errc::invalid_argument);
  REQUIRE(::chmod(here.path().c_str(), 0755) == 0);
  const unix_listener closed_to_others =
      unix_listener::bind(unix_address::path(guarded).value(), unix_listener_options().permissions(0400)).value();
  CHECK(support::in_child(connect_without_permission, guarded.c_str()) == 0);
  CHECK(support::in_child(connect_without_descriptors) == 0);
}

TEST_CASE("a connection to a full queue is made when there is room", "[unix_connect]") {
  crowd in("room");
  attempt seen;
  REQUIRE(finishes(room_comes(&in, &seen)));
  CHECK(seen.flow);
}

TEST_CASE("a connection to a full queue is given up at the deadline", "[unix_connect]") {
  crowd in("deadline");
  const unix_address at = in.listener.local_address();
  CHECK(error_of(at, unix_connect_options().timeout(0ms)) == coflow::error::timed_out);
  const auto before = std::chrono::steady_clock::now();
  CHECK(error_of(at, unix_connect_options().timeout(30ms)) == coflow::error::timed_out);
  CHECK(std::chrono::steady_clock::now() - before >= 30ms);
}

TEST_CASE("a connection to a full queue is given up when its task is stopped", "[unix_connect]") {
  crowd in("stop");
  for (const bool at_once : {false, true}) {
    attempt seen;
    REQUIRE(finishes(cancelled(&in, at_once, &seen)));
    CHECK(seen.failure == std::errc::operation_canceled);
  }
}

TEST_CASE("a task that is stopped already makes no local connection", "[unix_connect]") {
  const unix_listener listener = unix_listener::bind(own_name("stopped")).value();
  attempt seen;
  REQUIRE(finishes(stopped_before(listener.local_address(), &seen)));
  CHECK(seen.failure == std::errc::operation_canceled);
}

TEST_CASE("a connection to a full queue ends with its loop", "[unix_connect]") {
  crowd in("loop");
  attempt seen;
  {
    event_loop loop;
    coflow::spawn(loop, connect_one(in.listener.local_address(), unix_connect_options(), &seen));
    loop.turn();
    CHECK_FALSE(seen.over);
  }
  CHECK(seen.failure == coflow::error::closed);
}

namespace {
// A coroutine of somebody else's, which no executor runs.
class foreign {
 public:
  class promise_type {
   public:
    promise_type() noexcept {}
    foreign get_return_object() noexcept { return foreign(); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};
foreign connect_from_nowhere(unix_address to, std::error_code* failure) {
  const result<unix_flow> made = co_await coflow::unix_connect(to);
  if (!made) *failure = made.error();
}
}  // namespace

TEST_CASE("there is no local connecting without an executor that knows descriptors", "[unix_connect]") {
  const unix_listener listener = unix_listener::bind(own_name("nowhere")).value();
  std::error_code failure;
  connect_from_nowhere(listener.local_address(), &failure);
  CHECK(failure == coflow::error::no_executor);
  coflow::virtual_executor bare;
  attempt seen;
  coflow::run(bare, connect_one(listener.local_address(), unix_connect_options(), &seen));
  CHECK(seen.failure == coflow::error::no_executor);
}
