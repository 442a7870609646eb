#pragma once

// Certificates made on the spot, for tests: an authority, and what it signs.

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace support {

/// A certificate, those that lead to the authority, and the private key, in PEM.
struct identity {
  std::string chain;
  std::string key;
};

/// What a certificate says.
class request {
 public:
  explicit request(std::string common_name) : name_(std::move(common_name)) {}
  /// "DNS:example.org, IP:127.0.0.1"
  request& hosts(std::string names) {
    hosts_ = std::move(names);
    return *this;
  }
  /// Seconds from now.
  request& valid(long from, long until) {
    from_ = from;
    until_ = until;
    return *this;
  }
  /// With a key whose signatures are all of one size, so that handshakes are.
  request& even() {
    even_ = true;
    return *this;
  }
  request& for_clients() {
    usage_ = "clientAuth";
    return *this;
  }

 private:
  friend class authority;
  std::string name_;
  std::string hosts_;
  std::string usage_ = "serverAuth";
  bool even_ = false;
  long from_ = -3600;
  long until_ = 24 * 3600;
};

class authority {
 public:
  explicit authority(const std::string& name = "a test authority")
      : key_(new_key()), certificate_(X509_new(), X509_free) {
    fill(certificate_.get(), key_.get(), request(name));
    extend(NID_basic_constraints, "critical,CA:TRUE", certificate_.get());
    extend(NID_key_usage, "critical,keyCertSign,cRLSign", certificate_.get());
    sign(certificate_.get());
  }

  /// Its own certificate, for those who trust it.
  [[nodiscard]] std::string pem() const { return text_of(certificate_.get()); }

  [[nodiscard]] identity issue(const request& wanted) const {
    const auto key = new_key(wanted.even_);
    const std::unique_ptr<X509, void (*)(X509*)> made(X509_new(), X509_free);
    fill(made.get(), key.get(), wanted);
    if (!wanted.hosts_.empty()) extend(NID_subject_alt_name, wanted.hosts_, made.get());
    extend(NID_ext_key_usage, wanted.usage_, made.get());
    sign(made.get());
    return {text_of(made.get()), text_of(key.get())};
  }
  /// An authority whose certificate this one signs; both are trusted by whoever trusts this one.
  [[nodiscard]] authority intermediate(const std::string& name) const {
    authority below(name);
    X509_set_issuer_name(below.certificate_.get(), X509_get_subject_name(certificate_.get()));
    if (X509_sign(below.certificate_.get(), key_.get(), EVP_sha256()) == 0) throw std::runtime_error("X509_sign");
    return below;
  }

 private:
  using key_ptr = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;

  static key_ptr new_key(bool even = false) {
    return key_ptr(even ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519") : EVP_EC_gen("P-256"), EVP_PKEY_free);
  }

  void fill(X509* made, EVP_PKEY* key, const request& wanted) const {
    static long serial = 0;
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made), wanted.from_);
    X509_gmtime_adj(X509_getm_notAfter(made), wanted.until_);
    X509_set_pubkey(made, key);
    X509_NAME* name = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(wanted.name_.data()),
                               static_cast<int>(wanted.name_.size()), -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(made == certificate_.get() ? made : certificate_.get()));
  }
  void extend(int what, const std::string& value, X509* made) const {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate_.get(), made, nullptr, nullptr, 0);
    X509_EXTENSION* one = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
    if (one == nullptr) throw std::runtime_error("no extension " + value);
    X509_add_ext(made, one, -1);
    X509_EXTENSION_free(one);
  }
  void sign(X509* made) const {
    if (X509_sign(made, key_.get(), EVP_sha256()) == 0) throw std::runtime_error("X509_sign");
  }
  template <class T>
  static std::string text_of(T* what) {
    const std::unique_ptr<BIO, int (*)(BIO*)> into(BIO_new(BIO_s_mem()), BIO_free);
    if constexpr (std::is_same_v<T, X509>)
      PEM_write_bio_X509(into.get(), what);
    else
      PEM_write_bio_PrivateKey(into.get(), what, nullptr, nullptr, 0, nullptr, nullptr);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(into.get(), &bytes);
    return std::string(bytes, static_cast<std::size_t>(size));
  }

  key_ptr key_;
  std::unique_ptr<X509, void (*)(X509*)> certificate_;
};

/// A private key as a file holds it that wants a password.
inline std::string encrypted(const std::string& key, std::string password) {
  const std::unique_ptr<BIO, int (*)(BIO*)> from(BIO_new_mem_buf(key.data(), static_cast<int>(key.size())), BIO_free);
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> read(
      PEM_read_bio_PrivateKey(from.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  const std::unique_ptr<BIO, int (*)(BIO*)> into(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PrivateKey(into.get(), read.get(), EVP_aes_128_cbc(),
                           reinterpret_cast<const unsigned char*>(password.data()), static_cast<int>(password.size()),
                           nullptr, nullptr);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(into.get(), &bytes);
  return std::string(bytes, static_cast<std::size_t>(size));
}

}  // namespace support
