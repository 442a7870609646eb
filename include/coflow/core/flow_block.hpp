/// \file
/// The control block of a flow: its two halves, its waiters, and every rule about them that needs no I/O.
///
/// A transport derives its control block from `flow_block`, supplies the few calls that move bytes, and returns the
/// operations of flow_operations.hpp from its handle. The order of waiters (R8, W4), first verdicts (R4, W6), draining
/// shutdowns (S3), prompt and never inline completion (O3, C3), torn writes (X2, X3) and cancellation (X0, X1) are
/// here.
#pragma once

#include <concepts>
#include <cstddef>
#include <new>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/core/half_state.hpp"

namespace coflow::inline v0 {

/// What one attempt to move bytes came to.
enum class attempt {
  done,     ///< the read has data, or the write is accepted whole
  wait,     ///< nothing more to be had now; the transport will call `serve_...` or `call_...`
  verdict,  ///< the half has just reached its end or its error: the state says which
};

/// The base of a transport's control block, by the curiously recurring template pattern. `Derived` supplies
///
///     bool entered() noexcept;                 // true if it is bound to the current executor: a quick look
///     std::error_code enter() noexcept;        // bind to the current executor; an error if there is none or another
///     executor& home() noexcept;               // the executor it is bound to; called only after a successful enter()
///     bool may_read() const noexcept;          // false if try_read would only find that it has to wait: a quick look
///     attempt try_read(buffer& data);          // may throw std::bad_alloc before any byte is consumed
///     attempt try_write(writing_operation<Derived>& op) noexcept;     // from op.rest(), telling op.advance(n)
///     void input_unwanted() noexcept;          // the read half was shut: drop what is there and what comes (S2)
///     void signal_end() noexcept;              // everything queued is out: tell the peer that the stream ends (S3)
///     void release_transport(bool abort) noexcept;   // closed; `abort` if a clean end would be a lie (X3)
///     void destroy() noexcept;                 // for the handle: the block is closed and no longer wanted
///
/// or, in the place of `signal_end` where that takes time,
///
///     void begin_end() noexcept;               // begin to tell the peer, and call `end_is_out` when it has been told
///
/// and optionally, for a handle that has `read_into` (the room is never empty, and filled from the front),
///
///     attempt try_read_into(std::span<std::byte> room, std::size_t& count);   // like try_read
///     std::error_code take_passing_failure() noexcept;   // of a read that met a "verdict" for it alone (law X0)
///
/// and, as `own_reading`, what reads of a kind of its own derive from, with `take(Derived&)` and `wants_nothing()`,
/// and, for writes of one buffer that nobody is before,
///
///     std::ptrdiff_t try_send(const buffer& bytes) noexcept;   // how many went out at once, or why none did
///     void keep_failure(std::ptrdiff_t sent) noexcept;         // told what try_send gave if that was not positive
///
/// It reports verdicts to `state()` before it returns `attempt::verdict`, and does not close the flow from inside
/// `try_read` or `try_write`. It belongs to one thread.
template <class Derived>
class flow_block {
 public:
  using reading = reading_operation<Derived>;
  using writing = writing_operation<Derived>;
  using shutting = shutdown_operation<Derived>;

  flow_block(const flow_block&) = delete;
  flow_block& operator=(const flow_block&) = delete;

  [[nodiscard]] half_state& state() noexcept { return state_; }
  [[nodiscard]] const half_state& state() const noexcept { return state_; }

  /// Ends both halves now: waiters get `error::closed` by post, the transport is let go (laws C1 to C4).
  void close() noexcept {
    if (close_halves()) self().release_transport(state_.torn());
  }

  // ---- for the operations; true means: suspended

  [[nodiscard, gnu::noinline]] bool start(std::derived_from<reading> auto& op) noexcept {
    if (op.stop_requested() || !state_.can_read() || op.wants_nothing() || !self().entered()) [[unlikely]]
      return start_reluctantly(op);
    if (readers_.idle() && self().may_read()) return start_now(op);
    readers_.push(op);
    op.begin_wait();
    return true;
  }

