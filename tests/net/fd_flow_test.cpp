#include "coflow/net/fd_flow.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/net.hpp>
#include <coflow/testing/laws.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/law_table.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::error;
using coflow::event_loop;
using coflow::fd_flow;
using coflow::fd_pair;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using coflow::laws::turns;
using coflow::laws::until;

static_assert(coflow::check_flow_shape<fd_flow>());
static_assert(coflow::SystemFlow<fd_flow>);
static_assert(!std::is_copy_constructible_v<fd_flow>);
static_assert(std::is_nothrow_move_constructible_v<fd_flow>);
static_assert(!std::is_aggregate_v<fd_flow>);

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

struct two_fds {
  unique_fd in;
  unique_fd out;
};
two_fds make_pipe(int flags = 0) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | flags) != 0) throw std::system_error(errno, std::system_category(), "pipe2");
  return {unique_fd(ends[0]), unique_fd(ends[1])};
}
two_fds make_socket_pair(int type = SOCK_STREAM) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::system_error(errno, std::system_category(), "socketpair");
  return {unique_fd(ends[0]), unique_fd(ends[1])};
}
// The master is `in`, the other side `out`; bytes pass as they are.
two_fds make_terminal() {
  two_fds made;
  made.in = unique_fd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (::grantpt(made.in.get()) != 0 || ::unlockpt(made.in.get()) != 0) throw std::runtime_error("no terminal");
  made.out = unique_fd(::open(::ptsname(made.in.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  termios how{};
  ::tcgetattr(made.out.get(), &how);
  how.c_oflag &= ~static_cast<tcflag_t>(OPOST);
  how.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(made.out.get(), TCSANOW, &how);
  return made;
}
unique_fd make_file(std::string_view text) {
  char name[] = "/tmp/coflow-fd-flow-XXXXXX";
  unique_fd made(::mkostemp(name, O_CLOEXEC));
  ::unlink(name);
  if (::write(made.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::lseek(made.get(), 0, SEEK_SET) != 0)
    throw std::system_error(errno, std::system_category(), "write");
  return made;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
bool blocks(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }
void say(int fd, std::string_view text) {
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::system_error(errno, std::system_category(), "write");
}

void check(task<> body) { coflow::run(std::move(body)); }

task<> drain(fd_flow* flow, std::string* all, std::optional<read_result>* end) {
  for (;;) {
    read_result got = co_await flow->read();
    if (!got) {
      end->emplace(std::move(got));
      co_return;
    }
    all->append(got->text());
  }
}
task<> read_once(fd_flow* flow, std::optional<read_result>* out) {
  read_result got = co_await flow->read();
  out->emplace(std::move(got));
}
task<> write_once(fd_flow* flow, buffer bytes, std::optional<result<void>>* out) {
  const result<void> sent = co_await flow->write(std::move(bytes));
  out->emplace(sent);
}
using support::expect;
using support::expect_data;
using support::expect_eof;
using support::expect_error;

// ---- the laws

using ends = std::pair<fd_flow, fd_flow>;

struct watched_ends {
  std::size_t unread(fd_flow& end) const noexcept {
    int count = 0;
    return ::ioctl(end.native_handles().in, FIONREAD, &count) == 0 ? static_cast<std::size_t>(count) : 0;
  }
  bool end_has_arrived(fd_flow& end) const noexcept {
    pollfd asked{end.native_handles().in, POLLRDHUP, 0};
    return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }
};
struct pipes : watched_ends {
  ends operator()() const {
    two_fds there = make_pipe();
    two_fds back = make_pipe();
    for (const int fd : {there.out.get(), back.out.get()}) ::fcntl(fd, F_SETPIPE_SZ, 4096);
    return {fd_flow::adopt(back.in.release(), there.out.release()).value(),
            fd_flow::adopt(there.in.release(), back.out.release()).value()};
  }
};
struct socket_pairs : watched_ends {
  ends operator()() const {
    two_fds pair = make_socket_pair();
    return {fd_flow::adopt(pair.in.release()).value(), fd_flow::adopt(pair.out.release()).value()};
  }
};
// Two descriptors of one open socket, as inetd gives them.
struct socket_pairs_twice : watched_ends {
  ends operator()() const {
    two_fds pair = make_socket_pair();
    const int in = ::dup(pair.in.get());
    const int out = ::dup(pair.out.get());
    return {fd_flow::adopt(in, pair.in.release()).value(), fd_flow::adopt(out, pair.out.release()).value()};
  }
};
struct tcp_sockets : watched_ends {
  task<ends> operator()() const { return connect(); }
  void reset(fd_flow& end) const {
    const linger now{1, 0};
    const fd_pair handles = end.release();
    if (handles.in < 0) return;
    ::setsockopt(handles.in, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(handles.in);
  }
  static task<ends> connect() {
    auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
    if (!listener) throw std::system_error(listener.error());
    auto client = co_await coflow::tcp_connect(listener->local_endpoint());
    if (!client) throw std::system_error(client.error());
    auto server = co_await listener->accept();
    if (!server) throw std::system_error(server.error());
    for (coflow::tcp_flow* end : {&*client, &*server}) {
      end->set_option(SOL_SOCKET, SO_SNDBUF, 65536).value();
      end->set_option(SOL_SOCKET, SO_RCVBUF, 65536).value();
    }
    ends both(fd_flow::adopt(client->release()).value(), fd_flow::adopt(server->release()).value());
    co_return std::move(both);
  }
};

// What has no way to say that a stream was broken off breaks X3, and nothing else.
template <class Factory>
void keeps_all_but_torn_ends(Factory make) {
  for (const bool into : {false, true}) {
    coflow::law_options options = coflow::law_options().many(2000);
    if (into) options.by_read_into();
    const coflow::report found = support::check_table<event_loop>(support::all_laws(), make, options);
    INFO(found.text());
    CHECK(found.checks() > 130);
    for (const coflow::finding& one : found.findings()) CHECK(std::string(one.law) == "X3");
  }
}

}  // namespace

TEST_CASE("two pipes keep every law of a flow but that of torn ends", "[fd_flow]") { keeps_all_but_torn_ends(pipes()); }

TEST_CASE("a socket pair as descriptors keeps every law of a flow but that of torn ends", "[fd_flow]") {
  keeps_all_but_torn_ends(socket_pairs());
  keeps_all_but_torn_ends(socket_pairs_twice());
}

TEST_CASE("a TCP connection as a descriptor keeps every law of a flow", "[fd_flow]") {
  const coflow::report found = support::check_table<event_loop>(support::all_laws(), tcp_sockets());
  INFO(found.text());
  CHECK(found.passed());
  CHECK(found.checks() > 160);
}

// ---- what is taken over, and what is refused

TEST_CASE("descriptors that are no streams are refused and stay as they were", "[fd_flow]") {
  two_fds pipe = make_pipe();
  const auto refused = [&](int in, int out, std::error_code why) {
    const result<fd_flow> made = fd_flow::adopt(in, out);
    REQUIRE(!made);
    CHECK(made.error() == why);
    for (const int fd : {in, out}) {
      if (fd < 0 || why == coflow::from_system(EBADF)) continue;
      CHECK(is_open(fd));
      CHECK(blocks(fd));
    }
    CHECK(blocks(pipe.in.get()));
    CHECK(blocks(pipe.out.get()));
  };
  const std::error_code bad = coflow::from_system(EBADF);
  refused(1023, -1, bad);
  refused(-1, 1023, bad);
  refused(-2, -1, bad);
  refused(pipe.in.get(), 1023, bad);
  refused(1023, pipe.out.get(), bad);
  refused(pipe.out.get(), -1, bad);
  refused(-1, pipe.in.get(), bad);
  refused(pipe.in.get(), pipe.in.get(), bad);

  const unique_fd directory(::open("/", O_RDONLY | O_CLOEXEC));
  refused(directory.get(), -1, coflow::from_system(EISDIR));
  refused(-1, directory.get(), coflow::from_system(EISDIR));
  const unique_fd path(::open("/dev/null", O_PATH | O_CLOEXEC));
  CHECK(fd_flow::adopt(path.get()).error() == bad);

  const unique_fd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un unnamed{AF_UNIX, {}};
  refused(listening.get(), listening.get(), error::not_a_stream);  // and not connected either
  REQUIRE(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&unnamed), sizeof(sa_family_t)) == 0);
  REQUIRE(::listen(listening.get(), 1) == 0);
  refused(listening.get(), pipe.out.get(), error::not_a_stream);
  refused(pipe.in.get(), listening.get(), error::not_a_stream);
  for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    const two_fds packets = make_socket_pair(type);
    refused(packets.in.get(), packets.in.get(), error::not_a_stream);
  }
  const unique_fd counter(::eventfd(0, EFD_CLOEXEC));
  refused(counter.get(), counter.get(), error::not_a_stream);
}

TEST_CASE("descriptors are given back blocking if they were found so", "[fd_flow]") {
  for (const bool found_blocking : {true, false}) {
    two_fds pipe = make_pipe(found_blocking ? 0 : O_NONBLOCK);
    fd_flow flow = fd_flow::adopt(pipe.in.get(), pipe.out.get()).value();
    CHECK(!blocks(pipe.in.get()));
    CHECK(!blocks(pipe.out.get()));
    const fd_pair back = flow.release();
    CHECK(back.in == pipe.in.get());
    CHECK(back.out == pipe.out.get());
    CHECK(blocks(back.in) == found_blocking);
    CHECK(blocks(back.out) == found_blocking);
    CHECK(flow.native_handles().in == -1);
    CHECK(flow.release().out == -1);
  }
  // By a close, for whoever shares the open file.
  two_fds pipe = make_pipe();
  const unique_fd other_in(::dup(pipe.in.get()));
  const unique_fd other_out(::dup(pipe.out.get()));
  {
    const fd_flow flow = fd_flow::adopt(pipe.in.release(), pipe.out.release()).value();
    CHECK(!blocks(other_in.get()));
  }
  CHECK(blocks(other_in.get()));
  CHECK(blocks(other_out.get()));
}

namespace {

task<> shut_write(fd_flow* flow) { co_await flow->shutdown(shutdown_mode::write); }

}  // namespace

TEST_CASE("of two descriptors of one open file the last one to go makes it block again", "[fd_flow]") {
  two_fds terminal = make_terminal();
  const int in = ::dup(terminal.out.get());
  const int out = ::dup(terminal.out.get());
  event_loop loop;
  {
    fd_flow flow = fd_flow::adopt(in, out).value();
    coflow::run(loop, shut_write(&flow));
    CHECK(!is_open(out));
    CHECK(flow.native_handles().out == -1);
    CHECK(!blocks(in));  // reads go on, and may not block
  }
  CHECK(!is_open(in));
  CHECK(blocks(terminal.out.get()));
}

TEST_CASE("borrowed descriptors stay open and are given back as they were", "[fd_flow]") {
  two_fds pipe = make_pipe();
  event_loop loop;
  {
    fd_flow flow = fd_flow::borrow(pipe.in.get(), pipe.out.get()).value();
    coflow::run(loop, shut_write(&flow));
    CHECK(is_open(pipe.out.get()));
    CHECK(!blocks(pipe.in.get()));
  }
  CHECK(is_open(pipe.in.get()));
  CHECK(is_open(pipe.out.get()));
  CHECK(blocks(pipe.in.get()));
  CHECK(blocks(pipe.out.get()));
}

namespace {

task<> a_missing_half_is_at_its_end() {
  two_fds pipe = make_pipe();
  fd_flow source = fd_flow::adopt(pipe.in.release(), -1).value();
  fd_flow sink = fd_flow::adopt(-1, pipe.out.release()).value();
  read_result got = co_await sink.read();
  expect_eof(got);
  result<void> sent = co_await source.write(buffer("lost"));
  expect_error(sent, error::closed);
  sent = co_await source.write(buffer());
  expect_error(sent, error::closed);
  sent = co_await sink.write(buffer("found"));
  expect(sent.has_value(), "the other half works");
  got = co_await source.read();
  expect_data(got, "found");
  fd_flow nothing = fd_flow::adopt(-1, -1).value();
  got = co_await nothing.read();
  expect_eof(got);
  co_await nothing.shutdown(shutdown_mode::read_write);
  co_await nothing.close();
  got = co_await nothing.read();
  expect_error(got, error::closed);
}

task<> the_end_of_a_pipe_is_a_closed_descriptor() {
  two_fds there = make_pipe();
  two_fds back = make_pipe();
  const int out = there.out.release();
  fd_flow flow = fd_flow::adopt(back.in.release(), out).value();
  const result<void> sent = co_await flow.write(buffer("last"));
  expect(sent.has_value(), "a pipe takes a few bytes");
  co_await flow.shutdown(shutdown_mode::write);
  expect(!is_open(out), "shutdown(write) closes the descriptor");
  char heard[8];
  expect(::read(there.in.get(), heard, sizeof heard) == 4, "what was written comes first");
  expect(::read(there.in.get(), heard, sizeof heard) == 0, "then the end");
  say(back.out.get(), "still there");
  const read_result got = co_await flow.read();
  expect_data(got, "still there");
}

task<> the_reader_of_a_pipe_leaves() {
  two_fds there = make_pipe();
  two_fds back = make_pipe();
  fd_flow flow = fd_flow::adopt(back.in.release(), there.out.release()).value();
  std::optional<result<void>> blocked;
  task_scope scope;
  scope.spawn(write_once(&flow, buffer(std::string(1 << 20, 'x')), &blocked)).value();
  co_await turns(3);
  expect(!blocked.has_value(), "a full pipe holds the writer up");
  there.in.reset();
  const bool ended = co_await until([&blocked] { return blocked.has_value(); });
  expect(ended, "a writer hears that the reader has left");
  if (ended) expect_error(*blocked, error::closed);
  result<void> sent = co_await flow.write(buffer("more"));
  expect_error(sent, error::closed);
  // The other direction is another pipe.
  say(back.out.get(), "still there");
  const read_result got = co_await flow.read();
  expect_data(got, "still there");
}

}  // namespace

TEST_CASE("a half without a descriptor is at its end from the beginning", "[fd_flow]") {
  check(a_missing_half_is_at_its_end());
}
TEST_CASE("shutdown of a pipe's write half closes that descriptor", "[fd_flow]") {
  check(the_end_of_a_pipe_is_a_closed_descriptor());
}
TEST_CASE("a pipe's writer hears that the reader has left and reads on", "[fd_flow]") {
  check(the_reader_of_a_pipe_leaves());
}

// ---- SIGPIPE

namespace {

task<> write_without_a_reader(bool list) {
  two_fds pipe = make_pipe();
  fd_flow flow = fd_flow::adopt(-1, pipe.out.release()).value();
  pipe.in.reset();
  std::vector<buffer> several;
  several.emplace_back("a");
  several.emplace_back("b");
  result<void> sent = coflow::success;
  if (list)
    sent = co_await flow.writev(several);
  else
    sent = co_await flow.write(buffer("a"));
  expect_error(sent, error::closed);
}

bool is_pending(int number) {
  sigset_t pending;
  ::sigpending(&pending);
  return sigismember(&pending, number) == 1;
}
bool is_blocked(int number) {
  sigset_t blocked;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  return sigismember(&blocked, number) == 1;
}

}  // namespace

TEST_CASE("a pipe without a reader raises no signal and leaves the process's signals alone", "[fd_flow]") {
  struct sigaction former{};
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  REQUIRE(::sigaction(SIGPIPE, &by_default, &former) == 0);
  sigset_t pipe_only;
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);

  check(write_without_a_reader(false));  // a signal would end the program
  check(write_without_a_reader(true));
  CHECK(!is_blocked(SIGPIPE));

  ::pthread_sigmask(SIG_BLOCK, &pipe_only, nullptr);
  check(write_without_a_reader(false));
  CHECK(is_blocked(SIGPIPE));
  CHECK(!is_pending(SIGPIPE));

  ::raise(SIGPIPE);
  check(write_without_a_reader(false));
  CHECK(is_pending(SIGPIPE));  // somebody else's
  int taken = 0;
  ::sigwait(&pipe_only, &taken);
  ::pthread_sigmask(SIG_UNBLOCK, &pipe_only, nullptr);

  struct sigaction now{};
  REQUIRE(::sigaction(SIGPIPE, &former, &now) == 0);
  CHECK(now.sa_handler == SIG_DFL);
}

// ---- files and devices

namespace {

task<> count_turns(int* turns_had, const bool* over) {
  while (!*over) {
    co_await turns();
    ++*turns_had;
  }
}

task<> a_file_is_read_and_has_one_end() {
  const std::string text = coflow::laws::pattern(16 << 20);
  unique_fd file = make_file(text);
  const unique_fd other(::dup(file.get()));
  fd_flow flow = fd_flow::adopt(file.release(), -1).value();
  std::string all;
  std::optional<read_result> end;
  int turns_had = 0;
  bool over = false;
  task_scope scope;
  scope.spawn(count_turns(&turns_had, &over)).value();
  co_await drain(&flow, &all, &end);
  over = true;
  expect(all == text, "the whole file is read");
  expect_eof(*end);
  expect(turns_had >= 1, "others have their turn while a file is read");
  // What is appended after the end is not read: the first verdict wins.
  say(other.get(), "more");
  ::lseek(other.get(), -4, SEEK_END);
  const read_result got = co_await flow.read();
  expect_eof(got);
  const result<void> joined = co_await scope.join();
  expect(joined.has_value(), "the counter ends");
}

task<> a_file_is_written() {
  const std::string text = coflow::laws::pattern(8 << 20);
  unique_fd file = make_file("");
  const unique_fd other(::dup(file.get()));
  fd_flow flow = fd_flow::adopt(-1, file.release()).value();
  int turns_had = 0;
  bool over = false;
  task_scope scope;
  scope.spawn(count_turns(&turns_had, &over)).value();
  result<void> sent = co_await flow.write(buffer(text));
  over = true;
  expect(sent.has_value(), "a file takes what it is given");
  expect(turns_had >= 4, "others have their turn while a file is written");
  std::vector<buffer> list;
  for (int i = 0; i < 200; ++i) list.emplace_back(i % 3 == 0 ? "" : "ab");
  sent = co_await flow.writev(list);
  expect(sent.has_value(), "a file takes a list");
  co_await flow.shutdown(shutdown_mode::write);
  std::string found(text.size() + 300, '\0');
  const ssize_t size = ::pread(other.get(), found.data(), found.size(), 0);
  expect(size == static_cast<ssize_t>(text.size() + 266), "all of it is there");
  expect(found.compare(0, text.size(), text) == 0, "as it was written");
  const result<void> joined = co_await scope.join();
  expect(joined.has_value(), "the counter ends");
}

task<> devices_have_their_ways() {
  fd_flow null = fd_flow::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC)).value();
  const read_result got = co_await null.read();
  expect_eof(got);
  result<void> sent = co_await null.write(buffer("gone"));
  expect(sent.has_value(), "/dev/null takes everything");

  fd_flow full = fd_flow::adopt(-1, ::open("/dev/full", O_WRONLY | O_CLOEXEC)).value();
  for (int i = 0; i < 2; ++i) {
    sent = co_await full.write(buffer("too much"));
    expect_error(sent, coflow::from_system(ENOSPC));
  }

  // What never ends is read for as long as it is wanted, and shut down without being read to its end.
  fd_flow zeros = fd_flow::adopt(::open("/dev/zero", O_RDONLY | O_CLOEXEC), -1).value();
  for (int i = 0; i < 200; ++i) {
    const read_result some = co_await zeros.read();
    expect(some.has_data(), "there are zeros");
  }
  co_await zeros.shutdown(shutdown_mode::read);
  const read_result end = co_await zeros.read();
  expect_eof(end);
}

}  // namespace

