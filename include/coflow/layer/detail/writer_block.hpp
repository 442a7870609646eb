/// \file
/// The control block of a `buffered_writer`: its writes, flushes and ends. What they bring about below is done by its
/// `writer_wire`.
#pragma once

#include <cstddef>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/layer/detail/early_write.hpp"
#include "coflow/layer/detail/known_read.hpp"
#include "coflow/layer/detail/writer_operations.hpp"
#include "coflow/layer/detail/writer_wire.hpp"

namespace coflow::inline v0 {
namespace detail {

/// A write is done when its bytes are buffered, and waits while there is no room for all of them, so that it is never
/// torn; one that no room would do for is the flow below's own, while the line is held for it. The state's read half is
/// unused: reads are the flow below's own, which is closed or shut in time for them.
template <class Inner>
class writer_block final : public flow_block<writer_block<Inner>>, public executor::dependent, public pooled {
  using base = flow_block<writer_block>;

 public:
  using inner_type = Inner;
  using closing_operation = writer_close_operation<writer_block>;
  using flushing = flush_operation<writer_block>;
  using writing = typename base::writing;
  using shutting = typename base::shutting;

  /// Throws std::bad_alloc; the flow below is then destroyed.
  writer_block(Inner inner, std::size_t mark, bool every_turn, executor::duration close_limit)
      : mark_(larger<std::size_t>(mark, 1)),
        close_limit_(close_limit),
        every_turn_(every_turn),
        wire_(*this, std::move(inner)) {}
  ~writer_block() {
    if (line_ != nullptr) line_->block_is_gone();
  }

  [[nodiscard]] Inner& inner() noexcept { return wire_.inner(); }
  [[nodiscard]] std::size_t buffered() const noexcept { return wire_.buffered(); }
  [[nodiscard]] bool closing() const noexcept { return closing_; }
  /// A write of so many bytes, or more, goes through.
  [[nodiscard]] std::size_t mark() const noexcept { return mark_; }
  [[nodiscard]] std::vector<buffer> take_unsent() {
    if (this->state().can_transmit() || !wire_.at_rest() || (closing_ && !wire_.closed())) return {};
    return wire_.take_unsent();
  }

  // ---- for the operations; true means: suspended

  using base::start;
  [[nodiscard]] bool start(shutting& op) noexcept {
    static_cast<void>(enter());
    return base::start(op);
  }

  /// True if `some`, a span or a buffer, were accepted on the spot. Throws std::bad_alloc; nothing was accepted then.
  template <class Bytes>
  [[nodiscard, gnu::always_inline]] bool accept_now(const Bytes& some) {
    const std::size_t size = some.size();
    if (!this->state().can_write() || this->has_writer() || wire_.held() || size > room() || size == 0 || !entered())
        [[unlikely]]
      return false;
    wire_.put(some);
    return has_accepted();
  }

  /// A write that `try_write` has let go through begins below, and is over.
  void hold_line(line_hold<writer_block>& by) noexcept { line_ = &by; }
  void end_write_through(const std::error_code& failure) noexcept {
    line_ = nullptr;
    const bool in_doubt = failure == canceled();
    if (failure && !in_doubt) output_failed(failure);
    wire_.release(in_doubt && !closing_);
    if (!wire_.held() && this->state().can_transmit()) this->call_writer();
  }
  void add_read(known_read& one) noexcept { reads_.push_back(one); }
  /// A read has met an error below; one that ends the connection ends the writes too (law R7).
  void read_failed(const std::error_code& failure) noexcept {
    if (ends_connection(failure) && this->state().can_transmit()) output_failed(failure);
  }
  /// An operation begins that goes to the flow below: the executor on which it does is the flow's (law O4).
  void notice_executor() noexcept {
    if (home_ == nullptr) [[unlikely]]
      static_cast<void>(enter());
  }

  [[nodiscard]] bool begin_flush(flushing& op) noexcept {
    if (wire_.buffered() == 0 || !this->state().can_transmit()) {
      if (!this->state().can_write()) op.failure_ = this->state().write_verdict();
      return false;
    }
    if (op.failure_ = enter(); op.failure_) return false;
    op.target_ = wire_.accepted();
    wire_.send_now();
    if (wire_.sent() >= op.target_) return false;
    if (!this->state().can_transmit()) {
      op.failure_ = this->state().transmit_verdict();
      return false;
    }
    flushers_.push(op);
    return true;
  }
  void withdraw_flush(flushing& op) noexcept { flushers_.remove(op); }
  void stop_flush(flushing& op) noexcept {
    flushers_.remove(op);
    this->settle(op);
  }

  /// Sends what is buffered and closes the flow below; waits until that is done or the limit has passed.
  [[nodiscard]] bool begin_close(closing_operation& op) noexcept {
    const bool may_try = !enter() && !wire_.held();
    if (may_try && this->state().can_transmit()) wire_.send_now();
    const bool sends = may_try && this->state().can_transmit() && wire_.buffered() != 0;
    if (!this->close_halves()) return false;
    closing_ = true;
    settle_flushers(error::closed);
    if (sends) {
      end_reads();
      home_->arm(limit_, home_->after(close_limit_));
    } else {
      wire_.close_inner();
    }
    if (wire_.closed() || home_ == nullptr) return false;
    closers_.push(op);
    return true;
  }
  void withdraw_closer(closing_operation& op) noexcept { closers_.remove(op); }

  /// For the handle: what is buffered is dropped (law C6). `destroy` follows.
  void close() noexcept {
    this->close_halves();
    settle_flushers(error::closed);
    settle_closers();
  }
  void destroy() noexcept {
    if (wire_.lacks_bytes()) wire_.reset_inner();
    delete this;
  }
  /// Ends both halves and the flow below at once.
  void reset() noexcept {
    limit_.disarm();
    close();
    wire_.reset_inner();
  }

