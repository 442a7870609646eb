/// \file
/// The control block of a codec's flow: its outer operations and its state. What it brings about below is done by its
/// `codec_wire`; what comes from there reaches the outer operations by post.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/detail/pool.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/layer/codec.hpp"
#include "coflow/layer/codec_options.hpp"
#include "coflow/layer/codec_wire.hpp"
#include "coflow/layer/detail/buffer_queue.hpp"
#include "coflow/layer/detail/codec_operations.hpp"

namespace coflow::inline v0 {

/// What a `codec_flow` is a handle on. It belongs to the executor on which its first operation begins.
template <class C, class Inner>
class codec_block final : public flow_block<codec_block<C, Inner>>, public executor::dependent, public detail::pooled {
  using base = flow_block<codec_block>;

 public:
  using closing = detail::codec_close_operation<codec_block>;
  using handshaking = detail::handshake_operation<codec_block>;
  using reading = typename base::reading;
  using writing = typename base::writing;
  using shutting = typename base::shutting;

  /// Throws std::bad_alloc; the inner flow is then destroyed.
  codec_block(C codec, Inner inner, const codec_options& options)
      : close_limit_(options.close_limit()),
        wire_(*this, std::move(codec), std::move(inner), options.truncation_allowed()) {}
  ~codec_block() = default;

  [[nodiscard]] Inner& inner() noexcept { return wire_.inner(); }
  [[nodiscard]] C& codec() noexcept { return wire_.codec(); }

  // ---- for the operations; true means: suspended

  using base::start;
  using base::stop;
  using base::withdraw;
  // A write that is torn may be the last thing that was open.
  void stop(writing& op) noexcept {
    base::stop(op);
    look_whether_over();
  }
  void withdraw(writing& op) noexcept {
    base::withdraw(op);
    look_whether_over();
  }
  [[nodiscard]] bool start(shutting& op) noexcept {
    static_cast<void>(enter());
    shut_here_ = true;
    const bool suspended = base::start(op);
    look_whether_over();
    return suspended;
  }

  /// Says goodbye and closes the inner flow; waits until that is done or the limit has passed (law L2). If it
  /// `lingers`, it first shuts the inner write half and waits for the peer's end.
  [[nodiscard]] bool begin_close(closing& op, bool lingers) noexcept {
    const bool at_home = !enter();
    const bool may_say_goodbye = at_home && wire_.established() && this->state().can_transmit();
    const bool cuts_a_write = this->has_writer();  // no goodbye may cover that up
    if (!this->close_halves()) return false;
    closing_ = true;
    lingering_ = false;
    settle_handshake(error::closed);
    if (!at_home || wire_.output_failed() || this->state().torn()) {
      wire_.close_inner();
    } else if (lingers && !wire_.inner_ended()) {
      lingering_ = true;
      wire_.say_nothing_more();
      wire_.poke_output();
      wire_.linger();
    } else {
      goodbye_due_ = may_say_goodbye && wire_.holds_back() && !cuts_a_write;
      if (may_say_goodbye && !goodbye_due_) wire_.say_goodbye();
      wire_.skip_inner_shutdown();
      wire_.poke_output();
      wire_.release_held();
      if (wire_.nothing_to_send() && !goodbye_due_) wire_.close_inner();
    }
    if (!at_home || wire_.closed()) return false;
    if (!wire_.close_begun()) arm_limit();
    closers_.push(op);
    return true;
  }
  void withdraw_closer(closing& op) noexcept { closers_.remove(op); }
  /// Closes the inner flow at once, without a goodbye.
  void abandon() noexcept { wire_.close_inner(); }

  [[nodiscard]] bool begin_handshake(handshaking& op) noexcept {
    if (const std::error_code refused = enter()) {
      op.failure_ = refused;
      return false;
    }
    handshake_ = &op;
    wire_.start_handshake();
    look_at_handshake();
    if (handshake_ == nullptr) {
      op.unlink();
      return false;
    }
    op.phase_ = operation_phase::waiting;
    op.begin_wait();
    return true;
  }
  void withdraw_handshake(handshaking&) noexcept { handshake_ = nullptr; }
  void stop_handshake(handshaking& op) noexcept {
    handshake_ = nullptr;
    this->settle(op);
  }

  /// Ends everything now, without a goodbye, and the inner flow not cleanly if that can be.
  void break_off() noexcept {
    close();
    wire_.decoded().clear();
    wire_.break_inner();
  }

