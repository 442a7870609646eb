/// \file
/// The simplest codec that marks its end: frames with a length in front, so that a stream cannot be cut short
/// unnoticed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/layer/codec.hpp"

namespace coflow::inline v0 {

/// Sends each piece of the stream as a frame: its length as four bytes, most significant first, then its bytes. A frame
/// of length zero is the goodbye. The frames do not show: what is read may be a part of one.
///
/// Errors of a read: `std::errc::message_size` for a frame that is longer than the limit. Bytes are not copied.
class length_prefix_codec {
 public:
  /// `limit` is the longest frame that is accepted, in bytes; what this side sends has 64 KiB at most.
  explicit length_prefix_codec(std::uint32_t limit = 16 * 1024 * 1024) noexcept : limit_(limit) {}

  void feed(buffer bytes, codec_output& out) {
    while (!bytes.empty()) {
      if (rest_ != 0) {
        buffer part = bytes.take_front(rest_);
        rest_ -= static_cast<std::uint32_t>(part.size());
        out.data(std::move(part));
        continue;
      }
      length_ = length_ << 8 | std::to_integer<std::uint32_t>(*bytes.data());
      bytes.remove_prefix(1);
      if (++seen_ != header_size) continue;
      rest_ = std::exchange(length_, 0);
      seen_ = 0;
      if (rest_ == 0) return out.end();
      if (rest_ > limit_) return out.fail(std::make_error_code(std::errc::message_size));
    }
  }

  std::error_code seal(std::span<buffer> plain, codec_output& out) {
    std::size_t length = 0;
    for (const buffer& one : plain) length += one.size();
    out.send(header(static_cast<std::uint32_t>(length)));
    for (buffer& one : plain) out.send(std::move(one));
    return {};
  }

  void farewell(codec_output& out) { out.send(header(0)); }

 private:
  static constexpr unsigned header_size = 4;

  [[nodiscard]] static buffer header(std::uint32_t length) {
    std::array<std::byte, header_size> bytes;
    for (unsigned i = 0; i < header_size; ++i) bytes[i] = static_cast<std::byte>(length >> (8 * (header_size - 1 - i)));
    return buffer(std::span<const std::byte>(bytes));
  }

  std::uint32_t limit_;
  std::uint32_t rest_ = 0;    // of the frame that is being read
  std::uint32_t length_ = 0;  // as far as its bytes have come
  unsigned seen_ = 0;         // so many of them
};

}  // namespace coflow::inline v0
