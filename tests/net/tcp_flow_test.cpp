#include "coflow/net/tcp_flow.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "coflow/async/task_scope.hpp"
#include "coflow/net/event_loop.hpp"
#include "coflow/net/run_main.hpp"
#include "coflow/net/tcp_listener.hpp"
#include "support/catch.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::endpoint;
using coflow::event_loop;
using coflow::keep_alive_options;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::tcp_flow;
using namespace std::chrono_literals;

static_assert(coflow::check_flow_shape<tcp_flow>());
static_assert(coflow::SystemFlow<tcp_flow>);
static_assert(!std::is_copy_constructible_v<tcp_flow>);
static_assert(std::is_nothrow_move_constructible_v<tcp_flow>);
static_assert(std::is_nothrow_move_assignable_v<tcp_flow>);
// An aggregate made inside a co_await expression would be destroyed twice by g++ 12.
static_assert(!std::is_aggregate_v<tcp_flow>);
static_assert(!std::is_aggregate_v<tcp_flow::read_operation>);
static_assert(!std::is_aggregate_v<tcp_flow::write_operation>);
static_assert(!std::is_aggregate_v<tcp_flow::writev_operation>);
static_assert(!std::is_aggregate_v<tcp_flow::shutdown_operation>);
static_assert(!std::is_aggregate_v<tcp_flow::close_operation>);

constexpr auto patience = 20s;  // what only a lost wake-up exceeds

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

// Stops a loop that would wait for ever.
class watchdog final : public coflow::timer {
 public:
  explicit watchdog(event_loop& loop) : loop_(loop) { loop.arm(*this, loop.now() + patience); }
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog() = default;
  [[nodiscard]] bool barked() const noexcept { return barked_; }

 private:
  void run() noexcept override {
    barked_ = true;
    loop_.stop();
  }
  event_loop& loop_;
  bool barked_ = false;
};

// Runs `body` to its end on a loop of its own. False if it would have waited for ever.
[[nodiscard]] bool finishes(task<> body) {
  std::exception_ptr thrown;
  bool on_time = false;
  {
    event_loop loop;
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

// Two connected TCP sockets of which coflow knows nothing yet; both block.
struct socket_pair {
  unique_fd a;
  unique_fd b;
  explicit socket_pair(int small_buffers = 0) {
    const coflow::detail::sys::kernel_address any(endpoint::loopback_v4(0).raw());
    const unique_fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    shrink(listener, small_buffers);
    coflow::detail::sys::kernel_address at;
    a = unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    shrink(a, small_buffers);
    if (::bind(listener.get(), any.data(), any.size()) != 0 || ::listen(listener.get(), 1) != 0 ||
        ::getsockname(listener.get(), at.data(), at.room()) != 0 || ::connect(a.get(), at.data(), at.size()) != 0)
      throw std::system_error(errno, std::system_category(), "socket_pair");
    b = unique_fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const int at_once = 1;
    const timeval long_enough{20, 0};
    for (const int end : {a.get(), b.get()}) {
      ::setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
      ::setsockopt(end, SOL_SOCKET, SO_SNDTIMEO, &long_enough, sizeof long_enough);
      ::setsockopt(end, SOL_SOCKET, SO_RCVTIMEO, &long_enough, sizeof long_enough);
    }
  }

 private:
  static void shrink(const unique_fd& socket, int size) {
    if (size == 0) return;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
};

tcp_flow adopted(unique_fd fd) { return tcp_flow::adopt(fd.release()).value(); }

// A flow, and its peer, of which coflow knows nothing.
struct one_end {
  unique_fd peer;
  tcp_flow flow;
  explicit one_end(int small_buffers = 0) : one_end(socket_pair(small_buffers)) {}
  explicit one_end(socket_pair pair) : peer(std::move(pair.b)), flow(adopted(std::move(pair.a))) {}
};

struct two_ends {
  tcp_flow left;
  tcp_flow right;
  explicit two_ends(int small_buffers = 0) : two_ends(socket_pair(small_buffers)) {}
  explicit two_ends(socket_pair pair) : left(adopted(std::move(pair.a))), right(adopted(std::move(pair.b))) {}
};

// ---- what the peer does

void say(const unique_fd& peer, std::string_view text, int flags = 0) {
  if (::send(peer.get(), text.data(), text.size(), flags | MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
    throw std::system_error(errno, std::system_category(), "send");
}
void reset(unique_fd& peer) {
  const linger now{1, 0};
  ::setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  peer.reset();
}
// Waits until the kernel has delivered it.
void await_event(int fd, short event) {
  pollfd one{fd, event, 0};
  if (::poll(&one, 1, 20000) != 1) throw std::runtime_error("the event does not come");
}
void await_bytes(int fd, int count) {
  for (int tries = 0; tries < 2000000; ++tries) {
    int there = 0;
    ::ioctl(fd, FIONREAD, &there);
    if (there >= count) return;
    ::sched_yield();
  }
  throw std::runtime_error("the bytes do not come");
}
// All that comes until the end, or an error: then its number is behind a '!'.
std::string hear_all(const unique_fd& peer) {
  std::string heard;
  char some[65536];
  for (;;) {
    pollfd one{peer.get(), POLLIN, 0};
    if (::poll(&one, 1, 20000) != 1) return heard + "!nothing";
    const ssize_t got = ::recv(peer.get(), some, sizeof some, 0);
    if (got == 0) return heard;
    if (got < 0) return heard + "!" + std::to_string(errno);
    heard.append(some, static_cast<std::size_t>(got));
  }
}
std::string hear(const unique_fd& peer, std::size_t size) {
  std::string heard(size, '\0');
  const ssize_t got = ::recv(peer.get(), heard.data(), size, MSG_WAITALL);
  heard.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return heard;
}
std::string reset_after(std::string_view text) { return std::string(text) + "!" + std::to_string(ECONNRESET); }

int option_of(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, level, name, &value, &size) == 0 ? value : -errno;
}

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 8192; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

// ---- what tasks note: "data", "eof", or the error's message

struct notes {
  std::vector<std::string> all;
  void operator()(const read_result& got) {
    if (got)
      all.emplace_back(got->text());
    else if (got.eof())
      all.emplace_back("eof");
    else
      all.push_back(got.error().message());
  }
  void operator()(const result<void>& sent) { all.push_back(sent ? "sent" : sent.error().message()); }
};
std::string message_of(std::errc code) { return std::make_error_code(code).message(); }
std::string message_of(coflow::error code) { return coflow::make_error_code(code).message(); }
using several = std::vector<std::string>;

// Lets everybody else run that is ready, and the loop look at its descriptors.
task<> turns(int count) {
  for (int i = 0; i < count; ++i) {
    const result<void> slept = co_await coflow::sleep_for(0ms);
    slept.value();
  }
}

task<> read_into(tcp_flow* flow, notes* to) {
  const read_result got = co_await flow->read();
  (*to)(got);
}
task<> read_all_into(tcp_flow* flow, std::string* to, notes* end) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) {
      (*end)(got);
      co_return;
    }
    *to += got->text();
  }
}
task<> write_into(tcp_flow* flow, std::string text, notes* to) {
  const result<void> sent = co_await flow->write(buffer::adopt(std::move(text)));
  (*to)(sent);
}
task<> shut(tcp_flow* flow, shutdown_mode mode, bool* over = nullptr) {
  co_await flow->shutdown(mode);
  if (over != nullptr) *over = true;
}
task<> close_it(tcp_flow* flow) { co_await flow->close(); }

task<> together(std::vector<task<>> all) {
  coflow::task_scope scope;
  for (task<>& one : all) scope.spawn(std::move(one)).value();
  const result<void> joined = co_await scope.join();
  joined.value();
}
template <class... Tasks>
task<> together(task<> first, Tasks... others) {
  std::vector<task<>> all;
  all.push_back(std::move(first));
  (all.push_back(std::move(others)), ...);
  return together(std::move(all));
}

// `first` begins; when the loop has nothing more to do, `second`; then both are waited for.
task<> one_after_the_other_begins(task<> first, task<> second) {
  coflow::task_scope scope;
  scope.spawn(std::move(first)).value();
  co_await turns(3);
  scope.spawn(std::move(second)).value();
  const result<void> joined = co_await scope.join();
  joined.value();
}

// One byte there and back, so that the loop knows the flow and has reported all that there was to report.
task<> settle_in(tcp_flow* flow, const unique_fd* peer) {
  say(*peer, "0");
  const read_result got = co_await flow->read();
  if (!got) throw std::runtime_error("no byte");
  co_await turns(3);
}

// A pattern without a period that a transport might have.
std::byte pattern(std::uint64_t at) {
  std::uint64_t mixed = at * 0x9e3779b97f4a7c15U;
  mixed ^= mixed >> 29;
  return static_cast<std::byte>(mixed);
}

// What `check` makes of a child process that prints nothing: its exit code, or minus the signal that ended it.
int in_child(int (*check)()) {
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
    ::_exit(check());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

// ---- adopting, releasing, names, options

TEST_CASE("a connected socket is adopted and becomes non-blocking", "[tcp_flow]") {
  socket_pair pair;
  const int fd = pair.a.release();
  REQUIRE((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
  result<tcp_flow> flow = tcp_flow::adopt(fd);
  REQUIRE(flow);
  CHECK(flow->native_handle() == fd);
  CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) == O_NONBLOCK);
  say(pair.b, "hello");
  notes heard;
  REQUIRE(finishes(read_into(&*flow, &heard)));
  CHECK(heard.all == several{"hello"});
}

TEST_CASE("what is no connected TCP socket is not adopted and stays the caller's, as it was", "[tcp_flow]") {
  std::vector<std::pair<std::string, unique_fd>> others;
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  others.emplace_back("read end of a pipe", unique_fd(pipe_ends[0]));
  others.emplace_back("write end of a pipe", unique_fd(pipe_ends[1]));
  others.emplace_back("file", unique_fd(::open("/proc/self/exe", O_RDONLY)));
  others.emplace_back("device", unique_fd(::open("/dev/null", O_RDWR)));
  others.emplace_back("directory", unique_fd(::open("/", O_RDONLY)));
  others.emplace_back("unconnected socket", unique_fd(::socket(AF_INET, SOCK_STREAM, 0)));
  unique_fd listener(::socket(AF_INET, SOCK_STREAM, 0));
  REQUIRE(::listen(listener.get(), 1) == 0);
  others.emplace_back("listening socket", std::move(listener));
  unique_fd datagrams(::socket(AF_INET, SOCK_DGRAM, 0));
  const coflow::detail::sys::kernel_address somewhere(endpoint::loopback_v4(9).raw());
  REQUIRE(::connect(datagrams.get(), somewhere.data(), somewhere.size()) == 0);
  others.emplace_back("connected datagram socket", std::move(datagrams));
  // A short read of a local socket does not say that it is empty, nor can its input be dropped unread.
  int local_ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, local_ends) == 0);
  others.emplace_back("local socket", unique_fd(local_ends[0]));
  others.emplace_back("its other end", unique_fd(local_ends[1]));
  for (const auto& [name, fd] : others) {
    CAPTURE(name);
    REQUIRE(fd.get() >= 0);
    const int flags = ::fcntl(fd.get(), F_GETFL);
    const result<tcp_flow> flow = tcp_flow::adopt(fd.get());
    REQUIRE_FALSE(flow);
    CHECK(flow.error() == coflow::error::not_a_stream);
    CHECK(::fcntl(fd.get(), F_GETFL) == flags);
  }
}