  [[nodiscard, gnu::noinline]] bool start(write_operation<Derived>& op) noexcept {
    if constexpr (requires { self().try_send(op.bytes_); }) {
      if (op.stop_requested() || !state_.can_write() || !writers_.idle() || op.bytes_.empty() || !self().entered() ||
          !self().home().take_turn()) [[unlikely]]
        return start_listed(op);
      return send_now(op);
    } else {
      return start_listed(op);
    }
  }

  [[nodiscard, gnu::noinline]] bool start(writing& op) noexcept {
    if (op.stop_requested() || !state_.can_write() || op.rest().empty() || !self().entered()) [[unlikely]]
      return start_reluctantly(op);
    if (writers_.idle()) [[likely]]
      return start_now(op);
    writers_.push(op);
    op.begin_wait();
    return true;
  }

  [[nodiscard, gnu::noinline]] bool start(shutting& op) noexcept {
    if (covers_write(op.mode_)) {
      state_.drain_write();
      if (writers_.idle()) finish_drain();
    }
    if (covers_read(op.mode_) && state_.shut_read()) {
      settle_readers();
      self().input_unwanted();
    }
    if (!covers_write(op.mode_) || state_.write_half() != half::draining || op.stop_requested() ||
        self().enter() != std::error_code())
      return false;
    shutters_.push(op);
    op.begin_wait();
    return true;
  }

  [[nodiscard, gnu::noinline]] bool try_again(reading& op) noexcept {
    readers_.answer(op);
    if (!attempt_queued(op)) return false;
    readers_.pop();
    call(readers_);
    return true;
  }
  [[nodiscard, gnu::noinline]] bool try_again(writing& op) noexcept {
    writers_.answer(op);
    if (!attempt_write(op)) return false;
    writers_.pop();
    after_write();
    return true;
  }

  void stop(reading& op) noexcept {
    withdraw(op);
    op.come_to(canceled());
    settle(op);
  }
  void stop(writing& op) noexcept {
    const bool accepted = op.begun_ && op.rest().empty();  // past the point of no return (law X2)
    withdraw(op);
    if (!accepted) op.come_to(canceled());
    settle(op);
  }
  void stop(shutting& op) noexcept {
    shutters_.remove(op);
    settle(op);
  }

  // An operation that waits or is called is no longer wanted: it takes its wait back, and the next one has its chance.
  [[gnu::noinline]] void withdraw(reading& op) noexcept {
    const bool was_called = op.phase_ == operation_phase::called;
    readers_.remove(op);
    if (was_called) call(readers_);
  }
  [[gnu::noinline]] void withdraw(writing& op) noexcept {
    const bool was_called = op.phase_ == operation_phase::called;
    writers_.remove(op);
    if (torn_in_half(op)) {
      state_.tear_write();
      settle_writers();
    } else if (writers_.idle()) {
      finish_drain();
    } else if (was_called) {
      call(writers_);
    }
  }
  void withdraw(shutting& op) noexcept { shutters_.remove(op); }

  // ---- for the transport

  /// Something may have changed: the first waiting operation tries again in a turn of its own.
  void call_reader() noexcept { call(readers_); }
  void call_writer() noexcept { call(writers_); }

  /// The same for the first reader, but on the spot and resuming inline: for an executor's own turn only. The block may
  /// be gone when this returns; further readers are called.
  [[gnu::noinline]] void serve_reader() noexcept {
    queued_operation* first = readers_.waiting();
    if (first == nullptr) return;
    auto& op = static_cast<reading&>(*first);
    if (!attempt_queued(op)) return;
    readers_.pop();
    call(readers_);
    self().home().renew_turns();
    op.resume();
  }

  [[nodiscard]] bool has_reader() const noexcept { return !readers_.idle(); }
  [[nodiscard]] bool has_writer() const noexcept { return !writers_.idle(); }

