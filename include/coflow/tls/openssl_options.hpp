/// \file
/// What can be chosen about the TLS of a program, with OpenSSL behind it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coflow::inline v0 {

class openssl_context;

/// Versions of the protocol. Older ones are broken, and not to be had.
enum class tls_version { v1_2, v1_3 };

/// Options of `openssl_context::client` and `openssl_context::server`, which read the files that are named here and say
/// what is wrong with them. Setters give the object back:
/// `openssl_options().certificate_files("chain.pem", "key.pem").application_protocols({"h2", "http/1.1"})`.
class openssl_options {
 public:
  openssl_options() noexcept {}

  // ---- who this side is

  /// This side's certificate and its private key, in PEM. The chain begins with this side's own certificate; then come
  /// those that lead to, but need not include, an authority that the peer trusts.
  openssl_options& certificate(std::string chain, std::string key) {
    chain_ = source(false, std::move(chain));
    key_ = source(false, std::move(key));
    return *this;
  }
  /// The same from files.
  openssl_options& certificate_files(std::string chain, std::string key) {
    chain_ = source(true, std::move(chain));
    key_ = source(true, std::move(key));
    return *this;
  }
  /// What the key is encrypted with. Without it an encrypted key is an error; nobody is asked on a terminal.
  openssl_options& key_password(std::string password) {
    password_ = std::move(password);
    return *this;
  }

  // ---- whom it trusts

  /// Certificates of authorities to trust, in PEM. As often as is wanted. Where any are named, the system's authorities
  /// are not trusted unless `trust_system` says so.
  openssl_options& trust(std::string authorities) {
    trusted_.emplace_back(false, std::move(authorities));
    return *this;
  }
  /// The same from a file.
  openssl_options& trust_file(std::string path) {
    trusted_.emplace_back(true, std::move(path));
    return *this;
  }
  /// Trusts the authorities that the system trusts. Clients do unless others are named.
  openssl_options& trust_system() noexcept {
    trust_system_ = true;
    return *this;
  }
  /// A server asks its clients for a certificate, and refuses those that send one that it does not trust.
  openssl_options& request_client_certificate() noexcept {
    if (client_certificate_ == wish::none) client_certificate_ = wish::requested;
    return *this;
  }
  /// A server refuses clients without a certificate that it trusts (mutual TLS).
  openssl_options& require_client_certificate() noexcept {
    client_certificate_ = wish::required;
    return *this;
  }
  /// Takes every certificate from anybody, for any host. Whoever is on the way can then read and change everything:
  /// this is for tests, and for those who look at `peer_certificate` themselves.
  openssl_options& dangerously_accept_any_certificate() noexcept {
    accept_any_ = true;
    return *this;
  }

  // ---- what is agreed on

  /// The protocols that are spoken inside, best first (ALPN). A server takes the first of its own that the client has,
  /// and refuses a client that offers others only; a client that offers none is served.
  openssl_options& application_protocols(std::vector<std::string> best_first) {
    protocols_ = std::move(best_first);
    return *this;
  }
  /// TLS 1.2 unless set.
  openssl_options& minimum_version(tls_version version) noexcept {
    minimum_ = version;
    return *this;
  }
  /// The newest there is, unless set.
  openssl_options& maximum_version(tls_version version) noexcept {
    maximum_ = version;
    return *this;
  }
  /// The cipher suites for TLS 1.2, in OpenSSL's notation: "ECDHE+AESGCM". OpenSSL's default unless set.
  openssl_options& ciphers(std::string list) {
    ciphers_ = std::move(list);
    return *this;
  }
  /// The cipher suites for TLS 1.3: "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256".
  openssl_options& cipher_suites(std::string list) {
    suites_ = std::move(list);
    return *this;
  }
  /// A server gives its clients no tickets, so that every connection has a full handshake.
  openssl_options& without_tickets() noexcept {
    tickets_ = false;
    return *this;
  }

  /// A server calls `choose(name)` for a client that names the host it wants (SNI), and goes on with the certificate,
  /// the trust and the application protocols of the context that this gives, or with its own if that is none. Versions
  /// and ciphers remain those of the first context. An exception refuses the client.
  openssl_options& choose_by_name(std::function<std::optional<openssl_context>(std::string_view)> choose) {
    choose_ = std::move(choose);
    return *this;
  }

  // ---- for those who look into it

  /// Appends the secrets of every connection to a file, for tools that decipher what was recorded on the wire. Whoever
  /// can read it can read everything: it is made for its owner only, and nothing is logged unless this is called.
  openssl_options& key_log_file(std::string path) {
    key_log_ = std::move(path);
    return *this;
  }
  /// The same to the file that the environment variable SSLKEYLOGFILE names, if it is set. The variable alone does
  /// nothing: whoever controls the environment of a program need not be allowed to listen to it.
  openssl_options& key_log_from_environment() noexcept {
    key_log_from_environment_ = true;
    return *this;
  }

 private:
  friend class openssl_context;

  enum class wish { none, requested, required };
  struct source {
    source() noexcept {}
    source(bool from_file, std::string what) noexcept : is_file(from_file), text(std::move(what)) {}
    bool is_file = false;
    std::string text;  // the path, or the PEM itself
  };

  source chain_;
  source key_;
  std::string password_;
  std::vector<source> trusted_;
  std::vector<std::string> protocols_;
  std::string ciphers_;
  std::string suites_;
  std::string key_log_;
  std::function<std::optional<openssl_context>(std::string_view)> choose_;
  tls_version minimum_ = tls_version::v1_2;
  tls_version maximum_ = tls_version::v1_3;
  wish client_certificate_ = wish::none;
  bool trust_system_ = false;
  bool accept_any_ = false;
  bool tickets_ = true;
  bool key_log_from_environment_ = false;
};

}  // namespace coflow::inline v0
