/// \file
/// Making the control block of a connection without losing the connection for want of memory.
#pragma once

#include <new>
#include <utility>

#include "coflow/core/detail/pool.hpp"
#include "coflow/net/detail/stream_socket.hpp"
#include "coflow/net/detail/system.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Memory for a control block whose descriptor is still to come.
class stream_socket_room {
 public:
  stream_socket_room() noexcept {
    try {
      room_ = pool_allocate(sizeof(stream_socket));
    } catch (const std::bad_alloc&) {
      room_ = nullptr;
    }
  }
  stream_socket_room(const stream_socket_room&) = delete;
  stream_socket_room& operator=(const stream_socket_room&) = delete;
  ~stream_socket_room() {
    if (room_ != nullptr) pool_free(room_, sizeof(stream_socket));
  }

  /// False if there was none.
  [[nodiscard]] explicit operator bool() const noexcept { return room_ != nullptr; }
  /// Once, with a descriptor of the library's own.
  [[nodiscard]] stream_socket* make(int fd, socket_kind kind) noexcept {
    return ::new (std::exchange(room_, nullptr)) stream_socket(fd, true, kind);
  }

 private:
  void* room_;
};

/// A control block for a descriptor of the library's own; the descriptor is closed if there is no memory for it.
[[nodiscard]] inline stream_socket* new_stream_socket(int fd, socket_kind kind = socket_kind::tcp) {
  try {
    return new stream_socket(fd, true, kind);
  } catch (const std::bad_alloc&) {
    sys::close(fd);
    throw;
  }
}

}  // namespace detail
}  // namespace coflow::inline v0