  // ---- what flow_block asks of a transport

  [[nodiscard]] bool entered() const noexcept { return home_ != nullptr && home_ == current_executor; }
  [[nodiscard]] std::error_code enter() noexcept {
    executor* current = executor::current();
    if (home_ != nullptr && home_ == current) return {};
    if (current == nullptr) return error::no_executor;
    if (current->finishing()) return error::closed;
    if (home_ != nullptr) {
      COFLOW_ASSERT(false, "a buffered_writer was used on two executors");
      return error::wrong_executor;
    }
    home_ = current;
    current->add_dependent(*this);
    return {};
  }
  [[nodiscard]] executor& home() noexcept { return *home_; }

  [[nodiscard]] attempt try_write(writing& op) noexcept {
    std::size_t size = 0;
    for (const buffer& one : op.rest()) size += one.size();
    in_attempt_ = true;
    const attempt came_to = size < mark_ ? accept(op, size) : let_through();
    in_attempt_ = false;
    return came_to;
  }
  void input_unwanted() noexcept { wire_.shut_input(); }
  void begin_end() noexcept { wire_.send_end(); }

 private:
  using wire = writer_wire<Inner, writer_block>;

  class limit final : public timer {
   public:
    explicit limit(writer_block& of) noexcept : block_(of) {}

   private:
    void run() noexcept override { block_.wire_.close_inner(); }
    writer_block& block_;
  };
  // Comes after everything that was ready when it was posted.
  class turn_end final : public node {
   public:
    explicit turn_end(writer_block& of) noexcept : block_(of) {}

   private:
    void run() noexcept override {
      if (block_.every_turn_) block_.wire_.send_now();
      block_.wire_.look();
    }
    writer_block& block_;
  };

  [[nodiscard]] std::size_t room() const noexcept { return mark_ - wire_.buffered(); }

  [[nodiscard]] attempt accept(writing& op, std::size_t size) noexcept {
    if (size > room()) wire_.send_now();
    if (!this->state().can_transmit()) return attempt::verdict;
    if (wire_.held() || size > room()) return attempt::wait;
    try {
      while (!op.rest().empty()) {
        wire_.put(op.rest().front());
        op.advance(op.rest().front().size());
      }
    } catch (const std::bad_alloc&) {
      this->state().fail_write(std::make_error_code(std::errc::not_enough_memory));
      return attempt::verdict;
    }
    return has_accepted() ? attempt::done : attempt::verdict;
  }
  // Everything before it must be out.
  [[nodiscard]] attempt let_through() noexcept {
    if (wire_.buffered() != 0) wire_.send_now();
    if (!this->state().can_transmit()) return attempt::verdict;
    if (wire_.held() || wire_.buffered() != 0) return attempt::wait;
    wire_.hold();
    return attempt::done;
  }
  // True unless the write half has failed by now.
  [[nodiscard]] bool has_accepted() noexcept {
    if (wire_.buffered() == mark_) [[unlikely]]
      return send_all();
    if (every_turn_) put_off();
    return true;
  }
  [[nodiscard, gnu::noinline]] bool send_all() noexcept {
    wire_.send_now();
    return this->state().can_transmit();
  }

  // ---- what the wire asks and tells

  friend wire;

  [[nodiscard]] bool may_send() const noexcept { return this->state().can_transmit() || closing_; }
  [[nodiscard]] executor* executor_of_wire() const noexcept { return home_; }
  void put_off() noexcept {
    if (!turn_end_.linked()) home_->post(turn_end_);
  }
  void output_went() noexcept {
    if (closing_) {
      if (wire_.buffered() == 0) close_inner();
      return;
    }
    while (queued_operation* first = flushers_.waiting()) {
      auto& op = static_cast<flushing&>(*first);
      if (op.target_ > wire_.sent()) break;
      flushers_.remove(op);
      this->settle(op);
    }
    if (!in_attempt_) this->call_writer();
  }
  // What is buffered stays, for `take_unsent`.
  void output_failed(std::error_code failure) noexcept {
    if (closing_) return close_inner();
    this->state().fail_write(failure);
    if (!in_attempt_) this->settle_writers();
    settle_flushers(failure);
  }
  void end_went_out() noexcept {
    if (!closing_) this->end_is_out();
  }
  void inner_is_closed() noexcept { settle_closers(); }

  // ---- the end

  void settle_flushers(std::error_code failure) noexcept {
    flushers_.take_all([this, failure](queued_operation& one) {
      static_cast<flushing&>(one).failure_ = failure;
      this->settle(one);
    });
  }
  void settle_closers() noexcept {
    closers_.take_all([this](queued_operation& one) { this->settle(one); });
  }
  // The close below is put off: reads that wait there end now, and are told why.
  void end_reads() noexcept {
    while (!reads_.empty()) reads_.pop_front().flow_was_closed();
    wire_.shut_input();
  }
  void close_inner() noexcept {
    limit_.disarm();
    wire_.close_inner();
  }
  void on_executor_gone() noexcept override {
    limit_.disarm();
    close();
    home_ = nullptr;
  }

  executor* home_ = nullptr;
  operation_queue flushers_;
  operation_queue closers_;
  intrusive_list<known_read> reads_;
  line_hold<writer_block>* line_ = nullptr;
  limit limit_{*this};
  turn_end turn_end_{*this};
  std::size_t mark_;
  executor::duration close_limit_;
  bool every_turn_;
  bool in_attempt_ = false;  // of a write, which must not be called or settled
  bool closing_ = false;
  wire wire_;  // last: its inner operations die first
};

}  // namespace detail
}  // namespace coflow::inline v0
