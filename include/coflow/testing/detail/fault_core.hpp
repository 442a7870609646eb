/// \file
/// What a flow of coroutines around another flow needs besides I/O: whose turn it is on each half, and waits that end
/// with the half.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/half_state.hpp"
#include "coflow/core/operation.hpp"

namespace coflow::inline v0 {
namespace detail {

class fault_turn;
class fault_pause;
class fault_watch;

enum class fault_half : std::uint8_t { read, write };

/// The state of the halves and those who wait for them. It performs no I/O.
class fault_core : public executor::dependent {
 public:
  fault_core() noexcept {}
  fault_core(const fault_core&) = delete;
  fault_core& operator=(const fault_core&) = delete;

  [[nodiscard]] half_state& state() noexcept { return state_; }

  /// True while what has begun on that half may go on.
  [[nodiscard]] bool goes_on(fault_half which) const noexcept {
    return which == fault_half::read ? state_.can_read() : state_.can_transmit();
  }
  /// What an operation gives that may not go on; an empty code is eof.
  [[nodiscard]] std::error_code verdict(fault_half which) const noexcept {
    return which == fault_half::read ? state_.read_verdict() : state_.transmit_verdict();
  }

  /// Tells all who wait for a half that has ended.
  inline void spread() noexcept;
  /// The queued writes are out or given up, and the half was draining.
  inline void finish_drain() noexcept;
  [[nodiscard]] bool write_idle() const noexcept { return !lanes_[1].busy; }
  /// The flow is closed. False if it was before. A write that is under way, and partly out, is torn by it (law X3).
  inline bool close() noexcept;

 protected:
  ~fault_core() = default;

  /// Everything queued is out: the end of the stream is to be signalled, in a turn of its own.
  virtual void on_drained(executor& on) noexcept = 0;
  /// The executor is gone: the flow is closed, what waits below completes by itself.
  virtual void on_gone() noexcept = 0;

 private:
  friend fault_turn;
  friend fault_pause;
  friend fault_watch;

  struct lane {
    intrusive_list<fault_turn> waiting;
    bool busy = false;
  };

  [[nodiscard]] lane& of(fault_half which) noexcept { return lanes_[which == fault_half::read ? 0 : 1]; }
  [[nodiscard]] std::error_code enter() noexcept {
    executor* current = executor::current();
    if (home_ != nullptr && home_ == current) return {};
    if (current == nullptr) return error::no_executor;
    if (gone_ || current->finishing()) return error::closed;
    if (home_ != nullptr) return error::wrong_executor;
    home_ = current;
    current->add_dependent(*this);
    return {};
  }
  inline void release(fault_half which) noexcept;
  void on_executor_gone() noexcept override {
    gone_ = true;
    static_cast<void>(close());
    spread();
    on_gone();
  }

  half_state state_;
  lane lanes_[2];
  intrusive_list<fault_pause> pauses_;
  fault_watch* writing_ = nullptr;
  executor* home_ = nullptr;
  bool gone_ = false;
};

/// An operation's turn on a half: first come, first served (laws R8, W4). Await it as a named object; it holds the half
/// until it dies. Gives true, or false where the operation may not begin: `refused` says why.
class [[nodiscard]] fault_turn final : public operation {
 public:
  /// `nothing`: a write of no bytes, which needs no turn (law W9).
  fault_turn(fault_core& core, fault_half which, bool nothing) noexcept
      : core_(core), which_(which), nothing_(nothing) {}
  ~fault_turn() {
    if (has_lane_) core_.release(which_);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    this->bind(awaiting);
    return begin();
  }
  [[nodiscard]] bool await_resume() const noexcept { return !refused_; }

  /// The reason; an empty code is eof.
  [[nodiscard]] std::error_code refused() const noexcept { return reason_; }

 private:
  friend fault_core;

  [[nodiscard]] bool begin() noexcept {
    const half_state& state = core_.state_;
    const bool open = which_ == fault_half::read ? state.can_read() : state.can_write();
    if (this->stop_requested()) return refuse(canceled());
    if (!open) return refuse(which_ == fault_half::read ? state.read_verdict() : state.write_verdict());
    if (nothing_) return false;
    if (const std::error_code unfit = core_.enter()) return refuse(unfit);
    fault_core::lane& lane = core_.of(which_);
    if (lane.busy) {
      lane.waiting.push_back(*this);
    } else {
      lane.busy = has_lane_ = true;
      if (core_.home_->take_turn()) return false;
      core_.home_->post(*this);
    }
    this->begin_wait();
    return true;
  }
  bool refuse(std::error_code reason) noexcept {
    refused_ = true;
    reason_ = reason;
    return false;
  }
  // It gets the half, or is told that there is nothing to get; then it is off the list of those who wait.
  void grant() noexcept {
    has_lane_ = true;
    core_.home_->post(*this);
  }
  void settle(std::error_code reason) noexcept {
    refuse(reason);
    this->end_wait();
    core_.home_->post(*this);
  }
  void on_stop() noexcept override {
    this->unlink();
    if (std::exchange(has_lane_, false)) core_.release(which_);
    refuse(canceled());
    core_.home_->post(*this);
  }
  void run() noexcept override {
    if (!refused_ && !core_.goes_on(which_)) {
      refuse(core_.verdict(which_));
      has_lane_ = false;
      core_.release(which_);
    }
    this->resume();
  }
  const char* waits_for() const noexcept override { return which_ == fault_half::read ? "a read" : "a write"; }

