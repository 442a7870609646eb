/// \file
/// Binding a local socket to its file, and taking a left-over file out of the way.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <optional>

#include "coflow/net/detail/system_unix.hpp"
#include "coflow/net/detail/unix_name.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Removes the socket's file at `path` if nobody listens on it. -EADDRINUSE if somebody does, if it is no socket, or if
/// it has changed meanwhile; what the system says if it cannot be asked or removed.
[[nodiscard]] inline int remove_stale_file(const unix_name& path) noexcept {
  const char* name = path.bytes.data();
  sys::file_identity found;
  if (const int status = sys::identify(name, found); status < 0) return status == -ENOENT ? 0 : status;
  if (!found.is_socket) return -EADDRINUSE;  // connecting to it would be refused too

  const int probe = sys::unix_socket();
  if (probe < 0) return probe;
  const int status = sys::connect(probe, sys::kernel_unix_address(path));
  sys::close(probe);
  if (status != -ECONNREFUSED) return -EADDRINUSE;

  sys::file_identity now;
  if (sys::identify(name, now) < 0 || now != found) return -EADDRINUSE;
  return sys::remove_file(name);
}

/// Binds `fd` to `name` and gives the identity of the file that this makes, if it is a path.
[[nodiscard]] inline int bind_local(int fd, const unix_name& name, const std::optional<mode_t>& permissions,
                                    bool replace_stale, sys::file_identity& made) noexcept {
  const bool is_path = name.kind == unix_name_kind::path;
  const sys::kernel_unix_address address(name);
  int status = 0;
  // Less the umask: at no moment may more than was asked for.
  if (is_path && permissions) status = sys::set_mode(fd, *permissions);
  if (status >= 0) status = sys::bind(fd, address);
  if (status == -EADDRINUSE && is_path && replace_stale) {
    status = remove_stale_file(name);
    if (status >= 0) status = sys::bind(fd, address);
  }
  if (status < 0 || !is_path) return status;

  status = sys::identify(name.bytes.data(), made);
  if (status >= 0 && permissions) status = sys::set_mode(name.bytes.data(), *permissions);
  return status;
}

}  // namespace detail
}  // namespace coflow::inline v0
