/// \file
/// Something that a control block does in a turn of its own.
#pragma once

#include "coflow/core/executor.hpp"
#include "coflow/core/node.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Part of its owner, which may die while it is posted.
template <class Owner>
class later final : public node {
 public:
  later(Owner& owner, void (Owner::*what)() noexcept) noexcept : owner_(owner), what_(what) {}
  ~later() = default;

  /// Does nothing if it is posted already.
  void post_on(executor& on) noexcept {
    if (!this->linked()) on.post(*this);
  }

 private:
  void run() noexcept override { (owner_.*what_)(); }

  Owner& owner_;
  void (Owner::*what_)() noexcept;
};

}  // namespace detail
}  // namespace coflow::inline v0
