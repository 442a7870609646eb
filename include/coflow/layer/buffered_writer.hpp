/// \file
/// Collecting small writes into few large ones.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/sleep.hpp"
#include "coflow/core/buffer.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/layer/detail/early_write.hpp"
#include "coflow/layer/detail/known_read.hpp"
#include "coflow/layer/detail/writer_block.hpp"
#include "coflow/layer/detail/writer_operations.hpp"
#include "coflow/layer/layered_flow.hpp"
#include "coflow/layer/reset.hpp"

namespace coflow::inline v0 {

/// Options of `buffered_writer`. Setters give the object back: `buffered_writer_options().high_water(1 << 20)`.
class buffered_writer_options {
 public:
  buffered_writer_options() noexcept {}

  /// With so many bytes buffered they are sent, and writes wait until some have gone out: 64 KiB unless set, at
  /// least 1.
  buffered_writer_options& high_water(std::size_t bytes) noexcept {
    high_water_ = bytes;
    return *this;
  }
  /// Sends by itself, once everything has run that is ready on the executor now: what was put during one turn goes out
  /// in one piece, and nothing stays behind because a flush was forgotten. On unless set.
  buffered_writer_options& flush_at_end_of_turn(bool on) noexcept {
    flush_at_end_of_turn_ = on;
    return *this;
  }
  /// How long a close waits for what is buffered to go out. One second unless set; a negative time is none.
  template <class Rep, class Period>
  buffered_writer_options& close_limit(std::chrono::duration<Rep, Period> time) noexcept {
    close_limit_ = detail::saturated(time);
    return *this;
  }

  [[nodiscard]] std::size_t high_water() const noexcept { return high_water_; }
  [[nodiscard]] bool flushes_at_end_of_turn() const noexcept { return flush_at_end_of_turn_; }
  [[nodiscard]] executor::duration close_limit() const noexcept { return close_limit_; }

 private:
  std::size_t high_water_ = 64 * 1024;
  bool flush_at_end_of_turn_ = true;
  executor::duration close_limit_ = std::chrono::seconds(1);
};

/// A flow that accepts writes early and sends them together.
///
///     coflow::buffered_writer writer(std::move(flow));
///     co_await writer.put("HTTP/1.1 200 OK\r\n\r\n");   // a copy into the buffer; waits only where that is full
///     co_await writer.write(std::move(body));             // large buffers are passed on as they are
///     co_await writer.flush();                            // everything is accepted below
///
/// It keeps the laws of the flow below but for W1: success of a write, or of a put, means that the bytes are in the
/// buffer; only a `flush`, or the end of a `shutdown(write)`, says that they were accepted below. What follows from
/// that: an error of the flow below is told by a later write or flush than the one whose bytes met it, and is latched
/// then (W6); one that a read meets first is told by the next flush, not the next write (R7). A write is accepted whole
/// or not at all, so a cancelled one has sent nothing and tears nothing (X2). Nothing is dropped in silence: what could
/// not be sent is counted by `buffered` and given by `take_unsent`.
///
/// `shutdown(write)` sends everything before the end (S3). `close` sends it too, for as long as the limit of the
/// options allows, and then closes the flow below; pending reads and writes end at once all the same (C3). Destroying
/// the writer drops what is buffered (C6): flush first. Where bytes that were accepted have not gone out by then, the
/// flow below is reset, so that its peer does not take the end for a clean one (X3; see `reset`).
///
/// Memory: less than `high_water` bytes and one write, in blocks of up to 16 KiB, and three small coroutine frames;
/// nothing while all is sent. Concurrency: any number of tasks may write; writes that wait stand in one queue (W4), and
/// reads go to the flow below directly. Writing allocates nothing in steady state.
template <SystemFlow Inner>
class buffered_writer {
  using block = detail::writer_block<Inner>;

 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  using next_layer_type = Inner;

  /// Takes the flow below over. Throws std::bad_alloc.
  explicit buffered_writer(Inner inner, const buffered_writer_options& options = buffered_writer_options())
      : block_(new block(std::move(inner), options.high_water(), options.flushes_at_end_of_turn(),
                         options.close_limit())) {}

  buffered_writer(buffered_writer&&) noexcept = default;
  buffered_writer& operator=(buffered_writer&&) noexcept = default;
  /// Closes the flow below; what is buffered is dropped, and the flow below reset then (law C6).
  ~buffered_writer() = default;

  // ---- writing

