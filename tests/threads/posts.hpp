#pragma once

// One loop a thread, and work that goes from each to each: none is lost, and what one thread posts to another arrives
// in order.

#include <atomic>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coflow/net.hpp>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "soak/wire.hpp"

namespace posts {

using coflow::buffer;
using coflow::read_result;
using coflow::result;
using coflow::task;

/// Counts to a number that others wait for.
class latch {
 public:
  explicit latch(std::size_t count) noexcept : left_(count) {}
  void count_down() {
    const std::lock_guard lock(mutex_);
    if (--left_ == 0) done_.notify_all();
  }
  /// False if it took too long. Not the steady clock: the thread sanitizer of g++ 12 does not know the wait on that.
  bool wait(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return done_.wait_until(lock, std::chrono::system_clock::now() + limit, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t left_;
};

/// Loops, each on a thread of its own.
template <class Wire>
class crew {
 public:
  explicit crew(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) loops_.push_back(Wire::make_loop());
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this, i] { loops_[i]->run(); });
  }
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;
  ~crew() { stop(); }

  void stop() {
    for (const auto& one : loops_) one->stop();
    for (std::thread& one : threads_) one.join();
    threads_.clear();
  }
  [[nodiscard]] std::size_t size() const noexcept { return loops_.size(); }
  [[nodiscard]] coflow::event_loop& operator[](std::size_t i) noexcept { return *loops_[i]; }

 private:
  std::vector<std::unique_ptr<coflow::event_loop>> loops_;
  std::vector<std::thread> threads_;
};

inline constexpr std::chrono::seconds hang_limit{60};

// ---- balls that are thrown from loop to loop

template <class Wire>
class ball final : public coflow::basic_node {
 public:
  ball(crew<Wire>& among, latch& over, std::size_t start, std::size_t throws, bool gets_lost)
      : among_(among), over_(over), at_(start), left_(throws), gets_lost_(gets_lost) {}
  void begin() { among_[at_].post(*this); }
  /// After the threads have ended.
  [[nodiscard]] std::size_t thrown() const noexcept { return thrown_; }
  [[nodiscard]] bool strayed() const noexcept { return strayed_; }

 private:
  void run() noexcept override {
    ++thrown_;
    if (coflow::executor::current() != &among_[at_]) strayed_ = true;
    if (--left_ == 0) {
      over_.count_down();
      return;
    }
    if (gets_lost_ && left_ == 1) return;
    at_ = (at_ + 1 + thrown_ % (among_.size() - 1)) % among_.size();
    among_[at_].post(*this);
  }

  crew<Wire>& among_;
  latch& over_;
  std::size_t at_;
  std::size_t left_;
  std::size_t thrown_ = 0;
  bool gets_lost_;
  bool strayed_ = false;
};

/// Gives how many posts ran, or 0 if one was lost or ran elsewhere.
template <class Wire>
std::size_t throw_balls(std::size_t posts, bool lose_one) {
  constexpr std::size_t balls = 64;
  latch over(balls);
  crew<Wire> among(4);
  std::vector<std::unique_ptr<ball<Wire>>> all;
  for (std::size_t i = 0; i < balls; ++i)
    all.push_back(std::make_unique<ball<Wire>>(among, over, i % 4, posts / balls, lose_one && i == 7));
  for (const auto& one : all) one->begin();
  const bool ended = over.wait(lose_one ? std::chrono::milliseconds(300) : std::chrono::milliseconds(hang_limit));
  among.stop();
  std::size_t ran = 0;
  for (const auto& one : all) {
    if (one->strayed()) return 0;
    ran += one->thrown();
  }
  return ended && ran == posts / balls * balls ? ran : 0;
}

// ---- numbered letters

struct inbox {
  std::size_t next[4] = {};
  bool out_of_order = false;
};

class letter final : public coflow::basic_node {
 public:
  letter(inbox& to, latch& over, std::size_t from, std::size_t number) noexcept
      : to_(to), over_(over), from_(from), number_(number) {}

