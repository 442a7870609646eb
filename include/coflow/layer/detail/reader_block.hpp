/// \file
/// The control block of a `buffered_reader`: its reads, what is buffered, and the one read below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/detail/pool.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/layer/detail/chunk_queue.hpp"
#include "coflow/layer/detail/pump.hpp"
#include "coflow/layer/detail/record_operations.hpp"

namespace coflow::inline v0 {
namespace detail {

/// It owns the flow below, and the read on it that the record operations and what waits behind them are for: one at a
/// time, begun on demand, by a pump that is made with the block. An operation that is withdrawn leaves that one going;
/// what it gives is the next one's (law L1). Where nothing is buffered and nobody waits, plain reads are the flow
/// below's own: its queue keeps them in order with the pump's. So are writes, and the state's write half is unused.
template <class Inner>
class reader_block final : public flow_block<reader_block<Inner>>, public executor::dependent, public pooled {
  using base = flow_block<reader_block>;

 public:
  using own_reading = record_operation<reader_block>;

  /// Throws std::bad_alloc; the flow below is then destroyed.
  reader_block(Inner inner, buffer unread) : inner_(std::move(inner)) {
    if (!unread.empty()) chunks_.push(std::move(unread));
  }
  ~reader_block() = default;

  [[nodiscard]] Inner& inner() noexcept { return inner_; }
  [[nodiscard]] const chunk_queue& chunks() const noexcept { return chunks_; }
  [[nodiscard]] chunk_queue& chunks() noexcept { return chunks_; }
  [[nodiscard]] std::uint64_t unskipped() const noexcept { return unskipped_; }
  void set_unskipped(std::uint64_t count) noexcept { unskipped_ = count; }

  /// A write begins: the executor on which it does is the flow's, which ends with it (law O4).
  void notice_executor() noexcept {
    if (home_ == nullptr) [[unlikely]]
      static_cast<void>(enter());
  }
  /// What the layer itself does for a shutdown of the read half (law S2): it drops what is there and what comes. The
  /// verdict is the flow below's, which may have had another one before.
  void drop_input() noexcept {
    dropping_ = true;
    chunks_.clear();
  }
  [[nodiscard]] bool drops_input() const noexcept { return dropping_; }
  /// Ends the reads; what is below is left alone.
  void close() noexcept {
    if (this->close_halves()) chunks_.clear();
  }
  void destroy() noexcept { delete this; }

  /// Ends the reads and takes the one below back. The flow below may be moved away then.
  void let_go() noexcept {
    close();
    static_cast<void>(pump(std::move(reader_)));
  }

  // ---- what flow_block asks of a transport

  [[nodiscard]] bool entered() const noexcept { return home_ != nullptr && home_ == current_executor; }
  [[nodiscard]] std::error_code enter() noexcept {
    executor* current = executor::current();
    if (home_ != nullptr && home_ == current) return {};
    if (current == nullptr) return error::no_executor;
    if (current->finishing()) return error::closed;
    if (home_ != nullptr) {
      COFLOW_ASSERT(false, "a buffered_reader was used on two executors");
      return error::wrong_executor;
    }
    home_ = current;
    current->add_dependent(*this);
    return {};
  }
  [[nodiscard]] executor& home() noexcept { return *home_; }
  [[nodiscard]] bool may_read() const noexcept { return true; }

  [[nodiscard]] attempt try_read(buffer& data) {
    const attempt came_to = collect([this] { return !chunks_.empty(); });
    if (came_to == attempt::done) data = chunks_.pop();
    return came_to == attempt::verdict ? report_end() : came_to;
  }
  [[nodiscard]] attempt try_read_into(std::span<std::byte> room, std::size_t& count) {
    const attempt came_to = collect([this] { return !chunks_.empty(); });
    if (came_to == attempt::done) count = chunks_.take_into(room);
    return came_to == attempt::verdict ? report_end() : came_to;
  }

  // ---- for the reads

