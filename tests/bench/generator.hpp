/// \file
/// What the load generator does: its modes, over any kind of connection.
#pragma once
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "client_socket.hpp"
#include "generator_settings.hpp"
#include "process_figures.hpp"

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The processes at one moment.
struct snapshot {
  double time, server_cpu, server_waiting, generator_waiting;

  explicit snapshot(pid_t server)
      : time(now()),
        server_cpu(server != 0 ? cpu_seconds(server).value_or(0) : 0),
        server_waiting(server != 0 ? waiting_seconds(server).value_or(0) : 0),
        generator_waiting(waiting_seconds(getpid()).value_or(0)) {}
};

/// Client is `plain_client`, or something like it.
template <class Client>
class generator {
 public:
  explicit generator(const settings& wanted)
      : wanted_(wanted),
        client_(wanted),
        poll_(epoll_create1(EPOLL_CLOEXEC)),
        message_(wanted.size),
        connections_(wanted.connections) {
    if (poll_ < 0) fail("epoll_create1");
    for (std::size_t i = 0; i < message_.size(); ++i) message_[i] = static_cast<char>('a' + i % 26);
  }

  /// False: there is no such mode.
  bool run() {
    if (wanted_.mode == "pingpong") return pingpong(), true;
    if (wanted_.mode == "stream") return stream(), true;
    if (wanted_.mode == "sink") return sink(), true;
    if (wanted_.mode == "churn" || wanted_.mode == "resume") return churn(), true;
    if (wanted_.mode == "idle") return idle(), true;
    return false;
  }

 private:
  using connection = typename Client::connection;
  static constexpr std::uint64_t megabyte = 1000000;

  void pingpong() {
    for (connection& peer : connections_) open(peer, EPOLLIN);
    for (connection& peer : connections_) send_next(peer);
    measure([this](connection& peer, std::uint32_t) {
      if (!receive_message(peer)) return;
      ++done_;
      send_next(peer);
    });
    report(1);
  }

  void churn() {
    if (wanted_.resumes()) {  // once each, for something to take up
      for (connection& peer : connections_) {
        exchange_one(peer);
        client_.end(peer);
      }
    }
    for (connection& peer : connections_) begin(peer);
    measure([this](connection& peer, std::uint32_t) {
      if (!peer.established) return go_on(peer);
      if (!receive_message(peer)) return;
      ++done_;
      client_.end(peer);
      begin(peer);
    });
    report(1);
  }

  void stream() {
    for (connection& peer : connections_) open(peer, EPOLLIN);
    for (connection& peer : connections_) fill(peer);
    measure(
        [this](connection& peer, std::uint32_t) {
          std::size_t size = 0;
          do {
            size = client_.receive(peer, buffer_.data(), buffer_.size());
            if (size > peer.under_way) fail("more came back than was sent");
            done_ += size;
            peer.under_way -= size;
          } while (size != 0 && client_.has_more(peer));
          fill(peer);
        },
        megabyte);
    report(megabyte);
  }

  void sink() {
    for (connection& peer : connections_) open(peer, EPOLLOUT);
    measure([this](connection& peer, std::uint32_t events) {
      if ((events & (EPOLLERR | EPOLLHUP)) != 0) fail("the server closed a connection");
      done_ += client_.send_some(peer, message_.data(), message_.size());
    });
    report(megabyte);
  }

  void idle() {
    std::deque<connection> opened(64 + wanted_.connections);
    auto next = opened.begin();
    for (std::size_t i = 0; i < 64; ++i) exchange_one(*next++);  // what the server needs once is not of a connection
    const auto before = resident_bytes(wanted_.server);
    while (next != opened.end()) exchange_one(*next++);
    const auto after = resident_bytes(wanted_.server);
    if (!before || !after) fail("idle needs --pid, and /proc");
    std::printf("mode=idle connections=%zu bytes=%.0f\n", wanted_.connections,
                (*after - *before) / static_cast<double>(wanted_.connections));
  }

  // ---- a connection

  /// Connects, and waits until messages may be sent.
  void open(connection& peer, std::uint32_t events) {
    client_.begin(peer, wanted_.port);
    while (!client_.establish(peer)) wait_until_ready(peer.socket, POLLIN);
    if (events != 0) watch(peer, events);
  }

