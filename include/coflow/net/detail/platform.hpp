/// \file
/// The only header that names what Linux alone has, each thing beside a twin made of POSIX.1-2008.
///
/// The twins are taken on other systems, and on Linux where COFLOW_PORTABLE is defined as 1 (in every file of a program
/// alike), so that they can be tested there. Every function gives a non-negative value, or minus the errno value.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__) && !(defined(COFLOW_PORTABLE) && COFLOW_PORTABLE)
#define COFLOW_LINUX 1
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#else
#define COFLOW_LINUX 0
#endif

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace coflow::inline v0 {
namespace detail::sys {

template <class T>
[[nodiscard]] T checked(T returned) noexcept {
  return returned < 0 ? static_cast<T>(-errno) : returned;
}

/// What `call()` gives when no signal interrupts it, or minus the errno value.
template <class Call>
[[nodiscard]] auto uninterrupted(Call call) noexcept {
  for (;;) {
    const auto returned = call();
    if (returned >= 0) [[likely]]
      return returned;
    const auto failure = errno;
    if (failure != EINTR) return static_cast<decltype(call())>(-failure);
  }
}

/// The descriptor is gone whatever close says (close(2)): it is never retried.
inline void close(int fd) noexcept { static_cast<void>(::close(fd)); }

[[nodiscard]] inline int set_non_blocking(int fd) noexcept {
#if !COFLOW_LINUX && defined(SO_NOSIGPIPE)
  const int on = 1;  // refused for what is no socket, which nothing here sends on
  static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on));
#endif
  const int flags = checked(::fcntl(fd, F_GETFL));
  if (flags < 0 || (flags & O_NONBLOCK) != 0) return flags < 0 ? flags : 0;
  return checked(::fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

/// For as long as it lives SIGPIPE does not reach the program from this thread: for writes that have no flag against it
/// (law W10). After a write that gave EPIPE, `take_back` takes the signal away that it left.
class pipe_signal_guard {
 public:
  pipe_signal_guard() noexcept : had_one_(pending()) {
    if (!had_one_) static_cast<void>(::pthread_sigmask(SIG_BLOCK, &only_.set, &before_));
  }
  pipe_signal_guard(const pipe_signal_guard&) = delete;
  pipe_signal_guard& operator=(const pipe_signal_guard&) = delete;
  ~pipe_signal_guard() {
    if (!had_one_) static_cast<void>(::pthread_sigmask(SIG_SETMASK, &before_, nullptr));
  }

  void take_back() const noexcept {
    if (had_one_ || !pending()) return;  // one that was there before is somebody else's, and they do not add up
    int taken = 0;
    static_cast<void>(::sigwait(&only_.set, &taken));
  }

 private:
  struct pipe_signal {
    sigset_t set;
    pipe_signal() noexcept {
      sigemptyset(&set);
      sigaddset(&set, SIGPIPE);
    }
  };
  [[nodiscard]] static bool pending() noexcept {
    sigset_t waiting;
    sigemptyset(&waiting);
    return ::sigpending(&waiting) == 0 && sigismember(&waiting, SIGPIPE) == 1;
  }

  pipe_signal only_;
  sigset_t before_;
  bool had_one_;
};

/// What `call()` gives, which writes and gives minus the errno value: for write(2) and its like, on any system.
template <class Call>
[[nodiscard]] auto without_pipe_signal(Call call) noexcept {
  const pipe_signal_guard guard;
  const auto written = call();
  if (written == -EPIPE) guard.take_back();
  return written;
}

// ---- sending without SIGPIPE: a flag, or an option of the socket (`set_non_blocking`), or the guard

#if COFLOW_LINUX || (!defined(__linux__) && defined(MSG_NOSIGNAL))
inline constexpr int no_signal = MSG_NOSIGNAL;
template <class Call>
[[nodiscard, gnu::always_inline]] inline auto send_quietly(Call call) noexcept {
  return call();
}
#else
inline constexpr int no_signal = 0;
template <class Call>
[[nodiscard]] auto send_quietly(Call call) noexcept {
#ifdef SO_NOSIGPIPE
  return call();
#else
  return without_pipe_signal(call);
#endif
}
#endif

// ---- making descriptors: non-blocking and close-on-exec, at once or by two more calls

/// Makes a fresh descriptor what the library needs; closes it if that is refused. Minus errno values pass through.
[[nodiscard]] inline int settled(int fd) noexcept {
  if (fd < 0) return fd;
  int status = checked(::fcntl(fd, F_SETFD, FD_CLOEXEC));
  if (status >= 0) status = set_non_blocking(fd);
  if (status >= 0) return fd;
  close(fd);
  return status;
}

[[nodiscard]] inline int make_socket(int domain, int type, int protocol) noexcept {
#if COFLOW_LINUX
  return checked(::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
#else
  return settled(checked(::socket(domain, type, protocol)));
#endif
}
/// `room` as for accept(2), set anew at each try by `peer_room()`.
template <class Room>
[[nodiscard]] int accept_on(int fd, sockaddr* peer, Room peer_room) noexcept {
#if COFLOW_LINUX
  return uninterrupted([&] { return ::accept4(fd, peer, peer_room(), SOCK_NONBLOCK | SOCK_CLOEXEC); });
#else
  return settled(uninterrupted([&] { return ::accept(fd, peer, peer_room()); }));
#endif
}

[[nodiscard]] inline int make_socket_pair(int domain, int type, int protocol, int (&ends)[2]) noexcept {
#if COFLOW_LINUX
  return checked(::socketpair(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol, ends));
#else
  if (const int status = checked(::socketpair(domain, type, protocol, ends)); status < 0) return status;
  if (const int status = settled(ends[0]); status < 0) return close(ends[1]), status;
  if (const int status = settled(ends[1]); status < 0) return close(ends[0]), status;
  return 0;
#endif
}

/// The two ends of a pipe; -1 where there is none.
struct pipe_ends {
  int read = -1;
  int write = -1;
  pipe_ends() noexcept {}
};
[[nodiscard]] inline int make_pipe(pipe_ends& made) noexcept {
  int ends[2];
#if COFLOW_LINUX
  if (const int status = checked(::pipe2(ends, O_NONBLOCK | O_CLOEXEC)); status < 0) return status;
#else
  if (const int status = checked(::pipe(ends)); status < 0) return status;
  if (const int status = settled(ends[0]); status < 0) return close(ends[1]), status;
  if (const int status = settled(ends[1]); status < 0) return close(ends[0]), status;
#endif
  made.read = ends[0];
  made.write = ends[1];
  return 0;
}

// ---- moving bytes between descriptors without copying them, through a pipe

/// Makes room in a pipe for `size` bytes; gives how many it has, or minus an errno value where more is not allowed.
[[nodiscard]] inline int set_pipe_size([[maybe_unused]] int pipe, [[maybe_unused]] int size) noexcept {
#if COFLOW_LINUX
  return checked(::fcntl(pipe, F_SETPIPE_SZ, size));
#else
  return -ENOSYS;
#endif
}
/// Moves up to `count` bytes, as many as are there and as fit, without waiting (splice(2)). One of the two is a pipe.
/// Never raises SIGPIPE (law W10) if `quiet`, which is not needed where `to` is a pipe of this process's own.
#if COFLOW_LINUX
inline constexpr bool has_splice = true;
[[nodiscard]] inline std::ptrdiff_t splice(int from, int to, std::size_t count, bool quiet) noexcept {
  const auto move = [=] {
    return uninterrupted(
        [=] { return ::splice(from, nullptr, to, nullptr, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK); });
  };
  return quiet ? without_pipe_signal(move) : move();
}
#else
inline constexpr bool has_splice = false;
[[nodiscard]] inline std::ptrdiff_t splice(int, int, std::size_t, bool) noexcept { return -ENOSYS; }
#endif

// ---- through what other threads and signal handlers end a wait: an eventfd, which is both ends, or a pipe

[[nodiscard]] inline int make_wake(pipe_ends& made) noexcept {
#if COFLOW_LINUX
  made.read = made.write = checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  return made.read < 0 ? made.read : 0;
#else
  return make_pipe(made);
#endif
}
inline void close_wake(const pipe_ends& ends) noexcept {
  close(ends.read);
  if (ends.write != ends.read) close(ends.write);
}
/// Safe in a signal handler. A pipe that is full says already what is to be said.
inline void signal_wake(const pipe_ends& ends) noexcept {
  const int saved = errno;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(ends.write, &one, sizeof one);
  errno = saved;
}
inline void clear_wake(const pipe_ends& ends) noexcept {
#if COFLOW_LINUX
  std::uint64_t count;
  [[maybe_unused]] const auto taken = ::read(ends.read, &count, sizeof count);
#else
  char taken[512];
  while (::read(ends.read, taken, sizeof taken) == static_cast<ssize_t>(sizeof taken)) {
  }
#endif
}

// ---- what a socket is, and what it has

/// The protocol of a socket: IPPROTO_TCP for TCP. Without SO_PROTOCOL, every stream over the internet is taken for TCP.
[[nodiscard]] inline int socket_protocol(int fd) noexcept {
  int found = 0;
  socklen_t size = sizeof found;
#if COFLOW_LINUX
  const int status = checked(::getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &found, &size));
  return status < 0 ? status : found;
#else
  if (const int status = checked(::getsockopt(fd, SOL_SOCKET, SO_TYPE, &found, &size)); status < 0) return status;
  sockaddr_storage own{};
  size = sizeof own;
  const int status = checked(::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size));
  if (status < 0) return status;
  const bool internet = own.ss_family == AF_INET || own.ss_family == AF_INET6;
  return internet && found == SOCK_STREAM ? IPPROTO_TCP : 0;
#endif
}

/// The option of IPPROTO_TCP that says after how many idle seconds the first probe goes out.
#if defined(TCP_KEEPIDLE)
inline constexpr int keep_alive_idle = TCP_KEEPIDLE;
#else
inline constexpr int keep_alive_idle = TCP_KEEPALIVE;
#endif

/// Throws away up to `limit` bytes that a TCP socket has received; gives how many, 0 at the end of the stream.
[[nodiscard]] inline std::ptrdiff_t discard(int fd, std::size_t limit) noexcept {
#if COFLOW_LINUX
  return uninterrupted([=] { return ::recv(fd, nullptr, limit, MSG_TRUNC); });  // tcp(7)
#else
  char taken[16 * 1024];
  std::ptrdiff_t all = 0;
  for (int rounds = 0; rounds < 64 && static_cast<std::size_t>(all) < limit; ++rounds) {
    const std::ptrdiff_t got = uninterrupted([&] { return ::recv(fd, taken, sizeof taken, 0); });
    if (got < 0 && got != -EAGAIN) return got;  // it is told once, so it goes before what was thrown away
    if (got <= 0) return all > 0 ? all : got;
    all += got;
    if (got < static_cast<std::ptrdiff_t>(sizeof taken)) break;
  }
  return all;
#endif
}

/// Who made the connection at the other end of a local socket; 0 for a process that cannot be told.
struct peer_identity {
  pid_t process = 0;
  uid_t user = 0;
  gid_t group = 0;
  peer_identity() noexcept {}
};
[[nodiscard]] inline int identify_peer(int fd, peer_identity& found) noexcept {
#ifdef __linux__
  struct ucred known{};
  socklen_t size = sizeof known;
  const int status = checked(::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &known, &size));
  if (status < 0) return status;
  found.process = known.pid;
  found.user = known.uid;
  found.group = known.gid;
  return 0;
#else
  return checked(::getpeereid(fd, &found.user, &found.group));
#endif
}

