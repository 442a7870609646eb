// What the laws of sinks promise: each passes for sinks that keep it, and rejects one that breaks it.
#include <chrono>
#include <coflow/core.hpp>
#include <coflow/memory/string_flow.hpp>
#include <coflow/testing/one_way_laws.hpp>
#include <coflow/testing/sink_laws.hpp>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "support/catch.hpp"

namespace {

using coflow::buffer;
using coflow::check_sink;
using coflow::law_options;
using coflow::read_result;
using coflow::report;
using coflow::result;
using coflow::string_flow;
using coflow::task;

enum class defect {
  none,
  accepts_and_drops,
  forgets_the_last_of_a_list,
  leaves_buffers_full,
  writes_in_two_halves,
  takes_after_shutdown,
  takes_nothing_after_its_end,
  waits_to_write_nothing,
  throws_in_shutdown,
  stops_writing_with_reading,
  drops_queued_writes,
  takes_after_close,
  ignores_stop,
  begins_unawaited
};

// A sink of coroutines around a string.
class odd_sink {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit odd_sink(defect what) : state_(std::make_shared<state>(what)) {}

  task<read_result> read() { return reading(state_); }
  task<result<void>> write(buffer bytes) {
    if (state_->what == defect::begins_unawaited) state_->taken += bytes.text();
    return writing(state_, std::move(bytes));
  }
  task<result<void>> writev(std::span<buffer> list) { return listing(state_, list); }
  task<> shutdown(coflow::shutdown_mode mode) { return shutting(state_, mode); }
  task<> close() { return closing(state_); }

  [[nodiscard]] std::string text() const { return state_->taken + state_->inner.text(); }

 private:
  struct state {
    explicit state(defect which) : what(which) {}
    string_flow inner = coflow::string_sink();
    defect what;
    std::string taken;
    bool over = false;
  };
  using shared = std::shared_ptr<state>;

  static task<read_result> reading(shared whole) {
    read_result got = co_await whole->inner.read();
    co_return std::move(got);
  }
  static task<result<void>> writing(shared whole, buffer bytes) {
    const bool nothing = bytes.empty();
    switch (whole->what) {
      case defect::accepts_and_drops:
        co_return coflow::success;
      case defect::begins_unawaited:
        bytes.clear();
        break;
      case defect::waits_to_write_nothing:
        if (nothing) co_await coflow::laws::turns();
        break;
      case defect::writes_in_two_halves: {
        const result<void> sent = co_await whole->inner.write(bytes.take_front(bytes.size() / 2));
        if (!sent) co_return sent;
        co_await coflow::laws::turns();
        break;
      }
      case defect::drops_queued_writes:
        co_await coflow::laws::turns();
        if (whole->over) co_return coflow::error::closed;
        break;
      default:
        break;
    }
    buffer kept = bytes.share();
    const result<void> sent = co_await whole->inner.write(std::move(bytes));
    if (whole->what == defect::takes_nothing_after_its_end && nothing) co_return coflow::success;
    if (whole->what == defect::ignores_stop && !sent && sent.error() == coflow::canceled()) whole->taken += kept.text();
    co_return sent;
  }
  static task<result<void>> listing(shared whole, std::span<buffer> list) {
    if (whole->what == defect::forgets_the_last_of_a_list && list.size() > 2) {
      list.back().clear();
      list = list.first(list.size() - 1);
    }
    if (whole->what == defect::leaves_buffers_full) {
      std::string all = coflow::laws::joined(list);
      const result<void> sent = co_await whole->inner.write(buffer::adopt(std::move(all)));
      co_return sent;
    }
    const result<void> sent = co_await whole->inner.writev(list);
    co_return sent;
  }
  static task<> shutting(shared whole, coflow::shutdown_mode mode) {
    if (whole->what == defect::throws_in_shutdown && whole->over) throw std::runtime_error("not connected");
    if (whole->what == defect::takes_after_shutdown) co_return;
    if (whole->what == defect::stops_writing_with_reading) mode = coflow::shutdown_mode::read_write;
    whole->over = true;
    co_await whole->inner.shutdown(mode);
  }
  static task<> closing(shared whole) {
    if (whole->what == defect::takes_after_close) co_return;
    co_await whole->inner.close();
  }

  shared state_;
};

report sink_with(defect what, const law_options& options) {
  report found = check_sink([what] { return odd_sink(what); }, [](odd_sink& sink) { return sink.text(); }, options);
  CHECK(found.checks() != 0);
  return found;
}

}  // namespace

TEST_CASE("the laws of sinks hold for a string", "[sink_laws]") {
  const report found = check_sink([] { return coflow::string_sink(); }, [](string_flow& sink) { return sink.text(); });
  INFO(found.text());
  CHECK(found.passed());
  CHECK(found.checks() == coflow::laws::sink_laws().size());
}

TEST_CASE("the laws of sinks hold for a flow of coroutines", "[sink_laws]") {
  const report found = sink_with(defect::none, law_options());
  INFO(found.text());
  CHECK(found.passed());
}

TEST_CASE("each broken sink is rejected for the law that it breaks", "[sink_laws]") {
  const auto rejected = [](defect what, const char* law) {
    return sink_with(what, law_options().only(law)).broke(law);
  };
  CHECK(rejected(defect::accepts_and_drops, "W1"));
  CHECK(rejected(defect::forgets_the_last_of_a_list, "W3"));
  CHECK(rejected(defect::leaves_buffers_full, "W3"));
  CHECK(rejected(defect::writes_in_two_halves, "W4"));
  CHECK(rejected(defect::takes_after_shutdown, "W5"));
  CHECK(rejected(defect::takes_nothing_after_its_end, "W5"));
  CHECK(rejected(defect::waits_to_write_nothing, "W9"));
  CHECK(rejected(defect::throws_in_shutdown, "S1"));
  CHECK(rejected(defect::stops_writing_with_reading, "S2"));
  CHECK(rejected(defect::takes_after_shutdown, "S3"));
  CHECK(rejected(defect::drops_queued_writes, "S3"));
  CHECK(rejected(defect::takes_after_close, "C1"));
  CHECK(rejected(defect::takes_after_close, "C2"));
  CHECK(rejected(defect::ignores_stop, "X0"));
  CHECK(rejected(defect::begins_unawaited, "O1"));
}

TEST_CASE("no two checks of sinks have one name", "[sink_laws]") {
  std::set<std::string> names;
  for (const coflow::laws::one_way_law& one : coflow::laws::sink_laws()) names.insert(one.check);
  CHECK(names.size() == coflow::laws::sink_laws().size());
}
