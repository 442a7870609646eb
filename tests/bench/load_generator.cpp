// load_generator MODE --port P [options]
// Loads an echo server on 127.0.0.1 from one thread, on epoll, and measures it. MODE:
//
//   pingpong   each connection sends a message, waits until all of it is back, and sends the next
//   stream     each connection keeps bytes under way, to the server and back
//   sink       each connection sends as much as it can to a server that answers nothing
//   churn      connect, one message there and back, close, and again
//   idle       opens connections, sends one message on each, and leaves them alone
//
//   --connections N   how many at a time (16)
//   --size S          bytes of a message (64, at most 65536); stream and sink: of a send (65536)
//   --in-flight B     stream: how many bytes of a connection are under way (262144; with much more than that the CPU
//                     time of any server jumps by half from run to run, with how the kernel sizes its buffers)
//   --seconds D       measures for that long (1) after a warm-up of --warmup W seconds (0.2)
//   --messages M      instead: exactly M messages (churn: connections), without a warm-up
//   --pid P           the server's process, for what is measured about it
//
// Prints name=value pairs in a line. An operation is a message; stream and sink: a megabyte, 10^6 bytes; churn: a
// connection. done and per_second count operations; cpu_us is the server's CPU time for one, in microseconds; *_waiting
// is the share of the time in which a process could have run, but did not get a CPU; idle: bytes of the server's memory
// for each connection. Whatever goes wrong ends the process with 1, and an alarm ends it when nothing goes on.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "process_figures.hpp"

namespace {

constexpr std::size_t largest_message = 65536;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "load_generator: %s: %s\n", what, errno != 0 ? std::strerror(errno) : "failed");
  std::exit(1);
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct settings {
  std::string_view mode;
  std::uint16_t port = 0;
  std::size_t connections = 16;
  std::size_t size = 0;
  std::size_t in_flight = 262144;
  double seconds = 1, warmup = 0.2;
  std::uint64_t messages = 0;  // 0: as many as there is time for
  pid_t server = 0;            // 0: unknown
};

struct connection {
  int socket = -1;
  std::size_t received = 0;   // of the message that is to come back
  std::size_t under_way = 0;  // stream: sent, and not back yet
};

/// The processes at one moment.
struct snapshot {
  double time, server_cpu, server_waiting, generator_waiting;

  explicit snapshot(pid_t server)
      : time(now()),
        server_cpu(server != 0 ? cpu_seconds(server).value_or(0) : 0),
        server_waiting(server != 0 ? waiting_seconds(server).value_or(0) : 0),
        generator_waiting(waiting_seconds(getpid()).value_or(0)) {}
};

class generator {
 public:
  explicit generator(const settings& wanted)
      : wanted_(wanted), poll_(epoll_create1(EPOLL_CLOEXEC)), message_(wanted.size), connections_(wanted.connections) {
    if (poll_ < 0) fail("epoll_create1");
    for (std::size_t i = 0; i < message_.size(); ++i) message_[i] = static_cast<char>('a' + i % 26);
  }

  void pingpong() {
    for (connection& peer : connections_) open(peer, EPOLLIN);
    for (connection& peer : connections_) send_next(peer);
    measure([this](connection& peer, std::uint32_t) {
      if (!receive_message(peer, MSG_DONTWAIT)) return;
      ++done_;
      send_next(peer);
    });
    report(1);
  }

  void churn() {
    for (connection& peer : connections_) begin(peer);
    measure([this](connection& peer, std::uint32_t) {
      if (!receive_message(peer, MSG_DONTWAIT)) return;
      ++done_;
      close(peer.socket);
      begin(peer);
    });
    report(1);
  }

