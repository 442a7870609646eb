/// \file
/// The steps of a script, and the control block of the flow that follows them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/detail/pool.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow_block.hpp"

namespace coflow::inline v0 {
namespace detail {

class scripted_block;

[[nodiscard]] inline std::string quoted(std::string_view bytes) {
  constexpr std::size_t most = 60;
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "\"";
  for (const char one : bytes.substr(0, most)) {
    const auto code = static_cast<unsigned char>(one);
    if (one == '\n') {
      text += "\\n";
    } else if (one == '\r') {
      text += "\\r";
    } else if (one == '"' || one == '\\') {
      text.append("\\").push_back(one);
    } else if (code < 0x20 || code >= 0x7f) {
      text.append("\\x").append({digits[code >> 4], digits[code & 15]});
    } else {
      text.push_back(one);
    }
  }
  return text + (bytes.size() > most ? "\"..." : "\"");
}

[[nodiscard]] inline std::string code_in_words(const std::error_code& code) {
  return std::string("error ") + code.category().name() + " '" + code.message() + "'";
}

/// What a script and its flow share; it lives as long as either, or a gate of the script.
class script_state {
 public:
  enum class act { gives, ends, fails, is_silent, takes, takes_any, refuses, shut_read, shut_write, closes, waits };

  class step {
   public:
    explicit step(act what) noexcept : does(what) {}
    act does;
    std::string text;         // still to be given or taken
    std::size_t count = 0;    // bytes still to be taken, whatever they are
    std::size_t chunk = 0;    // at most so many at a time
    std::error_code failure;  // given, or refused with
    std::shared_ptr<const bool> gate;
    bool done = false;
  };

  [[nodiscard]] static bool is_about_reads(act what) noexcept {
    return what <= act::is_silent || what == act::shut_read;
  }
  [[nodiscard]] static bool is_about_writes(act what) noexcept {
    return (what >= act::takes && what <= act::refuses) || what == act::shut_write;
  }

  /// A step that is a failure if it has not happened at the end.
  [[nodiscard]] static bool must_happen(act what) noexcept {
    return what != act::is_silent && what != act::takes_any && what != act::waits;
  }

  /// The next step about reads, or about writes; null if there is none.
  [[nodiscard]] step* next(bool (*about)(act)) noexcept {
    for (step& one : steps)
      if (!one.done && about(one.does)) return &one;
    return nullptr;
  }
  /// True if a gate that stands before `one` is not open.
  [[nodiscard]] bool waits_at_gate(const step& one) const noexcept {
    for (const step& before : steps) {
      if (&before == &one) return false;
      if (before.does == act::waits && !*before.gate) return true;
    }
    return false;
  }
  /// True if something about writes that stands before `one` has not happened.
  [[nodiscard]] bool waits_for_writes(const step& one) const noexcept {
    for (const step& before : steps) {
      if (&before == &one) return false;
      if (!before.done && before.does != act::takes_any && is_about_writes(before.does)) return true;
    }
    return false;
  }
  [[nodiscard]] bool held_up(const step& one) const noexcept {
    return waits_at_gate(one) || (is_about_reads(one.does) && waits_for_writes(one));
  }

  void note(std::string line) noexcept {
    try {
      trace += line;
      trace += '\n';
    } catch (...) {  // the trace is a line shorter
    }
  }
  void departs(const std::string& from) noexcept {
    note("NOT IN THE SCRIPT: " + from);
    failures += from + "\n";
  }
  inline void changed() noexcept;

  [[nodiscard]] static std::string in_words(const step& one) {
    switch (one.does) {
      case act::gives:
        return "gives " + quoted(one.text);
      case act::ends:
        return "gives eof";
      case act::fails:
        return "gives " + code_in_words(one.failure);
      case act::is_silent:
        return "stays silent";
      case act::takes:
        return one.count != 0 ? "takes " + std::to_string(one.count) + " bytes" : "takes " + quoted(one.text);
      case act::takes_any:
        return "takes everything";
      case act::refuses:
        return "refuses with " + code_in_words(one.failure);
      case act::shut_read:
        return "expects shutdown(read)";
      case act::shut_write:
        return "expects shutdown(write)";
      case act::closes:
        return "expects close";
      case act::waits:
        break;
    }
    return "waits at a gate";
  }

  std::vector<step> steps;
  std::string trace;
  std::string failures;
  scripted_block* flow = nullptr;
  bool taken = false;  // a flow was made
};

/// The control block of a scripted flow.
class scripted_block final : public flow_block<scripted_block>, public executor::dependent, public pooled {
 public:
  explicit scripted_block(std::shared_ptr<script_state> script) noexcept : script_(std::move(script)) {
    script_->flow = this;
  }

  // What flow_block asks of a transport.
  [[nodiscard]] bool entered() noexcept { return home_ != nullptr && home_ == current_executor; }
  [[nodiscard]] std::error_code enter() noexcept {
    executor* current = executor::current();
    if (home_ != nullptr && home_ == current) return {};
    if (current == nullptr) return error::no_executor;
    if (gone_ || current->finishing()) return error::closed;
    if (home_ != nullptr) return error::wrong_executor;
    home_ = current;
    current->add_dependent(*this);
    return {};
  }
  [[nodiscard]] executor& home() noexcept { return *home_; }
  [[nodiscard]] bool may_read() const noexcept { return true; }

