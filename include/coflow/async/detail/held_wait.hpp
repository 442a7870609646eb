/// \file
/// An awaitable inside an awaiter.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/as_task.hpp"
#include "coflow/core/awaitable.hpp"
#include "coflow/core/awaiting.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/operation.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What came of suspending a coroutine.
enum class suspension : unsigned char {
  none,   ///< there was nothing to wait for
  waits,  ///< it waits
  over,   ///< it was resumed on the spot: what lay in its frame, the awaiter too, may be gone
};

template <class Awaiter>
[[nodiscard]] bool suspend_in_place(Awaiter& awaiter, awaiting coroutine) {
  if constexpr (std::is_void_v<decltype(awaiter.await_suspend(coroutine))>) {
    awaiter.await_suspend(coroutine);
    return true;
  } else {
    return awaiter.await_suspend(coroutine);
  }
}

/// Learns of a resumption inside `await_suspend`: an awaitable of the user's own may be that simple.
template <class Awaiter>
class suspension_watch {
 public:
  suspension_watch() noexcept {}
  suspension_watch(const suspension_watch&) = delete;
  suspension_watch& operator=(const suspension_watch&) = delete;
  ~suspension_watch() { note_resumption(); }

  void note_resumption() noexcept {
    if (over_ != nullptr) *std::exchange(over_, nullptr) = true;
  }

  // Never inlined into a coroutine, where the mark would lie in the frame that it tells about.
  [[nodiscard, gnu::noinline]] suspension suspend(Awaiter& awaiter, awaiting coroutine) {
    class mark {
     public:
      explicit mark(suspension_watch& on) noexcept : watch_(on) { on.over_ = &over; }
      mark(const mark&) = delete;
      mark& operator=(const mark&) = delete;
      ~mark() {
        if (!over) watch_.over_ = nullptr;
      }
      bool over = false;

     private:
      suspension_watch& watch_;
    };
    const mark here(*this);
    if (!suspend_in_place(awaiter, coroutine)) return suspension::none;
    return here.over ? suspension::over : suspension::waits;
  }

 private:
  bool* over_ = nullptr;
};

/// The operations of this library resume in a turn of the executor, always (law O3).
template <std::derived_from<basic_operation> Awaiter>
class suspension_watch<Awaiter> {
 public:
  suspension_watch() noexcept {}
  void note_resumption() noexcept {}
  [[nodiscard]] suspension suspend(Awaiter& awaiter, awaiting coroutine) {
    return suspend_in_place(awaiter, coroutine) ? suspension::waits : suspension::none;
  }
};

/// Holds an awaitable, which is its own awaiter, for as long as a coroutine waits for it. It moves until the wait
/// begins, which is when `ready` is called.
template <class Awaitable>
class held_wait {
 public:
  explicit held_wait(Awaitable&& awaited) : awaited_(std::move(awaited)) {}
  held_wait(held_wait&& unbegun) : awaited_(std::move(unbegun.awaited_)) {}
  ~held_wait() = default;

  [[nodiscard]] bool ready() { return static_cast<bool>(awaited_.await_ready()); }
  [[nodiscard]] suspension suspend(awaiting coroutine) { return watch_.suspend(awaited_, coroutine); }
  decltype(auto) resume() {
    watch_.note_resumption();
    return awaited_.await_resume();
  }

 private:
  [[no_unique_address]] suspension_watch<Awaitable> watch_;
  Awaitable awaited_;
};

/// The same for one that has an `operator co_await`: the awaiter is made when the wait begins, and dies first.
template <class Awaitable>
  requires(has_member_co_await<Awaitable> || has_free_co_await<Awaitable>)
class held_wait<Awaitable> {
 public:
  explicit held_wait(Awaitable&& awaited) : awaited_(std::move(awaited)) {}
  held_wait(held_wait&& unbegun) : awaited_(std::move(unbegun.awaited_)) {}
  ~held_wait() {
    if (begun_) destroy(made_);
  }

  [[nodiscard]] bool ready() {
    construct(made_, std::move(awaited_));
    begun_ = true;
    return static_cast<bool>(made_.awaiter.await_ready());
  }
  [[nodiscard]] suspension suspend(awaiting coroutine) { return watch_.suspend(made_.awaiter, coroutine); }
  decltype(auto) resume() {
    watch_.note_resumption();
    return made_.awaiter.await_resume();
  }

 private:
  class made {
   public:
    explicit made(Awaitable&& of) : awaiter(awaiter_of(std::move(of))) {}
    awaiter_t<Awaitable> awaiter;
  };

  [[no_unique_address]] suspension_watch<std::remove_reference_t<awaiter_t<Awaitable>>> watch_;
  Awaitable awaited_;
  union {
    made made_;  // an object once begun
  };
  bool begun_ = false;
};

/// An awaitable that waits in place: what was given, or a task around it.
template <class Awaitable>
[[nodiscard]] decltype(auto) in_place(Awaitable& awaited) {
  if constexpr (waits_in_place<Awaitable>)
    return std::move(awaited);
  else
    return as_task(std::move(awaited));
}
template <class Awaitable>
using in_place_t = std::remove_reference_t<decltype(in_place(std::declval<Awaitable&>()))>;

}  // namespace detail
}  // namespace coflow::inline v0
