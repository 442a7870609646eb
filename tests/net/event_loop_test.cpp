#include "coflow/net/event_loop.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "coflow/async/task_scope.hpp"
#include "coflow/net/run_main.hpp"
#include "coflow/net/tcp_connect.hpp"
#include "coflow/net/tcp_flow.hpp"
#include "coflow/net/tcp_listener.hpp"
#include "support/catch.hpp"

namespace {

using coflow::buffer;
using coflow::endpoint;
using coflow::event_loop;
using coflow::reactor;
using coflow::read_result;
using coflow::result;
using coflow::task;
using coflow::tcp_flow;
using coflow::tcp_listener;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<event_loop>);
static_assert(std::is_base_of_v<coflow::executor, event_loop>);
static_assert(coflow::drivable_executor<event_loop>);

constexpr auto patience = 20s;  // what only a lost wake-up exceeds

// Those that this build has.
std::span<const reactor> reactors() {
  static constexpr reactor all[] = {reactor::poll, reactor::epoll};
  return std::span(all).first(coflow::is_available(reactor::epoll) ? 2 : 1);
}

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
[[nodiscard]] bool finishes(reactor which, task<> body) {
  std::exception_ptr thrown;
  bool on_time = false;
  {
    event_loop loop(which);
    watchdog dog(loop);
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

// Stops the loop after some turns.
class stop_after final : public coflow::node {
 public:
  stop_after(event_loop& loop, int turns) : loop_(loop), left_(turns) { loop.post(*this); }
  stop_after(const stop_after&) = delete;
  stop_after& operator=(const stop_after&) = delete;
  ~stop_after() = default;

 private:
  void run() noexcept override {
    if (--left_ == 0)
      loop_.stop();
    else
      loop_.post(*this);
  }
  event_loop& loop_;
  int left_;
};

unique_fd raw_listener(std::uint16_t& port, int backlog = 16) {
  unique_fd made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(made.get(), backlog) != 0 ||
      ::getsockname(made.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::system_error(errno, std::system_category(), "raw_listener");
  port = ntohs(address.sin_port);
  return made;
}

unique_fd raw_connect(std::uint16_t port) {
  unique_fd made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    throw std::system_error(errno, std::system_category(), "raw_connect");
  return made;
}

// A listener whose queue is full: the system drops what else wants to connect.
struct black_hole {
  std::uint16_t port = 0;
  unique_fd listener = raw_listener(port, 0);
  unique_fd filling = raw_connect(port);
  black_hole() {
    pollfd queued{listener.get(), POLLIN, 0};
    REQUIRE(::poll(&queued, 1, 20000) == 1);
  }
};

struct socket_pair {
  unique_fd a;
  unique_fd b;
  socket_pair() {
    std::uint16_t port = 0;
    const unique_fd listener = raw_listener(port);
    a = raw_connect(port);
    b = unique_fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(b.get() >= 0);
  }
};

tcp_flow adopted(unique_fd fd) { return tcp_flow::adopt(fd.release()).value(); }

bool readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 20000) == 1;
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
  descriptor_limit(const descriptor_limit&) = delete;
  descriptor_limit& operator=(const descriptor_limit&) = delete;
  ~descriptor_limit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 4096; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

// ---- posting

class noting_node final : public coflow::node {
 public:
  noting_node(std::vector<int>& notes, int number) : notes_(notes), number_(number) {}
  noting_node(const noting_node&) = delete;
  noting_node& operator=(const noting_node&) = delete;
  ~noting_node() = default;

 private:
  void run() noexcept override { notes_.push_back(number_); }
  std::vector<int>& notes_;
  int number_;
};

class counted_node final : public coflow::node {
 public:
  int posted_by = 0;
  int number = 0;
  struct tally {
    event_loop* loop = nullptr;
    int left = 0;
    int next[4] = {};
    bool in_order = true;
    bool on_loop = true;
  };
  tally* to = nullptr;
  int runs = 0;

 private:
  void run() noexcept override {
    ++runs;
    if (to->next[posted_by]++ != number) to->in_order = false;
    if (coflow::executor::current() != to->loop) to->on_loop = false;
    if (--to->left == 0) to->loop->stop();
  }
};

// ---- signals

event_loop* volatile signalled_loop = nullptr;
extern "C" void stop_signalled_loop(int) {
  event_loop* const loop = signalled_loop;
  loop->stop();
}
extern "C" void ignore_signal(int) {}

class signal_handler {
 public:
  signal_handler(int number, void (*handler)(int)) : number_(number) {
    struct sigaction wanted{};
    wanted.sa_handler = handler;
    ::sigaction(number, &wanted, &before_);
  }
  signal_handler(const signal_handler&) = delete;
  signal_handler& operator=(const signal_handler&) = delete;
  ~signal_handler() { ::sigaction(number_, &before_, nullptr); }

 private:
  int number_;
  struct sigaction before_{};
};

class raising_node final : public coflow::node {
 private:
  void run() noexcept override { ::raise(SIGUSR1); }
};

// ---- timers

class noting_timer final : public coflow::timer {
 public:
  noting_timer(std::vector<int>& notes, int number, event_loop* stops = nullptr)
      : notes_(notes), number_(number), stops_(stops) {}
  noting_timer(const noting_timer&) = delete;
  noting_timer& operator=(const noting_timer&) = delete;
  ~noting_timer() = default;
  event_loop::time_point ran_at;

 private:
  void run() noexcept override {
    ran_at = event_loop::clock::now();
    notes_.push_back(number_);
    if (stops_ != nullptr) stops_->stop();
  }
  std::vector<int>& notes_;
  int number_;
  event_loop* stops_;
};

// A wait that no stop request ends.
class deaf_wait final : public coflow::timer {
 public:
  explicit deaf_wait(event_loop::duration time) noexcept : time_(time) {}
  deaf_wait(const deaf_wait&) = delete;
  deaf_wait& operator=(const deaf_wait&) = delete;
  ~deaf_wait() = default;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept {
    waiting_ = waiting;
    coflow::executor& here = *coflow::executor::current();
    here.arm(*this, here.now() + time_);
  }
  void await_resume() const noexcept {}

 private:
  void run() noexcept override { waiting_.resume(); }
  event_loop::duration time_;
  std::coroutine_handle<> waiting_;
};

std::chrono::nanoseconds thread_cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// ---- tasks

task<> sleep_noting(event_loop::duration time, result<void>* outcome) { *outcome = co_await coflow::sleep_for(time); }
task<> read_noting(tcp_flow* flow, std::optional<read_result>* outcome) {
  read_result got = co_await flow->read();
  outcome->emplace(std::move(got));
}
task<> write_noting(tcp_flow* flow, std::size_t size, std::optional<result<void>>* outcome) {
  const result<void> sent = co_await flow->write(buffer::allocate(size));
  outcome->emplace(sent);
}
task<> shutdown_noting(tcp_flow* flow, bool* over) {
  co_await flow->shutdown(coflow::shutdown_mode::write);
  *over = true;
}
task<> accept_noting(tcp_listener* listener, std::error_code* outcome) {
  const result<tcp_flow> client = co_await listener->accept();
  if (!client) *outcome = client.error();
}
task<> connect_noting(std::uint16_t port, std::error_code* outcome) {
  const result<tcp_flow> flow = co_await coflow::tcp_connect(endpoint::loopback_v4(port));
  if (!flow) *outcome = flow.error();
}
task<> join_noting(std::error_code* child_outcome, std::optional<std::error_code>* joined_to) {
  coflow::task_scope scope;
  result<void> slept;
  scope.spawn(sleep_noting(24h, &slept)).value();
  const result<void> joined = co_await scope.join();
  *child_outcome = slept.error();
  *joined_to = joined.error();
}
task<> never_ending(bool* destroyed) {
  struct noting {
    bool* to;
    explicit noting(bool* flag) : to(flag) {}
    noting(const noting&) = delete;
    noting& operator=(const noting&) = delete;
    ~noting() { *to = true; }
  };
  const noting at_end(destroyed);
  for (;;) {
    const result<void> slept = co_await coflow::sleep_for(0ms);
    static_cast<void>(slept);
  }
}

task<> echo(tcp_flow flow) {
  for (;;) {
    read_result got = co_await flow.read();
    if (!got) co_return;
    const result<void> sent = co_await flow.write(std::move(*got));
    if (!sent) co_return;
  }
}

// Sends `count` numbered messages and takes each answer; how many were right.
task<int> converse(std::uint16_t port, int number, int count) {
  result<tcp_flow> flow = co_await coflow::tcp_connect(endpoint::loopback_v4(port));
  if (!flow) co_return 0;
  int right = 0;
  for (int i = 0; i < count; ++i) {
    const std::string message = std::to_string(number) + ":" + std::to_string(i) + std::string(500, '.');
    const result<void> sent = co_await flow->write(buffer(message));
    if (!sent) co_return right;
    std::string answer;
    while (answer.size() < message.size()) {
      const read_result got = co_await flow->read();
      if (!got) co_return right;
      answer += got->text();
    }
    if (answer == message) ++right;
  }
  co_return right;
}

task<> serve_echo_on(tcp_listener* listener, event_loop* served_on, std::atomic<int>* ended, int clients) {
  for (int i = 0; i < clients; ++i) {
    result<tcp_flow> client = co_await listener->accept();
    if (!client) co_return;
    coflow::spawn(*served_on, echo(std::move(*client)), [served_on, ended, clients](const coflow::task_outcome<void>&) {
      if (ended->fetch_add(1) + 1 == clients) served_on->stop();
    });
  }
}

// ---- floods: each round makes the next one possible at once, without the loop

constexpr long many_rounds = 20000;

// Only a read that fills its whole room is followed by another one without a word of the loop.
task<> flooded_reader(tcp_flow* flow, int peer, const bool* over, long* rounds) {
  const std::string much(std::size_t{1} << 20, 'x');
  while (!*over && *rounds < many_rounds) {
    static_cast<void>(::send(peer, much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    const read_result got = co_await flow->read();
    if (!got) co_return;
    ++*rounds;
  }
}
task<> flooding_writer(tcp_flow* flow, int peer, const bool* over, long* rounds) {
  char taken[64];
  while (!*over && *rounds < many_rounds) {
    const result<void> sent = co_await flow->write(buffer("x"));
    if (!sent) co_return;
    static_cast<void>(::recv(peer, taken, sizeof taken, MSG_DONTWAIT));
    ++*rounds;
  }
}
task<> flooded_acceptor(tcp_listener* listener, const bool* over, long* rounds) {
  const std::uint16_t port = listener->local_endpoint().port();
  while (!*over && *rounds < many_rounds) {
    const unique_fd client = raw_connect(port);
    result<tcp_flow> accepted = co_await listener->accept();
    if (!accepted) co_return;
    accepted->reset();
    ++*rounds;
  }
}
task<> keep_sleeping(int times, int* slept) {
  for (int i = 0; i < times; ++i) {
    const result<void> one = co_await coflow::sleep_for(1ms);
    if (!one) co_return;
    ++*slept;
  }
}
task<> ping_pong(tcp_flow* flow, int peer, int times, int* heard) {
  for (int i = 0; i < times; ++i) {
    if (::send(peer, "y", 1, MSG_NOSIGNAL) != 1) co_return;
    const read_result got = co_await flow->read();
    if (!got) co_return;
    ++*heard;
  }
}

struct flood {
  bool over = false;
  long rounds = 0;
  int slept = 0;
  int heard = 0;
  long rounds_before_the_end = 0;
};
// Everybody else gets on while the flood does; the flood ends only because they are done.
task<> beside_the_flood(task<> flooding, flood* told, tcp_flow* other, int other_peer) {
  coflow::task_scope scope;
  scope.spawn(std::move(flooding)).value();
  coflow::task_scope others;
  others.spawn(keep_sleeping(5, &told->slept)).value();
  others.spawn(ping_pong(other, other_peer, 100, &told->heard)).value();
  const result<void> done = co_await others.join();
  done.value();
  told->rounds_before_the_end = told->rounds;
  told->over = true;
  const result<void> ended = co_await scope.join();
  ended.value();
}

// ---- descriptors

// Notes what the loop reports; calls `then` at the first report.
class probe final : public coflow::detail::descriptor {
 public:
  explicit probe(int fd) noexcept : descriptor(fd) {}
  ~probe() = default;
  [[nodiscard]] int fd() const noexcept { return fd_; }
  unsigned reported = 0;
  int reports = 0;
  void (*then)(void*) = nullptr;
  void* with = nullptr;

 private:
  void on_ready(unsigned what) noexcept override {
    reported |= what;
    ++reports;
    if (then != nullptr) std::exchange(then, nullptr)(with);
  }
  void on_loop_gone() noexcept override {}
};

struct reuse {
  event_loop& loop;
  probe& first;
  probe& second;
  std::optional<probe> successor{};

  // One of the two hears first: it closes the other one and takes its number for something that has nothing to say.
  static void take_over(void* self) {
    reuse& mine = *static_cast<reuse*>(self);
    mine.first.then = mine.second.then = nullptr;
    probe& other = mine.first.reports == 0 ? mine.first : mine.second;
    const int number = other.fd();
    mine.loop.forget(other);
    ::close(number);
    unique_fd quiet(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (quiet.get() == number)
      static_cast<void>(quiet.release());
    else
      ::dup3(quiet.get(), number, O_CLOEXEC);
    mine.successor.emplace(number);
    if (mine.loop.attach(*mine.successor)) std::terminate();
  }
};

task<> close_and_replace(tcp_flow* mine, std::optional<tcp_flow>* other, unique_fd* spare,
                         std::optional<tcp_flow>* made, std::string* heard) {
  const read_result got = co_await mine->read();
  if (!got || !*other) co_return;
  const int number = (*other)->native_handle();
  co_await (*other)->close();
  other->reset();
  ::dup3(spare->get(), number, O_CLOEXEC);
  spare->reset();
  made->emplace(tcp_flow::adopt(number).value());
  const read_result first = co_await (*made)->read();
  if (first) *heard = first->text();
  if (first.eof()) *heard = "eof";
  if (first.error()) *heard = first.error().message();
}

task<> one_byte_each(tcp_flow* flow, int* heard) {
  const read_result got = co_await flow->read();
  if (got) ++*heard;
}

}  // namespace

TEST_CASE("what is posted runs in order, later, and on the loop", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    std::vector<int> notes;
    noting_node first(notes, 1);
    noting_node second(notes, 2);
    noting_node third(notes, 3);
    loop.post(first);
    loop.post(second);
    CHECK(notes.empty());
    const stop_after stopper(loop, 1);
    loop.post(third);
    loop.run();
    CHECK(notes == std::vector<int>{1, 2, 3});
    loop.post(second);
    loop.turn();
    CHECK(notes == std::vector<int>{1, 2, 3, 2});
  }
}

TEST_CASE("a node that posts itself lets others run", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    std::vector<int> notes;
    const stop_after again(loop, 1000);
    noting_node other(notes, 1);
    loop.post(other);
    loop.turn();
    CHECK(notes == std::vector<int>{1});
    loop.run();
  }
}

TEST_CASE("a stop before the run ends it at once, and only once", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    CHECK_FALSE(loop.take_stop_request());
    loop.stop();
    loop.stop();
    loop.run();
    CHECK_FALSE(loop.take_stop_request());
    std::vector<int> notes;
    noting_timer timer(notes, 1, &loop);
    loop.arm(timer, loop.now() + 1ms);
    loop.run();
    CHECK(notes == std::vector<int>{1});
  }
}

TEST_CASE("a stop from another thread ends a run that waits", "[event_loop][threads]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    for (int round = 0; round < 20; ++round) {
      event_loop loop(which);
      std::thread stopper([&loop] { loop.stop(); });
      loop.run();
      stopper.join();
      CHECK_FALSE(loop.take_stop_request());
    }
  }
}

