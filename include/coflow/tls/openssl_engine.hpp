/// \file
/// One connection's TLS by OpenSSL, without I/O.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/layer/codec.hpp"
#include "coflow/tls/detail/openssl_handles.hpp"
#include "coflow/tls/detail/openssl_wire.hpp"
#include "coflow/tls/engine.hpp"
#include "coflow/tls/openssl_certificate.hpp"
#include "coflow/tls/openssl_error.hpp"

namespace coflow::inline v0 {

/// What a client may take up again with the same server: it spares both the larger part of a handshake. It comes from
/// `openssl_engine::session`, and goes to `openssl_context::resuming`. Copies share it.
class openssl_session {
 public:
  /// No session.
  openssl_session() noexcept {}
  /// Takes over a reference to a session with `host`.
  openssl_session(std::string host, SSL_SESSION* owned) noexcept : host_(std::move(host)), held_(owned) {}
  openssl_session(const openssl_session& other) : host_(other.host_), held_(detail::another(other.held_.get())) {}
  openssl_session(openssl_session&&) noexcept = default;
  openssl_session& operator=(openssl_session other) noexcept {
    host_.swap(other.host_);
    held_.swap(other.held_);
    return *this;
  }
  ~openssl_session() = default;

  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }
  /// The host that it is with; it is not taken up with another.
  [[nodiscard]] const std::string& host() const noexcept { return host_; }
  /// OpenSSL's own object; null if there is none.
  [[nodiscard]] SSL_SESSION* native_handle() const noexcept { return held_.get(); }

 private:
  std::string host_;
  detail::openssl_ptr<SSL_SESSION> held_;
};

/// A `TlsEngine`, made by `openssl_context`. OpenSSL reads straight from what is fed and writes straight into the
/// buffers that are sent; what it opens is read into the buffer that the reader gets. Between calls it keeps neither
/// input nor output, and OpenSSL releases its own buffers.
class openssl_engine {
 public:
  /// Takes over `ssl`, which is set to be a client or a server. `accepts_any` says that certificates do not matter.
  openssl_engine(detail::openssl_ptr<SSL> ssl, std::string host, bool accepts_any)
      : state_(std::make_unique<state>(std::move(ssl), std::move(host), accepts_any)) {}
  openssl_engine(openssl_engine&&) noexcept = default;
  openssl_engine& operator=(openssl_engine&&) noexcept = default;
  ~openssl_engine() = default;

  // ---- for the layer

  void start(codec_output& out) { state_->feed({}, out); }
  void feed(buffer bytes, codec_output& out) { state_->feed(bytes.bytes(), out); }
  std::error_code seal(std::span<buffer> plain, codec_output& out) { return state_->seal(plain, out); }
  void farewell(codec_output& out) { state_->farewell(out); }
  [[nodiscard]] bool established() const noexcept { return state_->established; }
  [[nodiscard]] bool needs_input() const noexcept { return true; }
  [[nodiscard]] bool holds_back() const noexcept { return state_->in_message || !state_->held.empty(); }

  // ---- about the connection

