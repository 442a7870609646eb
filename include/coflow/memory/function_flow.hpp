/// \file
/// A flow made of callables.
#pragma once

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/flow.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/memory/detail/function_block.hpp"

namespace coflow::inline v0 {

/// A flow whose bytes come from one callable and go to another:
///
///     auto read = [&] { return source.next(); };                          // a task<read_result>, say
///     auto write = [&](coflow::buffer bytes) { log += bytes.text(); };
///     coflow::function_flow flow(read, write);
///
/// The callables move bytes; the contract is this class's affair: order, first verdicts, shutdown, close, cancellation.
///
/// `read()` gives, at once or as an awaitable, a `read_result`, a `buffer`, a `std::string`, an error code, or an
/// optional or `result` of data (an empty optional is eof). It is called when a read wants data and none is left; empty
/// data is skipped. `write(buffer)` gives, at once or as an awaitable, a `result<void>`, an error code, or nothing. It
/// gets what was written piece by piece, never an empty buffer, in a handle that shares its bytes. `shutdown(mode)` and
/// `close()` may give anything that `write` may; errors are dropped. `shutdown` is called once with `write`, after all
/// that was written, and once with `read`; `close` once, also if the flow is destroyed. One that takes a `stream_end`
/// is told whether a write was torn, and must then end the stream so that the peer does not take it for complete (law
/// X3). `no_function()` stands for either.
///
/// No callable is called again before what it gave is over. An exception that leaves one is an error of that half: the
/// code of a `std::system_error`, not_enough_memory for `std::bad_alloc`, otherwise io_error. `operation_canceled` that
/// was not asked for is kept as `error::closed`.
///
/// Calls belong to the flow, not to the operation that caused them. A read that is cancelled leaves its call going;
/// what comes of it is the next read's (law X1). A write that is cancelled before its bytes are handed over has sent
/// nothing. Afterwards the call's coroutine is told to stop, and the write ends when the call does: what that gives
/// says whether the piece was accepted (success) or nothing of it (`operation_canceled`); a write of which some pieces
/// are out and others are not is torn (law X2). A piece that was not accepted stays in the caller's array. Close ends
/// calls that are under way: their coroutines are destroyed in the executor's next turn, or with the flow if that is
/// sooner.
///
/// What the callables refer to must outlive the flow. They may close the flow; a coroutine of theirs that was resumed
/// since its call may not destroy it, as a child may not destroy its scope. Nothing is allocated by an operation, but
/// for what the callables allocate. Making one throws std::bad_alloc.
template <class Read, class Write, class Shutdown = no_function, class Close = no_function>
class function_flow {
  using block = detail::function_block<Read, Write, Shutdown, Close>;

 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit function_flow(Read reader, Write writer, Shutdown shut = Shutdown(), Close closer = Close())
      : block_(new block(std::move(reader), std::move(writer), std::move(shut), std::move(closer))) {}

  function_flow(function_flow&&) noexcept = default;
  function_flow& operator=(function_flow&&) noexcept = default;
  /// Closes the flow (law C6). What `close` gives is not waited for.
  ~function_flow() = default;

  /// Reads the next bytes of the stream.
  /// Concurrency: reads are served in order. Cancellation: no byte is lost.
  [[nodiscard]] auto read() noexcept { return read_operation<block>(*block_); }
  /// Copies the next bytes of the stream, as many as a call gave and as fit, into `room`, which must live until the
  /// await ends. Gives how many; the rest is the next read's.
  [[nodiscard]] auto read_into(std::span<std::byte> room) noexcept { return read_into_operation<block>(*block_, room); }
  /// Writes all of `bytes`. Concurrency: writes are handed over in order. Cancellation: see above.
  [[nodiscard]] auto write(buffer bytes) noexcept { return write_operation<block>(*block_, std::move(bytes)); }
  /// Writes all of `list` in order, a call for each; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) noexcept { return writev_operation<block>(*block_, list); }
  /// Ends one half or both (laws S1 to S4); waits until what was written is out and the call for the end is over.
  [[nodiscard]] auto shutdown(shutdown_mode mode) noexcept { return shutdown_operation<block>(*block_, mode); }
  /// Ends both halves (laws C1 to C4); waits for what `close` gives. A stop ends that wait, not the closing.
  [[nodiscard]] auto close() noexcept { return detail::function_close_operation<block>(*block_); }

  /// Ends both halves now: `close` is called, with `stream_end::torn` if it takes that, and what it gives is not waited
  /// for.
  void reset() noexcept {
    block_->state().mark_torn();
    block_->close();
  }

 private:
  flow_handle<block> block_;
};

}  // namespace coflow::inline v0