TEST_CASE("a stop from a signal handler ends the run", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    signalled_loop = &loop;
    const signal_handler handler(SIGUSR1, stop_signalled_loop);
    raising_node raiser;
    loop.post(raiser);
    loop.run();
    CHECK_FALSE(loop.take_stop_request());
    ::raise(SIGUSR1);
    CHECK(loop.take_stop_request());
    CHECK_FALSE(loop.take_stop_request());
  }
}

TEST_CASE("a stop from a signal that comes while the loop waits ends the run", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    signalled_loop = &loop;
    const signal_handler handler(SIGALRM, stop_signalled_loop);
    const itimerval soon{{0, 0}, {0, 2000}};
    ::setitimer(ITIMER_REAL, &soon, nullptr);
    loop.run();
    CHECK_FALSE(loop.take_stop_request());
  }
}

TEST_CASE("signals that interrupt the wait change nothing", "[event_loop][threads]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    const signal_handler handler(SIGUSR1, ignore_signal);
    event_loop loop(which);
    std::vector<int> notes;
    noting_timer timer(notes, 1, &loop);
    const auto start = loop.now();
    loop.arm(timer, start + 30ms);
    std::atomic<bool> over = false;
    const pthread_t running = ::pthread_self();
    std::thread disturber([&over, running] {
      while (!over) {
        ::pthread_kill(running, SIGUSR1);
        std::this_thread::sleep_for(100us);
      }
    });
    loop.run();
    over = true;
    disturber.join();
    CHECK(notes == std::vector<int>{1});
    CHECK(timer.ran_at >= start + 30ms);
  }
}

