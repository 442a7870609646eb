/// \file
/// The control block of a flow that is made of callables.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/detail/move_front.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/memory/detail/function_call.hpp"
#include "coflow/memory/detail/function_close.hpp"
#include "coflow/memory/detail/later.hpp"

namespace coflow::inline v0 {
namespace detail {

/// It calls no callable while another call of the same one is under way, and none but the one that closes after the
/// close. A callable may close or destroy the flow while it is being called, but for a coroutine that has been resumed
/// since: it may close the flow, and may not destroy it.
template <class Read, class Write, class Shutdown, class Close>
class function_block final : public flow_block<function_block<Read, Write, Shutdown, Close>>,
                             public executor::dependent,
                             public pooled {
  using base = flow_block<function_block>;
  using typename base::reading;
  using typename base::shutting;
  using typename base::writing;

 public:
  function_block(Read reader, Write writer, Shutdown shut, Close closer)
      : read_(std::move(reader), this, [](void* self) noexcept { static_cast<function_block*>(self)->read_ended(); }),
        write_(std::move(writer), this, [](void* self) noexcept { static_cast<function_block*>(self)->write_ended(); }),
        shutdown_(std::move(shut), this,
                  [](void* self) noexcept { static_cast<function_block*>(self)->shutdown_ended(); }),
        close_(std::move(closer), this,
               [](void* self) noexcept { static_cast<function_block*>(self)->close_ended(); }) {}
  ~function_block() = default;

  // ---- for the operations and the handle: whatever may call a callable, which may drop the handle

  [[nodiscard]] bool start(std::derived_from<reading> auto& op) noexcept {
    const hold here(*this);
    const trial fresh(*this, nullptr);
    return base::start(op);
  }
  [[nodiscard]] bool start(write_operation<function_block>& op) noexcept {
    const hold here(*this);
    return base::start(op);
  }
  [[nodiscard]] bool start(writing& op) noexcept {
    const hold here(*this);
    return base::start(op);
  }
  [[nodiscard]] bool start(shutting& op) noexcept {
    const hold here(*this);
    return base::start(op);
  }
  // What the callable did may have called the operation to try again.
  [[nodiscard]] bool try_again(reading& op) noexcept {
    const hold here(*this);
    const trial again(*this, &op);
    if (!base::try_again(op)) return false;
    op.unlink();
    return true;
  }
  [[nodiscard]] bool try_again(writing& op) noexcept {
    const hold here(*this);
    if (!base::try_again(op)) return false;
    op.unlink();
    return true;
  }
  using base::stop;
  using base::withdraw;

  void stop(reading& op) noexcept {
    forget_reader(op);
    base::stop(op);
  }
  void withdraw(reading& op) noexcept {
    forget_reader(op);
    base::withdraw(op);
  }

  // A buffer that has been handed over is past recall: the callable is told, and says what has become of it.
  void stop(writing& op) noexcept {
    const hold here(*this);
    if (writer_ != &op) {
      base::stop(op);
    } else {
      stop_asked_ = true;
      write_.request_stop();
    }
  }
  void withdraw(writing& op) noexcept {
    const hold here(*this);
    const bool under_way = writer_ == &op;
    if (under_way) {
      writer_ = nullptr;
      stop_asked_ = true;
      rest_is_lost_ = op.rest().size() > 1;
    }
    base::withdraw(op);
    if (under_way) write_.request_stop();
  }

  void close() noexcept {
    const hold here(*this);
    base::close();
  }
  /// True if the closing is not over when this returns.
  [[nodiscard]] bool close_and_wait() noexcept {
    static_cast<void>(enter());  // so that it hears of the executor's end
    const hold here(*this);
    base::close();
    return close_.busy() && holders_ > 1;
  }
  void add_closer(function_close_operation<function_block>& one) noexcept { closers_.push_back(one); }
  void destroy() noexcept {
    cancel_calls();
    close_.cancel();
    close_ended();
    let_go();
  }

  // ---- what flow_block asks of a transport

  [[nodiscard]] bool entered() const noexcept { return home_ != nullptr && home_ == current_executor; }
  [[nodiscard]] std::error_code enter() noexcept {
    executor* current = executor::current();
    if (home_ != nullptr && home_ == current) return {};
    if (current == nullptr) return error::no_executor;
    if (gone_ || current->finishing()) return error::closed;
    if (home_ != nullptr) {
      COFLOW_ASSERT(false, "a function_flow was used on two executors");
      return error::wrong_executor;
    }
    home_ = current;
    current->add_dependent(*this);
    return {};
  }
  [[nodiscard]] executor& home() noexcept { return *home_; }
  [[nodiscard]] bool may_read() const noexcept { return !read_.busy() || this->state().broken(); }

  // A callable may end the operation on whose behalf it is called, if that has waited; `attempt::wait` leaves such a
  // one alone.
  [[nodiscard]] attempt try_read(buffer& data) noexcept {
    for (;;) {
      if (got_) return take_read(data);
      if (!this->state().can_read()) return attempt::verdict;
      if (read_.busy()) {
        if (!this->state().broken()) return attempt::wait;
        this->state().end_of_input();  // nothing is there
        return attempt::verdict;
      }
      const bool waited = tried_ != nullptr;
      const bool ended = read_.start({});
      if (ended) keep_read();
      if (waited && tried_ == nullptr) {
        if (got_) this->call_reader();
        return attempt::wait;
      }
      if (!ended || got_ || home_->take_turn()) continue;
      again_.post_on(*home_);  // nothing but empty data
      return attempt::wait;
    }
  }

  // What does not fit stays the result that nobody has taken.
  [[nodiscard]] attempt try_read_into(std::span<std::byte> room, std::size_t& count) noexcept {
    buffer data;
    const attempt came_to = try_read(data);
    count = move_front(data, room);
    got_ = got_ || !data.empty();
    if (!data.empty()) result_ = std::move(data);
    return came_to;
  }

  [[nodiscard]] attempt try_write(writing& op) noexcept {
    for (;;) {
      if (!this->state().can_transmit()) return attempt::verdict;
      if (write_.busy()) return attempt::wait;
      if (op.rest().empty()) return attempt::done;
      writer_ = &op;
      stop_asked_ = false;
      rest_is_lost_ = false;
      const bool waited = this->has_writer();
      const bool ended = write_.start(op.rest().front().share());
      if (writer_ == nullptr) {
        if (!waited) return attempt::verdict;
        if (ended) write_ended();
        return attempt::wait;
      }
      if (!ended) return attempt::wait;
      writer_ = nullptr;
      const result<void> came_to = write_.take();
      if (came_to) op.advance(op.rest().front().size());
      if (stop_asked_ && (came_to ? !op.rest().empty() : came_to.error() == canceled())) {
        base::stop(op);
        this->call_writer();
        return attempt::wait;
      }
      if (came_to) continue;
      this->state().fail_write(as_verdict(came_to.error()));
      return attempt::verdict;
    }
  }

  void input_unwanted() noexcept {
    tried_ = nullptr;
    drop_read();
    wants_shut_read_ = true;
    shut_down();
  }
  void begin_end() noexcept {
    if (std::exchange(end_begun_, true)) return;
    wants_end_ = true;
    shut_down();
  }
  void release_transport(bool torn) noexcept {
    tried_ = nullptr;
    writer_ = nullptr;
    wants_shut_read_ = false;
    wants_end_ = false;
    drop_read();
    static_cast<void>(close_.start(torn ? stream_end::torn : stream_end::complete));
    if (!read_.busy() && !write_.busy() && !shutdown_.busy()) return;
    // One of them may be what is closing the flow, resumed by somebody else.
    executor* const on = home_ != nullptr ? home_ : executor::current();
    if (on != nullptr)
      cancel_.post_on(*on);
    else
      cancel_calls();
  }

 private:
  // Keeps the block where a callable may drop the handle.
  class hold {
   public:
    explicit hold(function_block& block) noexcept : block_(block) { ++block_.holders_; }
    hold(const hold&) = delete;
    hold& operator=(const hold&) = delete;
    ~hold() { block_.let_go(); }

   private:
    function_block& block_;
  };
  void let_go() noexcept {
    if (--holders_ == 0) delete this;
  }

  // While a read is tried: the operation, if it has waited.
  class trial {
   public:
    trial(function_block& block, const reading* tried) noexcept
        : block_(block), outer_(std::exchange(block.tried_, tried)) {}
    trial(const trial&) = delete;
    trial& operator=(const trial&) = delete;
    ~trial() { block_.tried_ = outer_; }

   private:
    function_block& block_;
    const reading* outer_;
  };
  void forget_reader(const reading& op) noexcept {
    if (tried_ == &op) tried_ = nullptr;
  }

  void go_on() noexcept {
    const hold here(*this);
    shut_down();
    this->call_reader();
  }
  void cancel_calls() noexcept {
    const hold here(*this);
    read_.cancel();
    write_.cancel();
    shutdown_.cancel();
  }
  void on_executor_gone() noexcept override {
    const hold here(*this);
    gone_ = true;
    base::close();
    close_ended();
    home_ = nullptr;
  }

  // ---- reading: what a call gave stays until a read takes it (law X1)

  void keep_read() noexcept {
    result_ = read_.take();
    got_ = this->state().can_read() && !(result_.has_data() && result_->empty());
    if (!got_) result_ = read_result();
  }
  void drop_read() noexcept {
    got_ = false;
    result_ = read_result();
  }
  [[nodiscard]] attempt take_read(buffer& data) noexcept {
    got_ = false;
    if (result_.has_data()) {
      data = *std::move(result_);
      return attempt::done;
    }
    if (result_.eof())
      this->state().end_of_input();
    else
      this->state().fail_read(as_verdict(result_.error()));
    if (!this->state().can_transmit()) writer_ = nullptr;
    return attempt::verdict;
  }
  void read_ended() noexcept {
    keep_read();
    this->call_reader();
  }

  // ---- writing

  void write_ended() noexcept {
    writing* const op = std::exchange(writer_, nullptr);
    const bool told_to_stop = std::exchange(stop_asked_, false);
    const result<void> came_to = write_.take();
    if (!this->state().can_transmit()) return;  // and all waiting operations have had their verdict
    in_call_ = true;
    if (!came_to && !(told_to_stop && came_to.error() == canceled())) {
      this->state().fail_write(as_verdict(came_to.error()));
      this->spread_verdict();
    } else {
      if (op == nullptr) {
        if (came_to && rest_is_lost_) {
          this->state().tear_write();
          this->settle_writers();
        }
      } else {
        if (came_to) op->advance(op->rest().front().size());
        if (told_to_stop && !op->rest().empty()) base::stop(*op);
      }
      this->call_writer();
      shut_down();
    }
    in_call_ = false;
  }

  // ---- shutting down: first the end of what was written, and only when the last call of the writer has ended

  [[nodiscard]] bool end_is_due() const noexcept {
    return wants_end_ && !write_.busy() && this->state().write_half() == half::draining;
  }
  void shut_down() noexcept {
    while (!shutdown_.busy() && (end_is_due() || wants_shut_read_)) {
      if (in_call_) {  // on the stack of a call's coroutine, which a callable might end
        if (home_ != nullptr) again_.post_on(*home_);
        return;
      }
      ending_ = end_is_due();
      (ending_ ? wants_end_ : wants_shut_read_) = false;
      if (!shutdown_.start(ending_ ? shutdown_mode::write : shutdown_mode::read)) return;
      if (ending_) this->end_is_out();
    }
  }
  void shutdown_ended() noexcept {
    in_call_ = true;
    if (ending_) this->end_is_out();
    shut_down();
    in_call_ = false;
  }

  void close_ended() noexcept {
    while (!closers_.empty()) closers_.pop_front().settle();
  }

  function_call<Read, nothing_given, read_result> read_;
  function_call<Write, buffer, result<void>> write_;
  function_call<Shutdown, shutdown_mode, result<void>> shutdown_;
  function_call<Close, stream_end, result<void>> close_;
  later<function_block> again_{*this, &function_block::go_on};
  later<function_block> cancel_{*this, &function_block::cancel_calls};
  intrusive_list<function_close_operation<function_block>> closers_;
  executor* home_ = nullptr;
  const reading* tried_ = nullptr;
  writing* writer_ = nullptr;  // whose buffer is being written
  read_result result_;         // of a read that nobody has taken
  int holders_ = 1;
  bool got_ = false;
  bool stop_asked_ = false;    // of the write that is under way
  bool rest_is_lost_ = false;  // its operation is gone, with what was to follow
  bool wants_end_ = false;
  bool wants_shut_read_ = false;
  bool end_begun_ = false;
  bool ending_ = false;  // what the shutdown callable is doing
  bool in_call_ = false;
  bool gone_ = false;
};

}  // namespace detail
}  // namespace coflow::inline v0
