/// \file
/// The inner side of a codec's flow: it owns the inner flow, the codec, and every operation on the inner flow (law L1).
///
/// Pumps do the inner operations: one reads, one writes whatever is to be sent in one order (law L8), one shuts the
/// read half, one closes. They are coroutines that were made with the wire, so that nothing on the way to the end
/// allocates.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/layer/codec.hpp"
#include "coflow/layer/detail/buffer_queue.hpp"
#include "coflow/layer/detail/pump.hpp"
#include "coflow/layer/reset.hpp"

namespace coflow::inline v0 {

/// What `codec_block` is built on. It tells its `Host` what has happened:
///
///     void input_came() noexcept;            // data was decoded, the input has ended, or memory ran out
///     void output_went() noexcept;           // a batch has been accepted below
///     void output_failed(std::error_code) noexcept;
///     void output_stranded(std::error_code) noexcept;   // what the codec holds back can never be sent
///     void output_released() noexcept;       // the codec holds nothing back any more
///     void end_went_out() noexcept;          // the inner write half is shut, behind the goodbye
///     void inner_is_closed() noexcept;
///     bool wants_input() const noexcept;     // a read waits for bytes
///     executor* executor_of_wire() const noexcept;   // null before the first operation
///
/// from inside a pump, so that nobody may be resumed there and the wire may not be destroyed.
template <class C, class Inner, class Host>
class codec_wire {
 public:
  /// Sealed in one go, and answers that wait before no more input is fed (law L1): bytes.
  static constexpr std::size_t most_at_once = 64 * 1024;

  /// Throws std::bad_alloc; the inner flow is then destroyed.
  codec_wire(Host& host, C codec, Inner inner, bool allow_truncation)
      : host_(host), inner_(std::move(inner)), codec_(std::move(codec)), allow_truncation_(allow_truncation) {}
  codec_wire(const codec_wire&) = delete;
  codec_wire& operator=(const codec_wire&) = delete;
  ~codec_wire() = default;

  [[nodiscard]] Inner& inner() noexcept { return inner_; }
  [[nodiscard]] C& codec() noexcept { return codec_; }

  [[nodiscard]] bool established() const noexcept { return detail::is_established(codec_); }
  [[nodiscard]] bool needs_input() const noexcept { return detail::needs_input(codec_); }
  [[nodiscard]] bool holds_back() const noexcept { return detail::holds_back(codec_); }

  // ---- reading

  /// What was decoded and is not read yet.
  [[nodiscard]] detail::buffer_queue& decoded() noexcept { return decoded_; }
  /// Nothing more will be decoded; `input_failure` says why, an empty code for the peer's goodbye.
  [[nodiscard]] bool input_ended() const noexcept { return out_.ended(); }
  [[nodiscard]] const std::error_code& input_failure() const noexcept { return out_.failure(); }
  /// The inner flow has nothing more to give.
  [[nodiscard]] bool inner_ended() const noexcept { return inner_ended_; }
  /// True, once, if an inner read found no memory. No byte was lost.
  [[nodiscard]] bool take_out_of_memory() noexcept { return std::exchange(out_of_memory_, false); }
  /// A deadline below has ended the inner read that a read waits for: no verdict, so that it is told once (law X0).
  [[nodiscard]] bool input_given_up() const noexcept { return static_cast<bool>(given_up_); }
  [[nodiscard]] std::error_code take_given_up() noexcept { return std::exchange(given_up_, std::error_code()); }

  /// A read wants bytes: reads below until some are decoded, on the spot as far as they are there.
  void want_input() noexcept {
    wanted_ = true;
    paused_ = false;
    reader_.poke();
  }
  /// Nothing decoded is left: reads on if the codec must be fed to work.
  void read_ahead() noexcept {
    if (needs_input()) reader_.poke();
  }
  /// This side has shut the inner read half: the peer's end below cannot be seen any more.
  [[nodiscard]] bool input_shut() const noexcept { return input_shut_; }
  /// Reads on for ever and drops what it decodes.
  void drop_input() noexcept {
    dropping_ = true;
    poke(reader_);
  }
  /// Reads on and drops what comes undecoded.
  void linger() noexcept {
    lingering_ = true;
    poke(reader_);
  }
  /// Shuts the inner read half.
  void shut_input() noexcept {
    shut_input_ = true;
    input_shut_ = !inner_ended_;
    poke(shutter_);
  }
  void start_handshake() noexcept {
    if constexpr (HandshakingCodec<C>) {
      shaking_ = true;
      try {
        codec_.start(out_);
      } catch (const std::bad_alloc&) {
        out_.fail(std::make_error_code(std::errc::not_enough_memory));
      }
      poke_output();
      reader_.poke();
    }
  }

