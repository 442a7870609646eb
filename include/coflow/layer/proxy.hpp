/// \file
/// Two flows joined in both directions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <system_error>
#include <utility>

#include "coflow/async/detail/root.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/copy.hpp"
#include "coflow/layer/detail/farewell.hpp"
#include "coflow/layer/proxy_options.hpp"
#include "coflow/layer/reset.hpp"

namespace coflow::inline v0 {

/// Why a `proxy` has ended.
enum class proxy_end : std::uint8_t {
  complete,  ///< both streams have ended, and every byte and both ends were passed on
  failed,    ///< reading or writing either flow has failed
  lingered,  ///< one direction has gone on for too long after the other
  idle,      ///< nothing has moved for too long
  canceled,  ///< the task was stopped
};

/// What `proxy` came to. True if it is complete.
struct [[nodiscard]] proxy_result {
  proxy_result() noexcept {}

  copy_result forward;   ///< from the first flow to the second
  copy_result backward;  ///< from the second flow to the first
  proxy_end end = proxy_end::complete;
  /// What went wrong first: an empty code if it is complete, `error::timed_out` where a limit has passed.
  std::error_code failure;

  [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] bool has_value() const noexcept { return end == proxy_end::complete; }
  [[nodiscard]] const std::error_code& error() const noexcept { return failure; }
};

namespace detail {

/// What the two directions share with the wait for them.
struct proxy_state {
  proxy_state() noexcept {
    how_forward.shutdown(true);
    how_backward.shutdown(true);
  }
  proxy_result result;
  copy_options how_forward;
  copy_options how_backward;
};

/// Runs both directions and decides when they are over. A direction that ends cleanly has ended the write half of its
/// destination; whatever else happens ends both flows so that neither peer can take it for a clean end, since each has
/// lost a byte that it sent or an end that it waits for.
class proxy_core : public operation {
 public:
  proxy_core(proxy_core&&) = delete;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    return begin();
  }
  void await_resume() const noexcept {}

  /// Throws what an operation of the flows has thrown.
  void rethrow() {
    if (thrown_) std::rethrow_exception(std::move(thrown_));
  }

 protected:
  proxy_core(proxy_state& state, const proxy_options& limits, task<> forward, task<> backward) noexcept
      : state_(state),
        limits_(limits),
        forward_(*this, std::move(forward), state.result.forward),
        backward_(*this, std::move(backward), state.result.backward) {}
  ~proxy_core() = default;

  [[nodiscard]] executor& home() const noexcept { return *home_; }
  /// It has begun, and its end is not decided.
  [[nodiscard]] bool undecided() const noexcept { return home_ != nullptr && !over_; }

  /// Ends both flows, and not cleanly; `look_whether_over` is to be called when that has taken time.
  virtual void cut() noexcept = 0;
  /// True while `cut` still takes time.
  [[nodiscard]] virtual bool cutting() const noexcept = 0;

  void look_whether_over() noexcept {
    if (!over_ || forward_.running() || backward_.running() || cutting()) return;
    finished_ = true;
    this->end_wait();
    if (!this->linked()) home_->post(*this);
  }

 private:
  // One direction.
  class way final : public root<void> {
   public:
    way(proxy_core& of, task<> body, copy_result& into) noexcept
        : root<void>(std::move(body)), core_(of), into_(into) {}
    ~way() = default;

    void begin(executor& on) noexcept {
      running_ = true;
      began_ = on.now();
      this->start(on);
    }
    void stop() noexcept {
      if (running_) this->request_stop();
    }
    [[nodiscard]] bool running() const noexcept { return running_; }
    [[nodiscard]] copy_result& result() const noexcept { return into_; }
    using root<void>::take;

   private:
    void on_end() noexcept override {
      running_ = false;
      into_.duration = this->home().now() - began_;
      core_.on_way_end(*this);
    }

    proxy_core& core_;
    copy_result& into_;
    executor::time_point began_;
    bool running_ = false;
  };

  class limit final : public timer {
   public:
    limit(proxy_core& of, void (proxy_core::*passed)() noexcept) noexcept : core_(of), passed_(passed) {}

   private:
    void run() noexcept override {
      if (abandoned())
        core_.end(proxy_end::failed, error::closed);
      else
        (core_.*passed_)();
    }
    proxy_core& core_;
    void (proxy_core::*passed_)() noexcept;
  };

