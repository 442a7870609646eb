/// \file
/// An internet address and port in the smallest form that holds both families.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace coflow::inline v0 {
namespace detail {

enum class address_family : std::uint8_t { none, ipv4, ipv6 };

struct socket_address {
  std::array<std::uint8_t, 16> bytes{};  // network order; IPv4 uses the first four
  std::uint32_t scope = 0;               // IPv6 scope (interface index), 0 for none
  std::uint16_t port = 0;                // host order
  address_family family = address_family::none;

  socket_address() noexcept {}
  friend bool operator==(const socket_address&, const socket_address&) noexcept = default;
};

}  // namespace detail
}  // namespace coflow::inline v0
