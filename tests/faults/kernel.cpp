#include "faults/kernel.hpp"

#include <sys/syscall.h>

#include <cstdint>

#include "faults/fate.hpp"

namespace faults {

void kernel::begin(const plan& of) {
  now.limit = of.limit;
  now.storm = of.storm;
  now.no_edges = of.no_edges;
  now.random = of.seed * 2654435761U;
  now.failed_at_random = 0;
  now.relented = false;
  now.broken_pipes = 0;
  now.bytes_sent = 0;
  now.calls = 0;
  now.counts.fill(0);
  now.closed = registration();
  now.incidents.clear();
  for (const fault& one : of.faults) now.incidents.emplace_back().what = one;
  now.armed = true;
}
void kernel::end() noexcept { now.armed = false; }
const std::array<unsigned, call_count>& kernel::counts() noexcept { return now.counts; }
const std::vector<incident>& kernel::incidents() noexcept { return now.incidents; }
std::size_t kernel::failed_at_random() noexcept { return now.failed_at_random; }
void kernel::be_patient(bool yes) noexcept { now.patient = yes; }
void kernel::relent(bool yes) noexcept { now.relented = yes; }
std::size_t kernel::broken_pipes() noexcept { return now.broken_pipes; }
std::size_t kernel::bytes_sent() noexcept { return now.bytes_sent; }
bool kernel::spins() noexcept { return now.calls > most_calls; }

std::size_t kernel::open_descriptors() {
  static DIR* const directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  ::rewinddir(directory);
  std::size_t count = 0;
  while (::readdir(directory) != nullptr) ++count;
  return count;
}

// std::chrono::steady_clock::now, as our own object files call it.
std::chrono::steady_clock::time_point virtual_now() noexcept asm("__wrap__ZNSt6chrono3_V212steady_clock3nowEv");
std::chrono::steady_clock::time_point virtual_now() noexcept {
  timespec real;
  ::clock_gettime(CLOCK_MONOTONIC, &real);
  const auto since = std::chrono::seconds(real.tv_sec) + std::chrono::nanoseconds(real.tv_nsec);
  return std::chrono::steady_clock::time_point(since + now.time);
}

}  // namespace faults

using namespace faults;

