// What the law suite as a whole promises; what each law rejects is the business of the tests of its header.
#include <algorithm>
#include <chrono>
#include <coflow/core.hpp>
#include <coflow/memory/memory_pipe.hpp>
#include <coflow/memory/string_flow.hpp>
#include <coflow/testing/laws.hpp>
#include <cstddef>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "broken/broken_closes.hpp"
#include "broken/broken_ownership.hpp"
#include "broken/detours.hpp"
#include "broken/honest_flow.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using broken::altered_pair;
using broken::behaving;
using coflow::buffer;
using coflow::check_flow;
using coflow::law_options;
using coflow::memory_flow;
using coflow::read_result;
using coflow::report;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::laws::all_laws;
using coflow::laws::law;
using coflow::laws::need;

auto plain_pipe() { return coflow::memory_pipe(1000); }

struct rich_pipe {
  auto operator()() const { return coflow::memory_pipe(1000); }
  void reset(memory_flow& flow) const noexcept { flow.reset(); }
  void cut(memory_flow& flow) const noexcept { flow.reset(); }
};

std::size_t count_laws(need what) {
  const auto all = all_laws();
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [what](const law& one) { return covers(one.needs, what); }));
}
std::size_t skipped_because(const report& found, std::string_view why) {
  return static_cast<std::size_t>(
      std::count_if(found.skipped().begin(), found.skipped().end(),
                    [why](const std::string& one) { return one.find(why) != std::string::npos; }));
}

}  // namespace

// ---- the table

TEST_CASE("every law of the contract has a check", "[laws]") {
  std::set<std::string> wanted;
  const auto letter = [&wanted](char group, int first, int last) {
    for (int i = first; i <= last; ++i) wanted.insert(group + std::to_string(i));
  };
  letter('R', 1, 8);
  letter('W', 1, 10);
  letter('S', 1, 4);
  letter('C', 1, 6);
  letter('X', 0, 3);
  letter('O', 1, 4);
  std::set<std::string> there;
  for (const law& one : all_laws()) there.insert(one.id);
  CHECK(there == wanted);
}

TEST_CASE("no two checks of the law suite have one name, and each has one body", "[laws]") {
  std::set<std::string> names;
  for (const law& one : all_laws()) {
    INFO(one.check);
    CHECK(names.insert(one.check).second);
    CHECK((one.body != nullptr) != (one.stage != nullptr));
  }
}

// ---- what passes

TEST_CASE("the law suite passes for a flow that keeps the contract, and leaves nothing out", "[laws]") {
  const report found = check_flow(rich_pipe(), law_options().many(1000));
  INFO(found.text());
  CHECK(found.passed());
  CHECK(found.skipped().empty());
  CHECK(found.checks() == all_laws().size() + 1);  // and how much the flow takes
  CHECK(found.expectations() > 10 * found.checks());
}

namespace {

task<std::pair<memory_flow, memory_flow>> pipe_by_awaiting() {
  co_await coflow::laws::turns(2);
  co_return coflow::memory_pipe(1000);
}

// Errors of a kind of their own, which convert to error codes.
class own_error {
 public:
  own_error() noexcept {}
  explicit own_error(std::error_code code) noexcept : code_(code) {}
  operator std::error_code() const noexcept { return code_; }

 private:
  std::error_code code_;
};

class own_errors_flow {
 public:
  using error_type = own_error;
  using write_error_type = own_error;
  using own_read = coflow::basic_read_result<own_error>;
  using own_write = result<void, own_error>;

  explicit own_errors_flow(memory_flow inner) : inner_(std::move(inner)) {}
  [[nodiscard]] task<own_read> read() { return reading(inner_.read()); }
  [[nodiscard]] task<own_write> write(buffer bytes) { return writing(inner_.write(std::move(bytes))); }
  [[nodiscard]] task<own_write> writev(std::span<buffer> list) { return writing(inner_.writev(list)); }
  [[nodiscard]] task<> shutdown(shutdown_mode mode) { return inner_.shutdown(mode); }
  [[nodiscard]] task<> close() { return inner_.close(); }

