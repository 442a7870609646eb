/// \file
/// Certificates and keys in PEM, from files or memory, and the file that secrets are logged to.
#pragma once

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/tls/detail/openssl_handles.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Text that is wiped when it is no longer needed, because there may be a key in it.
class secret_text {
 public:
  secret_text() noexcept {}
  secret_text(const secret_text&) = delete;
  secret_text& operator=(const secret_text&) = delete;
  ~secret_text() { OPENSSL_cleanse(text_.data(), text_.size()); }

  /// An errno value, or 0.
  [[nodiscard]] int read_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    int failed = 0;
    std::size_t size = 0;
    text_.assign(64 * 1024, '\0');  // more is not worth a second look, and must not leave copies about
    for (;;) {
      const ::ssize_t got = ::read(fd, text_.data() + size, text_.size() - size);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) failed = errno;
      if (got <= 0) break;
      size += static_cast<std::size_t>(got);
      if (size == text_.size()) grow();
    }
    ::close(fd);
    text_.resize(size);
    return failed;
  }
  void assign(std::string_view text) { text_.assign(text); }

  /// A source that reads the text, which must live as long. Throws std::bad_alloc.
  [[nodiscard]] openssl_ptr<BIO> source() const {
    const int size = text_.size() < INT_MAX ? static_cast<int>(text_.size()) : INT_MAX;
    return openssl_ptr<BIO>(openssl_made(BIO_new_mem_buf(text_.data(), size)));
  }

 private:
  void grow() {
    std::string larger(text_.size() * 2, '\0');
    std::memcpy(larger.data(), text_.data(), text_.size());
    larger.swap(text_);
    OPENSSL_cleanse(larger.data(), larger.size());
  }

  std::string text_;
};

/// Every certificate in the text, in order; none if one of them cannot be read, which the error queue then tells of.
[[nodiscard]] inline std::vector<openssl_ptr<X509>> read_certificates(const secret_text& text) {
  std::vector<openssl_ptr<X509>> all;
  const openssl_ptr<BIO> from = text.source();
  for (;;) {
    openssl_ptr<X509> one(PEM_read_bio_X509_AUX(from.get(), nullptr, nullptr, nullptr));
    if (one == nullptr) break;
    all.push_back(std::move(one));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (at_end && !all.empty())
    ERR_clear_error();
  else
    all.clear();
  return all;
}

/// Gives the password that it is told, if any; nobody is asked for it.
inline int give_password(char* into, int size, int, void* told) noexcept {
  const auto& password = *static_cast<const std::string*>(told);
  if (password.empty() || password.size() > static_cast<std::size_t>(size)) return -1;
  std::memcpy(into, password.data(), password.size());
  return static_cast<int>(password.size());
}

/// The private key in the text; null if there is none, which the error queue then tells of.
[[nodiscard]] inline openssl_ptr<EVP_PKEY> read_key(const secret_text& text, std::string& password) {
  const openssl_ptr<BIO> from = text.source();
  return openssl_ptr<EVP_PKEY>(PEM_read_bio_PrivateKey(from.get(), nullptr, give_password, &password));
}

/// A file that only its owner can read, to which lines are appended.
class key_log {
 public:
  key_log() noexcept {}
  key_log(const key_log&) = delete;
  key_log& operator=(const key_log&) = delete;
  ~key_log() {
    if (fd_ >= 0) ::close(fd_);
  }
  /// An errno value, or 0.
  [[nodiscard]] int open(const std::string& path) noexcept {
    fd_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    return fd_ < 0 ? errno : 0;
  }
  /// One write for a line, so that the lines of several threads do not mix. What fails is not logged.
  void append(std::string_view line) const noexcept {
    std::array<char, 512> whole;
    if (fd_ < 0 || line.size() >= whole.size()) return;
    std::memcpy(whole.data(), line.data(), line.size());
    whole[line.size()] = '\n';
    [[maybe_unused]] const ::ssize_t written = ::write(fd_, whole.data(), line.size() + 1);
  }

 private:
  int fd_ = -1;
};

}  // namespace detail
}  // namespace coflow::inline v0
