/// \file
/// The name of a local (unix-domain) socket.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace coflow::inline v0 {
namespace detail {

enum class unix_name_kind : std::uint8_t { none, path, abstract };

struct unix_name {
  static constexpr std::size_t most = 107;  // of the 108 bytes of sun_path, one ends a path or begins an abstract name

  std::array<char, most + 1> bytes{};  // a path is ended by a zero; an abstract name is without its leading one
  std::uint8_t size = 0;
  unix_name_kind kind = unix_name_kind::none;

  unix_name() noexcept {}
  friend bool operator==(const unix_name&, const unix_name&) noexcept = default;  // what is behind the name is zero
};

}  // namespace detail
}  // namespace coflow::inline v0
