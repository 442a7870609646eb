#pragma once

// A codec with everything that a secure channel has: a handshake of three flights, records that are enciphered,
// numbered and authenticated, answers that input triggers, empty records, a goodbye. It keeps out nobody who means
// harm; it is for tests.
//
//     record: type (1 byte), length (2), payload, tag (4: over key, direction, number, type and payload)

#include <array>
#include <coflow/core/buffer.hpp>
#include <coflow/layer/codec.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace support {

enum class toy_role : unsigned char { client, server };

class toy_codec {
 public:
  /// Both sides have the same secret, or the handshake fails. With `ping_every` n, each n-th record is followed by a
  /// ping, which the peer must answer, and by an empty record.
  explicit toy_codec(toy_role role, std::uint32_t secret = 1, unsigned ping_every = 0) noexcept
      : role_(role), secret_(secret), ping_every_(ping_every) {}

  void start(coflow::codec_output& out) {
    if (role_ == toy_role::client) out.send(record(type::hello, nonce()));
  }
  [[nodiscard]] bool established() const noexcept { return established_; }
  [[nodiscard]] bool needs_input() const noexcept { return true; }

  void feed(coflow::buffer bytes, coflow::codec_output& out) {
    pending_.append(bytes.text());
    std::string_view rest(pending_);
    while (rest.size() >= header_size) {
      const std::size_t length = std::size_t{byte(rest[1])} << 8 | byte(rest[2]);
      if (rest.size() < header_size + length + tag_size) break;
      const std::string_view whole = rest.substr(0, header_size + length + tag_size);
      rest.remove_prefix(whole.size());
      if (!take(whole, out)) break;
    }
    pending_.erase(0, pending_.size() - rest.size());
  }
  std::error_code seal(std::span<coflow::buffer> plain, coflow::codec_output& out) {
    for (const coflow::buffer& one : plain) {
      std::string_view text = one.text();
      while (!text.empty()) {
        const std::string_view part = text.substr(0, longest_payload);
        text.remove_prefix(part.size());
        out.send(record(type::data, part));
        if (ping_every_ == 0 || ++sealed_ % ping_every_ != 0) continue;
        out.send(record(type::ping, "are you there"));
        out.send(record(type::data, {}));
      }
    }
    return {};
  }
  void farewell(coflow::codec_output& out) { out.send(record(type::goodbye, {})); }

  /// How many answers have come to pings of this side.
  [[nodiscard]] unsigned pongs() const noexcept { return pongs_; }
  /// A record of a type and payload of one's choice, as this side would send it next: for tests that forge.
  [[nodiscard]] coflow::buffer forge(char kind, std::string_view payload) {
    return record(static_cast<type>(kind), payload);
  }

 private:
  enum class type : char { hello = 'H', finished = 'F', data = 'D', ping = 'P', pong = 'p', goodbye = 'G' };
  static constexpr std::size_t header_size = 3;
  static constexpr std::size_t tag_size = 4;
  static constexpr std::size_t longest_payload = 16 * 1024;

  static unsigned char byte(char of) noexcept { return static_cast<unsigned char>(of); }
  static std::uint32_t mixed(std::uint32_t state, unsigned char with) noexcept { return (state ^ with) * 16777619U; }
  [[nodiscard]] std::string_view nonce() const noexcept { return role_ == toy_role::client ? "clientNC" : "serverNC"; }
  [[nodiscard]] char direction(bool ours) const noexcept { return (role_ == toy_role::client) == ours ? '>' : '<'; }

  [[nodiscard]] std::uint32_t tag(bool ours, std::uint32_t number, type kind, std::string_view payload) const noexcept {
    std::uint32_t state = 2166136261U ^ secret_;
    state = mixed(state, byte(direction(ours)));
    for (int shift = 0; shift < 32; shift += 8) state = mixed(state, static_cast<unsigned char>(number >> shift));
    state = mixed(state, byte(static_cast<char>(kind)));
    for (const char one : payload) state = mixed(state, byte(one));
    return state;
  }
  void cipher(std::string& text, bool ours, std::uint32_t number) const noexcept {
    std::uint32_t state = secret_ ^ (number * 2654435761U) ^ byte(direction(ours));
    for (char& one : text) {
      state = state * 1664525U + 1013904223U;
      one = static_cast<char>(byte(one) ^ static_cast<unsigned char>(state >> 24));
    }
  }
  [[nodiscard]] coflow::buffer record(type kind, std::string_view payload) {
    const std::uint32_t number = sent_++;
    std::string text(payload);
    const std::uint32_t check = tag(true, number, kind, payload);
    cipher(text, true, number);
    std::string whole;
    whole.reserve(header_size + text.size() + tag_size);
    whole.push_back(static_cast<char>(kind));
    whole.push_back(static_cast<char>(text.size() >> 8));
    whole.push_back(static_cast<char>(text.size()));
    whole.append(text);
    for (int shift = 24; shift >= 0; shift -= 8) whole.push_back(static_cast<char>(check >> shift));
    return coflow::buffer::adopt(std::move(whole));
  }

  // False when nothing more can be decoded.
  bool take(std::string_view whole, coflow::codec_output& out) {
    const type kind = static_cast<type>(whole[0]);
    const std::uint32_t number = received_++;
    std::string payload(whole.substr(header_size, whole.size() - header_size - tag_size));
    cipher(payload, false, number);
    std::uint32_t check = 0;
    for (const char one : whole.substr(whole.size() - tag_size)) check = check << 8 | byte(one);
    if (check != tag(false, number, kind, payload)) return refuse(out);
    switch (kind) {
      case type::hello:
        return greet(out);
      case type::finished:
        return finish(out);
      case type::goodbye:
        out.end();
        return false;
      case type::data:
        if (!established_) return refuse(out);
        out.data(coflow::buffer(payload));
        return true;
      case type::ping:
        out.send(record(type::pong, payload));
        return true;
      case type::pong:
        ++pongs_;
        return true;
    }
    return refuse(out);
  }
  bool greet(coflow::codec_output& out) {
    if (greeted_) return refuse(out);
    greeted_ = true;
    if (role_ == toy_role::server) {
      out.send(record(type::hello, nonce()));
      out.send(record(type::finished, {}));
    }
    return true;
  }
  bool finish(coflow::codec_output& out) {
    if (!greeted_ || established_) return refuse(out);
    established_ = true;
    if (role_ == toy_role::client) out.send(record(type::finished, {}));
    return true;
  }
  static bool refuse(coflow::codec_output& out) {
    out.fail(std::make_error_code(std::errc::bad_message));
    return false;
  }

  toy_role role_;
  std::uint32_t secret_;
  unsigned ping_every_;
  unsigned sealed_ = 0;
  unsigned pongs_ = 0;
  std::uint32_t sent_ = 0;
  std::uint32_t received_ = 0;
  bool greeted_ = false;
  bool established_ = false;
  std::string pending_;
};

}  // namespace support
