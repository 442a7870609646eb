#include <coflow/async/run.hpp>
#include <coflow/core.hpp>
#include <coflow/memory/string_flow.hpp>
#include <coflow/testing/checked_flow.hpp>
#include <coflow/testing/one_way_run.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"

namespace {

using coflow::report;
using coflow::string_flow;
using coflow::task;
using coflow::laws::checked_flow;
using coflow::laws::one_way_law;
using coflow::laws::one_way_run;

struct maker {};

// A string whose shutdown or close may be wrong.
enum class wrong { nothing, close_leaves_it_open, close_is_eof };

class odd_string : public string_flow {
 public:
  odd_string(std::string text, wrong what) : string_flow(std::move(text)), what_(what) {}
  [[nodiscard]] task<> close() { return closing(this, what_); }

 private:
  static task<> closing(odd_string* self, wrong what) {
    if (what == wrong::nothing) co_await self->string_flow::close();
    if (what == wrong::close_is_eof) co_await self->string_flow::shutdown(coflow::shutdown_mode::read);
  }
  wrong what_;
};

class some_run final : public one_way_run {
 public:
  explicit some_run(wrong what) : one_way_run("the text"), what_(what) {}
  ~some_run() = default;
  task<> make(checked_flow* into) override {
    ++made;
    *into =
        checked_flow(std::make_unique<coflow::laws::subject_of<odd_string, maker>>(odd_string(text(), what_), make_));
    co_return;
  }
  std::string received(checked_flow&) override { return text(); }
  int made = 0;

 private:
  maker make_;
  wrong what_;
};

report harmless(wrong what) {
  report found;
  some_run run(what);
  coflow::virtual_executor on;
  const coflow::laws::check_in_progress now("S1", "a check", "", found);
  coflow::run(on, coflow::laws::shutdown_is_harmless(run));
  CHECK(run.made == 1);
  return found;
}

}  // namespace

TEST_CASE("a run of one direction knows the text of its flows", "[one_way_run]") {
  some_run run(wrong::nothing);
  CHECK(run.text() == "the text");
  static_assert(!std::is_copy_constructible_v<one_way_run>);
}

TEST_CASE("shutdowns of a flow that goes one way, before and after its close, leave it closed", "[one_way_run]") {
  CHECK(harmless(wrong::nothing).passed());
  CHECK(harmless(wrong::close_leaves_it_open).broke("S1"));
  CHECK(harmless(wrong::close_is_eof).broke("S1"));
}

TEST_CASE("a law of one direction is about cancellation only if it says so", "[one_way_run]") {
  const one_way_law plain{"R1", "a check", coflow::laws::shutdown_is_harmless};
  CHECK_FALSE(plain.cancels);
  const one_way_law stopping{"X0", "a check", coflow::laws::shutdown_is_harmless, true};
  CHECK(stopping.cancels);
}
