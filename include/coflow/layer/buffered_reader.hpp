/// \file
/// Reading lines, records and numbers from a flow.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/record_result.hpp"
#include "coflow/layer/detail/either_read.hpp"
#include "coflow/layer/detail/preceded.hpp"
#include "coflow/layer/detail/reader_block.hpp"
#include "coflow/layer/detail/record_operations.hpp"
#include "coflow/layer/flow_ref.hpp"
#include "coflow/layer/layered_flow.hpp"
#include "coflow/layer/reset.hpp"

namespace coflow::inline v0 {

/// What `buffered_reader::release` gives: the flow below, and the bytes that were read from it and not used.
template <class Inner>
struct released_flow {
  released_flow(Inner below, buffer rest) noexcept(std::is_nothrow_move_constructible_v<Inner>)
      : flow(std::move(below)), unread(std::move(rest)) {}

  Inner flow;
  buffer unread;
};

/// A flow that reads whole records from the flow below: lines, fixed sizes, numbers.
///
///     coflow::buffered_reader reader(std::move(flow));
///     while (auto line = co_await reader.read_line()) use(line->text());
///
/// It is a flow itself, and keeps every law: `read` gives what is buffered first, then what comes from below; writes go
/// to the flow below directly and cost nothing. To read from a flow that stays somebody else's, wrap it in a
/// `flow_ref`.
///
/// Records. Each operation gives a `record_result`: the record; eof, where the stream ends between two records; or an
/// error. Where it ends inside a record, `error::truncated`, or the error that ended it. A record that is not given
/// takes no byte: after an error, a deadline of the flow below (which ends the operation that waits, law X0), a stop
/// request, or the end of the waiting coroutine, all its bytes are still there, for `read` or another operation (law
/// X1; only `skip` drops as it goes, and says how far it came). Operations that throw std::bad_alloc lose no byte
/// either.
///
/// Memory. It reads below only when a read needs more, one read at a time, and keeps what that gave. Records are slices
/// of it; they are copied only where they span two reads, so that one small record keeps the whole block alive: copy
/// what is to be kept for long. A record that is in the buffer costs no allocation and no coroutine frame.
///
/// Concurrency: reads and record operations stand in one queue, first come, first served (law R8), and run beside
/// writes. A record is never torn by another reader, but a message that is read by two operations may be: let one task
/// read it.
template <SystemFlow Inner>
class buffered_reader {
  using block = detail::reader_block<Inner>;

 public:
  using error_type = std::error_code;
  using write_error_type = typename Inner::write_error_type;
  using next_layer_type = Inner;

  /// How long a line, or what ends with a delimiter, may be unless said otherwise: bytes.
  static constexpr std::size_t default_limit = 64 * 1024;

  /// Takes the flow below over; `unread` has been read from it already and comes first. Throws std::bad_alloc.
  explicit buffered_reader(Inner inner, buffer unread = buffer())
      : block_(new block(std::move(inner), std::move(unread))) {}

  buffered_reader(buffered_reader&&) noexcept = default;
  buffered_reader& operator=(buffered_reader&&) noexcept = default;
  /// Destroys the flow below, which closes it (law C6).
  ~buffered_reader() = default;

  // ---- records

  /// Reads a line and gives it without its end, a LF or a CRLF. An empty line is a line, not eof; characters without an
  /// end before the end of the stream are `error::truncated`. Errors: `std::errc::message_size` if more than `limit`
  /// bytes come before the end of the line; a larger limit, or `read`, gets them.
  [[nodiscard]] auto read_line(std::size_t limit = default_limit) noexcept {
    return detail::ended_operation<block, detail::line_end>(*block_, detail::line_end(), limit);
  }
  /// Reads up to `delimiter`, one or more characters, which is dropped; otherwise like `read_line`. What `delimiter`
  /// refers to must live until the await ends.
  [[nodiscard]] auto read_until(std::string_view delimiter, std::size_t limit = default_limit) noexcept {
    COFLOW_ASSERT(!delimiter.empty(), "read_until needs a delimiter");
    return detail::ended_operation<block, detail::delimiter>(*block_, detail::delimiter(delimiter), limit);
  }
  [[nodiscard]] auto read_until(char delimiter, std::size_t limit = default_limit) noexcept {
    return detail::ended_operation<block, detail::delimiter>(*block_, detail::delimiter(delimiter), limit);
  }
  /// Reads `size` bytes into one buffer. It is made when all of them are there, so that a peer that only says it will
  /// send much takes no memory. Nothing is read for a size of 0.
  [[nodiscard]] auto read_exactly(std::size_t size) noexcept { return detail::exact_operation<block>(*block_, size); }
  /// Reads an integer whose most significant byte comes first: `read_big<std::uint32_t>()`.
  template <std::integral Integer>
  [[nodiscard]] auto read_big() noexcept {
    return detail::integer_operation<block, Integer, true>(*block_);
  }
  /// Reads an integer whose least significant byte comes first.
  template <std::integral Integer>
  [[nodiscard]] auto read_little() noexcept {
    return detail::integer_operation<block, Integer, false>(*block_);
  }
  /// Gives a handle on the next bytes, `size` or more, and leaves them there; fewer only where the stream ends, and eof
  /// or its error where nothing is left. `peek(0)` gives what lies together in the buffer, maybe nothing, without
  /// reading.
  [[nodiscard]] auto peek(std::size_t size) noexcept { return detail::peek_operation<block>(*block_, size); }
  /// Drops the next `count` bytes as they come, and gives `count`. If it ends otherwise, `unskipped` says how many of
  /// them were not dropped.
  [[nodiscard]] auto skip(std::uint64_t count) noexcept { return detail::skip_operation<block>(*block_, count); }

