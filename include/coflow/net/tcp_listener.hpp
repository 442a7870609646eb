/// \file
/// Accepting TCP connections.
#pragma once

#include <cerrno>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <new>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "coflow/core/detail/pool.hpp"
#include "coflow/core/detail/shared_callback.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/core/operation_queue.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/system.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/tcp_flow.hpp"
#include "coflow/net/tcp_options.hpp"

namespace coflow::inline v0 {
namespace detail {

class accept_operation;

/// The control block of a listening socket.
class listening_socket final : public descriptor, public pooled, private descriptor_hunger {
 public:
  listening_socket(int fd, detail::shared_callback<std::error_code> on_trouble)
      : descriptor(fd), on_trouble_(std::move(on_trouble)) {}

  [[nodiscard]] int fd() const noexcept { return fd_; }
  inline bool start(accept_operation& op) noexcept;
  inline bool try_again(accept_operation& op) noexcept;
  inline void withdraw(accept_operation& op) noexcept;
  inline void stop(accept_operation& op) noexcept;
  inline void close() noexcept;
  void destroy() noexcept { delete this; }

 private:
  // Wakes the first waiting accept when descriptors may be there again.
  class retry_timer final : public timer {
   public:
    explicit retry_timer(listening_socket& of) noexcept : socket_(of) {}
    void run() noexcept override {
      static_cast<descriptor_hunger&>(socket_).unlink();
      socket_.readable_ = true;
      socket_.serve();
    }

   private:
    listening_socket& socket_;
  };

  [[nodiscard]] inline std::error_code enter() noexcept;
  [[nodiscard]] inline bool attempt(accept_operation& op) noexcept;
  inline void trouble(std::error_code code) noexcept;
  inline void serve() noexcept;
  inline void settle(accept_operation& op, std::error_code code) noexcept;
  inline void call() noexcept;

  void on_ready(unsigned what) noexcept override {
    if ((what & (readiness::readable | readiness::ended)) == 0) return;
    readable_ = true;
    serve();
  }
  void on_loop_gone() noexcept override {
    close();
    loop_ = nullptr;
  }
  void on_descriptor_freed() noexcept override {
    retry_.disarm();
    loop_->post(retry_);
  }

  detail::shared_callback<std::error_code> on_trouble_;
  operation_queue accepts_;
  retry_timer retry_{*this};
  bool in_trouble_ = false;
};

/// What `tcp_listener::accept` returns: gives a `result<tcp_flow>`. Cancellation: no connection is lost.
class [[nodiscard]] accept_operation final : public queued_operation {
 public:
  explicit accept_operation(listening_socket& socket) noexcept : socket_(socket) {}
  accept_operation(accept_operation&& unbegun) noexcept : socket_(unbegun.socket_) {}
  ~accept_operation() {
    if (phase_ == operation_phase::idle) return;
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();  // the listener may be gone already
    else
      socket_.withdraw(*this);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    this->bind(awaiting);
    return socket_.start(*this);
  }
  [[nodiscard]] result<tcp_flow> await_resume() {
    if (!accepted_) return failure_;
    return *std::move(accepted_);
  }

 private:
  friend class listening_socket;

  void run() noexcept override {
    if (phase_ != operation_phase::called || socket_.try_again(*this)) {
      phase_ = operation_phase::idle;
      this->resume();
    }
  }
  void on_stop() noexcept override { socket_.stop(*this); }