  /// Brings the waiters up to the state after a verdict that came from elsewhere (a reset seen by the other side).
  void spread_verdict(const queued_operation* except = nullptr) noexcept {
    if (!state_.can_read()) settle_readers(except);
    if (!state_.can_transmit()) settle_writers_but(except);
    if (state_.can_read() && state_.broken()) call(readers_);
  }

 protected:
  flow_block() noexcept {}
  ~flow_block() = default;

  /// Ends both halves and their waiters, and leaves the transport alone. False if that was done before.
  bool close_halves() noexcept {
    if (!state_.close()) return false;
    settle_readers();
    settle_writers();
    return true;
  }

  /// What `begin_end` has begun is done: the end of the stream is signalled (law S3).
  void end_is_out() noexcept {
    state_.finish_drain();
    settle_shutters();
  }

  /// The write half has met its verdict outside of an attempt to write.
  void settle_writers() noexcept { settle_writers_but(nullptr); }

  /// `op`, which is off its queue, has its outcome.
  void settle(queued_operation& op) noexcept {
    op.phase_ = operation_phase::settled;
    op.end_wait();
    self().home().post(op);
  }

 private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }

  void call(operation_queue& queue) noexcept {
    if (!queue.idle()) [[unlikely]]
      call_first_of(queue);
  }
  [[gnu::noinline]] void call_first_of(operation_queue& queue) noexcept { queue.call(self().home()); }

  // Nobody is before it. An operation that would go on for too long in this turn takes its next chance in another.
  [[nodiscard, gnu::noinline]] bool start_now(std::derived_from<reading> auto& op) noexcept {
    const bool in_turn = self().home().take_turn();
    if (in_turn && attempt_read(op)) return false;
    readers_.push(op);
    if (!in_turn) call(readers_);
    op.begin_wait();
    return true;
  }
  [[nodiscard, gnu::noinline]] bool start_now(writing& op) noexcept {
    const bool in_turn = self().home().take_turn();
    if (in_turn && attempt_write(op)) [[likely]]
      return false;
    writers_.push(op);
    if (!in_turn) call(writers_);
    op.begin_wait();
    return true;
  }

  [[nodiscard, gnu::noinline]] bool send_now(write_operation<Derived>& op) noexcept {
    const std::ptrdiff_t sent = self().try_send(op.bytes_);
    if (sent == static_cast<std::ptrdiff_t>(op.bytes_.size())) [[likely]]
      return false;
    return op.block_.send_rest(op, sent);
  }
  [[nodiscard, gnu::noinline]] bool send_rest(write_operation<Derived>& op, std::ptrdiff_t sent) noexcept {
    op.list_bytes();
    if (sent > 0)
      op.advance(static_cast<std::size_t>(sent));
    else
      self().keep_failure(sent);
    return start_now(op);
  }
  [[nodiscard, gnu::noinline, gnu::cold]] bool start_listed(write_operation<Derived>& op) noexcept {
    op.list_bytes();
    return start(static_cast<writing&>(op));
  }

  // Something keeps it from beginning, if only that the flow has no executor yet.
  [[nodiscard, gnu::noinline, gnu::cold]] bool start_reluctantly(std::derived_from<reading> auto& op) noexcept {
    std::error_code refused;
    if (op.stop_requested())
      refused = canceled();
    else if (!state_.can_read())
      refused = state_.read_verdict();
    else if (op.wants_nothing())
      return false;
    else if (refused = self().enter(); !refused)
      return start(op);
    op.come_to(refused);
    return false;
  }
  [[nodiscard, gnu::noinline, gnu::cold]] bool start_reluctantly(writing& op) noexcept {
    std::error_code refused;
    if (op.stop_requested()) {
      refused = canceled();
    } else if (!state_.can_write()) {
      refused = state_.write_verdict();
    } else {
      if (op.rest().empty()) return false;  // law W9
      refused = self().enter();
      if (!refused) return start(op);
    }
    if (refused) op.come_to(refused);
    return false;
  }

