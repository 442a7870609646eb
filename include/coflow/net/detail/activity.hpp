/// \file
/// Whether anything has happened on a connection lately, without a clock and without a timer per operation.
#pragma once

#include <cstdint>
#include <utility>

#include "coflow/core/detail/pool.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What a connection's operations note and its server looks at. Owned together by all of them (law O2): an operation
/// may outlive the flow, and the flow its server. It belongs to one thread.
struct activity final : pooled {
  std::uint32_t owners = 1;
  bool seen = true;      // something has completed since the last look
  bool cut_off = false;  // the server has given the peer up
};

/// A share in an `activity`, or nothing.
class activity_share {
 public:
  activity_share() noexcept {}
  explicit activity_share(activity* fresh) noexcept : held_(fresh) {}
  activity_share(const activity_share& other) noexcept : held_(other.held_) {
    if (held_ != nullptr) ++held_->owners;
  }
  activity_share(activity_share&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  activity_share& operator=(activity_share other) noexcept {
    std::swap(held_, other.held_);
    return *this;
  }
  ~activity_share() {
    if (held_ != nullptr && --held_->owners == 0) delete held_;
  }

  [[nodiscard]] activity* operator->() const noexcept { return held_; }
  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }

 private:
  activity* held_ = nullptr;
};

/// The server's side: looks from time to time.
class activity_watch {
 public:
  activity_watch() noexcept {}
  void watch(activity_share what) noexcept { what_ = std::move(what); }

  /// How many looks in a row have found nothing, this one included.
  [[nodiscard]] int look() noexcept {
    if (!what_ || std::exchange(what_->seen, false)) return quiet_ = 0;
    return ++quiet_;
  }
  void cut() noexcept { what_->cut_off = true; }
  [[nodiscard]] bool cut_off() const noexcept { return what_ && what_->cut_off; }

 private:
  activity_share what_;
  int quiet_ = 0;
};

}  // namespace detail
}  // namespace coflow::inline v0
