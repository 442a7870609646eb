/// \file
/// Shared ownership by a plain count, for control blocks that belong to one thread.
#pragma once

#include <utility>

namespace coflow::inline v0 {
namespace detail {

/// Holds one count on a `T` that has `retain()` and `release()`.
template <class T>
class reference {
 public:
  reference() noexcept {}
  /// Takes over a count that the caller has.
  explicit reference(T* counted) noexcept : counted_(counted) {}
  /// Adds a count.
  explicit reference(T& shared) noexcept : counted_(&shared) { shared.retain(); }
  reference(const reference& other) noexcept : counted_(other.counted_) {
    if (counted_ != nullptr) counted_->retain();
  }
  reference(reference&& other) noexcept : counted_(std::exchange(other.counted_, nullptr)) {}
  reference& operator=(reference other) noexcept {
    std::swap(counted_, other.counted_);
    return *this;
  }
  ~reference() {
    if (counted_ != nullptr) counted_->release();
  }

  [[nodiscard]] explicit operator bool() const noexcept { return counted_ != nullptr; }
  [[nodiscard]] T* get() const noexcept { return counted_; }
  [[nodiscard]] T& operator*() const noexcept { return *counted_; }
  [[nodiscard]] T* operator->() const noexcept { return counted_; }

 private:
  T* counted_ = nullptr;
};

}  // namespace detail
}  // namespace coflow::inline v0
