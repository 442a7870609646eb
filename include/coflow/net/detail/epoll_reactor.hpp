/// \file
/// Readiness by epoll(7), edge-triggered: a descriptor is registered once. Linux only.
#pragma once

#include "coflow/net/detail/platform.hpp"

#if COFLOW_LINUX

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "coflow/net/detail/reactor.hpp"

namespace coflow::inline v0 {
namespace detail {

class epoll_reactor final : public readiness_source {
 public:
  static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP &&
                EPOLLRDHUP == POLLRDHUP && EPOLLPRI == POLLPRI);

  epoll_reactor() noexcept : epoll_(sys::epoll_create()) {}
  ~epoll_reactor() override {
    if (epoll_ >= 0) sys::close(epoll_);
  }

  /// 0, or minus the errno value with which epoll was refused.
  [[nodiscard]] int status() const noexcept { return epoll_ < 0 ? epoll_ : 0; }

  [[nodiscard]] int add(int fd, std::uint64_t token, const descriptor&, interest what) noexcept override {
    return sys::epoll_set(epoll_, EPOLL_CTL_ADD, fd, events_of(what), token);
  }
  [[nodiscard]] int change(int fd, std::uint64_t token, interest what) noexcept override {
    return sys::epoll_set(epoll_, EPOLL_CTL_MOD, fd, events_of(what), token);
  }
  void remove(int fd) noexcept override { sys::epoll_remove(epoll_, fd); }
  void forget(int) noexcept override {}  // closing it ends the watch

  [[nodiscard]] int wait(std::span<ready_event> events, std::chrono::nanoseconds timeout) noexcept override {
    static_assert(sizeof(ready_event) == sizeof(epoll_event) &&
                  offsetof(ready_event, what) == offsetof(epoll_event, events) &&
                  offsetof(ready_event, token) == offsetof(epoll_event, data));
    if (timeout.count() > 0 && timeout < short_timeout && precise_) [[unlikely]]
      return wait_precisely(events, timeout);
    return outcome(sys::epoll_wait(epoll_, events.data(), events.size(), timeout));
  }
  [[nodiscard]] int native_handle() const noexcept override { return epoll_; }

 private:
  // Rounding a longer one up to milliseconds adds less than a tenth.
  static constexpr std::chrono::milliseconds short_timeout{10};

  static unsigned events_of(interest what) noexcept {
    constexpr unsigned reading = EPOLLIN | EPOLLPRI | EPOLLRDHUP;
    constexpr unsigned edges = EPOLLET;
    if (what == interest::read) return reading | edges;
    if (what == interest::write) return EPOLLOUT | edges;
    return reading | EPOLLOUT | edges;
  }
  static int outcome(int count) noexcept { return count == -EINTR ? 0 : count; }

  // Sandboxes refuse system calls that they do not know with EPERM.
  [[gnu::noinline]] int wait_precisely(std::span<ready_event> events, std::chrono::nanoseconds timeout) noexcept {
    const int count = sys::epoll_wait_precisely(epoll_, events.data(), events.size(), timeout);
    if (count != -ENOSYS && count != -EPERM) return outcome(count);
    precise_ = false;
    return outcome(sys::epoll_wait(epoll_, events.data(), events.size(), timeout));
  }

  int epoll_;
  bool precise_ = true;
};

}  // namespace detail
}  // namespace coflow::inline v0

#endif
