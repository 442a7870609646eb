/// \file
/// What a `server_stop` tells.
#pragma once

#include "coflow/core/detail/intrusive_list.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Somebody that is told of each request, until it dies or is unlinked.
class stop_subscriber : public self_unlinking {
 public:
  virtual void on_stop_request() noexcept = 0;

 protected:
  stop_subscriber() noexcept {}
  ~stop_subscriber() = default;
};

/// Those that are told, and how often they were.
class stop_subscribers {
 public:
  stop_subscribers() noexcept {}

  /// 0, 1, or 2 for twice and more.
  [[nodiscard]] unsigned requests() const noexcept { return requests_; }
  void add(stop_subscriber& who) noexcept { told_.push_back(who); }

  void request() noexcept {
    if (requests_ == 2) return;
    ++requests_;
    // Whoever is told may take others off the list.
    intrusive_list<stop_subscriber> untold;
    untold.splice_back(told_);
    while (!untold.empty()) {
      stop_subscriber& next = untold.pop_front();
      told_.push_back(next);
      next.on_stop_request();
    }
  }

 private:
  intrusive_list<stop_subscriber> told_;
  unsigned requests_ = 0;
};

}  // namespace detail
}  // namespace coflow::inline v0