TEST_CASE("what is no descriptor is not adopted", "[tcp_flow]") {
  for (const int fd : {-1, 1000000}) {
    const result<tcp_flow> flow = tcp_flow::adopt(fd);
    REQUIRE_FALSE(flow);
    CHECK(flow.error() == std::errc::bad_file_descriptor);
  }
}

TEST_CASE("a flow gives its descriptor and all that belongs to it back when it is destroyed", "[tcp_flow]") {
  const int before = open_descriptors();
  {
    one_end end;
    notes heard;
    say(end.peer, "x");
    REQUIRE(finishes(read_into(&end.flow, &heard)));
  }
  {
    const two_ends unused;
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("a released descriptor does not block, and the connection goes on", "[tcp_flow]") {
  one_end end;
  const int fd = end.flow.native_handle();
  const unique_fd released(end.flow.release());
  CHECK(released.get() == fd);
  CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) == O_NONBLOCK);
  CHECK(end.flow.native_handle() == -1);
  CHECK(end.flow.release() == -1);
  say(end.peer, "to you");
  CHECK(hear(released, 6) == "to you");
  say(released, "to me");
  CHECK(hear(end.peer, 5) == "to me");
  notes after;
  REQUIRE(finishes(together(read_into(&end.flow, &after), write_into(&end.flow, "x", &after))));
  CHECK(after.all == several{message_of(coflow::error::closed), message_of(coflow::error::closed)});
}

namespace {
task<> release_under_operations(tcp_flow* flow, const unique_fd* peer, notes* heard, notes* again) {
  co_await settle_in(flow, peer);
  coflow::task_scope scope;
  scope.spawn(read_into(flow, heard)).value();
  scope.spawn(write_into(flow, std::string(16 << 20, 'x'), heard)).value();
  co_await turns(3);
  unique_fd released(flow->release());
  const result<void> joined = co_await scope.join();
  joined.value();
  // The same loop may get it back.
  tcp_flow second = adopted(std::move(released));
  say(*peer, "again");
  const read_result got = co_await second.read();
  (*again)(got);
}
}  // namespace

TEST_CASE("operations that are pending when the descriptor is released get closed, and it can be adopted again",
          "[tcp_flow]") {
  one_end end;
  notes heard;
  notes again;
  REQUIRE(finishes(release_under_operations(&end.flow, &end.peer, &heard, &again)));
  CHECK(heard.all == several{message_of(coflow::error::closed), message_of(coflow::error::closed)});
  CHECK(again.all == several{"again"});
}

TEST_CASE("each end's remote endpoint is the other one's local endpoint", "[tcp_flow]") {
  two_ends ends;
  CHECK(ends.left.local_endpoint() == ends.right.remote_endpoint());
  CHECK(ends.left.remote_endpoint() == ends.right.local_endpoint());
  CHECK_FALSE(ends.left.local_endpoint() == ends.left.remote_endpoint());
  CHECK(ends.left.local_endpoint().address() == "127.0.0.1");
}

TEST_CASE("after the close the other end's endpoint is still known, and there is no descriptor", "[tcp_flow]") {
  two_ends ends;
  const endpoint remote = ends.right.local_endpoint();
  CHECK_FALSE(ends.left.local_endpoint().unspecified());
  coflow::run(close_it(&ends.left));
  CHECK(ends.left.native_handle() == -1);
  CHECK(ends.left.remote_endpoint() == remote);
  CHECK(ends.left.local_endpoint().unspecified());
  coflow::run(close_it(&ends.right));
  CHECK(ends.right.native_handle() == -1);
}

