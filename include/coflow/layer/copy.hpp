/// \file
/// Moving everything from one flow to another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/fallible.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/checkpoint.hpp"
#include "coflow/layer/detail/direct_move.hpp"
#include "coflow/layer/detail/flush_below.hpp"

namespace coflow::inline v0 {

/// Options of `copy`: `copy_options().limit(length).shutdown(true)`.
class copy_options {
 public:
  static constexpr std::uint64_t no_limit = UINT64_MAX;

  copy_options() = default;

  /// How many bytes to move at most; the default is any number. A source that has `read_into` is asked for no byte
  /// more. What another one gives beyond the limit is in `copy_result::unsent`.
  copy_options& limit(std::uint64_t bytes) noexcept { return limit_ = bytes, *this; }
  /// Whether the end of the source ends the destination's write half; it does not unless set. A destination that
  /// accepts early (`buffered_writer`, also below other layers) is flushed before if anything was moved, so that no
  /// loss is taken for an end.
  copy_options& shutdown(bool on) noexcept { return shutdown_ = on, *this; }

  [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
  [[nodiscard]] bool shutdown() const noexcept { return shutdown_; }

 private:
  std::uint64_t limit_ = no_limit;
  bool shutdown_ = false;
};

/// What `copy` came to. True if nothing has failed: the source has ended or the limit is reached, and every byte was
/// accepted.
struct [[nodiscard]] copy_result {
  copy_result() noexcept {}

  /// Why reading ended, if by an error; `operation_canceled` if a stop ended a wait for the source.
  std::error_code read_error;
  /// The same of writing. At most one of the two is set.
  std::error_code write_error;
  /// True when the source's end was seen, and everything before it was accepted.
  bool ended = false;
  /// How many bytes the destination has accepted (law W1).
  std::uint64_t bytes = 0;
  /// In how many pieces, and the size of the largest.
  std::uint64_t chunks = 0;
  std::size_t largest = 0;
  /// How long it took, on the executor's clock.
  executor::duration duration{};
  /// What was read and not accepted: they are the source's next bytes, in front of what it still has (laws X1, X2).
  buffer unsent;

  [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] bool has_value() const noexcept { return !read_error && !write_error; }
  /// The error of either side, or an empty code.
  [[nodiscard]] const std::error_code& error() const noexcept { return read_error ? read_error : write_error; }
};

namespace detail {

[[nodiscard]] inline std::error_code out_of_memory() noexcept {
  return std::make_error_code(std::errc::not_enough_memory);
}

/// A read gave no data.
template <class Got>
void note_end(copy_result* into, const Got& got) {
  if (got.eof())
    into->ended = true;
  else
    into->read_error = certain(failure_of(got));
}

/// Room for reads that must not take too much. A piece that is small is copied out of it, so that whoever keeps that
/// does not keep the room.
class bounded_room {
 public:
  bounded_room() noexcept {}

  /// At most `limit` bytes, which is not 0. Throws std::bad_alloc.
  [[nodiscard]] std::span<std::byte> open(std::uint64_t limit) {
    if (room_.empty()) room_ = buffer::allocate(limit < most ? static_cast<std::size_t>(limit) : most);
    const std::span<std::byte> whole = room_.writable();
    return whole.first(limit < whole.size() ? static_cast<std::size_t>(limit) : whole.size());
  }
  /// Takes out what was read: the first `count` bytes.
  [[nodiscard]] buffer take(std::size_t count) noexcept {
    if (count <= room_.size() / 8) {
      try {
        return buffer(room_.bytes().first(count));
      } catch (const std::bad_alloc&) {  // the bytes are here already: give them away with their room
      }
    }
    buffer taken = std::move(room_);
    taken.remove_suffix(taken.size() - count);
    return taken;
  }

 private:
  static constexpr std::size_t most = 64 * 1024 - 64;  // a block of 64 KiB with its header