  listening_socket& socket_;
  std::optional<tcp_flow> accepted_;
  std::error_code failure_;
};

inline std::error_code listening_socket::enter() noexcept {
  if (loop_ != nullptr && loop_ == executor::current()) return {};
  io_executor* running = io_executor::current_io();
  if (running == nullptr) return error::no_executor;
  if (loop_ == nullptr) return running->attach(*this);
  COFLOW_ASSERT(false, "a listener was used on a thread whose event loop it does not belong to");
  return error::wrong_executor;
}

inline bool listening_socket::start(accept_operation& op) noexcept {
  op.failure_ = {};
  if (op.stop_requested())
    op.failure_ = canceled();
  else if (fd_ < 0)
    op.failure_ = error::closed;
  else
    op.failure_ = enter();
  if (op.failure_) return false;
  const bool first = accepts_.idle();
  const bool now = first && loop_->take_turn();
  if (now && attempt(op)) return false;
  if (fd_ < 0) {  // closed by what on_trouble called
    op.failure_ = error::closed;
    return false;
  }
  accepts_.push(op);
  if (first && !now) call();
  op.begin_wait();
  return true;
}

inline bool listening_socket::try_again(accept_operation& op) noexcept {
  accepts_.answer(op);
  if (!attempt(op)) return false;
  accepts_.pop();
  call();
  return true;
}

inline void listening_socket::withdraw(accept_operation& op) noexcept {
  const bool was_called = op.phase_ == operation_phase::called;
  accepts_.remove(op);
  if (was_called) call();
}

inline void listening_socket::stop(accept_operation& op) noexcept {
  withdraw(op);
  settle(op, canceled());
}

inline void listening_socket::close() noexcept {
  if (fd_ < 0) return;
  retry_.disarm();
  static_cast<descriptor_hunger&>(*this).unlink();
  accepts_.take_all([this](queued_operation& one) { settle(static_cast<accept_operation&>(one), error::closed); });
  if (loop_ != nullptr) loop_->detach(*this);
  sys::close(std::exchange(fd_, -1));
}

inline void listening_socket::settle(accept_operation& op, std::error_code code) noexcept {
  op.failure_ = code;
  op.phase_ = operation_phase::settled;
  op.end_wait();
  loop_->post(op);
}

inline void listening_socket::call() noexcept {
  if (!accepts_.idle()) accepts_.call(*loop_);
}

// The listener may be gone when this returns.
inline void listening_socket::serve() noexcept {
  queued_operation* first = accepts_.waiting();
  if (first == nullptr) return;
  auto& op = static_cast<accept_operation&>(*first);
  if (!attempt(op)) return;
  accepts_.pop();
  call();
  loop_->renew_turns();
  op.resume();
}

// Shortages end; the connections stay in the kernel's queue and no edge announces them again, so look every 100 ms, and
// whenever this loop closes a descriptor.
inline void listening_socket::trouble(std::error_code code) noexcept {
  readable_ = false;
  loop_->arm(retry_, loop_->now() + std::chrono::milliseconds(100));
  if (!linked()) loop_->add_hungry(*this);
  if (std::exchange(in_trouble_, true)) return;
  if (on_trouble_) on_trouble_(code);
}

// True if the operation has its outcome.
inline bool listening_socket::attempt(accept_operation& op) noexcept {
  if (!readable_) return false;
  for (int tries = 0; tries < 64; ++tries) {
    sys::kernel_address peer;
    const int fd = sys::accept(fd_, peer);
    if (fd >= 0) {
      in_trouble_ = false;
      stream_socket* made = nullptr;
      try {
        made = new_stream_socket(fd);
      } catch (const std::bad_alloc&) {
        trouble(std::make_error_code(std::errc::not_enough_memory));
        return false;
      }
      made->set_remote(peer.value());
      op.accepted_.emplace(made);
      return true;
    }
    switch (-fd) {
      case EAGAIN:
        readable_ = false;
        return false;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        trouble(from_system(-fd));
        return false;
      case EBADF:
      case EINVAL:
      case ENOTSOCK:
      case EOPNOTSUPP:
      case EFAULT:
        op.failure_ = from_system(-fd);
        return true;
      default:  // this one connection was lost before it was accepted (accept(2), "Error handling"): take the next
        break;
    }
  }
  trouble(std::make_error_code(std::errc::resource_unavailable_try_again));
  return false;
}

}  // namespace detail

/// A listening TCP socket. It belongs to the event loop on which its first `accept` begins.
class tcp_listener {
 public:
  /// Listens on `local`; port 0 lets the system choose one, see `local_endpoint`.
  /// Errors: what the system says, such as address_in_use or permission_denied. Needs no event loop.
  [[nodiscard]] static result<tcp_listener> bind(const endpoint& local, const listener_options& options = {}) {
    const int fd = detail::sys::tcp_socket(local.raw().family);
    if (fd < 0) return from_system(-fd);
    if (const int status = prepare(fd, local, options); status < 0) {
      detail::sys::close(fd);
      return from_system(-status);
    }
    return tcp_listener(new detail::listening_socket(fd, options.on_trouble()));
  }

  /// Listens on an address given as text: `bind("127.0.0.1", 7000)`, `bind("::", 0)`.
  /// Errors: `error::bad_endpoint` if `address` is none; otherwise like the other `bind`.
  [[nodiscard]] static result<tcp_listener> bind(std::string_view address, std::uint16_t port,
                                                 const listener_options& options = {}) {
    const result<endpoint> local = endpoint::parse(address, port);
    if (!local) return local.error();
    return bind(*local, options);
  }

  tcp_listener(tcp_listener&&) noexcept = default;
  tcp_listener& operator=(tcp_listener&&) noexcept = default;
  /// Closes the listener.
  ~tcp_listener() = default;

  /// Waits for the next connection. It goes on through what concerns a single connection and through shortages of
  /// descriptors and memory (`listener_options::on_trouble`), and fails only when the listener is closed or broken.
  /// Concurrency: served in order. Cancellation: no connection is lost.
  [[nodiscard]] detail::accept_operation accept() noexcept { return detail::accept_operation(*socket_); }

  /// Stops listening; a pending `accept` gives `error::closed`. Accepted connections are not touched.
  void close() noexcept { socket_->close(); }

  /// Where it listens, with the port that was chosen; unspecified after the close.
  [[nodiscard]] endpoint local_endpoint() const noexcept {
    detail::sys::kernel_address found;
    if (socket_->fd() < 0 || detail::sys::local_address(socket_->fd(), found) < 0) return endpoint();
    return endpoint(found.value());
  }

  /// The descriptor, or -1 after the close. It stays the listener's.
  [[nodiscard]] int native_handle() const noexcept { return socket_->fd(); }

 private:
  explicit tcp_listener(detail::listening_socket* fresh) noexcept : socket_(fresh) {}

  // What is set on the listening socket is inherited by the connections that it accepts (tcp(7), socket(7)).
  static int prepare(int fd, const endpoint& local, const listener_options& options) noexcept {
    int status = 0;
    if (options.reuse_address()) status = detail::sys::set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (status >= 0 && options.reuse_port()) status = detail::sys::set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (status >= 0 && options.no_delay()) status = detail::sys::set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (status >= 0 && options.keep_alive_setting()) status = detail::set_keep_alive(fd, options.keep_alive_setting());
    if (status >= 0) status = detail::sys::bind(fd, detail::sys::kernel_address(local.raw()));
    if (status >= 0) status = detail::sys::listen(fd, options.backlog());
    return status;
  }

  flow_handle<detail::listening_socket> socket_;
};

}  // namespace coflow::inline v0