TEST_CASE("options reach the socket and can be read back", "[tcp_flow]") {
  one_end end;
  const int fd = end.flow.native_handle();
  CHECK(end.flow.set_no_delay(false));
  CHECK(option_of(fd, IPPROTO_TCP, TCP_NODELAY) == 0);
  CHECK(end.flow.set_no_delay(true));
  CHECK(option_of(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
  CHECK(end.flow.set_keep_alive(keep_alive_options().idle(13s).interval(2s).count(3)));
  CHECK(option_of(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 13);
  CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 2);
  CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT) == 3);
  CHECK(end.flow.set_keep_alive(std::nullopt));
  CHECK(option_of(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
  CHECK(end.flow.set_option(SOL_SOCKET, SO_RCVBUF, 65536));
  const result<int> size = end.flow.option(SOL_SOCKET, SO_RCVBUF);
  REQUIRE(size);
  CHECK(*size >= 65536);
}

TEST_CASE("options that the system refuses are errors", "[tcp_flow]") {
  one_end end;
  const result<void> unknown = end.flow.set_option(IPPROTO_TCP, 9999, 1);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error() == std::errc::no_protocol_option);
  const result<int> unknown_too = end.flow.option(IPPROTO_TCP, 9999);
  REQUIRE_FALSE(unknown_too);
  CHECK(unknown_too.error() == std::errc::no_protocol_option);
  const result<void> impossible = end.flow.set_keep_alive(keep_alive_options().interval(0s));
  REQUIRE_FALSE(impossible);
  CHECK(impossible.error() == std::errc::invalid_argument);
  coflow::run(close_it(&end.flow));
  CHECK_FALSE(end.flow.set_no_delay(true));
  CHECK_FALSE(end.flow.set_keep_alive(keep_alive_options()));
  CHECK_FALSE(end.flow.set_option(SOL_SOCKET, SO_RCVBUF, 1));
  CHECK_FALSE(end.flow.option(SOL_SOCKET, SO_RCVBUF));
}

// ---- ends: every order in which data and the end may come

namespace {
enum class comes { before_the_loop_knows, while_idle, while_a_read_waits };

task<> hear_the_end(tcp_flow* flow, unique_fd* peer, comes when, std::string_view last, notes* heard) {
  if (when != comes::before_the_loop_knows) co_await settle_in(flow, peer);
  coflow::task_scope scope;
  if (when == comes::while_a_read_waits) {
    scope.spawn(read_into(flow, heard)).value();
    co_await turns(3);
  }
  if (!last.empty()) say(*peer, last, MSG_MORE);  // one segment with the end
  ::shutdown(peer->get(), SHUT_WR);
  await_event(flow->native_handle(), POLLRDHUP);
  if (when == comes::while_idle) co_await turns(3);
  const result<void> joined = co_await scope.join();
  joined.value();
  while (heard->all.size() < (last.empty() ? 3U : 4U)) co_await read_into(flow, heard);
}
}  // namespace

TEST_CASE("data and the end in one segment are data, then eof, then eof again", "[tcp_flow]") {
  for (const comes when : {comes::before_the_loop_knows, comes::while_idle, comes::while_a_read_waits}) {
    CAPTURE(static_cast<int>(when));
    one_end end;
    notes heard;
    REQUIRE(finishes(hear_the_end(&end.flow, &end.peer, when, "last", &heard)));
    CHECK(heard.all == several{"last", "eof", "eof", "eof"});
  }
}

TEST_CASE("an end alone is eof", "[tcp_flow]") {
  for (const comes when : {comes::before_the_loop_knows, comes::while_idle, comes::while_a_read_waits}) {
    CAPTURE(static_cast<int>(when));
    one_end end;
    notes heard;
    REQUIRE(finishes(hear_the_end(&end.flow, &end.peer, when, "", &heard)));
    CHECK(heard.all == several{"eof", "eof", "eof"});
  }
}

namespace {
task<> answer_after_the_end(tcp_flow* flow, const unique_fd* peer, std::string* answer) {
  ::shutdown(peer->get(), SHUT_WR);
  notes heard;
  co_await read_into(flow, &heard);
  co_await write_into(flow, "answer", &heard);
  co_await shut(flow, shutdown_mode::write);
  *answer = hear_all(*peer);
  co_await read_into(flow, &heard);
  for (const std::string& one : heard.all) *answer += " " + one;
}
task<> listen_after_the_end(tcp_flow* flow, const unique_fd* peer, std::string* heard_there, notes* heard) {
  co_await write_into(flow, "question", heard);
  co_await shut(flow, shutdown_mode::write);
  *heard_there = hear_all(*peer);
  say(*peer, "answer");
  co_await read_into(flow, heard);
  ::shutdown(peer->get(), SHUT_WR);
  co_await read_into(flow, heard);
  co_await write_into(flow, "more", heard);
}
}  // namespace

TEST_CASE("after the peer's end there is still writing", "[tcp_flow]") {
  one_end end;
  std::string answer;
  REQUIRE(finishes(answer_after_the_end(&end.flow, &end.peer, &answer)));
  CHECK(answer == "answer eof sent eof");
}

TEST_CASE("after one's own end there is still reading", "[tcp_flow]") {
  one_end end;
  std::string heard_there;
  notes heard;
  REQUIRE(finishes(listen_after_the_end(&end.flow, &end.peer, &heard_there, &heard)));
  CHECK(heard_there == "question");
  CHECK(heard.all == several{"sent", "answer", "eof", message_of(coflow::error::closed)});
}

// ---- short reads that do not say that there is no more

namespace {
task<> hear_past_urgent_data(tcp_flow* flow, const unique_fd* peer, bool reading, std::string* heard) {
  co_await settle_in(flow, peer);
  coflow::task_scope scope;
  notes first;
  if (reading) {
    scope.spawn(read_into(flow, &first)).value();
    co_await turns(3);
  }
  say(*peer, "abc");
  say(*peer, "!", MSG_OOB);
  say(*peer, "def");
  await_bytes(flow->native_handle(), 3);
  await_event(flow->native_handle(), POLLPRI);
  co_await turns(3);
  const result<void> joined = co_await scope.join();
  joined.value();
  for (const std::string& one : first.all) *heard += one;
  while (heard->find('f') == std::string::npos) {
    const read_result got = co_await flow->read();
    if (!got) co_return;
    *heard += got->text();
  }
}
}  // namespace

TEST_CASE("urgent data takes no byte away and keeps none back", "[tcp_flow]") {
  for (const bool reading : {false, true}) {
    CAPTURE(reading);
    one_end end;
    std::string heard;
    REQUIRE(finishes(hear_past_urgent_data(&end.flow, &end.peer, reading, &heard)));
    std::erase(heard, '!');
    CHECK(heard == "abcdef");
  }
}

namespace {
task<> read_more_than_one_block(tcp_flow* flow, const unique_fd* peer, std::size_t size, std::string* heard) {
  co_await settle_in(flow, peer);
  const std::string text(size, 'x');
  say(*peer, text);
  await_bytes(flow->native_handle(), static_cast<int>(size));
  co_await turns(3);
  while (heard->size() < size) {
    const read_result got = co_await flow->read();
    if (!got) co_return;
    *heard += got->text();
  }
}
}  // namespace

TEST_CASE("as much as one read takes, and one byte more or less, is read", "[tcp_flow]") {
  const std::size_t block = coflow::detail::io_executor::read_size;
  for (const std::size_t size : {block / 8 - 1, block / 8, block / 8 + 1, block - 1, block, block + 1, 2 * block}) {
    CAPTURE(size);
    one_end end(1 << 20);
    std::string heard;
    REQUIRE(finishes(read_more_than_one_block(&end.flow, &end.peer, size, &heard)));
    CHECK(heard == std::string(size, 'x'));
  }
}

namespace {
constexpr std::size_t kept_sizes[] = {1, 100, 8000, 30000, 60000};

task<> keep_what_was_read(tcp_flow* flow, const unique_fd* peer, std::vector<read_result>* kept) {
  for (const std::size_t size : kept_sizes) {
    say(*peer, std::string(size, static_cast<char>('a' + kept->size())));
    await_bytes(flow->native_handle(), static_cast<int>(size));
    kept->push_back(co_await flow->read());
  }
  co_await flow->close();
}
}  // namespace

TEST_CASE("what was read stays as it was when more is read and when the flow ends", "[tcp_flow]") {
  std::vector<read_result> kept;
  {
    one_end end(1 << 20);
    REQUIRE(finishes(keep_what_was_read(&end.flow, &end.peer, &kept)));
  }
  REQUIRE(kept.size() == 5);
  std::size_t i = 0;
  for (const std::size_t size : kept_sizes) {
    CAPTURE(size);
    REQUIRE(kept[i].has_data());
    CHECK(kept[i]->text() == std::string(size, static_cast<char>('a' + i)));
    CHECK(kept[i]->writable().size() == size);
    ++i;
  }
}

// ---- resets

namespace {
enum class first_to_see { reader, waiting_reader, writer, waiting_writer, nobody };

task<> meet_a_reset(tcp_flow* flow, unique_fd* peer, first_to_see first, std::string_view before, notes* reads,
                    notes* writes) {
  co_await settle_in(flow, peer);
  coflow::task_scope scope;
  if (first == first_to_see::waiting_reader) scope.spawn(read_into(flow, reads)).value();
  if (first == first_to_see::waiting_writer) scope.spawn(write_into(flow, std::string(16 << 20, 'x'), writes)).value();
  co_await turns(3);
  if (!before.empty()) {
    say(*peer, before);
    await_bytes(flow->native_handle(), static_cast<int>(before.size()));
  }
  reset(*peer);
  await_event(flow->native_handle(), POLLRDHUP);
  if (first == first_to_see::writer) co_await write_into(flow, "x", writes);
  if (first == first_to_see::nobody) co_await turns(3);
  const result<void> joined = co_await scope.join();
  joined.value();
  while (reads->all.empty() || reads->all.back() == before) co_await read_into(flow, reads);
  co_await read_into(flow, reads);
  co_await write_into(flow, "x", writes);
  co_await write_into(flow, "x", writes);
}
}  // namespace

TEST_CASE("a reset is an error of both halves, whoever sees it first, after what came before it", "[tcp_flow]") {
  const std::string gone = message_of(std::errc::connection_reset);
  for (const first_to_see first : {first_to_see::reader, first_to_see::waiting_reader, first_to_see::writer,
                                   first_to_see::waiting_writer, first_to_see::nobody}) {
    for (const std::string_view before : {"", "last words"}) {
      CAPTURE(static_cast<int>(first), before);
      one_end end;
      notes reads;
      notes writes;
      REQUIRE(finishes(meet_a_reset(&end.flow, &end.peer, first, before, &reads, &writes)));
      if (before.empty())
        CHECK(reads.all == several{gone, gone});
      else
        CHECK(reads.all == several{std::string(before), gone, gone});
      for (const std::string& one : writes.all) CHECK(one == gone);
    }
  }
}

namespace {
task<> wait_both_ways_for_a_reset(tcp_flow* flow, unique_fd* peer, notes* reads, notes* writes) {
  co_await settle_in(flow, peer);
  coflow::task_scope scope;
  scope.spawn(write_into(flow, std::string(16 << 20, 'x'), writes)).value();
  scope.spawn(write_into(flow, "second", writes)).value();
  scope.spawn(shut(flow, shutdown_mode::write)).value();
  scope.spawn(read_into(flow, reads)).value();
  scope.spawn(read_into(flow, reads)).value();
  co_await turns(3);
  reset(*peer);
  const result<void> joined = co_await scope.join();
  joined.value();
}
task<> ask_for_the_error(tcp_flow* flow, unique_fd* peer, bool half_closed, notes* reads, int* error) {
  co_await settle_in(flow, peer);
  if (half_closed) co_await flow->shutdown(shutdown_mode::write);
  reset(*peer);
  await_event(flow->native_handle(), POLLHUP);
  *error = flow->option(SOL_SOCKET, SO_ERROR).value_or(-1);
  co_await read_into(flow, reads);
  co_await read_into(flow, reads);
}
}  // namespace

TEST_CASE("all that wait when a reset comes get it", "[tcp_flow]") {
  const std::string gone = message_of(std::errc::connection_reset);
  one_end end;
  notes reads;
  notes writes;
  REQUIRE(finishes(wait_both_ways_for_a_reset(&end.flow, &end.peer, &reads, &writes)));
  CHECK(reads.all == several{gone, gone});
  CHECK(writes.all == several{gone, gone});
}

TEST_CASE("a reset stays an error for who reads when somebody has asked the socket for it", "[tcp_flow]") {
  const std::string gone = message_of(std::errc::connection_reset);
  for (const bool half_closed : {false, true}) {
    CAPTURE(half_closed);
    one_end end;
    notes reads;
    int error = 0;
    REQUIRE(finishes(ask_for_the_error(&end.flow, &end.peer, half_closed, &reads, &error)));
    CHECK(error == ECONNRESET);
    CHECK(reads.all == several{gone, gone});
  }
}

namespace {
task<> hear_an_end_and_then_a_reset(tcp_flow* flow, unique_fd* peer, bool ask, notes* reads, notes* writes) {
  co_await settle_in(flow, peer);
  say(*peer, "last");
  ::shutdown(peer->get(), SHUT_WR);
  await_event(flow->native_handle(), POLLRDHUP);
  reset(*peer);
  await_event(flow->native_handle(), POLLHUP);
  if (ask) static_cast<void>(flow->option(SOL_SOCKET, SO_ERROR).has_value());
  for (int i = 0; i < 3; ++i) co_await read_into(flow, reads);
  for (int i = 0; i < 2; ++i) co_await write_into(flow, "x", writes);
}
}  // namespace

TEST_CASE("an end that came before a reset is an end", "[tcp_flow]") {
  for (const bool ask : {false, true}) {
    CAPTURE(ask);
    one_end end;
    notes reads;
    notes writes;
    REQUIRE(finishes(hear_an_end_and_then_a_reset(&end.flow, &end.peer, ask, &reads, &writes)));
    CHECK(reads.all == several{"last", "eof", "eof"});
    CHECK(writes.all == several(2, message_of(coflow::error::closed)));
  }
}

TEST_CASE("a reset of one's own reaches the peer as one", "[tcp_flow]") {
  one_end end;
  end.flow.reset();
  CHECK(end.flow.native_handle() == -1);
  CHECK(hear_all(end.peer) == reset_after(""));
}

namespace {
task<> reset_under_operations(tcp_flow* flow, const unique_fd* peer, notes* heard, std::string* there) {
  co_await settle_in(flow, peer);
  coflow::task_scope scope;
  scope.spawn(read_into(flow, heard)).value();
  co_await turns(3);
  flow->reset();
  const result<void> joined = co_await scope.join();
  joined.value();
  *there = hear_all(*peer);
}
}  // namespace

TEST_CASE("a reset of one's own gives closed to who waits", "[tcp_flow]") {
  one_end end;
  notes heard;
  std::string there;
  REQUIRE(finishes(reset_under_operations(&end.flow, &end.peer, &heard, &there)));
  CHECK(heard.all == several{message_of(coflow::error::closed)});
  CHECK(there == reset_after(""));
}

namespace {
task<> write_until_it_fails(tcp_flow* flow, unique_fd* peer, notes* writes, notes* reads) {
  say(*peer, "still to be read");
  ::shutdown(peer->get(), SHUT_WR);
  await_event(flow->native_handle(), POLLRDHUP);
  peer->reset();  // the first byte that comes now is answered with a reset
  for (int i = 0; i < 1000; ++i) {
    co_await write_into(flow, "x", writes);
    if (writes->all.back() != "sent") break;
    co_await turns(1);
  }
  co_await write_into(flow, "x", writes);
  co_await read_into(flow, reads);
  co_await read_into(flow, reads);
}
int write_to_nobody() {
  one_end end;
  notes writes;
  notes reads;
  if (!finishes(write_until_it_fails(&end.flow, &end.peer, &writes, &reads))) return 1;
  if (writes.all.size() < 3 || writes.all.back() == "sent") return 2;
  end.flow.reset();
  // Also by several buffers, by shutdown and by close of what is gone.
  one_end another;
  reset(another.peer);
  await_event(another.flow.native_handle(), POLLRDHUP);
  notes ignored;
  if (!finishes(together(shut(&another.flow, shutdown_mode::read_write), write_into(&another.flow, "x", &ignored))))
    return 3;
  return 0;
}
}  // namespace

TEST_CASE("writing to a peer that is gone is an error that stays, and takes no input away", "[tcp_flow]") {
  one_end end;
  notes writes;
  notes reads;
  REQUIRE(finishes(write_until_it_fails(&end.flow, &end.peer, &writes, &reads)));
  REQUIRE(writes.all.size() >= 3);
  CHECK(writes.all.front() == "sent");
  CHECK(writes.all.back() != "sent");
  CHECK(writes.all[writes.all.size() - 2] == writes.all.back());
  REQUIRE(reads.all.size() == 2);
  CHECK(reads.all[0] == "still to be read");
}

TEST_CASE("no write ends the process with a signal", "[tcp_flow]") { CHECK(in_child(write_to_nobody) == 0); }

// ---- writing

namespace {
task<> write_pattern(tcp_flow* flow, std::uint64_t size, std::size_t piece, std::uint64_t seed, notes* outcome) {
  for (std::uint64_t at = 0; at < size;) {
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(piece, size - at));
    buffer bytes = buffer::allocate(count);
    const std::span<std::byte> room = bytes.writable();
    for (std::size_t i = 0; i < count; ++i) room[i] = pattern(seed + at + i);
    const result<void> sent = co_await flow->write(std::move(bytes));
    if (!sent) {
      (*outcome)(sent);
      co_return;
    }
    at += count;
  }
  co_await flow->shutdown(shutdown_mode::write);
}
task<> check_pattern(tcp_flow* flow, std::uint64_t seed, std::uint64_t* right, bool* wrong, notes* end) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) {
      (*end)(got);
      co_return;
    }
    for (const std::byte one : got->bytes()) {
      if (one != pattern(seed + *right)) *wrong = true;
      ++*right;
    }
  }
}
task<> echo(tcp_flow* flow) {
  for (;;) {
    read_result got = co_await flow->read();
    if (!got) break;
    const result<void> sent = co_await flow->write(std::move(*got));
    if (!sent) co_return;
  }
  co_await flow->shutdown(shutdown_mode::write);
}
}  // namespace

