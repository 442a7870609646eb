/// \file
/// The control block of a `buffered_writer`: its writes, what is buffered, and every operation that this brings about
/// below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/detail/pool.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/layer/detail/outbox.hpp"
#include "coflow/layer/detail/pump.hpp"
#include "coflow/layer/detail/writer_operations.hpp"

namespace coflow::inline v0 {
namespace detail {

/// A write is done when its bytes are in the outbox, and waits while there is no room for all of them, so that it is
/// never torn; one that no room would do for is the flow below's own, while the line is held for it. One pump sends
/// what is due, a list at a time, and the end behind it; one shuts the read half below, one closes (law L1). The
/// state's read half is unused: reads are the flow below's own, which is closed or shut in time for them.
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
        every_turn_(every_turn),
        close_limit_(close_limit),
        inner_(std::move(inner)) {}
  ~writer_block() {
    if (line_ != nullptr) line_->block_is_gone();
  }

  [[nodiscard]] Inner& inner() noexcept { return inner_; }
  /// Accepted, and not known to be accepted below: bytes.
  [[nodiscard]] std::size_t buffered() const noexcept { return static_cast<std::size_t>(accepted_ - sent_); }
  [[nodiscard]] bool closing() const noexcept { return closing_; }
  /// A write of so many bytes, or more, goes through.
  [[nodiscard]] std::size_t mark() const noexcept { return mark_; }

  /// What will never be sent, in order. Throws std::bad_alloc; nothing has changed then.
  [[nodiscard]] std::vector<buffer> take_unsent() {
    if (this->state().can_transmit() || sending_now_ || (closing_ && !closed_)) return {};
    std::vector<buffer> all;
    all.reserve(sending_.size() + out_.pieces());
    std::vector<buffer> rest;
    out_.take(rest);
    for (std::vector<buffer>* list : {&sending_, &rest}) {
      for (buffer& one : *list)
        if (!one.empty()) all.push_back(std::move(one));
      list->clear();
    }
    sent_ = accepted_;
    return all;
  }

  // ---- for the operations; true means: suspended

  using base::start;
  [[nodiscard]] bool start(shutting& op) noexcept {
    static_cast<void>(enter());
    return base::start(op);
  }

  /// True if `some`, a span or a buffer, were accepted on the spot. Throws std::bad_alloc; nothing was accepted then.
  template <class Bytes>
  [[nodiscard]] bool accept_now(const Bytes& some) {
    const std::size_t size = some.size();
    if (!this->state().can_write() || this->has_writer() || held_ || size > room() || size == 0 || !entered())
        [[unlikely]]
      return false;
    out_.put(some);
    accepted_ += size;
    return has_accepted();
  }

  /// A write that `try_write` has let go through begins below, and is over.
  void hold_line(line_hold<writer_block>& by) noexcept { line_ = &by; }
  void end_write_through(const std::error_code& failure) noexcept {
    line_ = nullptr;
    held_ = false;
    if (closing_) return;
    if (failure == canceled())
      in_doubt_ = true;  // it may have been torn: the flow below is asked
    else if (failure)
      fail(failure);
    poke(writer_);
    if (!held_ && this->state().can_transmit()) this->call_writer();
  }
  /// A read has met an error below; one that ends the connection ends the writes too (law R7).
  void read_failed(const std::error_code& failure) noexcept {
    if (ends_connection(failure) && this->state().can_transmit()) fail(failure);
  }

  [[nodiscard]] bool begin_flush(flushing& op) noexcept {
    if (sent_ == accepted_ || !this->state().can_transmit()) {
      if (!this->state().can_write()) op.failure_ = this->state().write_verdict();
      return false;
    }
    if (op.failure_ = enter(); op.failure_) return false;
    op.target_ = accepted_;
    send_now();
    if (sent_ >= op.target_) return false;
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
    const bool may_send = !enter() && this->state().can_transmit() && sent_ != accepted_ && !held_;
    if (may_send) send_now();
    const bool sends = may_send && this->state().can_transmit() && sent_ != accepted_;
    if (!this->close_halves()) return false;
    closing_ = true;
    settle_flushers(error::closed);
    if (sends) {
      end_reads();
      home_->arm(limit_, home_->after(close_limit_));
    } else {
      close_inner();
    }
    if (closed_ || home_ == nullptr) return false;
    closers_.push(op);
    return true;
  }
  void withdraw_closer(closing_operation& op) noexcept { closers_.remove(op); }

