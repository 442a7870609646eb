#pragma once

// Flows that break a law about when operations begin, who owns what, and what an executor is for.

#include <chrono>
#include <coflow/async/sleep.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "broken/altered_flow.hpp"
#include "broken/detours.hpp"

namespace broken {

// O1
class closes_before_that_is_awaited : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (closed_) co_return coflow::error::closed;
    read_result got = co_await behaviour::read(self);
    co_return std::move(got);
  }
  task<> close(shared self) override {
    closed_ = true;
    return behaviour::close(self);
  }

 private:
  bool closed_ = false;
};

// The order of the calls counts, not that of the awaits.
class writes_in_the_order_of_the_calls : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    auto mine = std::make_shared<buffer>(std::move(bytes));
    called_.push_back(mine);
    return write_first(std::move(self), std::move(mine));
  }

 private:
  task<result<void>> write_first(shared self, std::shared_ptr<buffer> mine) {
    // Whoever begins writes what was asked for first, and leaves his own bytes to the others.
    while (!called_.empty() && called_.front().use_count() == 1) called_.erase(called_.begin());
    if (!called_.empty()) {
      std::swap(*called_.front(), *mine);
      std::erase(called_, mine);
    }
    const result<void> sent = co_await behaviour::write(self, std::move(*mine));
    co_return sent;
  }
  std::vector<std::shared_ptr<buffer>> called_;
};

class lets_others_run_before_it_shuts_down : public behaviour {
 public:
  task<> shutdown(shared self, shutdown_mode mode) override {
    const result<void> slept = co_await coflow::sleep_for(std::chrono::nanoseconds(0));
    static_cast<void>(slept);
    co_await behaviour::shutdown(self, mode);
  }
};

// O2
class reads_by_detours : public handled_behaviour {
 public:
  task<read_result> read(shared) override {
    if (!inner) co_return coflow::error::closed;
    detour waiting(waits_, inner->read());
    read_result got = co_await waiting;
    co_return std::move(got);
  }

 protected:
  std::shared_ptr<detours> waits_ = std::make_shared<detours>();
};

class ends_its_reads_when_moved : public reads_by_detours {
 public:
  void moved() noexcept override { waits_->end_all(false); }
};

class forgets_what_it_was_when_moved : public handled_behaviour {
 public:
  task<read_result> read(shared self) override {
    const int place = place_;
    read_result got = co_await behaviour::read(self);
    if (place != place_) co_await waiting_for_ever();
    co_return std::move(got);
  }
  void moved() noexcept override { ++place_; }

 private:
  int place_ = 0;
};

// C3
class leaves_its_reads_waiting_when_assigned_to : public handled_behaviour {
 public:
  void replaced_by(handled_behaviour& next) noexcept override {
    static_cast<leaves_its_reads_waiting_when_assigned_to&>(next).before_ = std::move(inner);
    inner.reset();
  }

 private:
  std::optional<coflow::memory_flow> before_;
};

class resumes_readers_inside_its_destruction : public reads_by_detours {
 public:
  void dropped() noexcept override {
    waits_->end_all(true);
    handled_behaviour::dropped();
  }
};

// C4
class loses_the_others_when_a_reader_destroys_it : public handled_behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (dropped_) co_await waiting_for_ever();
    served_ = true;
    co_return std::move(got);
  }
  void dropped() noexcept override {
    dropped_ = served_;
    handled_behaviour::dropped();
  }

 private:
  bool served_ = false;
  bool dropped_ = false;
};

// C6
class keeps_its_peer_waiting_when_destroyed : public handled_behaviour {
 public:
  void dropped() noexcept override {
    const auto other = std::static_pointer_cast<keeps_its_peer_waiting_when_destroyed>(peer.lock());
    if (other && other->inner) other->kept_ = std::move(inner);
    inner.reset();
  }

 private:
  std::optional<coflow::memory_flow> kept_;
};

class breaks_its_stream_when_destroyed : public handled_behaviour {
 public:
  void dropped() noexcept override {
    if (inner) inner->reset();
    handled_behaviour::dropped();
  }
};

