/// \file
/// The only file that calls the operating system. Every function gives a non-negative value, or minus the errno value.
///
/// Descriptors are made non-blocking and close-on-exec. SIGPIPE cannot come from here (law W10): sending is always done
/// with MSG_NOSIGNAL.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "coflow/net/detail/socket_address.hpp"

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

/// A socket_address in the kernel's form.
class kernel_address {
 public:
  kernel_address() noexcept { std::memset(&storage_, 0, sizeof storage_); }
  explicit kernel_address(const socket_address& from) noexcept : kernel_address() {
    if (from.family == address_family::ipv4) {
      auto* in = reinterpret_cast<sockaddr_in*>(&storage_);
      in->sin_family = AF_INET;
      in->sin_port = htons(from.port);
      std::memcpy(&in->sin_addr, from.bytes.data(), 4);
      size_ = sizeof(sockaddr_in);
    } else if (from.family == address_family::ipv6) {
      auto* in = reinterpret_cast<sockaddr_in6*>(&storage_);
      in->sin6_family = AF_INET6;
      in->sin6_port = htons(from.port);
      in->sin6_scope_id = from.scope;
      std::memcpy(&in->sin6_addr, from.bytes.data(), 16);
      size_ = sizeof(sockaddr_in6);
    }
  }
  [[nodiscard]] socket_address value() const noexcept {
    socket_address to;
    if (storage_.ss_family == AF_INET) {
      const auto* in = reinterpret_cast<const sockaddr_in*>(&storage_);
      to.family = address_family::ipv4;
      to.port = ntohs(in->sin_port);
      std::memcpy(to.bytes.data(), &in->sin_addr, 4);
    } else if (storage_.ss_family == AF_INET6) {
      const auto* in = reinterpret_cast<const sockaddr_in6*>(&storage_);
      to.family = address_family::ipv6;
      to.port = ntohs(in->sin6_port);
      to.scope = in->sin6_scope_id;
      std::memcpy(to.bytes.data(), &in->sin6_addr, 16);
    }
    return to;
  }
  [[nodiscard]] sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
  [[nodiscard]] const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t size() const noexcept { return size_; }
  [[nodiscard]] socklen_t* room() noexcept {
    size_ = sizeof storage_;
    return &size_;
  }

 private:
  sockaddr_storage storage_;
  socklen_t size_ = 0;
};

[[nodiscard]] inline int tcp_socket(address_family family) noexcept {
  const int domain = family == address_family::ipv6 ? AF_INET6 : AF_INET;
  return checked(::socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
}
[[nodiscard]] inline int bind(int fd, const kernel_address& local) noexcept {
  return checked(::bind(fd, local.data(), local.size()));
}
[[nodiscard]] inline int listen(int fd, int backlog) noexcept { return checked(::listen(fd, backlog)); }
[[nodiscard]] inline int accept(int fd, kernel_address& peer) noexcept {
  return uninterrupted([fd, &peer] { return ::accept4(fd, peer.data(), peer.room(), SOCK_NONBLOCK | SOCK_CLOEXEC); });
}
[[nodiscard]] inline int connect(int fd, const kernel_address& peer) noexcept {
  return checked(::connect(fd, peer.data(), peer.size()));
}
[[nodiscard]] inline int local_address(int fd, kernel_address& local) noexcept {
  return checked(::getsockname(fd, local.data(), local.room()));
}
[[nodiscard]] inline int peer_address(int fd, kernel_address& peer) noexcept {
  return checked(::getpeername(fd, peer.data(), peer.room()));
}

[[nodiscard]] inline int set_option(int fd, int level, int name, const void* value, std::size_t size) noexcept {
  return checked(::setsockopt(fd, level, name, value, static_cast<socklen_t>(size)));
}
[[nodiscard]] inline int set_option(int fd, int level, int name, int value) noexcept {
  return set_option(fd, level, name, &value, sizeof value);
}
[[nodiscard]] inline int get_option(int fd, int level, int name, int& value) noexcept {
  socklen_t size = sizeof value;
  return checked(::getsockopt(fd, level, name, &value, &size));
}
[[nodiscard]] inline int set_non_blocking(int fd) noexcept {
  const int flags = checked(::fcntl(fd, F_GETFL));
  if (flags < 0 || (flags & O_NONBLOCK) != 0) return flags < 0 ? flags : 0;
  return checked(::fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

[[nodiscard]] inline std::ptrdiff_t receive(int fd, void* to, std::size_t room) noexcept {
  return checked(::recv(fd, to, room, 0));
}
/// Throws away what a TCP socket has received (tcp(7), MSG_TRUNC); gives how many bytes, 0 at the end of the stream.
[[nodiscard]] inline std::ptrdiff_t discard(int fd) noexcept {
  return uninterrupted([=] { return ::recv(fd, nullptr, std::size_t{1} << 30, MSG_TRUNC); });
}
[[nodiscard]] inline std::ptrdiff_t send(int fd, const void* from, std::size_t size) noexcept {
  return checked(::send(fd, from, size, MSG_NOSIGNAL));
}
[[nodiscard]] inline std::ptrdiff_t send(int fd, std::span<iovec> pieces) noexcept {
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  return uninterrupted([fd, &message] { return ::sendmsg(fd, &message, MSG_NOSIGNAL); });
}
inline void end_sending(int fd) noexcept { static_cast<void>(::shutdown(fd, SHUT_WR)); }
/// The descriptor is gone whatever close says (close(2)): it is never retried.
inline void close(int fd) noexcept { static_cast<void>(::close(fd)); }
/// Makes the close that follows send a reset instead of a clean end.
inline void reset_on_close(int fd) noexcept {
  const linger now{1, 0};
  static_cast<void>(set_option(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
}

[[nodiscard]] inline int epoll_create() noexcept { return checked(::epoll_create1(EPOLL_CLOEXEC)); }
[[nodiscard]] inline int epoll_add(int epoll, int fd, std::uint32_t events, std::uint64_t token) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  return checked(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}
inline void epoll_remove(int epoll, int fd) noexcept {
  static_cast<void>(::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr));
}
/// `events` has room for `count` objects of the layout of epoll_event.
[[nodiscard]] inline int epoll_wait(int epoll, void* events, std::size_t count, int milliseconds) noexcept {
  return checked(::epoll_wait(epoll, static_cast<epoll_event*>(events), static_cast<int>(count), milliseconds));
}

[[nodiscard]] inline int wake_descriptor() noexcept { return checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }
/// Safe in a signal handler.
inline void signal_wake(int fd) noexcept {
  const int saved = errno;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
  errno = saved;
}
inline void clear_wake(int fd) noexcept {
  std::uint64_t count;
  [[maybe_unused]] const auto taken = ::read(fd, &count, sizeof count);
}

}  // namespace detail::sys
}  // namespace coflow::inline v0
