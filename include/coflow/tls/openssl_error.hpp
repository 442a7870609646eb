/// \file
/// OpenSSL's errors as error codes, and what they mean.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include "coflow/tls/detail/openssl_handles.hpp"
#include "coflow/tls/tls_error.hpp"

namespace coflow::inline v0 {
namespace detail {

/// A code is an error of OpenSSL as its queue has it, library and reason; or, under a library number of coflow's own,
/// what the verification of a certificate said (X509_V_ERR_...).
struct openssl_number {
  static constexpr int verification = 0xff;
  static constexpr int first_alert = 1000;  // of the reasons that are alerts of the peer's
  static constexpr int last_alert = 1255;

  explicit openssl_number(int value) noexcept : library(value >> 23 & 0xff), reason(value & 0x7fffff) {}
  [[nodiscard]] static int of(int library, int reason) noexcept { return library << 23 | (reason & 0x7fffff); }

  [[nodiscard]] bool is_verification() const noexcept { return library == verification; }
  [[nodiscard]] bool is_alert() const noexcept {
    return library == ERR_LIB_SSL && reason >= first_alert && reason <= last_alert;
  }
  [[nodiscard]] int alert() const noexcept { return reason - first_alert; }

  int library;
  int reason;
};

[[nodiscard]] inline bool verification_is(tls_condition condition, int verdict) noexcept {
  switch (verdict) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return condition == tls_condition::certificate_expired;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return condition == tls_condition::certificate_wrong_host;
    case X509_V_ERR_CERT_REVOKED:
      return condition == tls_condition::certificate_revoked;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
      return condition == tls_condition::certificate_untrusted;
    default:
      return false;
  }
}

[[nodiscard]] inline bool alert_is(tls_condition condition, int alert) noexcept {
  switch (alert) {
    case SSL_AD_NO_CERTIFICATE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return condition == tls_condition::own_certificate_refused;
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_INSUFFICIENT_SECURITY:
      return condition == tls_condition::no_common_cipher;
    case SSL_AD_PROTOCOL_VERSION:
      return condition == tls_condition::no_common_version;
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return condition == tls_condition::no_common_application;
    case SSL_AD_BAD_RECORD_MAC:
      return condition == tls_condition::record_corrupted;
    default:
      return false;
  }
}

/// What a failure of this side's own, met while it talks to the peer, comes under; 0 for one inside of OpenSSL.
[[nodiscard]] inline tls_condition condition_of_reason(int reason) noexcept {
  if ((reason & ERR_RFLAG_COMMON) != 0) return tls_condition{};
  switch (reason) {
    case SSL_R_CALLBACK_FAILED:  // a choice by name that threw
      return tls_condition{};
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return tls_condition::certificate_refused;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return tls_condition::certificate_missing;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_BAD_RECORD_TYPE:
      return tls_condition::not_tls;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_WRONG_SSL_VERSION:
      return tls_condition::no_common_version;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
      return tls_condition::no_common_cipher;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return tls_condition::no_common_application;
    case SSL_R_DECRYPTION_FAILED:
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
      return tls_condition::record_corrupted;
    case SSL_R_BAD_VALUE:
    case SSL_R_NO_CIPHER_MATCH:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
    case SSL_R_CA_MD_TOO_WEAK:
      return tls_condition::bad_configuration;
    default:
      return tls_condition::protocol_violation;
  }
}

[[nodiscard]] inline bool openssl_has(openssl_number number, tls_condition condition) noexcept {
  if (number.is_verification())
    return condition == tls_condition::certificate_refused || verification_is(condition, number.reason);
  if (number.is_alert()) return condition == tls_condition::refused_by_peer || alert_is(condition, number.alert());
  if (number.library != ERR_LIB_SSL) return condition == tls_condition::bad_configuration;
  const tls_condition one = condition_of_reason(number.reason);
  if (one == condition) return true;
  // Whoever does not speak TLS, or changes its records, breaks its rules.
  return condition == tls_condition::protocol_violation &&
         (one == tls_condition::not_tls || one == tls_condition::record_corrupted);
}

class openssl_error_category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "openssl"; }
  [[nodiscard]] std::string message(int value) const override {
    const openssl_number number(value);
    if (number.is_verification())
      return std::string("certificate verify failed: ") + X509_verify_cert_error_string(number.reason);
    // The words may not be there yet.
    static_cast<void>(OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, nullptr));
    if (number.is_alert()) return "the peer ended the connection with the TLS alert: " + name_of_alert(value);
    const char* reason = ERR_reason_error_string(static_cast<unsigned long>(value));
    const char* library = ERR_lib_error_string(static_cast<unsigned long>(value));
    const std::string words = reason != nullptr ? reason : "OpenSSL error " + std::to_string(value);
    if (number.library != ERR_LIB_SSL) return library != nullptr ? words + " (" + library + ")" : words;
    switch (condition_of_reason(number.reason)) {
      case tls_condition::not_tls:
        return "the peer does not speak TLS here: " + words;
      case tls_condition::record_corrupted:
        return "a TLS record was changed on its way, or is not the peer's: " + words;
      case tls_condition::protocol_violation:
        return "the peer broke the rules of TLS: " + words;
      case tls_condition::certificate_missing:
        return "the peer sent no certificate, and one is required";
      default:
        return "TLS failed: " + words;
    }
  }
  [[nodiscard]] bool equivalent(int value, const std::error_condition& condition) const noexcept override {
    if (condition.category() == tls_condition_category())
      return openssl_has(openssl_number(value), static_cast<tls_condition>(condition.value()));
    return std::error_category::equivalent(value, condition);
  }

 private:
  // OpenSSL has two lists of names, and some alerts are in one of them only.
  static std::string name_of_alert(int value) {
    const std::string name = SSL_alert_desc_string_long(openssl_number(value).alert());
    const char* other = ERR_reason_error_string(static_cast<unsigned long>(value));
    if (name != "unknown" || other == nullptr) return name;
    constexpr std::string_view before = " alert ";
    const std::string_view whole(other);
    const std::size_t at = whole.find(before);
    return std::string(at == std::string_view::npos ? whole : whole.substr(at + before.size()));
  }
};

}  // namespace detail

