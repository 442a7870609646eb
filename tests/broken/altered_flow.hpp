#pragma once

// What broken flows are made of: a flow like honest_flow, whose every operation one may replace, and a line in which
// its operations may wait for each other.

#include <algorithm>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/laws.hpp>
#include <coroutine>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "broken/specimen.hpp"

namespace broken {

using coflow::buffer;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;

// The operations of one end, and what they are about. Each holds a share of it for as long as it runs (law O2): whoever
// calls another one hands a copy on and keeps its own.
class behaviour {
 public:
  using shared = std::shared_ptr<behaviour>;

  behaviour() noexcept {}
  behaviour(const behaviour&) = delete;
  behaviour& operator=(const behaviour&) = delete;
  virtual ~behaviour() = default;

  virtual task<read_result> read(shared) {
    if (!inner) co_return coflow::error::closed;
    read_result got = co_await inner->read();
    co_return std::move(got);
  }
  virtual task<result<void>> write(shared, buffer bytes) {
    if (!inner) co_return coflow::error::closed;
    const result<void> sent = co_await inner->write(std::move(bytes));
    co_return sent;
  }
  virtual task<result<void>> writev(shared, std::span<buffer> list) {
    if (!inner) co_return coflow::error::closed;
    const result<void> sent = co_await inner->writev(list);
    co_return sent;
  }
  virtual task<> shutdown(shared, shutdown_mode mode) {
    if (inner) co_await inner->shutdown(mode);
  }
  virtual task<> close(shared) {
    if (inner) co_await inner->close();
  }

  std::optional<coflow::memory_flow> inner;  // empty once the flow is destroyed
  std::weak_ptr<behaviour> peer;
};

class altered_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit altered_flow(std::shared_ptr<behaviour> how) noexcept : how_(std::move(how)) {}
  altered_flow(altered_flow&& other) noexcept = default;
  altered_flow& operator=(altered_flow&& other) noexcept {
    altered_flow dropped(std::move(other));
    std::swap(how_, dropped.how_);
    return *this;
  }
  ~altered_flow() {
    if (how_) how_->inner.reset();
  }

  task<read_result> read() { return how_->read(how_); }
  task<result<void>> write(buffer bytes) { return how_->write(how_, std::move(bytes)); }
  task<result<void>> writev(std::span<buffer> list) { return how_->writev(how_, list); }
  task<> shutdown(shutdown_mode mode) { return how_->shutdown(how_, mode); }
  task<> close() { return how_->close(how_); }

  void reset() noexcept { how_->inner->reset(); }

 private:
  std::shared_ptr<behaviour> how_;
};

// Makes two connected flows that behave so, and breaks a connection.
class altered_pair {
 public:
  using maker = std::shared_ptr<behaviour> (*)();
  explicit altered_pair(maker make) noexcept : make_(make) {}

  std::pair<altered_flow, altered_flow> operator()() {
    auto ends = coflow::memory_pipe(4096);
    const std::shared_ptr<behaviour> first = make_();
    const std::shared_ptr<behaviour> second = make_();
    first->inner.emplace(std::move(ends.first));
    second->inner.emplace(std::move(ends.second));
    first->peer = second;
    second->peer = first;
    return {altered_flow(first), altered_flow(second)};
  }
  void reset(altered_flow& end) noexcept { end.reset(); }

 private:
  maker make_;
};

inline coflow::report check_altered(altered_pair::maker make, const coflow::law_options& with) {
  return coflow::check_flow(altered_pair(make), with);
}

template <class Behaviour>
[[nodiscard]] std::shared_ptr<behaviour> behaving() {
  return std::make_shared<Behaviour>();
}

// A flow that behaves like `Behaviour`, and the law that it must be rejected for.
template <class Behaviour>
[[nodiscard]] constexpr specimen altered(const char* name, const char* law) {
  return {name, law, [](const coflow::law_options& with) { return check_altered(&behaving<Behaviour>, with); }};
}

// One at a time: who has entered holds a `turn`; the others wait until it leaves.
class line {
 public:
  enum class order { first_come, last_come };

  explicit line(order served = order::first_come) noexcept : served_(served) {}
  line(const line&) = delete;
  line& operator=(const line&) = delete;

  // Awaited to enter: false if the task was stopped before it was its turn.
  class [[nodiscard]] entering final : public coflow::operation {
   public:
    explicit entering(line& into) noexcept : line_(into) {}
    ~entering() {
      line_.forget(*this);
      if (granted_) line_.leave();
    }
    [[nodiscard]] bool await_ready() noexcept {
      if (line_.taken_) return false;
      granted_ = line_.taken_ = true;
      return true;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiting) {
      line_.waiting_.push_back(this);
      this->bind(awaiting);
      this->begin_wait();
      if (this->stop_requested()) on_stop();
    }
    [[nodiscard]] bool await_resume() noexcept { return std::exchange(granted_, false); }

   private:
    friend class line;

    void on_stop() noexcept override {
      line_.forget(*this);
      post();
    }
    void run() noexcept override { this->resume(); }
    // Where no executor runs any more, the waiting coroutine is about to be destroyed.
    void post() noexcept {
      this->end_wait();
      if (coflow::executor* on = coflow::executor::current()) on->post(*this);
    }

    line& line_;
    bool granted_ = false;
  };
  [[nodiscard]] entering enter() noexcept { return entering(*this); }

  // Leaves when it is destroyed.
  class turn {
   public:
    explicit turn(line& in) noexcept : line_(&in) {}
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn() {
      if (line_ != nullptr) line_->leave();
    }
    // Never leaves: nobody else has a turn.
    void keep() noexcept { line_ = nullptr; }

   private:
    line* line_;
  };

  [[nodiscard]] bool taken() const noexcept { return taken_; }

 private:
  void forget(const entering& one) noexcept { std::erase(waiting_, &one); }
  void leave() noexcept {
    if (waiting_.empty()) {
      taken_ = false;
      return;
    }
    const auto next = served_ == order::first_come ? waiting_.begin() : waiting_.end() - 1;
    entering& chosen = **next;
    waiting_.erase(next);
    chosen.granted_ = true;
    chosen.post();
  }

  std::vector<entering*> waiting_;
  order served_;
  bool taken_ = false;
};

}  // namespace broken
