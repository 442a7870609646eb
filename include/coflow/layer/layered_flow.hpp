/// \file
/// The base of flows that are made of another flow.
#pragma once

#include <coroutine>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include "coflow/core/flow.hpp"
#include "coflow/layer/detail/next_layer.hpp"
#include "coflow/layer/reset.hpp"

namespace coflow::inline v0 {

/// An adapter that holds the flow below and forwards all operations to it, by returning the inner operation
/// itself: a layer costs nothing where it changes nothing. Shutdown and close therefore reach the inner flow (laws L2,
/// L3), the inner flow is closed when the layer is destroyed, and every law of the inner flow holds for the layer.
///
/// An adapter derives from it and replaces what it observes; one that replaces `write` replaces `writev` with it, and
/// one that replaces `read` replaces `read_into` with it; where it does not, `has_read_into` does not hold for it.
/// State of the adapter's own that an operation touches when it completes belongs into a block that the operation
/// co-owns, because the flow may be moved or destroyed meanwhile (law O2); see `observed` and the example own_layer.
/// Whoever changes bytes writes a codec instead.
template <SystemFlow Inner>
class layered_flow {
 public:
  using error_type = typename Inner::error_type;
  using write_error_type = typename Inner::write_error_type;
  using next_layer_type = Inner;

  explicit layered_flow(Inner inner) noexcept(std::is_nothrow_move_constructible_v<Inner>) : inner_(std::move(inner)) {}

  /// Reads from the flow below.
  [[nodiscard]] auto read() { return inner_.read(); }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room)
    requires has_read_into<Inner>
  {
    return inner_.read_into(room);
  }
  /// Writes to the flow below.
  [[nodiscard]] auto write(buffer bytes) { return inner_.write(std::move(bytes)); }
  /// Writes to the flow below; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) { return inner_.writev(list); }
  /// Shuts the flow below down.
  [[nodiscard]] auto shutdown(shutdown_mode mode) { return inner_.shutdown(mode); }
  /// Closes the flow below.
  [[nodiscard]] auto close() { return inner_.close(); }
  /// Closes the flow below now, so that its peer does not take that for a clean end; see `coflow::reset`.
  void reset() noexcept
    requires ResettableFlow<Inner>
  {
    static_cast<void>(coflow::reset(inner_));
  }

  /// The flow directly below. Reading or writing it past the layer is the caller's affair.
  [[nodiscard]] Inner& next_layer() noexcept { return inner_; }
  [[nodiscard]] const Inner& next_layer() const noexcept { return inner_; }

  /// The flow at the bottom of the stack: the one that has no layer below.
  [[nodiscard]] auto& lowest_layer() noexcept { return detail::lowest_layer_of(inner_); }
  [[nodiscard]] const auto& lowest_layer() const noexcept { return detail::lowest_layer_of(inner_); }

 private:
  Inner inner_;
};

}  // namespace coflow::inline v0
