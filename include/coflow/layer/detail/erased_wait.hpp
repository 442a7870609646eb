/// \file
/// One wait of a coroutine for an awaitable whose type is not known.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/awaitable.hpp"
#include "coflow/core/awaiting.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Turns what an operation gave into what the library's flows give: errors become a `std::error_code`.
template <class Result, class Given>
[[nodiscard]] Result as_system_result(Given&& given) {
  if constexpr (std::same_as<std::remove_cvref_t<Given>, Result>) {
    return std::move(given);
  } else if constexpr (std::same_as<Result, read_result>) {
    if (given.has_data()) return read_result(std::move(*given));
    if (given.eof()) return read_result(end_of_stream);
    return read_result(std::error_code(given.error()));
  } else if constexpr (std::same_as<Result, read_into_result>) {
    if (given.has_count()) return read_into_result(*given);
    if (given.eof()) return read_into_result(end_of_stream);
    return read_into_result(std::error_code(given.error()));
  } else {
    if (given.has_value()) return success;
    return std::error_code(given.error());
  }
}

/// Holds an awaitable, and its awaiter where that is another object, for as long as a coroutine waits for it. Both are
/// made where they stay.
template <class Awaitable, class Result>
class placed_wait {
 public:
  template <class Make>
  explicit placed_wait(Make& make) : awaitable_(make()), awaiter_(awaiter_of(static_cast<Awaitable&&>(awaitable_))) {}
  placed_wait(const placed_wait&) = delete;
  placed_wait& operator=(const placed_wait&) = delete;
  ~placed_wait() = default;

  [[nodiscard]] bool ready() { return static_cast<bool>(awaiter_.await_ready()); }
  [[nodiscard]] bool suspend(awaiting coroutine) {
    if constexpr (std::is_void_v<decltype(awaiter_.await_suspend(coroutine))>) {
      awaiter_.await_suspend(coroutine);
      return true;
    } else {
      return awaiter_.await_suspend(coroutine);
    }
  }
  Result resume() {
    if constexpr (std::is_void_v<Result>)
      static_cast<void>(awaiter_.await_resume());
    else if constexpr (std::same_as<decltype(awaiter_.await_resume()), Result>)
      return awaiter_.await_resume();
    else
      return as_system_result<Result>(awaiter_.await_resume());
  }

 private:
  Awaitable awaitable_;
  awaiter_t<Awaitable> awaiter_;
};

/// The wait itself. It holds what it waits for in its own memory; what is too large or too strictly aligned for that
/// goes to the pool.
template <class Result>
class erased_wait {
 public:
  /// Enough for every operation of this library under a layer or two.
  static constexpr std::size_t room = 192;

  erased_wait() noexcept {}
  erased_wait(const erased_wait&) = delete;
  erased_wait& operator=(const erased_wait&) = delete;
  ~erased_wait() { abandon(); }

  /// Makes the awaitable that `make` gives, and tells whether its result is there already. Throws what `make` throws,
  /// and std::bad_alloc.
  template <class Make>
  [[nodiscard]] bool begin(Make make) {
    using held = placed_wait<decltype(make()), Result>;
    if constexpr (fits<held>) {
      ::new (static_cast<void*>(place_)) held(make);
    } else {
      outside<held> memory;
      ::new (memory.get()) held(make);
      ::new (static_cast<void*>(place_)) void*(memory.release());
    }
    functions_ = &functions_for<held>;
    return locate<held>(place_).ready();
  }

  /// Gives up what was begun, which takes its wait back (law C6).
  void abandon() noexcept {
    if (functions_ != nullptr) std::exchange(functions_, nullptr)->destroy(place_);
  }

  /// Lets the coroutine wait; false if it need not. It may be gone when this returns.
  [[nodiscard]] bool suspend(awaiting coroutine) { return functions_->suspend(place_, coroutine); }

  /// Gives the result, and gives up what gave it. A wait that was never begun has met a closed flow.
  Result finish() {
    if (functions_ == nullptr) {
      if constexpr (std::is_void_v<Result>)
        return;
      else
        return error::closed;
    }
    return std::exchange(functions_, nullptr)->finish(place_);
  }

 private:
  template <class Held>
  static constexpr bool fits = sizeof(Held) <= room && alignof(Held) <= alignof(std::max_align_t);

  // Memory that is given back unless something comes to live in it.
  template <class Held>
  class outside {
   public:
    outside() : memory_(allocate()) {}
    explicit outside(void* taken) noexcept : memory_(taken) {}
    outside(const outside&) = delete;
    outside& operator=(const outside&) = delete;
    ~outside() {
      if (memory_ == nullptr) return;
      if constexpr (over_aligned)
        ::operator delete(memory_, std::align_val_t(alignof(Held)));
      else
        pool_free(memory_, sizeof(Held));
    }
    [[nodiscard]] void* get() const noexcept { return memory_; }
    [[nodiscard]] void* release() noexcept { return std::exchange(memory_, nullptr); }

   private:
    static constexpr bool over_aligned = alignof(Held) > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
    static void* allocate() {
      if constexpr (over_aligned)
        return ::operator new(sizeof(Held), std::align_val_t(alignof(Held)));
      else
        return pool_allocate(sizeof(Held));
    }
    void* memory_;
  };

  template <class Held>
  [[nodiscard]] static Held& locate(std::byte* place) noexcept {
    if constexpr (fits<Held>)
      return *std::launder(reinterpret_cast<Held*>(place));
    else
      return *static_cast<Held*>(*std::launder(reinterpret_cast<void**>(place)));
  }
  template <class Held>
  static bool suspend_held(std::byte* place, awaiting coroutine) {
    return locate<Held>(place).suspend(coroutine);
  }
  template <class Held>
  static void destroy_held(std::byte* place) noexcept {
    Held& held = locate<Held>(place);
    held.~Held();
    if constexpr (!fits<Held>) static_cast<void>(outside<Held>(&held));
  }
  template <class Held>
  static Result finish_held(std::byte* place) {
    class ending {
     public:
      explicit ending(std::byte* at) noexcept : place_(at) {}
      ending(const ending&) = delete;
      ending& operator=(const ending&) = delete;
      ~ending() { destroy_held<Held>(place_); }

     private:
      std::byte* place_;
    };
    const ending after(place);
    return locate<Held>(place).resume();
  }

  struct functions {
    bool (*suspend)(std::byte*, awaiting);
    Result (*finish)(std::byte*);
    void (*destroy)(std::byte*) noexcept;
  };
  template <class Held>
  static constexpr functions functions_for{&suspend_held<Held>, &finish_held<Held>, &destroy_held<Held>};

  const functions* functions_ = nullptr;
  alignas(std::max_align_t) std::byte place_[room];
};

}  // namespace detail
}  // namespace coflow::inline v0
