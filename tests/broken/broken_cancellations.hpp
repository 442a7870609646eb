#pragma once

// Flows that break a law when an operation is given up.

#include <chrono>
#include <coflow/async/sleep.hpp>
#include <coflow/async/spawn.hpp>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "broken/altered_flow.hpp"
#include "broken/detours.hpp"

namespace broken {

// True in a task that has been told to stop.
inline task<bool> told_to_stop() {
  const result<void> slept = co_await coflow::sleep_for(std::chrono::nanoseconds(0));
  co_return !slept && slept.error() == coflow::canceled();
}

// X0
class says_closed_when_cancelled : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (got.failed() && got.error() == coflow::canceled()) co_return coflow::error::closed;
    co_return std::move(got);
  }
};

class latches_a_cancellation : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (canceled_) co_return coflow::canceled();
    read_result got = co_await behaviour::read(self);
    if (got.failed() && got.error() == coflow::canceled()) canceled_ = true;
    co_return std::move(got);
  }

 private:
  bool canceled_ = false;
};

class hears_of_a_stop_only_while_it_waits : public behaviour {
 public:
  task<read_result> read(shared) override {
    if (!inner) co_return coflow::error::closed;
    detour waiting(waits_, inner->read(), hearing::only_the_moment);
    read_result got = co_await waiting;
    co_return std::move(got);
  }
  task<result<void>> write(shared, buffer bytes) override {
    if (!inner) co_return coflow::error::closed;
    detour waiting(waits_, inner->write(std::move(bytes)), hearing::only_the_moment);
    const result<void> sent = co_await waiting;
    co_return sent;
  }

 private:
  std::shared_ptr<detours> waits_ = std::make_shared<detours>();
};

class resumes_inside_a_stop_request : public behaviour {
 public:
  task<read_result> read(shared) override {
    if (!inner) co_return coflow::error::closed;
    detour waiting(waits_, inner->read(), hearing::on_the_spot);
    read_result got = co_await waiting;
    co_return std::move(got);
  }

 private:
  std::shared_ptr<detours> waits_ = std::make_shared<detours>();
};

class is_deaf : public behaviour {
 public:
  task<read_result> read(shared) override {
    if (!inner) co_return coflow::error::closed;
    without_stop<decltype(inner->read())> waiting(inner->read());
    read_result got = co_await waiting;
    co_return std::move(got);
  }

 private:
  template <class Below>
  class without_stop {
   public:
    explicit without_stop(Below below) : below_(std::move(below)) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    [[nodiscard]] bool await_suspend(std::coroutine_handle<> awaiting) {
      return below_.await_suspend(coflow::awaiting(awaiting, nullptr));
    }
    [[nodiscard]] read_result await_resume() { return below_.await_resume(); }

   private:
    Below below_;
  };
};

class does_not_shut_down_when_stopped : public behaviour {
 public:
  task<> shutdown(shared self, shutdown_mode mode) override {
    const bool stopped = co_await told_to_stop();
    if (!stopped) co_await behaviour::shutdown(self, mode);
  }
};

class does_not_close_when_stopped : public behaviour {
 public:
  task<> close(shared self) override {
    const bool stopped = co_await told_to_stop();
    if (!stopped) co_await behaviour::close(self);
  }
};

// Queued writes wait for nothing better than the shutdown that was given up.
class stops_draining_when_stopped : public behaviour {
 public:
  task<> shutdown(shared self, shutdown_mode mode) override {
    co_await behaviour::shutdown(self, mode);
    const bool stopped = co_await told_to_stop();
    if (stopped) co_await behaviour::close(self);
  }
};

// X1
class drops_what_a_cancelled_read_got : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    const bool stopped = co_await told_to_stop();
    if (stopped) co_return coflow::canceled();
    co_return std::move(got);
  }
};

class gives_bytes_back_at_the_wrong_end : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got;
    if (kept_.empty())
      got = co_await behaviour::read(self);
    else
      got = take_last();
    if (!got) co_return std::move(got);
    const bool stopped = co_await told_to_stop();
    if (!stopped) co_return std::move(got);
    kept_.push_back(std::move(*got));
    co_return coflow::canceled();
  }

 private:
  read_result take_last() {
    buffer last = std::move(kept_.back());
    kept_.pop_back();
    return last;
  }
  std::vector<buffer> kept_;
};

// X2
inline task<> write_again(std::shared_ptr<behaviour> self, buffer bytes) {
  if (self->inner) {
    const result<void> sent = co_await self->inner->write(std::move(bytes));
    static_cast<void>(sent);
  }
}

class sends_what_was_cancelled : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    buffer copy = bytes.share();
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == coflow::canceled()) {
      coflow::executor* on = coflow::executor::current();
      coflow::spawn(*on, write_again(std::move(self), std::move(copy)));
    }
    co_return sent;
  }
};

