/// \file
/// The control block of a tee.
#pragma once

#include <coroutine>
#include <cstddef>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/operation_queue.hpp"
#include "coflow/core/shutdown_mode.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/gate.hpp"
#include "coflow/layer/detail/gated_operation.hpp"
#include "coflow/layer/detail/layer_block.hpp"
#include "coflow/layer/detail/plain_operation.hpp"
#include "coflow/layer/detail/pump.hpp"
#include "coflow/layer/detail/shared_list.hpp"
#include "coflow/layer/detail/tee_copy.hpp"

namespace coflow::inline v0 {
namespace detail {

// ---- writes keep second handles on their bytes until it is known that they have gone out

class tee_write {
 public:
  using result_type = result<void>;
  tee_write(const buffer& bytes, bool wanted) noexcept : size(bytes.size()) {
    if (wanted) kept_ = bytes.share();
  }
  static void keep() noexcept {}
  [[nodiscard]] std::span<buffer> kept() noexcept { return {&kept_, 1}; }
  std::size_t size;

 private:
  buffer kept_;
};
class tee_writev {
 public:
  using result_type = result<void>;
  explicit tee_writev(std::span<const buffer> list) noexcept : list_(list) {}
  void keep() {
    size = sum_of(list_);
    kept_ = shared_list(list_);
  }
  [[nodiscard]] std::span<buffer> kept() noexcept { return kept_.list(); }
  std::size_t size = 0;

 private:
  std::span<const buffer> list_;
  shared_list kept_;
};
template <class Note>
concept note_of_write = std::same_as<Note, tee_write> || std::same_as<Note, tee_writev>;

/// What `tee::close` returns: gives nothing. It waits for the inner flow's close and, within the limit, for the sink;
/// a stop request does not end that wait (law X0).
template <class Block>
class [[nodiscard]] tee_close_operation final : public queued_operation {
 public:
  explicit tee_close_operation(share<Block> block) noexcept : block_(std::move(block)) {}
  tee_close_operation(tee_close_operation&& unbegun) noexcept : block_(std::move(unbegun.block_)) {}
  ~tee_close_operation() {
    if (phase_ == operation_phase::waiting)
      block_->withdraw_closer(*this);
    else
      this->unlink();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle waiting) noexcept {
    this->bind(waiting);
    return block_->begin_close(*this);
  }
  void await_resume() const noexcept {}

 private:
  friend Block;

  void settle(executor& on) noexcept {
    phase_ = operation_phase::settled;
    on.post(*this);
  }
  void run() noexcept override { this->resume(); }
  void on_stop() noexcept override {}

  share<Block> block_;
};

/// Reads wait at the gate before they begin, writes when they have gone out, while too much waits for the sink.
template <class Inner, class Sink>
class tee_block final : public layer_block<tee_block<Inner, Sink>, Inner> {
  using owner = share<tee_block>;

 public:
  using closing = tee_close_operation<tee_block>;
  struct choice {
    choice() noexcept {}
    bool reads = true;
    bool writes = false;
    std::size_t limit = 0;
    executor::duration close_limit{};
  };

  /// Throws std::bad_alloc; both flows are then destroyed.
  tee_block(Inner inner, Sink sink, const choice& chosen)
      : layer_block<tee_block, Inner>(std::move(inner)), chosen_(chosen), copy_(*this, std::move(sink)) {}
  ~tee_block() = default;

  [[nodiscard]] auto& copy() noexcept { return copy_; }
  [[nodiscard]] const auto& copy() const noexcept { return copy_; }

  [[nodiscard]] bool wants_writes() const noexcept { return chosen_.writes && !copy_.ended(); }

  // ---- reading

  template <note_of_read Note>
  [[nodiscard]] way choose(const Note& note, const stop_node*) noexcept {
    if (!chosen_.reads || wants_nothing(note)) return way::straight;
    if (!this->at_home()) return way::straight;
    return before_reads_.free_for(executor::time_point::min()) ? way::noted : way::around;
  }
  template <note_of_read Note, class Operation>
  static task<typename Note::result_type> go_around(owner block, Note& note, Operation& operation) {
    gate_wait leave(block->before_reads_, *block->home());
    const bool passed = co_await leave;
    if (!passed) co_return canceled();
    if (block->gone()) co_return error::closed;
    auto came = co_await operation;
    auto given = as_system_result<typename Note::result_type>(std::move(came));
    block->noted(note, given);
    co_return std::move(given);
  }
  template <note_of_read Note>
  void noted(const Note& note, const typename Note::result_type& came) noexcept {
    const std::size_t count = bytes_of(came);
    if (count == 0) {
      if (is_verdict(came)) before_reads_.open();  // it is not to be waited for
      return;
    }
    if (copy_.ended()) return copy_.skip(count);
    try {
      copy_.add(handle_on(note, came));
    } catch (const std::bad_alloc&) {
      lose(count);
    }
    copy_.send();
  }
  template <note_of_read Note>
  void forgotten(const Note&) const noexcept {}

  // ---- writing

