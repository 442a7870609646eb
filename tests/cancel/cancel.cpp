// Cancels, destroys and closes at every suspension point: each conversation is run once for each of its steps, and
// there one thing is done to the task under attack or to its flow. Whatever it was, nothing is lost that was not
// reported, nothing hangs, nothing leaks.
//
//     cancel [--long] [--flow NAME]
//
// In memory a step is one node of the executor's ready queue, so that an operation is also met when it has completed
// and its coroutine has not run yet; over TCP it is a turn of the event loop.

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/net.hpp>
#include <coflow/testing/choices.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "laws/buffered_factories.hpp"
#include "laws/factories.hpp"
#include "laws/hidden_factory.hpp"
#include "laws/wrapper_factories.hpp"
#ifdef COFLOW_WITH_OPENSSL
#include "laws/tls_factories.hpp"
#endif
#include "support/manual_executor.hpp"
#include "support/proof.hpp"

namespace {

using coflow::buffer;
using coflow::read_result;
using coflow::result;
using coflow::task;
using support::job;

// ---- what is said

const std::vector<std::string>& messages() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> made;
    for (const std::size_t size : {1U, 40U, 300U, 5U, 100'000U, 7U})
      made.emplace_back(size, static_cast<char>('a' + static_cast<char>(made.size())));
    return made;
  }();
  return all;
}
std::string said(std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += messages()[i];
  return all;
}
constexpr std::string_view tail = "and the tail";

// ---- the tasks; each looks whether its flow is still there before it begins another operation

struct spoken {
  std::size_t written = 0;  // messages whose write succeeded
  bool failed = false;
  std::error_code failure;
};
struct heard {
  std::string text;
  bool ended = false;
  read_result last;
};

template <class F>
task<> speak(std::optional<F>* flow, spoken* out) {
  for (const std::string& one : messages()) {
    if (!flow->has_value()) co_return;
    const result<void> sent = co_await (*flow)->write(buffer(one));
    if (!sent) {
      out->failed = true;
      out->failure = sent.error();
      co_return;
    }
    ++out->written;
  }
  if (!flow->has_value()) co_return;
  co_await (*flow)->shutdown(coflow::shutdown_mode::write);
}
template <class F>
task<> speak_in_lists(std::optional<F>* flow, spoken* out) {
  for (const std::string& one : messages()) {
    if (!flow->has_value()) co_return;
    std::vector<buffer> list;
    list.emplace_back(std::string_view(one).substr(0, one.size() / 2));
    list.emplace_back();
    list.emplace_back(std::string_view(one).substr(one.size() / 2));
    const result<void> sent = co_await (*flow)->writev(list);
    if (!sent) {
      out->failed = true;
      out->failure = sent.error();
      co_return;
    }
    ++out->written;
  }
  if (!flow->has_value()) co_return;
  co_await (*flow)->shutdown(coflow::shutdown_mode::write);
}
template <class F>
task<> listen(std::optional<F>* flow, heard* out) {
  while (flow->has_value()) {
    read_result got = co_await (*flow)->read();
    if (got) {
      out->text.append(got->text());
      continue;
    }
    out->last = std::move(got);
    out->ended = true;
    co_return;
  }
}
template <class F>
task<> end_of_it(std::optional<F>* flow, spoken* out) {
  const result<void> sent = co_await (*flow)->write(buffer(tail));
  if (!sent) {
    out->failed = true;
    out->failure = sent.error();
  }
  co_await (*flow)->shutdown(coflow::shutdown_mode::write);
  co_await (*flow)->close();
}
template <class F>
task<> close(std::optional<F>* flow) {
  co_await (*flow)->close();
}

// ---- the executors, a step at a time

/// Virtual time: a step is a node, and a hang is found at once.
class stepped {
 public:
  [[nodiscard]] coflow::virtual_executor& executor() noexcept { return on_; }
  /// False if nothing can happen any more.
  bool step() { return on_.run_once() != 0 || on_.advance_to_next_deadline(); }

 private:
  coflow::choices in_order_ = coflow::choices::replay("");
  coflow::virtual_executor on_{in_order_};
};

/// The kernel's: a step is a turn that does not wait, and ten seconds without an end are a hang.
class turned {
 public:
  [[nodiscard]] coflow::event_loop& executor() noexcept { return on_; }
  bool step() {
    if (!awake_.linked()) on_.post(awake_);
    on_.turn();
    return std::chrono::steady_clock::now() < limit_;
  }

 private:
  class nothing final : public coflow::node {
    void run() noexcept override {}
  };

  std::chrono::steady_clock::time_point limit_ = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  coflow::event_loop on_;
  nothing awake_;
};

// ---- one run

enum class part { read, write, writev };
enum class action { cancel, destroy, close_flow, destroy_flow };
constexpr const char* part_names[] = {"read", "write", "writev"};
constexpr const char* action_names[] = {"cancelled", "destroyed", "flow closed", "flow destroyed"};

template <class Driver, class Factory>
class trial {
 public:
  using flow = typename Factory::flow;