class sends_what_was_destroyed : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    insistence all_the_same(self, bytes.share());
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    all_the_same.dismiss();
    co_return sent;
  }

 private:
  class insistence {
   public:
    insistence(shared self, buffer bytes) : self_(std::move(self)), bytes_(std::move(bytes)) {}
    insistence(const insistence&) = delete;
    insistence& operator=(const insistence&) = delete;
    ~insistence() {
      coflow::executor* on = coflow::executor::current();
      if (self_ && on != nullptr && !on->finishing())
        coflow::spawn(*on, write_again(std::move(self_), std::move(bytes_)));
    }
    void dismiss() noexcept { self_.reset(); }

   private:
    shared self_;
    buffer bytes_;
  };
};

class takes_the_buffers_of_a_cancelled_list : public behaviour {
 public:
  task<result<void>> writev(shared self, std::span<buffer> list) override {
    const result<void> sent = co_await behaviour::writev(self, list);
    if (!sent)
      for (buffer& one : list) one = buffer();
    co_return sent;
  }
};

// The rest of a torn write is missing, and the stream goes on.
class goes_on_after_a_torn_write : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == coflow::error::torn_write) co_return coflow::success;
    co_return sent;
  }
};

class repeats_the_cancellation_after_a_torn_write : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == coflow::error::torn_write) co_return coflow::canceled();
    co_return sent;
  }
};

class tears_what_it_has_not_begun : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    if (torn_) co_return coflow::error::torn_write;
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == coflow::canceled()) torn_ = true;
    co_return sent;
  }

 private:
  bool torn_ = false;
};

// X3: the peer cannot tell a broken stream from one that ended.
class ends_a_torn_stream_cleanly : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (torn_ && got.failed() && got.error() == std::errc::connection_reset) co_return coflow::end_of_stream;
    co_return std::move(got);
  }
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    const auto other = std::static_pointer_cast<ends_a_torn_stream_cleanly>(peer.lock());
    if (!sent && other) other->torn_ = true;
    co_return sent;
  }

 private:
  bool torn_ = false;
};

class signals_an_end_after_a_torn_write : public behaviour {
 public:
  task<read_result> read(shared) override {
    if (ended_) co_return coflow::end_of_stream;
    if (!inner) co_return coflow::error::closed;
    detour waiting(waits_, inner->read());
    read_result got = co_await waiting;
    if (ended_ && !got) co_return coflow::end_of_stream;
    co_return std::move(got);
  }
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == coflow::canceled()) torn_ = true;
    co_return sent;
  }
  task<> shutdown(shared self, shutdown_mode mode) override {
    co_await behaviour::shutdown(self, mode);
    const auto other = std::static_pointer_cast<signals_an_end_after_a_torn_write>(peer.lock());
    if (!torn_ || !other) co_return;
    const result<void> slept = co_await coflow::sleep_for(std::chrono::nanoseconds(0));
    static_cast<void>(slept);
    other->ended_ = true;
    other->waits_->end_all(false);
  }

 private:
  std::shared_ptr<detours> waits_ = std::make_shared<detours>();
  bool torn_ = false;
  bool ended_ = false;
};

[[nodiscard]] inline std::vector<specimen> broken_cancellations() {
  return {
      altered<says_closed_when_cancelled>("a cancelled read gives closed", "X0"),
      altered<latches_a_cancellation>("a cancellation is latched", "X0"),
      altered<hears_of_a_stop_only_while_it_waits>("a stop is only an edge", "X0"),
      altered<resumes_inside_a_stop_request>("a stop resumes who waits inline", "X0"),
      altered<is_deaf>("a read does not hear of a stop", "X0"),
      altered<does_not_shut_down_when_stopped>("a stop prevents shutdown", "X0"),
      altered<does_not_close_when_stopped>("a stop prevents close", "X0"),
      altered<stops_draining_when_stopped>("a stop of a shutdown drops queued writes", "X0"),
      altered<drops_what_a_cancelled_read_got>("a cancelled read loses its bytes", "X1"),
      altered<gives_bytes_back_at_the_wrong_end>("cancelled reads give their bytes back in the wrong order", "X1"),
      altered<sends_what_was_cancelled>("a cancelled unsent write is sent all the same", "X2"),
      altered<sends_what_was_destroyed>("a destroyed unsent write is sent all the same", "X2"),
      altered<takes_the_buffers_of_a_cancelled_list>("a cancelled writev takes its buffers", "X2"),
      altered<goes_on_after_a_torn_write>("a torn write is followed by a success", "X2"),
      altered<repeats_the_cancellation_after_a_torn_write>("a torn write latches the cancellation", "X2"),
      altered<tears_what_it_has_not_begun>("an unsent write that is cancelled ends the write half", "X2"),
      altered<ends_a_torn_stream_cleanly>("a torn stream ends in eof", "X3"),
      altered<signals_an_end_after_a_torn_write>("a shutdown after a torn write signals the end", "X3"),
  };
}

}  // namespace broken
