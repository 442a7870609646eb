/// \file
/// Readiness by epoll(7), edge-triggered: a descriptor is registered once, for everything.
#pragma once

#include <sys/epoll.h>

#include <array>
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
                EPOLLRDHUP == POLLRDHUP);

  epoll_reactor() noexcept : epoll_(sys::epoll_create()) {}
  ~epoll_reactor() override {
    if (epoll_ >= 0) sys::close(epoll_);
  }

  /// 0, or minus the errno value with which epoll was refused.
  [[nodiscard]] int status() const noexcept { return epoll_ < 0 ? epoll_ : 0; }

  [[nodiscard]] int add(int fd, std::uint64_t token, const descriptor&) noexcept override {
    return sys::epoll_add(epoll_, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, token);
  }
  void remove(int fd) noexcept override { sys::epoll_remove(epoll_, fd); }

  [[nodiscard]] int wait(std::span<ready_event> events, int milliseconds) noexcept override {
    std::array<epoll_event, batch> found;
    const std::size_t room = events.size() < batch ? events.size() : batch;
    const int count = sys::epoll_wait(epoll_, std::span(found).first(room), milliseconds);
    if (count < 0) return count == -EINTR ? 0 : count;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
      events[i] = ready_event{found[i].data.u64, found[i].events};
    return count;
  }

  static constexpr std::size_t batch = 256;

 private:
  int epoll_;
};

}  // namespace detail
}  // namespace coflow::inline v0
