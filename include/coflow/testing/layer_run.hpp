/// \file
/// Layers under check: a flow that records what a layer asks of it, and pairs of layers around two of them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/core/flow.hpp"
#include "coflow/memory/memory_pipe.hpp"
#include "coflow/testing/checked_flow.hpp"
#include "coflow/testing/fault_plan.hpp"
#include "coflow/testing/faulty_flow.hpp"
#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {

/// What a layer has done to the flow below it.
struct probe_record {
  probe_record() noexcept {}
  std::size_t reads = 0;               ///< reads that were begun
  std::size_t writes_in_flight = 0;    ///< writes that have begun and not ended
  std::size_t most_in_flight = 0;      ///< the most at any time
  std::string written;                 ///< what the writes that have ended were given
  std::string before_shutdown;         ///< what had been written when the write half was shut down first
  std::size_t shutdowns_of_read = 0;   ///< calls that covered the read half
  std::size_t shutdowns_of_write = 0;  ///< calls that covered the write half
  std::size_t late_writes = 0;         ///< writes of something that were begun after that, or after a close
  std::size_t closes = 0;
  bool destroyed = false;

  /// True if the layer has let the flow go.
  [[nodiscard]] bool let_go() const noexcept { return closes != 0 || destroyed; }
};

/// The flow that the law suite for layers puts below a layer: one end of a pipe in memory, with a plan of faults.
class probe_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  probe_flow(memory_flow end, fault_plan plan, std::shared_ptr<probe_record> record)
      : state_(std::make_shared<state>(faulty_flow<memory_flow>(std::move(end), plan), std::move(record))) {}
  probe_flow(probe_flow&& other) noexcept : state_(std::move(other.state_)) {}
  probe_flow& operator=(probe_flow&& other) noexcept {
    probe_flow old(std::move(*this));
    state_ = std::move(other.state_);
    return *this;
  }
  /// Closes the flow and says so in the record (law C6).
  ~probe_flow() {
    if (state_) state_->drop();
  }

  [[nodiscard]] task<read_result> read() { return reading(state_); }
  [[nodiscard]] task<result<void>> write(buffer bytes) { return writing(state_, std::move(bytes)); }
  [[nodiscard]] task<result<void>> writev(std::span<buffer> list) { return sending(state_, list); }
  [[nodiscard]] task<> shutdown(shutdown_mode mode) { return shutting(state_, mode); }
  [[nodiscard]] task<> close() { return closing(state_); }

 private:
  class state {
   public:
    state(faulty_flow<memory_flow> flow, std::shared_ptr<probe_record> noted)
        : inner(std::move(flow)), record(std::move(noted)) {}
    void drop() noexcept {
      record->destroyed = true;
      inner.reset();
    }
    std::optional<faulty_flow<memory_flow>> inner;  // empty once the flow is destroyed
    std::shared_ptr<probe_record> record;
  };
  using shared = std::shared_ptr<state>;

  // Counts a write as long as it lives.
  class in_flight {
   public:
    explicit in_flight(probe_record& record) noexcept : record_(record) {
      record_.most_in_flight = std::max(record_.most_in_flight, ++record_.writes_in_flight);
    }
    in_flight(const in_flight&) = delete;
    in_flight& operator=(const in_flight&) = delete;
    ~in_flight() { --record_.writes_in_flight; }

   private:
    probe_record& record_;
  };

  static task<read_result> reading(shared whole) {
    ++whole->record->reads;
    if (!whole->inner) co_return error::closed;
    read_result got = co_await whole->inner->read();
    co_return std::move(got);
  }
  static task<result<void>> writing(shared whole, buffer bytes) {
    const result<void> sent = co_await sending(whole, std::span<buffer>(&bytes, 1));
    co_return sent;
  }
  static task<result<void>> sending(shared whole, std::span<buffer> list) {
    const in_flight counted(*whole->record);
    if (!whole->inner) co_return error::closed;
    const std::string bytes = laws::joined(list);
    const bool late = whole->record->shutdowns_of_write != 0 || whole->record->closes != 0;
    if (late && !bytes.empty()) ++whole->record->late_writes;
    const result<void> sent = co_await whole->inner->writev(list);
    whole->record->written.append(bytes, 0, bytes.size() - laws::joined(list).size());
    co_return sent;
  }
  static task<> shutting(shared whole, shutdown_mode mode) {
    if (covers_read(mode)) ++whole->record->shutdowns_of_read;
    if (covers_write(mode) && whole->record->shutdowns_of_write++ == 0)
      whole->record->before_shutdown = whole->record->written;
    if (whole->inner) co_await whole->inner->shutdown(mode);
  }
  static task<> closing(shared whole) {
    ++whole->record->closes;
    if (whole->inner) co_await whole->inner->close();
  }

  shared state_;
};

