#pragma once

// Flows whose shutdown breaks a law.

#include <algorithm>
#include <coflow/async/spawn.hpp>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "broken/altered_flow.hpp"

namespace broken {

// S1
class throws_the_second_time : public behaviour {
 public:
  task<> shutdown(shared self, shutdown_mode mode) override {
    if (std::exchange(shut_, true)) throw std::runtime_error("not connected");
    co_await behaviour::shutdown(self, mode);
  }

 private:
  bool shut_ = false;
};

class never_ends_the_second_time : public behaviour {
 public:
  task<> shutdown(shared self, shutdown_mode mode) override {
    const bool entered = co_await shutters_.enter();
    line::turn turn(shutters_);
    turn.keep();
    if (entered) co_await behaviour::shutdown(self, mode);
  }

 private:
  line shutters_;
};

// S2, fact K1
class delivers_after_one_eof : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (std::exchange(shut_, false)) co_return coflow::end_of_stream;
    read_result got = co_await behaviour::read(self);
    co_return std::move(got);
  }
  task<> shutdown(shared self, shutdown_mode mode) override {
    if (coflow::covers_read(mode)) shut_ = true;
    if (coflow::covers_write(mode)) co_await behaviour::shutdown(self, shutdown_mode::write);
  }

 private:
  bool shut_ = false;
};

class delivers_what_was_buffered : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (!ahead_.empty()) co_return std::exchange(ahead_, buffer());
    read_result got = co_await behaviour::read(self);
    if (!got) co_return std::move(got);
    buffer front = got->take_front((got->size() + 1) / 2);
    ahead_ = std::move(*got);
    co_return std::move(front);
  }

 private:
  buffer ahead_;
};

class leaves_readers_waiting : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (shut_) co_return coflow::end_of_stream;
    read_result got = co_await behaviour::read(self);
    if (shut_ && got) co_return coflow::end_of_stream;
    co_return std::move(got);
  }
  task<> shutdown(shared self, shutdown_mode mode) override {
    if (coflow::covers_read(mode)) shut_ = true;
    if (coflow::covers_write(mode)) co_await behaviour::shutdown(self, shutdown_mode::write);
  }

 private:
  bool shut_ = false;
};

// S3: writes go out piece by piece, each whole write in its turn.
class drops_queued_writes : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const bool entered = co_await writers_.enter();
    if (!entered) co_return coflow::canceled();
    const line::turn turn(writers_);
    do {
      if (shut_) co_return coflow::error::closed;
      const result<void> sent = co_await behaviour::write(self, bytes.take_front(1024));
      if (!sent) co_return sent;
    } while (!bytes.empty());
    co_return coflow::success;
  }
  task<> shutdown(shared self, shutdown_mode mode) override {
    if (coflow::covers_write(mode)) shut_ = true;
    co_await behaviour::shutdown(self, mode);
  }

 private:
  line writers_;
  bool shut_ = false;
};

class lets_new_writes_in : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const bool entered = co_await writers_.enter();
    if (!entered) co_return coflow::canceled();
    const line::turn turn(writers_);
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    co_return sent;
  }
  task<> shutdown(shared self, shutdown_mode mode) override {
    if (coflow::covers_read(mode)) co_await behaviour::shutdown(self, shutdown_mode::read);
    if (!coflow::covers_write(mode)) co_return;
    // It queues like a write, and so the half stays open until then.
    const bool entered = co_await writers_.enter();
    if (!entered) co_return;
    const line::turn turn(writers_);
    co_await behaviour::shutdown(self, shutdown_mode::write);
  }

 private:
  line writers_;
};

class signals_no_end : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    if (shut_) co_return coflow::error::closed;
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    co_return sent;
  }
  task<> shutdown(shared self, shutdown_mode mode) override {
    if (coflow::covers_write(mode)) shut_ = true;
    if (coflow::covers_read(mode)) co_await behaviour::shutdown(self, shutdown_mode::read);
  }

 private:
  bool shut_ = false;
};

class stops_reading_too : public behaviour {
 public:
  task<> shutdown(shared self, shutdown_mode mode) override {
    if (mode == shutdown_mode::write) mode = shutdown_mode::read_write;
    co_await behaviour::shutdown(self, mode);
  }
};

class does_not_wait_for_queued_writes : public behaviour {
 public:
  task<> shutdown(shared self, shutdown_mode mode) override {
    coflow::executor* const on = coflow::executor::current();
    if (on != nullptr) coflow::spawn(*on, behaviour::shutdown(self, mode));
    co_return;
  }
};

// S4
class shuts_one_half_of_both : public behaviour {
 public:
  task<> shutdown(shared self, shutdown_mode mode) override {
    if (mode == shutdown_mode::read_write) mode = shutdown_mode::write;
    co_await behaviour::shutdown(self, mode);
  }
};

/// All of them.
[[nodiscard]] inline std::vector<specimen> broken_shutdowns() {
  return {
      altered<throws_the_second_time>("a second shutdown throws", "S1"),
      altered<never_ends_the_second_time>("a second shutdown never ends", "S1"),
      altered<delivers_after_one_eof>("after shutdown(read) one eof is followed by data", "S2"),
      altered<delivers_what_was_buffered>("after shutdown(read) what was buffered is delivered", "S2"),
      altered<leaves_readers_waiting>("shutdown(read) leaves the read that waits waiting", "S2"),
      altered<drops_queued_writes>("shutdown(write) drops the rest of queued writes", "S3"),
      altered<lets_new_writes_in>("shutdown(write) lets new writes in while old ones go out", "S3"),
      altered<signals_no_end>("shutdown(write) does not tell the peer", "S3"),
      altered<stops_reading_too>("shutdown(write) ends the read half too", "S3"),
      altered<does_not_wait_for_queued_writes>("shutdown(write) ends before the queued writes are out", "S3"),
      altered<shuts_one_half_of_both>("shutdown(read_write) ends the write half alone", "S4"),
  };
}

}  // namespace broken