  trial(const Factory& make, part attacked) : attacked_(attacked) {
    if constexpr (coflow::awaitable<std::invoke_result_t<const Factory&>>) {
      auto ends = coflow::run(driver_.executor(), make());
      a_.emplace(std::move(ends.first));
      b_.emplace(std::move(ends.second));
    } else {
      auto ends = make();
      a_.emplace(std::move(ends.first));
      b_.emplace(std::move(ends.second));
    }
  }
  ~trial() {
    const coflow::executor::entry current(driver_.executor());
    jobs_.clear();
    victim_.reset();
    a_.reset();
    b_.reset();
  }

  /// False if everything was over before the step.
  bool run(std::size_t step, action what) {
    const coflow::executor::entry current(driver_.executor());
    if (attacked_ == part::read) {
      victim_.emplace(job<void>::of(listen(&a_, &victim_heard_)));
      start(speak(&b_, &peer_spoke_));
    } else {
      victim_.emplace(
          job<void>::of(attacked_ == part::write ? speak(&a_, &victim_spoke_) : speak_in_lists(&a_, &victim_spoke_)));
      start(listen(&b_, &peer_heard_));
    }
    victim_->start(driver_.executor());
    for (std::size_t i = 0; i < step; ++i)
      if (!driver_.step()) break;
    if (victim_->ended()) return false;
    switch (what) {
      case action::cancel:
        victim_->request_stop();
        break;
      case action::destroy:
        victim_->destroy();
        break;
      case action::close_flow:
        start(close(&a_));
        break;
      case action::destroy_flow:
        a_.reset();
        break;
    }
    const bool gone = what == action::destroy;
    until([this, gone] { return gone || victim_->ended(); });
    const bool lives = what == action::cancel || what == action::destroy;
    if (attacked_ == part::read) {
      heard rest;
      if (lives) start(listen(&a_, &rest));
      until([this] { return all_ended(); });
      if (lives)
        judge_reading(rest);
      else
        judge_ended_reading();
    } else {
      spoken rest;
      if (lives) start(end_of_it(&a_, &rest));
      until([this] { return all_ended(); });
      if (lives)
        judge_writing(rest, gone);
      else
        judge_ended_writing(what == action::close_flow);
    }
    return true;
  }

  [[nodiscard]] const std::string& breach() const noexcept { return breach_; }

 private:
  void start(task<> body) {
    jobs_.push_back(job<void>::of(std::move(body)));
    jobs_.back().start(driver_.executor());
  }
  [[nodiscard]] bool all_ended() const {
    for (const job<void>& one : jobs_)
      if (!one.ended()) return false;
    return true;
  }
  template <class Condition>
  void until(Condition holds) {
    while (!holds()) {
      if (driver_.step()) continue;
      say("something hangs");
      return;
    }
  }
  void say(std::string what) {
    if (breach_.empty()) breach_ = std::move(what);
  }
  static bool is_prefix(std::string_view part, std::string_view whole) { return whole.substr(0, part.size()) == part; }

  // The bytes that the victim did not report are still there, in order, and then the end.
  void judge_reading(const heard& rest) {
    if (victim_heard_.text + rest.text != said(messages().size()))
      say("bytes were lost: " + std::to_string(victim_heard_.text.size()) + " and then " +
          std::to_string(rest.text.size()));
    if (!rest.ended || !rest.last.eof()) say("the stream does not end with eof: " + rest.last.error().message());
    if (victim_heard_.ended && victim_heard_.last.failed() && victim_heard_.last.error() != coflow::canceled())
      say("the victim got " + victim_heard_.last.error().message());
    if (peer_spoke_.failed) say("the writer got " + peer_spoke_.failure.message());
  }
  void judge_ended_reading() {
    if (!is_prefix(victim_heard_.text, said(messages().size()))) say("the victim read other bytes");
    if (a_.has_value() && !victim_heard_.ended) say("the victim has no verdict");
    if (victim_heard_.ended && victim_heard_.last.failed() && victim_heard_.last.error() != coflow::error::closed)
      say("the victim got " + victim_heard_.last.error().message());
  }
  void judge_writing(const spoken& rest, bool destroyed) {
    const std::string whole = said(victim_spoke_.written);
    if (victim_spoke_.failed && victim_spoke_.failure != coflow::canceled())
      say("the victim got " + victim_spoke_.failure.message());
    const bool over = victim_spoke_.written == messages().size();
    if (rest.failed && rest.failure == coflow::error::torn_write) {
      const std::string one_more = over ? whole : said(victim_spoke_.written + 1);
      if (!is_prefix(peer_heard_.text, one_more)) say("a torn stream has other bytes");
      if (peer_heard_.last.eof() || !peer_heard_.ended) say("a torn stream ends cleanly");
      return;
    }
    if (over && rest.failed && rest.failure == coflow::error::closed) {  // the victim had shut the half down
      if (peer_heard_.text != whole) say("bytes are missing before the end");
    } else if (rest.failed) {
      say("a later write gives " + rest.failure.message());
    } else {
      const bool without = peer_heard_.text == whole + std::string(tail);
      const bool with = destroyed && !over && peer_heard_.text == said(victim_spoke_.written + 1) + std::string(tail);
      if (!without && !with) say("the peer heard " + std::to_string(peer_heard_.text.size()) + " other bytes");
    }
    if (!peer_heard_.last.eof() || !peer_heard_.ended)
      say("the peer's stream ends with " + peer_heard_.last.error().message());
  }
  void judge_ended_writing(bool closed) {
    if (!is_prefix(peer_heard_.text, said(messages().size()))) say("the peer read other bytes");
    if (peer_heard_.text.size() < said(victim_spoke_.written).size() && closed && peer_heard_.last.eof())
      say("bytes of successful writes are missing before eof");
    if (!peer_heard_.ended) say("the peer's stream does not end");
    if (victim_spoke_.failed && victim_spoke_.failure != coflow::error::closed)
      say("the victim got " + victim_spoke_.failure.message());
  }

