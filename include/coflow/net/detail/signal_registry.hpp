/// \file
/// Who in this process watches which signals, and the signal handler that tells them.
#pragma once

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <system_error>
#include <type_traits>

#include "coflow/core/error.hpp"
#include "coflow/net/detail/platform.hpp"
#include "coflow/net/detail/system_signals.hpp"
#include "coflow/net/detail/system_thread.hpp"

namespace coflow::inline v0 {
namespace detail {

/// A set of signal numbers.
using signal_bits = std::uint64_t;

[[nodiscard]] constexpr signal_bits signal_bit(int number) noexcept { return signal_bits{1} << (number - 1); }

/// One entry of the registry: the signals that are wanted, those of them that have arrived, and whom to wake.
class signal_entry {
 public:
  signal_entry() noexcept {}
  signal_entry(const signal_entry&) = delete;
  signal_entry& operator=(const signal_entry&) = delete;

  /// Takes the lowest number that has arrived; 0 if none has.
  [[nodiscard]] int take() noexcept {
    const signal_bits arrived = arrived_.load(std::memory_order_acquire);
    if (arrived == 0) return 0;
    const signal_bits lowest = arrived & (~arrived + 1);
    arrived_.fetch_and(~lowest, std::memory_order_acquire);
    int number = 1;
    while (signal_bit(number) != lowest) ++number;
    return number;
  }
  [[nodiscard]] bool any() const noexcept { return arrived_.load(std::memory_order_relaxed) != 0; }

 private:
  friend class signal_registry;
  static_assert(std::atomic<signal_bits>::is_always_lock_free, "a signal handler may not lock");

  signal_bits wanted_ = 0;
  sys::pipe_ends wake_;
  std::atomic<signal_bits> arrived_{0};
  std::atomic<signal_entry*> next_{nullptr};
};

/// The handler goes through the list of entries without a lock, on any thread and at any time. Entries come and go
/// under a lock, and one that has left is let go only when no handler can be looking at it any more.
class signal_registry {
 public:
  constexpr signal_registry() noexcept {}
  signal_registry(const signal_registry&) = delete;
  signal_registry& operator=(const signal_registry&) = delete;

  /// Has the signals' arrival noted in `who` from now on, and `wake` signalled.
  [[nodiscard]] std::error_code enter(signal_entry& who, std::initializer_list<int> numbers,
                                      const sys::pipe_ends& wake) noexcept {
    signal_bits wanted = 0;
    for (const int number : numbers) {
      if (!sys::can_be_watched(number)) return from_system(EINVAL);
      wanted |= signal_bit(number);
    }
    const sys::process_lock lock(changing_);
    who.wake_ = wake;
    who.wanted_ = wanted;
    // On the list first: what is caught finds who wants it.
    who.next_.store(first_.load());
    first_.store(&who);
    for (int number = 1; number <= last_signal; ++number) {
      if ((wanted & signal_bit(number)) == 0) continue;
      if (const int status = watch(number); status < 0) {
        unwatch(wanted & (signal_bit(number) - 1));
        unlist(who);
        return from_system(-status);
      }
    }
    return {};
  }

  /// Ends it; nothing touches `who` any more. The last one to watch a signal gives it back its former meaning.
  void leave(signal_entry& who) noexcept {
    const sys::process_lock lock(changing_);
    unwatch(who.wanted_);
    unlist(who);
  }

 private:
  static constexpr int last_signal = 64;

  static inline void on_signal(int number) noexcept;

  [[nodiscard]] int watch(int number) noexcept {
    const auto index = static_cast<std::size_t>(number);
    const int status = watchers_[index] == 0 ? sys::catch_signal(number, on_signal, before_[index]) : 0;
    if (status >= 0) ++watchers_[index];
    return status;
  }
  void unwatch(signal_bits numbers) noexcept {
    for (int number = 1; number <= last_signal; ++number) {
      const auto index = static_cast<std::size_t>(number);
      if ((numbers & signal_bit(number)) != 0 && --watchers_[index] == 0)
        sys::release_signal(number, on_signal, before_[index]);
    }
  }
  void unlist(signal_entry& who) noexcept {
    std::atomic<signal_entry*>* link = &first_;
    while (link->load() != &who) link = &link->load()->next_;
    link->store(who.next_.load());
    // A handler that began before may still stand there. They are counted in two places in turn, so that those that
    // begin meanwhile need not be waited for. Handlers do not wait for anything.
    for (int half = 0; half < 2; ++half) {
      const unsigned earlier = counting_in_.fetch_xor(1);
      while (handling_[earlier].load() != 0) sys::yield_thread();
    }
  }
  void note(int number) noexcept {
    std::atomic<unsigned>& here = handling_[counting_in_.load()];
    here.fetch_add(1);
    for (signal_entry* who = first_.load(); who != nullptr; who = who->next_.load()) {
      if ((who->wanted_ & signal_bit(number)) == 0) continue;
      who->arrived_.fetch_or(signal_bit(number), std::memory_order_release);
      sys::signal_wake(who->wake_);
    }
    here.fetch_sub(1);
  }

  std::atomic<signal_entry*> first_{nullptr};
  std::atomic<unsigned> counting_in_{0};
  std::array<std::atomic<unsigned>, 2> handling_{};
  pthread_mutex_t changing_ = PTHREAD_MUTEX_INITIALIZER;
  std::array<unsigned, last_signal + 1> watchers_{};
  std::array<sys::signal_action, last_signal + 1> before_{};
};

// Default visibility, so that several shared libraries agree on it. It may be used until the very end of the process.
[[gnu::visibility("default")]] inline constinit signal_registry watched_signals;
static_assert(std::is_trivially_destructible_v<signal_registry>);

inline void signal_registry::on_signal(int number) noexcept { watched_signals.note(number); }

}  // namespace detail
}  // namespace coflow::inline v0
