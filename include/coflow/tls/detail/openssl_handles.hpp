/// \file
/// What OpenSSL counts and frees, as owners; and its error queue, which belongs to the thread.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <new>

namespace coflow::inline v0 {
namespace detail {

struct openssl_deleter {
  void operator()(SSL* one) const noexcept { SSL_free(one); }
  void operator()(SSL_CTX* one) const noexcept { SSL_CTX_free(one); }
  void operator()(SSL_SESSION* one) const noexcept { SSL_SESSION_free(one); }
  void operator()(X509* one) const noexcept { X509_free(one); }
  void operator()(EVP_PKEY* one) const noexcept { EVP_PKEY_free(one); }
  void operator()(BIO* one) const noexcept { BIO_free(one); }
};
template <class T>
using openssl_ptr = std::unique_ptr<T, openssl_deleter>;

/// `made`, which is a null pointer only where there is no memory.
template <class T>
[[nodiscard]] T* openssl_made(T* made) {
  if (made == nullptr) throw std::bad_alloc();
  return made;
}

[[nodiscard]] inline openssl_ptr<X509> another(X509* one) noexcept {
  if (one != nullptr) X509_up_ref(one);
  return openssl_ptr<X509>(one);
}
[[nodiscard]] inline openssl_ptr<SSL_SESSION> another(SSL_SESSION* one) noexcept {
  if (one != nullptr) SSL_SESSION_up_ref(one);
  return openssl_ptr<SSL_SESSION>(one);
}
[[nodiscard]] inline openssl_ptr<SSL_CTX> another(SSL_CTX* one) noexcept {
  if (one != nullptr) SSL_CTX_up_ref(one);
  return openssl_ptr<SSL_CTX>(one);
}

/// Around every use of OpenSSL: nothing that an earlier one has left in the thread's error queue is mistaken for a
/// failure of this one, and this one leaves nothing behind.
class openssl_use {
 public:
  openssl_use() noexcept { clear(); }
  openssl_use(const openssl_use&) = delete;
  openssl_use& operator=(const openssl_use&) = delete;
  ~openssl_use() { clear(); }

 private:
  // To look costs some instructions, to clear what is empty several hundred.
  static void clear() noexcept {
    if (ERR_peek_error() != 0) ERR_clear_error();
  }
};

}  // namespace detail
}  // namespace coflow::inline v0