 private:
  static task<own_read> reading(task<read_result> inner) {
    read_result got = co_await std::move(inner);
    if (got.eof()) co_return coflow::end_of_stream;
    if (got.failed()) co_return own_error(got.error());
    co_return std::move(*got);
  }
  static task<own_write> writing(task<result<void>> inner) {
    const result<void> sent = co_await std::move(inner);
    if (!sent) co_return own_error(sent.error());
    co_return coflow::success;
  }
  broken::honest_flow inner_;
};
std::pair<own_errors_flow, own_errors_flow> pipe_of_own_errors() {
  auto ends = coflow::memory_pipe(1000);
  return {own_errors_flow(std::move(ends.first)), own_errors_flow(std::move(ends.second))};
}

}  // namespace

TEST_CASE("the law suite checks flows that a factory makes by awaiting", "[laws]") {
  const report found = check_flow(pipe_by_awaiting, law_options().only("R1").only("W1").only("C4"));
  INFO(found.text());
  CHECK(found.passed());
  CHECK(found.checks() > 3);
}

TEST_CASE("the law suite checks flows whose errors convert to error codes", "[laws]") {
  static_assert(coflow::check_flow_shape<own_errors_flow>());
  const report found = check_flow(pipe_of_own_errors, law_options().many(100));
  INFO(found.text());
  CHECK(found.passed());
}

// ---- what is left out

TEST_CASE("a check that needs what the factory lacks is left out, with the reason", "[laws]") {
  const report found = check_flow(plain_pipe, law_options().many(1000));
  INFO(found.text());
  CHECK(found.passed());
  CHECK(count_laws(need::reset) > 0);
  CHECK(count_laws(need::cut) > 0);
  CHECK(skipped_because(found, "the factory cannot reset a peer") == count_laws(need::reset));
  CHECK(skipped_because(found, "the factory cannot cut a connection") == count_laws(need::cut));
  CHECK(found.checks() + found.skipped().size() == all_laws().size() + 1);
}

TEST_CASE("a reason names the check and everything that it lacks", "[laws]") {
  const std::string why = coflow::laws::missing(need::reset | need::back_pressure | need::one_type, [] {
    class nothing_given final : public coflow::laws::law_run {
     public:
      nothing_given() { given_ = need::one_type; }
      ~nothing_given() = default;
      task<coflow::laws::flow_ends> connect() override { co_return coflow::laws::flow_ends(); }
    };
    return nothing_given();
  }());
  CHECK(why == "the factory cannot reset a peer, writers never wait");
}

TEST_CASE("flows without cancellation are checked without it", "[laws]") {
  const report found = check_flow(rich_pipe(), law_options().without_cancellation().only("X0").only("X1").only("R1"));
  INFO(found.text());
  CHECK(found.passed());
  CHECK(found.skipped().size() > 3);
  CHECK(skipped_because(found, ": operations do not hear of stop requests") == found.skipped().size());
}

TEST_CASE("flows with a goodbye of their own are not asked for a clean destruction", "[laws]") {
  const report found = check_flow(rich_pipe(), law_options().ends_with_goodbye().many(1000));
  CHECK(skipped_because(found, "destruction sends no goodbye") == count_laws(need::clean_destruction));
}

namespace {

// Takes any amount of bytes.
std::pair<coflow::string_flow, coflow::string_flow> bottomless() {
  return {coflow::string_sink(), coflow::string_sink()};
}

}  // namespace

TEST_CASE("flows without back-pressure break W8, unless that is said to be by design", "[laws]") {
  const report found = check_flow(bottomless, law_options().only("W8"));
  CHECK(found.broke("W8"));
  REQUIRE_FALSE(found.findings().empty());
  CHECK(found.findings().front().happened == "64 MiB were accepted");
  const report by_design = check_flow(bottomless, law_options().only("W8").without_back_pressure());
  CHECK(by_design.findings().empty());
  CHECK(skipped_because(by_design, "writers never wait") == by_design.skipped().size());
  CHECK_FALSE(by_design.skipped().empty());
}

// ---- the other options

TEST_CASE("one law, or one check, is run alone", "[laws]") {
  const law_options quick = law_options().without_back_pressure();
  const auto all = all_laws();
  const auto of_r1 = std::count_if(all.begin(), all.end(), [](const law& one) { return one.id == std::string("R1"); });
  CHECK(check_flow(plain_pipe, law_options(quick).only("R1")).checks() == static_cast<std::size_t>(of_r1));
  CHECK(check_flow(plain_pipe, law_options(quick).only(all.front().check)).checks() == 1);
  const report nothing = check_flow(plain_pipe, law_options(quick).only("no such law"));
  CHECK(nothing.checks() == 0);
  CHECK_FALSE(nothing.passed());
}

