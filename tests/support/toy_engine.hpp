#pragma once

// A TLS engine without TLS, for tests of what is around an engine: the toy codec, and what an engine can be asked.

#include <coflow/core.hpp>
#include <coflow/tls/engine.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "support/toy_codec.hpp"

namespace support {

/// As the toy codec, besides: it has the version, cipher and application protocol of every toy, a key update is a ping
/// in front of the next record, and it puts its failure into words.
class toy_engine : public toy_codec {
 public:
  explicit toy_engine(toy_role role, std::uint32_t secret = 1, unsigned ping_every = 0) noexcept
      : toy_codec(role, secret, ping_every) {}

  void feed(coflow::buffer bytes, coflow::codec_output& out) {
    watched seen(out, *this);
    toy_codec::feed(std::move(bytes), seen);
  }
  std::error_code seal(std::span<coflow::buffer> plain, coflow::codec_output& out) {
    if (std::exchange(update_wanted_, false)) out.send(forge('P', "new keys"));
    return toy_codec::seal(plain, out);
  }

  [[nodiscard]] std::string explain(std::error_code code) const { return "toy: " + code.message(); }
  [[nodiscard]] std::string_view version() const noexcept { return established() ? "toy 1" : ""; }
  [[nodiscard]] std::string_view cipher() const noexcept { return established() ? "xor" : ""; }
  [[nodiscard]] std::string_view application_protocol() const noexcept { return ""; }
  [[nodiscard]] bool peer_said_goodbye() const noexcept { return peer_said_goodbye_; }
  void request_key_update() noexcept { update_wanted_ = true; }

 private:
  // Looks on at what the codec says. It ends where the output ends, and no sooner.
  class watched final : public coflow::codec_output {
   public:
    watched(coflow::codec_output& out, toy_engine& by) noexcept
        : coflow::codec_output(data_here_, send_here_), out_(out), by_(by) {}
    watched(const watched&) = delete;
    watched& operator=(const watched&) = delete;
    ~watched() noexcept(false) {
      while (!data_here_.empty()) out_.data(data_here_.pop());
      while (!send_here_.empty()) out_.send(send_here_.pop());
      if (failure_) out_.fail(failure_);
      if (ended_ && !failure_) {
        by_.peer_said_goodbye_ = true;
        out_.end();
      }
    }

   private:
    coflow::detail::buffer_queue data_here_;
    coflow::detail::buffer_queue send_here_;
    coflow::codec_output& out_;
    toy_engine& by_;
  };

  bool update_wanted_ = false;
  bool peer_said_goodbye_ = false;
};

/// Makes engines whose sides have the same secret, or do not get on with each other. The host "nobody" is refused.
class toy_context {
 public:
  explicit toy_context(std::uint32_t secret = 1, unsigned ping_every = 0) noexcept
      : secret_(secret), ping_every_(ping_every) {}

  [[nodiscard]] coflow::result<toy_engine, coflow::tls_error> client_engine(const std::string& host) const {
    if (host == "nobody")
      return coflow::tls_error(std::make_error_code(std::errc::invalid_argument), "no such host", host);
    return toy_engine(toy_role::client, secret_, ping_every_);
  }
  [[nodiscard]] coflow::result<toy_engine, coflow::tls_error> server_engine() const {
    return toy_engine(toy_role::server, secret_, ping_every_);
  }

 private:
  std::uint32_t secret_;
  unsigned ping_every_;
};

static_assert(coflow::TlsEngine<toy_engine>);
static_assert(coflow::TlsClientContext<toy_context>);
static_assert(coflow::TlsServerContext<toy_context>);

}  // namespace support