TEST_CASE("a regular file is read to its end, and others run meanwhile", "[fd_flow]") {
  check(a_file_is_read_and_has_one_end());
}
TEST_CASE("a regular file is written, and others run meanwhile", "[fd_flow]") { check(a_file_is_written()); }
TEST_CASE("devices are flows too", "[fd_flow]") { check(devices_have_their_ways()); }

TEST_CASE("a write to what is always ready hears that the loop has gone", "[fd_flow]") {
  fd_flow null = fd_flow::adopt(-1, ::open("/dev/null", O_WRONLY | O_CLOEXEC)).value();
  std::optional<result<void>> sent;
  auto loop = std::make_unique<event_loop>();
  coflow::spawn(*loop, write_once(&null, buffer(std::string(16 << 20, 'n')), &sent));
  loop->turn();
  CHECK(!sent.has_value());
  loop.reset();
  REQUIRE(sent.has_value());
  CHECK(sent->error() == error::closed);
  CHECK(null.native_handles().out == -1);

  // And one that was never used on the loop answers without one.
  two_fds pipe = make_pipe();
  fd_flow flow = fd_flow::adopt(pipe.in.release(), pipe.out.release()).value();
  std::optional<read_result> got;
  event_loop ended;
  coflow::spawn(ended, read_once(&flow, &got));
  ended.turn();
  CHECK(!got.has_value());
}