  /// Nothing is before a plain read that begins now, but what is before it on the flow below as well.
  [[nodiscard]] bool reads_below() const noexcept {
    return chunks_.empty() && !reading_ && !ended_ && !this->has_reader() && this->state().can_read();
  }
  /// Reads below until `enough()`, on the spot as far as bytes are there; the verdict is that there will be no more.
  /// Throws std::bad_alloc, losing no byte.
  template <class Enough>
  [[nodiscard, gnu::always_inline]] attempt collect(Enough enough) {
    while (!enough()) {
      if (const attempt came_to = read_below(); came_to != attempt::done) return came_to;
    }
    return attempt::done;
  }
  /// The read below has been given up: a failure of the operation that waits, which ends nothing else (law X0).
  [[nodiscard]] bool was_given_up() const noexcept { return static_cast<bool>(given_up_); }
  [[nodiscard]] std::error_code take_passing_failure() noexcept { return std::exchange(given_up_, std::error_code()); }
  /// The stream below has ended, and nothing is buffered: that is the verdict of all reads.
  [[nodiscard, gnu::noinline]] attempt report_end() noexcept {
    if (was_given_up()) return attempt::verdict;
    if (end_failure_)
      this->state().fail_read(end_failure_);
    else
      this->state().end_of_input();
    return attempt::verdict;
  }
  /// Why the stream has ended; an empty code for eof.
  [[nodiscard]] const std::error_code& end_failure() const noexcept { return end_failure_; }

 private:
  // Brings work back into a turn of its own.
  class kick final : public node {
   public:
    explicit kick(reader_block& of) noexcept : block_(of) {}

   private:
    void run() noexcept override { block_.call_reader(); }
    reader_block& block_;
  };

  [[nodiscard, gnu::noinline]] attempt read_below() {
    if (ended_) return attempt::verdict;
    if (std::exchange(out_of_memory_, false)) throw std::bad_alloc();
    if (was_given_up()) {
      if (this->has_reader()) return attempt::verdict;
      given_up_.clear();  // whoever it was for is gone
    }
    if (reading_) return attempt::wait;
    // A flow may have bytes for ever, and they may never be enough: others must have their turn.
    if (!home_->take_turn()) {
      if (!kick_.linked()) home_->post(kick_);
      return attempt::wait;
    }
    on_the_spot_ = true;
    reader_.poke();
    on_the_spot_ = false;
    if (std::exchange(out_of_memory_, false)) throw std::bad_alloc();
    if (reading_) return attempt::wait;
    return ended_ || was_given_up() ? attempt::verdict : attempt::done;
  }

  static pump read_on(reader_block* self) {
    for (;;) {
      try {
        self->reading_ = true;
        self->chunks_.prepare();
        auto got = co_await self->inner_.read();
        if (got.has_data())
          self->keep(std::move(*got));
        else
          self->end(got.error());
      } catch (const std::bad_alloc&) {
        self->out_of_memory_ = true;
      }
      self->reading_ = false;
      if (!self->on_the_spot_) self->call_reader();
      co_await self->reader_.idle();
    }
  }
  void keep(buffer bytes) noexcept {
    if (this->state().can_read() && !dropping_ && !bytes.empty()) chunks_.push(std::move(bytes));
  }
  void end(std::error_code failure) noexcept {
    if (failure == error::timed_out || failure == canceled()) {
      if (on_the_spot_ || this->has_reader()) given_up_ = failure;  // else nobody is late
      return;
    }
    ended_ = true;
    end_failure_ = failure;
  }

  void on_executor_gone() noexcept override {
    close();
    home_ = nullptr;
  }

  executor* home_ = nullptr;
  std::uint64_t unskipped_ = 0;
  std::error_code end_failure_;
  std::error_code given_up_;
  chunk_queue chunks_;
  kick kick_{*this};
  bool reading_ = false;      // below
  bool on_the_spot_ = false;  // for a read that must not be called
  bool ended_ = false;
  bool dropping_ = false;
  bool out_of_memory_ = false;
  Inner inner_;
  pump reader_ = read_on(this);  // last: its inner operation dies before the flow
};

}  // namespace detail
}  // namespace coflow::inline v0