  [[nodiscard]] attempt try_read(buffer& data) {
    using act = script_state::act;
    script_state::step* now = script_->next(&script_state::is_about_reads);
    if (now == nullptr) {
      if (state().broken()) {
        state().end_of_input();
        return attempt::verdict;
      }
      script_->departs("a read, after all that the script gives");
      return end_reading(std::make_error_code(std::errc::protocol_error));
    }
    if (script_->held_up(*now) || now->does == act::is_silent || now->does == act::shut_read) {
      if (state().broken()) {
        state().end_of_input();
        return attempt::verdict;
      }
      if (state().can_transmit() || !script_->waits_for_writes(*now)) return attempt::wait;
      if (script_->failures.empty()) script_->departs("a read, where it waits for what can be written no more");
      return end_reading(std::make_error_code(std::errc::protocol_error));
    }
    if (now->does == act::gives) {
      const std::size_t size = now->chunk == 0 ? now->text.size() : std::min(now->chunk, now->text.size());
      data = buffer(std::string_view(now->text).substr(0, size));
      script_->note("gives " + quoted(data.text()));
      now->text.erase(0, size);
      now->done = now->text.empty();
      return attempt::done;
    }
    script_->note(script_state::in_words(*now));
    now->done = true;
    if (now->does == act::fails) return end_reading(now->failure);
    state().end_of_input();
    return attempt::verdict;
  }

  [[nodiscard]] attempt try_write(writing_operation<scripted_block>& op) noexcept {
    using act = script_state::act;
    while (!op.rest().empty()) {
      const std::string_view bytes = op.rest().front().text();
      script_state::step* now = script_->next(&script_state::is_about_writes);
      if (now == nullptr || now->does == act::shut_write) {
        script_->departs("a write of " + quoted(bytes) +
                         (now == nullptr ? ", after all that the script takes" : ", where it expects shutdown(write)"));
        return end_writing(std::make_error_code(std::errc::protocol_error));
      }
      if (script_->held_up(*now)) return attempt::wait;
      if (now->does == act::refuses) {
        script_->note(script_state::in_words(*now));
        now->done = true;
        return end_writing(now->failure);
      }
      std::size_t size = bytes.size();
      if (now->does == act::takes) size = std::min(size, now->count != 0 ? now->count : now->text.size());
      if (now->chunk != 0) size = std::min(size, now->chunk);
      const bool any = now->does == act::takes_any || now->count != 0;
      if (!any && std::string_view(now->text).substr(0, size) != bytes.substr(0, size)) {
        script_->departs("a write of " + quoted(bytes) + ", where it takes " + quoted(now->text));
        return end_writing(std::make_error_code(std::errc::protocol_error));
      }
      script_->note("takes " + quoted(bytes.substr(0, size)));
      if (now->does == act::takes && any) now->count -= size;
      if (!any) now->text.erase(0, size);
      static_cast<void>(op.accept(size));
      const bool more = now->chunk != 0 && !op.rest().empty();
      if (now->does == act::takes && now->count == 0 && now->text.empty()) {
        now->done = true;
        call_reader();
      }
      if (more) {
        if (!another_turn_.linked()) home().post(another_turn_);
        return attempt::wait;
      }
    }
    return attempt::done;
  }

  void input_unwanted() noexcept { ended("shutdown(read)", script_state::act::shut_read); }
  void signal_end() noexcept { ended("shutdown(write)", script_state::act::shut_write); }
  void release_transport(bool abort) noexcept {
    script_->note(abort ? "the connection is broken off" : "the flow is let go");
  }

  void close_by_call() noexcept {
    if (state().read_half() != half::closed) ended("close", script_state::act::closes);
    close();
  }
  void destroy() noexcept {
    script_->flow = nullptr;
    delete this;
  }
  /// A gate has been opened, or it is time for the next piece. Not from within an attempt.
  void look_again() noexcept {
    call_reader();
    call_writer();
  }
  void on_executor_gone() noexcept override {
    gone_ = true;
    close();
    home_ = nullptr;
  }

 private:
  class turn final : public node {
   public:
    explicit turn(scripted_block& of) noexcept : of_(of) {}
    void run() noexcept override { of_.look_again(); }

   private:
    scripted_block& of_;
  };

  attempt end_reading(std::error_code code) noexcept {
    state().fail_read(code);
    return attempt::verdict;
  }
  attempt end_writing(std::error_code code) noexcept {
    state().fail_write(code);
    call_reader();  // which may have waited for writes
    return attempt::verdict;
  }
  void ended(const char* how, script_state::act what) noexcept {
    script_->note(how);
    call_reader();
    bool too_early = false;
    for (script_state::step& one : script_->steps) {
      if (one.done) continue;
      if (one.does == what) {
        if (too_early) script_->departs(std::string(how) + ", before what stands in front of it");
        one.done = true;
        return;
      }
      too_early = too_early || script_state::must_happen(one.does);
    }
    if (what != script_state::act::closes) script_->departs(how);
  }

  std::shared_ptr<script_state> script_;
  executor* home_ = nullptr;
  turn another_turn_{*this};
  bool gone_ = false;
};

inline void script_state::changed() noexcept {
  if (flow != nullptr) flow->look_again();
}

}  // namespace detail
}  // namespace coflow::inline v0
