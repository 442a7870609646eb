/// \file
/// Bytes on their way from a buffer into the caller's memory.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

namespace coflow::inline v0 {
namespace detail {

/// Moves as many of the first bytes of `from` as there are, and as `room` holds, to the front of `room`; gives how
/// many. `from`, a `buffer`, keeps the rest.
template <class Buffer>
[[nodiscard]] std::size_t move_front(Buffer& from, std::span<std::byte> room) noexcept {
  const std::size_t count = from.size() < room.size() ? from.size() : room.size();
  if (count == 0) return 0;
  std::memcpy(room.data(), from.data(), count);
  from.remove_prefix(count);
  return count;
}

}  // namespace detail
}  // namespace coflow::inline v0