  /// For the handle: no goodbye (law C6). `destroy` follows.
  void close() noexcept {
    this->close_halves();
    settle_handshake(error::closed);
    settle_closers();
  }
  void destroy() noexcept { delete this; }

  // ---- what flow_block asks of a transport

  [[nodiscard]] bool entered() noexcept { return home_ != nullptr && home_ == detail::get_current_executor(); }
  [[nodiscard]] std::error_code enter() noexcept {
    executor* current = executor::current();
    if (home_ != nullptr && home_ == current) return {};
    if (current == nullptr) return error::no_executor;
    if (current->finishing()) return error::closed;
    if (home_ != nullptr) {
      COFLOW_ASSERT(false, "a flow was used on two executors");
      return error::wrong_executor;
    }
    home_ = current;
    current->add_dependent(*this);
    if (wire_.stalled()) wire_.try_again();
    return {};
  }
  [[nodiscard]] executor& home() noexcept { return *home_; }
  [[nodiscard]] bool may_read() const noexcept { return true; }

  [[nodiscard]] attempt try_read(buffer& data) {
    return take_decoded([&data](detail::buffer_queue& decoded) noexcept { data = decoded.pop(); });
  }
  [[nodiscard]] attempt try_read_into(std::span<std::byte> room, std::size_t& count) {
    return take_decoded([room, &count](detail::buffer_queue& decoded) noexcept { count = decoded.take_into(room); });
  }

  [[nodiscard]] std::error_code take_passing_failure() noexcept { return wire_.take_given_up(); }

  [[nodiscard]] attempt try_write(writing& op) noexcept {
    for (;;) {
      if (!this->state().can_transmit()) return attempt::verdict;
      if (wire_.sealed_waiting()) return attempt::wait;
      if (op.rest().empty()) return attempt::done;
      const std::error_code failure = seal_some(op);
      if (failure) this->state().fail_write(failure);
      writing_now_ = true;
      wire_.poke_output();
      wire_.release_held();
      writing_now_ = false;
      if (failure) look_whether_over();
    }
  }

  void input_unwanted() noexcept {
    wire_.decoded().clear();
    if (!wire_.needs_input() && this->state().can_write())
      wire_.shut_input();
    else
      wire_.drop_input();  // the inner half stays open, so that the peer's end is seen (fact K4)
  }
  void begin_end() noexcept {
    end_due_ = wire_.holds_back();  // the goodbye comes behind what is held back
    if (end_due_) return wire_.release_held();
    wire_.say_goodbye();
    wire_.poke_output();
  }

 private:
  using wire = codec_wire<C, Inner, codec_block>;

  class limit final : public timer {
   public:
    explicit limit(codec_block& of) noexcept : block_(of) {}

   private:
    void run() noexcept override { block_.wire_.close_inner(); }
    codec_block& block_;
  };

  void on_executor_gone() noexcept override {
    close();
    home_ = nullptr;
  }

  void look_below(void (wire::*how)() noexcept) noexcept {
    reading_now_ = true;
    (wire_.*how)();
    reading_now_ = false;
  }

  // `take` takes out some of what was decoded.
  template <class Take>
  [[nodiscard]] attempt take_decoded(Take take) {
    for (bool asked = false;; asked = true) {
      if (!wire_.decoded().empty()) {
        take(wire_.decoded());
        if (wire_.decoded().empty()) look_below(&wire::read_ahead);
        return attempt::done;
      }
      if (wire_.input_ended()) {
        if (wire_.input_failure())
          this->state().fail_read(wire_.input_failure());
        else
          this->state().end_of_stream();
        look_whether_over();
        return attempt::verdict;
      }
      if (wire_.take_out_of_memory()) throw std::bad_alloc();
      if (wire_.input_given_up()) {
        if (asked || this->has_reader()) return attempt::verdict;
        static_cast<void>(wire_.take_given_up());  // whoever it was for is gone
      }
      if (asked) return attempt::wait;
      look_below(&wire::want_input);
    }
  }

  // The point of no return: what is taken from `op` here is sent (law X2). As many buffers as there are, so that small
  // ones can be put together.
  [[nodiscard]] std::error_code seal_some(writing& op) noexcept {
    const std::span<buffer> rest = op.rest();
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count != rest.size() && rest[count].size() <= wire::most_at_once - bytes) bytes += rest[count++].size();
    if (count == 0) {
      buffer part = op.accept(wire::most_at_once);
      return wire_.seal(std::span<buffer>(&part, 1));
    }
    const std::span<buffer> whole = op.accept_whole(count);
    const std::error_code failure = wire_.seal(whole);
    for (buffer& one : whole) one.clear();
    return failure;
  }