  void watch(connection& peer, std::uint32_t events) {
    epoll_event interest{};
    interest.events = events;
    interest.data.ptr = &peer;
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, peer.socket, &interest) != 0) fail("epoll_ctl");
  }

  void exchange_one(connection& peer) {
    open(peer, 0);
    send_message(peer);
    while (!receive_message(peer)) wait_until_ready(peer.socket, POLLIN);
  }

  bool may_start() { return wanted_.messages == 0 || started_++ < wanted_.messages; }

  void begin(connection& peer) {
    if (!may_start()) return;
    client_.begin(peer, wanted_.port);
    watch(peer, EPOLLIN);
    go_on(peer);
  }

  /// Sends the message when the connection is so far.
  void go_on(connection& peer) {
    peer.established = client_.establish(peer);
    if (peer.established) send_message(peer);
  }

  void send_next(connection& peer) {
    if (may_start()) send_message(peer);
  }

  void send_message(connection& peer) {
    peer.received = 0;
    for (std::size_t sent = 0; sent < message_.size();) {
      const std::size_t size = client_.send_some(peer, message_.data() + sent, message_.size() - sent);
      if (size == 0) wait_until_ready(peer.socket, POLLOUT);
      sent += size;
    }
  }

  /// Sends until as much is under way as may be, or all that was wanted, or the socket takes no more.
  void fill(connection& peer) {
    while (peer.under_way + message_.size() <= wanted_.in_flight) {
      if (wanted_.messages != 0 && started_ >= wanted_.messages * megabyte) return;
      const std::size_t size = client_.send_some(peer, message_.data(), message_.size());
      if (size == 0 && peer.under_way != 0) return;
      if (size == 0) wait_until_ready(peer.socket, POLLOUT);  // nothing comes back that would bring us here again
      peer.under_way += size;
      started_ += size;
    }
  }

  /// True: the message is back, whole and as it was.
  bool receive_message(connection& peer) {
    std::size_t size = 0;
    do {
      size = client_.receive(peer, buffer_.data(), buffer_.size());
      const std::size_t at = peer.received;
      if (size > message_.size() - at || std::memcmp(buffer_.data(), message_.data() + at, size) != 0) {
        errno = EBADMSG;
        fail("what came back is not what was sent");
      }
      peer.received += size;
    } while (size != 0 && client_.has_more(peer));
    return peer.received == message_.size();
  }

  // ---- measuring

  /// Hands events to `handle`, through the warm-up and then for as long as was wanted; where that is too short for
  /// anything, until something is done.
  template <class Handle>
  void measure(Handle handle, std::uint64_t unit = 1) {
    if (wanted_.messages == 0) {
      for (const double end = now() + wanted_.warmup; now() < end;) turn(handle);
      done_ = 0;
    }
    before_ = snapshot(wanted_.server);
    const double end = before_.time + wanted_.seconds;
    while (wanted_.messages != 0 ? done_ < wanted_.messages * unit : now() < end || !has_figures()) turn(handle);
    after_ = snapshot(wanted_.server);
  }

  bool has_figures() const {
    return done_ != 0 && (wanted_.server == 0 || snapshot(wanted_.server).server_cpu > before_.server_cpu);
  }

  template <class Handle>
  void turn(Handle& handle) {
    std::array<epoll_event, 256> ready;
    const int found = epoll_wait(poll_, ready.data(), static_cast<int>(ready.size()), 50);
    if (found < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < found; ++i) {
      const epoll_event& one = ready[static_cast<std::size_t>(i)];
      handle(*static_cast<connection*>(one.data.ptr), one.events);
    }
  }

  void report(std::uint64_t unit) const {
    const double time = after_.time - before_.time;
    const double done = static_cast<double>(done_) / static_cast<double>(unit);
    if (done <= 0) fail("nothing was done");
    std::printf("mode=%s connections=%zu size=%zu done=%.0f per_second=%.0f generator_waiting=%.4f",
                std::string(wanted_.mode).c_str(), wanted_.connections, wanted_.size, done, done / time,
                (after_.generator_waiting - before_.generator_waiting) / time);
    if (wanted_.server != 0) {
      std::printf(" server_waiting=%.4f cpu_us=%.4f", (after_.server_waiting - before_.server_waiting) / time,
                  (after_.server_cpu - before_.server_cpu) * 1e6 / done);
    }
    std::puts("");
  }

  const settings wanted_;
  Client client_;
  const int poll_;
  std::vector<char> message_;
  std::deque<connection> connections_;  // they stay where they are
  std::vector<char> buffer_ = std::vector<char>(262144);
  std::uint64_t started_ = 0, done_ = 0;  // messages or connections; stream and sink: bytes
  snapshot before_ = snapshot(0), after_ = snapshot(0);
};
