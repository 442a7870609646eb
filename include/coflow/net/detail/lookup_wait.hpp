/// \file
/// Waiting for the addresses of a name, which are looked up on threads of their own.
#pragma once

#include <netdb.h>

#include <cstddef>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/net/detail/blocking_desk.hpp"
#include "coflow/net/detail/blocking_wait.hpp"
#include "coflow/net/detail/socket_address.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Looks a name up; see `sys::look_up`.
using lookup_function = int (*)(const char* host, std::vector<socket_address>& found, int& number);

/// Where names wait. They have a desk of their own: no work of the program keeps a name from being looked up, and names
/// that nobody answers keep no work from being done.
using lookup_desk = blocking_desk;

/// The desk of this process for names. It is never destroyed: a look-up may outlast `main`.
[[nodiscard, gnu::visibility("default")]] inline lookup_desk& lookups() noexcept {
  alignas(lookup_desk) static std::byte room[sizeof(lookup_desk)];
  static auto* const made = ::new (static_cast<void*>(room)) lookup_desk;
  return *made;
}

/// One name to be looked up, and what came of it.
class lookup_job final : public blocking_job {
 public:
  lookup_job(lookup_function how, std::string host) noexcept : how_(how), host_(std::move(host)) {}

  /// 0 or a value of getaddrinfo(3).
  [[nodiscard]] int status() const noexcept { return status_; }
  /// The errno value, where the status is EAI_SYSTEM.
  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] std::vector<socket_address>& found() noexcept { return found_; }

 private:
  void work() noexcept override {
    try {
      status_ = how_(host_.c_str(), found_, number_);
    } catch (const std::bad_alloc&) {
      status_ = EAI_MEMORY;
    } catch (...) {
      status_ = EAI_FAIL;
    }
  }

  lookup_function how_;
  std::string host_;
  std::vector<socket_address> found_;
  int status_ = 0;
  int number_ = 0;
};

/// Awaited once: gives an error if there was no answer, or none; then `job` has the answer.
class [[nodiscard]] lookup_wait final : public blocking_wait {
 public:
  lookup_wait(lookup_desk& desk, lookup_function how, std::string host) noexcept
      : blocking_wait(desk), how_(how), host_(std::move(host)) {}
  ~lookup_wait() = default;

  [[nodiscard]] lookup_job& job() noexcept { return static_cast<lookup_job&>(blocking_wait::job()); }
  [[nodiscard]] std::error_code await_resume() const noexcept { return failure(); }

 private:
  blocking_job* make_job() override { return new lookup_job(how_, std::move(host_)); }
  const char* waits_for() const noexcept override { return "the addresses of a name"; }

  lookup_function how_;
  std::string host_;
};

}  // namespace detail
}  // namespace coflow::inline v0