TEST_CASE("posts from four threads all run once, on the loop, in the order of each thread", "[event_loop][threads]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    constexpr int threads = 4;
    constexpr int posts = 25000;
    event_loop loop(which);
    counted_node::tally tally;
    tally.loop = &loop;
    tally.left = threads * posts;
    std::vector<counted_node> nodes(threads * posts);
    std::vector<std::thread> posters;
    for (int number = 0; number < threads; ++number) {
      posters.emplace_back([&nodes, &loop, &tally, number] {
        for (int i = 0; i < posts; ++i) {
          counted_node& one = nodes[static_cast<std::size_t>(number * posts + i)];
          one.posted_by = number;
          one.number = i;
          one.to = &tally;
          loop.post(one);
        }
      });
    }
    loop.run();
    for (std::thread& poster : posters) poster.join();
    CHECK(tally.left == 0);
    CHECK(tally.in_order);
    CHECK(tally.on_loop);
    int wrong = 0;
    for (const counted_node& one : nodes) wrong += one.runs == 1 ? 0 : 1;
    CHECK(wrong == 0);
  }
}

TEST_CASE("a loop may be made on one thread and run on another", "[event_loop][threads]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    std::vector<int> notes;
    noting_timer timer(notes, 1, &loop);
    loop.arm(timer, loop.now() + 1ms);
    std::thread runner([&loop] { loop.run(); });
    runner.join();
    CHECK(notes == std::vector<int>{1});
  }
}