// Bytes that a reader has already been given are his alone.
class buries_bytes_with_their_reader : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    const result<void> slept = co_await coflow::sleep_for(std::chrono::nanoseconds(0));
    static_cast<void>(slept);
    co_return std::move(got);
  }
};

// X2
class gives_no_more_turns_when_a_writer_dies : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const bool entered = co_await writers_.enter();
    if (!entered) co_return coflow::canceled();
    line::turn turn(writers_);
    bequest kept(turn);
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    kept.dismiss();
    co_return sent;
  }

 private:
  class bequest {
   public:
    explicit bequest(line::turn& of) noexcept : turn_(&of) {}
    bequest(const bequest&) = delete;
    bequest& operator=(const bequest&) = delete;
    ~bequest() {
      if (turn_ != nullptr) turn_->keep();
    }
    void dismiss() noexcept { turn_ = nullptr; }

   private:
    line::turn* turn_;
  };
  line writers_;
};

// O4
class succeeds_without_an_executor : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == coflow::error::no_executor) co_return coflow::success;
    co_return sent;
  }
};

class latches_that_there_was_no_executor : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (failed_) co_return coflow::error::no_executor;
    read_result got = co_await behaviour::read(self);
    if (got.failed() && got.error() == coflow::error::no_executor) failed_ = true;
    co_return std::move(got);
  }

 private:
  bool failed_ = false;
};

class waits_for_an_executor_that_is_gone : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    const coflow::executor* on = coflow::executor::current();
    const bool gone = on == nullptr || on->finishing();
    if (gone && got.failed() && got.error() == coflow::error::closed) co_await waiting_for_ever();
    co_return std::move(got);
  }
};

class succeeds_after_its_executor : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == coflow::error::closed && !closed_) co_return coflow::success;
    co_return sent;
  }
  task<> close(shared self) override {
    closed_ = true;
    co_await behaviour::close(self);
  }

 private:
  bool closed_ = false;
};

class gives_eof_when_its_executor_ends : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    const coflow::executor* on = coflow::executor::current();
    if (on != nullptr && on->finishing() && got.failed()) co_return coflow::end_of_stream;
    co_return std::move(got);
  }
};

[[nodiscard]] inline std::vector<specimen> broken_ownership() {
  return {
      altered<closes_before_that_is_awaited>("a close begins before it is awaited", "O1"),
      altered<writes_in_the_order_of_the_calls>("writes begin before they are awaited", "O1"),
      altered<lets_others_run_before_it_shuts_down>("a shutdown waits before it changes the state", "O1"),
      handled<ends_its_reads_when_moved>("a move ends what waits", "O2"),
      handled<forgets_what_it_was_when_moved>("a move loses what waits", "O2"),
      handled<leaves_its_reads_waiting_when_assigned_to>("an assignment leaves what waits waiting", "C3"),
      handled<resumes_readers_inside_its_destruction>("a destruction resumes who waits inline", "C3"),
      handled<loses_the_others_when_a_reader_destroys_it>("a destruction by a reader loses the others", "C4"),
      handled<keeps_its_peer_waiting_when_destroyed>("a destruction sends no end", "C6"),
      handled<breaks_its_stream_when_destroyed>("a destruction loses what was accepted", "C6"),
      altered<buries_bytes_with_their_reader>("bytes die with their reader", "C6"),
      altered<gives_no_more_turns_when_a_writer_dies>("a writer that dies leaves the others waiting", "X2"),
      altered<succeeds_without_an_executor>("a write without an executor succeeds", "O4"),
      altered<latches_that_there_was_no_executor>("no_executor is latched", "O4"),
      altered<waits_for_an_executor_that_is_gone>("a read waits for an executor that is gone", "O4"),
      altered<succeeds_after_its_executor>("a write succeeds after its executor has ended", "O4"),
      altered<gives_eof_when_its_executor_ends>("the end of an executor gives eof", "O4"),
  };
}

}  // namespace broken
