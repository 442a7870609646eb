/// \file
/// The control block of a layer that begins inner operations by itself, or later than it was asked to.
#pragma once

#include <cstddef>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/detail/storage.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/layer/detail/reset_below.hpp"
#include "coflow/layer/detail/share.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Holds the inner flow where it stays, however the handle is moved, and knows the executor that the layer belongs to.
/// `Derived` has
///
///     void let_go() noexcept;          // the flow is dropped, or its executor goes away: end what waits here, by post
template <class Derived, class Inner>
class layer_block : public shared_block, public executor::dependent {
 public:
  [[nodiscard]] Inner& inner() noexcept { return inner_; }

  /// True once the flow was destroyed, and the inner flow with it.
  [[nodiscard]] bool gone() const noexcept { return gone_; }

  /// True on the executor of this flow, which is the one on which its first operation begins. Elsewhere the inner
  /// flow's answer is an error, and the layer's own state is not to be touched.
  [[nodiscard]] bool at_home() noexcept {
    executor* const current = get_current_executor();
    if (home_ == current && current != nullptr) [[likely]]
      return true;
    return settle_down(current);
  }
  /// Null before the first operation and after the executor's end.
  [[nodiscard]] executor* home() const noexcept { return home_; }

  // ---- for the handle

  void close() noexcept {
    gone_ = true;
    self().let_go();
    detail::destroy(inner_);
  }
  void destroy() noexcept { share<Derived>::release(self()); }

 protected:
  explicit layer_block(Inner inner) : inner_(std::move(inner)) {}
  ~layer_block() {
    if (!gone_) detail::destroy(inner_);
  }

 private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }

  [[gnu::noinline, gnu::cold]] bool settle_down(executor* current) noexcept {
    if (home_ != nullptr || current == nullptr || current->finishing()) return false;
    home_ = current;
    current->add_dependent(*this);
    return true;
  }
  void on_executor_gone() noexcept final {
    self().let_go();
    home_ = nullptr;
  }

  union {
    Inner inner_;
  };
  executor* home_ = nullptr;
  bool gone_ = false;
};

/// The base of such a layer. It may be moved and destroyed with operations pending (law O2).
template <SystemFlow Inner, class Block>
class layer_handle {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  using next_layer_type = Inner;

  layer_handle(layer_handle&&) noexcept = default;
  layer_handle& operator=(layer_handle&&) noexcept = default;

  /// Shuts the flow below down.
  [[nodiscard]] auto shutdown(shutdown_mode mode) { return block_->inner().shutdown(mode); }
  /// Closes the flow below.
  [[nodiscard]] auto close() { return block_->inner().close(); }
  /// Closes the flow below now, so that its peer does not take that for a clean end; what waits at this layer ends with
  /// it. See `coflow::reset`.
  void reset() noexcept
    requires(can_reset<Inner>())
  {
    block_->let_go();
    static_cast<void>(reset_below(block_->inner()));
  }

  /// The flow directly below. Reading or writing it past the layer is the caller's affair.
  [[nodiscard]] Inner& next_layer() noexcept { return block_->inner(); }
  [[nodiscard]] const Inner& next_layer() const noexcept { return block_->inner(); }

  /// The flow at the bottom of the stack: the one that has no layer below.
  [[nodiscard]] auto& lowest_layer() noexcept { return lowest_below(next_layer()); }
  [[nodiscard]] const auto& lowest_layer() const noexcept { return lowest_below(next_layer()); }

 protected:
  explicit layer_handle(Block* fresh) noexcept : block_(fresh) { share<Block>::retain(*fresh); }
  /// Destroys the inner flow, which closes it (law C6).
  ~layer_handle() = default;

  [[nodiscard]] Block& control() const noexcept { return *block_; }
  [[nodiscard]] share<Block> shared() const noexcept { return share<Block>(*block_); }

 private:
  template <class F>
  [[nodiscard]] static auto& lowest_below(F& flow) noexcept {
    if constexpr (requires { flow.next_layer(); })
      return lowest_below(flow.next_layer());
    else
      return flow;
  }

  flow_handle<Block> block_;
};

}  // namespace detail
}  // namespace coflow::inline v0