/// True where local sockets can have a name that is no file (unix(7), "Abstract sockets").
#ifdef __linux__
inline constexpr bool has_abstract_names = true;
#else
inline constexpr bool has_abstract_names = false;
#endif

// ---- waiting

using std::chrono::nanoseconds;

/// A timeout in whole milliseconds, rounded up; negative is for ever.
[[nodiscard]] inline int whole_milliseconds(nanoseconds timeout) noexcept {
  if (timeout.count() < 0) return -1;
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  return rounded > INT_MAX ? INT_MAX : static_cast<int>(rounded);
}

/// A negative timeout is for ever.
[[nodiscard]] inline int poll(pollfd* of, std::size_t count, nanoseconds timeout) noexcept {
#if COFLOW_LINUX
  timespec limit{};
  limit.tv_sec = static_cast<time_t>(timeout.count() / 1'000'000'000);
  limit.tv_nsec = static_cast<long>(timeout.count() % 1'000'000'000);
  return checked(::ppoll(of, static_cast<nfds_t>(count), timeout.count() < 0 ? nullptr : &limit, nullptr));
#else
  return checked(::poll(of, static_cast<nfds_t>(count), whole_milliseconds(timeout)));
#endif
}

#if COFLOW_LINUX
inline constexpr int peer_ended = POLLRDHUP;

[[nodiscard]] inline int epoll_create() noexcept { return checked(::epoll_create1(EPOLL_CLOEXEC)); }
/// `operation` is EPOLL_CTL_ADD or EPOLL_CTL_MOD.
[[nodiscard]] inline int epoll_set(int epoll, int operation, int fd, unsigned events, std::uint64_t token) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  return checked(::epoll_ctl(epoll, operation, fd, &event));
}
inline void epoll_remove(int epoll, int fd) noexcept {
  static_cast<void>(::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr));
}
/// `events` has room for `count` objects of the layout of epoll_event. Rounds up to milliseconds.
[[nodiscard]] inline int epoll_wait(int epoll, void* events, std::size_t count, nanoseconds timeout) noexcept {
  const int limit = whole_milliseconds(timeout);
  return checked(::epoll_wait(epoll, static_cast<epoll_event*>(events), static_cast<int>(count), limit));
}
/// The same without rounding, for a timeout that is not negative; -ENOSYS where the system cannot (Linux before 5.11).
[[nodiscard]] inline int epoll_wait_precisely(int epoll, void* events, std::size_t count,
                                              nanoseconds timeout) noexcept {
#ifdef SYS_epoll_pwait2
  const std::int64_t limit[2] = {timeout.count() / 1'000'000'000, timeout.count() % 1'000'000'000};
  return static_cast<int>(
      checked(::syscall(SYS_epoll_pwait2, epoll, events, static_cast<int>(count), limit, nullptr, std::size_t{0})));
#else
  return static_cast<void>(epoll), static_cast<void>(events), static_cast<void>(count), static_cast<void>(timeout),
         -ENOSYS;
#endif
}
#else
inline constexpr int peer_ended = 0;  // the end of the peer's stream is input like any other
#endif

}  // namespace detail::sys
}  // namespace coflow::inline v0