  // How far both directions have come: the chunks, and what is left of those that are being written.
  struct standing {
    standing() noexcept {}
    explicit standing(const proxy_result& result) noexcept
        : chunks(result.forward.chunks + result.backward.chunks),
          forward_left(result.forward.unsent.size()),
          backward_left(result.backward.unsent.size()) {}
    [[nodiscard]] bool operator==(const standing&) const noexcept = default;
    std::uint64_t chunks = 0;
    std::size_t forward_left = 0;
    std::size_t backward_left = 0;
  };

  [[nodiscard]] bool begin() noexcept {
    executor* const current = executor::current();
    if (current == nullptr || this->stop_requested()) {
      const std::error_code refused = current == nullptr ? make_error_code(error::no_executor) : canceled();
      decide(current == nullptr ? proxy_end::failed : proxy_end::canceled, refused);
      state_.result.forward.read_error = state_.result.backward.read_error = refused;
      return false;
    }
    home_ = current;
    forward_.begin(*home_);
    backward_.begin(*home_);
    if (limits_.idle_timeout() > executor::duration::zero()) wait_for_idleness();
    this->begin_wait();
    return true;
  }

  void decide(proxy_end how, std::error_code why) noexcept {
    if (std::exchange(decided_, true)) return;
    state_.result.end = how;
    state_.result.failure = why;
  }

  // The directions are told to stop before the flows are ended, so that what they come to says what was on its way.
  void end(proxy_end how, std::error_code why) noexcept {
    if (over_) return;
    decide(how, why);
    over_ = true;
    linger_.disarm();
    idle_.disarm();
    if (state_.result.end != proxy_end::complete) {
      forward_.stop();
      backward_.stop();
      cut();
    }
    look_whether_over();
  }

  void on_way_end(way& ended) noexcept {
    const copy_result& came_to = ended.result();
    bool threw = false;
    try {
      ended.take();
    } catch (...) {
      threw = true;
      if (!thrown_) thrown_ = std::current_exception();
    }
    if (over_) return look_whether_over();
    way& other = &ended == &forward_ ? backward_ : forward_;
    if (threw) return end(proxy_end::failed, std::make_error_code(std::errc::io_error));
    if (came_to.read_error) return end(proxy_end::failed, came_to.read_error);
    if (came_to.write_error) {
      // The other direction may still have what was sent before; its end is then not passed on as a clean one.
      decide(proxy_end::failed, came_to.write_error);
      state_.how_forward.shutdown(false);
      state_.how_backward.shutdown(false);
    }
    if (!other.running())
      end(proxy_end::complete, {});
    else if (limits_.linger() != executor::duration::max())
      home_->arm(linger_, home_->after(limits_.linger()));
  }

  void lingered_too_long() noexcept { end(proxy_end::lingered, error::timed_out); }

  void wait_for_idleness() noexcept {
    home_->arm(idle_, home_->after(limits_.idle_timeout() / looks + executor::duration(1)));
  }
  void look_for_idleness() noexcept {
    const standing now(state_.result);
    quiet_ = now == seen_ ? quiet_ + 1 : 0;
    seen_ = now;
    if (quiet_ == looks)
      end(proxy_end::idle, error::timed_out);
    else
      wait_for_idleness();
  }

  // Perhaps from inside an operation of one of the flows: what ends these is done in a turn of its own.
  void on_stop() noexcept override {
    if (finished_) return;
    this->begin_wait();  // it goes on, and has a name
    if (!this->linked()) home_->post(*this);
  }
  void run() noexcept override {
    if (!finished_) end(proxy_end::canceled, canceled());
    if (finished_ && !this->linked()) this->resume();
  }
  const char* waits_for() const noexcept override { return "a proxy"; }

  static constexpr int looks = 8;

  proxy_state& state_;
  const proxy_options limits_;
  executor* home_ = nullptr;
  std::exception_ptr thrown_;
  standing seen_;
  int quiet_ = 0;
  bool decided_ = false;
  bool over_ = false;      // both directions are to end
  bool finished_ = false;  // and have
  limit linger_{*this, &proxy_core::lingered_too_long};
  limit idle_{*this, &proxy_core::look_for_idleness};
  way forward_;
  way backward_;
};

/// Ends one flow, and not cleanly. What can only be closed is closed by a task.
template <class F>
class flow_cutter final : public root<void> {
 public:
  flow_cutter(F& flow, errand_listener& told) : root<void>(close_flow(&flow)), told_(told) {}
  ~flow_cutter() = default;

