// What of the laws over TCP only the kernel can show; the rest is checked with all flows by tests/laws.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/net.hpp>
#include <coflow/testing/drain_laws.hpp>
#include <coflow/testing/end_of_stream_laws.hpp>
#include <coflow/testing/read_laws.hpp>
#include <coflow/testing/reset_laws.hpp>
#include <coflow/testing/shutdown_laws.hpp>
#include <coflow/testing/write_error_laws.hpp>
#include <coflow/testing/write_laws.hpp>
#include <coflow/testing/writev_laws.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using coflow::buffer;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using coflow::tcp_flow;
using coflow::laws::expect;
using coflow::laws::reading;
using coflow::laws::start;
using coflow::laws::turns;
using coflow::laws::until;
using coflow::laws::writing;

class tcp_ends {
 public:
  using pair = std::pair<tcp_flow, tcp_flow>;

  task<pair> operator()() { return connect(); }
  void reset(tcp_flow& end) noexcept { end.reset(); }
  void cut(tcp_flow& end) noexcept { end.reset(); }
  std::size_t unread(tcp_flow& end) noexcept { return held_by_kernel(end); }
  bool end_has_arrived(tcp_flow& end) noexcept {
    pollfd asked{end.native_handle(), POLLRDHUP, 0};
    return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

  static std::size_t held_by_kernel(const tcp_flow& end) noexcept {
    int unread = 0;
    if (::ioctl(end.native_handle(), FIONREAD, &unread) != 0) unread = -1;
    return static_cast<std::size_t>(unread);
  }
  static task<pair> connect() {
    auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
    if (!listener) throw std::system_error(listener.error());
    auto client = co_await coflow::tcp_connect(listener->local_endpoint());
    if (!client) throw std::system_error(client.error());
    auto server = co_await listener->accept();
    if (!server) throw std::system_error(server.error());
    // Small, but more than one segment of the loopback device, which would stall on less.
    for (tcp_flow* end : {&*client, &*server}) {
      end->set_option(SOL_SOCKET, SO_SNDBUF, 65536).value();
      end->set_option(SOL_SOCKET, SO_RCVBUF, 65536).value();
    }
    co_return pair(std::move(*client), std::move(*server));
  }
};

// Runs a check of this file.
void check(task<> body) {
  coflow::report found;
  coflow::event_loop loop;
  {
    const coflow::laws::check_in_progress now("", "over TCP", "", found);
    coflow::run(loop, std::move(body));
  }
  INFO(found.text());
  CHECK(found.passed());
}

task<> read_once(tcp_flow* flow, reading* out) {
  coflow::read_result got = co_await flow->read();
  out->got = std::move(got);
  out->done = true;
}
task<> drain(tcp_flow* flow, std::string* all, reading* out) {
  for (;;) {
    coflow::read_result got = co_await flow->read();
    if (got) {
      all->append(got->text());
      continue;
    }
    out->got = std::move(got);
    out->done = true;
    co_return;
  }
}
task<> write_much(tcp_flow* flow, std::size_t size, writing* out) {
  const coflow::result<void> sent = co_await flow->write(buffer(std::string(size, 'w')));
  out->sent = sent;
  out->done = true;
}

constexpr std::size_t more_than_fits = 2 * 1024 * 1024;

// A read stops in front of urgent data (tcp(7)), which is no part of the stream; what follows it is.
enum class attention { reads_already, reads_later, shuts_down };

task<> urgent_data_hides_nothing(attention how) {
  tcp_ends::pair ends = co_await tcp_ends::connect();
  const int peer = ends.second.native_handle();
  std::string all;
  reading drained;
  task_scope scope;
  const bool waiting = how == attention::reads_already;
  if (waiting) start(scope, drain(&ends.first, &all, &drained));
  co_await turns(2);
  for (int i = 0; i < 3; ++i) {
    expect(::send(peer, "abc", 3, MSG_NOSIGNAL) == 3, "the peer can send");
    expect(::send(peer, "!", 1, MSG_NOSIGNAL | MSG_OOB) == 1, "the peer can send urgent data");
    expect(::send(peer, "def", 3, MSG_NOSIGNAL) == 3, "the peer can send");
    if (waiting) co_await turns(i);
  }
  if (how == attention::shuts_down) {
    co_await ends.first.shutdown(shutdown_mode::read);
    const bool gone = co_await until([&ends] { return tcp_ends::held_by_kernel(ends.first) == 0; });
    expect(gone, "everything is dropped");
    co_return;
  }
  if (!waiting) start(scope, drain(&ends.first, &all, &drained));
  // Urgent bytes that the next ones overtake are part of the stream after all.
  const bool there = co_await until([&all] { return all.size() >= 18; });
  expect(there, "everything is read", "only '" + all + "'");
  co_await ends.second.shutdown(shutdown_mode::write);
  const bool done = co_await until([&drained] { return drained.done; });
  expect(done, "the end is read");
  std::erase(all, '!');
  coflow::laws::expect_same(all, "abcdefabcdefabcdef");
}

// Everything that a peer has to say is there when the connection is reported to stand.
struct connecting {
  bool done = false;
  std::error_code failure;
  std::optional<tcp_flow> flow;
};

task<> connect_once(coflow::endpoint remote, connecting* out) {
  auto made = co_await coflow::tcp_connect(remote);
  if (made)
    out->flow.emplace(std::move(*made));
  else
    out->failure = made.error();
  out->done = true;
}

task<> data_and_end_come_with_the_connection(bool broken) {
  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
  expect(listener.has_value(), "a listener can be made");
  if (!listener) co_return;
  connecting made;
  task_scope scope;
  start(scope, connect_once(listener->local_endpoint(), &made));
  co_await turns();
  // The attempt is under way; no turn of the loop passes until the peer has said everything.
  int peer = -1;
  for (int tries = 0; tries < 10'000'000 && peer < 0; ++tries)
    peer = ::accept(listener->native_handle(), nullptr, nullptr);
  expect(peer >= 0, "the connection arrives");
  expect(::send(peer, "hello", 5, MSG_NOSIGNAL) == 5, "the peer can send");
  if (broken) {
    // The bytes go out before the reset does: the loopback device delivers in order, and at once.
    const linger now{1, 0};
    static_cast<void>(::setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now));
  }
  ::close(peer);
  const bool decided = co_await until([&made] { return made.done; });
  expect(decided, "the attempt ends");
  if (!made.flow) {
    // The connection stood and fell before anybody looked: that is an error of the attempt.
    expect(broken && made.failure == std::errc::connection_reset, "only a reset makes the attempt fail");
    co_return;
  }
  reading first;
  reading second;
  start(scope, read_once(&*made.flow, &first));
  start(scope, read_once(&*made.flow, &second));
  const bool over = co_await until([&first, &second] { return first.done && second.done; });
  expect(over, "both reads end");
  coflow::laws::expect_data(first.got, "hello");
  if (broken)
    coflow::laws::expect_reset(second.got);
  else
    coflow::laws::expect_eof(second.got);
}

