#pragma once

// Flows whose writes break a law.

#include <array>
#include <coflow/async/spawn.hpp>
#include <csignal>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "broken/altered_flow.hpp"

namespace broken {

// A flow whose lists go out as single writes, one after another.
class writes_alone : public behaviour {
 public:
  task<result<void>> writev(shared self, std::span<buffer> list) override {
    result<void> sent = coflow::success;
    if (list.empty()) sent = co_await write(self, buffer());
    for (buffer& one : list) {
      sent = co_await write(self, std::move(one));
      if (!sent) break;
    }
    co_return sent;
  }
};

// W1
class keeps_the_last_byte : public writes_alone {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const bool entered = co_await writers_.enter();
    if (!entered) co_return coflow::canceled();
    const line::turn turn(writers_);
    if (bytes.empty()) {
      const result<void> nothing = co_await behaviour::write(self, std::move(bytes));
      co_return nothing;
    }
    std::array<buffer, 2> list;
    list[0] = std::exchange(kept_, buffer());
    list[1] = bytes.take_front(bytes.size() - 1);
    const result<void> sent = co_await behaviour::writev(self, list);
    if (sent) kept_ = std::move(bytes);
    co_return sent;
  }
  task<> shutdown(shared self, shutdown_mode mode) override {
    if (coflow::covers_write(mode) && !kept_.empty()) {
      const result<void> sent = co_await behaviour::write(self, std::exchange(kept_, buffer()));
      if (!sent) kept_.clear();
    }
    co_await behaviour::shutdown(self, mode);
  }

 private:
  line writers_;
  buffer kept_;
};

// W2
class leaves_sent_buffers_full : public behaviour {
 public:
  task<result<void>> writev(shared self, std::span<buffer> list) override {
    std::vector<buffer> copies;
    for (const buffer& one : list) copies.push_back(one.share());
    const result<void> sent = co_await behaviour::writev(self, copies);
    co_return sent;
  }
};

// As leaves_sent_buffers_full, but only where a write was cut short.
class empties_unsent_buffers : public behaviour {
 public:
  task<result<void>> writev(shared self, std::span<buffer> list) override {
    std::vector<buffer> taken;
    for (buffer& one : list) taken.push_back(std::move(one));
    const result<void> sent = co_await behaviour::writev(self, taken);
    co_return sent;
  }
};

// W3
class stops_at_an_empty_buffer : public behaviour {
 public:
  task<result<void>> writev(shared self, std::span<buffer> list) override {
    std::size_t full = 0;
    while (full < list.size() && !list[full].empty()) ++full;
    const result<void> sent = co_await behaviour::writev(self, list.first(full));
    if (sent) {
      for (buffer& one : list) one.clear();
    }
    co_return sent;
  }
};

class drops_the_neighbour_of_an_empty_buffer : public behaviour {
 public:
  task<result<void>> writev(shared self, std::span<buffer> list) override {
    for (std::size_t i = 1; i < list.size(); ++i) {
      if (list[i - 1].empty() && !list[i].empty()) {
        list[i].clear();
        ++i;
      }
    }
    const result<void> sent = co_await behaviour::writev(self, list);
    co_return sent;
  }
};

// W4
class writes_in_two_halves : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    buffer front = bytes.take_front(bytes.size() / 2);
    result<void> sent = co_await behaviour::write(self, std::move(front));
    if (sent) sent = co_await behaviour::write(self, std::move(bytes));
    co_return sent;
  }
};

class serves_the_last_writer_first : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const bool entered = co_await writers_.enter();
    if (!entered) co_return coflow::canceled();
    const line::turn turn(writers_);
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    co_return sent;
  }

 private:
  line writers_{line::order::last_come};
};

// W5
class calls_closed_a_broken_pipe : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == coflow::error::closed) co_return std::make_error_code(std::errc::broken_pipe);
    co_return sent;
  }
};

// W6
class succeeds_after_an_error : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() != coflow::canceled() && std::exchange(told_, true)) co_return coflow::success;
    co_return sent;
  }

 private:
  bool told_ = false;
};

class changes_its_error : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    const bool reset = !sent && sent.error() == std::errc::connection_reset;
    if (reset && std::exchange(told_, true)) co_return coflow::error::closed;
    co_return sent;
  }

 private:
  bool told_ = false;
};

