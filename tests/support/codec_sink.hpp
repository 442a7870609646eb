#pragma once

// Takes what a codec makes, for tests of codecs alone.

#include <coflow/core/buffer.hpp>
#include <coflow/layer/codec.hpp>
#include <cstddef>
#include <string>
#include <system_error>
#include <utility>

namespace support {

class codec_sink final : public coflow::codec_output {
 public:
  codec_sink() noexcept : coflow::codec_output(decoded_, to_send_) {}

  [[nodiscard]] std::string take_data() { return taken(decoded_); }
  [[nodiscard]] std::string take_sent() { return taken(to_send_); }
  [[nodiscard]] coflow::buffer pop_sent() noexcept { return to_send_.pop(); }
  [[nodiscard]] std::size_t pieces() const noexcept { return decoded_.size() + to_send_.size(); }
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] std::error_code failure() const noexcept { return failure_; }
  void fall_silent() noexcept { silent_ = true; }

 private:
  static std::string taken(coflow::detail::buffer_queue& from) {
    std::string all;
    while (!from.empty()) all.append(from.pop().text());
    return all;
  }

  coflow::detail::buffer_queue decoded_;
  coflow::detail::buffer_queue to_send_;
};

}  // namespace support