TEST_CASE("200 MiB come back from an echo unchanged", "[tcp_flow]") {
  constexpr std::uint64_t size = 200 << 20;
  two_ends ends;
  std::uint64_t right = 0;
  bool wrong = false;
  notes end;
  std::vector<task<>> all;
  all.push_back(write_pattern(&ends.left, size, 100003, 0, &end));
  all.push_back(check_pattern(&ends.left, 0, &right, &wrong, &end));
  all.push_back(echo(&ends.right));
  coflow::run(together(std::move(all)));
  CHECK(right == size);
  CHECK_FALSE(wrong);
  CHECK(end.all == several{"eof"});
}

TEST_CASE("bytes go both ways at once through small buffers", "[tcp_flow]") {
  constexpr std::uint64_t size = 1 << 20;
  for (const std::size_t piece : {std::size_t{1000}, std::size_t{1} << 20}) {
    two_ends ends(4096);
    std::uint64_t right[2] = {};
    bool wrong = false;
    notes end;
    REQUIRE(finishes(together(write_pattern(&ends.left, size, piece, 1, &end),
                              write_pattern(&ends.right, size, piece, 2, &end),
                              check_pattern(&ends.left, 2, &right[0], &wrong, &end),
                              check_pattern(&ends.right, 1, &right[1], &wrong, &end))));
    CHECK(right[0] == size);
    CHECK(right[1] == size);
    CHECK_FALSE(wrong);
    CHECK(end.all == several{"eof", "eof"});
  }
}

namespace {
std::vector<buffer> many_buffers(std::size_t count, std::string* whole) {
  std::vector<buffer> made;
  for (std::size_t i = 0; i < count; ++i) {
    std::string text;
    if (i % 3 != 2) text = std::to_string(i) + std::string(i % 40, static_cast<char>('a' + i % 26));
    *whole += text;
    made.emplace_back(std::string_view(text));
  }
  return made;
}
task<> write_list(tcp_flow* flow, std::span<buffer> list, notes* to) {
  const result<void> sent = co_await flow->writev(list);
  (*to)(sent);
}
task<> write_list_and_end(tcp_flow* flow, std::span<buffer> list, notes* to) {
  co_await write_list(flow, list, to);
  co_await flow->shutdown(shutdown_mode::write);
}
}  // namespace

