// libuv_guest [--port P] [--clients N]
// coflow as a guest in a libuv loop: flows serve echo clients while the host's own timer ticks, all on one thread. It
// ends when N clients (3, unless said otherwise) have come and gone.
#include <uv.h>

#include <chrono>
#include <coflow/coflow.hpp>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace {

// The adapter: gives the guest a turn whenever its handle is readable or its deadline has come, on the thread that runs
// the host. After `leave` it must live until the host's loop has closed its two handles, as uv_run does.
class libuv_guest {
 public:
  libuv_guest(uv_loop_t* host, coflow::event_loop& loop) : host_(host), loop_(loop) {
    uv_poll_init(host, &handle_, loop.native_handle());
    uv_timer_init(host, &timer_);
    handle_.data = timer_.data = this;
    uv_poll_start(&handle_, UV_READABLE, [](uv_poll_t* of, int, int) { static_cast<libuv_guest*>(of->data)->turn(); });
    wait_for_deadline();
  }
  libuv_guest(const libuv_guest&) = delete;
  libuv_guest& operator=(const libuv_guest&) = delete;

  // Nobody looks after the guest from here on. The handle is the loop's: libuv does not close it.
  void leave() {
    left_ = true;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
  }

 private:
  void wait_for_deadline() {
    const auto deadline = loop_.next_deadline();
    if (!deadline) {
      uv_timer_stop(&timer_);
      return;
    }
    uv_update_time(host_);  // libuv counts from when its turn began
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - loop_.now()).count();
    uv_timer_start(
        &timer_, [](uv_timer_t* of) { static_cast<libuv_guest*>(of->data)->turn(); },
        left > 0 ? static_cast<std::uint64_t>(left) : 0, 0);
  }
  void turn() {
    loop_.poll();
    if (!left_) wait_for_deadline();
  }

  uv_loop_t* host_;
  coflow::event_loop& loop_;
  uv_poll_t handle_{};
  uv_timer_t timer_{};
  bool left_ = false;
};

// What the host does by itself.
void on_tick(uv_timer_t* timer) {
  int& ticks = *static_cast<int*>(timer->data);
  std::printf("tick %d\n", ++ticks);
  std::fflush(stdout);
}

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
    std::fprintf(stderr, "libuv_guest: %s\n", listener.error().message().c_str());
    return 1;
  }
  std::printf("listening on %s\n", listener->local_endpoint().to_string().c_str());
  std::fflush(stdout);

  coflow::event_loop loop;
  if (loop.native_handle() < 0) {  // on systems without epoll
    std::fprintf(stderr, "libuv_guest: this loop has no handle that a host could wait for\n");
    return 1;
  }
  uv_loop_t host;
  uv_loop_init(&host);
  int ticked = 0;
  uv_timer_t ticks;
  uv_timer_init(&host, &ticks);
  ticks.data = &ticked;
  uv_timer_start(&ticks, on_tick, 50, 50);

  libuv_guest guest(&host, loop);

  int left = clients;
  coflow::server_stop stop;
  const auto handler = [&](coflow::tcp_flow flow) { return echo(std::move(flow), &left, &stop); };
  coflow::spawn(loop, coflow::serve(std::move(*listener), handler, coflow::serve_options().stopped_by(stop)),
                [&](const coflow::task_outcome<coflow::result<void>>&) {
                  // The guest is done: the host closes what it has running, and so uv_run returns.
                  guest.leave();
                  uv_close(reinterpret_cast<uv_handle_t*>(&ticks), nullptr);
                });
  uv_run(&host, UV_RUN_DEFAULT);
  uv_loop_close(&host);
  std::printf("served %d clients, and the host has ticked %d times\n", clients - left, ticked);
}
