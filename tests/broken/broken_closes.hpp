#pragma once

// Flows whose close breaks a law.

#include <chrono>
#include <coflow/async/sleep.hpp>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "broken/altered_flow.hpp"
#include "broken/detours.hpp"

namespace broken {

// C1
class gives_eof_after_its_close : public behaviour {
 public:
  task<read_result> read(shared self) override {
    const bool late = closed_;
    read_result got = co_await behaviour::read(self);
    if (late && got.failed() && got.error() == coflow::error::closed) co_return coflow::end_of_stream;
    co_return std::move(got);
  }
  task<> close(shared self) override {
    closed_ = true;
    co_await behaviour::close(self);
  }

 private:
  bool closed_ = false;
};

// The peer hears of the end, but what it writes is taken for ever.
class keeps_the_connection_when_closed : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (closed_) co_return coflow::error::closed;
    co_return std::move(got);
  }
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (closed_) co_return coflow::error::closed;
    co_return sent;
  }
  task<> close(shared self) override {
    closed_ = true;
    co_await behaviour::shutdown(self, shutdown_mode::read_write);
  }

 private:
  bool closed_ = false;
};

// An operation of a closed flow looks first what the executor has to do.
class is_slow_to_say_closed : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (got.failed() && got.error() == coflow::error::closed) {
      const result<void> slept = co_await coflow::sleep_for(std::chrono::milliseconds(1));
      static_cast<void>(slept);
    }
    co_return std::move(got);
  }
};

// C2
class throws_at_a_second_close : public behaviour {
 public:
  task<> close(shared self) override {
    if (std::exchange(closed_, true)) throw std::system_error(std::make_error_code(std::errc::bad_file_descriptor));
    co_await behaviour::close(self);
  }

 private:
  bool closed_ = false;
};

class never_ends_a_second_close : public behaviour {
 public:
  task<> close(shared self) override {
    if (std::exchange(closed_, true)) co_await waiting_for_ever();
    co_await behaviour::close(self);
  }

 private:
  bool closed_ = false;
};

// What belongs to a number is closed, whoever has the number by now.
class closes_who_came_after_it : public behaviour {
 public:
  ~closes_who_came_after_it() override { youngest().reset(); }
  task<read_result> read(shared self) override {
    youngest() = self;
    read_result got = co_await behaviour::read(self);
    co_return std::move(got);
  }
  task<result<void>> write(shared self, buffer bytes) override {
    youngest() = self;
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    co_return sent;
  }
  task<> close(shared self) override {
    shared whom = self;
    if (std::exchange(closed_, true)) whom = youngest().lock();
    if (whom) co_await whom->behaviour::close(whom);
  }

 private:
  static std::weak_ptr<behaviour>& youngest() {
    static std::weak_ptr<behaviour> used_last;
    return used_last;
  }
  bool closed_ = false;
};

// The second close breaks what the first one has sent on its way.
class breaks_the_connection_at_a_second_close : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (closes_ != 0) co_return coflow::error::closed;
    read_result got = co_await behaviour::read(self);
    if (closes_ != 0) co_return coflow::error::closed;
    co_return std::move(got);
  }
  task<> close(shared self) override {
    if (!inner) co_return;
    if (++closes_ > 1)
      inner->reset();
    else
      co_await behaviour::shutdown(self, shutdown_mode::read_write);
  }

 private:
  int closes_ = 0;
};

// C3, O3
class loses_a_read_when_closed : public behaviour {
 public:
  task<read_result> read(shared self) override {
    const bool open = !closed_;
    read_result got = co_await behaviour::read(self);
    if (open && closed_) co_await waiting_for_ever();
    co_return std::move(got);
  }
  task<> close(shared self) override {
    closed_ = true;
    co_await behaviour::close(self);
  }

 private:
  bool closed_ = false;
};

class loses_a_write_when_closed : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const bool open = !closed_;
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (open && closed_) co_await waiting_for_ever();
    co_return sent;
  }
  task<> close(shared self) override {
    closed_ = true;
    co_await behaviour::close(self);
  }

 private:
  bool closed_ = false;
};

class resumes_readers_inside_its_close : public behaviour {
 public:
  task<read_result> read(shared) override {
    if (!inner) co_return coflow::error::closed;
    detour waiting(waits_, inner->read());
    read_result got = co_await waiting;
    co_return std::move(got);
  }
  task<> close(shared self) override {
    waits_->end_all(true);
    co_await behaviour::close(self);
  }

 private:
  std::shared_ptr<detours> waits_ = std::make_shared<detours>();
};

class cancels_what_waits_when_closed : public behaviour {
 public:
  task<read_result> read(shared self) override {
    const bool open = !closed_;
    read_result got = co_await behaviour::read(self);
    if (open && closed_) co_return coflow::canceled();
    co_return std::move(got);
  }
  task<> close(shared self) override {
    closed_ = true;
    co_await behaviour::close(self);
  }

 private:
  bool closed_ = false;
};

// C5
class waits_for_its_peer_to_close : public behaviour {
 public:
  task<> close(shared self) override {
    const bool first = !std::exchange(closed_, true);
    co_await behaviour::close(self);
    // For a minute: a check that waits for this comes to an end all the same.
    for (int round = 0; first && round < 600; ++round) {
      const auto other = std::static_pointer_cast<waits_for_its_peer_to_close>(peer.lock());
      if (!other || !other->inner || other->closed_) break;
      const result<void> slept = co_await coflow::sleep_for(std::chrono::milliseconds(100));
      if (!slept) break;
    }
  }

 private:
  bool closed_ = false;
};

// What it has not yet been asked for is gone with it.
class drops_what_was_accepted_when_closed : public behaviour {
 public:
  task<> close(shared self) override {
    if (inner) inner->reset();
    co_await behaviour::close(self);
  }
};

[[nodiscard]] inline std::vector<specimen> broken_closes() {
  return {
      altered<gives_eof_after_its_close>("a read after close gives eof", "C1"),
      altered<keeps_the_connection_when_closed>("a close keeps the connection", "C1"),
      altered<is_slow_to_say_closed>("a closed flow takes its time to say so", "C1"),
      altered<throws_at_a_second_close>("a second close throws", "C2"),
      altered<never_ends_a_second_close>("a second close never ends", "C2"),
      altered<closes_who_came_after_it>("a second close closes another flow", "C2"),
      altered<breaks_the_connection_at_a_second_close>("a second close breaks the connection", "C2"),
      altered<loses_a_read_when_closed>("a close leaves a read waiting", "C3"),
      altered<loses_a_write_when_closed>("a close leaves a write waiting", "C3"),
      altered<resumes_readers_inside_its_close>("a close resumes who waits inline", "C3"),
      altered<cancels_what_waits_when_closed>("a close ends what waits with canceled", "C3"),
      altered<waits_for_its_peer_to_close>("a close waits for the peer's, for a minute", "C5"),
      altered<drops_what_was_accepted_when_closed>("a close drops what was accepted", "C5"),
  };
}

}  // namespace broken
