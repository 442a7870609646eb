/// \file
/// Several connection attempts side by side, and the wait for the first that succeeds (RFC 8305, section 5).
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/net/detail/connect_verdict.hpp"
#include "coflow/net/detail/stream_socket.hpp"
#include "coflow/net/detail/stream_socket_room.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Reorders addresses for a race: the family of the first, then the other, in turns; within a family the order stays.
/// An address that comes twice is tried once. `family(address)` tells families apart.
template <class Address, class Family>
[[nodiscard]] std::vector<Address> interleaved(const std::vector<Address>& found, Family family) {
  std::vector<Address> lines[2];
  for (const Address& one : found) {
    std::vector<Address>& line = lines[family(one) == family(found.front()) ? 0 : 1];
    bool known = false;
    for (const Address& other : line) known = known || other == one;
    if (!known) line.push_back(one);
  }
  std::vector<Address> mixed;
  mixed.reserve(lines[0].size() + lines[1].size());
  for (std::size_t i = 0; i < larger(lines[0].size(), lines[1].size()); ++i) {
    for (const std::vector<Address>& line : lines)
      if (i < line.size()) mixed.push_back(line[i]);
  }
  return mixed;
}

/// The attempts of one race, numbered as they begin. Destroying it closes all of them but a winner that was taken.
class connect_race {
 public:
  class wait_operation;

  explicit connect_race(std::size_t most) : attempts_(most) {}
  connect_race(const connect_race&) = delete;
  connect_race& operator=(const connect_race&) = delete;
  ~connect_race() = default;

  /// The next attempt begins: a socket on its way, `connected` if it has arrived, or minus the errno value of an
  /// attempt that has failed already. The socket belongs to the race, also when there is no memory for it.
  void begin(int fd, bool connected) {
    attempt& next = attempts_[begun_];
    next.start(*this, fd, connected);
    ++begun_;
  }
  /// How many attempts have begun.
  [[nodiscard]] std::size_t begun() const noexcept { return begun_; }
  /// False while the attempt that was begun last deserves its head start.
  [[nodiscard]] bool next_may_begin() const noexcept { return (next_may_begin_ || idle()) && !won(); }
  /// True if no attempt is under way.
  [[nodiscard]] bool idle() const noexcept { return pending_ == 0; }

  /// Waits until an attempt has been decided, or for `head_start`. Gives an error if there is no going on: `timed_out`
  /// when the deadline has passed, `operation_canceled`, `closed` with the loop.
  [[nodiscard]] inline wait_operation wait(std::optional<executor::time_point> deadline,
                                           std::optional<executor::duration> head_start) noexcept;

  [[nodiscard]] bool won() const noexcept { return winner_ != nullptr; }
  [[nodiscard]] flow_handle<stream_socket> take_winner() noexcept { return winner_->take(); }

  /// Why the attempt failed; empty for one that has not.
  [[nodiscard]] std::error_code failure(std::size_t number) const noexcept { return attempts_[number].failure(); }

 private:
  class attempt final : private connect_waiter {
   public:
    attempt() noexcept {}
    attempt(attempt&&) = delete;
    ~attempt() {
      if (pending_) (*socket_)->set_connect_waiter(nullptr);
    }

    void start(connect_race& race, int fd, bool connected) {
      race_ = &race;
      std::error_code failed;
      if (fd < 0)
        failed = from_system(-fd);
      else
        failed = socket_.emplace(new_stream_socket(fd))->enter();
      if (!failed && connected) failed = refuse_oneself(**socket_);
      if (failed || connected) {
        decide(failed);
      } else {
        race_->next_may_begin_ = false;
        ++race_->pending_;
        watch();
      }
    }
    [[nodiscard]] flow_handle<stream_socket> take() noexcept { return std::move(*socket_); }
    [[nodiscard]] std::error_code failure() const noexcept { return failure_; }

