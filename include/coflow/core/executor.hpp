/// \file
/// Where coroutines run: a ready queue, timers, a clock, and one thread at a time.
///
/// `event_loop` is the executor that sockets need. An application may derive its own for tasks, timers and flows
/// without an operating system: it supplies `now` and `wake`, and calls `run_ready`, `expire_timers` and
/// `next_deadline` from its own loop while an `executor::entry` makes it current.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "coflow/core/config.hpp"
#include "coflow/core/detail/timer_heap.hpp"
#include "coflow/core/node.hpp"

namespace coflow::inline v0 {

class executor;
class wait_list;

namespace detail {

// Default visibility, so that several shared libraries agree on it. Touch it in functions that are never inlined into a
// coroutine: the address of a thread-local must not be cached across a suspension.
[[gnu::visibility("default")]] inline thread_local constinit executor* current_executor = nullptr;

[[nodiscard, gnu::noinline]] inline executor* get_current_executor() noexcept { return current_executor; }

[[gnu::noinline]] inline executor* exchange_current_executor(executor* with) noexcept {
  return std::exchange(current_executor, with);
}

}  // namespace detail

/// A node that an executor posts to itself when a deadline passes. It disarms itself when it dies.
class timer : public node {
 public:
  [[nodiscard]] bool armed() const noexcept { return entry_.armed(); }

  /// True if `run` was called because the executor is going away, not because the deadline has passed (law O4).
  [[nodiscard]] bool abandoned() const noexcept { return abandoned_; }

  /// Takes the timer back, also from the ready queue. Afterwards `run` is not called.
  inline void disarm() noexcept;

 protected:
  timer() noexcept {}
  ~timer() { disarm(); }

 private:
  friend class executor;

  struct entry : detail::timer_entry {
    explicit entry(timer& of) noexcept : owner(of) {}
    timer& owner;
  };

  entry entry_{*this};
  executor* executor_ = nullptr;
  bool abandoned_ = false;
};

/// A queue of nodes that are run one after another, with timers. Destroying an executor completes everything that waits
/// on it with `error::closed` and destroys the spawned tasks that do not end even then (law O4).
class executor {
 public:
  using clock = std::chrono::steady_clock;
  using duration = clock::duration;
  using time_point = clock::time_point;

  executor() noexcept {}
  executor(const executor&) = delete;
  executor& operator=(const executor&) = delete;

  /// The executor that is running on this thread, or null.
  [[nodiscard]] static executor* current() noexcept { return detail::get_current_executor(); }

  /// The time on this executor's clock.
  [[nodiscard]] virtual time_point now() const noexcept = 0;

  /// The time `delay` from now; the end of the clock's range if that is beyond it.
  [[nodiscard]] time_point after(duration delay) const noexcept {
    const time_point start = now();
    return delay > duration::zero() && start > time_point::max() - delay ? time_point::max() : start + delay;
  }

  /// Queues `work` to be run once, after everything that is queued already. Never runs it inline, allocates nothing,
  /// and may be called from any thread; from a foreign thread the node must live until it has run.
  [[gnu::noinline]] void post(basic_node& work) noexcept {
    if (detail::current_executor == this) [[likely]]
      ready_.push_back(work);
    else
      post_from_outside(work);
  }

  /// Arms `t` to be posted when the clock reaches `deadline`. On the executor's thread only.
  void arm(timer& t, time_point deadline) noexcept {
    t.disarm();
    t.executor_ = this;
    t.abandoned_ = finishing_;
    if (finishing_)
      ready_.push_back(t);
    else
      timers_.add(t.entry_, deadline.time_since_epoch().count());
  }

  /// True while the executor is being destroyed: nothing that would wait may begin.
  [[nodiscard]] bool finishing() const noexcept { return finishing_; }

  /// Takes one unit of what the running coroutine may do before it lets others run. False when it is used up; then an
  /// operation queues itself even if it could complete at once.
  [[nodiscard]] bool take_turn() noexcept {
    if (turns_ == 0) return false;
    --turns_;
    return true;
  }
  /// Gives the coroutine that is resumed next a full allowance.
  void renew_turns() noexcept { turns_ = turns_per_resumption; }

  /// What a derived executor offers beyond this interface, for code that knows its type (descriptors: `event_loop`).
  [[nodiscard]] void* extension() const noexcept { return extension_; }

  /// Something outside the queues whose waiters must hear when the executor goes away.
  class dependent : public detail::self_unlinking {
   public:
    /// The executor is going away: complete what waits, by `post`. Called once, off the list.
    virtual void on_executor_gone() noexcept = 0;

    /// Names the chains of tasks that it knows and that have not ended.
    virtual void list_waits(wait_list&) const {}

   protected:
    dependent() noexcept {}
    ~dependent() = default;
  };

  /// Registers `who` for `on_executor_gone` until it dies or is unlinked.
  void add_dependent(dependent& who) noexcept { dependents_.push_back(who); }

  /// Registers a spawned task: told only after all other dependents, to destroy itself if it has not ended.
  void add_root(dependent& who) noexcept { roots_.push_back(who); }

  /// Makes an executor the current one of this thread for as long as the entry lives; entries nest.
  class entry {
   public:
    explicit entry(executor& entered) noexcept : previous_(detail::exchange_current_executor(&entered)) {}
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;
    ~entry() { detail::exchange_current_executor(previous_); }

   private:
    executor* previous_;
  };