  // ---- writing
  [[nodiscard]] bool nothing_to_send() const noexcept { return sending_.empty() && to_send_.empty(); }
  [[nodiscard]] bool output_failed() const noexcept { return output_failed_; }
  /// Memory ran out while input was decoded: an answer to it may be missing, so that a handshake is in doubt.
  [[nodiscard]] bool answers_lost() const noexcept { return answers_lost_; }
  /// There was no executor to work on; `try_again` does what was put off.
  [[nodiscard]] bool stalled() const noexcept { return stalled_ || input_stalled_; }
  void try_again() noexcept {
    stalled_ = input_stalled_ = false;
    writer_.poke();
    reader_.poke();
  }
  /// Bytes of a write are sealed and not accepted below, or none may be sealed. Answers do not count: they may never
  /// end.
  [[nodiscard]] bool sealed_waiting() const noexcept { return sealed_to_send_ || sealed_sending_ || holds_back(); }

  /// Reads on for what the codec holds back, if it does.
  void release_held() noexcept {
    if (!holds_back()) return;
    strand_what_is_held();
    paused_ = false;
    reader_.poke();
  }
  /// Encodes `plain` for the output. Gives what the codec says, or that there was no memory.
  [[nodiscard]] std::error_code seal(std::span<buffer> plain) noexcept {
    const std::size_t before = to_send_.bytes();
    std::error_code failure;
    try {
      failure = codec_.seal(plain, out_);
    } catch (const std::bad_alloc&) {
      failure = std::make_error_code(std::errc::not_enough_memory);
    }
    if (to_send_.bytes() != before) sealed_to_send_ = true;
    return failure;
  }
  /// The state changes before anything is sent: there is one goodbye, and nothing after it (law L4).
  void say_goodbye() noexcept {
    if (std::exchange(goodbye_said_, true)) return;
    try {
      codec_.farewell(out_);
    } catch (const std::bad_alloc&) {
      // A goodbye that cannot be made is none: the peer sees truncation.
    }
    out_.fall_silent();
  }
  /// Nothing is added to what is to be sent, not even a goodbye; the inner write half is shut behind it.
  void say_nothing_more() noexcept {
    goodbye_said_ = true;
    out_.fall_silent();
  }
  /// The inner write half is not shut behind what is still to be sent: it is about to be closed.
  void skip_inner_shutdown() noexcept { end_begun_ = true; }
  /// Sends what is to be sent, on the spot as far as the inner flow takes it.
  void poke_output() noexcept { poke(writer_); }

  // ---- the end

  /// Closes the inner flow: the first call counts (law L2).
  void close_inner() noexcept {
    if (std::exchange(close_begun_, true)) return;
    close_due_ = true;
    controller_.poke();
  }
  /// Resets the inner flow, also one whose close is under way; closes it where that cannot be done.
  void break_inner() noexcept {
    if constexpr (ResettableFlow<Inner>) {
      close_begun_ = true;
      closed_ = true;
      static_cast<void>(coflow::reset(inner_));
      host_.inner_is_closed();
    } else {
      close_inner();
    }
  }
  [[nodiscard]] bool close_begun() const noexcept { return close_begun_; }
  [[nodiscard]] bool closed() const noexcept { return closed_; }

 private:
  // Brings work that was asked for outside of the executor's turn into it.
  class kick final : public node {
   public:
    explicit kick(codec_wire& of) noexcept : wire_(of) {}

   private:
    void run() noexcept override {
      wire_.poke_output();
      wire_.reader_.poke();
      wire_.shutter_.poke();
    }
    codec_wire& wire_;
  };

  void poke(detail::pump& one) noexcept {
    executor* const home = host_.executor_of_wire();
    if (home == nullptr || executor::current() == home)
      one.poke();
    else if (!kick_.linked())
      home->post(kick_);
  }

  [[nodiscard]] bool has_input_work() const noexcept {
    if (inner_ended_ || close_begun_ || input_stalled_) return false;
    if (lingering_ || (dropping_ && out_.ended())) return true;
    if (out_.ended() || answers_to_send_ + answers_sending_ > most_at_once) return false;
    if (wanted_ || dropping_) return true;
    if (!established()) return shaking_;
    return holds_back() || (needs_input() && !paused_ && decoded_.empty());
  }
  // An inner flow may have bytes for ever: the executor's other work, timers among it, must have its turn.
  [[nodiscard]] bool in_turn() noexcept {
    executor* const home = host_.executor_of_wire();
    if (home == nullptr || home->take_turn()) return true;
    if (!kick_.linked()) home->post(kick_);
    return false;
  }
  static detail::pump read_on(codec_wire* self) {
    for (;;) {
      while (!self->has_input_work() || !self->in_turn()) co_await self->reader_.idle();
      try {
        auto got = co_await self->inner_.read();
        if (got.failed())
          self->end_input(got.error());
        else if (got.eof())
          self->end_input(std::error_code());
        else
          self->take_input(std::move(*got));
      } catch (const std::bad_alloc&) {
        self->out_of_memory_ = true;
        self->wanted_ = false;
        self->host_.input_came();
      }
    }
  }
  void take_input(buffer bytes) noexcept {
    if (lingering_ || close_begun_ || out_.ended()) return;
    const std::size_t before = to_send_.bytes();
    const bool held_back = holds_back();
    try {
      codec_.feed(std::move(bytes), out_);
    } catch (const std::bad_alloc&) {
      out_.fail(std::make_error_code(std::errc::not_enough_memory));
      answers_lost_ = true;
    }
    if (held_back && !holds_back())
      sealed_to_send_ = sealed_to_send_ || to_send_.bytes() != before;
    else
      answers_to_send_ += to_send_.bytes() - before;
    after_input();
    if (held_back && !holds_back() && !out_.ended()) host_.output_released();
  }
  void end_input(std::error_code failure) noexcept {
    if (failure == error::no_executor) {
      input_stalled_ = true;
      return;
    }
    if (failure == error::timed_out && established() && !dropping_ && !lingering_ && !holds_back()) {
      if (host_.wants_input()) given_up_ = failure;  // else nobody is late
      paused_ = true;
      wanted_ = false;
      host_.input_came();
      return;
    }
    inner_ended_ = true;
    if (!failure && !allow_truncation_) failure = error::truncated;
    if (failure)
      out_.fail(failure);
    else
      out_.end();
    after_input();
  }
  void after_input() noexcept {
    if (!decoded_.empty() || out_.ended() || !host_.wants_input()) wanted_ = false;
    if (!to_send_.empty()) poke_output();
    strand_what_is_held();
    host_.input_came();
  }