static_assert(check_flow_shape<probe_flow>());

/// Which end of a connection a layer is made for: protocols may have a client and a server.
enum class layer_end { first, second };

namespace laws {

/// How the two flows below a pair of layers behave.
class layer_plan {
 public:
  layer_plan() noexcept {}
  layer_plan& first(fault_plan plan) noexcept {
    first_ = plan;
    return *this;
  }
  layer_plan& second(fault_plan plan) noexcept {
    second_ = plan;
    return *this;
  }
  layer_plan& capacity(std::size_t bytes) noexcept {
    capacity_ = bytes;
    return *this;
  }
  [[nodiscard]] const fault_plan& of(layer_end end) const noexcept {
    return end == layer_end::first ? first_ : second_;
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  fault_plan first_;
  fault_plan second_;
  std::size_t capacity_ = 64 * 1024;
};

/// Two connected layers, and the records of the flows below them.
struct layer_ends {
  layer_ends() noexcept {}
  std::optional<checked_flow> a;  // empty if it could not be made
  std::optional<checked_flow> b;
  std::error_code a_failed;  // why
  std::error_code b_failed;
  std::shared_ptr<probe_record> below_a = std::make_shared<probe_record>();
  std::shared_ptr<probe_record> below_b = std::make_shared<probe_record>();
  [[nodiscard]] bool made() const noexcept { return a.has_value() && b.has_value(); }
};

/// What a law of layers gets.
class layer_run {
 public:
  layer_run(const layer_run&) = delete;
  layer_run& operator=(const layer_run&) = delete;

  /// Makes two connected layers; those that cannot be made are missing.
  [[nodiscard]] virtual task<> connect(layer_plan plan, layer_ends* into) = 0;

  /// How long a close may take.
  [[nodiscard]] std::chrono::milliseconds close_limit() const noexcept { return close_limit_; }
  /// True if the layer has a state of its own; otherwise it forwards what it is asked, each time.
  [[nodiscard]] bool codec() const noexcept { return codec_; }

 protected:
  layer_run(std::chrono::milliseconds close_limit, bool codec) noexcept : close_limit_(close_limit), codec_(codec) {}
  ~layer_run() = default;

 private:
  std::chrono::milliseconds close_limit_;
  bool codec_;
};

// What a wrapper may give.
template <class T>
struct layer_made {
  using flow = T;
  static constexpr bool may_fail = false;
};
template <class T>
struct layer_made<result<T>> {
  using flow = T;
  static constexpr bool may_fail = true;
};

/// Makes layers of one kind.
template <class Wrap>
class layer_run_of final : public layer_run {
 public:
  layer_run_of(Wrap& wrap, std::chrono::milliseconds close_limit, bool codec) noexcept
      : layer_run(close_limit, codec), wrap_(wrap) {}
  ~layer_run_of() = default;

  task<> connect(layer_plan plan, layer_ends* into) override { return connecting(this, plan, into); }

