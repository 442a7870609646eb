/// \file
/// A flow under check, whatever its type, so that each law is compiled once and not once for every kind of flow.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"
#include "coflow/testing/detail/guarded_room.hpp"
#include "coflow/testing/detail/outcomes.hpp"
#include "coflow/testing/expect.hpp"

namespace coflow::inline v0 {
namespace laws {

/// Somebody else's coroutine: it starts at once, knows nothing of executors or stop states, and is nobody's child. Its
/// frame lives as long as this handle, which may destroy it while it waits.
class foreign {
 public:
  class promise_type {
   public:
    promise_type() noexcept {}
    foreign get_return_object() noexcept { return foreign(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { expect(false, "the flow throws nothing", "something was thrown"); }
  };

  foreign(foreign&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  foreign& operator=(foreign&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~foreign() { destroy(); }

  void destroy() noexcept {
    if (frame_) std::exchange(frame_, nullptr).destroy();
  }

 private:
  explicit foreign(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

/// The flow of one type, behind an interface. The coroutines of its operations hold a pointer to the flow that they do
/// not touch once they have begun, as a user's coroutines do.
class subject {
 public:
  subject() noexcept {}
  subject(const subject&) = delete;
  subject& operator=(const subject&) = delete;
  virtual ~subject() = default;

  virtual task<read_result> read() = 0;
  /// `operation_not_supported` where the flow has no `read_into`.
  virtual task<read_into_result> read_into(std::span<std::byte> room) = 0;
  virtual task<result<void>> write(buffer bytes) = 0;
  virtual task<result<void>> writev(std::span<buffer> list) = 0;
  virtual task<> shutdown(shutdown_mode mode) = 0;
  virtual task<> close() = 0;

  /// Makes each operation and awaits none.
  virtual void begin_nothing() = 0;
  /// Makes the writes of `first` and `second` in this order, and awaits them in the other.
  virtual task<result<void>> write_in_reverse(buffer first, buffer second) = 0;
  /// Moves the flow elsewhere and back, by construction and by assignment.
  virtual void move_about() = 0;
  /// Exchanges two flows of one type; false if the types differ.
  virtual bool swap_with(subject& other) = 0;
  /// Assigns the flow of `other`, which can only be destroyed afterwards, to this one; false if the types differ.
  virtual bool replace_by(subject& other) = 0;
  /// Makes one operation of each kind, closes the flow, and only then awaits them.
  virtual task<> await_after_close(reading* read, writing* write) = 0;
  virtual void destroy() = 0;

  virtual foreign read_abroad(reading* out) = 0;
  virtual foreign read_into_abroad(std::span<std::byte> room, reading_into* out) = 0;
  virtual foreign write_abroad(buffer bytes, writing* out) = 0;
  virtual foreign writev_abroad(std::span<buffer> list, writing* out) = 0;
  virtual foreign shutdown_abroad(shutdown_mode mode, shutting* out) = 0;
  virtual foreign close_abroad(shutting* out) = 0;

  virtual void reset() = 0;
  virtual void cut() = 0;
  /// Bytes that have arrived and wait for a read, if that can be told.
  virtual std::optional<std::size_t> unread() = 0;
  /// Whether the peer's end, or a reset, has arrived, if that can be told.
  virtual std::optional<bool> end_has_arrived() = 0;
  virtual const void* type() const noexcept = 0;
};

/// What a factory may offer beyond making a pair: ways to break a connection, and to look at what has arrived.
template <class Factory, class F>
concept can_reset = requires(Factory& make, F& flow) { make.reset(flow); };
template <class Factory, class F>
concept can_cut = requires(Factory& make, F& flow) { make.cut(flow); };
template <class Factory, class F>
concept can_count_unread = requires(Factory& make, F& flow) {
  { make.unread(flow) } -> std::convertible_to<std::size_t>;
};
template <class Factory, class F>
concept can_tell_end = requires(Factory& make, F& flow) {
  { make.end_has_arrived(flow) } -> std::convertible_to<bool>;
};

/// With `by_read_into` most reads are done by `read_into`, where the flow has that, with rooms of many sizes, and some
/// by `read` all the same.
template <SystemFlow F, class Factory>
class subject_of final : public subject {
 public:
  subject_of(F flow, Factory& make, bool by_read_into = false)
      : flow_(std::move(flow)), make_(make), by_read_into_(by_read_into && has_read_into<F>) {}
  ~subject_of() override = default;

  task<read_result> read() override { return reading_of(flow(), next_room()); }
  task<read_into_result> read_into(std::span<std::byte> room) override { return filling_of(flow(), room); }
  task<result<void>> write(buffer bytes) override { return writing_of(flow(), std::move(bytes)); }
  task<result<void>> writev(std::span<buffer> list) override { return listing_of(flow(), list); }
  task<> shutdown(shutdown_mode mode) override { return shutting_of(flow(), mode); }
  task<> close() override { return closing_of(flow()); }

  void begin_nothing() override {
    buffer list[2] = {buffer("never"), buffer("sent")};
    {
      [[maybe_unused]] auto never_read = flow()->read();
      if constexpr (has_read_into<F>) static_cast<void>(flow()->read_into({}));
      [[maybe_unused]] auto never_written = flow()->write(buffer("never sent"));
      [[maybe_unused]] auto never_listed = flow()->writev(list);
      [[maybe_unused]] auto never_shut = flow()->shutdown(shutdown_mode::read_write);
      [[maybe_unused]] auto never_closed = flow()->close();
    }
  }
  task<result<void>> write_in_reverse(buffer first, buffer second) override {
    return reversed(flow(), std::move(first), std::move(second));
  }
  void move_about() override {
    F* const here = flow();
    F elsewhere(std::move(*here));
    *here = std::move(elsewhere);
  }
  bool swap_with(subject& other) override {
    if (other.type() != type()) return false;
    std::swap(*flow(), *static_cast<subject_of&>(other).flow());
    return true;
  }
  bool replace_by(subject& other) override {
    if (other.type() != type()) return false;
    *flow_ = std::move(*static_cast<subject_of&>(other).flow_);
    return true;
  }
  task<> await_after_close(reading* read, writing* write) override { return late(flow(), read, write); }
  void destroy() override { flow_.reset(); }

  foreign read_abroad(reading* out) override { return foreign_read(flow(), next_room(), out); }
  foreign read_into_abroad(std::span<std::byte> room, reading_into* out) override {
    return foreign_fill(flow(), room, out);
  }
  foreign write_abroad(buffer bytes, writing* out) override { return foreign_write(flow(), std::move(bytes), out); }
  foreign writev_abroad(std::span<buffer> list, writing* out) override { return foreign_list(flow(), list, out); }
  foreign shutdown_abroad(shutdown_mode mode, shutting* out) override { return foreign_shut(flow(), mode, out); }
  foreign close_abroad(shutting* out) override { return foreign_close(flow(), out); }

  void reset() override {
    if constexpr (can_reset<Factory, F>) make_.reset(*flow());
  }
  void cut() override {
    if constexpr (can_cut<Factory, F>) make_.cut(*flow());
  }
  std::optional<std::size_t> unread() override {
    if constexpr (can_count_unread<Factory, F>) return make_.unread(*flow());
    return std::nullopt;
  }
  std::optional<bool> end_has_arrived() override {
    if constexpr (can_tell_end<Factory, F>) return make_.end_has_arrived(*flow());
    return std::nullopt;
  }
  const void* type() const noexcept override { return &type_mark; }

 private:
  // Throws where a law has destroyed the flow and uses it again: a flow that ends operations too early leads it there.
  [[nodiscard]] F* flow() {
    if (!flow_) throw std::logic_error("an operation was begun on a flow that is gone");
    return &*flow_;
  }

  // How much the next read may give; 0 if it is done by `read`.
  [[nodiscard]] std::size_t next_room() noexcept {
    static constexpr std::size_t rooms[] = {7, 1, 4096, 0, 64, 2, 0, 300, 70'000};
    if (!by_read_into_) return 0;
    if (next_ == std::size(rooms)) next_ = 0;
    return rooms[next_++];
  }

  static read_result converted(basic_read_result<typename F::error_type> got) {
    if constexpr (std::is_same_v<typename F::error_type, std::error_code>) {
      return got;
    } else {
      if (got.eof()) return end_of_stream;
      if (got.failed()) return static_cast<std::error_code>(got.error());
      return std::move(*got);
    }
  }
  static read_into_result converted(basic_read_into_result<typename F::error_type> got) {
    if (got.eof()) return end_of_stream;
    if (got.failed()) return static_cast<std::error_code>(got.error());
    return *got;
  }
  static read_result converted(const guarded_room& room, const basic_read_into_result<typename F::error_type>& got) {
    const std::string trouble = room.trouble_beyond(*got);
    expect(trouble.empty(), "a read_into writes as many bytes as it says, and no others", trouble);
    if (got.eof()) return end_of_stream;
    if (got.failed()) return static_cast<std::error_code>(got.error());
    return buffer(room.text(*got));
  }
  static result<void> converted(const result<void, typename F::write_error_type>& sent) {
    if (!sent) return static_cast<std::error_code>(sent.error());
    return success;
  }

  static task<read_result> reading_of(F* flow, std::size_t room) {
    if constexpr (has_read_into<F>) {
      if (room != 0) {
        guarded_room to(room);
        auto filled = co_await flow->read_into(to.room());
        co_return converted(to, filled);
      }
    }
    auto got = co_await flow->read();
    co_return converted(std::move(got));
  }
  static task<read_into_result> filling_of([[maybe_unused]] F* flow, [[maybe_unused]] std::span<std::byte> room) {
    if constexpr (has_read_into<F>) {
      auto got = co_await flow->read_into(room);
      co_return converted(std::move(got));
    } else {
      co_return std::make_error_code(std::errc::operation_not_supported);
    }
  }
  static task<result<void>> writing_of(F* flow, buffer bytes) {
    auto sent = co_await flow->write(std::move(bytes));
    co_return converted(std::move(sent));
  }
  static task<result<void>> listing_of(F* flow, std::span<buffer> list) {
    auto sent = co_await flow->writev(list);
    co_return converted(std::move(sent));
  }
  static task<> shutting_of(F* flow, shutdown_mode mode) { co_await flow->shutdown(mode); }
  static task<> closing_of(F* flow) { co_await flow->close(); }
  static task<result<void>> reversed(F* flow, buffer first, buffer second) {
    auto made_first = flow->write(std::move(first));
    auto made_second = flow->write(std::move(second));
    auto sent = co_await std::move(made_second);
    if (!sent) co_return converted(std::move(sent));
    sent = co_await std::move(made_first);
    co_return converted(std::move(sent));
  }

  static task<> late(F* flow, reading* read, writing* write) {
    auto made_read = flow->read();
    auto made_write = flow->write(buffer("late"));
    auto made_shutdown = flow->shutdown(shutdown_mode::write);
    auto made_close = flow->close();
    if constexpr (has_read_into<F>) {
      guarded_room to(8);
      auto made_read_into = flow->read_into(to.room());
      co_await flow->close();
      auto filled = co_await std::move(made_read_into);
      expect_error(converted(to, filled), error::closed);
    }
    co_await flow->close();
    auto got = co_await std::move(made_read);
    read->got = converted(std::move(got));
    read->done = true;
    auto sent = co_await std::move(made_write);
    write->sent = converted(std::move(sent));
    write->done = true;
    co_await std::move(made_shutdown);
    co_await std::move(made_close);
  }

  static foreign foreign_read(F* flow, std::size_t room, reading* out) {
    out->started = true;
    if constexpr (has_read_into<F>) {
      if (room != 0) {
        guarded_room to(room);
        auto filled = co_await flow->read_into(to.room());
        out->got = converted(to, filled);
        out->done = true;
        co_return;
      }
    }
    auto got = co_await flow->read();
    out->got = converted(std::move(got));
    out->done = true;
  }
  static foreign foreign_fill([[maybe_unused]] F* flow, [[maybe_unused]] std::span<std::byte> room, reading_into* out) {
    out->started = true;
    if constexpr (has_read_into<F>) {
      auto got = co_await flow->read_into(room);
      out->got = converted(std::move(got));
      out->done = true;
    }
    co_return;
  }
  static foreign foreign_write(F* flow, buffer bytes, writing* out) {
    out->started = true;
    auto sent = co_await flow->write(std::move(bytes));
    out->sent = converted(std::move(sent));
    out->done = true;
  }
  static foreign foreign_list(F* flow, std::span<buffer> list, writing* out) {
    out->started = true;
    auto sent = co_await flow->writev(list);
    out->sent = converted(std::move(sent));
    out->done = true;
  }
  static foreign foreign_shut(F* flow, shutdown_mode mode, shutting* out) {
    out->started = true;
    co_await flow->shutdown(mode);
    out->done = true;
  }
  static foreign foreign_close(F* flow, shutting* out) {
    out->started = true;
    co_await flow->close();
    out->done = true;
  }

  static constexpr char type_mark = 0;

  std::optional<F> flow_;
  Factory& make_;
  bool by_read_into_;
  std::size_t next_ = 0;  // of the rooms
};

/// A handle on a flow under check: itself a flow, whose operations are coroutines that await the real one's.
class checked_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  checked_flow() noexcept {}
  explicit checked_flow(std::unique_ptr<subject> under_check) noexcept : subject_(std::move(under_check)) {}
  checked_flow(checked_flow&&) noexcept = default;
  /// Destroys the flow that it held before.
  checked_flow& operator=(checked_flow&&) noexcept = default;
  ~checked_flow() = default;

  task<read_result> read() { return subject_->read(); }
  task<read_into_result> read_into(std::span<std::byte> room) { return subject_->read_into(room); }
  task<result<void>> write(buffer bytes) { return subject_->write(std::move(bytes)); }
  task<result<void>> writev(std::span<buffer> list) { return subject_->writev(list); }
  task<> shutdown(shutdown_mode mode) { return subject_->shutdown(mode); }
  task<> close() { return subject_->close(); }

  /// The rest of what can be done with it.
  [[nodiscard]] subject* operator->() const noexcept { return subject_.get(); }
  [[nodiscard]] subject& operator*() const noexcept { return *subject_; }
  /// Destroys the flow (law C6).
  void destroy() noexcept {
    if (subject_) subject_->destroy();
  }

 private:
  std::unique_ptr<subject> subject_;
};

static_assert(check_flow_shape<checked_flow>());

/// Two connected flows: `a` is the one that a law is mostly about, `b` its peer.
struct flow_ends {
  flow_ends() noexcept {}
  flow_ends(checked_flow first, checked_flow second) noexcept : a(std::move(first)), b(std::move(second)) {}
  checked_flow a;
  checked_flow b;
};

}  // namespace laws
}  // namespace coflow::inline v0