  void stream() {
    for (connection& peer : connections_) open(peer, EPOLLIN);
    for (connection& peer : connections_) fill(peer);
    measure([this](connection& peer, std::uint32_t) {
      const std::size_t size = receive(peer, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (size > peer.under_way) fail("more came back than was sent");
      done_ += size;
      peer.under_way -= size;
      fill(peer);
    });
    report(1e6);
  }

  void sink() {
    for (connection& peer : connections_) open(peer, EPOLLOUT);
    measure([this](connection& peer, std::uint32_t events) {
      if ((events & (EPOLLERR | EPOLLHUP)) != 0) fail("the server closed a connection");
      done_ += send_some(peer);
    });
    report(1e6);
  }

  void idle() {
    open_idle(64);  // what the server needs once is not what a connection needs
    const auto before = resident_bytes(wanted_.server);
    open_idle(wanted_.connections);
    const auto after = resident_bytes(wanted_.server);
    if (!before || !after) fail("idle needs --pid, and /proc");
    std::printf("mode=idle connections=%zu bytes=%.0f\n", wanted_.connections,
                (*after - *before) / static_cast<double>(wanted_.connections));
  }

 private:
  /// Connects from one address after the other in 127.0.0.0/8: the ports of one would run out.
  void open(connection& peer, std::uint32_t events) {
    peer = connection();
    peer.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(peer.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(peer.socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (!with_address(bind, peer.socket, 1 + opened_++ % 32, 0)) fail("bind");
    if (!with_address(connect, peer.socket, 0, wanted_.port)) fail("connect");
    epoll_event interest{};
    interest.events = events;
    interest.data.ptr = &peer;
    if (events != 0 && epoll_ctl(poll_, EPOLL_CTL_ADD, peer.socket, &interest) != 0) fail("epoll_ctl");
  }

  static bool with_address(int (*call)(int, const sockaddr*, socklen_t), int socket, std::uint32_t host,
                           std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host);
    return call(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  void open_idle(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      connection peer;
      open(peer, 0);
      send_message(peer);
      while (!receive_message(peer, 0)) {
      }
    }  // the sockets stay open until the process ends
  }

  bool may_start() { return wanted_.messages == 0 || started_++ < wanted_.messages; }

  void begin(connection& peer) {
    if (!may_start()) return;
    open(peer, EPOLLIN);
    send_message(peer);
  }

  void send_next(connection& peer) {
    if (may_start()) send_message(peer);
  }

  void send_message(connection& peer) {
    peer.received = 0;
    const ssize_t sent = send(peer.socket, message_.data(), message_.size(), MSG_NOSIGNAL);  // waits for all of it
    if (sent != static_cast<ssize_t>(message_.size())) fail("send");
  }

  /// Sends until as much is under way as may be, or the socket takes no more.
  void fill(connection& peer) {
    while (peer.under_way + message_.size() <= wanted_.in_flight) {
      const std::size_t size = send_some(peer);
      if (size == 0) return;
      peer.under_way += size;
    }
  }

  std::size_t send_some(connection& peer) {
    const ssize_t sent = send(peer.socket, message_.data(), message_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno != EAGAIN) fail("send");
    return 0;
  }

  /// True: the message is back, whole and as it was.
  bool receive_message(connection& peer, int flags) {
    const std::size_t size = receive(peer, buffer_.data(), buffer_.size(), flags);
    const std::size_t at = peer.received;
    if (size > message_.size() - at || std::memcmp(buffer_.data(), message_.data() + at, size) != 0) {
      errno = EBADMSG;
      fail("what came back is not what was sent");
    }
    peer.received += size;
    return peer.received == message_.size();
  }

  static std::size_t receive(connection& peer, char* to, std::size_t size, int flags) {
    const ssize_t received = recv(peer.socket, to, size, flags);
    if (received > 0) return static_cast<std::size_t>(received);
    if (received < 0 && errno == EAGAIN) return 0;
    if (received == 0) errno = ECONNRESET;
    fail("recv");
  }

  /// Hands events to `handle`, through the warm-up and then for as long as was wanted.
  template <class Handle>
  void measure(Handle handle) {
    if (wanted_.messages == 0) {
      for (const double end = now() + wanted_.warmup; now() < end;) turn(handle);
      done_ = 0;
    }
    before_ = snapshot(wanted_.server);
    const double end = before_.time + wanted_.seconds;
    while (wanted_.messages != 0 ? done_ < wanted_.messages : now() < end) turn(handle);
    after_ = snapshot(wanted_.server);
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

  void report(double unit) const {
    const double time = after_.time - before_.time;
    const double done = static_cast<double>(done_) / unit;
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
  const int poll_;
  std::vector<char> message_;
  std::vector<connection> connections_;
  std::vector<char> buffer_ = std::vector<char>(262144);
  std::uint64_t opened_ = 0, started_ = 0, done_ = 0;
  snapshot before_ = snapshot(0), after_ = snapshot(0);
};

template <class T>
bool read_number(std::string_view text, T& number) {
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  return wrong == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool read_setting(std::string_view name, std::string_view value, settings& found) {
  if (name == "--port") return read_number(value, found.port);
  if (name == "--connections") return read_number(value, found.connections);
  if (name == "--size") return read_number(value, found.size);
  if (name == "--in-flight") return read_number(value, found.in_flight);
  if (name == "--seconds") return read_number(value, found.seconds);
  if (name == "--warmup") return read_number(value, found.warmup);
  if (name == "--messages") return read_number(value, found.messages);
  if (name == "--pid") return read_number(value, found.server);
  return false;
}

bool read_arguments(int count, char** words, settings& found) {
  if (count < 2 || count % 2 != 0) return false;
  found.mode = words[1];
  for (int i = 2; i < count; i += 2) {
    if (!read_setting(words[i], words[i + 1], found)) return false;
  }
  const bool in_bulk = found.mode == "stream" || found.mode == "sink";
  if (found.size == 0) found.size = in_bulk ? 65536 : 64;
  return found.port != 0 && found.connections != 0 && found.size <= largest_message && found.in_flight >= found.size &&
         (found.messages == 0 || !in_bulk);
}

}  // namespace

int main(int count, char** words) {
  settings wanted;
  if (!read_arguments(count, words, wanted)) {
    std::fprintf(
        stderr,
        "usage: load_generator pingpong|stream|sink|churn|idle --port P [--connections N] [--size S]\n"
        "  [--in-flight B] [--seconds D] [--warmup W] [--messages M] [--pid P]; the head of its source says more\n");
    return 2;
  }
  alarm(wanted.messages != 0 || wanted.mode == "idle" ? 120
                                                      : static_cast<unsigned>(wanted.seconds + wanted.warmup) + 30);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  generator work(wanted);
  if (wanted.mode == "pingpong") {
    work.pingpong();
  } else if (wanted.mode == "churn") {
    work.churn();
  } else if (wanted.mode == "stream") {
    work.stream();
  } else if (wanted.mode == "sink") {
    work.sink();
  } else if (wanted.mode == "idle") {
    work.idle();
  } else {
    std::fprintf(stderr, "load_generator: no mode is named %s\n", words[1]);
    return 2;
  }
}
