// What the laws of sources promise: each passes for sources that keep it, and rejects one that breaks it.
#include <chrono>
#include <coflow/core.hpp>
#include <coflow/memory/string_flow.hpp>
#include <coflow/testing/one_way_laws.hpp>
#include <coflow/testing/source_laws.hpp>
#include <cstddef>
#include <cstring>
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
using coflow::check_source;
using coflow::law_options;
using coflow::read_result;
using coflow::report;
using coflow::result;
using coflow::string_flow;
using coflow::task;

enum class defect {
  none,
  gives_empty_buffers,
  reuses_its_buffer,
  reads_on_after_the_end,
  takes_its_time_to_end_again,
  ends_early,
  throws_in_shutdown,
  reads_on_after_shutdown,
  eof_after_close,
  stays_open,
  leaves_readers_waiting,
  loses_what_is_under_way,
  ignores_stop,
  begins_unawaited
};

// A source of coroutines around a string.
class odd_source {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  odd_source(std::string text, defect what) : state_(std::make_shared<state>(std::move(text), what)) {}

  task<read_result> read() {
    if (state_->what == defect::begins_unawaited && state_->eaten == 0) ++state_->eaten;
    return reading(state_);
  }
  task<result<void>> write(buffer) { return refusing(state_); }
  task<result<void>> writev(std::span<buffer>) { return refusing(state_); }
  task<> shutdown(coflow::shutdown_mode mode) { return shutting(state_, mode); }
  task<> close() { return closing(state_); }

 private:
  struct state {
    state(std::string text, defect which) : inner(std::move(text), 3), what(which) {}
    string_flow inner;
    defect what;
    buffer block;
    std::size_t eaten = 0;  // bytes that a read which was never awaited has taken
    bool over = false;
    bool closed = false;
  };
  using shared = std::shared_ptr<state>;

  static task<read_result> reading(shared whole) {
    if (whole->what == defect::leaves_readers_waiting) {
      co_await coflow::laws::turns();
      while (whole->closed) {
        const result<void> slept = co_await coflow::sleep_for(std::chrono::hours(1));
        if (!slept) co_return slept.error();
      }
    }
    if (whole->what == defect::loses_what_is_under_way) {
      read_result lost = co_await whole->inner.read();
      if (!lost) co_return std::move(lost);
      const result<void> slept = co_await coflow::sleep_for(std::chrono::milliseconds(1));
      if (!slept) co_return slept.error();
      co_return std::move(lost);
    }
    read_result got = co_await whole->inner.read();
    switch (whole->what) {
      case defect::gives_empty_buffers:
        if (got.has_data() && got->text() == "ghi") co_return buffer();
        break;
      case defect::reuses_its_buffer:
        if (got.has_data()) {
          if (whole->block.empty()) whole->block = buffer::allocate(3);
          std::memcpy(const_cast<std::byte*>(whole->block.data()), got->data(), got->size());
          co_return whole->block.share();
        }
        break;
      case defect::reads_on_after_the_end:
        if (got.eof() && std::exchange(whole->over, true)) co_return coflow::error::truncated;
        break;
      case defect::takes_its_time_to_end_again:
        if (got.eof() && std::exchange(whole->over, true)) co_await coflow::laws::turns(2);
        break;
      case defect::ends_early:
        if (got.has_data() && got->text() == "ghi") co_return coflow::end_of_stream;
        break;
      case defect::eof_after_close:
        if (got.failed() && got.error() == coflow::error::closed) co_return coflow::end_of_stream;
        break;
      case defect::ignores_stop:
        if (got.failed() && got.error() == coflow::canceled()) co_return buffer("x");
        break;
      case defect::begins_unawaited:
        if (got.has_data() && std::exchange(whole->eaten, 0) == 1) got->remove_prefix(1);
        break;
      default:
        break;
    }
    co_return std::move(got);
  }
  static task<result<void>> refusing(shared) { co_return coflow::error::closed; }
  static task<> shutting(shared whole, coflow::shutdown_mode mode) {
    if (whole->what == defect::throws_in_shutdown && std::exchange(whole->over, true))
      throw std::runtime_error("not connected");
    if (whole->what == defect::reads_on_after_shutdown) co_return;
    co_await whole->inner.shutdown(mode);
  }
  static task<> closing(shared whole) {
    whole->closed = true;
    if (whole->what == defect::stays_open) co_return;
    co_await whole->inner.close();
  }

  shared state_;
};

report source_with(defect what, const char* law) {
  report found = check_source([what] { return odd_source("abcdefghi", what); }, "abcdefghi", law_options().only(law));
  CHECK(found.checks() != 0);
  return found;
}

}  // namespace

TEST_CASE("the laws of sources hold for a string in pieces of any size", "[source_laws]") {
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, string_flow::all}) {
    const report found = check_source([chunk] { return coflow::string_source("the text", chunk); }, "the text");
    INFO(found.text());
    CHECK(found.passed());
    CHECK(found.checks() == coflow::laws::source_laws().size());
  }
}

TEST_CASE("the laws of sources hold for a flow of coroutines", "[source_laws]") {
  const report found = check_source([] { return odd_source("abcdefghi", defect::none); }, "abcdefghi");
  INFO(found.text());
  CHECK(found.passed());
}

TEST_CASE("each broken source is rejected for the law that it breaks", "[source_laws]") {
  const auto rejected = [](defect what, const char* law) { return source_with(what, law).broke(law); };
  CHECK(rejected(defect::gives_empty_buffers, "R1"));
  CHECK(rejected(defect::reuses_its_buffer, "R2"));
  CHECK(rejected(defect::reads_on_after_the_end, "R4"));
  CHECK(rejected(defect::takes_its_time_to_end_again, "R4"));
  CHECK(rejected(defect::ends_early, "R5"));
  CHECK(rejected(defect::throws_in_shutdown, "S1"));
  CHECK(rejected(defect::reads_on_after_shutdown, "S2"));
  CHECK(rejected(defect::eof_after_close, "C1"));
  CHECK(rejected(defect::stays_open, "C2"));
  CHECK(rejected(defect::leaves_readers_waiting, "C3"));
  CHECK(rejected(defect::loses_what_is_under_way, "C6"));
  CHECK(rejected(defect::ignores_stop, "X0"));
  CHECK(rejected(defect::loses_what_is_under_way, "X1"));
  CHECK(rejected(defect::begins_unawaited, "O1"));
}

TEST_CASE("no two checks of sources have one name", "[source_laws]") {
  std::set<std::string> names;
  for (const coflow::laws::one_way_law& one : coflow::laws::source_laws()) names.insert(one.check);
  CHECK(names.size() == coflow::laws::source_laws().size());
}
