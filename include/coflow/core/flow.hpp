/// \file
/// The `Flow` concept: the state of one reliable byte stream connected to an endpoint.
///
/// A protocol is written once against `Flow` and runs over any of them: a TCP socket, TLS over it, a pipe in memory, a
/// stack of layers. What the five operations promise beyond their signatures is in the README under "The contract".
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include "coflow/core/awaitable.hpp"
#include "coflow/core/buffer.hpp"
#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/shutdown_mode.hpp"

namespace coflow::inline v0 {

/// Names the two error types of a flow. `std::error_code` for everything that this library ships.
template <class F>
concept has_error_types = requires {
  typename F::error_type;
  typename F::write_error_type;
};

/// `flow.read()`: awaitable, gives a `basic_read_result<F::error_type>` (laws R1 to R8).
template <class F>
concept has_read = requires(F& flow) {
  { flow.read() } -> awaitable_of<basic_read_result<typename F::error_type>>;
};

/// `flow.write(buffer)`: awaitable, takes the buffer by value, gives a `result<void, F::write_error_type>` (laws W1 to
/// W10).
template <class F>
concept has_write = requires(F& flow, buffer bytes) {
  { flow.write(std::move(bytes)) } -> awaitable_of<result<void, typename F::write_error_type>>;
};

/// `flow.writev(std::span<buffer>)`: like `write` of all the buffers in order; moves them out as they are accepted.
template <class F>
concept has_writev = requires(F& flow, std::span<buffer> list) {
  { flow.writev(list) } -> awaitable_of<result<void, typename F::write_error_type>>;
};

/// `flow.shutdown(shutdown_mode)`: awaitable, gives nothing, never fails (laws S1 to S4).
template <class F>
concept has_shutdown = requires(F& flow, shutdown_mode mode) {
  { flow.shutdown(mode) } -> awaitable_of<void>;
};

/// `flow.close()`: awaitable, gives nothing, never fails (laws C1 to C6).
template <class F>
concept has_close = requires(F& flow) {
  { flow.close() } -> awaitable_of<void>;
};

/// A type that models one reliable byte stream.
///
/// The operations may return any awaitable: an operation object, a coroutine, somebody else's task. Flows are movable;
/// moving one while operations are pending is defined (law O2).
template <class F>
concept Flow = std::movable<F> && has_error_types<F> && has_read<F> && has_write<F> && has_writev<F> &&
               has_shutdown<F> && has_close<F>;

/// A flow whose errors are, or convert to, `std::error_code`: what the layers of this library take.
template <class F>
concept SystemFlow = Flow<F> && std::convertible_to<typename F::error_type, std::error_code> &&
                     std::convertible_to<typename F::write_error_type, std::error_code>;

namespace detail {

template <class Class, class Member>
Class declared_in(Member Class::*);

// The class of F has a `read` of its own and inherits `read_into`, past which that does not see what is read.
template <class F>
concept inherits_read_into_past_read = requires {
  &F::read;
  &F::read_into;
  requires !std::same_as<decltype(declared_in(&F::read)), decltype(declared_in(&F::read_into))>;
  requires std::derived_from<decltype(declared_in(&F::read)), decltype(declared_in(&F::read_into))>;
};
template <class F>
concept names_read_into =
    requires { &F::read_into; } || requires(F& flow, std::span<std::byte> room) { flow.read_into(room); };

}  // namespace detail

/// `flow.read_into(std::span<std::byte>)`: awaitable, gives a `basic_read_into_result<F::error_type>`. Not every flow
/// has it; one that has keeps the laws of reading for it in the same words (R1, R3 to R8, S2, C1, C3, X0, X1), and
/// these:
///
/// - The room must live until the await ends, or until the coroutine that waits is destroyed. Nothing of it is written
///   before the operation completes, and nothing beyond the count afterwards. The count is 1 or more; what the room
///   does not hold stays for the next read (law R5).
/// - An operation that does not complete with bytes has taken none (law X1).
/// - An empty room does no I/O and never waits: a count of 0 while the half is open, the half's verdict after.
/// - `read` and `read_into` stand in one queue and may be mixed (law R8).
///
/// A class that inherits `read_into` and has a `read` of its own, as an adapter may, does not have it for this concept:
/// what it does when it reads would be left out. It replaces both.
template <class F>
concept has_read_into = !detail::inherits_read_into_past_read<F> && requires(F& flow, std::span<std::byte> room) {
  { flow.read_into(room) } -> awaitable_of<basic_read_into_result<typename F::error_type>>;
};

/// A `Flow` that also reads into memory of the caller's own, for whoever has a place for the bytes already: a fixed
/// array, a ring, a mapped file. `read` is the better choice where they are passed on.
template <class F>
concept ReadIntoFlow = Flow<F> && has_read_into<F>;

/// Compiles only if `F` is a `Flow`, and says in one line which operation is missing or has the wrong shape:
/// `static_assert(coflow::check_flow_shape<my_flow>());`
template <class F>
consteval bool check_flow_shape() {
  static_assert(std::movable<F>, "a Flow must be movable");
  static_assert(has_error_types<F>,
                "a Flow names its error types: using error_type = ...; using write_error_type = ...;");
  if constexpr (has_error_types<F>) {
    static_assert(has_read<F>, "a Flow has read(), an awaitable of basic_read_result<error_type>");
    static_assert(has_write<F>, "a Flow has write(buffer), an awaitable of result<void, write_error_type>");
    static_assert(has_writev<F>,
                  "a Flow has writev(std::span<buffer>), an awaitable of result<void, write_error_type>");
    static_assert(has_read_into<F> || !detail::names_read_into<F> || detail::inherits_read_into_past_read<F>,
                  "a Flow that has read_into(std::span<std::byte>) gives an awaitable of "
                  "basic_read_into_result<error_type>");
  }
  static_assert(has_shutdown<F>, "a Flow has shutdown(shutdown_mode), an awaitable of void");
  static_assert(has_close<F>, "a Flow has close(), an awaitable of void");
  return Flow<F>;
}

}  // namespace coflow::inline v0