 protected:
  explicit executor(void* extension) noexcept : extension_(extension) {}
  ~executor() {
    COFLOW_ASSERT(dependents_.empty() && roots_.empty() && timers_.empty(),
                  "the destructor of a class derived from executor must call finish()");
  }

  /// Makes the executor's thread look at its queue soon. Called from foreign threads, once for the first of several
  /// posts.
  virtual void wake() noexcept = 0;

  /// Runs what was queued when it was called; what is queued meanwhile waits for the next call. Gives how many ran.
  std::size_t run_ready() noexcept {
    take_inbox();
    detail::intrusive_list<basic_node> batch;
    batch.splice_back(ready_);
    std::size_t ran = 0;
    while (!batch.empty()) {
      basic_node& work = batch.pop_front();
      renew_turns();
      work.run();
      ++ran;
    }
    return ran;
  }

  /// How many nodes are ready: O(n), for executors that choose among them.
  [[nodiscard]] std::size_t count_ready() noexcept {
    take_inbox();
    std::size_t count = 0;
    ready_.for_each([&count](basic_node&) { ++count; });
    return count;
  }

  /// Runs the ready node at `index`, which is less than `count_ready()`; 0 is the one that was queued first.
  void run_ready_at(std::size_t index) noexcept {
    basic_node* chosen = nullptr;
    ready_.for_each([&](basic_node& one) {
      if (index-- == 0) chosen = &one;
    });
    chosen->unlink();
    renew_turns();
    chosen->run();
  }

  /// Names the chains of tasks that are known to this executor's dependents and have not ended.
  void list_waits(wait_list& into) const {
    const auto list = [&into](const dependent& one) { one.list_waits(into); };
    dependents_.for_each(list);
    roots_.for_each(list);
  }

  /// True if `run_ready` would find something.
  [[nodiscard]] bool has_ready() const noexcept { return !ready_.empty() || !inbox_.empty(); }

  /// Posts every timer whose deadline is not after `time`.
  void expire_timers(time_point time) noexcept {
    while (!timers_.empty() && timers_.first().deadline() <= time.time_since_epoch().count()) post_first_timer();
  }

  /// The earliest deadline, if a timer is armed.
  [[nodiscard]] std::optional<time_point> next_deadline() const noexcept {
    if (timers_.empty()) return std::nullopt;
    return time_point(duration(timers_.first().deadline()));
  }

  /// For the destructor of the most derived class, while `now` and `wake` still work: completes what waits, runs what
  /// that makes ready, destroys the spawned tasks that are left.
  void finish() noexcept {
    if (finishing_) return;
    const entry current(*this);
    finishing_ = true;
    while (!dependents_.empty()) dependents_.pop_front().on_executor_gone();
    while (!timers_.empty()) {
      static_cast<timer::entry&>(timers_.first()).owner.abandoned_ = true;
      post_first_timer();
    }
    // A task that ignores what it is told could go on for ever; a thousand rounds is patience enough.
    for (int round = 0; round < 1000 && has_ready(); ++round) {
      run_ready();
      while (!dependents_.empty()) dependents_.pop_front().on_executor_gone();
    }
    // What dies here may post and spawn as it goes.
    while (!roots_.empty() || has_ready()) {
      while (!roots_.empty()) roots_.pop_front().on_executor_gone();
      take_inbox();
      if (!ready_.empty()) ready_.pop_front().discard();
    }
  }

 private:
  static constexpr unsigned turns_per_resumption = 64;

  void post_first_timer() noexcept {
    auto& first = static_cast<timer::entry&>(timers_.first());
    timers_.remove(first);
    ready_.push_back(first.owner);
  }

  // What was posted from outside, latest first. Who finds it empty wakes the executor.
  class inbox final : public detail::link_chain {
   public:
    explicit inbox(executor& of) noexcept : owner_(of) {}

    [[nodiscard]] bool empty() const noexcept { return latest_.load(std::memory_order_relaxed) == nullptr; }
    [[nodiscard]] bool put(basic_node& work) noexcept {
      basic_node* latest = latest_.load(std::memory_order_relaxed);
      do {
        work.enter(*this, latest);
      } while (!latest_.compare_exchange_weak(latest, &work, std::memory_order_release, std::memory_order_relaxed));
      return latest == nullptr;
    }
    // On the executor's thread.
    void collect() noexcept override {
      basic_node* latest = latest_.exchange(nullptr, std::memory_order_acquire);
      detail::intrusive_list<basic_node> arrived;
      while (latest != nullptr) {
        auto* next = static_cast<basic_node*>(latest->next_in_chain());
        arrived.push_front(*latest);
        latest = next;
      }
      owner_.ready_.splice_back(arrived);
    }

   private:
    executor& owner_;
    std::atomic<basic_node*> latest_{nullptr};
  };

  [[gnu::noinline, gnu::cold]] void post_from_outside(basic_node& work) noexcept {
    if (inbox_.put(work)) wake();
  }
  void take_inbox() noexcept {
    if (!inbox_.empty()) inbox_.collect();
  }

  friend class timer;

  void* extension_ = nullptr;
  unsigned turns_ = turns_per_resumption;
  bool finishing_ = false;
  detail::intrusive_list<basic_node> ready_;
  detail::timer_heap timers_;
  detail::intrusive_list<dependent> dependents_;
  detail::intrusive_list<dependent> roots_;
  inbox inbox_{*this};
};

inline void timer::disarm() noexcept {
  if (entry_.armed())
    executor_->timers_.remove(entry_);
  else
    unlink();
}

}  // namespace coflow::inline v0