/// The category of OpenSSL's errors; see `tls_condition` for what to compare its codes with. It has default visibility,
/// so that several shared libraries agree on it.
[[nodiscard, gnu::visibility("default")]] inline const std::error_category& openssl_category() noexcept {
  static const detail::openssl_error_category category;
  return category;
}

/// The code for an error as OpenSSL's queue gives it (`ERR_get_error`). A system error keeps its number in
/// `std::system_category`.
[[nodiscard]] inline std::error_code openssl_error(unsigned long queued) noexcept {
  if (ERR_SYSTEM_ERROR(queued)) return {ERR_GET_REASON(queued), std::system_category()};
  return {detail::openssl_number::of(ERR_GET_LIB(queued), ERR_GET_REASON(queued)), openssl_category()};
}

/// The code for what the verification of a certificate gave: X509_V_ERR_HOSTNAME_MISMATCH and the like.
[[nodiscard]] inline std::error_code openssl_verify_error(long verdict) noexcept {
  return {detail::openssl_number::of(detail::openssl_number::verification, static_cast<int>(verdict)),
          openssl_category()};
}

namespace detail {

/// Empties the thread's error queue, and gives what says most: the first error of the TLS library itself, or the first
/// of all. No code if it was empty.
[[nodiscard]] inline std::error_code take_openssl_error() noexcept {
  unsigned long best = 0;
  while (const unsigned long queued = ERR_get_error()) {
    const bool of_tls = ERR_GET_LIB(queued) == ERR_LIB_SSL;
    if (best == 0 || (of_tls && !ERR_SYSTEM_ERROR(best) && ERR_GET_LIB(best) != ERR_LIB_SSL)) best = queued;
  }
  if (best == 0) return {};
  ERR_clear_error();  // what is empty still moves through its slots, and each keeps the texts of its last error
  if (ERR_GET_REASON(best) == ERR_R_MALLOC_FAILURE) return std::make_error_code(std::errc::not_enough_memory);
  return openssl_error(best);
}

}  // namespace detail
}  // namespace coflow::inline v0
