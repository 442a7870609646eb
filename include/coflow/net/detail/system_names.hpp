/// \file
/// The system's calls for finding the addresses of a name.
#pragma once

#include <netdb.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "coflow/core/detail/min_max.hpp"
#include "coflow/net/detail/socket_address.hpp"
#include "coflow/net/detail/system.hpp"

namespace coflow::inline v0 {
namespace detail::sys {

/// Appends the addresses of `host`, with port 0, in the order in which the system would try them (RFC 6724). Blocks,
/// perhaps for minutes, and cannot be interrupted. Gives 0 or what getaddrinfo(3) says; for EAI_SYSTEM the errno value
/// is in `number`. Throws std::bad_alloc.
[[nodiscard]] inline int look_up(const char* host, std::vector<socket_address>& found, int& number) {
  class address_list {
   public:
    address_list() noexcept {}
    address_list(const address_list&) = delete;
    address_list& operator=(const address_list&) = delete;
    ~address_list() {
      if (first != nullptr) ::freeaddrinfo(first);
    }
    addrinfo* first = nullptr;
  };
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  address_list answer;
  const int status = ::getaddrinfo(host, nullptr, &wanted, &answer.first);
  number = errno;
  if (status != 0) return status;
  for (const addrinfo* one = answer.first; one != nullptr; one = one->ai_next) {
    kernel_address address;
    std::memcpy(address.data(), one->ai_addr, smaller<std::size_t>(one->ai_addrlen, *address.room()));
    if (const socket_address known = address.value(); known.family != address_family::none) found.push_back(known);
  }
  return 0;
}

}  // namespace detail::sys
}  // namespace coflow::inline v0