namespace {

class counting_flow : public memory_flow {
 public:
  counting_flow(memory_flow inner, long& writes) : memory_flow(std::move(inner)), writes_(&writes) {}
  [[nodiscard]] auto write(buffer bytes) noexcept {
    ++*writes_;
    return memory_flow::write(std::move(bytes));
  }

 private:
  long* writes_;
};

long writes_of_many(int many) {
  long writes = 0;
  const auto make = [&writes] {
    auto ends = coflow::memory_pipe();
    return std::pair(counting_flow(std::move(ends.first), writes), counting_flow(std::move(ends.second), writes));
  };
  const report found =
      check_flow(make, law_options().without_back_pressure().many(many).only(
                           "very many operations that complete at once use no stack and starve nobody"));
  CHECK(found.passed());
  return writes;
}

class is_busy_for_ever : public broken::behaviour {
 public:
  task<read_result> read(shared) override {
    for (;;) {
      co_await coflow::laws::turns();
      if (!inner) co_return coflow::error::closed;
    }
  }
};
class never_reads : public broken::behaviour {
 public:
  task<read_result> read(shared) override {
    co_await broken::waiting_for_ever();
    co_return coflow::end_of_stream;
  }
};

}  // namespace

TEST_CASE("how many very many operations are is an option", "[laws]") {
  CHECK(writes_of_many(100) == 100);
  CHECK(writes_of_many(1500) == 1500);
}

TEST_CASE("a flow that is busy without end is a finding when the limit is over", "[laws]") {
  const report found = check_flow(altered_pair(&behaving<is_busy_for_ever>),
                                  law_options().limit(50ms).without_back_pressure().only("R6"));
  REQUIRE(found.broke("R6"));
  CHECK(found.findings().front().expected == "it comes to an end");
  CHECK(found.findings().front().happened == "it hangs");
}

TEST_CASE("a hang is a finding that says who waits", "[laws]") {
  const report found =
      check_flow(altered_pair(&behaving<never_reads>), law_options().without_back_pressure().only("R6"));
  REQUIRE(found.broke("R6"));
  CHECK(found.findings().front().expected == "it comes to an end");
  CHECK_THAT(found.findings().front().happened, Catch::Contains("a task of the law waits for"));
}

namespace {

std::pair<memory_flow, memory_flow> no_pipe() { throw std::runtime_error("no pipe today"); }
task<std::pair<memory_flow, memory_flow>> no_pipe_by_awaiting() {
  co_await coflow::laws::turns();
  throw std::runtime_error("no pipe today");
  co_return coflow::memory_pipe();
}

template <class Factory>
void require_no_pipe_is_a_finding(Factory make) {
  const report found = check_flow(make, law_options().only("R6"));
  INFO(found.text());
  REQUIRE(found.broke("R6"));
  for (const coflow::finding& one : found.findings())
    if (one.law == "R6") CHECK(one.happened == "no pipe today");
}

}  // namespace

TEST_CASE("a factory that throws is a finding of every check", "[laws]") {
  require_no_pipe_is_a_finding(no_pipe);
  require_no_pipe_is_a_finding(no_pipe_by_awaiting);
}

// ---- what is rejected

TEST_CASE("a flow that breaks a law is rejected, and the finding can be run alone", "[laws]") {
  const report found = check_flow(altered_pair(&behaving<broken::gives_eof_after_its_close>), law_options().many(10));
  INFO(found.text());
  CHECK_FALSE(found);
  REQUIRE(found.broke("C1"));
  for (const coflow::finding& one : found.findings()) {
    CHECK(one.reproduce == "law_options().only(\"" + one.check + "\")");
    const report again =
        check_flow(altered_pair(&behaving<broken::gives_eof_after_its_close>), law_options().many(10).only(one.check));
    CHECK(again.broke(one.law));
  }
}

TEST_CASE("a flow that resumes somebody inline is rejected for it", "[laws]") {
  const law_options inline_only = law_options().only("O3");
  CHECK(check_flow(altered_pair(&behaving<broken::resumes_readers_inside_its_close>), inline_only).broke("O3"));
  CHECK(check_flow(broken::handled_pair(&broken::behaving_with_handle<broken::resumes_readers_inside_its_destruction>),
                   inline_only)
            .broke("O3"));
  CHECK(check_flow(altered_pair(&behaving<broken::loses_a_read_when_closed>), inline_only).broke("O3"));
}
