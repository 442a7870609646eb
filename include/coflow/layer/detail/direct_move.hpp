/// \file
/// What `copy` asks of flows that can move bytes past the program, and what it counts.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "coflow/core/awaitable.hpp"
#include "coflow/core/flow.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Notes in a `copy_result` that the destination has accepted so much.
template <class Into>
void note_moved(Into* into, std::size_t sent) noexcept {
  if (sent == 0) return;
  into->bytes += sent;
  ++into->chunks;
  if (sent > into->largest) into->largest = sent;
}

// A class that derives from a flow and has a `read` or a `writev` of its own would be passed by.
template <class From, class To>
concept read_and_write_themselves = requires {
  requires std::same_as<decltype(declared_in(&From::read)), From>;
  requires std::same_as<decltype(declared_in(&To::writev)), To>;
};

/// Two flows that can move bytes past the program, for as long as neither has to wait.
template <class From, class To, class Into>
concept moves_directly =
    read_and_write_themselves<From, To> && requires(From& from, To& to, std::uint64_t limit, Into* into) {
      { from.move_directly(to, limit, into) } -> awaitable_of<bool>;
    };

/// When moving bytes directly is worth an attempt: when they come faster than they are moved, so that reads come full.
/// Each attempt that was in vain makes it wait longer for the next.
class bulk_watch {
 public:
  bulk_watch() noexcept {}

  /// A chunk of so many bytes was moved by a read and a write. True if the next are to be moved directly.
  [[nodiscard]] bool sees_bulk(std::size_t chunk) noexcept {
    full_ = chunk >= full_chunk ? full_ + 1 : 0;
    return full_ >= wanted_;
  }
  /// An attempt has moved so many.
  void note_attempt(std::uint64_t moved, bool possible) noexcept {
    full_ = 0;
    if (!possible)
      wanted_ = never;
    else if (moved >= 4 * full_chunk)
      wanted_ = least;
    else if (wanted_ < most)
      wanted_ *= 2;
  }

 private:
  static constexpr std::size_t full_chunk = 64 * 1024 - 64;  // as large as reads of descriptors are
  static constexpr std::uint32_t least = 2;
  static constexpr std::uint32_t most = 32;
  static constexpr std::uint32_t never = UINT32_MAX;

  std::uint32_t full_ = 0;  // so many in a row
  std::uint32_t wanted_ = least;
};

}  // namespace detail
}  // namespace coflow::inline v0
