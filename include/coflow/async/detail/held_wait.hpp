/// \file
/// An awaitable inside an awaiter.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/as_task.hpp"
#include "coflow/core/awaitable.hpp"
#include "coflow/core/awaiting.hpp"
#include "coflow/core/detail/storage.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What came of suspending a coroutine.
enum class suspension : unsigned char {
  none,   ///< there was nothing to wait for
  waits,  ///< it waits
  over,   ///< it was resumed on the spot: what lay in its frame, the awaiter too, may be gone
};

/// Learns of a resumption inside `await_suspend`. The operations of this library know better, but an awaitable of the
/// user's own may be that simple.
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
  template <class Awaiter>
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
    if constexpr (std::is_void_v<decltype(awaiter.await_suspend(coroutine))>)
      awaiter.await_suspend(coroutine);
    else if (!awaiter.await_suspend(coroutine))
      return suspension::none;
    return here.over ? suspension::over : suspension::waits;
  }

 private:
  bool* over_ = nullptr;
};

/// Holds an awaitable, which is its own awaiter, for as long as a coroutine waits for it. It moves until the wait
/// begins, which is when `ready` is called.
template <class Awaitable>
class held_wait {
 public:
  explicit held_wait(Awaitable awaited) : awaited_(std::move(awaited)) {}
  held_wait(held_wait&& unbegun) : awaited_(std::move(unbegun.awaited_)) {}
  ~held_wait() = default;

  [[nodiscard]] bool ready() { return static_cast<bool>(awaited_.await_ready()); }
  [[nodiscard]] suspension suspend(awaiting coroutine) { return watch_.suspend(awaited_, coroutine); }
  decltype(auto) resume() {
    watch_.note_resumption();
    return awaited_.await_resume();
  }

 private:
  suspension_watch watch_;
  Awaitable awaited_;
};

/// The same for one that has an `operator co_await`: the awaiter is made when the wait begins, and dies first.
template <class Awaitable>
  requires(has_member_co_await<Awaitable> || has_free_co_await<Awaitable>)
class held_wait<Awaitable> {
 public:
  explicit held_wait(Awaitable awaited) : awaited_(std::move(awaited)) {}
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

  suspension_watch watch_;
  Awaitable awaited_;
  union {
    made made_;  // an object once begun
  };
  bool begun_ = false;
};

/// Gives an awaitable that waits in place: `awaited` itself, or a task around it.
template <class Awaitable>
[[nodiscard]] auto in_place(Awaitable awaited) {
  if constexpr (waits_in_place<Awaitable>)
    return awaited;
  else
    return as_task(std::move(awaited));
}
template <class Awaitable>
using in_place_t = decltype(in_place(std::declval<Awaitable>()));

}  // namespace detail
}  // namespace coflow::inline v0