  /// How many bytes the latest `skip` has still to drop, or had when it was cancelled or met the end.
  [[nodiscard]] std::uint64_t unskipped() const noexcept { return block_->unskipped(); }
  /// How many bytes are buffered.
  [[nodiscard]] std::size_t buffered() const noexcept { return block_->chunks().bytes(); }

  // ---- the flow

  /// Gives what is buffered, else the next bytes from below.
  /// Concurrency: see above. Cancellation: no byte is lost; the read below goes on (law L1).
  [[nodiscard]] auto read() noexcept { return detail::read_either<Inner>(*block_, detail::plain_read()); }
  /// Copies what is buffered, else the next bytes from below, as many as fit, into `room`, which must live until the
  /// await ends. Gives how many. Concurrency and cancellation: as for `read`.
  [[nodiscard]] auto read_into(std::span<std::byte> room) noexcept {
    return detail::read_either<Inner>(*block_, detail::room_read(room));
  }
  /// Writes to the flow below.
  [[nodiscard]] auto write(buffer bytes) {
    block& whole = *block_;
    return detail::preceded([&whole, &bytes]() -> decltype(auto) { return whole.inner().write(std::move(bytes)); },
                            [&whole]() noexcept { whole.notice_executor(); });
  }
  /// Writes to the flow below; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) {
    block& whole = *block_;
    return detail::preceded([&whole, list]() -> decltype(auto) { return whole.inner().writev(list); },
                            [&whole]() noexcept { whole.notice_executor(); });
  }
  /// Ends one half or both (laws S1 to S4, L3). Of the read half: what is buffered is dropped (law S2).
  [[nodiscard]] auto shutdown(shutdown_mode mode) {
    block& whole = *block_;
    return detail::preceded([&whole, mode]() -> decltype(auto) { return whole.inner().shutdown(mode); },
                            [&whole, mode]() noexcept {
                              if (covers_read(mode)) whole.drop_input();
                            });
  }
  /// Ends both halves and closes the flow below (laws C1 to C4, L2).
  [[nodiscard]] auto close() {
    block& whole = *block_;
    return detail::preceded([&whole]() -> decltype(auto) { return whole.inner().close(); },
                            [&whole]() noexcept { whole.close(); });
  }
  /// Closes the flow below now, so that its peer does not take that for a clean end, and drops what is buffered; see
  /// `coflow::reset`.
  void reset() noexcept
    requires ResettableFlow<Inner>
  {
    block_->close();
    static_cast<void>(coflow::reset(block_->inner()));
  }

  // ---- what is below

  /// The flow below. Reading it past the layer is the caller's affair.
  [[nodiscard]] Inner& next_layer() noexcept { return block_->inner(); }
  [[nodiscard]] const Inner& next_layer() const noexcept { return block_->inner(); }
  /// The flow at the bottom of the stack.
  [[nodiscard]] auto& lowest_layer() noexcept { return detail::lowest_layer_of(next_layer()); }

  /// Gives the flow below away, with the bytes that were read from it and not used, in order: for a protocol that goes
  /// on as another one. Record operations that wait, and reads behind them, complete with `error::closed`; reads that
  /// wait for the flow below alone go on, and so do writes. The reader can only be destroyed or assigned to then.
  /// Throws std::bad_alloc; nothing has changed then.
  [[nodiscard]] released_flow<Inner> release() && {
    block& whole = *block_;
    const std::size_t rest = whole.chunks().bytes();
    buffer unread;
    if (rest != 0) unread = whole.chunks().take(rest);
    whole.let_go();
    released_flow<Inner> given(std::move(whole.inner()), std::move(unread));
    const buffered_reader dropped(std::move(*this));
    return given;
  }

 private:
  flow_handle<block> block_;
};

}  // namespace coflow::inline v0
