/// \file
/// Finding the addresses of a name.
#pragma once

#include <netdb.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/error.hpp"
#include "coflow/core/task.hpp"
#include "coflow/net/detail/lookup_wait.hpp"
#include "coflow/net/detail/system_names.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/name_resolver.hpp"

namespace coflow::inline v0 {

/// Why a name has no addresses.
enum class resolve_error {
  no_such_host = 1,  ///< nobody knows the name
  no_address,        ///< the name is known, and has no address
  try_again,         ///< no name server has answered; it may work later
  server_failed,     ///< a name server has said that it cannot answer
  bad_host,          ///< empty, longer than 253 bytes, or with a zero byte: nothing was asked
  unsupported,       ///< the system's resolver does not take such a question
};

namespace detail {

class resolve_error_category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "coflow.resolver"; }
  [[nodiscard]] std::string message(int value) const override {
    switch (static_cast<resolve_error>(value)) {
      case resolve_error::no_such_host:
        return "no such host";
      case resolve_error::no_address:
        return "the host has no address";
      case resolve_error::try_again:
        return "temporary failure of name resolution, try again";
      case resolve_error::server_failed:
        return "the name server failed";
      case resolve_error::bad_host:
        return "not the name of a host (empty, longer than 253 bytes, or with a zero byte)";
      case resolve_error::unsupported:
        return "the system's resolver does not take such a question";
    }
    return "unknown resolver error";
  }
};

}  // namespace detail

/// The category of `resolve_error`. It has default visibility, so that several shared libraries agree on it.
[[nodiscard, gnu::visibility("default")]] inline const std::error_category& resolver_category() noexcept {
  static const detail::resolve_error_category category;
  return category;
}

[[nodiscard]] inline std::error_code make_error_code(resolve_error code) noexcept {
  return {static_cast<int>(code), resolver_category()};
}

}  // namespace coflow::inline v0

template <>
struct std::is_error_code_enum<coflow::resolve_error> : std::true_type {};

namespace coflow::inline v0 {
namespace detail {

/// The code for what getaddrinfo(3) says, other than 0; `number` is the errno value of EAI_SYSTEM.
[[nodiscard]] inline std::error_code from_lookup(int status, int number) noexcept {
  switch (status) {
    case EAI_NONAME:
      return resolve_error::no_such_host;
    case EAI_AGAIN:
      return resolve_error::try_again;
    case EAI_FAIL:
      return resolve_error::server_failed;
    case EAI_MEMORY:
      return std::make_error_code(std::errc::not_enough_memory);
    case EAI_SYSTEM:
      return from_system(number);
    default:
      break;
  }
#ifdef EAI_NODATA
  if (status == EAI_NODATA) return resolve_error::no_address;
#endif
#ifdef EAI_ADDRFAMILY
  if (status == EAI_ADDRFAMILY) return resolve_error::no_address;
#endif
  return resolve_error::unsupported;
}

/// False for what cannot be the name of a host, whoever is asked (RFC 1035: 253 bytes).
[[nodiscard]] inline bool may_be_host(std::string_view host) noexcept {
  return !host.empty() && host.size() <= 253 && host.find('\0') == std::string_view::npos;
}

/// Reads an address; that of IPv6 may stand in brackets.
[[nodiscard]] inline result<endpoint> parse_literal(std::string_view host, std::uint16_t port) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (!bracketed) return endpoint::parse(host, port);
  const std::string_view inside = host.substr(1, host.size() - 2);
  if (inside.find(':') == std::string_view::npos) return error::bad_endpoint;
  return endpoint::parse(inside, port);
}

/// `resolve` by a desk and a function of the caller's choice.
[[nodiscard]] inline task<resolved> resolve_by(lookup_desk& desk, lookup_function how, std::string host,
                                               std::uint16_t port) {
  if (!may_be_host(host)) co_return resolve_error::bad_host;
  std::vector<endpoint> made;
  const result<endpoint> literal = parse_literal(host, port);
  if (literal) {
    made.push_back(*literal);
    co_return std::move(made);
  }
  lookup_wait answer(desk, how, std::move(host));
  const std::error_code failed = co_await answer;
  if (failed) co_return failed;
  lookup_job& job = answer.job();
  if (job.status() != 0) co_return from_lookup(job.status(), job.number());
  if (job.found().empty()) co_return resolve_error::no_address;
  made.reserve(job.found().size());
  for (const socket_address& address : job.found()) {
    made.emplace_back(address);
    made.back().set_port(port);
  }
  co_return std::move(made);
}

}  // namespace detail

/// Finds the addresses of `host` as the system knows them (getaddrinfo(3): /etc/hosts, DNS), each with `port`, in the
/// order in which they should be tried (RFC 6724). An address, such as "127.0.0.1", "::1" or "[::1]", is its own answer
/// at once, without a look-up.
///
/// The loop goes on meanwhile: the system's look-up blocks, so it runs on a thread of its own, which takes no signals.
/// At most 16 run at a time in a process; further ones wait their turn. Such a thread cannot be interrupted: when the
/// task is cancelled, destroyed, or loses its executor, it goes on by itself, and its answer is dropped; nobody waits
/// for it, not even the end of the program.
/// Errors: `resolve_error`, or what the system says (such as resource_unavailable_try_again if there is no thread to be
/// had); `operation_canceled`; `error::closed` with the executor.
[[nodiscard]] inline task<resolved> resolve(std::string host, std::uint16_t port) {
  return detail::resolve_by(detail::lookups(), &detail::sys::look_up, std::move(host), port);
}

/// The resolver that asks the system: calls `resolve`.
class system_resolver {
 public:
  system_resolver() noexcept {}
  [[nodiscard]] task<resolved> operator()(std::string host, std::uint16_t port) const {
    return resolve(std::move(host), port);
  }
};

}  // namespace coflow::inline v0
