/// \file
/// Readiness by epoll(7), edge-triggered: a descriptor is registered once, for everything.
#pragma once

#include <sys/epoll.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "coflow/net/detail/reactor.hpp"
#include "coflow/net/detail/system.hpp"

namespace coflow::inline v0 {
namespace detail {

class epoll_reactor final : public reactor {
 public:
  static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP &&
                EPOLLRDHUP == POLLRDHUP && EPOLLPRI == POLLPRI);

  epoll_reactor() noexcept : epoll_(sys::epoll_create()) {}
  ~epoll_reactor() override {
    if (epoll_ >= 0) sys::close(epoll_);
  }

  /// 0, or minus the errno value with which epoll was refused.
  [[nodiscard]] int status() const noexcept { return epoll_ < 0 ? epoll_ : 0; }

  [[nodiscard]] int add(int fd, std::uint64_t token, const descriptor&) noexcept override {
    return sys::epoll_add(epoll_, fd, EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, token);
  }
  void remove(int fd) noexcept override { sys::epoll_remove(epoll_, fd); }

  [[nodiscard]] int wait(std::span<ready_event> events, int milliseconds) noexcept override {
    static_assert(sizeof(ready_event) == sizeof(epoll_event) &&
                  offsetof(ready_event, what) == offsetof(epoll_event, events) &&
                  offsetof(ready_event, token) == offsetof(epoll_event, data));
    const int count = sys::epoll_wait(epoll_, events.data(), events.size(), milliseconds);
    return count == -EINTR ? 0 : count;
  }

 private:
  int epoll_;
};

}  // namespace detail
}  // namespace coflow::inline v0
