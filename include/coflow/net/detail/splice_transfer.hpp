/// \file
/// Moving bytes from one descriptor to another through a pipe of the kernel, as far as that goes without waiting.
///
/// It is tried behind reads that came full, and comes in between the plain operations: these wait, stand in the flows'
/// queues, and find out what an end or an error is. So a transfer that is spliced has the outcome of one that is not.
/// Measured against plain reads and writes of 64 KiB, CPU time a byte: a half from socket to socket and from a file to
/// a socket, less from a socket to a pipe; nothing is won from pipes or to files, which are therefore left out.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/checkpoint.hpp"
#include "coflow/layer/detail/direct_move.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/splice_pipe.hpp"

namespace coflow::inline v0 {
namespace detail {

/// A flow over descriptors: its block feeds a pipe and drains one.
template <class F>
concept spliceable_flow = sys::has_splice && requires(F& flow, splice_pipe& pipe, std::size_t limit) {
  { flow.for_transfer().feed(pipe, limit) } -> std::same_as<std::size_t>;
  { flow.for_transfer().drain(pipe) } -> std::same_as<bool>;
};

/// What is still in `pipe`, behind `piece`, is what was not sent.
template <class Into>
void keep_unsent(Into* into, splice_pipe& pipe, buffer piece) noexcept {
  try {
    into->unsent = pipe.held() == 0 ? std::move(piece) : pipe.take_out(pipe.held(), piece.bytes());
  } catch (const std::bad_alloc&) {  // then it is lost, and said to be neither sent nor unsent
    into->write_error = std::make_error_code(std::errc::not_enough_memory);
  }
}

/// Moves up to `limit` bytes, until the source has nothing more to give on the spot or writing fails. `into` is noted
/// on as by `copy`. Gives false if splicing is of no use between the two.
template <class Source, class Sink, class Into>
task<bool> splice_between(Source* from, Sink* to, std::uint64_t limit, Into* into) {
  if (!from->can_feed() || !to->can_drain() || from->loop() == nullptr || from->loop() != to->loop()) co_return false;
  splice_pipe pipe(from->loop()->transfer_pipes());
  if (!pipe) co_return true;
  constexpr std::size_t most_per_turn = 4 * splice_pipes::size;
  constexpr std::size_t worthwhile = 64 * 1024;
  std::size_t this_turn = 0;
  while (limit != 0) {
    const std::size_t wanted = limit < most_per_turn ? static_cast<std::size_t>(limit) : most_per_turn;
    const std::size_t got = from->feed(pipe, wanted);
    limit -= got;
    bool refused = false;
    while (pipe.held() != 0) {
      const std::size_t before = pipe.held();
      refused = !to->drain(pipe) || refused;
      note_moved(into, before - pipe.held());
      if (pipe.held() == 0) break;
      // It would have to wait, or has failed: a plain write does, and says why.
      buffer& piece = into->unsent;
      std::size_t size = 0;
      try {
        piece = pipe.take_out(refused ? worthwhile : worthwhile / 4);
        size = piece.size();
        writev_operation<Sink> waiting(*to, std::span<buffer>(&piece, 1));
        const auto sent = co_await waiting;
        if (!sent) into->write_error = sent.error();
      } catch (const std::bad_alloc&) {
        into->write_error = std::make_error_code(std::errc::not_enough_memory);
      }
      note_moved(into, size - piece.size());
      if (into->write_error) {
        keep_unsent(into, pipe, std::move(piece));
        co_return true;
      }
    }
    if (refused) co_return false;
    if (got < worthwhile) co_return true;
    this_turn += got;
    if (this_turn < most_per_turn) continue;
    this_turn = 0;
    checkpoint others;
    const std::error_code stopped = co_await others;
    if (stopped) co_return true;  // which the next plain read says
  }
  co_return true;
}

}  // namespace detail
}  // namespace coflow::inline v0
