/// \file
/// What a server does, whatever it listens on and whoever handles its connections.
///
/// Two things run beside each other: the acceptor, one task, and the connections, each a task of its own. The task that
/// called `serve` waits in a `server_run` until the server was told to stop and both have ended. Every event is handled
/// where it happens, by closing, cancelling and posting, none of which resumes anybody inline (law O3).
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

#include "coflow/async/detail/root.hpp"
#include "coflow/core/detail/intrusive_list.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/stop.hpp"
#include "coflow/core/task.hpp"
#include "coflow/net/detail/activity.hpp"
#include "coflow/net/detail/stop_subscriber.hpp"

namespace coflow::inline v0 {
namespace detail {

/// How much, and for how long.
struct server_limits {
  std::size_t connections = 0;  // 0: any number
  executor::duration grace{};
  executor::duration idle{};  // zero: for ever
};

/// One connection as its server sees it.
class server_connection : public self_unlinking {
 public:
  virtual void request_stop() noexcept = 0;
  virtual void destroy() noexcept = 0;
  [[nodiscard]] virtual const stop_node& stop_chain() const noexcept = 0;

  [[nodiscard]] std::size_t number() const noexcept { return number_; }
  [[nodiscard]] bool cut_off() const noexcept { return watch_.cut_off(); }

 protected:
  explicit server_connection(std::size_t number) noexcept : number_(number) {}
  ~server_connection() = default;

  activity_watch watch_;

 private:
  friend class server_core;
  std::size_t number_;
};

class server_run;
class room_wait;

class server_core : private executor::dependent, private stop_subscriber {
 public:
  server_core(const server_core&) = delete;
  server_core& operator=(const server_core&) = delete;

  [[nodiscard]] bool stopping() const noexcept { return stopping_; }

 protected:
  server_core(const server_limits& limits, stop_subscribers* stopped_by) noexcept
      : limits_(limits), stopped_by_(stopped_by) {}
  ~server_core() = default;

  // ---- what the derived class supplies

  virtual void close_listener() noexcept = 0;
  /// Makes the acceptor. Throws std::bad_alloc.
  virtual task<> make_acceptor() = 0;

  // ---- for the acceptor

  /// Accepting has failed, which ends the server.
  void accept_failed(std::error_code failure, std::exception_ptr thrown) noexcept {
    if (!stopping_) {
      failure_ = failure;
      keep(std::move(thrown));
    }
    begin_stop();
  }
  [[nodiscard]] bool full() const noexcept { return limits_.connections != 0 && count_ >= limits_.connections; }
  [[nodiscard]] std::size_t next_number() noexcept { return numbered_++; }
  [[nodiscard]] executor& home() const noexcept { return *home_; }

  void add(server_connection& fresh) noexcept {
    connections_.push_back(fresh);
    ++count_;
    if (limits_.idle > executor::duration::zero() && !sweep_.armed()) arm_sweep();
  }

  // ---- for the connections

  /// A connection is over and gone.
  inline void connection_ended() noexcept;

  /// An exception that nobody was told of: `serve` will throw the first.
  void keep(std::exception_ptr thrown) noexcept {
    if (!thrown_) thrown_ = std::move(thrown);
  }

  /// For the derived class's destructor, while all its members live.
  void destroy_tasks() noexcept {
    static_cast<stop_subscriber&>(*this).unlink();
    stopping_ = true;
    acceptor_.reset();
    // A connection's destructor may end others; take them one at a time.
    while (!connections_.empty()) connections_.pop_front().destroy();
  }

 private:
  friend class server_run;
  friend class room_wait;

  /// How many looks make up an idle time: a peer is cut off after that time, and at the latest one look later.
  static constexpr int looks = 8;

  class acceptor final : public root<void> {
   public:
    acceptor(server_core& of, task<> body) noexcept : root<void>(std::move(body)), server_(of) {}
    ~acceptor() = default;
    [[nodiscard]] bool ended() const noexcept { return ended_; }

   private:
    void on_end() noexcept override {
      ended_ = true;
      server_.check_end();
    }
    server_core& server_;
    bool ended_ = false;
  };

  class grace_timer final : public timer {
   public:
    explicit grace_timer(server_core& of) noexcept : server_(of) {}
    void run() noexcept override { server_.cut_connections(); }

   private:
    server_core& server_;
  };

  class sweep_timer final : public timer {
   public:
    explicit sweep_timer(server_core& of) noexcept : server_(of) {}
    void run() noexcept override {
      if (!abandoned()) server_.sweep();
    }

   private:
    server_core& server_;
  };

  // True if the server has begun; then `told` hears of its end. False if it has ended already.
  inline bool begin(server_run& told, bool stopped);
  inline void stop_task() noexcept;
  inline void check_end() noexcept;

