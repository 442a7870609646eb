/// \file
/// A flow that follows a script: for tests of protocols, without a peer.
#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/flow.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/testing/detail/scripted_block.hpp"

namespace coflow::inline v0 {

class flow_script;
class scripted_flow;

/// Holds a scripted flow up until it is opened. Copies are the same gate.
class script_gate {
 public:
  script_gate() : state_(std::make_shared<state>()) {}

  /// Lets what waits at the gate go on, in a turn of its own. Belongs to the thread of the flow's executor.
  void open() {
    state_->open = true;
    for (const std::weak_ptr<detail::script_state>& one : std::exchange(state_->holds, {}))
      if (const auto script = one.lock()) script->changed();
  }
  [[nodiscard]] bool is_open() const noexcept { return state_->open; }

 private:
  friend flow_script;
  struct state {
    bool open = false;
    std::vector<std::weak_ptr<detail::script_state>> holds;
  };
  std::shared_ptr<state> state_;
};

/// What the other side of a `scripted_flow` does, step by step, and what has become of it.
///
///     flow_script script;
///     script.takes("GET /\r\n").gives("200").gives_eof().expects_close();
///     ... run the code under test over scripted_flow(script) ...
///     CHECK(script.failures() == "");
///
/// Reads get what the `gives` steps say, in their order; a read waits until everything about writes that stands before
/// its step has happened, as a peer that answers does. Writes are held against the `takes` steps, in their order, and
/// wait for gates alone. What departs from the script (a wrong byte, an operation that no step foresees, a step that
/// has not happened in the end) is a failure; the operation gives `std::errc::protocol_error`, which is final for its
/// half, and so do reads that wait for writes which can come no more. `close` is always foreseen. Copies are the same
/// script; it outlives its flow. Steps may be added while the flow is in use, except that nothing waits for steps to
/// come. Making steps throws std::bad_alloc; a flow that finds no memory to keep its record ends the program.
class flow_script {
 public:
  flow_script() : state_(std::make_shared<detail::script_state>()) {}

  /// One read gets `text`, which is not empty.
  flow_script& gives(std::string text) { return gives_in_chunks(std::move(text), 0); }
  /// Reads get `text`, `size` bytes each; 0 means all at once.
  flow_script& gives_in_chunks(std::string text, std::size_t size) {
    if (text.empty()) return *this;  // law R1
    step& one = add(act::gives);
    one.text = std::move(text);
    one.chunk = size;
    return *this;
  }
  /// The stream that is read ends.
  flow_script& gives_eof() { return added(act::ends); }
  /// Reads fail with `code`, for good; one that ends connections, such as a reset, fails the writes too (law R7).
  flow_script& gives_error(std::error_code code) {
    add(act::fails).failure = code;
    return *this;
  }
  /// Reads wait from here on, until the flow is closed or shut down.
  flow_script& stays_silent() { return added(act::is_silent); }

  /// These bytes are written next, by one write or several.
  flow_script& takes(std::string text) { return takes_in_chunks(std::move(text), 0); }
  /// The same, accepted `size` bytes in a turn: a write of more waits, and may be cancelled half-way (law X2).
  flow_script& takes_in_chunks(std::string text, std::size_t size) {
    if (text.empty()) return *this;
    step& one = add(act::takes);
    one.text = std::move(text);
    one.chunk = size;
    return *this;
  }
  /// So many bytes are written next, whatever they are. A gate behind it makes a longer write wait half-way.
  flow_script& takes(std::size_t count) {
    if (count != 0) add(act::takes).count = count;
    return *this;
  }
  /// Everything that is written from here on is taken; reads do not wait for it.
  flow_script& takes_all() { return added(act::takes_any); }
  /// The next write fails with `code`, for good (law W6).
  flow_script& refuses(std::error_code code) {
    add(act::refuses).failure = code;
    return *this;
  }

  /// The half is shut down, after everything that stands before.
  flow_script& expects_shutdown(shutdown_mode mode) {
    if (covers_write(mode)) add(act::shut_write);
    if (covers_read(mode)) add(act::shut_read);
    return *this;
  }
  /// `close` is called, not only the flow destroyed, after everything that stands before.
  flow_script& expects_close() { return added(act::closes); }
  /// Nothing that stands behind it is given or taken before the gate is open.
  flow_script& waits_at(const script_gate& gate) {
    add(act::waits).gate = std::shared_ptr<const bool>(gate.state_, &gate.state_->open);
    gate.state_->holds.push_back(state_);
    return *this;
  }

  /// Everything that has happened, in order, a line each.
  [[nodiscard]] const std::string& trace() const noexcept { return state_->trace; }
  /// Empty if everything went by the script and nothing of it is left; otherwise what did not, and the trace.
  [[nodiscard]] std::string failures() const {
    std::string text = state_->failures;
    for (const step& one : state_->steps)
      if (!one.done && state::must_happen(one.does)) text += "not reached: " + state::in_words(one) + "\n";
    if (!text.empty()) text += "what happened:\n" + state_->trace;
    return text;
  }

 private:
  friend scripted_flow;
  using state = detail::script_state;
  using step = state::step;
  using act = state::act;

  step& add(act what) {
    state_->steps.emplace_back(what);
    return state_->steps.back();
  }
  flow_script& added(act what) {
    add(what);
    return *this;
  }

  std::shared_ptr<state> state_;
};

/// A flow whose other side is a `flow_script`. Every law of the contract holds, as far as the script lets it.
class scripted_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  /// The flow of `script`: a script plays once.
  explicit scripted_flow(const flow_script& script) : end_(new detail::scripted_block(script.state_)) {
    COFLOW_ASSERT(!script.state_->taken, "a script has one flow");
    script.state_->taken = true;
  }
  scripted_flow(scripted_flow&&) noexcept = default;
  scripted_flow& operator=(scripted_flow&&) noexcept = default;
  /// Closes the flow, which is not what `expects_close` means (law C6).
  ~scripted_flow() = default;

  /// What `close` returns: it never waits.
  class [[nodiscard]] close_operation {
   public:
    explicit close_operation(detail::scripted_block& block) noexcept : block_(block) {}
    [[nodiscard]] bool await_ready() const noexcept {
      block_.close_by_call();
      return true;
    }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}

   private:
    detail::scripted_block& block_;
  };

  /// Reads what the script gives next. Cancellation: no byte is lost.
  [[nodiscard]] auto read() noexcept { return read_operation<detail::scripted_block>(*end_); }
  /// Holds `bytes` against what the script takes next.
  [[nodiscard]] auto write(buffer bytes) noexcept {
    return write_operation<detail::scripted_block>(*end_, std::move(bytes));
  }
  /// The same with all of `list`; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) noexcept {
    return writev_operation<detail::scripted_block>(*end_, list);
  }
  /// Ends one half or both (laws S1 to S4).
  [[nodiscard]] auto shutdown(shutdown_mode mode) noexcept {
    return shutdown_operation<detail::scripted_block>(*end_, mode);
  }
  /// Ends both halves (laws C1 to C4).
  [[nodiscard]] auto close() noexcept { return close_operation(*end_); }

 private:
  flow_handle<detail::scripted_block> end_;
};

}  // namespace coflow::inline v0