TEST_CASE("a list of buffers of any length arrives whole and in order, and is emptied", "[tcp_flow]") {
  for (const std::size_t count : {1UL, 2UL, 63UL, 64UL, 65UL, 128UL, 1024UL, 1025UL, 3000UL, 10000UL}) {
    for (const int small_buffers : {0, 4096}) {
      CAPTURE(count, small_buffers);
      std::string whole;
      std::vector<buffer> list = many_buffers(count, &whole);
      two_ends ends(small_buffers);
      std::string heard;
      notes outcome;
      REQUIRE(finishes(
          together(write_list_and_end(&ends.left, list, &outcome), read_all_into(&ends.right, &heard, &outcome))));
      CHECK(heard.size() == whole.size());
      CHECK((heard == whole));
      CHECK(outcome.all == several{"sent", "eof"});
      CHECK(std::all_of(list.begin(), list.end(), [](const buffer& one) { return one.empty(); }));
    }
  }
}

TEST_CASE("a list that begins and ends with empty buffers is sent, and the end is not taken for the stream's",
          "[tcp_flow]") {
  std::vector<buffer> list(200);
  list[100] = buffer("x");
  std::vector<buffer> empties(200);
  two_ends ends;
  std::string heard;
  notes outcome;
  REQUIRE(finishes(one_after_the_other_begins(
      together(write_list(&ends.left, list, &outcome)),
      together(write_list_and_end(&ends.left, empties, &outcome), read_all_into(&ends.right, &heard, &outcome)))));
  CHECK(heard == "x");
  CHECK(outcome.all == several{"sent", "sent", "eof"});
}

namespace {
task<> write_nothing(tcp_flow* flow, notes* to) {
  co_await write_into(flow, "", to);
  co_await write_list(flow, {}, to);
  co_await shut(flow, shutdown_mode::write);
  co_await write_into(flow, "", to);
  co_await write_list(flow, {}, to);
  co_await flow->close();
  co_await write_into(flow, "", to);
}
task<> write_nothing_beside_a_blocked_write(tcp_flow* flow, notes* blocked, notes* nothing) {
  coflow::task_scope scope;
  scope.spawn(write_into(flow, std::string(16 << 20, 'x'), blocked)).value();
  co_await turns(3);
  co_await write_into(flow, "", nothing);
  co_await flow->close();
  const result<void> joined = co_await scope.join();
  joined.value();
}
}  // namespace

TEST_CASE("writing nothing is a success as long as the half is open, and never waits", "[tcp_flow]") {
  one_end end;
  notes heard;
  REQUIRE(finishes(write_nothing(&end.flow, &heard)));
  const std::string closed = message_of(coflow::error::closed);
  CHECK(heard.all == several{"sent", "sent", closed, closed, closed});
  one_end other;
  notes blocked;
  notes nothing;
  REQUIRE(finishes(write_nothing_beside_a_blocked_write(&other.flow, &blocked, &nothing)));
  CHECK(nothing.all == several{"sent"});
  CHECK(blocked.all == several{closed});
}

namespace {
task<> write_runs(tcp_flow* flow, char letter, std::size_t size, int count, notes* to) {
  for (int i = 0; i < count; ++i) co_await write_into(flow, std::string(size, letter), to);
}
task<> write_from_three_sides(tcp_flow* flow, std::size_t size, notes* to) {
  co_await together(write_runs(flow, 'a', size, 20, to), write_runs(flow, 'b', size, 20, to),
                    write_runs(flow, 'c', size, 20, to));
  co_await flow->shutdown(shutdown_mode::write);
}
}  // namespace

TEST_CASE("writes from several sides are not mixed", "[tcp_flow]") {
  constexpr std::size_t size = 20000;
  two_ends ends(4096);
  std::string heard;
  notes outcome;
  notes end;
  REQUIRE(
      finishes(together(write_from_three_sides(&ends.left, size, &outcome), read_all_into(&ends.right, &heard, &end))));
  CHECK(outcome.all == several(60, "sent"));
  CHECK(end.all == several{"eof"});
  REQUIRE(heard.size() == 60 * size);
  int mixed = 0;
  for (std::size_t at = 0; at < heard.size(); at += size)
    mixed += heard.find_first_not_of(heard[at], at) < at + size ? 1 : 0;
  CHECK(mixed == 0);
}

TEST_CASE("two reads that wait are served first come, first served, and the end goes to all", "[tcp_flow]") {
  one_end end;
  notes first;
  notes second;
  notes third;
  const auto peer_speaks = [](const unique_fd* peer, tcp_flow* flow, notes* heard) -> task<> {
    say(*peer, "one");
    while (heard->all.empty()) co_await turns(1);
    say(*peer, "two");
    await_bytes(flow->native_handle(), 3);
    ::shutdown(peer->get(), SHUT_WR);
  };
  REQUIRE(finishes(one_after_the_other_begins(together(read_into(&end.flow, &first), read_into(&end.flow, &second),
                                                       read_into(&end.flow, &third), read_into(&end.flow, &third)),
                                              peer_speaks(&end.peer, &end.flow, &first))));
  CHECK(first.all == several{"one"});
  CHECK(second.all == several{"two"});
  CHECK(third.all == several{"eof", "eof"});
}

// ---- shutdown and close

namespace {
task<> shut_while_writing(tcp_flow* flow, bool* order, notes* to) {
  coflow::task_scope scope;
  scope.spawn(write_into(flow, std::string(4 << 20, 'x'), to)).value();
  scope.spawn(write_into(flow, std::string(1 << 20, 'y'), to)).value();
  co_await turns(3);
  *order = to->all.empty();
  bool shut_over = false;
  scope.spawn(shut(flow, shutdown_mode::write, &shut_over)).value();
  co_await turns(3);
  *order = *order && !shut_over;
  notes late;
  co_await write_into(flow, "late", &late);
  *order = *order && late.all == several{message_of(coflow::error::closed)};
  const result<void> joined = co_await scope.join();
  joined.value();
}
task<> read_later(tcp_flow* flow, std::string* heard, notes* end) {
  co_await turns(20);
  co_await read_all_into(flow, heard, end);
}
}  // namespace

TEST_CASE("a shutdown lets the writes go out that are waiting, and no later ones", "[tcp_flow]") {
  two_ends ends(4096);
  bool order = false;
  notes outcome;
  notes end;
  std::string heard;
  REQUIRE(finishes(together(shut_while_writing(&ends.left, &order, &outcome), read_later(&ends.right, &heard, &end))));
  CHECK(order);
  CHECK(outcome.all == several{"sent", "sent"});
  CHECK((heard == std::string(4 << 20, 'x') + std::string(1 << 20, 'y')));
  CHECK(end.all == several{"eof"});
}

namespace {
task<> refuse_input(tcp_flow* flow, const unique_fd* peer, bool known, notes* heard, int* left, std::string* there) {
  if (known) co_await settle_in(flow, peer);
  coflow::task_scope scope;
  if (known) scope.spawn(read_into(flow, heard)).value();
  co_await turns(3);
  if (!known) say(*peer, "what is there already");
  co_await flow->shutdown(shutdown_mode::read);
  for (int i = 0; i < 100; ++i) {  // more than the kernel would keep
    say(*peer, std::string(100000, 'z'));
    co_await turns(1);
  }
  const result<void> joined = co_await scope.join();
  joined.value();
  co_await read_into(flow, heard);
  co_await write_into(flow, "still talking", heard);
  co_await flow->shutdown(shutdown_mode::read);
  for (int i = 0; i < 100; ++i) {
    co_await turns(1);
    *left = 0;
    ::ioctl(flow->native_handle(), FIONREAD, left);
    if (*left == 0) break;
  }
  co_await flow->close();
  *there = hear_all(*peer);
}
}  // namespace

TEST_CASE("after a shutdown of reading input is dropped as it comes, and the close is a clean end", "[tcp_flow]") {
  for (const bool known : {false, true}) {
    CAPTURE(known);
    one_end end;
    notes heard;
    int left = -1;
    std::string there;
    REQUIRE(finishes(refuse_input(&end.flow, &end.peer, known, &heard, &left, &there)));
    if (known)
      CHECK(heard.all == several{"eof", "eof", "sent"});
    else
      CHECK(heard.all == several{"eof", "sent"});
    CHECK(left == 0);
    CHECK(there == "still talking");
  }
}

namespace {
task<> reset_after_refused_input(tcp_flow* flow, unique_fd* peer, notes* reads, notes* writes) {
  co_await settle_in(flow, peer);
  co_await flow->shutdown(shutdown_mode::read);
  coflow::task_scope scope;
  scope.spawn(write_into(flow, std::string(16 << 20, 'x'), writes)).value();
  co_await turns(3);
  reset(*peer);
  const result<void> joined = co_await scope.join();
  joined.value();
  co_await read_into(flow, reads);
}
}  // namespace

TEST_CASE("a reset after a shutdown of reading is an error of writing, and reading stays at its end", "[tcp_flow]") {
  one_end end;
  notes reads;
  notes writes;
  REQUIRE(finishes(reset_after_refused_input(&end.flow, &end.peer, &reads, &writes)));
  CHECK(reads.all == several{"eof"});
  CHECK(writes.all == several{message_of(std::errc::connection_reset)});
}

