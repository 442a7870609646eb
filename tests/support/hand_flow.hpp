#pragma once

// A flow whose operations are completed by hand, and a codec that is as simple as one can be: for tests of what a
// codec's flow does below, and when. The flow needs no executor, and notes what is asked of it.

#include <coflow/core/buffer.hpp>
#include <coflow/core/error.hpp>
#include <coflow/core/flow.hpp>
#include <coflow/layer/codec.hpp>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace support {

/// What happens below. Reads wait until they are given something; writes are accepted at once unless told otherwise.
class hand {
 public:
  int reads = 0;  // begun
  int writes = 0;
  int shutdowns_of_read = 0;
  int shutdowns_of_write = 0;
  int closes = 0;
  std::string written;  // accepted
  bool writes_wait = false;
  bool no_memory_for_writes = false;  // the next one throws std::bad_alloc
  bool needs_executor = false;        // reads are refused where there is none
  int ready = 0;                      // so many reads are given "r" at once

  [[nodiscard]] bool reading() const noexcept { return static_cast<bool>(reader_); }
  [[nodiscard]] bool writing() const noexcept { return static_cast<bool>(writer_); }

  /// Completes the read that waits; in a turn of the flow's executor.
  void give(std::string_view text) { give(coflow::buffer(text)); }
  void give(coflow::buffer bytes) { complete_read(std::move(bytes)); }
  void give_end() { complete_read(coflow::end_of_stream); }
  void give(std::error_code failure) { complete_read(failure); }
  void give_no_memory() {
    no_memory_ = true;
    complete_read(coflow::end_of_stream);
  }
  /// Completes the write that waits.
  void accept() { complete_write(coflow::success); }
  void refuse(std::error_code failure) { complete_write(failure); }

 private:
  friend class hand_flow;

  void complete_read(coflow::read_result outcome) {
    got_.emplace(std::move(outcome));
    std::exchange(reader_, nullptr).resume();
  }
  void complete_write(coflow::result<void> outcome) {
    if (outcome) take(list_);
    sent_ = outcome;
    std::exchange(writer_, nullptr).resume();
  }
  void take(std::span<coflow::buffer> list) {
    for (coflow::buffer& one : list) {
      written.append(one.text());
      one.clear();
    }
  }

  std::coroutine_handle<> reader_;
  std::coroutine_handle<> writer_;
  std::optional<coflow::read_result> got_;
  coflow::result<void> sent_;
  std::span<coflow::buffer> list_;
  bool no_memory_ = false;
};

class hand_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit hand_flow(std::shared_ptr<hand> by) noexcept : by_(std::move(by)) {}

  class read_wait {
   public:
    explicit read_wait(hand& by) noexcept : by_(by) {}
    read_wait(const read_wait&) = delete;
    ~read_wait() {
      if (waits_) by_.reader_ = nullptr;
    }
    [[nodiscard]] bool await_ready() {
      ++by_.reads;
      if (by_.needs_executor && coflow::executor::current() == nullptr) {
        by_.got_.emplace(make_error_code(coflow::error::no_executor));
        return true;
      }
      if (by_.ready == 0) return false;
      --by_.ready;
      by_.got_.emplace(coflow::buffer("r"));
      return true;
    }
    void await_suspend(std::coroutine_handle<> awaiting) {
      waits_ = true;
      by_.reader_ = awaiting;
    }
    [[nodiscard]] coflow::read_result await_resume() {
      waits_ = false;
      if (std::exchange(by_.no_memory_, false)) throw std::bad_alloc();
      return *std::move(by_.got_);
    }

   private:
    hand& by_;
    bool waits_ = false;
  };

  class write_wait {
   public:
    write_wait(hand& by, std::span<coflow::buffer> list) noexcept : by_(by), list_(list) {}
    write_wait(hand& by, coflow::buffer bytes) noexcept : by_(by), one_(std::move(bytes)), list_(&one_, 1) {}
    write_wait(const write_wait&) = delete;
    ~write_wait() {
      if (waits_) by_.writer_ = nullptr;
    }
    [[nodiscard]] bool await_ready() {
      ++by_.writes;
      if (by_.writes_wait || by_.no_memory_for_writes) return by_.no_memory_for_writes;
      by_.take(list_);
      by_.sent_ = coflow::success;
      return true;
    }
    void await_suspend(std::coroutine_handle<> awaiting) {
      waits_ = true;
      by_.list_ = list_;
      by_.writer_ = awaiting;
    }
    [[nodiscard]] coflow::result<void> await_resume() {
      waits_ = false;
      if (std::exchange(by_.no_memory_for_writes, false)) throw std::bad_alloc();
      return by_.sent_;
    }

   private:
    hand& by_;
    coflow::buffer one_;
    std::span<coflow::buffer> list_;
    bool waits_ = false;
  };

  class at_once {
   public:
    explicit at_once(int& count) noexcept { ++count; }
    [[nodiscard]] bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}
  };

  [[nodiscard]] read_wait read() noexcept { return read_wait(*by_); }
  [[nodiscard]] write_wait write(coflow::buffer bytes) noexcept { return write_wait(*by_, std::move(bytes)); }
  [[nodiscard]] write_wait writev(std::span<coflow::buffer> list) noexcept { return write_wait(*by_, list); }
  [[nodiscard]] at_once shutdown(coflow::shutdown_mode mode) noexcept {
    return at_once(covers_write(mode) ? by_->shutdowns_of_write : by_->shutdowns_of_read);
  }
  [[nodiscard]] at_once close() noexcept { return at_once(by_->closes); }

 private:
  std::shared_ptr<hand> by_;
};

static_assert(coflow::check_flow_shape<hand_flow>());

/// What a `plain_codec` is to do, and what it has been asked.
class plain_orders {
 public:
  bool needs_input = false;
  int feeds = 0;
  coflow::buffer answer;    // to each feed, which is then no data
  std::error_code refusal;  // of everything that is to be sealed
  bool no_memory_to_feed = false;
  bool swallow = false;      // what is fed is no data
  bool established = false;  // after the first feed
};

/// Bytes pass as they are; the goodbye is "~".
class plain_codec {
 public:
  explicit plain_codec(std::shared_ptr<plain_orders> orders) noexcept : orders_(std::move(orders)) {}

  void feed(coflow::buffer bytes, coflow::codec_output& out) {
    ++orders_->feeds;
    if (orders_->no_memory_to_feed) throw std::bad_alloc();
    orders_->established = true;
    if (!orders_->answer.empty())
      out.send(orders_->answer.share());
    else if (!orders_->swallow)
      out.data(std::move(bytes));
  }
  std::error_code seal(std::span<coflow::buffer> plain, coflow::codec_output& out) {
    if (orders_->refusal) return orders_->refusal;
    for (coflow::buffer& one : plain) out.send(std::move(one));
    return {};
  }
  void farewell(coflow::codec_output& out) { out.send(coflow::buffer("~")); }
  [[nodiscard]] bool needs_input() const noexcept { return orders_->needs_input; }

 protected:
  std::shared_ptr<plain_orders> orders_;
};

/// The same with a handshake: "hello", and whatever the peer says to that.
class plain_handshake_codec : public plain_codec {
 public:
  using plain_codec::plain_codec;
  void start(coflow::codec_output& out) { out.send(coflow::buffer("hello")); }
  [[nodiscard]] bool established() const noexcept { return orders_->established; }
};

}  // namespace support
