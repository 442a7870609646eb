/// \file
/// The control block of a listening socket.
#pragma once

#include <cerrno>
#include <chrono>
#include <coroutine>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

#include "coflow/core/config.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/detail/shared_callback.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/operation_queue.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/stream_socket.hpp"
#include "coflow/net/detail/stream_socket_room.hpp"
#include "coflow/net/detail/system.hpp"
#include "coflow/net/detail/system_unix.hpp"

namespace coflow::inline v0 {
namespace detail {

class accept_wait;

/// The control block of a listening socket.
class listening_socket final : public descriptor, public pooled, private descriptor_hunger {
 public:
  /// Takes over `fd`; what it accepts is of the kind `accepted`.
  listening_socket(int fd, detail::shared_callback<std::error_code> on_trouble,
                   socket_kind accepted = socket_kind::tcp) noexcept
      : descriptor(fd), accepted_(accepted), on_trouble_(std::move(on_trouble)) {}

  [[nodiscard]] int fd() const noexcept { return fd_; }
  inline bool start(accept_wait& op) noexcept;
  inline bool try_again(accept_wait& op) noexcept;
  inline void withdraw(accept_wait& op) noexcept;
  inline void stop(accept_wait& op) noexcept;
  inline void close() noexcept;
  void destroy() noexcept { delete this; }
  /// The file that the socket was bound to is removed by the close, unless another has taken its place.
  void own_file(const sys::file_identity& bound) noexcept { file_ = bound; }

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
  [[nodiscard]] inline bool attempt(accept_wait& op) noexcept;
  inline void trouble(std::error_code code) noexcept;
  inline void serve() noexcept;
  inline void settle(accept_wait& op, std::error_code code) noexcept;
  inline void call() noexcept;
  inline void remove_own_file() noexcept;

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

  const socket_kind accepted_;
  bool in_trouble_ = false;
  detail::shared_callback<std::error_code> on_trouble_;
  operation_queue accepts_;
  retry_timer retry_{*this};
  sys::file_identity file_;  // no socket: none
};

/// The wait for a connection. Cancellation: no connection is lost.
class accept_wait : public queued_operation {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return socket_.start(*this);
  }

 protected:
  explicit accept_wait(listening_socket& socket) noexcept : socket_(socket) {}
  accept_wait(accept_wait&& unbegun) noexcept : socket_(unbegun.socket_) {}
  ~accept_wait() {
    if (phase_ == operation_phase::idle) return;
    this->end_wait();
    if (phase_ == operation_phase::settled)
      this->unlink();  // the listener may be gone already
    else
      socket_.withdraw(*this);
  }

  [[nodiscard]] std::optional<flow_handle<stream_socket>>& accepted() noexcept { return accepted_; }
  [[nodiscard]] const std::error_code& failure() const noexcept { return failure_; }

 private:
  friend class listening_socket;

  void run() noexcept final {
    if (phase_ != operation_phase::called || socket_.try_again(*this)) {
      phase_ = operation_phase::idle;
      this->resume();
    }
  }
  void on_stop() noexcept final { socket_.stop(*this); }
  const char* waits_for() const noexcept final { return "a connection to accept"; }

  listening_socket& socket_;
  std::optional<flow_handle<stream_socket>> accepted_;
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

inline bool listening_socket::start(accept_wait& op) noexcept {
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

inline bool listening_socket::try_again(accept_wait& op) noexcept {
  accepts_.answer(op);
  if (!attempt(op)) return false;
  accepts_.pop();
  call();
  return true;
}

inline void listening_socket::withdraw(accept_wait& op) noexcept {
  const bool was_called = op.phase_ == operation_phase::called;
  accepts_.remove(op);
  if (was_called) call();
}

inline void listening_socket::stop(accept_wait& op) noexcept {
  withdraw(op);
  settle(op, canceled());
}

inline void listening_socket::close() noexcept {
  if (fd_ < 0) return;
  COFLOW_ASSERT(loop_ == nullptr || executor::current() == nullptr || executor::current() == loop_,
                "a listener was closed on a thread whose event loop it does not belong to");
  retry_.disarm();
  static_cast<descriptor_hunger&>(*this).unlink();
  accepts_.take_all([this](queued_operation& one) { settle(static_cast<accept_wait&>(one), error::closed); });
  if (loop_ != nullptr) loop_->detach(*this);
  if (file_.is_socket) remove_own_file();
  sys::close(std::exchange(fd_, -1));
}

// While the socket is open its file's number is given to no other.
inline void listening_socket::remove_own_file() noexcept {
  sys::kernel_unix_address bound;
  if (sys::local_address(fd_, bound) < 0) return;
  const unix_name name = bound.value();
  sys::file_identity now;
  if (sys::identify(name.bytes.data(), now) >= 0 && now == file_)
    static_cast<void>(sys::remove_file(name.bytes.data()));
}

inline void listening_socket::settle(accept_wait& op, std::error_code code) noexcept {
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
  auto& op = static_cast<accept_wait&>(*first);
  if (!attempt(op)) return;
  accepts_.pop();
  call();
  loop_->renew_turns();
  op.resume();
}

// Shortages end; the connections stay in the kernel's queue and no edge announces them again, so look every 100 ms, and
// whenever this loop closes a descriptor.
inline void listening_socket::trouble(std::error_code code) noexcept {
  loop_->arm(retry_, loop_->now() + std::chrono::milliseconds(100));
  if (!linked()) loop_->add_hungry(*this);
  if (std::exchange(in_trouble_, true)) return;
  if (on_trouble_) on_trouble_(code);
}

// True if the operation has its outcome.
inline bool listening_socket::attempt(accept_wait& op) noexcept {
  if (!readable_ || retry_.armed()) return false;
  // Memory comes first: a connection that was accepted and has no room would be lost.
  stream_socket_room room;
  if (!room) {
    trouble(std::make_error_code(std::errc::not_enough_memory));
    return false;
  }
  for (int tries = 0; tries < 64; ++tries) {
    sys::kernel_address peer;
    const int fd = sys::accept(fd_, peer);
    if (fd >= 0) {
      stream_socket* made = room.make(fd, accepted_);
      in_trouble_ = false;
      made->set_remote(peer.value());  // of a local socket it is none: the flow asks the system
      op.accepted_.emplace(made);
      return true;
    }
    switch (-fd) {
      case EAGAIN:  // which the system says only after it has found a descriptor to spare
        in_trouble_ = false;
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

/// A control block for a listening descriptor of the library's own; the descriptor is closed if there is no memory for
/// it.
[[nodiscard]] inline listening_socket* new_listening_socket(int fd, const shared_callback<std::error_code>& on_trouble,
                                                            socket_kind accepted) {
  try {
    return new listening_socket(fd, on_trouble, accepted);
  } catch (const std::bad_alloc&) {
    sys::close(fd);
    throw;
  }
}

}  // namespace detail
}  // namespace coflow::inline v0
