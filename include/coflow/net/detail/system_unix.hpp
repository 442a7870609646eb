/// \file
/// What local (unix-domain) sockets, their files and handed-over descriptors need of the operating system; a part of
/// system.hpp, with its rules.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "coflow/net/detail/system.hpp"
#include "coflow/net/detail/unix_name.hpp"

namespace coflow::inline v0 {
namespace detail::sys {

/// A unix_name in the kernel's form.
class kernel_unix_address {
 public:
  kernel_unix_address() noexcept { std::memset(&storage_, 0, sizeof storage_); }
  explicit kernel_unix_address(const unix_name& from) noexcept : kernel_unix_address() {
    static_assert(unix_name::most + 1 == sizeof storage_.sun_path);
    const bool is_abstract = from.kind == unix_name_kind::abstract;
    storage_.sun_family = AF_UNIX;
    std::memcpy(storage_.sun_path + (is_abstract ? 1 : 0), from.bytes.data(), from.size);
    size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + from.size + 1);
  }
  [[nodiscard]] unix_name value() const noexcept {
    unix_name to;
    constexpr std::size_t before = offsetof(sockaddr_un, sun_path);
    if (storage_.sun_family != AF_UNIX || size_ <= before) return to;  // it has no name
    const std::size_t given = size_ - before < sizeof storage_.sun_path ? size_ - before : sizeof storage_.sun_path;
    const bool is_abstract = storage_.sun_path[0] == '\0';
    const char* first = storage_.sun_path + (is_abstract ? 1 : 0);
    // Others may have bound a path of 108 bytes, which no zero ends: its last byte is cut off.
    const std::size_t most = is_abstract ? given - 1 : ::strnlen(first, given);
    to.size = static_cast<std::uint8_t>(most < unix_name::most ? most : unix_name::most);
    to.kind = is_abstract ? unix_name_kind::abstract : unix_name_kind::path;
    std::memcpy(to.bytes.data(), first, to.size);
    return to;
  }
  /// True if the system has filled in the address of a local socket, be it none.
  [[nodiscard]] bool is_local() const noexcept { return storage_.sun_family == AF_UNIX; }
  [[nodiscard]] sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
  [[nodiscard]] const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t size() const noexcept { return size_; }
  [[nodiscard]] socklen_t* room() noexcept {
    size_ = sizeof storage_;
    return &size_;
  }

 private:
  sockaddr_un storage_;
  socklen_t size_ = 0;
};

[[nodiscard]] inline int unix_socket() noexcept { return make_socket(AF_UNIX, SOCK_STREAM, 0); }
[[nodiscard]] inline int unix_pair(int (&ends)[2]) noexcept { return make_socket_pair(AF_UNIX, SOCK_STREAM, 0, ends); }
[[nodiscard]] inline int bind(int fd, const kernel_unix_address& local) noexcept {
  return checked(::bind(fd, local.data(), local.size()));
}
/// -EAGAIN: the listener's queue is full, which no readiness ends.
[[nodiscard]] inline int connect(int fd, const kernel_unix_address& peer) noexcept {
  const int status = checked(::connect(fd, peer.data(), peer.size()));
  if (status == -EISCONN) return 0;
  return status == -EINTR ? -EAGAIN : status;  // it waits for nothing, so only somebody else's kernel says so
}
[[nodiscard]] inline int local_address(int fd, kernel_unix_address& local) noexcept {
  return checked(::getsockname(fd, local.data(), local.room()));
}
[[nodiscard]] inline int peer_address(int fd, kernel_unix_address& peer) noexcept {
  return checked(::getpeername(fd, peer.data(), peer.room()));
}
/// Throws away some of what any stream socket has received; gives how many bytes, 0 at the end of the stream.
[[nodiscard]] inline std::ptrdiff_t receive_nowhere(int fd) noexcept {
  std::byte nowhere[16 * 1024];
  return uninterrupted([&] { return ::recv(fd, nowhere, sizeof nowhere, 0); });
}

/// Which file it is, whatever its name.
struct file_identity {
  dev_t device = 0;
  ino_t number = 0;
  bool is_socket = false;

  file_identity() noexcept {}
  friend bool operator==(const file_identity&, const file_identity&) noexcept = default;
};
/// Of the file itself if it is a symbolic link.
[[nodiscard]] inline int identify(const char* path, file_identity& found) noexcept {
  struct stat status{};
  const int outcome = checked(::lstat(path, &status));
  if (outcome < 0) return outcome;
  found.device = status.st_dev;
  found.number = status.st_ino;
  found.is_socket = S_ISSOCK(status.st_mode);
  return outcome;
}
inline int remove_file(const char* path) noexcept { return checked(::unlink(path)); }
[[nodiscard]] inline int set_mode(const char* path, mode_t mode) noexcept { return checked(::chmod(path, mode)); }
/// The mode that binding the socket gives its file, less the process's umask.
[[nodiscard]] inline int set_mode(int fd, mode_t mode) noexcept { return checked(::fchmod(fd, mode)); }

[[nodiscard]] inline int set_close_on_exec(int fd) noexcept {
  const int flags = checked(::fcntl(fd, F_GETFD));
  return flags < 0 ? flags : checked(::fcntl(fd, F_SETFD, flags | FD_CLOEXEC));
}
[[nodiscard]] inline pid_t process_id() noexcept { return ::getpid(); }
/// Null if there is none of that name. Not safe while other threads change the environment.
[[nodiscard]] inline const char* environment(const char* name) noexcept { return std::getenv(name); }
inline void remove_from_environment(const char* name) noexcept { static_cast<void>(::unsetenv(name)); }

}  // namespace detail::sys
}  // namespace coflow::inline v0