  buffer room_;
};

/// All that it is given must outlive it. `how` may change, but for its limit, and `into` is up to date, whenever it
/// waits: what is being written is in `into->unsent`, where its progress can be seen (law W2).
template <class From, class To>
task<> copy_bytes(From* from, To* to, const copy_options* how, copy_result* into) {
  bounded_room room;
  [[maybe_unused]] bulk_watch watch;
  buffer& chunk = into->unsent;
  buffer beyond;  // what is not to be sent is behind what is
  for (unsigned round = 1; into->bytes != how->limit(); ++round) {
    const std::uint64_t left = how->limit() - into->bytes;
    bool over = true;
    try {
      bool by_room = false;
      if constexpr (has_read_into<From>) by_room = how->limit() != copy_options::no_limit;
      if (!by_room) {
        auto got = co_await from->read();
        if (got) [[likely]] {
          chunk = std::move(*got);
          over = false;
        } else {
          note_end(into, got);
        }
      } else if constexpr (has_read_into<From>) {
        auto got = co_await from->read_into(room.open(left));
        if (got) {
          chunk = room.take(*got);
          over = false;
        } else {
          note_end(into, got);
        }
      }
    } catch (const std::bad_alloc&) {  // no byte was lost
      into->read_error = out_of_memory();
    }
    if (over) {
      if constexpr (accepts_early<To>()) {
        if (into->ended && how->shutdown() && into->bytes != 0) {  // a shutdown does not say what it could not send
          into->write_error = co_await flush_below(to);
          into->ended = !into->write_error;
        }
      }
      if (into->ended && how->shutdown()) co_await to->shutdown(shutdown_mode::write);
      co_return;
    }

    if (chunk.size() > left) [[unlikely]] {
      beyond = chunk.share();
      chunk.remove_suffix(chunk.size() - static_cast<std::size_t>(left));
    }
    const std::size_t size = chunk.size();
    try {
      // A list, so that what an error leaves unsent is known (law W2).
      auto sent = co_await to->writev(std::span<buffer>(&chunk, 1));
      if (sent.has_value()) [[likely]]
        chunk.clear();
      else
        into->write_error = certain(failure_of(sent));
    } catch (const std::bad_alloc&) {
      into->write_error = out_of_memory();
    }
    note_moved(into, size - chunk.size());
    if (into->write_error || !beyond.empty()) [[unlikely]] {
      beyond.remove_prefix(size - chunk.size());
      if (!beyond.empty()) chunk = std::move(beyond);
      co_return;
    }

    if constexpr (moves_directly<From, To, copy_result>) {
      if (watch.sees_bulk(size) && into->bytes != how->limit()) {
        const std::uint64_t before = into->bytes;
        const bool possible = co_await from->move_directly(*to, how->limit() - before, into);
        if (into->write_error) co_return;
        watch.note_attempt(into->bytes - before, possible);
      }
    }
    if (round % 64 == 0) {  // flows of somebody else's may never wait
      checkpoint others;
      into->read_error = co_await others;
      if (into->read_error) co_return;
    }
  }
}

template <class From, class To>
task<copy_result> copy_all(From* from, To* to, copy_options options) {
  copy_result came_to;
  const executor* const home = executor::current();
  executor::time_point began;
  if (home != nullptr) began = home->now();
  co_await copy_bytes(from, to, &options, &came_to);
  if (home != nullptr) came_to.duration = home->now() - began;
  co_return std::move(came_to);
}

}  // namespace detail

/// Moves everything from `from` to `to`, until `from` ends, an error comes, or the limit of `options` is reached. One
/// chunk is in flight at a time, so that a destination that does not take any more holds the source up (law W8).
///
/// Both flows must live until the await ends; they may be the same. They stay open, unless `options.shutdown` ends the
/// write half of `to` when `from` has ended. Other writers of `to` have their turn between two chunks.
///
/// Between flows over descriptors (`tcp_flow`, `unix_flow`, `fd_flow`), with no layer around either, bulk passes
/// through the kernel without being copied where that is faster: from sockets and regular files to sockets and pipes.
/// It makes no other difference, but that a file which is changed meanwhile may arrive as it has become.
///
/// Nothing is lost: what was read and not accepted is in `copy_result::unsent`. Errors of the two sides are told apart.
/// Cancellation: `operation_canceled` on the side that waited; a write that had sent a part is torn (law X2), and its
/// rest is in `unsent`. No memory for a chunk is the error not_enough_memory. Two pooled frames for itself; nothing is
/// allocated for a chunk but the chunk. Destroying the task drops a chunk that is on its way. Throws what the
/// operations of the flows throw, std::bad_alloc excepted.
template <Flow From, Flow To>
[[nodiscard]] task<copy_result> copy(From& from, To& to, copy_options options = copy_options()) {
  return detail::copy_all(&from, &to, options);
}

}  // namespace coflow::inline v0
