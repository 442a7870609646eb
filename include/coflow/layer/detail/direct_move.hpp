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

/// A chunk that tells of more to come: as large as reads of descriptors are.
inline constexpr std::size_t full_chunk = 64 * 1024 - 64;

}  // namespace detail
}  // namespace coflow::inline v0
