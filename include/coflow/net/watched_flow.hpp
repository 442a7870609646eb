/// \file
/// The flow of a connection whose server looks for idle peers.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/layer/layered_flow.hpp"
#include "coflow/layer/observed.hpp"
#include "coflow/net/detail/activity.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Notes that an operation has completed, and names what has ended one that the server cancelled.
class completion {
 public:
  explicit completion(activity_share on) noexcept : on_(std::move(on)) {}

  template <class Outcome>
  [[nodiscard]] Outcome operator()(Outcome outcome) const {
    if (holds_error(outcome)) {
      if constexpr (std::same_as<std::remove_cvref_t<decltype(outcome.error())>, std::error_code>) {
        if (on_->cut_off && outcome.error() == std::errc::operation_canceled) return make_error_code(error::timed_out);
      }
    } else {
      on_->seen = true;
    }
    return outcome;
  }

 private:
  template <class E>
  static bool holds_error(const basic_read_result<E>& got) noexcept {
    return got.failed();
  }
  template <class E>
  static bool holds_error(const basic_read_into_result<E>& got) noexcept {
    return got.failed();
  }
  template <class E>
  static bool holds_error(const result<void, E>& sent) noexcept {
    return !sent.has_value();
  }

  activity_share on_;
};

}  // namespace detail

/// What a handler gets from `serve` with an `idle_timeout`: a layer that notes when a read or a write completes. A note
/// is one store to memory of the connection's own; no clock is asked and no timer is set. Every law of the flow below
/// holds.
///
/// When the peer has been idle for too long, the handler is cancelled: what it waits for on this flow gives
/// `error::timed_out`, anything else `operation_canceled` (law X0). `lowest_layer()` is the flow that was accepted,
/// for what only that one has. Handlers that are templates over `Flow` need not know of this type.
template <SystemFlow F>
class watched_flow : public layered_flow<F> {
 public:
  /// For servers: the flow, and where to note what completes on it.
  watched_flow(F accepted, detail::activity_share noted) noexcept(std::is_nothrow_move_constructible_v<F>)
      : layered_flow<F>(std::move(accepted)), noted_(std::move(noted)) {}

  /// Reads from the flow below.
  [[nodiscard]] auto read() { return observed(this->next_layer().read(), detail::completion(noted_)); }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room)
    requires has_read_into<F>
  {
    return observed(this->next_layer().read_into(room), detail::completion(noted_));
  }
  /// Writes to the flow below. Only its completion is noted: write what takes a slow peer long in pieces.
  [[nodiscard]] auto write(buffer bytes) {
    return observed(this->next_layer().write(std::move(bytes)), detail::completion(noted_));
  }
  /// Writes to the flow below; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) {
    return observed(this->next_layer().writev(list), detail::completion(noted_));
  }

  /// Counts as if an operation had completed: for handlers that take long over an answer.
  void keep_alive() noexcept { noted_->seen = true; }

 private:
  detail::activity_share noted_;
};

}  // namespace coflow::inline v0
