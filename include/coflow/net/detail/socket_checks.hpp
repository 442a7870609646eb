/// \file
/// What a descriptor must be before a flow or a listener takes it over.
#pragma once

#include <cerrno>
#include <system_error>

#include "coflow/core/error.hpp"
#include "coflow/net/detail/stream_socket.hpp"
#include "coflow/net/detail/system.hpp"
#include "coflow/net/detail/system_unix.hpp"

namespace coflow::inline v0 {
namespace detail {

/// No error if `fd` is a stream socket of that kind which does, or does not, listen; `error::not_a_stream` if it is
/// anything else, or what the system says if it is no descriptor.
[[nodiscard]] inline std::error_code check_stream(int fd, socket_kind kind, bool listening) noexcept {
  int type = 0;
  int listens = 0;
  sys::kernel_unix_address own;
  int status = sys::get_option(fd, SOL_SOCKET, SO_TYPE, type);
  if (status >= 0) status = sys::get_option(fd, SOL_SOCKET, SO_ACCEPTCONN, listens);
  if (status >= 0) status = sys::local_address(fd, own);
  if (status == -ENOTSOCK) return error::not_a_stream;
  if (status < 0) return from_system(-status);
  const bool fits =
      kind == socket_kind::tcp ? sys::socket_protocol(fd) == IPPROTO_TCP : own.is_local() && type == SOCK_STREAM;
  if (!fits || (listens != 0) != listening) return error::not_a_stream;
  return {};
}

/// Makes `fd` ready to be taken over as a connection; the error of `check_stream` if it is none.
[[nodiscard]] inline std::error_code prepare_connection(int fd, socket_kind kind) noexcept {
  if (const std::error_code wrong = check_stream(fd, kind, false)) return wrong;
  sys::kernel_address peer;
  if (sys::peer_address(fd, peer) < 0) return error::not_a_stream;
  const int status = sys::set_non_blocking(fd);
  return status < 0 ? from_system(-status) : std::error_code();
}

/// Makes `fd` ready to be taken over as a listener; the error of `check_stream` if it is none.
[[nodiscard]] inline std::error_code prepare_listener(int fd, socket_kind kind) noexcept {
  if (const std::error_code wrong = check_stream(fd, kind, true)) return wrong;
  const int status = sys::set_non_blocking(fd);
  return status < 0 ? from_system(-status) : std::error_code();
}

}  // namespace detail
}  // namespace coflow::inline v0
