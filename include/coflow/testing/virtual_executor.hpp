/// \file
/// An executor for tests: no operating system, a clock that only moves when nothing else is left to do, and a hang that
/// is found at once and says who waits for what.
#pragma once

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "coflow/core/executor.hpp"
#include "coflow/core/stop.hpp"
#include "coflow/testing/choices.hpp"

namespace coflow::inline v0 {

/// Something waits, and nothing is left that could end the wait: no node is ready and no timer is armed.
class hang : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Runs what is ready in the order in which it was posted, or in one that a `choices` picks, on a clock of its own.
///
/// `coflow::run(on, task)` runs a test on it in no time, however long the test sleeps, and throws `hang` where the same
/// program would wait for ever on an event loop. Destroying it completes what still waits, as with every executor (law
/// O4). It does not wait for other threads: what they post is run when it is there.
class virtual_executor final : public executor {
 public:
  /// Says that `turn` throws where an executor on a real clock would wait for ever, so that no limit is needed.
  using finds_hangs = void;

  virtual_executor() noexcept {}
  /// `order` picks which of the ready nodes runs next; it must live as long as the executor turns.
  explicit virtual_executor(choices& order) noexcept : order_(&order) {}
  ~virtual_executor() { finish(); }

  /// The virtual time. It begins at a fixed time, which is not the clock's zero: there is time before it.
  [[nodiscard]] time_point now() const noexcept override { return now_; }

  /// Lets time pass; what that makes ready runs in the next turn. Needs a time that is not negative.
  void advance(duration time) noexcept { now_ = after(time); }

  /// Sets the clock to the next deadline if that is ahead. False if no timer is armed.
  bool advance_to_next_deadline() noexcept {
    const auto next = next_deadline();
    if (!next) return false;
    if (*next > now_) now_ = *next;
    return true;
  }

  /// Posts the timers that have expired, then runs what is ready, but not what that posts; in an order of choice, one
  /// node. Gives how many ran. Throws what `choices::pick` throws.
  std::size_t run_once() {
    const entry current(*this);
    expire_timers(now_);
    if (order_ == nullptr) return run_ready();
    const std::size_t ready = count_ready();
    if (ready == 0) return 0;
    run_ready_at(order_->pick(ready));
    return 1;
  }

  /// Runs until nothing is ready at the present time. Gives how many nodes ran. Throws what `choices::pick` throws.
  std::size_t run_until_idle() {
    std::size_t ran = 0;
    while (const std::size_t more = run_once()) ran += more;
    return ran;
  }

  /// Runs what is ready; if nothing is, lets time pass until the next deadline; if no timer is armed either, throws
  /// `hang`, and whoever waits goes on waiting.
  void turn() {
    if (run_once() != 0 || stop_requested_ || advance_to_next_deadline()) return;
    throw hang(describe_waits());
  }

  /// Lets `take_stop_request` say so once: `coflow::run` then stops its task. On the executor's thread.
  void request_stop() noexcept { stop_requested_ = true; }
  [[nodiscard]] bool take_stop_request() noexcept { return std::exchange(stop_requested_, false); }

 private:
  // There is nothing to wake: nobody ever waits in the operating system.
  void wake() noexcept override {}

  class waits_in_words final : public wait_list {
   public:
    explicit waits_in_words(std::string& into) noexcept : text_(into) {}
    void add(std::string_view who, const stop_node& chain) override {
      const stop_target* target = chain.target();
      text_.append("; ").append(who).append(" waits for ");
      text_.append(target != nullptr ? target->waits_for() : "something");
    }

   private:
    std::string& text_;
  };

  [[nodiscard]] std::string describe_waits() const {
    std::string text = "hang: nothing is ready and no timer is armed";
    waits_in_words words(text);
    list_waits(words);
    return text;
  }

  // Not zero, so that a deadline before the start is a time too.
  time_point now_{std::chrono::hours(1000)};
  choices* order_ = nullptr;
  bool stop_requested_ = false;
};

}  // namespace coflow::inline v0
