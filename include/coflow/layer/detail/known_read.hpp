/// \file
/// Reads of the flow below that a layer must be able to end, and that it learns from.
#pragma once

#include <new>
#include <system_error>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/detail/intrusive_list.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/error.hpp"
#include "coflow/layer/detail/erased_wait.hpp"

namespace coflow::inline v0 {
namespace detail {

/// A read of the flow below that waits, as the layer knows it: its close comes first where bytes are still to go out,
/// and then says what the read gives.
class known_read : public self_unlinking {
 public:
  void flow_was_closed() noexcept { closed_ = true; }

 protected:
  known_read() noexcept {}
  ~known_read() = default;

  bool closed_ = false;
};

/// What a `buffered_writer`'s reads return: the flow below's own operation.
template <class Block, class Make, class Result>
class [[nodiscard]] known_read_operation final : private known_read {
 public:
  known_read_operation(Block& block, Make make) noexcept : block_(block), make_(make) {}
  known_read_operation(known_read_operation&& unbegun) noexcept : block_(unbegun.block_), make_(unbegun.make_) {}
  known_read_operation& operator=(known_read_operation&&) = delete;
  ~known_read_operation() {
    if (begun_) detail::destroy(below_);
  }

  [[nodiscard]] bool await_ready() {
    block_.notice_executor();
    if (block_.closing()) {
      closed_ = true;
      return true;
    }
    const auto make = [this]() -> decltype(auto) { return make_(block_.inner()); };
    ::new (static_cast<void*>(&below_)) below_wait(make);
    begun_ = true;
    return below_.ready();
  }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle coroutine) {
    waited_ = true;
    block_.add_read(*this);
    return below_.suspend(awaiting(coroutine));
  }
  [[nodiscard]] Result await_resume() {
    if (!begun_) return error::closed;
    Result got = below_.resume();
    if (got) [[likely]]
      return got;
    if (closed_) return error::closed;
    // A read that has waited knows by its link whether the flow is still there.
    if (got.failed() && (this->linked() || !waited_)) block_.read_failed(got.error());
    return got;
  }

 private:
  using below_wait = placed_wait<decltype(std::declval<Make&>()(std::declval<typename Block::inner_type&>())), Result>;

  Block& block_;
  [[no_unique_address]] Make make_;
  bool begun_ = false;
  bool waited_ = false;
  union {
    below_wait below_;
  };
};

}  // namespace detail
}  // namespace coflow::inline v0