   private:
    void watch() noexcept {
      pending_ = true;
      (*socket_)->set_connect_waiter(this);
    }
    void on_decided() noexcept override {
      pending_ = false;
      const auto verdict = connect_verdict(**socket_);
      if (!verdict) {
        watch();
        return;
      }
      --race_->pending_;
      decide(*verdict);
    }
    void on_closed() noexcept override {
      pending_ = false;
      --race_->pending_;
      failure_ = error::closed;
      race_->on_news(failure_);
    }
    // What has failed gives its descriptor back now.
    void decide(std::error_code failed) noexcept {
      failure_ = failed;
      if (failed)
        socket_.reset();
      else if (race_->winner_ == nullptr)
        race_->winner_ = this;
      race_->next_may_begin_ = true;
      race_->on_news({});
    }

    connect_race* race_ = nullptr;
    std::optional<flow_handle<stream_socket>> socket_;
    std::error_code failure_;
    bool pending_ = false;
  };

  inline void on_news(std::error_code ended) noexcept;

  std::vector<attempt> attempts_;
  std::size_t begun_ = 0;
  std::size_t pending_ = 0;
  attempt* winner_ = nullptr;
  wait_operation* waiting_ = nullptr;
  bool next_may_begin_ = true;
};

class [[nodiscard]] connect_race::wait_operation final : public operation {
 public:
  wait_operation(connect_race& race, std::optional<executor::time_point> deadline,
                 std::optional<executor::duration> head_start) noexcept
      : race_(race), deadline_(deadline), head_start_(head_start) {}
  wait_operation(wait_operation&&) = delete;
  ~wait_operation() {
    if (race_.waiting_ == this) race_.waiting_ = nullptr;
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    home_ = executor::current();
    if (this->stop_requested())
      outcome_ = canceled();
    else if (home_->finishing())
      outcome_ = error::closed;
    if (outcome_ || race_.won() || race_.idle()) return false;
    race_.waiting_ = this;
    if (deadline_) home_->arm(deadline_timer_, *deadline_);
    if (head_start_) home_->arm(head_start_timer_, home_->after(*head_start_));
    this->begin_wait();
    return true;
  }
  [[nodiscard]] std::error_code await_resume() const noexcept { return outcome_; }

 private:
  friend class connect_race;

  class wait_timer final : public timer {
   public:
    wait_timer(wait_operation& of, bool ends) noexcept : wait_(of), ends_(ends) {}
    void run() noexcept override {
      if (abandoned())
        wait_.settle(error::closed);
      else if (ends_)
        wait_.settle(error::timed_out);
      else
        wait_.head_start_over();
    }

   private:
    wait_operation& wait_;
    bool ends_;
  };

  void head_start_over() noexcept {
    race_.next_may_begin_ = true;
    settle({});
  }
  void on_stop() noexcept override { settle(canceled()); }
  // What is first told to end the wait does; attempts that are decided afterwards are still looked at.
  void settle(std::error_code why) noexcept {
    outcome_ = why;
    race_.waiting_ = nullptr;
    deadline_timer_.disarm();
    head_start_timer_.disarm();
    this->end_wait();
    home_->post(*this);
  }
  void run() noexcept override {
    if (race_.won()) outcome_ = {};
    this->resume();
  }
  const char* waits_for() const noexcept override { return "a connection attempt"; }

  connect_race& race_;
  std::optional<executor::time_point> deadline_;
  std::optional<executor::duration> head_start_;
  wait_timer deadline_timer_{*this, true};
  wait_timer head_start_timer_{*this, false};
  executor* home_ = nullptr;
  std::error_code outcome_;
};

inline connect_race::wait_operation connect_race::wait(std::optional<executor::time_point> deadline,
                                                       std::optional<executor::duration> head_start) noexcept {
  return wait_operation(*this, deadline, head_start);
}

inline void connect_race::on_news(std::error_code ended) noexcept {
  if (waiting_ != nullptr) waiting_->settle(ended);
}

}  // namespace detail
}  // namespace coflow::inline v0