// Reading the socket's error takes it away from the kernel (K3); the flow still knows, whatever its write half is.
enum class write_half { open, shut, torn };

task<> the_error_option_takes_a_reset_first(write_half state, bool with_data, bool waiting) {
  tcp_ends::pair ends = co_await tcp_ends::connect();
  writing torn;
  reading read;
  std::string all;
  task_scope scope;
  if (state == write_half::shut) co_await ends.first.shutdown(shutdown_mode::write);
  if (state == write_half::torn) {
    task_scope tearing;
    start(tearing, write_much(&ends.first, more_than_fits, &torn));
    co_await turns(2);
    expect(!torn.done, "the write waits");
  }
  if (with_data) {
    const coflow::result<void> sent = co_await ends.second.write(buffer("data"));
    coflow::laws::expect_success(sent);
    const bool there = co_await until([&ends] { return tcp_ends::held_by_kernel(ends.first) >= 4; });
    expect(there, "the bytes arrive");
  }
  if (waiting) {
    start(scope, drain(&ends.first, &all, &read));
    co_await turns(2);
  }
  // The reset is there, and no turn of the loop has passed since.
  ends.second.reset();
  pollfd asked{ends.first.native_handle(), 0, 0};
  for (int tries = 0; tries < 10'000'000 && (asked.revents & (POLLERR | POLLHUP)) == 0; ++tries) ::poll(&asked, 1, 0);
  const coflow::result<int> taken = ends.first.option(SOL_SOCKET, SO_ERROR);
  expect(taken.has_value(), "the option can be read");
  if (taken) expect(*taken == ECONNRESET, "it is the reset", std::to_string(*taken));
  if (!waiting) start(scope, drain(&ends.first, &all, &read));
  const bool done = co_await until([&read] { return read.done; });
  expect(done, "the reads come to an end");
  coflow::laws::expect_same(all, with_data ? "data" : "");
  coflow::laws::expect_reset(read.got);
}