namespace {
int rounded_up(std::int64_t seconds, std::int64_t nanoseconds) {
  return static_cast<int>(seconds * 1000 + (nanoseconds + 999'999) / 1'000'000);
}
}  // namespace

extern "C" {

int __wrap_socket(int domain, int type, int protocol) {
  const int came_to = fate(call::socket, -1);
  return is_error(came_to) ? fails(came_to) : opened(__real_socket(domain, type, protocol));
}
int __wrap_bind(int fd, const sockaddr* address, socklen_t size) {
  const int came_to = fate(call::bind, fd);
  return is_error(came_to) ? fails(came_to) : __real_bind(fd, address, size);
}
int __wrap_listen(int fd, int backlog) {
  const int came_to = fate(call::listen, fd);
  return is_error(came_to) ? fails(came_to) : __real_listen(fd, backlog);
}
int __wrap_connect(int fd, const sockaddr* address, socklen_t size) {
  const int came_to = fate(call::connect, fd);
  // Interrupted, it goes on by itself; but not where it would only have waited for room in a queue.
  if (is_error(came_to) && (came_to != EINTR || address->sa_family == AF_UNIX)) return fails(came_to);
  const int status = __real_connect(fd, address, size);
  return came_to == EINTR ? fails(EINTR) : status;
}
int __wrap_accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  const int came_to = fate(call::accept4, fd);
  if (came_to == EAGAIN) make_edge(fd);
  return is_error(came_to) ? fails(came_to) : opened(__real_accept4(fd, address, size, flags));
}
ssize_t __wrap_recv(int fd, void* to, std::size_t size, int flags) {
  return moves(call::recv, fd, size, true, [=](std::size_t most) { return __real_recv(fd, to, most, flags); });
}
ssize_t __wrap_send(int fd, const void* from, std::size_t size, int flags) {
  return moves(call::send, fd, size, false, [=](std::size_t most) { return __real_send(fd, from, most, flags); });
}
ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
  const std::span<const iovec> list(message->msg_iov, message->msg_iovlen);
  const std::size_t size = total(list);
  return moves(call::sendmsg, fd, size, false, [=](std::size_t most) {
    if (most >= size) return __real_sendmsg(fd, message, flags);
    shortened pieces(list, most);
    msghdr part = *message;
    part.msg_iov = pieces.data();
    part.msg_iovlen = pieces.size();
    return __real_sendmsg(fd, &part, flags);
  });
}
ssize_t __wrap_read(int fd, void* to, std::size_t size) {
  return moves(call::read, fd, size, true, [=](std::size_t most) { return __real_read(fd, to, most); });
}
ssize_t __wrap_write(int fd, const void* from, std::size_t size) {
  return moves(call::write, fd, size, false, [=](std::size_t most) { return __real_write(fd, from, most); });
}
ssize_t __wrap_readv(int fd, const iovec* list, int count) {
  const std::span<const iovec> all(list, static_cast<std::size_t>(count));
  const std::size_t size = total(all);
  return moves(call::readv, fd, size, true, [=](std::size_t most) {
    if (most >= size) return __real_readv(fd, list, count);
    shortened pieces(all, most);
    return __real_readv(fd, pieces.data(), static_cast<int>(pieces.size()));
  });
}
ssize_t __wrap_writev(int fd, const iovec* list, int count) {
  const std::span<const iovec> all(list, static_cast<std::size_t>(count));
  const std::size_t size = total(all);
  return moves(call::writev, fd, size, false, [=](std::size_t most) {
    if (most >= size) return __real_writev(fd, list, count);
    shortened pieces(all, most);
    return __real_writev(fd, pieces.data(), static_cast<int>(pieces.size()));
  });
}
// What ENOTCONN means is that the peer knows already: the end must reach it.
int __wrap_shutdown(int fd, int how) {
  const int came_to = fate(call::shutdown, fd);
  const int status = __real_shutdown(fd, how);
  return is_error(came_to) ? fails(came_to) : status;
}
// The descriptor is gone, whatever close says.
int __wrap_close(int fd) {
  const int came_to = fate(call::close, fd);
  if (in_range(fd)) {
    registration& known = now.watched[static_cast<std::size_t>(fd)];
    if (known.epoll >= 0) now.closed = known;
    known = registration();
    now.wakes[static_cast<std::size_t>(fd)] = false;
  }
  const int status = __real_close(fd);
  return is_error(came_to) ? fails(came_to) : status;
}
// Linux has no way to refuse SO_LINGER to a TCP socket; refused, a torn stream could not be broken off (law X3).
int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  if (level == SOL_SOCKET && name == SO_LINGER) return __real_setsockopt(fd, level, name, value, size);
  const int came_to = fate(call::setsockopt, fd);
  return is_error(came_to) ? fails(came_to) : __real_setsockopt(fd, level, name, value, size);
}
// Of a pending error it is the value that tells.
int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size) {
  if (level != SOL_SOCKET || name != SO_ERROR) return __real_getsockopt(fd, level, name, value, size);
  const int came_to = fate(call::getsockopt, fd);
  const int status = __real_getsockopt(fd, level, name, value, size);
  if (is_error(came_to) && status == 0) *static_cast<int*>(value) = came_to;
  return status;
}
int __wrap_getsockname(int fd, sockaddr* address, socklen_t* size) {
  const int came_to = fate(call::getsockname, fd);
  return is_error(came_to) ? fails(came_to) : __real_getsockname(fd, address, size);
}
int __wrap_getpeername(int fd, sockaddr* address, socklen_t* size) {
  const int came_to = fate(call::getpeername, fd);
  if (!is_error(came_to)) return __real_getpeername(fd, address, size);
  make_edge(fd);
  return fails(came_to);
}
int __wrap_eventfd(unsigned count, int flags) {
  const int came_to = fate(call::eventfd, -1);
  if (is_error(came_to)) return fails(came_to);
  const int fd = opened(__real_eventfd(count, flags));
  if (in_range(fd)) now.wakes[static_cast<std::size_t>(fd)] = true;
  return fd;
}
int __wrap_epoll_create1(int flags) {
  const int came_to = fate(call::epoll_create1, -1);
  return is_error(came_to) ? fails(came_to) : opened(__real_epoll_create1(flags));
}
int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  const bool adds = operation != EPOLL_CTL_DEL;  // taking one away needs nothing that could be short
  const int came_to = adds ? fate(call::epoll_ctl, fd) : none;
  if (is_error(came_to)) return fails(came_to);
  const int status = __real_epoll_ctl(epoll, operation, fd, event);
  if (status == 0 && in_range(fd)) {
    registration& known = now.watched[static_cast<std::size_t>(fd)];
    if (operation == EPOLL_CTL_DEL) {
      now.closed = known;
      known = registration();
    } else {
      known.epoll = epoll;
      known.event = *event;
    }
  }
  return status;
}
int __wrap_epoll_wait(int epoll, epoll_event* events, int room, int milliseconds) {
  const int came_to = fate(call::epoll_wait, -1);
  if (is_error(came_to)) return fails(came_to);
  const bool forges = came_to == spurious || came_to == stale;
  epoll_event forged{};
  const bool made = forges && forge(forged, came_to == stale);
  int count = made ? __real_epoll_wait(epoll, events, room, 0)
                   : passes_time(milliseconds, [=](int time) { return __real_epoll_wait(epoll, events, room, time); });
  // For good, or at random: beside what is so only, or time would never pass.
  const bool alone =
      made && count == 0 && (now.storm || now.incidents.empty() || now.incidents.front().what.persistent);
  if (alone) return passes_time(milliseconds, [=](int time) { return __real_epoll_wait(epoll, events, room, time); });
  if (made && count >= 0 && count < room) events[count++] = forged;
  return count;
}
int __wrap_poll(pollfd* list, nfds_t count, int milliseconds) {
  const int came_to = fate(call::poll, -1);
  if (is_error(came_to)) return fails(came_to);
  int ready = passes_time(milliseconds, [=](int time) { return __real_poll(list, count, time); });
  if (came_to != spurious || ready <= 0) return ready;
  for (pollfd& one : std::span(list, count)) {
    if (one.revents != 0 || one.fd < 0 || (one.events & (POLLIN | POLLOUT)) == 0) continue;
    if (in_range(one.fd) && now.wakes[static_cast<std::size_t>(one.fd)]) continue;
    one.revents = static_cast<short>(one.events & (POLLIN | POLLOUT));
    ++ready;
    break;
  }
  return ready;
}
// The precise forms of the two count as what they are forms of.
int __wrap_ppoll(pollfd* list, nfds_t count, const timespec* limit, const sigset_t*) {
  const int milliseconds = limit == nullptr ? -1 : rounded_up(limit->tv_sec, limit->tv_nsec);
  return __wrap_poll(list, count, milliseconds);
}
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
  if (number != SYS_epoll_pwait2) return __real_syscall(number, a, b, c, d, e, f);
  const auto* limit = reinterpret_cast<const std::int64_t*>(d);
  return __wrap_epoll_wait(static_cast<int>(a), reinterpret_cast<epoll_event*>(b), static_cast<int>(c),
                           rounded_up(limit[0], limit[1]));
}

}  // extern "C"
