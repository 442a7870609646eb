/// \file
/// A flow made of another flow and a codec: TLS, framing, compression.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/flow.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/codec.hpp"
#include "coflow/layer/codec_block.hpp"
#include "coflow/layer/codec_options.hpp"
#include "coflow/layer/detail/next_layer.hpp"

namespace coflow::inline v0 {

/// The flow that `Codec` makes of an inner flow, with every law of the contract (L1 to L12 among them).
///
/// Memory: what one inner read decodes to, at most 64 KiB of sealed bytes and 64 KiB of answers on their way out, and
/// four small coroutine frames. The inner flow belongs to this one: its close comes after the goodbye. Moving or
/// destroying the flow with operations pending is defined (law O2). A goodbye that is asked for where no executor is
/// current waits for the next operation that begins on one. A deadline of the inner flow (`error::timed_out` of its
/// read) ends the reads that wait, and not the stream (law X0); in a handshake it is the handshake's failure.
/// The inner flow must send what it accepts by itself: a `buffered_writer` that waits for a flush keeps even a
/// handshake.
template <Codec C, SystemFlow Inner>
class codec_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  using next_layer_type = Inner;
  using codec_type = C;

 protected:
  using block = codec_block<C, Inner>;

  /// For what runs a handshake of its own over `fresh` and derives from this.
  explicit codec_flow(std::unique_ptr<block> fresh) noexcept : block_(fresh.release()) {}

  /// The codec, to tell it something about what it is to do.
  [[nodiscard]] C& mutable_codec() noexcept { return block_->codec(); }

 public:
  /// For codecs that need no handshake; those that do come from `codec_handshake`. Throws std::bad_alloc.
  codec_flow(C codec, Inner inner, const codec_options& options = codec_options())
    requires(!HandshakingCodec<C>)
      : block_(new block(std::move(codec), std::move(inner), options)) {}

  codec_flow(codec_flow&&) noexcept = default;
  codec_flow& operator=(codec_flow&&) noexcept = default;
  /// Closes the inner flow without a goodbye: the peer sees truncation (law C6).
  ~codec_flow() = default;

  /// Reads the next decoded bytes. Errors: what the inner flow said, what the codec said, or `error::truncated` where
  /// the inner stream ends without the peer's goodbye (laws L6, L7, L9).
  /// Concurrency: reads are served in order. Cancellation: no byte is lost; the inner read goes on (law L1).
  [[nodiscard]] auto read() noexcept { return read_operation<block>(*block_); }
  /// Copies the next decoded bytes, as many as are there and as fit, into `room`, which must live until the await ends.
  /// Gives how many. Errors, concurrency and cancellation: as for `read`.
  [[nodiscard]] auto read_into(std::span<std::byte> room) noexcept { return read_into_operation<block>(*block_, room); }
  /// Encodes all of `bytes`, and waits until the inner flow has accepted them.
  /// Cancellation: before a byte is encoded the flow stays usable; when all are, the write is a success (law X2).
  [[nodiscard]] auto write(buffer bytes) noexcept { return write_operation<block>(*block_, std::move(bytes)); }
  /// Encodes all of `list` in order; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) noexcept { return writev_operation<block>(*block_, list); }
  /// Ends one half or both (laws S1 to S4, L3). Of the write half: the goodbye goes out after all that was accepted,
  /// then the inner write half is shut. When both halves are over, the layer closes the inner flow by itself.
  [[nodiscard]] auto shutdown(shutdown_mode mode) noexcept { return shutdown_operation<block>(*block_, mode); }
  /// Ends both halves, says goodbye within the limit of the options, and closes the inner flow (law L2).
  [[nodiscard]] auto close() noexcept { return detail::codec_close_operation<block>(*block_); }
  /// Ends both halves now, without a goodbye, and resets the inner flow if that can be reset; otherwise that is closed,
  /// and the peer sees truncation. Also cuts short what a close or a shutdown still waits for.
  void reset() noexcept { block_->break_off(); }

  /// The flow below. Reading or writing it past the codec breaks the stream.
  [[nodiscard]] Inner& next_layer() noexcept { return block_->inner(); }
  [[nodiscard]] const Inner& next_layer() const noexcept { return block_->inner(); }
  /// The flow at the bottom of the stack.
  [[nodiscard]] auto& lowest_layer() noexcept { return detail::lowest_layer_of(next_layer()); }
  /// The codec, to ask it about the connection.
  [[nodiscard]] const C& codec() const noexcept { return block_->codec(); }

 private:
  template <HandshakingCodec C2, SystemFlow Inner2>
  friend task<result<codec_flow<C2, Inner2>>> codec_handshake(C2 codec, Inner2 inner, codec_options options);

  flow_handle<block> block_;
};

/// Runs the handshake of `codec` over `inner` and gives the flow, whose first read has the bytes that came glued to the
/// handshake's end (law L11). If it fails, or is cancelled, the inner flow is closed, after the bytes that the codec
/// had to say about it. Errors: what the codec or the inner flow said, `error::truncated`, `operation_canceled`.
template <HandshakingCodec C, SystemFlow Inner>
[[nodiscard]] task<result<codec_flow<C, Inner>>> codec_handshake(C codec, Inner inner,
                                                                 codec_options options = codec_options()) {
  using block = codec_block<C, Inner>;
  auto fresh = std::make_unique<block>(std::move(codec), std::move(inner), options);
  block& whole = *fresh;
  codec_flow<C, Inner> made(std::move(fresh));
  const result<void> done = co_await detail::handshake_operation<block>(whole);
  if (!done) {
    if (done.error() == canceled()) whole.abandon();
    co_await made.close();
    co_return done.error();
  }
  co_return std::move(made);
}

}  // namespace coflow::inline v0