// R6: an end closes no descriptor.
task<> an_end_keeps_the_descriptor(bool broken) {
  tcp_ends::pair ends = co_await tcp_ends::connect();
  if (broken)
    ends.second.reset();
  else
    co_await ends.second.close();
  const coflow::read_result last = co_await ends.first.read();
  expect(!last.has_data(), "the end is read");
  co_await turns(3);
  expect(ends.first.native_handle() >= 0, "an end closes no flow");
}

// S2: the kernel's buffer is emptied, while the peer goes on, also where no executor runs.
task<> connect_and_read_a_little(std::optional<tcp_ends::pair>* out) {
  tcp_ends::pair made = co_await tcp_ends::connect();
  tcp_ends::pair& ends = out->emplace(std::move(made));
  reading first;
  task_scope scope;
  start(scope, read_once(&ends.first, &first));
  co_await turns();
  const coflow::result<void> sent = co_await ends.second.write(buffer("1"));
  coflow::laws::expect_success(sent);
  const bool done = co_await until([&first] { return first.done; });
  expect(done, "the input is known to the loop");
}
task<> wait_for_the_drop(tcp_ends::pair* ends, writing* peer) {
  const bool done = co_await until([peer] { return peer->done; });
  expect(done, "the peer is not held up");
  coflow::laws::expect_success(peer->sent);
  const bool gone = co_await until([ends] { return tcp_ends::held_by_kernel(ends->first) == 0; });
  expect(gone, "what was unread is dropped");
  const coflow::read_result after = co_await ends->first.read();
  coflow::laws::expect_eof(after);
}
coflow::laws::foreign shut_reading(tcp_flow* flow, bool* done) {
  co_await flow->shutdown(shutdown_mode::read);
  *done = true;
}
task<> shut_reading_in_a_turn(tcp_flow* flow) { co_await flow->shutdown(shutdown_mode::read); }

void the_kernel_holds_nothing_after_a_shutdown(bool between_turns) {
  coflow::report found;
  const coflow::laws::check_in_progress now("S2", "over TCP", "", found);
  coflow::event_loop loop;
  std::optional<tcp_ends::pair> ends;
  coflow::run(loop, connect_and_read_a_little(&ends));
  writing peer;
  coflow::spawn(loop, write_much(&ends->second, 2 * more_than_fits, &peer));
  coflow::run(loop, turns(20));
  CHECK_FALSE(peer.done);
  CHECK(tcp_ends::held_by_kernel(ends->first) > 0);
  if (between_turns) {
    bool done = false;
    const coflow::laws::foreign shut = shut_reading(&ends->first, &done);
    CHECK(done);
  } else {
    coflow::run(loop, shut_reading_in_a_turn(&ends->first));
  }
  coflow::run(loop, wait_for_the_drop(&*ends, &peer));
  INFO(found.text());
  CHECK(found.passed());
}

TEST_CASE("urgent data hides no bytes of the stream", "[tcp_stream_laws]") {
  check(urgent_data_hides_nothing(attention::reads_already));
  check(urgent_data_hides_nothing(attention::reads_later));
  check(urgent_data_hides_nothing(attention::shuts_down));
}

TEST_CASE("data and eof that come with the connection are both read", "[tcp_stream_laws]") {
  check(data_and_end_come_with_the_connection(false));
}

TEST_CASE("a reset that comes with the connection is an error, never eof", "[tcp_stream_laws]") {
  check(data_and_end_come_with_the_connection(true));
}

TEST_CASE("a reset that SO_ERROR took from the kernel is still an error for the reader", "[tcp_stream_laws]") {
  for (const write_half state : {write_half::open, write_half::shut, write_half::torn}) {
    for (const unsigned bits : {0U, 1U, 2U, 3U}) {
      INFO("write half " << static_cast<int>(state) << ", data and waiting " << bits);
      check(the_error_option_takes_a_reset_first(state, (bits & 1) != 0, (bits & 2) != 0));
    }
  }
}

TEST_CASE("an end of the stream closes no descriptor", "[tcp_stream_laws]") {
  check(an_end_keeps_the_descriptor(false));
  check(an_end_keeps_the_descriptor(true));
}

TEST_CASE("after shutdown(read) the kernel holds no input", "[tcp_stream_laws]") {
  the_kernel_holds_nothing_after_a_shutdown(false);
  the_kernel_holds_nothing_after_a_shutdown(true);
}

}  // namespace
