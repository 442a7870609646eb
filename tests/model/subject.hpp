#pragma once

// The flow pair under test: its operations as coroutines that leave what they came to in a record, so that a model can
// look at it after every turn.

#include <array>
#include <cerrno>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "model/outcome.hpp"

namespace model {

inline outcome classify(const std::error_code& code) {
  if (code == coflow::error::closed) return closed;
  if (code == coflow::from_system(ECONNRESET)) return reset;
  if (code == std::errc::operation_canceled) return canceled;
  if (code == coflow::error::torn_write) return torn;
  if (code == coflow::error::truncated) return truncated;
  return strange;
}

// What one operation has come to. Its coroutine writes here, and takes its stop from here.
class record {
 public:
  record() noexcept {}

  outcome came_to = pending;
  coflow::buffer bytes;
  std::vector<coflow::buffer> list;  // of a writev
  std::string error;                 // if it is a strange one
  std::optional<coflow::stop_node> stop;

  void start_over() {
    came_to = pending;
    bytes = coflow::buffer();
    list.clear();
    stop.emplace();
  }
  [[nodiscard]] observation seen() const {
    observation now{came_to, bytes.text()};
    if (list.empty() || came_to == pending) return now;
    now.left = 0;
    for (const coflow::buffer& one : list) now.left += one.size();
    return now;
  }
  void fail(const std::error_code& code) {
    came_to = classify(code);
    if (came_to == strange) error = code.message();
  }
};

// The coroutine of one operation: begins at once, and stays until its owner lets go of it.
class probe {
 public:
  class promise_type {
   public:
    template <class Flow, class... Rest>
    promise_type(Flow*, record* into, Rest&&...) noexcept : record_(into) {}
    static void* operator new(std::size_t size) { return coflow::detail::pool_allocate(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { coflow::detail::pool_free(frame, size); }
    probe get_return_object() noexcept { return probe(std::coroutine_handle<promise_type>::from_promise(*this)); }
    [[nodiscard]] std::suspend_never initial_suspend() const noexcept { return {}; }
    [[nodiscard]] std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::abort(); }
    [[nodiscard]] coflow::stop_node* stop() const noexcept { return &*record_->stop; }

   private:
    record* record_;
  };

  probe(probe&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  probe& operator=(probe&&) = delete;
  ~probe() {
    if (frame_) frame_.destroy();
  }

 private:
  explicit probe(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

template <class Flow>
probe start_read(Flow* flow, record* into) {
  auto got = co_await flow->read();
  if (got) {
    into->bytes = std::move(*got);
    into->came_to = data;
  } else if (got.eof()) {
    into->came_to = eof;
  } else {
    into->fail(got.error());
  }
}
template <class Flow>
probe start_write(Flow* flow, record* into, coflow::buffer bytes) {
  const auto sent = co_await flow->write(std::move(bytes));
  if (sent)
    into->came_to = done;
  else
    into->fail(sent.error());
}
template <class Flow>
probe start_writev(Flow* flow, record* into) {
  const auto sent = co_await flow->writev(into->list);
  if (sent)
    into->came_to = done;
  else
    into->fail(sent.error());
}
template <class Flow>
probe start_shutdown(Flow* flow, record* into, coflow::shutdown_mode mode) {
  co_await flow->shutdown(mode);
  into->came_to = done;
}
template <class Flow>
probe start_close(Flow* flow, record* into) {
  co_await flow->close();
  into->came_to = done;
}

// Breaks the connection from this end, at the bottom of the stack.
template <class Flow>
void break_off(Flow& flow) noexcept {
  if constexpr (requires { flow.lowest_layer(); })
    flow.lowest_layer().reset();
  else if constexpr (requires { flow.template target<coflow::memory_flow>(); })
    flow.template target<coflow::memory_flow>()->reset();
  else
    flow.reset();
}

// Two connected flows, and what is pending on them; one after another, in the same memory. Every call is made while the
// pair's executor is current.
template <class Flow>
class subject {
 public:
  subject() noexcept {}
  subject(const subject&) = delete;
  subject& operator=(const subject&) = delete;
  ~subject() { end(); }

  void begin(std::pair<Flow, Flow> made) {
    flows_[0].emplace(std::move(made.first));
    flows_[1].emplace(std::move(made.second));
  }
  // What still waits is destroyed, then the flows.
  void end() {
    closings_.clear();
    probes_.clear();
    flows_[0].reset();
    flows_[1].reset();
  }

  [[nodiscard]] Flow& flow(int at) { return *flows_[at]; }
  [[nodiscard]] std::size_t count() const { return probes_.size(); }
  [[nodiscard]] observation seen(std::size_t op) const { return records_[op]->seen(); }
  [[nodiscard]] const std::string& error(std::size_t op) const { return records_[op]->error; }

  void read(int at) { probes_.push_back(start_read(&*flows_[at], fresh())); }
  void write(int at, std::string_view text, bool as_list) {
    record* into = fresh();
    if (!as_list) {
      probes_.push_back(start_write(&*flows_[at], into, coflow::buffer(text)));
      return;
    }
    const std::size_t half = text.size() / 2;  // with an empty element at both ends and between
    for (const std::string_view part : {text.substr(0, 0), text.substr(0, half), text.substr(0, 0), text.substr(half)})
      into->list.push_back(coflow::buffer(part));
    into->list.push_back(coflow::buffer());
    probes_.push_back(start_writev(&*flows_[at], into));
  }
  void shutdown(int at, coflow::shutdown_mode mode) { probes_.push_back(start_shutdown(&*flows_[at], fresh(), mode)); }
  // A close is no operation of the model's, which takes it to be over at once.
  void close(int at) {
    record& one = closing_[closings_.size()];
    one.start_over();
    closings_.push_back(start_close(&*flows_[at], &one));
  }
  [[nodiscard]] bool closes_are_over() const {
    for (std::size_t i = 0; i != closings_.size(); ++i) {
      if (closing_[i].came_to == pending) return false;
    }
    return true;
  }
  void cancel(std::size_t op) { records_[op]->stop->request_stop(); }

 private:
  record* fresh() {
    if (records_.size() == probes_.size()) records_.push_back(std::make_unique<record>());
    record& next = *records_[probes_.size()];
    next.start_over();
    return &next;
  }

  std::optional<Flow> flows_[2];
  std::vector<std::unique_ptr<record>> records_;
  std::vector<probe> probes_;
  std::array<record, 16> closing_;
  std::vector<probe> closings_;
};

}  // namespace model