  void add_read(known_read& one) noexcept { reads_.push_back(one); }
  /// An operation begins that goes to the flow below: the executor on which it does is the flow's (law O4).
  void notice_executor() noexcept {
    if (home_ == nullptr) [[unlikely]]
      static_cast<void>(enter());
  }

  /// For the handle: what is buffered is dropped (law C6). `destroy` follows.
  void close() noexcept {
    this->close_halves();
    settle_flushers(error::closed);
    closers_.take_all([this](queued_operation& one) { this->settle(one); });
  }
  void destroy() noexcept { delete this; }

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

  void input_unwanted() noexcept {
    shut_due_ = true;
    poke(shutter_);
  }
  void begin_end() noexcept {
    due_ = accepted_;
    end_due_ = true;
    poke(writer_);
  }

 private:
  class limit final : public timer {
   public:
    explicit limit(writer_block& of) noexcept : block_(of) {}

   private:
    void run() noexcept override { block_.close_inner(); }
    writer_block& block_;
  };
  // The end of the turn; also brings work that was asked for outside of the executor's turns into one.
  class turn_end final : public node {
   public:
    explicit turn_end(writer_block& of) noexcept : block_(of) {}

   private:
    void run() noexcept override {
      if (block_.every_turn_) block_.due_ = block_.accepted_;
      block_.writer_.poke();
      block_.shutter_.poke();
    }
    writer_block& block_;
  };

  [[nodiscard]] std::size_t room() const noexcept { return mark_ - buffered(); }

  [[nodiscard]] attempt accept(writing& op, std::size_t size) noexcept {
    if (size > room()) send_now();
    if (!this->state().can_transmit()) return attempt::verdict;
    if (held_ || size > room()) return attempt::wait;
    try {
      while (!op.rest().empty()) {
        const std::size_t part = op.rest().front().size();
        out_.put(op.rest().front());
        accepted_ += part;
        op.advance(part);
      }
    } catch (const std::bad_alloc&) {
      this->state().fail_write(std::make_error_code(std::errc::not_enough_memory));
      return attempt::verdict;
    }
    return has_accepted() ? attempt::done : attempt::verdict;
  }
  // Everything before it must be out.
  [[nodiscard]] attempt let_through() noexcept {
    if (sent_ != accepted_) send_now();
    if (!this->state().can_transmit()) return attempt::verdict;
    if (held_ || sent_ != accepted_) return attempt::wait;
    held_ = true;
    return attempt::done;
  }

  // True unless the write half has failed by now.
  [[nodiscard]] bool has_accepted() noexcept {
    if (buffered() == mark_) [[unlikely]] {
      send_now();
      return this->state().can_transmit();
    }
    if (every_turn_ && !turn_end_.linked()) home_->post(turn_end_);
    return true;
  }
  void send_now() noexcept {
    due_ = accepted_;
    poke(writer_);
  }
  void poke(pump& one) noexcept {
    if (home_ == nullptr || executor::current() == home_)
      one.poke();
    else if (!turn_end_.linked())
      home_->post(turn_end_);
  }