// W7
class drops_input_after_a_write_error : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (failure_) co_return failure_;
    read_result got = co_await behaviour::read(self);
    co_return std::move(got);
  }
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == std::errc::connection_reset) failure_ = sent.error();
    co_return sent;
  }

 private:
  std::error_code failure_;
};

// W8
class takes_everything : public writes_alone {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    if (!inner || ended_) co_return coflow::error::closed;
    coflow::executor* on = coflow::executor::current();
    if (on == nullptr) co_return coflow::error::no_executor;
    if (bytes.empty()) co_return coflow::success;
    queue_.push_back(std::move(bytes));
    if (!std::exchange(pumping_, true)) coflow::spawn(*on, pump(this, self));
    // Otherwise whoever writes for ever would never come to an end.
    if (++count_ % 16 == 0) co_await coflow::laws::turns();
    co_return coflow::success;
  }
  task<> shutdown(shared self, shutdown_mode mode) override {
    if (coflow::covers_write(mode)) {
      ended_ = true;
      if (pumping_ && mode == shutdown_mode::write) co_return;
      if (pumping_) mode = shutdown_mode::read;
    }
    co_await behaviour::shutdown(self, mode);
  }
  task<> close(shared self) override {
    ended_ = true;
    co_await behaviour::close(self);
  }

 private:
  static task<> pump(takes_everything* of, shared self) {
    while (!of->queue_.empty()) {
      buffer next = std::move(of->queue_.front());
      of->queue_.pop_front();
      const result<void> sent = co_await of->behaviour::write(self, std::move(next));
      if (!sent) of->queue_.clear();
      if (!sent) of->ended_ = true;
    }
    of->pumping_ = false;
    if (of->ended_) co_await of->behaviour::shutdown(self, shutdown_mode::write);
  }

  std::deque<buffer> queue_;
  unsigned count_ = 0;
  bool pumping_ = false;
  bool ended_ = false;
};

// W9
class waits_to_write_nothing : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    if (bytes.empty()) co_await coflow::laws::turns();
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    co_return sent;
  }
};

class refuses_to_write_nothing : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    if (bytes.empty()) co_return std::make_error_code(std::errc::invalid_argument);
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    co_return sent;
  }
};

class writes_nothing_to_a_closed_flow : public behaviour {
 public:
  task<result<void>> writev(shared self, std::span<buffer> list) override {
    if (list.empty()) co_return coflow::success;
    const result<void> sent = co_await behaviour::writev(self, list);
    co_return sent;
  }
};

// W10, where somebody catches it: the signal would end the program otherwise.
class raises_a_signal : public behaviour {
 public:
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == coflow::error::closed) raise_if_caught();
    co_return sent;
  }

 private:
  static void raise_if_caught() noexcept {
    auto* const handler = std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGPIPE, handler);
    if (handler != SIG_DFL && handler != SIG_IGN && handler != SIG_ERR) std::raise(SIGPIPE);
  }
};

/// All of them.
[[nodiscard]] inline std::vector<specimen> broken_writes() {
  return {
      altered<keeps_the_last_byte>("a write succeeds while its last byte is kept back", "W1"),
      altered<leaves_sent_buffers_full>("writev leaves the buffers that it has sent full", "W2"),
      altered<empties_unsent_buffers>("writev empties buffers that it has not sent", "W2"),
      altered<stops_at_an_empty_buffer>("writev stops at the first empty buffer", "W3"),
      altered<drops_the_neighbour_of_an_empty_buffer>("writev drops the buffer behind an empty one", "W3"),
      altered<writes_in_two_halves>("a write goes out in two halves, and others in between", "W4"),
      altered<serves_the_last_writer_first>("of the writes that wait the last goes out first", "W4"),
      altered<calls_closed_a_broken_pipe>("writing to a closed flow gives EPIPE", "W5"),
      altered<succeeds_after_an_error>("a write succeeds after an error", "W6"),
      altered<changes_its_error>("later writes give another error than the first", "W6"),
      altered<drops_input_after_a_write_error>("a write error drops what could be read", "W7"),
      altered<takes_everything>("a write succeeds at once, however much is written", "W8"),
      altered<waits_to_write_nothing>("writing nothing waits", "W9"),
      altered<refuses_to_write_nothing>("writing nothing fails", "W9"),
      altered<writes_nothing_to_a_closed_flow>("writing an empty list succeeds after the end", "W9"),
      altered<raises_a_signal>("writing to a closed flow raises SIGPIPE", "W10"),
  };
}

}  // namespace broken
