/// \file
/// A wait for an operation of the inner flow that is begun when the layer's own operation is awaited, or later. It is
/// made where it stays, in the awaiting coroutine's frame.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/erased_wait.hpp"

namespace coflow::inline v0 {
namespace detail {

// ---- what is asked of the inner flow: called once

struct read_call {
  using result_type = read_result;
  read_call() noexcept {}
  template <class F>
  decltype(auto) operator()(F& flow) {
    return flow.read();
  }
  [[nodiscard]] static constexpr bool wants_nothing() noexcept { return false; }
};
struct read_into_call {
  using result_type = read_into_result;
  explicit read_into_call(std::span<std::byte> to) noexcept : room(to) {}
  template <class F>
  decltype(auto) operator()(F& flow) {
    return flow.read_into(room);
  }
  [[nodiscard]] bool wants_nothing() const noexcept { return room.empty(); }
  std::span<std::byte> room;
};
struct write_call {
  using result_type = result<void>;
  explicit write_call(buffer&& one) noexcept : bytes(std::move(one)) {}
  template <class F>
  decltype(auto) operator()(F& flow) {
    return flow.write(std::move(bytes));
  }
  [[nodiscard]] std::size_t size() const noexcept { return bytes.size(); }
  buffer bytes;
};
struct writev_call {
  using result_type = result<void>;
  explicit writev_call(std::span<buffer> all) noexcept : list(all) {}
  template <class F>
  decltype(auto) operator()(F& flow) {
    return flow.writev(list);
  }
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t sum = 0;
    for (const buffer& one : list) sum += one.size();
    return sum;
  }
  std::span<buffer> list;
};

// ---- what is awaited

// For operations that want to see a promise, or name the coroutine that is to go on. What `call` gives is made before
// the first suspension, so that the flow may be gone later.
template <class F, class Call>
task<typename Call::result_type> run_call(F* flow, Call call) {
  auto given = co_await call(*flow);
  co_return as_system_result<typename Call::result_type>(std::move(given));
}

template <class F, class Call>
[[nodiscard]] decltype(auto) begin_call(F& flow, Call& call) {
  if constexpr (waits_in_place<decltype(call(flow))>)
    return call(flow);
  else
    return run_call(&flow, std::move(call));
}

template <class F, class Call>
using begun_call =
    placed_wait<decltype(begin_call(std::declval<F&>(), std::declval<Call&>())), typename Call::result_type>;

/// One wait, of one of two kinds, or none yet. It allocates nothing and calls nothing indirectly.
template <class First, class Second>
class either_wait {
 public:
  either_wait() noexcept {}
  either_wait(const either_wait&) = delete;
  either_wait& operator=(const either_wait&) = delete;
  ~either_wait() {
    if (kind_ == kind::first) [[likely]]
      detail::destroy(first_);
    else if (kind_ == kind::second)
      detail::destroy(second_);
  }

  /// Makes what `make` gives, and tells whether its result is there already.
  template <class Make>
  [[nodiscard]] bool begin_first(Make make) {
    detail::construct(first_, make);
    kind_ = kind::first;
    return first_.ready();
  }
  template <class Make>
  [[nodiscard]] bool begin_second(Make make) {
    detail::construct(second_, make);
    kind_ = kind::second;
    return second_.ready();
  }
  [[nodiscard]] bool is_first() const noexcept { return kind_ == kind::first; }
  [[nodiscard]] bool begun() const noexcept { return kind_ != kind::none; }

  /// Lets the coroutine wait; false if it need not. It may be gone when this returns.
  [[nodiscard]] bool suspend(awaiting coroutine) {
    if (kind_ == kind::first) [[likely]]
      return first_.suspend(coroutine);
    return second_.suspend(coroutine);
  }
  [[nodiscard]] auto finish() {
    if (kind_ == kind::first) [[likely]]
      return first_.resume();
    return second_.resume();
  }

 private:
  enum class kind : std::uint8_t { none, first, second };

  union {
    First first_;
    Second second_;
  };
  kind kind_ = kind::none;
};

}  // namespace detail
}  // namespace coflow::inline v0