  // True if the operation has its outcome.
  [[gnu::always_inline]] bool attempt_read(std::derived_from<reading> auto& op) noexcept {
    attempt came_to;
    try {
      came_to = op.take(self());
    } catch (const std::bad_alloc&) {
      op.came_to_ = reading::outcome::out_of_memory;
      return true;
    }
    if (came_to == attempt::done) [[likely]]
      return true;
    if (came_to == attempt::wait) return false;
    meet_verdict(op);
    return true;
  }
  [[gnu::always_inline]] bool attempt_queued(reading& op) noexcept {
    if constexpr (requires(std::size_t& count) { self().try_read_into({}, count); })
      if (op.came_to_ == reading::outcome::count) [[unlikely]]
        return attempt_read_into(static_cast<read_into_operation<Derived>&>(op));
    if constexpr (requires { typename Derived::own_reading; })
      if (op.came_to_ == reading::outcome::own) return attempt_read(static_cast<typename Derived::own_reading&>(op));
    return attempt_read(static_cast<read_operation<Derived>&>(op));
  }
  [[gnu::noinline]] bool attempt_read_into(read_into_operation<Derived>& op) noexcept { return attempt_read(op); }
  [[gnu::always_inline]] bool attempt_write(writing& op) noexcept {
    const attempt came_to = self().try_write(op);
    if (came_to == attempt::wait) return false;
    if (came_to == attempt::verdict) [[unlikely]]
      meet_verdict(op);
    return true;
  }
  // The verdict that `op`, which may still be the first of its queue, has just met goes to all others.
  [[gnu::noinline, gnu::cold]] void meet_verdict(reading& op) noexcept {
    if constexpr (requires { self().take_passing_failure(); })
      if (const std::error_code failure = self().take_passing_failure()) return op.come_to(failure);
    op.come_to(state_.read_verdict());
    spread_verdict(&op);
  }
  [[gnu::noinline, gnu::cold]] void meet_verdict(writing& op) noexcept {
    if (torn_in_half(op)) state_.mark_torn();
    op.come_to(state_.transmit_verdict());
    spread_verdict(&op);
  }

  void after_write() noexcept {
    if (writers_.idle())
      finish_drain();
    else if (state_.can_transmit())
      call(writers_);
  }
  void finish_drain() noexcept {
    if constexpr (requires { self().begin_end(); }) {
      if (state_.write_half() == half::draining) self().begin_end();
    } else {
      if (state_.finish_drain()) self().signal_end();
    }
    if (state_.write_half() != half::draining && !shutters_.idle()) settle_shutters();
  }
  // Begun, and a part of it is still to be sent.
  [[nodiscard]] static bool torn_in_half(const writing& op) noexcept { return op.begun_ && !op.rest().empty(); }

  [[gnu::noinline, gnu::cold]] void settle_readers(const queued_operation* except = nullptr) noexcept {
    const auto end = [this](queued_operation& one) {
      auto& op = static_cast<reading&>(one);
      op.come_to(state_.read_verdict());
      settle(op);
    };
    readers_.take_all(end, except);
  }
  [[gnu::noinline, gnu::cold]] void settle_writers_but(const queued_operation* except) noexcept {
    const auto end = [this](queued_operation& one) {
      auto& op = static_cast<writing&>(one);
      if (torn_in_half(op)) state_.mark_torn();
      op.come_to(state_.transmit_verdict());
      settle(op);
    };
    writers_.take_all(end, except);
    settle_shutters();
  }
  [[gnu::noinline, gnu::cold]] void settle_shutters() noexcept {
    shutters_.take_all([this](queued_operation& one) { settle(one); });
  }

  operation_queue readers_;
  operation_queue writers_;
  operation_queue shutters_;
  [[no_unique_address]] half_state state_;  // last: a derived class puts its flags behind it
};

}  // namespace coflow::inline v0