TEST_CASE("two loops on two threads talk over TCP", "[event_loop][threads]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    constexpr int clients = 4;
    constexpr int messages = 100;
    tcp_listener listener = tcp_listener::bind(endpoint::loopback_v4(0)).value();
    const std::uint16_t port = listener.local_endpoint().port();
    event_loop serving(which);
    event_loop asking(which);
    std::atomic<int> ended = 0;
    int right = 0;
    int answered = 0;
    coflow::spawn(serving, serve_echo_on(&listener, &serving, &ended, clients));
    for (int i = 0; i < clients; ++i) {
      coflow::spawn(asking, converse(port, i, messages), [&](const coflow::task_outcome<int>& outcome) {
        if (outcome) right += *outcome;
        if (++answered == clients) asking.stop();
      });
    }
    std::thread server([&serving] { serving.run(); });
    asking.run();
    server.join();
    CHECK(right == clients * messages);
    CHECK(ended == clients);
  }
}

TEST_CASE("a connection is accepted on one loop and served on another", "[event_loop][threads]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    constexpr int clients = 4;
    constexpr int messages = 100;
    tcp_listener listener = tcp_listener::bind(endpoint::loopback_v4(0)).value();
    const std::uint16_t port = listener.local_endpoint().port();
    event_loop serving(which);
    event_loop accepting(which);
    std::atomic<int> ended = 0;
    int right = 0;
    int answered = 0;
    coflow::spawn(accepting, serve_echo_on(&listener, &serving, &ended, clients));
    for (int i = 0; i < clients; ++i) {
      coflow::spawn(accepting, converse(port, i, messages), [&](const coflow::task_outcome<int>& outcome) {
        if (outcome) right += *outcome;
        if (++answered == clients) accepting.stop();
      });
    }
    std::thread server([&serving] { serving.run(); });
    accepting.run();
    server.join();
    CHECK(right == clients * messages);
    CHECK(ended == clients);
  }
}

