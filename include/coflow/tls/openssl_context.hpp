/// \file
/// What the TLS connections of a program have in common: certificates, trust, and what may be agreed on.
#pragma once

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/result.hpp"
#include "coflow/tls/detail/openssl_files.hpp"
#include "coflow/tls/detail/openssl_handles.hpp"
#include "coflow/tls/detail/openssl_wire.hpp"
#include "coflow/tls/openssl_engine.hpp"
#include "coflow/tls/openssl_error.hpp"
#include "coflow/tls/openssl_options.hpp"
#include "coflow/tls/tls_error.hpp"

namespace coflow::inline v0 {

/// A handle on an SSL_CTX that is set up. Copies share it; it may be used by several threads at once. It makes the
/// engines for `tls_client` and `tls_server`, and the connections that it has made may outlive it.
///
/// TLS 1.2 and 1.3; no compression, no renegotiation. Clients verify the chain of the server's certificate, and that it
/// is for the host that was asked for.
class openssl_context {
 public:
  /// A context for clients. Errors say which file or setting cannot be used, and why. Throws std::bad_alloc.
  [[nodiscard]] static result<openssl_context, tls_error> client(openssl_options options = {}) {
    return make(TLS_client_method(), std::move(options), true);
  }
  /// A context for servers, which need a certificate. Errors: as for `client`.
  [[nodiscard]] static result<openssl_context, tls_error> server(openssl_options options) {
    return make(TLS_server_method(), std::move(options), false);
  }

  openssl_context(const openssl_context& other) : held_(detail::another(other.held_.get())), session_(other.session_) {}
  openssl_context(openssl_context&&) noexcept = default;
  openssl_context& operator=(openssl_context other) noexcept {
    held_.swap(other.held_);
    std::swap(session_, other.session_);
    return *this;
  }
  ~openssl_context() = default;

  /// The same, for one client that takes up `session` with the host that it is with. A session that the server does not
  /// want, an empty one, or one of a context that was made apart from this, whose trust may be another, makes a full
  /// handshake.
  [[nodiscard]] openssl_context resuming(openssl_session session) const {
    openssl_context other(*this);
    other.session_ = std::move(session);
    return other;
  }

  /// An engine for a client of `host`, a name or an address (brackets and a final dot are allowed). Errors: a host that
  /// nobody can have a certificate for, such as one with other characters than letters, digits, "-", "_" and ".", or
  /// with a dot in front. Throws std::bad_alloc.
  [[nodiscard]] result<openssl_engine, tls_error> client_engine(const std::string& host) const {
    const detail::openssl_use use;
    detail::openssl_ptr<SSL> ssl(detail::openssl_made(SSL_new(held_.get())));
    SSL_set_connect_state(ssl.get());
    const bool accepts_any = details().accepts_any;
    if (!name_host(ssl.get(), host) && !accepts_any)
      return tls_error(std::make_error_code(std::errc::invalid_argument),
                       "the certificate cannot be verified: this is no name or address of a host", host);
    if (session_ && session_.host() == host && is_own(session_)) SSL_set_session(ssl.get(), session_.native_handle());
    return openssl_engine(std::move(ssl), host, accepts_any);
  }
  /// An engine for a server. Throws std::bad_alloc.
  [[nodiscard]] result<openssl_engine, tls_error> server_engine() const {
    const detail::openssl_use use;
    detail::openssl_ptr<SSL> ssl(detail::openssl_made(SSL_new(held_.get())));
    SSL_set_accept_state(ssl.get());
    return openssl_engine(std::move(ssl), std::string(), details().accepts_any);
  }

  /// OpenSSL's own object, for what the options do not offer. Set it up before connections are made.
  [[nodiscard]] SSL_CTX* native_handle() const noexcept { return held_.get(); }

 private:
  // What belongs to an SSL_CTX, and goes with it.
  struct shared {
    std::function<std::optional<openssl_context>(std::string_view)> choose;
    std::string protocols;  // as they stand on the wire
    detail::key_log log;
    unsigned char name[16] = {};  // what tells its sessions from those of others
    bool accepts_any = false;

    static int index() noexcept {
      static const int mine = CRYPTO_get_ex_new_index(
          CRYPTO_EX_INDEX_SSL_CTX, 0, nullptr, nullptr, nullptr,
          [](void*, void* held, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<shared*>(held); });
      return mine;
    }
    static shared& of(const SSL_CTX* context) noexcept {
      return *static_cast<shared*>(SSL_CTX_get_ex_data(context, index()));
    }
  };