namespace {
enum class ending { close, destruction };

task<> end_under_operations(std::optional<tcp_flow>* flow, const unique_fd* peer, ending how, notes* reads,
                            notes* writes, bool* shut_over, bool* inline_resumption) {
  co_await settle_in(&**flow, peer);
  coflow::task_scope scope;
  scope.spawn(read_into(&**flow, reads)).value();
  scope.spawn(read_into(&**flow, reads)).value();
  scope.spawn(write_into(&**flow, std::string(16 << 20, 'x'), writes)).value();
  scope.spawn(write_into(&**flow, "second", writes)).value();
  scope.spawn(shut(&**flow, shutdown_mode::write, shut_over)).value();
  co_await turns(3);
  if (how == ending::close) {
    co_await (*flow)->close();
    *inline_resumption = !reads->all.empty() || !writes->all.empty() || *shut_over;
    co_await (*flow)->close();
  } else {
    flow->reset();
    *inline_resumption = !reads->all.empty() || !writes->all.empty() || *shut_over;
  }
  const result<void> joined = co_await scope.join();
  joined.value();
}
}  // namespace

TEST_CASE("all that wait when the flow is closed or destroyed get closed, later", "[tcp_flow]") {
  const std::string closed = message_of(coflow::error::closed);
  for (const ending how : {ending::close, ending::destruction}) {
    CAPTURE(static_cast<int>(how));
    one_end end;
    std::optional<tcp_flow> flow(std::move(end.flow));
    notes reads;
    notes writes;
    bool shut_over = false;
    bool inline_resumption = true;
    REQUIRE(finishes(end_under_operations(&flow, &end.peer, how, &reads, &writes, &shut_over, &inline_resumption)));
    CHECK_FALSE(inline_resumption);
    CHECK(reads.all == several{closed, closed});
    CHECK(writes.all == several{closed, closed});
    CHECK(shut_over);
    // A part of the first write went out: the peer must not take the end for a clean one.
    std::string there = hear_all(end.peer);
    CHECK(there.substr(there.find('!') == std::string::npos ? there.size() : there.find('!')) == reset_after(""));
  }
}

namespace {
// The reader is resumed first; what it does then must not touch what waits behind it.
task<> destroy_when_read(std::optional<tcp_flow>* flow, notes* heard) {
  const read_result got = co_await (*flow)->read();
  (*heard)(got);
  flow->reset();
}
task<> serve_until_destroyed(std::optional<tcp_flow>* flow, const unique_fd* peer, bool writing, notes* first,
                             notes* others) {
  co_await settle_in(&**flow, peer);
  coflow::task_scope scope;
  if (writing) scope.spawn(write_into(&**flow, std::string(16 << 20, 'x'), others)).value();
  scope.spawn(destroy_when_read(flow, first)).value();
  scope.spawn(read_into(&**flow, others)).value();
  co_await turns(3);
  say(*peer, "go");
  ::shutdown(peer->get(), SHUT_WR);
  await_event((*flow)->native_handle(), POLLRDHUP);
  const result<void> joined = co_await scope.join();
  joined.value();
}
}  // namespace

TEST_CASE("whoever is resumed may destroy the flow under those that still wait", "[tcp_flow]") {
  for (const bool writing : {false, true}) {
    CAPTURE(writing);
    one_end end;
    std::optional<tcp_flow> flow(std::move(end.flow));
    notes first;
    notes others;
    REQUIRE(finishes(serve_until_destroyed(&flow, &end.peer, writing, &first, &others)));
    CHECK(first.all == several{"go"});
    REQUIRE(others.all.size() == (writing ? 2 : 1));
    for (const std::string& one : others.all) CHECK(one == message_of(coflow::error::closed));
  }
}

namespace {
task<> destroy_waiting_coroutines(tcp_flow* flow, const unique_fd* peer, bool arrived, notes* dead, notes* alive) {
  co_await settle_in(flow, peer);
  std::optional<coflow::task_scope> doomed(std::in_place);
  doomed->spawn(read_into(flow, dead)).value();
  co_await turns(3);
  if (arrived) {
    say(*peer, "for the next one");
    await_bytes(flow->native_handle(), 16);
  }
  doomed.reset();
  coflow::task_scope scope;
  scope.spawn(read_into(flow, alive)).value();
  co_await turns(3);
  if (!arrived) say(*peer, "for the next one");
  const result<void> joined = co_await scope.join();
  joined.value();
}
}  // namespace

TEST_CASE("a read whose coroutine dies takes nothing with it", "[tcp_flow]") {
  for (const bool arrived : {false, true}) {
    CAPTURE(arrived);
    one_end end;
    notes dead;
    notes alive;
    REQUIRE(finishes(destroy_waiting_coroutines(&end.flow, &end.peer, arrived, &dead, &alive)));
    CHECK(dead.all.empty());
    CHECK(alive.all == several{"for the next one"});
  }
}

namespace {
task<> start_in(std::unique_ptr<coflow::task_scope>* scope, task<> child) {
  (*scope)->spawn(std::move(child)).value();
  co_await turns(3);
}
}  // namespace

TEST_CASE("a flow that ends outside its loop with operations pending leaves nothing dangling", "[tcp_flow]") {
  for (const ending how : {ending::close, ending::destruction}) {
    for (const bool coroutine_dies : {false, true}) {
      CAPTURE(static_cast<int>(how), coroutine_dies);
      one_end end;
      notes heard;
      {
        event_loop loop;
        std::optional<tcp_flow> flow(std::move(end.flow));
        auto scope = std::make_unique<coflow::task_scope>();
        coflow::run(loop, start_in(&scope, read_into(&*flow, &heard)));
        if (how == ending::close)
          flow->reset();
        else
          flow.reset();
        CHECK(heard.all.empty());
        if (coroutine_dies) scope.reset();
        loop.turn();
      }
      if (coroutine_dies)
        CHECK(heard.all.empty());
      else
        CHECK(heard.all == several{message_of(coflow::error::closed)});
    }
  }
}

TEST_CASE("a flow that was closed answers closed", "[tcp_flow]") {
  one_end end;
  say(end.peer, "unread");
  await_bytes(end.flow.native_handle(), 6);
  coflow::run(close_it(&end.flow));
  notes heard;
  coflow::run(read_into(&end.flow, &heard));
  coflow::run(write_into(&end.flow, "x", &heard));
  coflow::run(shut(&end.flow, shutdown_mode::read_write));
  coflow::run(read_into(&end.flow, &heard));
  CHECK(heard.all == several(3, message_of(coflow::error::closed)));
}

namespace {
task<> move_under_operations(tcp_flow first, const unique_fd* peer, notes* heard) {
  co_await settle_in(&first, peer);
  coflow::task_scope scope;
  scope.spawn(read_into(&first, heard)).value();
  co_await turns(3);
  tcp_flow second(std::move(first));
  one_end other;
  other.flow = std::move(second);
  say(*peer, "found");
  const result<void> joined = co_await scope.join();
  joined.value();
  co_await write_into(&other.flow, "moved", heard);
}
}  // namespace

TEST_CASE("a flow may be moved while an operation is pending", "[tcp_flow]") {
  one_end end;
  notes heard;
  REQUIRE(finishes(move_under_operations(std::move(end.flow), &end.peer, &heard)));
  CHECK(heard.all == several{"found", "sent"});
  CHECK(hear_all(end.peer) == "moved");
}

// ---- cancellation

namespace {
task<> cancel_a_read(tcp_flow* flow, const unique_fd* peer, bool arrived, notes* canceled, notes* next) {
  co_await settle_in(flow, peer);
  coflow::task_scope scope;
  scope.spawn(read_into(flow, canceled)).value();
  co_await turns(3);
  if (arrived) {
    say(*peer, "not lost");
    await_bytes(flow->native_handle(), 8);
  }
  scope.cancel();
  const result<void> joined = co_await scope.join();
  joined.value();
  if (!arrived) say(*peer, "not lost");
  co_await read_into(flow, next);
}
task<> cancel_a_write_that_waits(tcp_flow* flow, notes* first, notes* canceled, notes* third) {
  coflow::task_scope scope;
  scope.spawn(write_into(flow, std::string(4 << 20, 'x'), first)).value();
  co_await turns(3);
  coflow::task_scope given_up;
  given_up.spawn(write_into(flow, "never to be seen", canceled)).value();
  co_await turns(3);
  scope.spawn(write_into(flow, "third", third)).value();
  co_await turns(3);
  given_up.cancel();
  const result<void> gone = co_await given_up.join();
  gone.value();
  const result<void> joined = co_await scope.join();
  joined.value();
  co_await flow->shutdown(shutdown_mode::write);
}
task<> tear_a_write(tcp_flow* flow, bool destroy, notes* torn, notes* waiting, notes* later) {
  std::optional<coflow::task_scope> given_up(std::in_place);
  given_up->spawn(write_into(flow, std::string(16 << 20, 'x'), torn)).value();
  co_await turns(3);
  coflow::task_scope scope;
  scope.spawn(write_into(flow, "waiting", waiting)).value();
  co_await turns(3);
  if (destroy) {
    given_up.reset();
  } else {
    given_up->cancel();
    const result<void> gone = co_await given_up->join();
    gone.value();
  }
  const result<void> joined = co_await scope.join();
  joined.value();
  co_await write_into(flow, "later", later);
  co_await shut(flow, shutdown_mode::write);
  co_await flow->close();
}
}  // namespace

