/// \file
/// The address of a local (unix-domain) socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>

#include "coflow/core/result.hpp"
#include "coflow/net/detail/platform.hpp"
#include "coflow/net/detail/unix_name.hpp"

namespace coflow::inline v0 {

/// Where a local socket listens: the path of a file, or an abstract name, which is Linux's and leaves no file behind. A
/// default-made address is unnamed, as that of most connecting ends is.
class unix_address {
 public:
  /// The longest path or abstract name that the system takes, in bytes.
  static constexpr std::size_t max_size = detail::unix_name::most;

  unix_address() noexcept {}

  /// The socket's file: `unix_address::path("/run/app.sock")`. A relative path is one from the directory in which the
  /// process is when it binds or connects.
  /// Errors: `std::errc::filename_too_long` beyond `max_size` bytes; `std::errc::invalid_argument` if it is empty or
  /// holds a zero.
  [[nodiscard]] static result<unix_address> path(std::string_view name) noexcept {
    if (name.find('\0') != std::string_view::npos) return std::make_error_code(std::errc::invalid_argument);
    return made(name, detail::unix_name_kind::path);
  }

  /// A name that is no file (unix(7), "Abstract sockets"), without the zero that the system puts in front. Any bytes,
  /// zeros too. Anybody in the same network namespace can connect to it: no permissions guard it.
  /// Errors: `std::errc::filename_too_long` beyond `max_size` bytes; `std::errc::invalid_argument` if it is empty;
  /// `std::errc::operation_not_supported` where the system is not Linux, which alone has such names.
  [[nodiscard]] static result<unix_address> abstract(std::string_view name) noexcept {
    if (!detail::sys::has_abstract_names) return std::make_error_code(std::errc::operation_not_supported);
    return made(name, detail::unix_name_kind::abstract);
  }

  [[nodiscard]] bool is_path() const noexcept { return raw_.kind == detail::unix_name_kind::path; }
  [[nodiscard]] bool is_abstract() const noexcept { return raw_.kind == detail::unix_name_kind::abstract; }
  [[nodiscard]] bool unnamed() const noexcept { return raw_.kind == detail::unix_name_kind::none; }

  /// The path, or the abstract name without a mark; empty if it is unnamed. Valid while this address lives.
  [[nodiscard]] std::string_view name() const noexcept { return {raw_.bytes.data(), raw_.size}; }

  /// For people: the path, "@name" (zeros in it look like '@' too), or "(unnamed)".
  [[nodiscard]] std::string to_string() const {
    if (unnamed()) return "(unnamed)";
    std::string text(name());
    if (is_abstract()) {
      text.insert(0, 1, '\0');
      for (char& one : text)
        if (one == '\0') one = '@';
    }
    return text;
  }

  friend bool operator==(const unix_address&, const unix_address&) noexcept = default;

  /// The address as the kernel's side of the library knows it.
  explicit unix_address(const detail::unix_name& raw) noexcept : raw_(raw) {}
  [[nodiscard]] const detail::unix_name& raw() const noexcept { return raw_; }

 private:
  static result<unix_address> made(std::string_view name, detail::unix_name_kind kind) noexcept {
    if (name.empty()) return std::make_error_code(std::errc::invalid_argument);
    if (name.size() > max_size) return std::make_error_code(std::errc::filename_too_long);
    unix_address address;
    address.raw_.kind = kind;
    address.raw_.size = static_cast<std::uint8_t>(name.size());
    std::memcpy(address.raw_.bytes.data(), name.data(), name.size());
    return address;
  }

  detail::unix_name raw_;
};

}  // namespace coflow::inline v0