TEST_CASE("timers run in the order of their deadlines and never early", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    std::vector<int> notes;
    noting_timer last(notes, 3, &loop);
    noting_timer first(notes, 1);
    noting_timer second(notes, 2);
    noting_timer disarmed(notes, 99);
    const auto start = loop.now();
    loop.arm(last, start + 6ms);
    loop.arm(disarmed, start + 1ms);
    loop.arm(first, start + 2ms);
    loop.arm(second, start + 2ms);
    disarmed.disarm();
    loop.run();
    CHECK(notes == std::vector<int>{1, 2, 3});
    CHECK(first.ran_at >= start + 2ms);
    CHECK(second.ran_at >= start + 2ms);
    CHECK(last.ran_at >= start + 6ms);
  }
}

TEST_CASE("a timer whose deadline is past runs in the next turn", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    std::vector<int> settled;
    noting_timer soon(settled, 1);
    loop.arm(soon, loop.now() + 5ms);
    while (settled.empty()) loop.turn();
    // Now nothing is there to be reported, and a wait would last until the signal.
    signalled_loop = &loop;
    const signal_handler handler(SIGALRM, stop_signalled_loop);
    const itimerval some_time{{0, 0}, {5, 0}};
    ::setitimer(ITIMER_REAL, &some_time, nullptr);
    std::vector<int> notes;
    noting_timer late(notes, 1);
    loop.arm(late, event_loop::time_point::min());
    CHECK(notes.empty());
    loop.turn();
    const itimerval no_more{{0, 0}, {0, 0}};
    ::setitimer(ITIMER_REAL, &no_more, nullptr);
    CHECK(notes == std::vector<int>{1});
    CHECK_FALSE(loop.take_stop_request());
  }
}