  /// For a certificate that is for other hosts it says for which.
  [[nodiscard]] std::string explain(std::error_code code) const {
    std::string text = code.message();
    if (code == tls_condition::certificate_wrong_host && state_->wire.refused) {
      const openssl_certificate refused(detail::another(state_->wire.refused.get()).release());
      std::string hosts;
      for (const std::string& one : refused.hosts()) hosts += (hosts.empty() ? "" : ", ") + one;
      text += ", the certificate is for " + (hosts.empty() ? refused.subject() : hosts);
    }
    return text;
  }
  [[nodiscard]] std::string_view version() const noexcept {
    return established() ? SSL_get_version(native_handle()) : "";
  }
  [[nodiscard]] std::string_view cipher() const noexcept {
    return established() ? SSL_get_cipher_name(native_handle()) : "";
  }
  [[nodiscard]] std::string_view application_protocol() const noexcept {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    if (established()) SSL_get0_alpn_selected(native_handle(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  [[nodiscard]] bool peer_said_goodbye() const noexcept {
    return (SSL_get_shutdown(native_handle()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }
  void request_key_update() noexcept {
    const detail::openssl_use use;
    if (!established() || state_->failure || SSL_version(native_handle()) != TLS1_3_VERSION) return;
    if (state_->in_message)
      state_->update_wanted = true;  // OpenSSL takes it behind the peer's message
    else
      SSL_key_update(native_handle(), SSL_KEY_UPDATE_REQUESTED);
  }

  /// The certificate that the peer has sent; none if it sent none. After a handshake without
  /// `dangerously_accept_any_certificate` it is verified.
  [[nodiscard]] openssl_certificate peer_certificate() const noexcept {
    return openssl_certificate(SSL_get1_peer_certificate(native_handle()));
  }
  /// The host that a client wants (SNI), as a server sees it; empty if it did not say.
  [[nodiscard]] std::string_view server_name() const noexcept {
    const char* name = SSL_get_servername(native_handle(), TLSEXT_NAMETYPE_host_name);
    return name != nullptr ? name : "";
  }
  /// True if the handshake took up an earlier session.
  [[nodiscard]] bool resumed() const noexcept { return SSL_session_reused(native_handle()) == 1; }
  /// A client's latest session; none before the server has given a ticket, which in TLS 1.3 it does after the
  /// handshake: read first. Each is best used once.
  [[nodiscard]] openssl_session session() const {
    detail::openssl_ptr<SSL_SESSION> latest = detail::another(state_->wire.session.get());
    // Of a session that was taken up again TLS 1.2 gives no new one.
    if (latest == nullptr && resumed() && SSL_is_server(native_handle()) == 0)
      latest.reset(SSL_get1_session(native_handle()));
    return openssl_session(state_->host, latest.release());
  }
  /// OpenSSL's own object, for what this class does not offer.
  [[nodiscard]] SSL* native_handle() const noexcept { return state_->ssl.get(); }

 private:
  static constexpr std::size_t record = 16 * 1024;        // the most that one holds
  static constexpr std::size_t large = 4 * 1024;          // worth a record of its own
  static constexpr std::size_t most_at_once = 64 * 1024;  // in a block of what is opened
  static constexpr std::size_t most_held = 1024 * 1024;

  // What OpenSSL points to stays where it is when the engine is moved.
  struct state {
    state(detail::openssl_ptr<SSL> fresh, std::string whom, bool any) : ssl(std::move(fresh)), host(std::move(whom)) {
      wire.accepts_any = any;
      detail::openssl_connect(ssl.get(), wire);
    }
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    // A session may be taken up again however its connection ended; the layer sees to truncation.
    ~state() {
      const detail::openssl_use use;
      SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
      ssl.reset();
    }

    void feed(std::span<const std::byte> bytes, codec_output& out) {
      if (failure) return;
      const call now(*this, bytes, out);
      if (!established && !shake(out)) return;
      open_records(out);
      if (failure) return;
      in_message = SSL_in_init(ssl.get()) != 0;
      if (!in_message && std::exchange(update_wanted, false)) SSL_key_update(ssl.get(), SSL_KEY_UPDATE_REQUESTED);
      if (held.empty()) return;
      if (const std::error_code failed = seal_held()) out.fail(failed);
    }

    [[nodiscard]] std::error_code seal(std::span<buffer> plain, codec_output& out) {
      if (failure) return failure;
      if (seal_failure) return seal_failure;
      const call now(*this, {}, out);
      if (!held.empty()) return hold(plain);
      // Small buffers are put together, so that they fill records.
      buffer together;
      std::span<std::byte> room;
      std::size_t filled = 0;
      std::size_t left = 0;
      for (const buffer& one : plain) left += one.size();
      for (const buffer& one : plain) {
        std::span<const std::byte> rest = one.bytes();
        while (!rest.empty()) {
          if (filled == 0 && (rest.size() >= large || rest.size() == left)) {
            if (const std::error_code failed = write(rest)) return failed;
            left -= rest.size();
            break;
          }
          if (filled == 0) {
            together = buffer::allocate(left < record ? left : record);
            room = together.writable();
          }
          const std::size_t part = rest.size() < room.size() - filled ? rest.size() : room.size() - filled;
          std::memcpy(room.data() + filled, rest.data(), part);
          rest = rest.subspan(part);
          filled += part;
          left -= part;
          if (filled != room.size()) continue;
          if (const std::error_code failed = write(room)) return failed;
          filled = 0;
        }
      }
      return {};
    }

    void farewell(codec_output& out) {
      if (failure || seal_failure || !established || !held.empty()) return;
      const call now(*this, {}, out);
      if (SSL_in_init(ssl.get())) SSL_do_handshake(ssl.get());  // a key update that is still to be sent
      SSL_shutdown(ssl.get());
      if (wire.out_of_memory) throw std::bad_alloc();
    }

    // OpenSSL may read `bytes` and write to `out` as long as it lives.
    class call {
     public:
      call(state& of, std::span<const std::byte> bytes, codec_output& out) noexcept : state_(of) {
        of.wire.input = bytes;
        of.wire.out = &out;
        of.wire.out_of_memory = false;
      }
      call(const call&) = delete;
      call& operator=(const call&) = delete;
      ~call() {
        state_.wire.input = {};
        state_.wire.out = nullptr;
      }

     private:
      detail::openssl_use use_;
      state& state_;
    };

    // True when the handshake is done.
    [[nodiscard]] bool shake(codec_output& out) {
      const int came_to = SSL_do_handshake(ssl.get());
      if (came_to != 1) {
        if (SSL_get_error(ssl.get(), came_to) == SSL_ERROR_ZERO_RETURN)
          out.end();  // a goodbye in the middle of the handshake: the layer knows what that is
        else if (!wants_input(came_to))
          fail(out);
        return false;
      }
      // A session that was taken up brings its verdict along, and nobody has looked at it yet.
      const long verdict = SSL_get_verify_result(ssl.get());
      if (verdict != X509_V_OK && !wire.accepts_any && (SSL_get_verify_mode(ssl.get()) & SSL_VERIFY_PEER) != 0) {
        failure = openssl_verify_error(verdict);
        out.fail(failure);
        return false;
      }
      wire.taken = 0;
      established = true;
      return true;
    }

    // Reads what can be read, each block as full as it gets.
    void open_records(codec_output& out) {
      buffer block;
      std::span<std::byte> room;
      std::size_t filled = 0;
      const auto hand_out = [&] {
        block.remove_suffix(room.size() - filled);
        out.data(std::move(block));
        room = {};
        filled = 0;
      };
      for (;;) {
        if (filled == room.size()) {
          if (filled != 0) hand_out();
          // No more plaintext than this can come of what is there.
          const std::size_t most = wire.input.size() + wire.taken + static_cast<std::size_t>(SSL_pending(ssl.get()));
          if (most == 0) return;
          block = buffer::allocate(most < most_at_once ? most : most_at_once);
          room = block.writable();
        }
        std::size_t count = 0;
        const int came_to = SSL_read_ex(ssl.get(), room.data() + filled, room.size() - filled, &count);
        if (came_to == 1) {
          filled += count;
          wire.taken = 0;
          if (!wire.input.empty() || SSL_pending(ssl.get()) != 0) continue;
          return hand_out();
        }
        if (filled != 0) hand_out();
        if (SSL_get_error(ssl.get(), came_to) == SSL_ERROR_ZERO_RETURN) return out.end();
        if (!wants_input(came_to)) return fail(out);
        if (SSL_has_pending(ssl.get()) == 0) wire.taken = 0;
        return;
      }
    }

    // Makes records of `plain`. OpenSSL has to wait for input in the middle of the peer's messages; what it does not
    // take then is kept and sent behind them.
    [[nodiscard]] std::error_code write(std::span<const std::byte> plain) {
      if (!held.empty()) return keep(plain);
      while (!plain.empty()) {
        const std::size_t part = plain.size() < record ? plain.size() : record;
        std::size_t count = 0;
        const int came_to = SSL_write_ex(ssl.get(), plain.data(), part, &count);
        if (came_to != 1) {
          if (wants_input(came_to)) return keep(plain);
          return give_up(seal_failure);
        }
        plain = plain.subspan(count);
      }
      return {};
    }
    [[nodiscard]] std::error_code hold(std::span<buffer> plain) {
      for (const buffer& one : plain)
        if (const std::error_code failed = keep(one.bytes())) return failed;
      return {};
    }
    [[nodiscard]] std::error_code keep(std::span<const std::byte> plain) {
      if (held.size() + plain.size() > most_held) return std::make_error_code(std::errc::no_buffer_space);
      held.append(reinterpret_cast<const char*>(plain.data()), plain.size());
      return {};
    }
    [[nodiscard]] std::error_code seal_held() {
      std::string all = std::exchange(held, std::string());
      try {
        const std::error_code failed = write(std::as_bytes(std::span<const char>(all)));
        if (failed) held = std::move(all);  // what was not sent remains held, so that its write fails
        return failed;
      } catch (...) {
        held = std::move(all);
        throw;
      }
    }

    [[nodiscard]] bool wants_input(int came_to) const noexcept {
      return !wire.out_of_memory && SSL_get_error(ssl.get(), came_to) == SSL_ERROR_WANT_READ;
    }
    // Nothing will be read after this, or nothing written.
    [[nodiscard]] std::error_code give_up(std::error_code& kept) {
      kept = detail::take_openssl_error();
      if (wire.out_of_memory) kept = std::make_error_code(std::errc::not_enough_memory);
      if (!kept) kept = openssl_error(ERR_PACK(ERR_LIB_SSL, 0, ERR_R_INTERNAL_ERROR));
      if (kept == openssl_error(ERR_PACK(ERR_LIB_SSL, 0, SSL_R_CERTIFICATE_VERIFY_FAILED))) {
        const long verdict = SSL_get_verify_result(ssl.get());
        if (verdict != X509_V_OK) kept = openssl_verify_error(verdict);
      }
      if (wire.out_of_memory) throw std::bad_alloc();
      return kept;
    }
    void fail(codec_output& out) { out.fail(give_up(failure)); }

    detail::openssl_wire wire;
    detail::openssl_ptr<SSL> ssl;
    std::string host;
    std::string held;  // accepted while OpenSSL was in the middle of a message of the peer's
    std::error_code failure;
    std::error_code seal_failure;  // of writing alone: what comes can still be read (law W7)
    bool established = false;
    bool in_message = false;  // OpenSSL has a part of a message of the peer's, and writes nothing until it has the rest
    bool update_wanted = false;
  };

  std::unique_ptr<state> state_;
};

static_assert(TlsEngine<openssl_engine>);

}  // namespace coflow::inline v0