  // The first request of whoever asks. What asks first decides what `serve` gives.
  void begin_stop() noexcept {
    if (std::exchange(stopping_, true)) return;
    close_listener();
    if (acceptor_) acceptor_->request_stop();
    if (count_ != 0) home_->arm(grace_, home_->after(limits_.grace));
    check_end();
  }
  void cut_connections() noexcept {
    grace_.disarm();
    connections_.for_each([](server_connection& one) { one.request_stop(); });
  }
  void on_stop_request() noexcept override {
    if (gone_) return;
    if (stopping_)
      cut_connections();
    else
      begin_stop();
  }
  // What this posts still runs.
  void on_executor_gone() noexcept override {
    if (!stopping_) failure_ = error::closed;
    begin_stop();
    cut_connections();
    gone_ = true;
  }
  void list_waits(wait_list& into) const override {
    if (acceptor_ && !acceptor_->ended()) into.add("the acceptor of a server", acceptor_->stop_chain());
    connections_.for_each([&into](const server_connection& one) {
      char name[64];
      std::snprintf(name, sizeof name, "connection %zu of a server", one.number());
      into.add(name, one.stop_chain());
    });
  }

  void arm_sweep() noexcept {
    const auto step = limits_.idle / looks + executor::duration(limits_.idle % looks != executor::duration::zero());
    home_->arm(sweep_, home_->after(step));
  }
  void sweep() noexcept {
    if (count_ == 0) return;
    connections_.for_each([](server_connection& one) {
      if (one.watch_.look() < looks || one.watch_.cut_off()) return;
      one.watch_.cut();
      one.request_stop();
    });
    arm_sweep();
  }

  const server_limits limits_;
  stop_subscribers* stopped_by_;
  executor* home_ = nullptr;
  server_run* run_ = nullptr;
  room_wait* waits_for_room_ = nullptr;
  intrusive_list<server_connection> connections_;
  std::size_t count_ = 0;
  std::size_t numbered_ = 0;
  std::optional<acceptor> acceptor_;
  grace_timer grace_{*this};
  sweep_timer sweep_{*this};
  std::exception_ptr thrown_;
  std::error_code failure_;
  bool stopping_ = false;
  bool gone_ = false;  // the executor
};

/// The acceptor's pause before each accept: while the server is full, and now and then so that others run.
class [[nodiscard]] room_wait final : public operation {
 public:
  explicit room_wait(server_core& server) noexcept : server_(server) {}
  ~room_wait() { server_.waits_for_room_ = nullptr; }

  /// For a loop: one object is awaited again and again.
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    this->bind(awaiting);
    if (server_.stopping_) return false;
    if (server_.full()) {
      wait();
      return true;
    }
    if (--allowance_ != 0) return false;
    server_.home_->post(*this);
    this->begin_wait();
    return true;
  }
  void await_resume() const noexcept {}

 private:
  friend class server_core;
  static constexpr int accepts_a_turn = 64;

  void wait() noexcept {
    server_.waits_for_room_ = this;
    this->begin_wait();
  }
  void on_stop() noexcept override {
    if (!this->linked()) server_.home_->post(*this);
  }
  const char* waits_for() const noexcept override { return "room for a connection"; }
  void run() noexcept override {
    server_.waits_for_room_ = nullptr;
    allowance_ = accepts_a_turn;
    if (!server_.stopping_ && server_.full())
      wait();
    else
      this->resume();
  }

  server_core& server_;
  int allowance_ = accepts_a_turn;
};

/// The wait for a server's end: gives what `serve` gives.
class [[nodiscard]] server_run final : public operation {
 public:
  explicit server_run(server_core& server) noexcept : server_(server) {}
  ~server_run() { server_.run_ = nullptr; }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) {
    this->bind(awaiting);
    if (!server_.begin(*this, this->stop_requested())) return false;
    this->begin_wait();
    return true;
  }
  [[nodiscard]] result<void> await_resume() {
    if (server_.thrown_) std::rethrow_exception(std::exchange(server_.thrown_, nullptr));
    if (server_.failure_) return server_.failure_;
    return success;
  }

 private:
  friend class server_core;

  void on_stop() noexcept override {
    this->begin_wait();  // it waits on, and has a name
    server_.stop_task();
  }
  const char* waits_for() const noexcept override { return "a server to end"; }
  void run() noexcept override { this->resume(); }

  server_core& server_;
};

inline bool server_core::begin(server_run& told, bool stopped) {
  home_ = executor::current();
  if (home_ == nullptr)
    failure_ = error::no_executor;
  else if (home_->finishing())
    failure_ = error::closed;
  else if (stopped)
    failure_ = canceled();
  if (failure_ || (stopped_by_ != nullptr && stopped_by_->requests() != 0)) {
    begin_stop();
    return false;
  }
  acceptor_.emplace(*this, make_acceptor());
  home_->add_dependent(*this);
  if (stopped_by_ != nullptr) stopped_by_->add(*this);
  run_ = &told;
  acceptor_->start(*home_);
  return true;
}

inline void server_core::stop_task() noexcept {
  if (gone_) return;
  if (stopping_) {
    cut_connections();
  } else {
    failure_ = canceled();
    begin_stop();
  }
}

inline void server_core::connection_ended() noexcept {
  --count_;
  if (count_ == 0) sweep_.disarm();
  if (waits_for_room_ != nullptr && !waits_for_room_->linked()) home_->post(*waits_for_room_);
  check_end();
}

inline void server_core::check_end() noexcept {
  if (!stopping_ || count_ != 0 || (acceptor_ && !acceptor_->ended())) return;
  grace_.disarm();
  if (run_ == nullptr) return;
  server_run& told = *std::exchange(run_, nullptr);
  told.end_wait();
  home_->post(told);
}

}  // namespace detail
}  // namespace coflow::inline v0