  Driver driver_;
  part attacked_;
  std::optional<flow> a_;
  std::optional<flow> b_;
  std::optional<job<void>> victim_;
  std::vector<job<void>> jobs_;
  spoken victim_spoke_;
  spoken peer_spoke_;
  heard victim_heard_;
  heard peer_heard_;
  std::string breach_;
};

template <class Driver = stepped, class Factory>
void sweep(support::proof& proof, std::string_view name, const Factory& make) {
  const std::string only = proof.value("--flow");
  if (!only.empty() && only != name) return;
  for (const part attacked : {part::read, part::write, part::writev}) {
    for (const action what : {action::cancel, action::destroy, action::close_flow, action::destroy_flow}) {
      for (std::size_t step = 0;; ++step) {
        bool in_time = false;
        std::string breach;
        {
          trial<Driver, Factory> one(make, attacked);
          in_time = one.run(step, what);
          breach = one.breach();
        }
        if (breach.empty() && coflow::detail::live_frames.load() != 0) breach = "a coroutine's frame is left";
        if (!breach.empty())
          proof.fail(std::string(name) + ", " + part_names[static_cast<int>(attacked)] + " " +
                         action_names[static_cast<int>(what)] + " at step " + std::to_string(step) + ": " + breach,
                     "--flow '" + std::string(name) + "'");
        if (!in_time) break;
        proof.point();
      }
    }
  }
  proof.part(name);
}

}  // namespace

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  using namespace factories;
  sweep(proof, "memory_pipe", memory());
  sweep(proof, "memory_pipe of 1000 bytes", memory(1000));
  sweep(proof, "layered_flow", over_layer<>());
  sweep(proof, "any_flow", over_any<>());
  sweep(proof, "function_flow", over_functions<>());
  sweep(proof, "codec_flow, frames", over_frames<>());
  sweep(proof, "codec_flow, secure", over_secure<>());
  sweep(proof, "frames, frames, frames", hidden_codec(over_frames<over_frames<over_frames<>>>()));
  sweep(proof, "secure, any, frames", over_secure<over_any<over_frames<>>>());
  sweep(proof, "any, functions, secure", over_any<over_functions<over_secure<>>>());
  sweep(proof, "counted", hidden_flow(over_counted<>()));
  sweep(proof, "traced", hidden_flow(over_traced<>()));
  sweep(proof, "idle_timeout", hidden_flow(over_idle_timeout<>()));
  sweep(proof, "read_deadline", hidden_flow(over_read_deadline<>()));
  sweep(proof, "limited", hidden_flow(over_limited<>()));
  sweep(proof, "throttled", hidden_flow(over_crawling<>()));
  sweep(proof, "tee", hidden_flow(over_tee<>()));
  sweep(proof, "buffered_reader", hidden_flow(over_reader<>()));
  sweep(proof, "buffered_reader over 1000 bytes", hidden_flow(over_reader<>(memory(1000))));
  sweep(proof, "tee, throttled, frames, counted", hidden_codec(over_tee<over_crawling<over_frames<over_counted<>>>>()));
#ifdef COFLOW_WITH_OPENSSL
  sweep(proof, "tls", over_tls<>());
#endif
  sweep<turned>(proof, "tcp", tcp());
  sweep<turned>(proof, "secure over tcp", over_secure<tcp>());
  if (proof.has("--long")) {
    sweep(proof, "memory_pipe of 50 bytes", memory(50));
    sweep(proof, "functions over frames over 300 bytes", over_functions<over_frames<>>(over_frames<>(memory(300))));
    sweep<turned>(proof, "secure, any, frames over tcp", over_secure<over_any<over_frames<tcp>>>());
  }
  return proof.end();
}