  // ---- what the wire tells, from inside its pumps

  friend wire;

  [[nodiscard]] bool wants_input() const noexcept { return reading_now_ || this->has_reader(); }
  [[nodiscard]] executor* executor_of_wire() const noexcept { return home_; }
  void input_came() noexcept {
    if (lingering_) return look_whether_lingered();
    if (!this->state().can_read()) wire_.decoded().clear();
    look_at_handshake();
    if (!reading_now_) this->call_reader();
  }
  void output_went() noexcept {
    if (lingering_) return look_whether_lingered();
    if (closing_) {
      if (wire_.nothing_to_send() && !goodbye_due_) wire_.close_inner();
      return;
    }
    look_at_handshake();
    if (!writing_now_) this->call_writer();
  }
  void output_failed(std::error_code failure) noexcept {
    this->state().fail_write(failure);
    if (!writing_now_) this->settle_writers();
    look_at_handshake();
    if (closing_)
      wire_.close_inner();
    else
      look_whether_over();
  }
  void output_stranded(std::error_code failure) noexcept {
    this->state().fail_write(failure);
    if (!writing_now_) this->settle_writers();
    if (!closing_)
      look_whether_over();
    else if (std::exchange(goodbye_due_, false) && wire_.nothing_to_send())
      wire_.close_inner();
  }
  void output_released() noexcept {
    if (closing_) {
      if (!std::exchange(goodbye_due_, false)) return;
      wire_.say_goodbye();
      wire_.poke_output();
      if (wire_.nothing_to_send()) wire_.close_inner();
      return;
    }
    if (std::exchange(end_due_, false)) begin_end();
    if (!writing_now_) this->call_writer();
  }
  void end_went_out() noexcept {
    if (closing_) return;
    this->end_is_out();
    look_whether_over();
  }
  void inner_is_closed() noexcept {
    limit_.disarm();
    settle_closers();
  }

  // ---- the end

  // What the codec said of its input comes before the failure to send what it answered.
  void look_at_handshake() noexcept {
    if (handshake_ == nullptr) return;
    const bool done = wire_.established();
    if (wire_.input_ended() && (!done || wire_.answers_lost()))
      settle_handshake(wire_.input_failure() ? wire_.input_failure() : std::error_code(error::truncated));
    else if (wire_.output_failed())
      settle_handshake(this->state().transmit_verdict());
    else if (wire_.take_out_of_memory())
      settle_handshake(std::make_error_code(std::errc::not_enough_memory));
    else if (done && wire_.nothing_to_send())  // the last flight is out, too
      settle_handshake(std::error_code());
  }
  void settle_handshake(std::error_code failure) noexcept {
    if (handshake_ == nullptr) return;
    handshaking& op = *std::exchange(handshake_, nullptr);
    op.failure_ = failure;
    this->settle(op);
  }
  void settle_closers() noexcept {
    closers_.take_all([this](queued_operation& one) { this->settle(one); });
  }

  // Nothing will move any more, after a shutdown from this side: the layer closes the inner flow (law L3).
  void look_whether_over() noexcept {
    if (!shut_here_ || closing_ || lingering_ || !this->state().terminal()) return;
    lingering_ = true;
    if (this->state().write_half() != half::shut || (wire_.inner_ended() && !wire_.input_shut()) || home_ == nullptr)
      return wire_.close_inner();
    arm_limit();
    wire_.linger();
  }
  void look_whether_lingered() noexcept {
    if (wire_.inner_ended() && !wire_.input_shut() && wire_.nothing_to_send()) wire_.close_inner();
  }
  void arm_limit() noexcept { home_->arm(limit_, home_->after(close_limit_)); }

  executor* home_ = nullptr;
  handshaking* handshake_ = nullptr;
  operation_queue closers_;
  limit limit_{*this};
  bool reading_now_ = false;  // inside an attempt to read, whose operation must not be called
  bool writing_now_ = false;  // inside try_write
  bool shut_here_ = false;
  bool lingering_ = false;  // nothing will move any more, and the layer waits for the peer's end below
  bool closing_ = false;
  bool end_due_ = false;      // the goodbye of a shutdown waits for what the codec holds back
  bool goodbye_due_ = false;  // that of a close does
  executor::duration close_limit_;
  wire wire_;  // last: its inner operations die first
};

}  // namespace coflow::inline v0
