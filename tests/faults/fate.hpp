#pragma once

// What kernel.cpp knows of a run, and how it decides what becomes of a call. For that file alone.

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <span>
#include <vector>

#include "faults/kernel.hpp"

extern "C" {
int __real_socket(int, int, int);
int __real_bind(int, const sockaddr*, socklen_t);
int __real_listen(int, int);
int __real_connect(int, const sockaddr*, socklen_t);
int __real_accept4(int, sockaddr*, socklen_t*, int);
ssize_t __real_recv(int, void*, std::size_t, int);
ssize_t __real_send(int, const void*, std::size_t, int);
ssize_t __real_sendmsg(int, const msghdr*, int);
ssize_t __real_read(int, void*, std::size_t);
ssize_t __real_write(int, const void*, std::size_t);
ssize_t __real_readv(int, const iovec*, int);
ssize_t __real_writev(int, const iovec*, int);
int __real_shutdown(int, int);
int __real_close(int);
int __real_setsockopt(int, int, int, const void*, socklen_t);
int __real_getsockopt(int, int, int, void*, socklen_t*);
int __real_getsockname(int, sockaddr*, socklen_t*);
int __real_getpeername(int, sockaddr*, socklen_t*);
int __real_eventfd(unsigned, int);
int __real_epoll_create1(int);
int __real_epoll_ctl(int, int, int, epoll_event*);
int __real_epoll_wait(int, epoll_event*, int, int);
int __real_poll(pollfd*, nfds_t, int);
long __real_syscall(long, ...);
}

namespace faults {
namespace {

constexpr int most_descriptors = 1024;
constexpr std::size_t most_calls = 4'000'000;
constexpr int none = -5;  // no fault

struct registration {
  int epoll = -1;
  epoll_event event{};
};

struct state {
  state() { incidents.reserve(8); }

