/// \file
/// Whatever finds the addresses of a name, behind one type.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/core/awaitable.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"
#include "coflow/net/endpoint.hpp"

namespace coflow::inline v0 {

/// What a resolver gives: the endpoints to try, the best first, or an error.
using resolved = result<std::vector<endpoint>>;

/// A callable that takes a host and a port and returns an awaitable of `resolved`.
template <class F>
concept resolver_function = requires(F& find, std::string host, std::uint16_t port) {
  { find(std::move(host), port) } -> awaitable_of<resolved>;
};

/// Holds a resolver of any type; copies share it, so it may be called again while a call is pending, and on each thread
/// that has a copy. Default-made it is empty, which stands for `system_resolver`.
class name_resolver {
 public:
  name_resolver() noexcept {}
  template <class F>
    requires(resolver_function<F> && !std::same_as<std::remove_cvref_t<F>, name_resolver>)
  name_resolver(F find) : held_(std::make_shared<holder<F>>(std::move(find))) {}  // NOLINT: conversion is the point

  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }

  /// Calls the resolver when it is awaited, and keeps it alive meanwhile. Throws what the resolver throws. Not on an
  /// empty one.
  [[nodiscard]] task<resolved> operator()(std::string host, std::uint16_t port) const {
    return held_->find(*this, std::move(host), port);
  }

 private:
  struct holder_base {
    holder_base() noexcept {}
    holder_base(const holder_base&) = delete;
    holder_base& operator=(const holder_base&) = delete;
    virtual ~holder_base() = default;
    virtual task<resolved> find(name_resolver self, std::string host, std::uint16_t port) = 0;
  };
  template <class F>
  struct holder final : holder_base {
    explicit holder(F f) : function(std::move(f)) {}
    // The coroutine owns its holder, by `self`.
    task<resolved> find([[maybe_unused]] name_resolver self, std::string host, std::uint16_t port) override {
      co_return co_await function(std::move(host), port);
    }
    F function;
  };

  std::shared_ptr<holder_base> held_;
};

}  // namespace coflow::inline v0