  void begin(executor& on) noexcept {
    running_ = true;
    this->start(on);
  }
  void now() noexcept {}
  [[nodiscard]] bool running() const noexcept { return running_; }

 private:
  void on_end() noexcept override {
    running_ = false;
    told_.errand_ended();
  }

  errand_listener& told_;
  bool running_ = false;
};
template <ResettableFlow F>
class flow_cutter<F> final {
 public:
  flow_cutter(F& flow, errand_listener&) noexcept : flow_(flow) {}

  void begin(executor&) noexcept { now(); }
  void now() noexcept { static_cast<void>(reset(flow_)); }
  [[nodiscard]] bool running() const noexcept { return false; }

 private:
  F& flow_;
};

template <class A, class B>
class two_way_copy final : public proxy_core, private errand_listener {
 public:
  /// Throws std::bad_alloc.
  two_way_copy(A& a, B& b, proxy_state& state, const proxy_options& limits)
      : proxy_core(state, limits, copy_bytes(&a, &b, &state.how_forward, &state.result.forward),
                   copy_bytes(&b, &a, &state.how_backward, &state.result.backward)),
        cut_a_(a, *this),
        cut_b_(b, *this) {}
  /// Destroyed in the middle, it leaves no stream that looks complete.
  ~two_way_copy() {
    if (!this->undecided()) return;
    cut_a_.now();
    cut_b_.now();
  }

 private:
  void cut() noexcept override {
    cut_a_.begin(this->home());
    cut_b_.begin(this->home());
  }
  bool cutting() const noexcept override { return cut_a_.running() || cut_b_.running(); }
  void errand_ended() noexcept override { this->look_whether_over(); }

  flow_cutter<A> cut_a_;
  flow_cutter<B> cut_b_;
};

template <class A, class B>
task<proxy_result> run_proxy(A* a, B* b, proxy_options limits) {
  proxy_state state;
  two_way_copy<A, B> both(*a, *b, state, limits);
  co_await both;
  if (!state.result) {  // one that has not begun has cut nothing yet
    static_cast<void>(reset(*a));
    static_cast<void>(reset(*b));
  }
  co_await a->close();
  co_await b->close();
  both.rethrow();
  co_return std::move(state.result);
}

}  // namespace detail

/// Joins two flows: what comes from either goes to the other, both ways at once, until both have ended or something
/// fails; then both are closed, in every case. One chunk is in flight in each direction, so that a side that does not
/// take any more holds the other up, and memory stays bounded (law W8).
///
/// - Half-close is passed on: the end of one side's stream ends the other side's write half, behind all that came
///   before it; the other direction goes on, for `proxy_options::linger` at most.
/// - What is no clean end does not become one: an error of either side (a reset, a truncated stream, a write that is
///   refused), a limit that passes, and a stop reset both flows (see `reset`), so that no peer sees eof where its
///   stream was cut, nor a clean end of one that could not take all that it sent. What had come before is passed on
///   first (law R5): after a write that fails, the other direction goes on to its end, without passing that on.
/// - When both streams have ended, all that was written has been accepted by the transport, and nothing is unread: the
///   close loses nothing (fact K4).
///
/// Both flows must live until the await ends, or until the task is destroyed, which resets them. The result says how it
/// ended, and of each direction what `copy` says, with what was read and not accepted. Cancellation: see above;
/// `operation_canceled` in the results of the directions that were under way. Limits and stops hold also for flows that
/// know nothing of cancellation: they are closed. `error::closed` when the executor goes away, `error::no_executor`.
/// A few pooled frames, taken at the beginning; nothing is allocated for a chunk but the chunk. Throws std::bad_alloc
/// before anything is done, and at the end what the operations of the flows have thrown.
template <Flow A, Flow B>
[[nodiscard]] task<proxy_result> proxy(A& a, B& b, proxy_options options = proxy_options()) {
  return detail::run_proxy(&a, &b, options);
}

}  // namespace coflow::inline v0
