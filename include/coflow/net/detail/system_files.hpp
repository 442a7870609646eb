/// \file
/// The calls to the operating system that concern descriptors of any kind. Every function gives a non-negative value,
/// or minus the errno value.
///
/// SIGPIPE cannot come from here (law W10): sockets are sent to with MSG_NOSIGNAL, see system.hpp, and around a write
/// to a pipe the signal is held back on the thread and taken if it came.
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <ctime>
#include <span>

#include "coflow/net/detail/system.hpp"

namespace coflow::inline v0 {
namespace detail::sys {

/// What a descriptor stands for, as far as a stream of bytes has to know.
enum class file_kind : unsigned char {
  file,       ///< a regular file or a block device: always ready
  character,  ///< a terminal, /dev/null and the like
  pipe,       ///< a pipe or a FIFO
  socket,
  directory,
  other,  ///< something that is no stream of bytes: an eventfd, a timerfd
};

/// What the system says of a descriptor.
struct file_description {
  file_kind kind = file_kind::other;
  bool readable = false;
  bool writable = false;
  bool blocking = false;
};

[[nodiscard]] inline int describe(int fd, file_description& found) noexcept {
  struct stat status;
  if (const int done = checked(::fstat(fd, &status)); done < 0) return done;
  const int flags = checked(::fcntl(fd, F_GETFL));
  if (flags < 0) return flags;
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFBLK:
      found.kind = file_kind::file;
      break;
    case S_IFCHR:
      found.kind = file_kind::character;
      break;
    case S_IFIFO:
      found.kind = file_kind::pipe;
      break;
    case S_IFSOCK:
      found.kind = file_kind::socket;
      break;
    case S_IFDIR:
      found.kind = file_kind::directory;
      break;
    default:
      found.kind = file_kind::other;
  }
  const int mode = flags & O_ACCMODE;
  found.readable = mode == O_RDONLY || mode == O_RDWR;
  found.writable = mode == O_WRONLY || mode == O_RDWR;
#ifdef O_PATH
  if ((flags & O_PATH) != 0) found.readable = found.writable = false;
#endif
  found.blocking = (flags & O_NONBLOCK) == 0;
  return 0;
}

/// True for a socket that is a connected stream.
[[nodiscard]] inline bool is_connected_stream(int fd) noexcept {
  int type = 0;
  kernel_address peer;
  return get_option(fd, SOL_SOCKET, SO_TYPE, type) >= 0 && type == SOCK_STREAM && peer_address(fd, peer) >= 0;
}

/// True for the side of a pseudo-terminal that stands for the person at it.
[[nodiscard]] inline bool is_terminal_master([[maybe_unused]] int fd) noexcept {
#ifdef TIOCGPTN
  int number = 0;
  return ::ioctl(fd, TIOCGPTN, &number) == 0;
#else
  return false;
#endif
}

/// Blocks, or does not, from now on; so does everybody who shares the open file.
[[nodiscard]] inline int set_blocking(int fd, bool on) noexcept {
  const int flags = checked(::fcntl(fd, F_GETFL));
  if (flags < 0) return flags;
  return checked(::fcntl(fd, F_SETFL, on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK));
}

[[nodiscard]] inline std::ptrdiff_t read(int fd, void* to, std::size_t room) noexcept {
  return uninterrupted([=] { return ::read(fd, to, room); });
}
[[nodiscard]] inline std::ptrdiff_t write(int fd, std::span<const iovec> pieces) noexcept {
  return uninterrupted([=] { return ::writev(fd, pieces.data(), static_cast<int>(pieces.size())); });
}

/// Writes to a pipe; EPIPE comes without a signal. What the thread blocks, and what the process does about the signal,
/// stays as it was. A SIGPIPE that was pending before stays pending.
[[nodiscard]] inline std::ptrdiff_t write_to_pipe(int fd, std::span<const iovec> pieces) noexcept {
  sigset_t broken_pipe;
  sigset_t before;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  if (const int failed = ::pthread_sigmask(SIG_BLOCK, &broken_pipe, &before); failed != 0) return -failed;
  // Only where it was blocked can one have been pending: elsewhere it would have been delivered.
  const bool was_blocked = sigismember(&before, SIGPIPE) == 1;
  bool was_pending = false;
  if (was_blocked) {
    sigset_t pending;
    was_pending = ::sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
  }
  const std::ptrdiff_t written = write(fd, pieces);
  if (written == -EPIPE && !was_pending) {
    const timespec at_once{};
    while (::sigtimedwait(&broken_pipe, nullptr, &at_once) < 0 && errno == EINTR) {
    }
  }
  if (!was_blocked) ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return written;
}

}  // namespace detail::sys
}  // namespace coflow::inline v0