  fault_core& core_;
  std::error_code reason_;
  fault_half which_;
  bool nothing_;
  bool has_lane_ = false;
  bool refused_ = false;
};

/// Watches a write: one that ends in whatever way, or is destroyed, when a part of it has gone out and a part has not
/// tears the write half (laws X2, X3).
class fault_watch {
 public:
  fault_watch(fault_core& core, std::span<const buffer> list) noexcept : core_(core), list_(list), whole_(left()) {
    core_.writing_ = this;
  }
  fault_watch(const fault_watch&) = delete;
  fault_watch& operator=(const fault_watch&) = delete;
  ~fault_watch() {
    core_.writing_ = nullptr;
    if (!partly_out()) return;
    core_.state().tear_write();
    core_.spread();
  }

  [[nodiscard]] bool partly_out() const noexcept {
    const std::size_t rest = left();
    return rest != 0 && rest != whole_;
  }

 private:
  [[nodiscard]] std::size_t left() const noexcept {
    std::size_t sum = 0;
    for (const buffer& one : list_) sum += one.size();
    return sum;
  }

  fault_core& core_;
  std::span<const buffer> list_;
  std::size_t whole_;
};

/// The front of a buffer on its way to the flow below. What was accepted there is taken out of the buffer by `settle`,
/// or when the coroutine is destroyed (law W2).
class fault_piece {
 public:
  fault_piece(buffer& whole, std::size_t size) noexcept : whole_(whole), piece_(whole.share()), size_(size) {
    piece_.remove_suffix(piece_.size() - size);
  }
  fault_piece(const fault_piece&) = delete;
  fault_piece& operator=(const fault_piece&) = delete;
  ~fault_piece() { settle(); }

  [[nodiscard]] std::span<buffer> list() noexcept { return {&piece_, 1}; }
  /// How many bytes were accepted since it was asked last.
  std::size_t settle() noexcept {
    const std::size_t moved = size_ - piece_.size();
    size_ = piece_.size();
    whole_.remove_prefix(moved);
    return moved;
  }

 private:
  buffer& whole_;
  buffer piece_;
  std::size_t size_;
};

/// Waits for time to pass, or (no time) for the draining of the write half to end. Gives false if the task was stopped;
/// it also ends when its half does.
class [[nodiscard]] fault_pause final : public operation {
 public:
  fault_pause(fault_core& core, fault_half which, executor::duration time) noexcept
      : core_(core), which_(which), time_(time), drains_(false) {}
  explicit fault_pause(fault_core& core) noexcept : core_(core), which_(fault_half::write), time_(0), drains_(true) {}
  ~fault_pause() = default;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    this->bind(awaiting);
    stopped_ = this->stop_requested();
    if (stopped_ || is_over() || core_.enter()) return false;
    if (!drains_) core_.home_->arm(alarm_, core_.home_->after(time_));
    core_.pauses_.push_back(*this);
    this->begin_wait();
    return true;
  }
  [[nodiscard]] bool await_resume() const noexcept { return !stopped_; }

 private:
  friend fault_core;

  class alarm final : public timer {
   public:
    explicit alarm(fault_pause& of) noexcept : of_(of) {}
    void run() noexcept override {
      of_.unlink();
      of_.resume();
    }

   private:
    fault_pause& of_;
  };

  [[nodiscard]] bool is_over() const noexcept {
    return drains_ ? core_.state_.write_half() != half::draining : !core_.goes_on(which_);
  }
  void settle() noexcept {
    alarm_.disarm();
    this->end_wait();
    core_.home_->post(*this);
  }
  void on_stop() noexcept override {
    this->unlink();
    alarm_.disarm();
    stopped_ = true;
    core_.home_->post(*this);
  }
  void run() noexcept override { this->resume(); }
  const char* waits_for() const noexcept override { return drains_ ? "a shutdown" : "a slow flow"; }

  fault_core& core_;
  fault_half which_;
  executor::duration time_;
  bool drains_;
  bool stopped_ = false;
  alarm alarm_{*this};
};

inline void fault_core::spread() noexcept {
  for (const fault_half which : {fault_half::read, fault_half::write}) {
    if (goes_on(which)) continue;
    while (!of(which).waiting.empty()) of(which).waiting.pop_front().settle(verdict(which));
  }
  intrusive_list<fault_pause> all;
  all.splice_back(pauses_);
  while (!all.empty()) {
    fault_pause& one = all.pop_front();
    if (one.is_over())
      one.settle();
    else
      pauses_.push_back(one);
  }
}

inline bool fault_core::close() noexcept {
  if (writing_ != nullptr && writing_->partly_out()) state_.mark_torn();
  return state_.close();
}

inline void fault_core::finish_drain() noexcept {
  if (state_.finish_drain()) on_drained(*home_);
  spread();
}

inline void fault_core::release(fault_half which) noexcept {
  lane& freed = of(which);
  if (!freed.waiting.empty()) {
    freed.waiting.pop_front().grant();
    return;
  }
  freed.busy = false;
  if (which == fault_half::write && state_.write_half() == half::draining) finish_drain();
}

}  // namespace detail
}  // namespace coflow::inline v0
