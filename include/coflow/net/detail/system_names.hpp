/// \file
/// The system's calls for finding the addresses of a name, and for the threads that wait for them.
#pragma once

#include <netdb.h>
#include <pthread.h>
#include <signal.h>

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

/// Runs `body(argument)` on a thread of its own that nobody waits for and that gets no signals: those are for the
/// program's own threads.
[[nodiscard]] inline int start_thread(void* (*body)(void*), void* argument) noexcept {
  pthread_attr_t attributes;
  if (const int status = ::pthread_attr_init(&attributes); status != 0) return -status;
  static_cast<void>(::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED));
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  static_cast<void>(::pthread_sigmask(SIG_SETMASK, &all, &before));
  pthread_t made;
  const int status = ::pthread_create(&made, &attributes, body, argument);
  static_cast<void>(::pthread_sigmask(SIG_SETMASK, &before, nullptr));
  static_cast<void>(::pthread_attr_destroy(&attributes));
  return -status;
}

}  // namespace detail::sys
}  // namespace coflow::inline v0
