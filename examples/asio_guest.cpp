// asio_guest [--port P] [--clients N]
// coflow as a guest in an Asio io_context: flows serve echo clients while the host's own timer ticks, all on one
// thread. It ends when N clients (3, unless said otherwise) have come and gone.
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <coflow/coflow.hpp>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace {

// The adapter: gives the guest a turn whenever its handle is readable or its deadline has come. Make it after the
// io_context and the loop, and on the thread that runs the io_context; it keeps that running until `leave`.
class asio_guest {
 public:
  asio_guest(asio::io_context& host, coflow::event_loop& loop)
      : loop_(loop), handle_(host, loop.native_handle()), timer_(host) {
    wait_for_handle();
    wait_for_deadline();
  }
  asio_guest(const asio_guest&) = delete;
  asio_guest& operator=(const asio_guest&) = delete;
  ~asio_guest() { leave(); }

  // Nobody looks after the guest from here on.
  void leave() {
    left_ = true;
    timer_.cancel();
    if (handle_.is_open()) handle_.release();  // the handle is the loop's: it is not closed here
  }

 private:
  void wait_for_handle() {
    handle_.async_wait(asio::posix::stream_descriptor::wait_read, [this](std::error_code failed) {
      if (failed) return;  // by `leave`; perhaps this object is gone
      turn();
      if (!left_) wait_for_handle();
    });
  }
  void wait_for_deadline() {
    const auto deadline = loop_.next_deadline();
    timer_.expires_at(deadline ? *deadline : coflow::executor::time_point::max());  // and no earlier wait goes on
    timer_.async_wait([this](std::error_code failed) {
      if (!failed) turn();
    });
  }
  void turn() {
    if (left_) return;
    loop_.poll();
    if (!left_) wait_for_deadline();
  }

  coflow::event_loop& loop_;
  asio::posix::stream_descriptor handle_;
  asio::steady_timer timer_;
  bool left_ = false;
};

// What the host does by itself.
class ticker {
 public:
  explicit ticker(asio::io_context& host) : timer_(host) { tick(); }
  void stop() { timer_.cancel(); }
  [[nodiscard]] int ticks() const { return ticks_; }

 private:
  void tick() {
    timer_.expires_after(std::chrono::milliseconds(50));
    timer_.async_wait([this](std::error_code failed) {
      if (failed) return;
      std::printf("tick %d\n", ++ticks_);
      std::fflush(stdout);
      tick();
    });
  }

  asio::steady_timer timer_;
  int ticks_ = 0;
};

coflow::task<coflow::result<void>> echo(coflow::tcp_flow flow, int* left, coflow::server_stop* stop) {
  coflow::result<void> ended;
  for (;;) {
    auto chunk = co_await flow.read();
    if (!chunk) {
      if (!chunk.eof()) ended = chunk.error();
      break;
    }
    ended = co_await flow.write(std::move(*chunk));
    if (!ended) break;
  }
  if (--*left == 0) stop->request();
  co_return ended;
}

}  // namespace

int main(int count, char** words) {
  int port = 0;
  int clients = 3;
  for (int i = 1; i + 1 < count; i += 2) {
    if (std::string_view(words[i]) == "--port") port = std::atoi(words[i + 1]);
    if (std::string_view(words[i]) == "--clients") clients = std::atoi(words[i + 1]);
  }
  auto listener = coflow::tcp_listener::bind("127.0.0.1", static_cast<std::uint16_t>(port));
  if (!listener) {
    std::fprintf(stderr, "asio_guest: %s\n", listener.error().message().c_str());
    return 1;
  }
  std::printf("listening on %s\n", listener->local_endpoint().to_string().c_str());
  std::fflush(stdout);

  coflow::event_loop loop;
  if (loop.native_handle() < 0) {  // on systems without epoll
    std::fprintf(stderr, "asio_guest: this loop has no handle that a host could wait for\n");
    return 1;
  }
  asio::io_context host;
  asio_guest guest(host, loop);
  ticker ticks(host);

  int left = clients;
  coflow::server_stop stop;
  const auto handler = [&](coflow::tcp_flow flow) { return echo(std::move(flow), &left, &stop); };
  coflow::spawn(loop, coflow::serve(std::move(*listener), handler, coflow::serve_options().stopped_by(stop)),
                [&](const coflow::task_outcome<coflow::result<void>>&) {
                  // The guest is done: the host ends what it has running, and so `run` returns.
                  guest.leave();
                  ticks.stop();
                });
  host.run();
  std::printf("served %d clients, and the host has ticked %d times\n", clients - left, ticks.ticks());
}