  [[nodiscard]] bool has_work() const noexcept {
    if (held_ || close_begun_ || !(this->state().can_transmit() || closing_)) return false;
    return in_doubt_ || sent_ < due_ || (end_due_ && !end_begun_);
  }
  static pump write_on(writer_block* self) {
    for (;;) {
      while (!self->has_work()) co_await self->writer_.idle();
      if (self->sent_ == self->accepted_ && !self->in_doubt_) {
        self->end_begun_ = true;
        co_await self->inner_.shutdown(shutdown_mode::write);
        if (!self->closing_) self->end_is_out();
        continue;
      }
      self->begin_batch();
      std::error_code failure;
      self->sending_now_ = true;
      try {
        auto sent = co_await self->inner_.writev(self->sending_);
        if (!sent) failure = sent.error();
      } catch (const std::bad_alloc&) {
        failure = std::make_error_code(std::errc::not_enough_memory);
      }
      self->sending_now_ = false;
      self->end_batch(failure);
    }
  }
  // To write nothing is to ask whether the half is open (law W9).
  void begin_batch() noexcept {
    batch_ = std::exchange(in_doubt_, false) ? 0 : out_.bytes();
    if (batch_ != 0) out_.take(sending_);
  }
  void end_batch(std::error_code failure) noexcept {
    if (failure) return fail(failure);
    sent_ += batch_;
    sending_.clear();
    if (out_.empty()) out_.rest();
    if (closing_) {
      if (sent_ == accepted_) close_inner();
      return;
    }
    while (queued_operation* first = flushers_.waiting()) {
      auto& op = static_cast<flushing&>(*first);
      if (op.target_ > sent_) break;
      flushers_.remove(op);
      this->settle(op);
    }
    if (!in_attempt_) this->call_writer();
  }
  void fail(std::error_code failure) noexcept {
    std::uint64_t left = 0;
    for (const buffer& one : sending_) left += one.size();
    sent_ += batch_ - left;
    if (closing_) return close_inner();
    this->state().fail_write(failure);
    if (!in_attempt_) this->settle_writers();
    settle_flushers(failure);
  }
  void settle_flushers(std::error_code failure) noexcept {
    flushers_.take_all([this, failure](queued_operation& one) {
      static_cast<flushing&>(one).failure_ = failure;
      this->settle(one);
    });
  }

  // ---- the end

  // The close below is put off: reads that wait there end now, and are told why.
  void end_reads() noexcept {
    while (!reads_.empty()) {
      known_read& one = reads_.front();
      one.flow_was_closed();
      one.unlink();
    }
    input_unwanted();
  }
  void close_inner() noexcept {
    if (std::exchange(close_begun_, true)) return;
    limit_.disarm();
    controller_.poke();
  }
  static pump shut_on(writer_block* self) {
    for (;;) {
      while (!self->shut_due_ || self->close_begun_) co_await self->shutter_.idle();
      self->shut_due_ = false;
      co_await self->inner_.shutdown(shutdown_mode::read);
    }
  }
  static pump close_on(writer_block* self) {
    for (;;) {
      while (!self->close_begun_ || self->closed_) co_await self->controller_.idle();
      co_await self->inner_.close();
      self->closed_ = true;
      self->closers_.take_all([self](queued_operation& one) { self->settle(one); });
    }
  }

  void on_executor_gone() noexcept override {
    limit_.disarm();
    close();
    home_ = nullptr;
  }

  executor* home_ = nullptr;
  std::uint64_t accepted_ = 0;  // bytes, since the beginning
  std::uint64_t due_ = 0;       // so many of them are to go out
  std::uint64_t sent_ = 0;
  std::size_t batch_ = 0;  // what the write below is about
  std::size_t mark_;
  outbox out_;
  std::vector<buffer> sending_;
  operation_queue flushers_;
  operation_queue closers_;
  line_hold<writer_block>* line_ = nullptr;
  intrusive_list<known_read> reads_;
  limit limit_{*this};
  turn_end turn_end_{*this};
  bool every_turn_;
  bool held_ = false;         // the line, by a write that goes through
  bool in_doubt_ = false;     // whether the write half below is still good
  bool in_attempt_ = false;   // of a write, which must not be called or settled
  bool sending_now_ = false;  // below
  bool end_due_ = false;
  bool end_begun_ = false;
  bool shut_due_ = false;
  bool closing_ = false;
  bool close_begun_ = false;
  bool closed_ = false;
  executor::duration close_limit_;
  Inner inner_;
  // Last, so that the inner operations die before the flow below.
  pump writer_ = write_on(this);
  pump shutter_ = shut_on(this);
  pump controller_ = close_on(this);
};

}  // namespace detail
}  // namespace coflow::inline v0
