/// \file
/// Where OpenSSL reads and writes: the bytes that a codec is fed, and the output that it is given. No byte is stored in
/// between.
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/layer/codec.hpp"
#include "coflow/tls/detail/openssl_handles.hpp"

namespace coflow::inline v0 {
namespace detail {

/// The other side of a BIO. It stays where it is as long as the BIO lives.
struct openssl_wire {
  std::span<const std::byte> input;  // fed, and not taken by OpenSSL yet
  std::size_t taken = 0;             // by OpenSSL, for a record that is not opened yet
  codec_output* out = nullptr;       // null outside of a codec's function
  bool out_of_memory = false;        // so that a write has failed
  bool accepts_any = false;          // certificates do not matter
  openssl_ptr<SSL_SESSION> session;  // the ticket that came last
  openssl_ptr<X509> refused;         // the certificate that was not accepted

  [[nodiscard]] static openssl_wire& of(const SSL* ssl) noexcept {
    return *static_cast<openssl_wire*>(BIO_get_data(SSL_get_rbio(ssl)));
  }
};

inline int openssl_wire_read(BIO* bio, char* into, std::size_t size, std::size_t* count) noexcept {
  auto& wire = *static_cast<openssl_wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t part = size < wire.input.size() ? size : wire.input.size();
  if (part == 0) {
    *count = 0;
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(into, wire.input.data(), part);
  wire.input = wire.input.subspan(part);
  wire.taken += part;
  *count = part;
  return 1;
}

inline int openssl_wire_write(BIO* bio, const char* from, std::size_t size, std::size_t* count) noexcept {
  auto& wire = *static_cast<openssl_wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *count = 0;
  if (wire.out == nullptr) return 0;
  try {
    wire.out->send(buffer(std::as_bytes(std::span<const char>(from, size))));
  } catch (const std::bad_alloc&) {  // must not pass through C
    wire.out_of_memory = true;
    return 0;
  }
  *count = size;
  return 1;
}

inline long openssl_wire_control(BIO*, int what, long, void*) noexcept { return what == BIO_CTRL_FLUSH ? 1 : 0; }

/// What such BIOs do. Made once, and never freed; null if there was no memory for it.
[[nodiscard]] inline const BIO_METHOD* openssl_wire_method() noexcept {
  static const BIO_METHOD* const method = []() noexcept -> const BIO_METHOD* {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coflow");
    if (made == nullptr) return nullptr;
    BIO_meth_set_read_ex(made, openssl_wire_read);
    BIO_meth_set_write_ex(made, openssl_wire_write);
    BIO_meth_set_ctrl(made, openssl_wire_control);
    return made;
  }();
  return method;
}

/// Lets `ssl` read and write `wire`. Throws std::bad_alloc.
inline void openssl_connect(SSL* ssl, openssl_wire& wire) {
  BIO* const bio = openssl_made(BIO_new(openssl_wire_method()));
  BIO_set_data(bio, &wire);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
}

}  // namespace detail
}  // namespace coflow::inline v0