TEST_CASE("a cancelled read loses nothing", "[tcp_flow]") {
  for (const bool arrived : {false, true}) {
    CAPTURE(arrived);
    one_end end;
    notes canceled;
    notes next;
    REQUIRE(finishes(cancel_a_read(&end.flow, &end.peer, arrived, &canceled, &next)));
    CHECK(canceled.all == several{message_of(std::errc::operation_canceled)});
    CHECK(next.all == several{"not lost"});
  }
}

namespace {
// The first of three is served; it cancels the second, whose turn it is then; the turn is the third one's.
task<> read_then_cancel(tcp_flow* flow, coflow::task_scope* other, std::size_t* size) {
  const read_result got = co_await flow->read();
  if (got) *size = got->size();
  other->cancel();
}
task<> read_size(tcp_flow* flow, std::size_t* size) {
  const read_result got = co_await flow->read();
  if (got) *size = got->size();
}
task<> cancel_whose_turn_it_is(tcp_flow* flow, const unique_fd* peer, std::size_t much, std::size_t* first,
                               notes* second, std::size_t* third) {
  co_await settle_in(flow, peer);
  coflow::task_scope scope;
  coflow::task_scope doomed;
  scope.spawn(read_then_cancel(flow, &doomed, first)).value();
  co_await turns(1);
  doomed.spawn(read_into(flow, second)).value();
  co_await turns(1);
  scope.spawn(read_size(flow, third)).value();
  co_await turns(3);
  say(*peer, std::string(much, 'x'));
  await_bytes(flow->native_handle(), static_cast<int>(much));
  const result<void> joined = co_await scope.join();
  joined.value();
  const result<void> gone = co_await doomed.join();
  gone.value();
}
}  // namespace

TEST_CASE("a read that is cancelled when it is its turn gives the turn to the next", "[tcp_flow]") {
  const std::size_t block = coflow::detail::io_executor::read_size;
  one_end end(1 << 20);
  std::size_t first = 0;
  notes second;
  std::size_t third = 0;
  REQUIRE(finishes(cancel_whose_turn_it_is(&end.flow, &end.peer, 2 * block, &first, &second, &third)));
  CHECK(first == block);
  CHECK(second.all == several{message_of(std::errc::operation_canceled)});
  CHECK(third == block);
}

TEST_CASE("a cancelled write that has sent nothing leaves no trace", "[tcp_flow]") {
  two_ends ends(4096);
  notes first;
  notes canceled;
  notes third;
  notes end;
  std::string heard;
  REQUIRE(finishes(together(cancel_a_write_that_waits(&ends.left, &first, &canceled, &third),
                            read_later(&ends.right, &heard, &end))));
  CHECK(first.all == several{"sent"});
  CHECK(canceled.all == several{message_of(std::errc::operation_canceled)});
  CHECK(third.all == several{"sent"});
  CHECK((heard == std::string(4 << 20, 'x') + "third"));
  CHECK(end.all == several{"eof"});
}

TEST_CASE("a write that was given up half-way is followed by nothing, and by no clean end", "[tcp_flow]") {
  const std::string torn_write = message_of(coflow::error::torn_write);
  for (const bool destroy : {false, true}) {
    CAPTURE(destroy);
    one_end end;
    notes torn;
    notes waiting;
    notes later;
    REQUIRE(finishes(tear_a_write(&end.flow, destroy, &torn, &waiting, &later)));
    if (destroy)
      CHECK(torn.all.empty());
    else
      CHECK(torn.all == several{message_of(std::errc::operation_canceled)});
    CHECK(waiting.all == several{torn_write});
    CHECK(later.all == several{torn_write});
    const std::string there = hear_all(end.peer);
    CHECK(there.find_first_not_of('x') == there.find('!'));
    REQUIRE(there.find('!') != std::string::npos);
    CHECK(there.substr(there.find('!')) == reset_after(""));
  }
}

// ---- in turns

namespace {
task<> write_list(tcp_flow* flow, std::size_t count, notes* to) {
  std::vector<buffer> list;
  for (std::size_t i = 0; i < count; ++i) list.emplace_back("x");
  const result<void> sent = co_await flow->writev(list);
  (*to)(sent);
}
task<> count_turns(const notes* until, int* count) {
  while (until->all.empty()) {
    ++*count;
    co_await turns(1);
  }
}
task<> written_in_turns(tcp_flow* flow, notes* sent, int* turns_of_others) {
  co_await together(write_list(flow, 20'000, sent), count_turns(sent, turns_of_others));
  co_await flow->shutdown(shutdown_mode::write);
}
}  // namespace

TEST_CASE("a long list of buffers goes out in several turns of the loop, with nobody left behind", "[tcp_flow]") {
  two_ends ends;
  notes sent;
  int turns_of_others = 0;
  std::string heard;
  notes end;
  REQUIRE(finishes(
      together(written_in_turns(&ends.left, &sent, &turns_of_others), read_all_into(&ends.right, &heard, &end))));
  CHECK(sent.all == several{"sent"});
  CHECK(turns_of_others >= 4);
  CHECK(heard.size() == 20'000);
  CHECK(end.all == several{"eof"});
}

// ---- where a flow belongs

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
foreign use_from_nowhere(tcp_flow* flow, notes* heard) {
  const read_result got = co_await flow->read();
  (*heard)(got);
  const result<void> sent = co_await flow->write(buffer("x"));
  (*heard)(sent);
}
foreign end_from_nowhere(tcp_flow* flow) {
  co_await flow->shutdown(shutdown_mode::write);
  co_await flow->close();
}

// 0: answered as one wishes where nothing is checked.
int use_on_another_loop(task<> (*use)(tcp_flow*, notes*)) {
  one_end end;
  notes heard;
  event_loop home;
  event_loop other;
  say(end.peer, "x");
  coflow::run(home, read_into(&end.flow, &heard));
  heard.all.clear();
  coflow::run(other, use(&end.flow, &heard));
  return heard.all == several{message_of(coflow::error::wrong_executor)} ? 0 : 1;
}
task<> just_write(tcp_flow* flow, notes* heard) { co_await write_into(flow, "x", heard); }
task<> just_close(tcp_flow* flow, notes* heard) {
  co_await flow->close();
  (*heard)(read_result(coflow::make_error_code(coflow::error::wrong_executor)));
}
int read_on_another_loop() { return use_on_another_loop(read_into); }
int write_on_another_loop() { return use_on_another_loop(just_write); }
int close_on_another_loop() { return use_on_another_loop(just_close); }
}  // namespace

TEST_CASE("there is no reading and writing without an executor, but shutting down and closing", "[tcp_flow]") {
  one_end end;
  say(end.peer, "x");
  notes heard;
  use_from_nowhere(&end.flow, &heard);
  CHECK(heard.all == several(2, message_of(coflow::error::no_executor)));
  notes later;
  REQUIRE(finishes(read_into(&end.flow, &later)));
  CHECK(later.all == several{"x"});
  one_end other;
  end_from_nowhere(&other.flow);
  CHECK(other.flow.native_handle() == -1);
  CHECK(hear_all(other.peer).empty());
}

TEST_CASE("using a flow on another loop than its own is detected", "[tcp_flow]") {
#ifdef NDEBUG
  CHECK(in_child(read_on_another_loop) == 0);
  CHECK(in_child(write_on_another_loop) == 0);
#else
  CHECK(in_child(read_on_another_loop) == -SIGABRT);
  CHECK(in_child(write_on_another_loop) == -SIGABRT);
#endif
}

TEST_CASE("closing a flow on another loop than its own is detected", "[tcp_flow]") {
#ifdef NDEBUG
  CHECK(in_child(close_on_another_loop) == 0);
#else
  CHECK(in_child(close_on_another_loop) == -SIGABRT);
#endif
}

// ---- memory; where the pool hands straight to the heap, there is nothing to be seen

#ifndef COFLOW_NO_POOL
namespace {

std::size_t heap_in_use() {
  const struct mallinfo2 now = ::mallinfo2();
  return now.uordblks + now.hblkhd;
}

// Room for as many descriptors as the system allows, up to `wanted`; gives how many there are.
class descriptor_room {
 public:
  explicit descriptor_room(rlim_t wanted) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit raised = before_;
    raised.rlim_cur = std::max(before_.rlim_cur, std::min(before_.rlim_max, wanted));
    ::setrlimit(RLIMIT_NOFILE, &raised);
    room_ = std::min(raised.rlim_cur, wanted);
  }
  descriptor_room(const descriptor_room&) = delete;
  descriptor_room& operator=(const descriptor_room&) = delete;
  ~descriptor_room() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  [[nodiscard]] rlim_t room() const noexcept { return room_; }

 private:
  rlimit before_{};
  rlim_t room_ = 0;
};

task<> count_bytes(tcp_flow* flow, std::size_t* bytes) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) co_return;
    *bytes += got->size();
  }
}
task<> wait_with_many(std::vector<one_end>* ends, std::size_t before, std::size_t* waiting, std::size_t* after_a_read) {
  std::size_t bytes = 0;
  coflow::task_scope scope;
  for (one_end& end : *ends) scope.spawn(count_bytes(&end.flow, &bytes)).value();
  co_await turns(3);
  *waiting = heap_in_use() - before;
  for (const one_end& end : *ends) say(end.peer, "x");
  while (bytes < ends->size()) co_await turns(1);
  *after_a_read = heap_in_use() - before;
  scope.cancel();
  const result<void> joined = co_await scope.join();
  joined.value();
}