TEST_CASE("a timer that is armed again forgets its first deadline", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    std::vector<int> notes;
    noting_timer moved(notes, 1, &loop);
    const auto start = loop.now();
    loop.arm(moved, event_loop::time_point::max());
    loop.arm(moved, start + 3ms);
    loop.run();
    CHECK(notes == std::vector<int>{1});
    CHECK(moved.ran_at >= start + 3ms);
    CHECK_FALSE(moved.armed());
  }
}

TEST_CASE("a deadline that is centuries away does not keep the loop from working", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    std::vector<int> notes;
    noting_timer never(notes, 99);
    noting_timer soon(notes, 1, &loop);
    loop.arm(never, event_loop::time_point::max());
    loop.arm(soon, loop.now() + 1ms);
    loop.run();
    CHECK(notes == std::vector<int>{1});
    CHECK(never.armed());
  }
}

TEST_CASE("a task that is run on a loop is told to stop when the loop is", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    result<void> slept;
    loop.stop();
    coflow::run(loop, sleep_noting(24h, &slept));
    REQUIRE_FALSE(slept);
    CHECK(slept.error() == std::errc::operation_canceled);
  }
}

namespace {
task<> stop_and_wait(event_loop* loop, event_loop::duration time) {
  loop->stop();
  co_await deaf_wait(time);
}
}  // namespace

TEST_CASE("a run that waits for the end of a stopped task does not spin", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    const auto before = thread_cpu_time();
    coflow::run(loop, stop_and_wait(&loop, 300ms));
    CHECK(thread_cpu_time() - before < 150ms);
  }
}

TEST_CASE("a loop that is destroyed completes all that waits with closed", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    const black_hole hole;
    socket_pair reading;
    socket_pair writing;
    tcp_flow reader = adopted(std::move(reading.a));
    tcp_flow writer = adopted(std::move(writing.a));
    tcp_listener listener = tcp_listener::bind(endpoint::loopback_v4(0)).value();
    std::optional<read_result> first_read;
    std::optional<read_result> second_read;
    std::optional<result<void>> first_write;
    std::optional<result<void>> second_write;
    bool shutdown_over = false;
    std::error_code accepted;
    std::error_code connected;
    std::error_code child;
    std::optional<std::error_code> joined;
    result<void> slept;
    bool destroyed = false;
    std::vector<int> notes;
    noting_timer timer(notes, 1);
    {
      event_loop loop(which);
      coflow::spawn(loop, read_noting(&reader, &first_read));
      coflow::spawn(loop, read_noting(&reader, &second_read));
      coflow::spawn(loop, write_noting(&writer, 64 << 20, &first_write));
      coflow::spawn(loop, write_noting(&writer, 10, &second_write));
      coflow::spawn(loop, shutdown_noting(&writer, &shutdown_over));
      coflow::spawn(loop, accept_noting(&listener, &accepted));
      coflow::spawn(loop, connect_noting(hole.port, &connected));
      coflow::spawn(loop, join_noting(&child, &joined));
      coflow::spawn(loop, sleep_noting(24h, &slept));
      coflow::spawn(loop, never_ending(&destroyed));
      loop.arm(timer, loop.now() + 24h);
      const stop_after stopper(loop, 5);
      loop.run();
      CHECK_FALSE(first_read);
      CHECK_FALSE(first_write);
      CHECK_FALSE(shutdown_over);
      CHECK_FALSE(accepted);
      CHECK_FALSE(connected);
      CHECK_FALSE(destroyed);
    }
    REQUIRE(first_read);
    CHECK(first_read->error() == coflow::error::closed);
    REQUIRE(second_read);
    CHECK(second_read->error() == coflow::error::closed);
    REQUIRE(first_write);
    CHECK(first_write->error() == coflow::error::closed);
    REQUIRE(second_write);
    CHECK(second_write->error() == coflow::error::closed);
    CHECK(shutdown_over);
    CHECK(accepted == coflow::error::closed);
    CHECK(connected == coflow::error::closed);
    CHECK(child == coflow::error::closed);
    REQUIRE(joined);
    CHECK_FALSE(*joined);
    CHECK(slept.error() == coflow::error::closed);
    CHECK(destroyed);
    CHECK(notes == std::vector<int>{1});
    CHECK(timer.abandoned());
    CHECK(reader.native_handle() == -1);
    CHECK(writer.native_handle() == -1);
    CHECK(listener.native_handle() == -1);
  }
}

