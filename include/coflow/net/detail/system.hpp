/// \file
/// The calls of the operating system that every POSIX system has; with platform.hpp, the only files that make any.
/// Every function gives a non-negative value, or minus the errno value.
///
/// Descriptors are made non-blocking and close-on-exec. SIGPIPE cannot come from here (law W10).
#pragma once

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "coflow/net/detail/platform.hpp"
#include "coflow/net/detail/socket_address.hpp"

namespace coflow::inline v0 {
namespace detail::sys {

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
  return make_socket(domain, SOCK_STREAM, IPPROTO_TCP);
}
[[nodiscard]] inline int bind(int fd, const kernel_address& local) noexcept {
  return checked(::bind(fd, local.data(), local.size()));
}
[[nodiscard]] inline int listen(int fd, int backlog) noexcept { return checked(::listen(fd, backlog)); }
[[nodiscard]] inline int accept(int fd, kernel_address& peer) noexcept {
  return accept_on(fd, peer.data(), [&peer] { return peer.room(); });
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

[[nodiscard]] inline std::ptrdiff_t receive(int fd, void* to, std::size_t room) noexcept {
  return checked(::recv(fd, to, room, 0));
}
[[nodiscard]] inline std::ptrdiff_t send(int fd, const void* from, std::size_t size) noexcept {
  return send_quietly([=] { return checked(::send(fd, from, size, no_signal)); });
}
[[nodiscard]] inline std::ptrdiff_t send(int fd, std::span<iovec> pieces) noexcept {
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  return send_quietly(
      [fd, &message] { return uninterrupted([fd, &message] { return ::sendmsg(fd, &message, no_signal); }); });
}
inline void end_sending(int fd) noexcept { static_cast<void>(::shutdown(fd, SHUT_WR)); }
/// Makes the close that follows send a reset instead of a clean end.
inline void reset_on_close(int fd) noexcept {
  const linger now{1, 0};
  static_cast<void>(set_option(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
}

}  // namespace detail::sys
}  // namespace coflow::inline v0
