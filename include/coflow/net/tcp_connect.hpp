/// \file
/// Making a TCP connection.
#pragma once

#include <cerrno>
#include <coroutine>
#include <optional>
#include <system_error>
#include <utility>

#include "coflow/core/operation.hpp"
#include "coflow/core/task.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/stream_socket.hpp"
#include "coflow/net/detail/system.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/tcp_flow.hpp"
#include "coflow/net/tcp_options.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Waits until a connection attempt that is under way has been decided, the deadline passes, or the task is stopped.
class [[nodiscard]] connect_wait final : public operation, private connect_waiter {
 public:
  /// `decided` says that the connection stands already; then only a stop request is looked for.
  connect_wait(stream_socket& socket, bool decided, std::optional<executor::time_point> deadline) noexcept
      : socket_(socket), deadline_(deadline), decided_(decided) {}
  connect_wait(connect_wait&&) = delete;
  ~connect_wait() {
    if (pending_) socket_.set_connect_waiter(nullptr);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    if (this->stop_requested())
      outcome_ = canceled();
    else
      outcome_ = socket_.enter();
    if (outcome_ || decided_) return false;
    socket_.set_connect_waiter(this);
    pending_ = true;
    if (deadline_) socket_.home().arm(timer_, *deadline_);
    this->begin_wait();
    return true;
  }
  [[nodiscard]] std::error_code await_resume() const noexcept { return outcome_; }

 private:
  class deadline_timer final : public timer {
   public:
    explicit deadline_timer(connect_wait& of) noexcept : wait_(of) {}
    void run() noexcept override { wait_.decide(abandoned() ? error::closed : error::timed_out); }

   private:
    connect_wait& wait_;
  };

  // The report may be spurious; only a connected socket has a peer.
  void on_decided() noexcept override {
    pending_ = false;
    int pending_error = 0;
    const int status = sys::get_option(socket_.fd(), SOL_SOCKET, SO_ERROR, pending_error);
    sys::kernel_address peer;
    if (status < 0) {
      decide(from_system(-status));
    } else if (pending_error != 0) {
      decide(from_system(pending_error));
    } else if (sys::peer_address(socket_.fd(), peer) < 0) {
      socket_.set_connect_waiter(this);
      pending_ = true;
    } else {
      socket_.set_remote(peer.value());  // the system may have gone elsewhere than asked: 0.0.0.0 is 127.0.0.1
      decide({});
    }
  }
  void on_closed() noexcept override {
    pending_ = false;
    outcome_ = error::closed;
    settle();
  }
  void on_stop() noexcept override {
    if (std::exchange(pending_, false)) socket_.set_connect_waiter(nullptr);
    outcome_ = canceled();
    settle();
  }
  void settle() noexcept {
    timer_.disarm();
    this->end_wait();
    socket_.home().post(*this);
  }
  // In a turn of the loop: goes on at once.
  void decide(std::error_code code) noexcept {
    if (std::exchange(pending_, false)) socket_.set_connect_waiter(nullptr);
    outcome_ = code;
    timer_.disarm();
    socket_.home().renew_turns();
    this->resume();
  }
  void run() noexcept override { this->resume(); }

  stream_socket& socket_;
  std::optional<executor::time_point> deadline_;
  deadline_timer timer_{*this};
  std::error_code outcome_;
  bool decided_;
  bool pending_ = false;
};

// A socket on its way to `remote`: minus an errno value, or the descriptor and whether the connection stands already.
inline int begin_connect(const endpoint& remote, const connect_options& options, bool& connected) noexcept {
  const int fd = sys::tcp_socket(remote.raw().family);
  if (fd < 0) return fd;
  int status = 0;
  if (options.no_delay()) status = sys::set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (status >= 0 && options.keep_alive_setting()) status = set_keep_alive(fd, options.keep_alive_setting());
  if (status >= 0 && options.local()) status = sys::bind(fd, sys::kernel_address(options.local()->raw()));
  if (status >= 0) status = sys::connect(fd, sys::kernel_address(remote.raw()));
  connected = status >= 0;
  if (status >= 0 || status == -EINPROGRESS || status == -EINTR) return fd;  // interrupted: it goes on by itself
  sys::close(fd);
  return status;
}

}  // namespace detail

/// Connects to `remote`.
/// Cancellation and the deadline close the attempt. Errors: what the system says, such as connection_refused or
/// network_unreachable; `error::timed_out` if the option's deadline passes; `operation_canceled`.
[[nodiscard]] inline task<result<tcp_flow>> tcp_connect(endpoint remote, connect_options options = {}) {
  executor* running = executor::current();
  if (running == nullptr) co_return error::no_executor;
  std::optional<executor::time_point> deadline;
  if (options.timeout()) deadline = running->after(*options.timeout());
  bool connected = false;
  const int fd = detail::begin_connect(remote, options, connected);
  if (fd < 0) co_return from_system(-fd);
  detail::stream_socket* socket = detail::new_stream_socket(fd);
  tcp_flow flow{flow_handle(socket)};

  const std::error_code failed = co_await detail::connect_wait(*socket, connected, deadline);
  if (failed) co_return failed;
  co_return std::move(flow);
}

}  // namespace coflow::inline v0