  explicit openssl_context(detail::openssl_ptr<SSL_CTX> made) noexcept : held_(std::move(made)) {}

  [[nodiscard]] shared& details() const noexcept { return shared::of(held_.get()); }

  [[nodiscard]] static result<openssl_context, tls_error> make(const SSL_METHOD* method, openssl_options options,
                                                               bool client) {
    const detail::openssl_use use;
    detail::openssl_ptr<SSL_CTX> made(detail::openssl_made(SSL_CTX_new(method)));
    auto fresh = std::make_unique<shared>();
    if (SSL_CTX_set_ex_data(made.get(), shared::index(), fresh.get()) != 1) throw std::bad_alloc();
    shared& held = *fresh.release();
    held.choose = std::move(options.choose_);
    held.accepts_any = options.accept_any_;
    openssl_context context(std::move(made));
    for (const auto step : {&openssl_context::set_manners, &openssl_context::set_identity, &openssl_context::set_trust,
                            &openssl_context::set_choices, &openssl_context::set_log})
      if (tls_error failed = (context.*step)(options, client); failed.code()) return failed;
    return context;
  }

  [[nodiscard]] static tls_error unusable(const std::string& what) {
    std::error_code why = detail::take_openssl_error();
    if (!why) why = openssl_error(ERR_PACK(ERR_LIB_SSL, 0, ERR_R_INTERNAL_ERROR));
    return tls_error(why, "cannot use " + what + ": " + why.message());
  }
  // Not for what a file says, but for what the program does.
  [[nodiscard]] static tls_error bad_setting(const std::string& what) {
    ERR_clear_error();
    return tls_error(openssl_error(ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_VALUE)), what);
  }

  // ---- the steps of setting one up

