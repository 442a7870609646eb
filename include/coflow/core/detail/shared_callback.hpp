/// \file
/// A callable of any type whose copies share it. It stands in for std::function, which costs 6,000 lines to include.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace coflow::inline v0 {
namespace detail {

/// Calls `f(args...)`; empty when default-made. Copying and dropping are thread-safe; calling is as safe as the
/// callable.
template <class... Args>
class shared_callback {
 public:
  shared_callback() noexcept {}
  template <class F>
    requires(std::invocable<F&, Args...> && !std::same_as<std::remove_cvref_t<F>, shared_callback>)
  shared_callback(F f) : held_(new holder<F>(std::move(f))) {}  // NOLINT: conversion is the point
  shared_callback(const shared_callback& other) noexcept : held_(other.held_) {
    if (held_ != nullptr) held_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  shared_callback(shared_callback&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  shared_callback& operator=(shared_callback other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~shared_callback() {
    if (held_ != nullptr && held_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete held_;
  }

  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }
  void operator()(Args... args) const { held_->call(args...); }

 private:
  struct holder_base {
    std::atomic<std::uint32_t> owners{1};
    virtual ~holder_base() = default;
    virtual void call(Args... args) = 0;
  };
  template <class F>
  struct holder final : holder_base {
    explicit holder(F f) : function(std::move(f)) {}
    void call(Args... args) override { function(args...); }
    F function;
  };

  holder_base* held_ = nullptr;
};

}  // namespace detail
}  // namespace coflow::inline v0