// ---- terminals and packets

namespace {

task<> a_terminal_gives_every_line() {
  two_fds terminal = make_terminal();
  fd_flow flow = fd_flow::adopt(::dup(terminal.out.get())).value();
  std::optional<read_result> first;
  task_scope scope;
  scope.spawn(read_once(&flow, &first)).value();
  co_await turns(3);
  expect(!first.has_value(), "a read of a silent terminal waits");
  // Each read of a terminal gives one line, however many there are.
  say(terminal.in.get(), "one\ntwo\nthree\n");
  const bool there = co_await until([&first] { return first.has_value(); });
  expect(there, "a line comes");
  if (!there) co_return;
  std::string all(first->has_data() ? (*first)->text() : "");
  while (all.size() < 14) {
    const read_result got = co_await flow.read();
    if (!got) break;
    all += got->text();
  }
  expect(all == "one\ntwo\nthree\n", "all lines are read, got " + all);
  const result<void> sent = co_await flow.write(buffer("answer"));
  expect(sent.has_value(), "a terminal is written to");
  char heard[16];
  expect(::read(terminal.in.get(), heard, sizeof heard) == 6, "and shows it");
  // The end that a person gives by hand.
  say(terminal.in.get(), "\004");
  for (int i = 0; i < 2; ++i) {
    const read_result got = co_await flow.read();
    expect_eof(got);
  }
}

task<> the_other_side_of_a_terminal_is_closed() {
  two_fds terminal = make_terminal();
  fd_flow master = fd_flow::adopt(terminal.in.release()).value();
  std::string all;
  std::optional<read_result> end;
  task_scope scope;
  scope.spawn(drain(&master, &all, &end)).value();
  co_await turns(3);
  say(terminal.out.get(), "last words");
  terminal.out.reset();
  const bool ended = co_await until([&end] { return end.has_value(); });
  expect(ended, "the master hears that the terminal was closed");
  if (!ended) co_return;
  expect_eof(*end);
  expect(all == "last words", "after all that was said, got " + all);
}

task<> a_hung_up_terminal_fails() {
  two_fds terminal = make_terminal();
  fd_flow flow = fd_flow::adopt(terminal.out.release()).value();
  terminal.in.reset();
  for (int i = 0; i < 2; ++i) {
    const result<void> sent = co_await flow.write(buffer("nobody"));
    expect_error(sent, coflow::from_system(EIO));
  }
}

// Each read gives one packet, so that a short one says nothing.
task<> every_packet_of_a_pipe_is_read() {
  two_fds pipe = make_pipe(O_DIRECT);
  fd_flow flow = fd_flow::adopt(pipe.in.release(), -1).value();
  std::optional<read_result> first;
  task_scope scope;
  scope.spawn(read_once(&flow, &first)).value();
  co_await turns(2);
  for (const char* packet : {"one", "two", "three"}) say(pipe.out.get(), packet);
  pipe.out.reset();
  const bool there = co_await until([&first] { return first.has_value(); });
  expect(there, "a packet comes");
  std::string all;
  std::optional<read_result> end;
  co_await drain(&flow, &all, &end);
  expect(all == "twothree", "the others come, got " + all);
  expect_eof(*end);
}

}  // namespace