  template <note_of_write Note>
  [[nodiscard]] way choose(Note& note, const stop_node*) noexcept {
    if (!chosen_.writes) return way::straight;
    try {
      note.keep();
    } catch (const std::bad_alloc&) {
      lose(0);
    }
    if (note.size == 0 || !this->at_home()) return way::straight;
    reserved_ += note.size;
    return copy_.ended() || copy_.queued() + reserved_ <= chosen_.limit ? way::noted : way::around;
  }
  template <note_of_write Note, class Operation>
  static task<result<void>> go_around(owner block, Note& note, Operation& operation) {
    const reservation mine(block, note.size);
    auto came = co_await operation;
    if (!came) co_return as_system_result<result<void>>(std::move(came));
    block->copy_written(note);
    executor* const home = block->home();
    if (block->gone() || home == nullptr) co_return success;
    gate_wait leave(block->after_writes_, *home);
    static_cast<void>(co_await leave);  // whatever ends the wait, the bytes have been accepted
    co_return success;
  }
  template <note_of_write Note>
  void noted(Note& note, const result<void>& came) noexcept {
    forgotten(note);
    if (came.has_value()) copy_written(note);
  }
  template <note_of_write Note>
  void forgotten(const Note& note) noexcept {
    reserved_ -= note.size;
  }

  template <class Note>
  [[nodiscard]] typename Note::result_type answer(const Note&) const noexcept {
    return error::closed;
  }

  // ---- the end

  void note_shutdown(shutdown_mode mode) noexcept {
    if (covers_read(mode)) before_reads_.open();  // the inner flow has the verdict
  }
  [[nodiscard]] bool begin_close(closing& op) noexcept {
    if (this->gone() || std::exchange(closing_, true)) return false;
    const bool home = this->at_home();
    open();
    closer_.poke();
    if (!home || copy_.queued() == 0)
      copy_.close(error::closed);
    else
      limit_.arm(*this->home(), this->home()->after(chosen_.close_limit));
    if (!home || is_closed()) return false;
    closers_.push(op);
    return true;
  }
  void withdraw_closer(closing& op) noexcept { closers_.remove(op); }

  /// Nobody waits for the sink any more, but a close.
  void open() noexcept {
    before_reads_.open();
    after_writes_.open();
  }

  void let_go() noexcept {
    limit_.disarm();
    open();
    settle_closers();
  }

 private:
  class side final : public gate {
   public:
    explicit side(tee_block& of) noexcept : block_(of) {}

   private:
    bool lets_pass(executor::time_point) noexcept override {
      return block_.copy_.ended() || block_.copy_.queued() < block_.chosen_.limit;
    }
    tee_block& block_;
  };
  class close_limit final : public timer {
   public:
    explicit close_limit(tee_block& of) noexcept : block_(of) {}
    void arm(executor& on, executor::time_point when) noexcept { on.arm(*this, when); }

   private:
    void run() noexcept override { block_.copy_.close(abandoned() ? error::closed : error::timed_out); }
    tee_block& block_;
  };
  // For as long as the coroutine lives.
  class reservation {
   public:
    reservation(const owner& block, std::size_t count) noexcept : block_(block), count_(count) {}
    reservation(const reservation&) = delete;
    reservation& operator=(const reservation&) = delete;
    ~reservation() { block_->reserved_ -= count_; }

   private:
    owner block_;
    std::size_t count_;
  };

  friend tee_copy<Sink, tee_block>;

  static buffer handle_on(const read_note&, const read_result& came) noexcept { return came->share(); }
  static buffer handle_on(const read_into_note& note, const read_into_result& came) {
    return buffer(std::span<const std::byte>(note.room.first(*came)));
  }

  template <note_of_write Note>
  void copy_written(Note& note) noexcept {
    if (copy_.ended()) return copy_.skip(note.size);
    for (buffer& one : note.kept())
      if (!one.empty()) copy_.add(std::move(one));
    copy_.send();
  }
  void lose(std::size_t count) noexcept {
    copy_.fail(std::make_error_code(std::errc::not_enough_memory));
    copy_.skip(count);
  }

  void copy_went() noexcept {
    if (executor* const home = this->home()) {
      before_reads_.look_again(*home);
      after_writes_.look_again(*home);
    }
    if (closing_ && copy_.queued() == 0) copy_.close(error::closed);
  }
  void sink_is_closed() noexcept {
    limit_.disarm();
    if (is_closed()) settle_closers();
  }
  static pump close_inner(tee_block* self) {
    for (;;) {
      while (!self->closing_ || self->inner_closed_) co_await self->closer_.idle();
      co_await self->inner().close();
      self->inner_closed_ = true;
      if (self->is_closed()) self->settle_closers();
    }
  }
  [[nodiscard]] bool is_closed() const noexcept { return inner_closed_ && copy_.closed(); }
  void settle_closers() noexcept {
    closers_.take_all([this](queued_operation& one) { static_cast<closing&>(one).settle(*this->home()); });
  }

  choice chosen_;
  std::size_t reserved_ = 0;  // of writes that are under way
  side before_reads_{*this};
  side after_writes_{*this};
  operation_queue closers_;
  close_limit limit_{*this};
  bool closing_ = false;
  bool inner_closed_ = false;
  tee_copy<Sink, tee_block> copy_;
  pump closer_ = close_inner(this);
};

}  // namespace detail
}  // namespace coflow::inline v0