TEST_CASE("a flow and a listener that outlive their loop answer closed on the next one", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    socket_pair pair;
    tcp_flow flow = adopted(std::move(pair.a));
    tcp_listener listener = tcp_listener::bind(endpoint::loopback_v4(0)).value();
    std::optional<read_result> got;
    std::optional<result<void>> sent;
    std::error_code accepted;
    {
      event_loop loop(which);
      coflow::spawn(loop, read_noting(&flow, &got));
      coflow::spawn(loop, accept_noting(&listener, &accepted));
      const stop_after stopper(loop, 3);
      loop.run();
    }
    got.reset();
    accepted.clear();
    bool shutdown_over = false;
    coflow::run(read_noting(&flow, &got));
    coflow::run(write_noting(&flow, 1, &sent));
    coflow::run(shutdown_noting(&flow, &shutdown_over));
    coflow::run(accept_noting(&listener, &accepted));
    REQUIRE(got);
    CHECK(got->error() == coflow::error::closed);
    REQUIRE(sent);
    CHECK(sent->error() == coflow::error::closed);
    CHECK(shutdown_over);
    CHECK(accepted == coflow::error::closed);
  }
}

TEST_CASE("a flow that no loop has seen yet outlives any loop", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    socket_pair pair;
    tcp_flow flow = adopted(std::move(pair.a));
    {
      const event_loop loop(which);
    }
    std::optional<read_result> got;
    REQUIRE(::send(pair.b.get(), "still here", 10, 0) == 10);
    coflow::run(read_noting(&flow, &got));
    REQUIRE(got);
    REQUIRE(got->has_data());
    CHECK((*got)->text() == "still here");
  }
}

TEST_CASE("a loop that gets no descriptors throws a system error and leaks none", "[event_loop]") {
  try {  // UBSan opens descriptors when it sees a class for the first time
    throw std::system_error(coflow::from_system(EMFILE), "shown");
  } catch (const std::system_error& shown) {
    CHECK(shown.code() == std::errc::too_many_files_open);
  }
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    int needed = 0;
    {
      const int before = open_descriptors();
      const event_loop loop(which);
      needed = open_descriptors() - before;
    }
    CHECK(needed >= 1);
    CHECK(needed <= 2);
    const int before = open_descriptors();
    for (int spare = 0; spare < needed; ++spare) {
      CAPTURE(spare);
      std::error_code refused;
      const std::optional<descriptor_limit> limit(std::in_place, spare);
      try {
        const event_loop loop(which);
      } catch (const std::system_error& thrown) {
        refused = thrown.code();
      }
      CHECK(refused == std::errc::too_many_files_open);
      CHECK(open_descriptors() == before);
    }
    const descriptor_limit limit(needed);
    const event_loop loop(which);
  }
}

TEST_CASE("a connection that always has input starves nobody", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    socket_pair flooded;
    socket_pair other;
    tcp_flow flow = adopted(std::move(flooded.a));
    tcp_flow quiet = adopted(std::move(other.a));
    flood told;
    CHECK(finishes(which, beside_the_flood(flooded_reader(&flow, flooded.b.get(), &told.over, &told.rounds), &told,
                                           &quiet, other.b.get())));
    CHECK(told.slept == 5);
    CHECK(told.heard == 100);
    CHECK(told.rounds_before_the_end < many_rounds);
  }
}

