/// \file
/// What `codec_flow` needs to know of a protocol: how inner bytes become outer bytes and back, without any I/O.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/layer/detail/buffer_queue.hpp"

namespace coflow::inline v0 {

/// Where a codec puts what it makes. Its functions may throw std::bad_alloc, which a codec lets pass.
class codec_output {
 public:
  codec_output(const codec_output&) = delete;
  codec_output& operator=(const codec_output&) = delete;

  /// Outer bytes for the reader, in order. Empty ones are dropped (law L10), and so is what comes after an end.
  void data(buffer bytes) {
    if (!bytes.empty() && !ended_) data_.push(std::move(bytes));
  }
  /// Inner bytes for the peer, in order: sealed records, answers, the goodbye.
  void send(buffer bytes) {
    if (!bytes.empty() && !silent_) send_.push(std::move(bytes));
  }
  /// The peer has said goodbye: eof for the reader, behind the data (law L5).
  void end() noexcept { ended_ = true; }
  /// The stream cannot be decoded any further: an error for the reader, behind the data (law L9).
  void fail(std::error_code code) noexcept {
    if (ended_) return;
    ended_ = true;
    failure_ = code;
  }

 protected:
  codec_output(detail::buffer_queue& data, detail::buffer_queue& send) noexcept : data_(data), send_(send) {}
  ~codec_output() = default;

  detail::buffer_queue& data_;
  detail::buffer_queue& send_;
  bool ended_ = false;
  bool silent_ = false;  // nothing follows the goodbye (law L4)
  std::error_code failure_;
};

/// A protocol around a byte stream, as a plain object without I/O. It supplies
///
///     void feed(buffer bytes, codec_output& out);
///         // inner bytes have come, cut anywhere: decode them, keep an incomplete rest, answer what must be answered
///     std::error_code seal(std::span<buffer> plain, codec_output& out);
///         // encode all of `plain` (64 KiB at most, moved from as it likes) for out.send; an error ends the write half
///     void farewell(codec_output& out);
///         // the goodbye that ends the stream; nothing is sealed after it. May send nothing
///
/// and optionally
///
///     void start(codec_output& out);           // the first bytes of a handshake
///     bool established() const;                // the handshake is done: until then nothing is sealed or read
///     bool needs_input() const;                // it must be fed to work, even if nobody reads: the flow then reads
///                                              // ahead, until there is data that nobody has read
///     bool holds_back() const;                 // nothing can be sent before more input has come, also what was
///     sealed:
///                                              // writes wait for that (law W1), and so does the goodbye
///
/// It answers for every input, however hostile, with data, `end` or `fail`; it never sees bytes after either.
template <class C>
concept Codec = std::movable<C> && requires(C& codec, buffer bytes, std::span<buffer> plain, codec_output& out) {
  codec.feed(std::move(bytes), out);
  { codec.seal(plain, out) } -> std::convertible_to<std::error_code>;
  codec.farewell(out);
};

/// A codec that must exchange bytes with its peer before it can carry any: its flow comes from `codec_handshake`.
template <class C>
concept HandshakingCodec = Codec<C> && requires(C& codec, codec_output& out) {
  codec.start(out);
  { codec.established() } -> std::convertible_to<bool>;
};

namespace detail {

// What a codec's flow knows of the output.
class wire_output final : public codec_output {
 public:
  wire_output(buffer_queue& data, buffer_queue& send) noexcept : codec_output(data, send) {}
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] const std::error_code& failure() const noexcept { return failure_; }
  void fall_silent() noexcept { silent_ = true; }
};

// What a codec may leave out.
template <class C>
[[nodiscard]] bool is_established(const C& codec) noexcept {
  if constexpr (HandshakingCodec<C>)
    return codec.established();
  else
    return true;
}
template <class C>
[[nodiscard]] bool needs_input(const C& codec) noexcept {
  if constexpr (requires { codec.needs_input(); })
    return codec.needs_input();
  else
    return false;
}
template <class C>
[[nodiscard]] bool holds_back(const C& codec) noexcept {
  if constexpr (requires { codec.holds_back(); })
    return codec.holds_back();
  else
    return false;
}

}  // namespace detail
}  // namespace coflow::inline v0