  void strand_what_is_held() noexcept {
    if (out_.ended() && holds_back()) host_.output_stranded(out_.failure() ? out_.failure() : error::truncated);
  }

  [[nodiscard]] bool has_output_work() const noexcept {
    if (stalled_ || output_failed_ || close_begun_) return false;
    return !nothing_to_send() || (goodbye_said_ && !end_begun_);
  }
  static detail::pump write_on(codec_wire* self) {
    for (;;) {
      while (!self->has_output_work()) co_await self->writer_.idle();
      if (self->nothing_to_send()) {
        self->end_begun_ = true;
        co_await self->inner_.shutdown(shutdown_mode::write);
        self->host_.end_went_out();
        continue;
      }
      if (self->sending_.empty()) {
        self->sending_.swap(self->to_send_);
        self->answers_sending_ = std::exchange(self->answers_to_send_, 0);
        self->sealed_sending_ = std::exchange(self->sealed_to_send_, false);
      }
      std::error_code failure;
      try {
        auto sent = co_await self->inner_.writev(self->sending_.list());
        if (!sent) failure = sent.error();
      } catch (const std::bad_alloc&) {
        failure = std::make_error_code(std::errc::not_enough_memory);
      }
      self->end_batch(failure);
    }
  }
  void end_batch(std::error_code failure) noexcept {
    if (failure == error::no_executor) {  // what was not sent is still in the list
      stalled_ = true;
      return;
    }
    sending_.clear();
    answers_sending_ = 0;
    sealed_sending_ = false;
    if (failure) {
      output_failed_ = true;
      out_.fall_silent();
      to_send_.clear();
      answers_to_send_ = 0;
      host_.output_failed(failure);
    } else {
      host_.output_went();
    }
    reader_.poke();  // answers may have kept it waiting
  }

  static detail::pump control(codec_wire* self) {
    for (;;) {
      while (!self->close_due_) co_await self->controller_.idle();
      self->close_due_ = false;
      co_await self->inner_.close();
      self->closed_ = true;
      self->host_.inner_is_closed();
    }
  }

  static detail::pump shut(codec_wire* self) {
    for (;;) {
      while (!self->shut_input_ || self->close_begun_) co_await self->shutter_.idle();
      self->shut_input_ = false;
      co_await self->inner_.shutdown(shutdown_mode::read);
    }
  }

  Host& host_;
  Inner inner_;
  C codec_;
  detail::buffer_queue decoded_;
  detail::buffer_queue to_send_;
  detail::buffer_queue sending_;  // what the inner write is about
  detail::wire_output out_{decoded_, to_send_};
  std::size_t answers_to_send_ = 0;  // bytes of it that answer input
  std::size_t answers_sending_ = 0;
  kick kick_{*this};
  std::error_code given_up_;
  bool allow_truncation_;
  bool wanted_ = false;     // a read waits for bytes
  bool paused_ = false;     // a deadline below has passed: nothing is read ahead until a read wants more
  bool dropping_ = false;   // what is decoded is dropped
  bool lingering_ = false;  // what is read is dropped
  bool shaking_ = false;
  bool out_of_memory_ = false;
  bool answers_lost_ = false;
  bool inner_ended_ = false;
  bool stalled_ = false;
  bool input_stalled_ = false;
  bool sealed_to_send_ = false;
  bool sealed_sending_ = false;
  bool input_shut_ = false;
  bool output_failed_ = false;
  bool goodbye_said_ = false;
  bool end_begun_ = false;
  bool shut_input_ = false;
  bool close_due_ = false;
  bool close_begun_ = false;
  bool closed_ = false;
  // Last, so that the inner operations die before the inner flow.
  detail::pump reader_ = read_on(this);
  detail::pump writer_ = write_on(this);
  detail::pump shutter_ = shut(this);
  detail::pump controller_ = control(this);
};

}  // namespace coflow::inline v0