TEST_CASE("a terminal gives every line and ends where its user says so", "[fd_flow]") {
  check(a_terminal_gives_every_line());
}
TEST_CASE("the master of a terminal reads eof when the other side is closed", "[fd_flow]") {
  check(the_other_side_of_a_terminal_is_closed());
}
TEST_CASE("a write to a terminal that was hung up is an error", "[fd_flow]") { check(a_hung_up_terminal_fails()); }
TEST_CASE("a pipe of packets is read until nothing is left", "[fd_flow]") { check(every_packet_of_a_pipe_is_read()); }

// ---- pending operations, and what two flows share

namespace {

task<> release_ends_what_is_pending() {
  two_fds pipe = make_pipe();
  two_fds back = make_pipe();
  fd_flow flow = fd_flow::adopt(pipe.in.get(), back.out.get()).value();
  std::optional<read_result> got;
  std::optional<result<void>> sent;
  task_scope scope;
  scope.spawn(read_once(&flow, &got)).value();
  scope.spawn(write_once(&flow, buffer(std::string(1 << 20, 'w')), &sent)).value();
  co_await turns(3);
  const fd_pair handles = flow.release();
  expect(handles.in == pipe.in.get() && handles.out == back.out.get(), "the descriptors are given back");
  expect(!got.has_value() && !sent.has_value(), "nobody is resumed inline");
  co_await turns();
  expect(got.has_value() && sent.has_value(), "what is pending ends promptly");
  if (got) expect_error(*got, error::closed);
  if (sent) expect_error(*sent, error::closed);
  // They can be used again, on this loop too.
  fd_flow again = fd_flow::adopt(pipe.in.release(), -1).value();
  say(pipe.out.get(), "again");
  const read_result more = co_await again.read();
  expect_data(more, "again");
}

task<> one_descriptor_has_one_flow() {
  two_fds pipe = make_pipe();
  fd_flow first = fd_flow::adopt(pipe.in.get(), -1).value();
  fd_flow second = fd_flow::borrow(pipe.in.release(), -1).value();
  say(pipe.out.get(), "x");
  const read_result got = co_await first.read();
  expect_data(got, "x");
  const read_result refused = co_await second.read();
  expect_error(refused, coflow::from_system(EEXIST));
  co_await second.close();
}

task<> dropped_input_holds_nobody_up_for_ever() {
  // A peer that never stops: what is dropped in one turn is bounded.
  two_fds pipe = make_pipe();
  ::fcntl(pipe.out.get(), F_SETPIPE_SZ, 1 << 20);
  fd_flow from = fd_flow::adopt(pipe.in.release(), -1).value();
  fd_flow to = fd_flow::adopt(-1, pipe.out.release()).value();
  co_await from.shutdown(shutdown_mode::read);
  std::optional<result<void>> sent;
  task_scope scope;
  scope.spawn(write_once(&to, buffer(std::string(8 << 20, 'd')), &sent)).value();
  const bool done = co_await until([&sent] { return sent.has_value(); });
  expect(done && sent->has_value(), "the writer comes to its end");
  const bool dropped = co_await until([&from] { return pipes().unread(from) == 0; });
  expect(dropped, "and everything is dropped");
}

}  // namespace

TEST_CASE("a release of descriptors ends what is pending", "[fd_flow]") { check(release_ends_what_is_pending()); }
TEST_CASE("a descriptor belongs to one flow of a loop", "[fd_flow]") { check(one_descriptor_has_one_flow()); }
TEST_CASE("a writer into a pipe whose reader has shut down comes to its end", "[fd_flow]") {
  check(dropped_input_holds_nobody_up_for_ever());
}
