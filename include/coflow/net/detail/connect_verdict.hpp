/// \file
/// What has become of a connection attempt.
#pragma once

#include <cerrno>
#include <optional>
#include <system_error>

#include "coflow/core/error.hpp"
#include "coflow/net/detail/stream_socket.hpp"
#include "coflow/net/detail/system.hpp"

namespace coflow::inline v0 {
namespace detail {

/// For a socket whose connection stands: no error, unless the connection is one to itself. Where nobody listens on a
/// port of this machine, the system may give an attempt that very port as its own, and then the attempt meets itself
/// (RFC 9293, 3.5). Nobody is there, so that is a refusal; the connection is broken off.
[[nodiscard]] inline std::error_code refuse_oneself(stream_socket& socket) noexcept {
  const socket_address local = socket.local();
  if (local.family == address_family::none || local != socket.remote()) return {};
  socket.break_off();
  return from_system(ECONNREFUSED);
}

/// For an attempt that was reported: its error, an empty one if the connection stands, or nothing if the report was
/// spurious. Only a connected socket has a peer.
[[nodiscard]] inline std::optional<std::error_code> connect_verdict(stream_socket& socket) noexcept {
  int pending_error = 0;
  if (const int status = sys::get_option(socket.fd(), SOL_SOCKET, SO_ERROR, pending_error); status < 0)
    return from_system(-status);
  if (pending_error != 0) return from_system(pending_error);
  sys::kernel_address peer;
  if (sys::peer_address(socket.fd(), peer) < 0) return std::nullopt;
  socket.set_remote(peer.value());  // the system may have gone elsewhere than asked: 0.0.0.0 is 127.0.0.1
  return refuse_oneself(socket);
}

}  // namespace detail
}  // namespace coflow::inline v0