 private:
  void run() noexcept override {
    if (to_.next[from_]++ != number_) to_.out_of_order = true;
    over_.count_down();
  }
  inbox& to_;
  latch& over_;
  std::size_t from_;
  std::size_t number_;
};

/// Four loops post letters to four others. Gives how many arrived, or 0 if some are missing or came out of order.
template <class Wire>
std::size_t send_letters(std::size_t letters, bool swap_two) {
  const std::size_t each = letters / 16;
  latch over(each * 16);
  inbox boxes[4];
  crew<Wire> senders(4);
  crew<Wire> receivers(4);
  std::vector<std::unique_ptr<letter>> all[4][4];
  for (std::size_t from = 0; from < 4; ++from) {
    for (std::size_t to = 0; to < 4; ++to) {
      for (std::size_t i = 0; i < each; ++i)
        all[from][to].push_back(std::make_unique<letter>(boxes[to], over, from, i));
      if (swap_two && from == 1 && to == 2) std::swap(all[from][to][each / 2], all[from][to][each / 2 + 1]);
    }
  }
  class post_all final : public coflow::basic_node {
   public:
    post_all(crew<Wire>& to, std::vector<std::unique_ptr<letter>>* what, std::size_t count) noexcept
        : to_(to), what_(what), count_(count) {}

   private:
    void run() noexcept override {
      for (std::size_t i = 0; i < count_; ++i)
        for (std::size_t to = 0; to < 4; ++to) to_[to].post(*what_[to][i]);
    }
    crew<Wire>& to_;
    std::vector<std::unique_ptr<letter>>* what_;
    std::size_t count_;
  };
  std::vector<std::unique_ptr<post_all>> work;
  for (std::size_t from = 0; from < 4; ++from) {
    work.push_back(std::make_unique<post_all>(receivers, all[from], each));
    senders[from].post(*work.back());
  }
  const bool ended = over.wait(hang_limit);
  senders.stop();
  receivers.stop();
  for (const inbox& one : boxes) {
    if (one.out_of_order) return 0;
    for (const std::size_t next : one.next)
      if (next != each) return 0;
  }
  return ended ? each * 16 : 0;
}

// ---- tasks that are started from other threads

inline task<> write_one(coflow::memory_flow* to) {
  const result<void> sent = co_await to->write(buffer("from another thread"));
  static_cast<void>(sent);
  co_await to->close();
}
/// The outcome is told on the loop that ran it.
inline task<bool> converse(const coflow::executor* home) {
  auto ends = coflow::memory_pipe();
  coflow::task_scope writing;
  writing.spawn(write_one(&ends.first)).value();
  const read_result got = co_await ends.second.read();
  const read_result last = co_await ends.second.read();
  const result<void> slept = co_await coflow::sleep_for(std::chrono::microseconds(10));
  const result<void> joined = co_await writing.join();
  const bool good = got.has_data() && got->text() == "from another thread" && last.eof() && slept && joined;
  co_return good&& home == coflow::executor::current();
}

template <class Wire>
std::size_t spawn_tasks(std::size_t tasks) {
  latch over(tasks);
  std::atomic<std::size_t> good{0};
  crew<Wire> among(4);
  std::vector<std::thread> starters;
  for (std::size_t t = 0; t < 4; ++t) {
    starters.emplace_back([&, t] {
      for (std::size_t i = t; i < tasks; i += 4) {
        coflow::event_loop& on = among[i / 4 % 4];
        coflow::spawn(on, converse(&on), [&good, &over](const coflow::task_outcome<bool>& outcome) {
          if (outcome && *outcome) ++good;
          over.count_down();
        });
      }
    });
  }
  for (std::thread& one : starters) one.join();
  const bool ended = over.wait(hang_limit);
  among.stop();
  return ended && good == tasks ? tasks : 0;
}

}  // namespace posts
