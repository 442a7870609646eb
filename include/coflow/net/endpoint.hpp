/// \file
/// An internet address and a port.
#pragma once

#include <arpa/inet.h>
#include <net/if.h>

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>

#include "coflow/core/error.hpp"
#include "coflow/core/result.hpp"
#include "coflow/net/detail/socket_address.hpp"

namespace coflow::inline v0 {

/// An IPv4 or IPv6 address with a port: where a TCP connection goes, or comes from. A default-made one is unspecified.
class endpoint {
 public:
  endpoint() noexcept {}

  /// Reads "127.0.0.1:80", "[::1]:80" or "[fe80::1%eth0]:80". The port is needed, 0 to 65535.
  /// Error: `error::bad_endpoint` for everything else, names included; names are resolved elsewhere.
  [[nodiscard]] static result<endpoint> parse(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return error::bad_endpoint;
    std::string_view host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    if (bracketed != (host.find(':') != std::string_view::npos)) return error::bad_endpoint;
    std::uint16_t port = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (failed != std::errc() || end != digits.data() + digits.size()) return error::bad_endpoint;
    return parse(host, port);
  }

  /// Reads an address without a port: "127.0.0.1", "::1" or "fe80::1%eth0". Error: `error::bad_endpoint`.
  [[nodiscard]] static result<endpoint> parse(std::string_view address, std::uint16_t port) {
    endpoint made;
    made.raw_.port = port;
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];
    if (address.empty() || address.size() >= sizeof text || address.find('\0') != std::string_view::npos)
      return error::bad_endpoint;
    std::memcpy(text, address.data(), address.size());
    text[address.size()] = '\0';
    if (::inet_pton(AF_INET, text, made.raw_.bytes.data()) == 1) {
      made.raw_.family = detail::address_family::ipv4;
      return made;
    }
    if (char* scope = std::strchr(text, '%')) {
      *scope++ = '\0';
      made.raw_.scope = scope_of(scope);
      if (made.raw_.scope == 0) return error::bad_endpoint;
    }
    if (::inet_pton(AF_INET6, text, made.raw_.bytes.data()) != 1) return error::bad_endpoint;
    made.raw_.family = detail::address_family::ipv6;
    return made;
  }

  /// 127.0.0.1 at `port`.
  [[nodiscard]] static endpoint loopback_v4(std::uint16_t port) noexcept {
    endpoint made;
    made.raw_.family = detail::address_family::ipv4;
    made.raw_.bytes = {127, 0, 0, 1};
    made.raw_.port = port;
    return made;
  }
  /// ::1 at `port`.
  [[nodiscard]] static endpoint loopback_v6(std::uint16_t port) noexcept {
    endpoint made;
    made.raw_.family = detail::address_family::ipv6;
    made.raw_.bytes[15] = 1;
    made.raw_.port = port;
    return made;
  }

  /// In host byte order.
  [[nodiscard]] std::uint16_t port() const noexcept { return raw_.port; }
  void set_port(std::uint16_t port) noexcept { raw_.port = port; }
  [[nodiscard]] bool is_v4() const noexcept { return raw_.family == detail::address_family::ipv4; }
  [[nodiscard]] bool is_v6() const noexcept { return raw_.family == detail::address_family::ipv6; }
  [[nodiscard]] bool unspecified() const noexcept { return raw_.family == detail::address_family::none; }

  /// The address alone, in the shortest form (RFC 5952 for IPv6), with "%scope" where there is one.
  [[nodiscard]] std::string address() const {
    char text[INET6_ADDRSTRLEN] = "";
    if (unspecified() || ::inet_ntop(is_v4() ? AF_INET : AF_INET6, raw_.bytes.data(), text, sizeof text) == nullptr)
      return "(unspecified)";
    std::string made(text);
    if (raw_.scope != 0) {
      char name[IF_NAMESIZE] = "";
      made += '%';
      made += ::if_indextoname(raw_.scope, name) != nullptr ? std::string(name) : std::to_string(raw_.scope);
    }
    return made;
  }

  /// What `parse` reads: "127.0.0.1:80" or "[::1]:80"; "(unspecified)" for a default-made endpoint.
  [[nodiscard]] std::string to_string() const {
    if (unspecified()) return address();
    const std::string port_text = std::to_string(port());
    return is_v4() ? address() + ":" + port_text : "[" + address() + "]:" + port_text;
  }

  friend bool operator==(const endpoint&, const endpoint&) noexcept = default;

  /// The address as the kernel's side of the library knows it.
  explicit endpoint(const detail::socket_address& raw) noexcept : raw_(raw) {}
  [[nodiscard]] const detail::socket_address& raw() const noexcept { return raw_; }

 private:
  static std::uint32_t scope_of(const char* text) noexcept {
    if (const unsigned index = ::if_nametoindex(text); index != 0) return index;
    std::uint32_t number = 0;
    const char* end = text + std::strlen(text);
    const auto [last, failed] = std::from_chars(text, end, number);
    return failed == std::errc() && last == end ? number : 0;
  }

  detail::socket_address raw_;
};

}  // namespace coflow::inline v0
