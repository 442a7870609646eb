#pragma once

// A flow over nothing: what it has to read, how much it accepts and how it ends is what the test says on its `wire`.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/flow.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/task.hpp"

namespace support {

class fake_block;

/// What the test and the transport share; outlives the flow.
struct wire {
  // said by the test
  std::deque<std::string> input;
  bool input_ends = false;
  bool known_to_be_dry = false;  // a new read need not even look
  std::error_code read_error;
  std::error_code write_error;
  std::size_t room = SIZE_MAX;  // how many bytes are accepted
  int out_of_memory = 0;        // how many attempts to read fail

  // seen by the test
  std::string sent;
  int ends_signalled = 0;
  int input_refused = 0;
  int released = 0;
  bool aborted = false;
  bool block_gone = false;
  int read_attempts = 0;
  fake_block* block = nullptr;

  // The wire changes and the flow is told, as a transport would do in a turn of the executor.
  inline void give(std::string text);
  inline void end_input();
  inline void break_reads(std::error_code code);
  inline void break_writes(std::error_code code);
  inline void make_room(std::size_t bytes);
};

class fake_block final : public coflow::flow_block<fake_block> {
 public:
  explicit fake_block(wire& on) noexcept : wire_(on) { wire_.block = this; }

  bool entered() noexcept { return home_ != nullptr && home_ == coflow::executor::current(); }
  std::error_code enter() noexcept {
    coflow::executor* current = coflow::executor::current();
    if (current == nullptr) return coflow::error::no_executor;
    if (home_ == nullptr) home_ = current;
    return home_ == current ? std::error_code() : coflow::error::wrong_executor;
  }
  coflow::executor& home() noexcept { return *home_; }

  [[nodiscard]] bool may_read() const noexcept { return !wire_.known_to_be_dry; }
  coflow::attempt try_read(coflow::buffer& data) {
    ++wire_.read_attempts;
    if (wire_.out_of_memory > 0) {
      --wire_.out_of_memory;
      throw std::bad_alloc();
    }
    if (!wire_.input.empty()) {
      data = coflow::buffer(wire_.input.front());
      wire_.input.pop_front();
      return coflow::attempt::done;
    }
    if (wire_.read_error) {
      state().fail_read(wire_.read_error);
      return coflow::attempt::verdict;
    }
    if (wire_.input_ends || state().broken()) {
      state().end_of_input();
      return coflow::attempt::verdict;
    }
    return coflow::attempt::wait;
  }
  coflow::attempt try_write(coflow::writing_operation<fake_block>& op) noexcept {
    while (!op.rest().empty()) {
      if (wire_.write_error) {
        state().fail_write(wire_.write_error);
        return coflow::attempt::verdict;
      }
      if (wire_.room == 0) return coflow::attempt::wait;
      const coflow::buffer part = op.accept(wire_.room);
      wire_.room -= wire_.room == SIZE_MAX ? 0 : part.size();
      wire_.sent += part.text();
    }
    return coflow::attempt::done;
  }
  void input_unwanted() noexcept {
    ++wire_.input_refused;
    wire_.input.clear();
  }
  void signal_end() noexcept { ++wire_.ends_signalled; }
  void release_transport(bool abort) noexcept {
    ++wire_.released;
    wire_.aborted = abort;
  }
  void destroy() noexcept {
    wire_.block_gone = true;
    wire_.block = nullptr;
    delete this;
  }

 private:
  wire& wire_;
  coflow::executor* home_ = nullptr;
};

class fake_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit fake_flow(wire& on) : block_(new fake_block(on)) {}
  [[nodiscard]] auto read() noexcept { return coflow::read_operation<fake_block>(*block_); }
  [[nodiscard]] auto write(coflow::buffer bytes) noexcept {
    return coflow::write_operation<fake_block>(*block_, std::move(bytes));
  }
  [[nodiscard]] auto writev(std::span<coflow::buffer> list) noexcept {
    return coflow::writev_operation<fake_block>(*block_, list);
  }
  [[nodiscard]] auto shutdown(coflow::shutdown_mode mode) noexcept {
    return coflow::shutdown_operation<fake_block>(*block_, mode);
  }
  [[nodiscard]] auto close() noexcept { return coflow::close_operation<fake_block>(*block_); }
  [[nodiscard]] coflow::half_state& state() noexcept { return block_->state(); }

 private:
  coflow::flow_handle<fake_block> block_;
};
static_assert(coflow::check_flow_shape<fake_flow>());

inline void wire::give(std::string text) {
  input.push_back(std::move(text));
  if (block != nullptr) block->call_reader();
}
inline void wire::end_input() {
  input_ends = true;
  if (block != nullptr) block->call_reader();
}
inline void wire::break_reads(std::error_code code) {
  read_error = code;
  if (block != nullptr) block->call_reader();
}
inline void wire::break_writes(std::error_code code) {
  write_error = code;
  if (block != nullptr) block->call_writer();
}
inline void wire::make_room(std::size_t bytes) {
  room = bytes;
  if (block != nullptr) block->call_writer();
}

// ---- what happened, in words

using journal = std::vector<std::string>;

inline std::string in_words(const std::error_code& code) {
  if (code == coflow::error::closed) return "closed";
  if (code == coflow::error::torn_write) return "torn";
  if (code == coflow::error::no_executor) return "no executor";
  if (code == coflow::error::wrong_executor) return "wrong executor";
  if (code == std::errc::operation_canceled) return "canceled";
  if (code == std::errc::connection_reset) return "reset";
  if (code == std::errc::io_error) return "io error";
  return code ? code.message() : "no error";
}
inline std::string in_words(const coflow::read_result& given) {
  if (given.has_data()) return std::string((*given).text());
  return given.eof() ? "eof" : in_words(given.error());
}
inline std::string in_words(const coflow::result<void>& given) { return given ? "ok" : in_words(given.error()); }

/// Reads once and notes what came under `name`.
template <class F>
coflow::task<> note_read(F* flow, journal* into, std::string name) {
  const auto given = co_await flow->read();
  into->push_back(name + ": " + in_words(given));
}
template <class F>
coflow::task<> note_write(F* flow, journal* into, std::string name, std::string text) {
  const auto given = co_await flow->write(coflow::buffer(text));
  into->push_back(name + ": " + in_words(given));
}
template <class F>
coflow::task<> note_shutdown(F* flow, journal* into, std::string name, coflow::shutdown_mode mode) {
  co_await flow->shutdown(mode);
  into->push_back(name + ": done");
}
template <class F>
coflow::task<> note_close(F* flow, journal* into, std::string name) {
  co_await flow->close();
  into->push_back(name + ": done");
}

}  // namespace support