  /// Puts a copy of `text` into the buffer, and waits while that is full. The characters must live until the await
  /// ends. Errors: of an earlier write. Cancellation: a put that waits has put nothing. Throws std::bad_alloc; nothing
  /// was put then.
  [[nodiscard]] auto put(std::string_view text) noexcept { return put(std::as_bytes(std::span<const char>(text))); }
  /// The same for bytes.
  [[nodiscard]] auto put(std::span<const std::byte> bytes) noexcept {
    return detail::early_write<block, detail::borrowed_bytes>(*block_, detail::borrowed_bytes(bytes));
  }
  /// Puts an integer, its most significant byte first: `put_big(std::uint32_t(size))`.
  template <std::integral Integer>
  [[nodiscard]] auto put_big(Integer value) noexcept {
    return put_integer<true>(value);
  }
  /// Puts an integer, its least significant byte first.
  template <std::integral Integer>
  [[nodiscard]] auto put_little(Integer value) noexcept {
    return put_integer<false>(value);
  }
  /// Writes all of `bytes`: into the buffer if they are few, else as they are, without copying them; waits while the
  /// buffer is full. Cancellation and errors: as for `put`; where there is no memory the half fails with
  /// not_enough_memory.
  [[nodiscard]] auto write(buffer bytes) noexcept {
    return detail::early_write<block, detail::one_buffer>(*block_, detail::one_buffer(std::move(bytes)));
  }
  /// Writes all of `list` in order, like one write; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) noexcept {
    return detail::early_write<block, detail::buffer_list>(*block_, detail::buffer_list(list));
  }
  /// Sends what is buffered, and waits until the flow below has accepted everything that was accepted here before.
  /// Cancellation: ends the wait; the bytes go out all the same. Errors: of sending them, or of an earlier write;
  /// `error::closed` after a shutdown, a close.
  [[nodiscard]] auto flush() noexcept { return detail::flush_operation<block>(*block_); }

  /// How many bytes were accepted here, and not yet below.
  [[nodiscard]] std::size_t buffered() const noexcept { return block_->buffered(); }
  /// Gives away, in order, what was accepted here and will never go out: after the write half has failed or the flow
  /// was closed. Nothing before, and nothing again. Throws std::bad_alloc.
  [[nodiscard]] std::vector<buffer> take_unsent() { return block_->take_unsent(); }

  // ---- the other half, and the ends

  /// Reads from the flow below.
  [[nodiscard]] auto read() {
    const auto make = [](Inner& inner) -> decltype(auto) { return inner.read(); };
    using from_below = decltype(make(std::declval<Inner&>()));
    if constexpr (detail::waits_in_place<from_below>)
      return detail::known_read_operation<block, decltype(make), read_result>(*block_, make);
    else
      return block_->inner().read();
  }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room)
    requires has_read_into<Inner>
  {
    const auto make = [room](Inner& inner) -> decltype(auto) { return inner.read_into(room); };
    using from_below = decltype(make(std::declval<Inner&>()));
    if constexpr (detail::waits_in_place<from_below>)
      return detail::known_read_operation<block, decltype(make), read_into_result>(*block_, make);
    else
      return block_->inner().read_into(room);
  }
  /// Ends one half or both (laws S1 to S4, L3). Of the write half: everything that was accepted goes out first.
  [[nodiscard]] auto shutdown(shutdown_mode mode) noexcept { return shutdown_operation<block>(*block_, mode); }
  /// Sends what is buffered, within the limit of the options, and closes the flow below.
  [[nodiscard]] auto close() noexcept { return detail::writer_close_operation<block>(*block_); }
  /// Closes the flow below now, so that its peer does not take that for a clean end; what is buffered does not go out.
  /// See `coflow::reset`.
  void reset() noexcept
    requires ResettableFlow<Inner>
  {
    block_->reset();
  }

  /// The flow below. Writing it past the layer is the caller's affair.
  [[nodiscard]] Inner& next_layer() noexcept { return block_->inner(); }
  [[nodiscard]] const Inner& next_layer() const noexcept { return block_->inner(); }
  /// The flow at the bottom of the stack.
  [[nodiscard]] auto& lowest_layer() noexcept { return detail::lowest_layer_of(next_layer()); }

 private:
  template <bool BigEndian, class Integer>
  [[nodiscard]] auto put_integer(Integer value) noexcept {
    std::array<std::byte, sizeof(Integer)> bytes;
    auto rest = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(Integer); ++i, rest >>= 8)
      bytes[BigEndian ? sizeof(Integer) - 1 - i : i] = static_cast<std::byte>(rest);
    using own = detail::own_bytes<sizeof(Integer)>;
    return detail::early_write<block, own>(*block_, own(bytes));
  }

  flow_handle<block> block_;
};

}  // namespace coflow::inline v0
