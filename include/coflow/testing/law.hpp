/// \file
/// What a law is, what its body has to work with, and the small steps that the bodies share.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/async/task_scope.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/node.hpp"
#include "coflow/core/task.hpp"
#include "coflow/testing/checked_flow.hpp"
#include "coflow/testing/expect.hpp"

namespace coflow::inline v0 {
namespace laws {

/// What a law needs of the flows that are to keep it. Where that is not given, the check is left out.
enum class need : unsigned {
  nothing = 0,
  reset = 1,               ///< the factory can reset a peer
  cut = 2,                 ///< the factory can cut a connection below a flow
  back_pressure = 4,       ///< a write waits when nobody reads
  cancellation = 8,        ///< pending operations hear of a stop request
  one_type = 16,           ///< both ends are of one type
  clean_destruction = 32,  ///< a flow that is destroyed ends its stream with eof, without a goodbye of its own
  read_into = 64,          ///< the flows have `read_into`
  prompt_acceptance = 128  ///< success of a write means that the transport below has accepted it
};
[[nodiscard]] constexpr need operator|(need a, need b) noexcept {
  return static_cast<need>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool covers(need all, need one) noexcept {
  return (static_cast<unsigned>(all) & static_cast<unsigned>(one)) == static_cast<unsigned>(one);
}

/// What a law's body gets: connected flows, and what is known about them.
class law_run {
 public:
  law_run(const law_run&) = delete;
  law_run& operator=(const law_run&) = delete;

  /// Makes two connected flows. Throws if the factory cannot.
  [[nodiscard]] virtual task<flow_ends> connect() = 0;

  /// So many bytes are written to a flow without waiting, at most, while nobody reads.
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// A write of so many bytes waits for a reader, and a part of it is not even encoded: a layer may seal some at a time
  /// (law X2).
  [[nodiscard]] std::size_t more_than_fits() const noexcept { return 2 * capacity_ + 160 * 1024; }
  /// How many operations laws about very many run.
  [[nodiscard]] int many() const noexcept { return many_; }
  /// What the flows offer.
  [[nodiscard]] bool has(need what) const noexcept { return covers(given_, what); }

 protected:
  law_run() noexcept {}
  ~law_run() = default;

  std::size_t capacity_ = 0;
  int many_ = 0;
  need given_ = need::nothing;
};

/// What a law about executors gets: it stands outside of any coroutine, and drives and ends the executor itself.
class law_stage : public law_run {
 public:
  /// Runs a task to its end.
  virtual void run(task<> body) = 0;
  /// Starts a task and does not wait for it. It is destroyed at the latest when the check ends.
  virtual void start(task<> body) = 0;
  /// One turn of the executor if there is something to do.
  virtual void turn() = 0;
  /// Destroys the executor; afterwards none is current.
  virtual void end_executor() = 0;
  /// Makes another executor in the place of the one that was ended.
  virtual void begin_executor() = 0;

 protected:
  law_stage() noexcept {}
  ~law_stage() = default;
};

/// One promise of the contract as a check.
struct law {
  const char* id;                       ///< "R4"
  const char* check;                    ///< a sentence
  task<> (*body)(law_run&) = nullptr;   ///< the check, or null
  void (*stage)(law_stage&) = nullptr;  ///< the check where it drives the executor itself
  need needs = need::nothing;
};

// ---- letting others run, without sleeping

/// Lets everything that is ready run once, `count` times over.
inline task<> turns(int count = 1) {
  for (int i = 0; i < count; ++i) {
    const result<void> slept = co_await sleep_for(std::chrono::nanoseconds(0));
    if (!slept) co_return;
  }
}

/// Lets others run until `holds()`; false if ten seconds pass on the executor's clock, or the task is stopped. What
/// runs at once is let run first; then the clock moves, by as little as possible.
template <class Condition>
task<bool> until(Condition holds) {
  const executor* on = executor::current();
  if (on == nullptr) co_return holds();
  const executor::time_point limit = on->after(std::chrono::seconds(10));
  for (std::uint64_t round = 0; !holds(); ++round) {
    if (on->now() > limit) co_return false;
    const std::chrono::microseconds wait(round < 200 ? 0 : 1000);
    const result<void> slept = co_await sleep_for(wait);
    if (!slept) co_return false;
  }
  co_return true;
}

/// Lets others run until `holds()`, but lets no time pass: what is prompt may take a few turns in a stack of layers.
template <class Condition>
task<bool> promptly(Condition holds) {
  for (int i = 0; i < 30 && !holds(); ++i) co_await turns();
  co_return holds();
}

/// Tells whether a turn of the executor has passed since it was made.
class turn_mark final : public node {
 public:
  turn_mark() noexcept { executor::current()->post(*this); }
  [[nodiscard]] bool passed() const noexcept { return passed_; }

 private:
  void run() noexcept override { passed_ = true; }
  bool passed_ = false;
};

/// Waits until `count` unread bytes have arrived at `flow`; where that cannot be told, lets others run.
inline task<> arrived(checked_flow* flow, std::size_t count) {
  if (!(*flow)->unread().has_value()) {
    co_await turns(3);
    co_return;
  }
  const bool there = co_await until([flow, count] { return *(*flow)->unread() >= count; });
  expect(there, "the bytes arrive");
}

/// Waits until the peer's end or reset has arrived at `flow`, without reading; where that cannot be told, lets others
/// run.
inline task<> end_arrived(checked_flow* flow) {
  if (!(*flow)->end_has_arrived().has_value()) {
    co_await turns(3);
    co_return;
  }
  const bool there = co_await until([flow] { return *(*flow)->end_has_arrived(); });
  expect(there, "the end arrives");
}

// ---- operations as children, with what came of them

inline task<> read_once(checked_flow* flow, reading* out) {
  out->started = true;
  read_result got = co_await flow->read();
  out->got = std::move(got);
  out->done = true;
}
inline task<> write_once(checked_flow* flow, buffer bytes, writing* out) {
  out->started = true;
  const result<void> sent = co_await flow->write(std::move(bytes));
  out->sent = sent;
  out->done = true;
}
inline task<> writev_once(checked_flow* flow, std::span<buffer> list, writing* out) {
  out->started = true;
  const result<void> sent = co_await flow->writev(list);
  out->sent = sent;
  out->done = true;
}
inline task<> shutdown_once(checked_flow* flow, shutdown_mode mode, shutting* out) {
  out->started = true;
  co_await flow->shutdown(mode);
  out->done = true;
}
inline task<> close_once(checked_flow* flow, shutting* out) {
  out->started = true;
  co_await flow->close();
  out->done = true;
}

/// Starts a child; it runs when the caller next lets others run.
template <class T>
void start(task_scope& scope, task<T> child, place at = place::current()) {
  const result<void> started = scope.spawn(std::move(child));
  expect(started.has_value(), "a child can be started", "it could not", at);
}

/// Starts a write that nobody reads yet, and gives it time to be accepted. A flow may need a reader for that: then the
/// write goes on waiting, and `out->done` says so.
inline task<> offer(task_scope* scope, checked_flow* flow, std::string text, writing* out) {
  start(*scope, write_once(flow, buffer(text), out));
  for (int i = 0; i < 20 && !out->done; ++i) co_await turns();
}
/// What was offered has been read to the end: all of it if it was accepted, or else as much as went out.
inline void expect_delivered(std::string_view got, std::string_view offered, const writing& sent,
                             place at = place::current()) {
  const bool whole = sent.done && sent.sent.has_value();
  expect_same(got, whole ? offered : offered.substr(0, got.size()), at);
}
/// The same of flows for which acceptance may mean less (law W1).
inline void expect_delivered(const law_run& run, std::string_view got, std::string_view offered, const writing& sent,
                             place at = place::current()) {
  if (run.has(need::prompt_acceptance))
    expect_delivered(got, offered, sent, at);
  else
    expect_same(got, offered.substr(0, got.size()), at);
}

/// Of what was offered and accepted not all has been read: that is no clean end (laws C6, X3).
inline void expect_no_eof_for(const writing& sent, const read_result& last, place at = place::current()) {
  if (sent.done && sent.sent.has_value()) expect_broken(last, at);
}

/// Reads to the end; gives how it ended and appends the bytes to `all`.
inline task<read_result> drain(checked_flow* flow, std::string* all) {
  for (;;) {
    read_result got = co_await flow->read();
    if (!got || got->empty()) co_return std::move(got);  // empty data, which no flow may give, could come for ever
    all->append(got->text());
  }
}
/// Drains in the background.
inline task<> drain_once(checked_flow* flow, std::string* all, reading* out) {
  out->started = true;
  read_result got = co_await drain(flow, all);
  out->got = std::move(got);
  out->done = true;
}
/// Reads until `all` holds `size` bytes, or the stream ends.
inline task<> read_up_to(checked_flow* flow, std::size_t size, std::string* all) {
  while (all->size() < size) {
    const read_result got = co_await flow->read();
    if (!got || got->empty()) co_return;
    all->append(got->text());
  }
}

/// Writes until an error comes, a byte at a time; gives that error, or success if none comes: a flow may learn that its
/// peer is gone only after it has tried.
inline task<result<void>> write_until_error(checked_flow* flow) {
  for (int i = 0; i < 10'000; ++i) {
    const result<void> sent = co_await flow->write(buffer("x"));
    if (!sent) co_return sent;
    const std::chrono::microseconds wait(i < 200 ? 0 : 1000);
    const result<void> slept = co_await sleep_for(wait);
    if (!slept) co_return sent;
  }
  co_return success;
}

// ---- bytes

/// `size` bytes that differ from place to place and from seed to seed.
[[nodiscard]] inline std::string pattern(std::size_t size, std::uint32_t seed = 1) {
  std::string made(size, '\0');
  std::uint32_t state = seed * 2654435761U + 12345U;
  for (char& byte : made) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>('!' + (state >> 24) % 90);
  }
  return made;
}

[[nodiscard]] inline std::string joined(std::span<const buffer> list) {
  std::string all;
  for (const buffer& one : list) all.append(one.text());
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
