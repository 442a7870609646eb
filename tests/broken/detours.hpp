#pragma once

// Ways round what an honest flow does: a wait that never ends, an operation of the flow below whose wait somebody else
// may end, and a handle that says when it is moved and destroyed.

#include <algorithm>
#include <coflow/core.hpp>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "broken/altered_flow.hpp"

namespace broken {

// Awaited to wait for ever; a stop, or the coroutine's end, is the only way out.
class [[nodiscard]] waiting_for_ever final : public coflow::operation {
 public:
  waiting_for_ever() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <coflow::suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    if (this->stop_requested()) return false;
    this->begin_wait();
    return true;
  }
  void await_resume() const noexcept {}

 private:
  void on_stop() noexcept override { coflow::executor::current()->post(*this); }
  void run() noexcept override { this->resume(); }
};

// Operations of the flow below that can be ended from here.
class detour_base : public coflow::operation {
 public:
  // Ends the wait with `closed`: in a turn of its own, as it should be, or on the spot.
  virtual void end_with_closed(bool on_the_spot) noexcept = 0;

 protected:
  detour_base() noexcept {}
  ~detour_base() = default;
};

class detours {
 public:
  void enter(detour_base& one) { waiting_.push_back(&one); }
  void forget(const detour_base& one) noexcept { std::erase(waiting_, &one); }
  void end_all(bool on_the_spot) noexcept {
    while (!waiting_.empty()) {
      detour_base& first = *waiting_.front();
      waiting_.erase(waiting_.begin());
      first.end_with_closed(on_the_spot);
    }
  }

 private:
  std::vector<detour_base*> waiting_;
};

// How an operation hears of a stop.
enum class hearing { honest, on_the_spot, only_the_moment };

// `Below` is the operation of the flow below, which resumes the awaiting coroutine by itself.
template <class Below>
class [[nodiscard]] detour final : public detour_base {
 public:
  detour(std::shared_ptr<detours> among, Below below, hearing of_stop = hearing::honest)
      : among_(std::move(among)), below_(std::move(below)), hearing_(of_stop) {}
  ~detour() { among_->forget(*this); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <coflow::suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) {
    this->bind(awaiting);
    if (hearing_ != hearing::only_the_moment && this->stop_requested()) {
      verdict_ = coflow::canceled();
      return false;
    }
    if (!below_->await_suspend(coflow::awaiting(awaiting, &stop_below_))) return false;
    among_->enter(*this);
    this->begin_wait();
    return true;
  }
  [[nodiscard]] auto await_resume() -> decltype(std::declval<Below&>().await_resume()) {
    this->end_wait();
    among_->forget(*this);
    if (verdict_) return verdict_;
    return below_->await_resume();
  }

  void end_with_closed(bool on_the_spot) noexcept override {
    this->end_wait();
    below_.reset();
    verdict_ = coflow::error::closed;
    if (on_the_spot)
      this->resume();
    else if (coflow::executor* on = coflow::executor::current())
      on->post(*this);
  }

 private:
  void on_stop() noexcept override {
    if (hearing_ != hearing::on_the_spot) {
      stop_below_.request_stop();
      return;
    }
    below_.reset();
    verdict_ = coflow::canceled();
    this->resume();
  }
  void run() noexcept override { this->resume(); }

  std::shared_ptr<detours> among_;
  coflow::stop_node stop_below_;
  std::optional<Below> below_;
  std::error_code verdict_;
  hearing hearing_;
};

// A behaviour that has a say in what becomes of its handle.
class handled_behaviour : public behaviour {
 public:
  virtual void moved() noexcept {}
  virtual void dropped() noexcept { inner.reset(); }
  // `next` takes the place of this one in a handle.
  virtual void replaced_by(handled_behaviour&) noexcept { dropped(); }
};

class handled_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit handled_flow(std::shared_ptr<handled_behaviour> how) noexcept : how_(std::move(how)) {}
  handled_flow(handled_flow&& other) noexcept : how_(std::move(other.how_)) {
    if (how_) how_->moved();
  }
  handled_flow& operator=(handled_flow&& other) noexcept {
    const std::shared_ptr<handled_behaviour> old = std::exchange(how_, std::move(other.how_));
    if (old && how_) old->replaced_by(*how_);
    if (old && !how_) old->dropped();
    if (how_) how_->moved();
    return *this;
  }
  ~handled_flow() {
    if (how_) how_->dropped();
  }

  task<read_result> read() { return how_->read(how_); }
  task<result<void>> write(buffer bytes) { return how_->write(how_, std::move(bytes)); }
  task<result<void>> writev(std::span<buffer> list) { return how_->writev(how_, list); }
  task<> shutdown(shutdown_mode mode) { return how_->shutdown(how_, mode); }
  task<> close() { return how_->close(how_); }

  void reset() noexcept { how_->inner->reset(); }

 private:
  std::shared_ptr<handled_behaviour> how_;
};

class handled_pair {
 public:
  using maker = std::shared_ptr<handled_behaviour> (*)();
  explicit handled_pair(maker make) noexcept : make_(make) {}

  std::pair<handled_flow, handled_flow> operator()() {
    auto ends = coflow::memory_pipe(4096);
    const std::shared_ptr<handled_behaviour> first = make_();
    const std::shared_ptr<handled_behaviour> second = make_();
    first->inner.emplace(std::move(ends.first));
    second->inner.emplace(std::move(ends.second));
    first->peer = second;
    second->peer = first;
    return {handled_flow(first), handled_flow(second)};
  }
  void reset(handled_flow& end) noexcept { end.reset(); }

 private:
  maker make_;
};

inline coflow::report check_handled(handled_pair::maker make, const coflow::law_options& with) {
  return coflow::check_flow(handled_pair(make), with);
}

template <class Behaviour>
[[nodiscard]] std::shared_ptr<handled_behaviour> behaving_with_handle() {
  return std::make_shared<Behaviour>();
}

// Like `altered`, for behaviours that have a say in what becomes of their handles.
template <class Behaviour>
[[nodiscard]] constexpr specimen handled(const char* name, const char* law) {
  return {name, law,
          [](const coflow::law_options& with) { return check_handled(&behaving_with_handle<Behaviour>, with); }};
}

}  // namespace broken
