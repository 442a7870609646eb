/// \file
/// A certificate, to be looked at.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coflow/tls/detail/openssl_handles.hpp"

namespace coflow::inline v0 {

/// A handle on an X.509 certificate, or on none. Copies share it. All functions may throw std::bad_alloc, and give
/// nothing where there is no certificate.
class openssl_certificate {
 public:
  /// No certificate.
  openssl_certificate() noexcept {}
  /// Takes over a reference.
  explicit openssl_certificate(X509* owned) noexcept : held_(owned) {}
  openssl_certificate(const openssl_certificate& other) noexcept : held_(detail::another(other.held_.get())) {}
  openssl_certificate(openssl_certificate&&) noexcept = default;
  openssl_certificate& operator=(openssl_certificate other) noexcept {
    held_.swap(other.held_);
    return *this;
  }
  ~openssl_certificate() = default;

  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }

  /// Whom it is for: "CN = example.org, O = Example". Names hold what their makers put in them; what cannot be printed
  /// is escaped.
  [[nodiscard]] std::string subject() const { return held_ ? in_words(X509_get_subject_name(held_.get())) : ""; }
  /// Who has signed it.
  [[nodiscard]] std::string issuer() const { return held_ ? in_words(X509_get_issuer_name(held_.get())) : ""; }

  /// The host names and addresses that it is for (subjectAltName), as text.
  [[nodiscard]] std::vector<std::string> hosts() const {
    std::vector<std::string> all;
    if (!held_) return all;
    const detail::openssl_use use;
    const all_names names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(held_.get(), NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; i < sk_GENERAL_NAME_num(names.list); ++i) {
      int kind = 0;
      const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.list, i), &kind);
      const auto* text = static_cast<const ASN1_STRING*>(value);
      if (kind == GEN_DNS)
        all.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                         static_cast<std::size_t>(ASN1_STRING_length(text)));
      else if (kind == GEN_IPADD)
        all.push_back(address_in_words(ASN1_STRING_get0_data(text), ASN1_STRING_length(text)));
    }
    return all;
  }

  /// The whole certificate, in binary form.
  [[nodiscard]] std::string der() const {
    if (!held_) return {};
    const detail::openssl_use use;
    const int size = i2d_X509(held_.get(), nullptr);
    if (size <= 0) return {};
    std::string bytes(static_cast<std::size_t>(size), '\0');
    auto* at = reinterpret_cast<unsigned char*>(bytes.data());
    i2d_X509(held_.get(), &at);
    return bytes;
  }
  /// The whole certificate, as text between BEGIN CERTIFICATE and END CERTIFICATE.
  [[nodiscard]] std::string pem() const {
    if (!held_) return {};
    const detail::openssl_use use;
    const detail::openssl_ptr<BIO> into(detail::openssl_made(BIO_new(BIO_s_mem())));
    PEM_write_bio_X509(into.get(), held_.get());
    return taken(into.get());
  }
  /// The SHA-256 digest of the binary form, 64 lower-case hexadecimal digits: what one pins a certificate by.
  [[nodiscard]] std::string fingerprint() const {
    if (!held_) return {};
    const detail::openssl_use use;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_digest(held_.get(), EVP_sha256(), digest, &size) != 1) return {};
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      text.push_back(digits[digest[i] >> 4]);
      text.push_back(digits[digest[i] & 0xf]);
    }
    return text;
  }

  /// OpenSSL's own object, for what this class does not offer; null if there is none.
  [[nodiscard]] X509* native_handle() const noexcept { return held_.get(); }

 private:
  struct all_names {
    explicit all_names(GENERAL_NAMES* made) noexcept : list(made) {}
    all_names(const all_names&) = delete;
    all_names& operator=(const all_names&) = delete;
    ~all_names() { GENERAL_NAMES_free(list); }
    GENERAL_NAMES* list;
  };

  static std::string taken(BIO* from) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(from, &bytes);
    return size > 0 ? std::string(bytes, static_cast<std::size_t>(size)) : std::string();
  }
  static std::string in_words(X509_NAME* name) {
    const detail::openssl_use use;
    const detail::openssl_ptr<BIO> into(detail::openssl_made(BIO_new(BIO_s_mem())));
    X509_NAME_print_ex(into.get(), name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    return taken(into.get());
  }
  static std::string address_in_words(const unsigned char* bytes, int size) {
    std::string text;
    if (size == 4) {
      for (int i = 0; i < size; ++i) text += (i == 0 ? "" : ".") + std::to_string(bytes[i]);
      return text;
    }
    constexpr std::string_view digits = "0123456789abcdef";
    for (int i = 0; i < size; ++i) {
      if (i != 0 && i % 2 == 0) text.push_back(':');
      text.push_back(digits[bytes[i] >> 4]);
      text.push_back(digits[bytes[i] & 0xf]);
    }
    return text;
  }

  detail::openssl_ptr<X509> held_;
};

}  // namespace coflow::inline v0
