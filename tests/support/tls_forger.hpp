#pragma once

// A TLS 1.3 server that does its handshake as it should, and then sends what OpenSSL never would: records that are made
// here, under the keys of the connection. For tests of what a client makes of messages that come in parts.

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <coflow/core.hpp>
#include <coflow/tls/openssl.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "support/codec_sink.hpp"
#include "support/openssl_ends.hpp"

namespace openssl_ends {

class tls_forger {
 public:
  tls_forger() : context_(server(openssl_options().cipher_suites("TLS_AES_128_GCM_SHA256"))), engine_(make_engine()) {
    engine_.start(out_);
  }
  tls_forger(const tls_forger&) = delete;
  tls_forger& operator=(const tls_forger&) = delete;

  /// Bytes of the client's. What they were is `take_text`, `ended` and `failure`.
  void hear(std::string_view bytes) { engine_.feed(buffer(bytes), out_); }
  [[nodiscard]] bool established() const noexcept { return engine_.established(); }
  /// The server's part of the handshake; behind it tickets, which nobody should be sent who is to get forged records.
  [[nodiscard]] std::string take_sent() { return out_.take_sent(); }
  [[nodiscard]] std::string take_text() { return out_.take_data(); }
  [[nodiscard]] bool ended() const noexcept { return out_.ended(); }
  [[nodiscard]] std::error_code failure() const noexcept { return out_.failure(); }

  /// A record with a part of a handshake's messages, as the next one of the established connection.
  [[nodiscard]] std::string handshake_record(std::string_view part) {
    const std::string inner = std::string(part) + '\x16';
    std::string nonce = derived("iv", 12);
    for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] = changed(nonce[4 + i], records_ >> (56 - 8 * i));
    ++records_;
    const std::size_t size = inner.size() + tag_size;
    std::string made{'\x17', '\x03', '\x03', static_cast<char>(size >> 8), static_cast<char>(size)};
    return made + encrypted(inner, nonce, made);
  }

  /// A message that gives a ticket of so many bytes.
  [[nodiscard]] static std::string ticket(std::size_t size) {
    std::string body(
        "\x00\x00\x1c\x20"
        "abcd"
        "\x01n",
        10);  // its lifetime, what is added to its age, a nonce
    body += {static_cast<char>(size >> 8), static_cast<char>(size)};
    body.append(size, 't').append(2, '\0');  // and no extensions
    const std::size_t length = body.size();
    return std::string{'\x04', '\x00', static_cast<char>(length >> 8), static_cast<char>(length)} + body;
  }

 private:
  static constexpr std::size_t tag_size = 16;

  // OpenSSL tells secrets to whoever would log them.
  [[nodiscard]] openssl_engine make_engine() {
    SSL_CTX_set_app_data(context_.native_handle(), &secret_);
    SSL_CTX_set_keylog_callback(context_.native_handle(), [](const SSL* ssl, const char* line) {
      const std::string_view said(line);
      if (!said.starts_with("SERVER_TRAFFIC_SECRET_0 ")) return;
      const std::string digits(said.substr(said.rfind(' ') + 1));
      auto& secret = *static_cast<std::string*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
      for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        secret.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    });
    return context_.server_engine().value();
  }

  static char changed(char one, std::uint64_t by) noexcept {
    return static_cast<char>(static_cast<unsigned char>(one) ^ (by & 0xff));
  }
  static unsigned char* bytes_of(std::string& text) noexcept { return reinterpret_cast<unsigned char*>(text.data()); }
  static const unsigned char* bytes_of(const std::string& text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
  }

  // HKDF-Expand-Label (RFC 8446, 7.1) for at most one block.
  [[nodiscard]] std::string derived(std::string label, std::size_t size) const {
    label.insert(0, "tls13 ");
    const std::string info = std::string{'\x00', static_cast<char>(size), static_cast<char>(label.size())} + label +
                             std::string("\x00\x01", 2);
    std::string block(EVP_MAX_MD_SIZE, '\0');
    HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), bytes_of(info), info.size(), bytes_of(block),
         nullptr);
    return block.substr(0, size);
  }
  // AES-128-GCM, and its tag.
  [[nodiscard]] std::string encrypted(const std::string& inner, const std::string& nonce,
                                      const std::string& header) const {
    const std::string key = derived("key", 16);
    std::string out(inner.size() + tag_size, '\0');
    EVP_CIPHER_CTX* const with = EVP_CIPHER_CTX_new();
    int count = 0;
    EVP_EncryptInit_ex(with, EVP_aes_128_gcm(), nullptr, bytes_of(key), bytes_of(nonce));
    EVP_EncryptUpdate(with, nullptr, &count, bytes_of(header), static_cast<int>(header.size()));
    EVP_EncryptUpdate(with, bytes_of(out), &count, bytes_of(inner), static_cast<int>(inner.size()));
    EVP_EncryptFinal_ex(with, bytes_of(out) + inner.size(), &count);
    EVP_CIPHER_CTX_ctrl(with, EVP_CTRL_GCM_GET_TAG, tag_size, bytes_of(out) + inner.size());
    EVP_CIPHER_CTX_free(with);
    return out;
  }

  openssl_context context_;
  std::string secret_;
  openssl_engine engine_;
  support::codec_sink out_;
  std::uint64_t records_ = 0;
};

/// A client's flow and such a server, over a pipe.
struct forged_stage {
  explicit forged_stage(std::size_t room = 64 * 1024) : pipe(coflow::memory_pipe(room)) {}

  std::pair<memory_flow, memory_flow> pipe;
  openssl_context of_client = client();
  tls_forger peer;
  made<flow> near;
  bool over = false;  // what the client sends
};
inline task<> send_below(forged_stage* on, std::string bytes) {
  const result<void> sent = co_await on->pipe.second.write(buffer(bytes));
  CHECK(sent.has_value());
}
/// Lets the server have what comes, until it is over.
inline task<> hear_below(forged_stage* on) {
  for (;;) {
    const read_result got = co_await on->pipe.second.read();
    on->over = !got;
    if (!got) co_return;
    on->peer.hear(got->text());
  }
}
/// The handshake, behind which neither side has said anything.
inline task<> shake(forged_stage* on) {
  task_scope scope;
  start(scope, keep(coflow::tls_client(on->of_client, std::move(on->pipe.first), "localhost"), &on->near));
  while (!on->peer.established()) {
    const read_result got = co_await on->pipe.second.read();
    REQUIRE(got);
    on->peer.hear(got->text());
    const std::string answer = on->peer.take_sent();
    if (!on->peer.established()) co_await send_below(on, answer);
  }
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
  REQUIRE(on->near.flow);
}

}  // namespace openssl_ends