 private:
  static auto wrapped(Wrap& wrap, probe_flow inner, layer_end end) {
    if constexpr (std::is_invocable_v<Wrap&, probe_flow, layer_end>)
      return wrap(std::move(inner), end);
    else
      return wrap(std::move(inner));
  }
  using given = decltype(wrapped(std::declval<Wrap&>(), std::declval<probe_flow>(), layer_end::first));
  // A flow is no awaitable; what is awaited may be anything that is.
  static constexpr bool by_awaiting = awaitable<given>;

  template <class T>
  void keep(T layer, std::optional<checked_flow>* into, std::error_code* failed) {
    if constexpr (layer_made<T>::may_fail) {
      if (layer)
        keep(std::move(*layer), into, failed);
      else
        *failed = layer.error();
    } else {
      into->emplace(std::make_unique<subject_of<T, Wrap>>(std::move(layer), wrap_));
    }
  }

  static task<> making(layer_run_of* self, probe_flow inner, layer_end end, std::optional<checked_flow>* into,
                       std::error_code* failed) {
    if constexpr (by_awaiting) {
      auto layer = co_await wrapped(self->wrap_, std::move(inner), end);
      self->keep(std::move(layer), into, failed);
    } else {
      self->keep(wrapped(self->wrap_, std::move(inner), end), into, failed);
      co_return;
    }
  }
  static task<> connecting(layer_run_of* self, layer_plan plan, layer_ends* into) {
    auto below = memory_pipe(plan.capacity());
    task_scope scope;
    laws::start(scope, making(self, probe_flow(std::move(below.first), plan.of(layer_end::first), into->below_a),
                              layer_end::first, &into->a, &into->a_failed));
    laws::start(scope, making(self, probe_flow(std::move(below.second), plan.of(layer_end::second), into->below_b),
                              layer_end::second, &into->b, &into->b_failed));
    const result<void> joined = co_await scope.join();
    expect(joined.has_value(), "layers can be made", "the children failed");
  }

  Wrap& wrap_;
};

/// What a law of layers needs.
enum class layer_need { nothing, codec, goodbye };

/// One promise of layers as a check.
struct layer_law {
  const char* id;
  const char* check;
  task<> (*body)(layer_run&);
  layer_need needs = layer_need::nothing;
};

/// Lets others run until `holds()`; false if `time` passes first.
template <class Condition>
task<bool> within(std::chrono::milliseconds time, Condition holds) {
  const executor* on = executor::current();
  const executor::time_point limit = on->after(time);
  for (int round = 0; !holds(); ++round) {
    if (on->now() > limit) co_return false;
    const std::chrono::milliseconds wait(round < 200 ? 0 : 10);
    const result<void> slept = co_await sleep_for(wait);
    if (!slept) co_return false;
  }
  co_return true;
}

/// Makes two layers on a connection without faults that matter; false, and a finding, if they cannot be made.
inline task<bool> connected(layer_run* run, layer_plan plan, layer_ends* into) {
  co_await run->connect(plan, into);
  const std::error_code why = into->a_failed ? into->a_failed : into->b_failed;
  expect(into->made(), "two layers can be made and connected", in_words(why));
  co_return into->made();
}

/// How many bytes have come to each end below when the layers are made: a handshake's.
struct bytes_below {
  std::size_t to_a = 0;
  std::size_t to_b = 0;
};
inline task<bytes_below> bytes_of_handshake(layer_run* run) {
  layer_ends ends;
  bytes_below count;
  const bool made = co_await connected(run, layer_plan(), &ends);
  if (made) {
    count.to_a = ends.below_b->written.size();
    count.to_b = ends.below_a->written.size();
  }
  co_return count;
}

inline task<> write_all(checked_flow* flow, std::vector<std::string> texts, writing* out) {
  out->started = true;
  for (const std::string& text : texts) {
    out->sent = co_await flow->write(buffer(text));
    if (!out->sent) break;
  }
  out->done = true;
}

}  // namespace laws
}  // namespace coflow::inline v0