  [[nodiscard]] tls_error set_manners(openssl_options& options, bool client) {
    SSL_CTX* const ctx = held_.get();
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    const auto number = [](tls_version one) { return one == tls_version::v1_2 ? TLS1_2_VERSION : TLS1_3_VERSION; };
    if (options.minimum_ > options.maximum_) return bad_setting("the minimum TLS version is above the maximum version");
    if (SSL_CTX_set_min_proto_version(ctx, number(options.minimum_)) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, number(options.maximum_)) != 1)
      return unusable("these TLS versions");
    // Sessions of another context, which may trust others, are none here.
    unsigned char(&name)[16] = details().name;
    if (RAND_bytes(name, sizeof name) != 1 || SSL_CTX_set_session_id_context(ctx, name, sizeof name) != 1)
      return unusable("the random numbers of OpenSSL");
    if (client) {
      SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
      SSL_CTX_sess_set_new_cb(ctx, keep_session);
    } else {
      SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);  // they live in tickets
      if (!options.tickets_) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
      }
    }
    return {};
  }

  [[nodiscard]] tls_error set_identity(openssl_options& options, bool client) {
    SSL_CTX* const ctx = held_.get();
    if (options.chain_.text.empty() && options.key_.text.empty()) {
      if (client || details().choose) return {};
      return bad_setting("a TLS server needs a certificate and its private key");
    }
    detail::secret_text text;
    if (tls_error failed = load(options.chain_, "the certificate chain", text); failed.code()) return failed;
    std::vector<detail::openssl_ptr<X509>> chain = detail::read_certificates(text);
    if (chain.empty()) return unusable(named(options.chain_, "the certificate chain"));
    if (SSL_CTX_use_certificate(ctx, chain.front().get()) != 1)
      return unusable(named(options.chain_, "the certificate"));
    for (std::size_t i = 1; i < chain.size(); ++i)
      if (SSL_CTX_add1_chain_cert(ctx, chain[i].get()) != 1)
        return unusable(named(options.chain_, "the certificate chain"));

    detail::secret_text secret;
    if (tls_error failed = load(options.key_, "the private key", secret); failed.code()) return failed;
    const detail::openssl_ptr<EVP_PKEY> key = detail::read_key(secret, options.password_);
    if (key == nullptr) return unusable(named(options.key_, "the private key"));
    if (SSL_CTX_use_PrivateKey(ctx, key.get()) != 1 || SSL_CTX_check_private_key(ctx) != 1)
      return unusable(named(options.key_, "the private key"));
    return {};
  }

  [[nodiscard]] tls_error set_trust(openssl_options& options, bool client) {
    SSL_CTX* const ctx = held_.get();
    for (const openssl_options::source& one : options.trusted_) {
      detail::secret_text text;
      if (tls_error failed = load(one, "the trusted certificates", text); failed.code()) return failed;
      const std::vector<detail::openssl_ptr<X509>> all = detail::read_certificates(text);
      if (all.empty()) return unusable(named(one, "the trusted certificates"));
      for (const detail::openssl_ptr<X509>& authority : all) {
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), authority.get()) != 1)
          return unusable(named(one, "the trusted certificates"));
        if (!client && SSL_CTX_add_client_CA(ctx, authority.get()) != 1) throw std::bad_alloc();
      }
    }
    if ((options.trust_system_ || (client && options.trusted_.empty())) && !options.accept_any_ &&
        SSL_CTX_set_default_verify_paths(ctx) != 1)
      return unusable("the certificates that the system trusts");

    using wish = openssl_options::wish;
    int mode = SSL_VERIFY_NONE;
    if (client || options.client_certificate_ != wish::none) mode = SSL_VERIFY_PEER;
    if (options.client_certificate_ == wish::required) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, options.accept_any_ ? accept_any : note_refused);
    return {};
  }

  [[nodiscard]] tls_error set_choices(openssl_options& options, bool client) {
    SSL_CTX* const ctx = held_.get();
    if (!options.ciphers_.empty() && SSL_CTX_set_cipher_list(ctx, options.ciphers_.c_str()) != 1)
      return bad_setting("no cipher of TLS 1.2 is called \"" + options.ciphers_ + "\"");
    if (!options.suites_.empty() && SSL_CTX_set_ciphersuites(ctx, options.suites_.c_str()) != 1)
      return bad_setting("no cipher suite of TLS 1.3 is called \"" + options.suites_ + "\"");
    std::string& wire = details().protocols;
    for (const std::string& one : options.protocols_) {
      if (one.empty() || one.size() > 255) return bad_setting("the name of an application protocol has 1 to 255 bytes");
      wire.push_back(static_cast<char>(one.size()));
      wire.append(one);
    }
    if (!wire.empty() && client) {
      if (SSL_CTX_set_alpn_protos(ctx, protocol_bytes(wire), static_cast<unsigned>(wire.size())) != 0)
        return unusable("the application protocols");
    } else if (!wire.empty()) {
      SSL_CTX_set_alpn_select_cb(ctx, select_protocol, &details());
    }
    if (!client && details().choose) SSL_CTX_set_client_hello_cb(ctx, choose_context, &details());
    if (!client) SSL_CTX_set_tlsext_servername_callback(ctx, take_name);
    return {};
  }

  [[nodiscard]] tls_error set_log(openssl_options& options, bool) {
    std::string path = options.key_log_;
    if (path.empty() && options.key_log_from_environment_)
      if (const char* named_there = std::getenv("SSLKEYLOGFILE")) path = named_there;
    if (path.empty()) return {};
    if (const int failed = details().log.open(path))
      return tls_error(std::error_code(failed, std::system_category()),
                       "cannot open the key log " + path + ": " + std::system_category().message(failed));
    SSL_CTX_set_keylog_callback(
        held_.get(), [](const SSL* ssl, const char* line) { shared::of(SSL_get_SSL_CTX(ssl)).log.append(line); });
    return {};
  }

  [[nodiscard]] static std::string named(const openssl_options::source& from, const char* what) {
    return from.is_file ? std::string(what) + " in " + from.text : std::string(what);
  }
  [[nodiscard]] static tls_error load(const openssl_options::source& from, const char* what,
                                      detail::secret_text& into) {
    if (!from.is_file) {
      into.assign(from.text);
      return {};
    }
    if (const int failed = into.read_file(from.text))
      return tls_error(std::error_code(failed, std::system_category()),
                       "cannot read " + named(from, what) + ": " + std::system_category().message(failed));
    return {};
  }

  // ---- the steps of making a connection

  // A session of another context was verified by what that trusts, under what that is.
  [[nodiscard]] bool is_own(const openssl_session& session) const noexcept {
    unsigned size = 0;
    const unsigned char* const name = SSL_SESSION_get0_id_context(session.native_handle(), &size);
    return size == sizeof(shared::name) && std::memcmp(name, details().name, size) == 0;
  }

  // Tells `ssl` whom it talks to: in the server's hearing, and for the verification. False if that cannot be anybody.
  [[nodiscard]] static bool name_host(SSL* ssl, std::string host) {
    if (host.find('\0') != std::string::npos) return false;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (!host.empty() && host.back() == '.') host.pop_back();
    // OpenSSL's own readers of addresses take text behind them, and leading zeros.
    X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl);
    const std::string address = host.substr(0, host.find('%'));  // a zone is this machine's own affair
    unsigned char bytes[16];
    if (::inet_pton(AF_INET, host.c_str(), bytes) == 1) return X509_VERIFY_PARAM_set1_ip(wanted, bytes, 4) == 1;
    if (::inet_pton(AF_INET6, address.c_str(), bytes) == 1) return X509_VERIFY_PARAM_set1_ip(wanted, bytes, 16) == 1;
    // A name that begins with a dot would stand for every name below, and one with a star for a wildcard.
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (host.empty() || host.size() > TLSEXT_MAXLEN_host_name || host.front() == '.') return false;
    if (host.find_first_not_of(letters) != std::string::npos) return false;
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 &&
           X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size()) == 1;
  }

  // ---- what OpenSSL calls; no exception passes through it

  static const unsigned char* protocol_bytes(const std::string& text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
  }
  static int keep_session(SSL* ssl, SSL_SESSION* owned) noexcept {
    detail::openssl_wire::of(ssl).session.reset(owned);
    return 1;
  }
  static int accept_any(int, X509_STORE_CTX*) noexcept { return 1; }
  static int note_refused(int good, X509_STORE_CTX* store) noexcept {
    if (good == 1) return 1;
    const void* ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (ssl != nullptr)
      detail::openssl_wire::of(static_cast<const SSL*>(ssl)).refused =
          detail::another(X509_STORE_CTX_get_current_cert(store));
    return 0;
  }
  static int select_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                             unsigned count, void* of) noexcept {
    const std::string& ours = static_cast<shared*>(of)->protocols;
    unsigned char* picked = nullptr;
    const int came_to =
        SSL_select_next_proto(&picked, size, protocol_bytes(ours), static_cast<unsigned>(ours.size()), offered, count);
    *chosen = picked;
    return came_to == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  // The host that the client names (RFC 6066, 3): a list of one entry, of the type "host name".
  static std::string_view name_in_hello(SSL* ssl) noexcept {
    const unsigned char* bytes = nullptr;
    std::size_t size = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1 || size < 5) return {};
    const auto number = [bytes](std::size_t at) { return std::size_t{bytes[at]} << 8 | bytes[at + 1]; };
    if (number(0) != size - 2 || bytes[2] != TLSEXT_NAMETYPE_host_name || number(3) != size - 5) return {};
    return {reinterpret_cast<const char*>(bytes) + 5, size - 5};
  }
  // Any name will do: that it was taken is remembered with the session.
  static int take_name(SSL* ssl, int*, void*) noexcept {
    const bool named = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != nullptr;
    return named ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
  }
  // Before sessions are looked at, so that a ticket of one name opens no connection to another, which may trust others.
  static int choose_context(SSL* ssl, int* alert, void* of) noexcept {
    const std::string_view name = name_in_hello(ssl);
    if (name.empty()) return SSL_CLIENT_HELLO_SUCCESS;
    try {
      const std::optional<openssl_context> chosen = static_cast<shared*>(of)->choose(name);
      if (!chosen) return SSL_CLIENT_HELLO_SUCCESS;
      SSL_CTX* const with = chosen->native_handle();
      if (SSL_set_SSL_CTX(ssl, with) == nullptr) throw std::bad_alloc();
      // The context is not all that a connection has taken from the first one.
      SSL_set_verify(ssl, SSL_CTX_get_verify_mode(with), SSL_CTX_get_verify_callback(with));
      detail::openssl_wire::of(ssl).accepts_any = chosen->details().accepts_any;
      return SSL_CLIENT_HELLO_SUCCESS;
    } catch (...) {
      *alert = SSL_AD_INTERNAL_ERROR;
      return SSL_CLIENT_HELLO_ERROR;
    }
  }

  detail::openssl_ptr<SSL_CTX> held_;
  openssl_session session_;
};

static_assert(TlsClientContext<openssl_context>);
static_assert(TlsServerContext<openssl_context>);

}  // namespace coflow::inline v0