  bool armed = false;
  std::size_t limit = 0;
  bool storm = false;
  bool no_edges = false;
  std::uint32_t random = 1;
  std::size_t failed_at_random = 0;
  bool relented = false;
  bool patient = false;
  std::size_t broken_pipes = 0;
  std::size_t bytes_sent = 0;
  std::size_t calls = 0;
  std::array<unsigned, call_count> counts{};
  std::vector<incident> incidents;
  std::array<registration, most_descriptors> watched{};
  std::array<bool, most_descriptors> wakes{};  // an eventfd
  registration closed;                         // the latest that was
  std::chrono::nanoseconds time{};
};
state now;

bool in_range(int fd) noexcept { return fd >= 0 && fd < most_descriptors; }

unsigned random_number() noexcept {
  now.random = now.random * 1664525U + 1013904223U;
  return now.random >> 16;
}

// The edge that the kernel would give after an EAGAIN, or after a call that was cut short: a registration that is
// renewed reports what is so.
void make_edge(int fd) noexcept {
  if (now.no_edges || !in_range(fd)) return;
  registration& known = now.watched[static_cast<std::size_t>(fd)];
  if (known.epoll < 0) return;
  epoll_event event = known.event;
  const int saved = errno;
  static_cast<void>(__real_epoll_ctl(known.epoll, EPOLL_CTL_MOD, fd, &event));
  errno = saved;
}

bool storms_at(call where) noexcept {
  switch (where) {
    case call::recv:
    case call::send:
    case call::sendmsg:
    case call::accept4:
    case call::connect:
    case call::epoll_wait:
    case call::poll:
    case call::read:
    case call::write:
    case call::readv:
    case call::writev:
      return true;
    default:
      return false;
  }
}
bool only_eintr(call where) noexcept {
  return where == call::connect || where == call::epoll_wait || where == call::poll;
}

// Counts the call; gives what is to go wrong with it, or `none`.
int fate(call where, int fd) noexcept {
  if (!now.armed) return none;
  const unsigned nth = ++now.counts[index(where)];
  if (++now.calls > 2 * most_calls) {
    std::fputs("a loop of system calls that does not end\n", stderr);
    std::abort();  // the handler says which run it was
  }
  if (now.relented) return none;
  for (incident& one : now.incidents) {
    if (one.what.where != where || (one.what.persistent ? nth < one.what.nth : nth != one.what.nth)) continue;
    if (one.times++ == 0) one.descriptor = fd;
    return one.what.what;
  }
  if (now.storm && storms_at(where) && random_number() % 2 == 0) {
    ++now.failed_at_random;
    const unsigned kind = random_number() % 2;
    if (where == call::epoll_wait && kind != 0) return random_number() % 2 == 0 ? spurious : stale;
    if (where == call::poll && kind != 0) return spurious;
    return only_eintr(where) || kind == 0 ? EINTR : EAGAIN;
  }
  return none;
}

template <class T = int>
T fails(int number) noexcept {
  errno = number;
  return static_cast<T>(-1);
}

bool is_error(int came_to) noexcept { return came_to > 0; }

// How many of `size` bytes the call may move; `there` could be moved.
std::size_t allowed(int came_to, std::size_t size, std::size_t there) noexcept {
  std::size_t most = now.armed && now.limit != 0 ? std::min(size, now.limit) : size;
  if (came_to == one_byte) most = std::min<std::size_t>(most, 1);
  if (came_to == half) most = std::min(most, std::max<std::size_t>(1, std::min(size, there) / 2));
  if (came_to <= cut) most = std::min(most, static_cast<std::size_t>(cut - came_to));
  return most;
}

std::size_t readable_bytes(int fd) noexcept {
  int count = 0;
  return ioctl(fd, FIONREAD, &count) == 0 && count > 0 ? static_cast<std::size_t>(count) : 0;
}

template <class Real>
ssize_t moves(call where, int fd, std::size_t size, bool reads, Real real) noexcept {
  const bool wakes = in_range(fd) && now.wakes[static_cast<std::size_t>(fd)];
  if (wakes) return real(size);
  const int came_to = fate(where, fd);
  if (is_error(came_to)) {
    if (came_to == EAGAIN) make_edge(fd);
    return fails<ssize_t>(came_to);
  }
  if (came_to == end_of_file) return 0;
  const std::size_t most = allowed(came_to, size, reads && came_to == half ? readable_bytes(fd) : size);
  const ssize_t moved = real(most);
  if (most < size && moved >= 0) make_edge(fd);
  if (moved < 0 && errno == EPIPE) ++now.broken_pipes;
  if (!reads && moved > 0) now.bytes_sent += static_cast<std::size_t>(moved);
  return moved;
}

// The first `most` bytes of a list.
class shortened {
 public:
  shortened(std::span<const iovec> list, std::size_t most) {
    for (const iovec& one : list) {
      if (count_ == pieces_.size()) break;
      pieces_[count_] = one;
      pieces_[count_].iov_len = std::min(one.iov_len, most);
      most -= pieces_[count_++].iov_len;
      if (most == 0) break;
    }
  }
  iovec* data() noexcept { return pieces_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  std::array<iovec, 1024> pieces_{};
  std::size_t count_ = 0;
};

std::size_t total(std::span<const iovec> list) noexcept {
  std::size_t sum = 0;
  for (const iovec& one : list) sum += one.iov_len;
  return sum;
}

// A system call that gives a new descriptor.
int opened(int fd) noexcept {
  if (in_range(fd)) {
    now.watched[static_cast<std::size_t>(fd)] = registration();
    now.wakes[static_cast<std::size_t>(fd)] = false;
  }
  return fd;
}

// Nothing is ready. What is on its way through the loopback device needs a moment; then time may pass. The more of it
// would pass, the surer it should be that nothing comes.
template <class Wait>
int waits_a_moment(int milliseconds, Wait wait) noexcept {
  if (milliseconds >= 0 && milliseconds <= 100) {
    ::usleep(100);
    return wait(0);
  }
  return wait(milliseconds >= 0 && milliseconds < 500 ? 2 : now.patient ? 2000 : 60);
}

template <class Wait>
int passes_time(int milliseconds, Wait wait) noexcept {
  if (!now.armed) return wait(milliseconds);
  int count = wait(0);
  if (count != 0 || milliseconds == 0) return count;
  count = waits_a_moment(milliseconds, wait);
  if (count == 0 && milliseconds > 0) now.time += std::chrono::milliseconds(milliseconds);
  return count;
}

// What is open and watched, but for the eventfd, by turns; or what was watched last and is closed.
bool forge(epoll_event& into, bool closed) noexcept {
  if (closed) {
    if (now.closed.epoll < 0) return false;
    into = now.closed.event;
    into.events = EPOLLIN | EPOLLOUT;
    return true;
  }
  const std::size_t start = random_number();
  for (std::size_t i = 0; i < now.watched.size(); ++i) {
    const std::size_t fd = (start + i) % now.watched.size();
    if (now.watched[fd].epoll < 0 || now.wakes[fd]) continue;
    into = now.watched[fd].event;
    into.events = EPOLLIN | EPOLLOUT;
    return true;
  }
  return false;
}

}  // namespace

}  // namespace faults
