/// \file
/// A flow that is somebody else's.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "coflow/core/flow.hpp"
#include "coflow/layer/layered_flow.hpp"

namespace coflow::inline v0 {

/// A handle on a flow that lives elsewhere, for layers and functions that take their flow over:
///
///     coflow::buffered_reader reader{coflow::flow_ref(connection)};   // connection stays the caller's
///
/// It forwards all operations by returning the flow's own, so it costs nothing, and every law of that flow holds, but
/// for those about destruction: destroying a `flow_ref` closes nothing, and operations that are pending go on. Copies
/// refer to the same flow. The flow must outlive the operations, and may not be moved while a `flow_ref` is in use.
template <Flow F>
class flow_ref {
 public:
  using error_type = typename F::error_type;
  using write_error_type = typename F::write_error_type;
  using next_layer_type = F;

  explicit flow_ref(F& flow) noexcept : flow_(&flow) {}
  explicit flow_ref(F&&) = delete;

  /// Reads from the flow.
  [[nodiscard]] auto read() const { return flow_->read(); }
  /// Reads from the flow into the caller's memory, if it can; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room) const
    requires has_read_into<F>
  {
    return flow_->read_into(room);
  }
  /// Writes to the flow.
  [[nodiscard]] auto write(buffer bytes) const { return flow_->write(std::move(bytes)); }
  /// Writes to the flow; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) const { return flow_->writev(list); }
  /// Shuts the flow down.
  [[nodiscard]] auto shutdown(shutdown_mode mode) const { return flow_->shutdown(mode); }
  /// Closes the flow: what a handle is asked to do, it does.
  [[nodiscard]] auto close() const { return flow_->close(); }

  /// The flow.
  [[nodiscard]] F& next_layer() const noexcept { return *flow_; }
  /// The flow at the bottom of the stack.
  [[nodiscard]] auto& lowest_layer() const noexcept { return detail::lowest_layer_of(*flow_); }

 private:
  F* flow_;
};

}  // namespace coflow::inline v0