task<> echo_some(tcp_flow* flow, long count) {
  for (long i = 0; i < count; ++i) {
    read_result got = co_await flow->read();
    if (!got) co_return;
    const result<void> sent = co_await flow->write(std::move(*got));
    if (!sent) co_return;
  }
}
task<> ask_some(tcp_flow* flow, long warm, long count, std::uint64_t* allocated, long* answered) {
  const std::string question(64, '?');
  for (long i = 0; i < warm + count; ++i) {
    if (i == warm) *allocated = support::allocation_count();
    const result<void> sent = co_await flow->write(buffer(question));
    if (!sent) co_return;
    const read_result got = co_await flow->read();
    if (!got) co_return;
    ++*answered;
  }
  *allocated = support::allocation_count() - *allocated;
}

}  // namespace

TEST_CASE("a connection that waits for input holds no room for it", "[tcp_flow]") {
  const descriptor_room descriptors(2200);
  const std::size_t count = (descriptors.room() - 200) / 2;
  const std::size_t before = heap_in_use();
  std::vector<one_end> ends;
  ends.reserve(count);
  for (std::size_t i = 0; i < count; ++i) ends.emplace_back();
  std::size_t waiting = 0;
  std::size_t after_a_read = 0;
  REQUIRE(finishes(wait_with_many(&ends, before, &waiting, &after_a_read)));
  // The flows, the tasks, the loop's table and its one block for reading; nothing near a buffer for each.
  CHECK(waiting / count < 1024);
  CHECK(after_a_read / count < 1024);
}

TEST_CASE("an echo allocates nothing once it is under way", "[tcp_flow]") {
  two_ends ends;
  std::uint64_t allocated = 0;
  long answered = 0;
  REQUIRE(finishes(together(ask_some(&ends.left, 100, 10000, &allocated, &answered), echo_some(&ends.right, 10100))));
  CHECK(answered == 10100);
  CHECK(allocated == 0);
}
#endif

// ---- reading into the caller's memory

namespace {

static_assert(coflow::ReadIntoFlow<tcp_flow>);
static_assert(!std::is_aggregate_v<tcp_flow::read_into_operation>);

task<std::string> from_room(tcp_flow* flow, std::size_t size) {
  std::string room(size, '.');
  const coflow::read_into_result got = co_await flow->read_into(std::as_writable_bytes(std::span<char>(room)));
  if (got.eof()) co_return "eof";
  if (got.failed()) co_return got.error().message();
  if (room.find_first_not_of('.', *got) != std::string::npos) co_return "beyond the count";
  room.resize(*got);
  co_return room;
}
task<> note_room(tcp_flow* flow, std::size_t size, several* into) {
  std::string got = co_await from_room(flow, size);
  into->push_back(std::move(got));
}

task<> read_into_rooms(one_end* end, several* into) {
  say(end->peer, "0123456789");
  await_bytes(end->flow.native_handle(), 10);
  co_await note_room(&end->flow, 3, into);
  co_await note_room(&end->flow, 0, into);
  const read_result chunk = co_await end->flow.read();
  into->push_back(std::string(chunk->text()));
  {
    coflow::task_scope scope;
    scope.spawn(note_room(&end->flow, 100, into)).value();
    co_await turns(2);
    say(end->peer, "waited for");
    const result<void> joined = co_await scope.join();
    joined.value();
  }
  say(end->peer, "the rest");
  end->peer.reset();
  await_event(end->flow.native_handle(), POLLRDHUP);
  co_await note_room(&end->flow, 4, into);
  co_await note_room(&end->flow, 4, into);
  co_await note_room(&end->flow, 4, into);
  co_await note_room(&end->flow, 0, into);
}

task<> read_to_a_reset(one_end* end, several* into) {
  say(end->peer, "before");
  await_bytes(end->flow.native_handle(), 6);
  reset(end->peer);
  await_event(end->flow.native_handle(), POLLHUP);
  for (int i = 0; i < 5; ++i) co_await note_room(&end->flow, 3, into);
  const read_result last = co_await end->flow.read();
  into->push_back(last.error().message());
}

// A room that is filled says nothing about what else is there; one that is not says that nothing is.
task<> fill_a_large_room(two_ends* ends, std::string sent, std::string* got) {
  coflow::task_scope scope;
  notes ignored;
  scope.spawn(write_into(&ends->left, sent, &ignored)).value();
  for (std::size_t i = 0; got->size() < sent.size(); ++i) {
    std::string part = co_await from_room(&ends->right, i % 3 == 0 ? 300'000 : 65'536);
    *got += part;
  }
  const result<void> joined = co_await scope.join();
  joined.value();
}

task<> cancel_a_room(one_end* end, several* into) {
  {
    coflow::task_scope scope;
    scope.spawn(note_room(&end->flow, 100, into)).value();
    co_await turns(1);
    say(end->peer, "not lost");
    await_bytes(end->flow.native_handle(), 8);
    scope.cancel();
    co_await turns(1);
  }
  co_await note_room(&end->flow, 100, into);
  {
    coflow::task_scope scope;
    scope.spawn(note_room(&end->flow, 100, into)).value();
    co_await turns(1);
    co_await end->flow.close();
    co_await turns(1);
  }
  co_await note_room(&end->flow, 100, into);
}

task<> read_past_urgent_data(one_end* end, several* into) {
  say(end->peer, "before");
  say(end->peer, "!", MSG_OOB);
  say(end->peer, "after");
  await_event(end->flow.native_handle(), POLLPRI);
  std::string all;
  while (all.size() < 11) {
    std::string part = co_await from_room(&end->flow, 100);
    all += part;
  }
  into->push_back(all);
}

#ifndef COFLOW_NO_POOL
task<> fill_some(tcp_flow* flow, std::size_t room_size, long count) {
  std::vector<std::byte> room(room_size);
  for (long i = 0; i < count; ++i) {
    const coflow::read_into_result got = co_await flow->read_into(room);
    if (!got) co_return;
    const result<void> sent = co_await flow->write(buffer(std::as_bytes(std::span(room).first(*got))));
    if (!sent) co_return;
  }
}
#endif

}  // namespace

TEST_CASE("a room is filled with what is there, and the end comes behind it", "[tcp_flow]") {
  one_end end;
  several seen;
  REQUIRE(finishes(read_into_rooms(&end, &seen)));
  CHECK(seen == several{"012", "", "3456789", "waited for", "the ", "rest", "eof", "eof"});
}

TEST_CASE("a reset comes behind what rooms can still be filled with, and stays", "[tcp_flow]") {
  one_end end;
  several seen;
  REQUIRE(finishes(read_to_a_reset(&end, &seen)));
  const std::string gone = message_of(std::errc::connection_reset);
  CHECK(seen == several{"bef", "ore", gone, gone, gone, gone});
}

TEST_CASE("rooms that are larger than a read is take more than one would", "[tcp_flow]") {
  two_ends ends;
  std::string sent(3'000'000, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 7 % 251);
  std::string got;
  REQUIRE(finishes(fill_a_large_room(&ends, sent, &got)));
  CHECK(got == sent);
}

TEST_CASE("a room that is given up loses nothing, and a close ends its wait", "[tcp_flow]") {
  one_end end;
  several seen;
  REQUIRE(finishes(cancel_a_room(&end, &seen)));
  const std::string closed = message_of(coflow::error::closed);
  CHECK(seen == several{message_of(std::errc::operation_canceled), "not lost", closed, closed});
}

TEST_CASE("urgent data does not stop a read into a room", "[tcp_flow]") {
  one_end end;
  several seen;
  REQUIRE(finishes(read_past_urgent_data(&end, &seen)));
  CHECK(seen == several{"beforeafter"});
}

#ifndef COFLOW_NO_POOL
TEST_CASE("an echo out of a room allocates nothing once it is under way", "[tcp_flow]") {
  two_ends ends;
  std::uint64_t asked = 0;
  long answered = 0;
  REQUIRE(finishes(together(ask_some(&ends.left, 100, 5000, &asked, &answered), fill_some(&ends.right, 4096, 5100))));
  CHECK(answered == 5100);
  CHECK(asked == 0);
}
#endif
