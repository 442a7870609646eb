// OpenSSL's errors as codes: what they say, and the conditions that they have.
#include <openssl/evperr.h>
#include <openssl/pemerr.h>

#include <cerrno>
#include <coflow/tls/openssl_error.hpp>
#include <string>
#include <system_error>

#include "support/catch.hpp"

namespace {

using coflow::openssl_category;
using coflow::openssl_error;
using coflow::openssl_verify_error;
using coflow::tls_condition;

std::error_code of_tls(int reason) { return openssl_error(ERR_PACK(ERR_LIB_SSL, 0, reason)); }

TEST_CASE("what a verification said is a code that is stable to compare", "[openssl_error]") {
  const std::error_code expired = openssl_verify_error(X509_V_ERR_CERT_HAS_EXPIRED);
  CHECK(expired == openssl_verify_error(X509_V_ERR_CERT_HAS_EXPIRED));
  CHECK(expired != openssl_verify_error(X509_V_ERR_CERT_REVOKED));
  CHECK(expired == tls_condition::certificate_expired);
  CHECK(expired == tls_condition::certificate_refused);
  CHECK(expired != tls_condition::protocol_violation);
  CHECK(expired.message() == "certificate verify failed: certificate has expired");
  CHECK(openssl_verify_error(X509_V_ERR_CERT_REVOKED) == tls_condition::certificate_revoked);
  CHECK(openssl_verify_error(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT) == tls_condition::certificate_untrusted);
}

struct meaning {
  int reason;
  tls_condition condition;
  const char* message;
};

TEST_CASE("each reason has its condition, and says what a person can act on", "[openssl_error]") {
  const meaning all[] = {
      {SSL_R_WRONG_VERSION_NUMBER, tls_condition::not_tls, "the peer does not speak TLS here: wrong version number"},
      {SSL_R_HTTP_REQUEST, tls_condition::not_tls, "the peer does not speak TLS here: http request"},
      {SSL_R_WRONG_VERSION_NUMBER, tls_condition::protocol_violation, nullptr},
      {SSL_R_UNSUPPORTED_PROTOCOL, tls_condition::no_common_version, "TLS failed: unsupported protocol"},
      {SSL_R_NO_SHARED_CIPHER, tls_condition::no_common_cipher, "TLS failed: no shared cipher"},
      {SSL_R_NO_APPLICATION_PROTOCOL, tls_condition::no_common_application, nullptr},
      {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, tls_condition::certificate_missing, nullptr},
      {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, tls_condition::record_corrupted, nullptr},
      {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, tls_condition::protocol_violation, nullptr},
      {SSL_R_UNEXPECTED_MESSAGE, tls_condition::protocol_violation,
       "the peer broke the rules of TLS: unexpected message"},
      {SSL_R_TLSV1_ALERT_UNKNOWN_CA, tls_condition::own_certificate_refused,
       "the peer ended the connection with the TLS alert: unknown CA"},
      {SSL_R_TLSV1_ALERT_UNKNOWN_CA, tls_condition::refused_by_peer, nullptr},
      {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, tls_condition::own_certificate_refused,
       "the peer ended the connection with the TLS alert: certificate required"},
      {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, tls_condition::no_common_cipher, nullptr},
      {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, tls_condition::no_common_version, nullptr},
      {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, tls_condition::no_common_application, nullptr},
      {SSL_R_SSLV3_ALERT_BAD_RECORD_MAC, tls_condition::record_corrupted, nullptr},
  };
  for (const meaning& one : all) {
    INFO(one.reason);
    CHECK(of_tls(one.reason) == one.condition);
    if (one.message != nullptr) CHECK(of_tls(one.reason).message() == one.message);
  }
  CHECK(of_tls(SSL_R_TLSV1_ALERT_INTERNAL_ERROR) != tls_condition::protocol_violation);
  CHECK(of_tls(SSL_R_UNEXPECTED_MESSAGE) != tls_condition::refused_by_peer);
}

TEST_CASE("what goes wrong inside of OpenSSL is nobody's violation", "[openssl_error]") {
  const std::error_code internal = openssl_error(ERR_PACK(ERR_LIB_SSL, 0, ERR_R_INTERNAL_ERROR));
  CHECK(internal != tls_condition::protocol_violation);
  CHECK(internal != tls_condition::refused_by_peer);
  CHECK(internal.message() == "TLS failed: internal error");
}

TEST_CASE("what is wrong with a file is this side's configuration", "[openssl_error]") {
  const std::error_code code = openssl_error(ERR_PACK(ERR_LIB_PEM, 0, PEM_R_NO_START_LINE));
  CHECK(code == tls_condition::bad_configuration);
  CHECK(code.message() == "no start line (PEM routines)");
  CHECK(code.category() == openssl_category());
  CHECK(std::string(openssl_category().name()) == "openssl");
  CHECK(openssl_error(ERR_PACK(200, 0, 5)).message() == "OpenSSL error " + std::to_string(200 << 23 | 5));
}

TEST_CASE("a system error keeps its number", "[openssl_error]") {
  const std::error_code code = openssl_error(static_cast<unsigned long>(ENOENT) | ERR_SYSTEM_FLAG);
  CHECK(code == std::errc::no_such_file_or_directory);
}

TEST_CASE("of several errors that are queued the one that says most is taken", "[openssl_error]") {
  ERR_clear_error();
  CHECK(!coflow::detail::take_openssl_error());
  ERR_raise(ERR_LIB_EVP, EVP_R_BAD_DECRYPT);
  ERR_raise(ERR_LIB_SSL, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
  ERR_raise(ERR_LIB_SSL, SSL_R_UNEXPECTED_MESSAGE);
  CHECK(coflow::detail::take_openssl_error() == of_tls(SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC));
  CHECK(ERR_peek_error() == 0);
  ERR_raise(ERR_LIB_SSL, ERR_R_MALLOC_FAILURE);
  CHECK(coflow::detail::take_openssl_error() == std::errc::not_enough_memory);
}

}  // namespace