TEST_CASE("a connection that always takes output starves nobody", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    socket_pair flooding;
    socket_pair other;
    tcp_flow flow = adopted(std::move(flooding.a));
    tcp_flow quiet = adopted(std::move(other.a));
    flood told;
    CHECK(finishes(which, beside_the_flood(flooding_writer(&flow, flooding.b.get(), &told.over, &told.rounds), &told,
                                           &quiet, other.b.get())));
    CHECK(told.slept == 5);
    CHECK(told.heard == 100);
    CHECK(told.rounds_before_the_end < many_rounds);
  }
}

TEST_CASE("a listener that always has a connection starves nobody", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    socket_pair other;
    tcp_flow quiet = adopted(std::move(other.a));
    tcp_listener listener = tcp_listener::bind(endpoint::loopback_v4(0)).value();
    flood told;
    CHECK(finishes(
        which, beside_the_flood(flooded_acceptor(&listener, &told.over, &told.rounds), &told, &quiet, other.b.get())));
    CHECK(told.slept == 5);
    CHECK(told.heard == 100);
    CHECK(told.rounds_before_the_end < many_rounds);
  }
}

TEST_CASE("more descriptors than one wait reports are all served", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    constexpr int count = 300;
    std::vector<tcp_flow> flows;
    std::vector<unique_fd> peers;
    for (int i = 0; i < count; ++i) {
      socket_pair pair;
      flows.push_back(adopted(std::move(pair.a)));
      peers.push_back(std::move(pair.b));
    }
    int heard = 0;
    event_loop loop(which);
    const watchdog dog(loop);
    for (tcp_flow& flow : flows) coflow::spawn(loop, one_byte_each(&flow, &heard));
    loop.turn();
    CHECK(heard == 0);
    for (const unique_fd& peer : peers) REQUIRE(::send(peer.get(), "x", 1, 0) == 1);
    for (int turns = 0; turns < 100 && heard < count; ++turns) loop.turn();
    CHECK(heard == count);
  }
}

TEST_CASE("an event of a descriptor that was closed does not reach the next one of its number", "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    event_loop loop(which);
    unique_fd a(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
    unique_fd b(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
    probe first(a.release());
    probe second(b.release());
    reuse both{loop, first, second};
    first.then = second.then = reuse::take_over;
    first.with = second.with = &both;
    REQUIRE_FALSE(loop.attach(first));
    REQUIRE_FALSE(loop.attach(second));
    const stop_after stopper(loop, 3);
    loop.run();
    CHECK(first.reports + second.reports == 1);
    REQUIRE(both.successor);
    CHECK((both.successor->reported & coflow::detail::readable) == 0);
    CHECK(both.successor->reported == coflow::detail::writable);
    probe& survivor = first.reports == 1 ? first : second;
    loop.forget(survivor);
    loop.forget(*both.successor);
    ::close(survivor.fd());
    ::close(both.successor->fd());
  }
}

TEST_CASE("a flow that takes the number of one closed in the same batch of events reads its own bytes",
          "[event_loop]") {
  for (const reactor which : reactors()) {
    CAPTURE(static_cast<int>(which));
    socket_pair one;
    socket_pair two;
    socket_pair spare;
    tcp_flow closing = adopted(std::move(one.a));
    std::optional<tcp_flow> closed(adopted(std::move(two.a)));
    std::optional<tcp_flow> made;
    std::optional<read_result> old_read;
    std::string heard;
    event_loop loop(which);
    watchdog dog(loop);
    coflow::spawn(loop, close_and_replace(&closing, &closed, &spare.a, &made, &heard),
                  [&](const coflow::task_outcome<void>&) { loop.stop(); });
    coflow::spawn(loop, read_noting(&*closed, &old_read));
    loop.turn();
    loop.turn();
    REQUIRE_FALSE(old_read);
    // Both report in one batch; the one that arrived first stands first.
    REQUIRE(::send(one.b.get(), "go", 2, 0) == 2);
    REQUIRE(readable(closing.native_handle()));
    REQUIRE(::shutdown(two.b.get(), SHUT_WR) == 0);
    REQUIRE(readable(closed->native_handle()));
    REQUIRE(::send(spare.b.get(), "mine", 4, 0) == 4);
    loop.run();
    CHECK_FALSE(dog.barked());
    REQUIRE(old_read);
    CHECK(old_read->error() == coflow::error::closed);
    CHECK(heard == "mine");
  }
}
