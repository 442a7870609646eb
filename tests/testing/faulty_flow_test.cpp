// What a faulty flow promises: it keeps the contract while it cuts up, delays and fails as its plan says.
#include <chrono>
#include <coflow/async/run.hpp>
#include <coflow/async/sleep.hpp>
#include <coflow/async/spawn.hpp>
#include <coflow/async/task_scope.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/faulty_flow.hpp>
#include <coflow/testing/laws.hpp>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::fault_plan;
using coflow::memory_flow;
using coflow::memory_pipe;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::split;
using coflow::task;
using coflow::task_scope;
using faulty = coflow::faulty_flow<memory_flow>;

static_assert(coflow::check_flow_shape<faulty>());
static_assert(coflow::SystemFlow<coflow::faulty_flow<faulty>>);

// ---- the whole contract

class two_faulty_ends {
 public:
  explicit two_faulty_ends(fault_plan plan) noexcept : plan_(plan) {}
  std::pair<faulty, faulty> operator()() const {
    auto ends = memory_pipe(600);
    return {faulty(std::move(ends.first), plan_), faulty(std::move(ends.second), plan_)};
  }
  void reset(faulty& end) const noexcept { end.lowest_layer().reset(); }

 private:
  fault_plan plan_;
};

// Its clock moves with every turn, so that time passes while others are busy.
class ticking_executor final : public coflow::executor {
 public:
  ticking_executor() noexcept {}
  ~ticking_executor() { finish(); }

  time_point now() const noexcept override { return now_; }
  void turn() {
    now_ += duration(1);
    const entry current(*this);
    expire_timers(now_);
    if (run_ready() != 0) return;
    const auto next = next_deadline();
    if (!next) throw coflow::hang("nothing is ready and no timer is armed");
    if (*next > now_) now_ = *next;
  }
  bool take_stop_request() noexcept { return false; }

 private:
  void wake() noexcept override {}
  time_point now_{1h};
};

template <class Executor = coflow::virtual_executor>
std::string findings(fault_plan plan, coflow::law_options options = coflow::law_options()) {
  options.many(2000);
  const coflow::report found = coflow::check_flow<Executor>(two_faulty_ends(plan), options);
  CHECK(found.expectations() > 200);
  std::string text;
  for (const coflow::finding& one : found.findings()) text += to_string(one);
  return text;
}

}  // namespace

TEST_CASE("a faulty flow without faults keeps the contract", "[faulty_flow]") { CHECK(findings(fault_plan()) == ""); }

// Byte by byte, laws that move megabytes take their time: those that are about a single read or write.
TEST_CASE("a faulty flow that passes a byte at a time keeps the contract", "[faulty_flow]") {
  coflow::law_options options;
  for (const char* law :
       {"R1", "R3", "R4", "R5", "R6", "R7", "R8", "W5", "W9", "S1", "S2", "C1", "C2", "C6", "X0", "X1"})
    options.only(law);
  CHECK(findings(fault_plan().reads(split::one_byte).writes(split::one_byte), options) == "");
}

TEST_CASE("a faulty flow that cuts everything in halves keeps the contract", "[faulty_flow]") {
  CHECK(findings(fault_plan().reads(split::halves).writes(split::halves)) == "");
}

TEST_CASE("a faulty flow that cuts everything at random keeps the contract", "[faulty_flow]") {
  for (const unsigned seed : {1U, 2U, 3U})
    CHECK(findings(fault_plan().reads(split::random).writes(split::random).seed(seed)) == "");
}

TEST_CASE("a slow faulty flow keeps the contract", "[faulty_flow]") {
  CHECK(findings<ticking_executor>(fault_plan().slow(1ns)) == "");
}

namespace {

// ---- one fault after the other: a plain end `a`, a faulty end `b`

using texts = std::vector<std::string>;
const std::string canceled = coflow::canceled().message();
const std::string closed = coflow::make_error_code(coflow::error::closed).message();
const std::error_code no_space = std::make_error_code(std::errc::no_space_on_device);
const std::error_code reset = std::make_error_code(std::errc::connection_reset);

std::string text_of(const read_result& got) {
  if (got.eof()) return "eof";
  if (got.failed()) return got.error().message();
  return std::string(got->text());
}
std::string text_of(const result<void>& sent) { return sent ? "sent" : sent.error().message(); }

template <class Flow>
task<> read_times(Flow* flow, int count, std::vector<std::string>* out) {
  for (int i = 0; i < count; ++i) {
    const read_result got = co_await flow->read();
    out->push_back(text_of(got));
  }
}
template <class Flow>
task<> write_text(Flow* flow, std::string text, std::vector<std::string>* out) {
  const result<void> sent = co_await flow->write(buffer(text));
  out->push_back(text_of(sent));
}

task<> close_after(faulty* flow, std::chrono::seconds time) {
  const result<void> slept = co_await coflow::sleep_for(time);
  CHECK(slept);
  co_await flow->close();
}

// `b` follows the plan; `a` is its peer and writes `text`, then ends its stream.
struct ends {
  ends(const std::string& text, fault_plan plan) : ends(memory_pipe(), plan) {
    std::vector<std::string> sent;
    coflow::run(on, write_text(&a, text, &sent));
    coflow::run(on, shut(&a));
    CHECK(sent == texts{"sent"});
  }
  ends(std::pair<memory_flow, memory_flow> pipe, fault_plan plan)
      : a(std::move(pipe.first)), b(std::make_unique<faulty>(std::move(pipe.second), plan)) {}

  static task<> shut(memory_flow* flow) { co_await flow->shutdown(shutdown_mode::write); }
  texts read(int count) {
    texts got;
    coflow::run(on, read_times(b.get(), count, &got));
    return got;
  }
  texts read_peer(int count) {
    texts got;
    coflow::run(on, read_times(&a, count, &got));
    return got;
  }
  texts write(const std::string& text) {
    texts got;
    coflow::run(on, write_text(b.get(), text, &got));
    return got;
  }
  void close() {
    const coflow::executor::entry current(on);
    b.reset();
  }

  coflow::virtual_executor on;
  memory_flow a;
  std::unique_ptr<faulty> b;
};

}  // namespace

TEST_CASE("reads are cut up as the plan says, and nothing is lost", "[faulty_flow]") {
  CHECK(ends("abcdefg", fault_plan()).read(2) == texts{"abcdefg", "eof"});
  CHECK(ends("abc", fault_plan().reads(split::one_byte)).read(4) == texts{"a", "b", "c", "eof"});
  CHECK(ends("abcdefg", fault_plan().reads(split::halves)).read(4) == texts{"abcd", "ef", "g", "eof"});
  bool differs = false;
  texts first;
  for (unsigned seed = 0; seed < 8; ++seed) {
    const texts got = ends("abcdefg", fault_plan().reads(split::random).seed(seed)).read(8);
    std::string all;
    for (const std::string& one : got) all += one == "eof" ? "" : one;
    CHECK(all == "abcdefg");
    CHECK(got == ends("abcdefg", fault_plan().reads(split::random).seed(seed)).read(8));
    differs = differs || (seed != 0 && got != first);
    if (seed == 0) first = got;
  }
  CHECK(differs);
}

TEST_CASE("writes are cut up as the plan says", "[faulty_flow]") {
  ends one("", fault_plan().writes(split::halves));
  CHECK(one.write("abcdefg") == texts{"sent"});
  CHECK(one.read_peer(3) == texts{"abcd", "ef", "g"});
}

TEST_CASE("a read fails when the plan says so, behind what is left of an earlier one", "[faulty_flow]") {
  ends one("abcd", fault_plan().reads(split::halves).fail_read(2, no_space));
  CHECK(one.read(5) == texts{"ab", "c", "d", no_space.message(), no_space.message()});
  CHECK(one.write("still") == texts{"sent"});
  CHECK(one.read_peer(1) == texts{"still"});
}

TEST_CASE("reads fail or end after so many bytes", "[faulty_flow]") {
  CHECK(ends("abcd", fault_plan().fail_read_after(3, no_space)).read(3) ==
        texts{"abc", no_space.message(), no_space.message()});
  CHECK(ends("abcd", fault_plan().fail_read_after(4, no_space)).read(2) == texts{"abcd", no_space.message()});
  CHECK(ends("abcd", fault_plan().end_reads_after(3)).read(3) == texts{"abc", "eof", "eof"});
  CHECK(ends("abcd", fault_plan().end_reads_after(0)).read(1) == texts{"eof"});
}

TEST_CASE("a planned reset breaks both halves and the flow below", "[faulty_flow]") {
  {
    ends one("abcd", fault_plan().fail_read_after(2, reset));
    CHECK(one.read(3) == texts{"ab", reset.message(), reset.message()});
    CHECK(one.write("x") == texts{reset.message()});
    CHECK(one.read_peer(1) == texts{reset.message()});
  }
  {
    ends one(memory_pipe(), fault_plan().fail_write(2, reset));
    texts got;
    coflow::spawn(one.on, read_times(one.b.get(), 2, &got));
    CHECK(one.write("x") == texts{"sent"});
    CHECK(one.write("y") == texts{reset.message()});
    one.on.run_until_idle();
    CHECK(got == texts{reset.message(), reset.message()});
    CHECK(one.read_peer(2) == texts{"x", reset.message()});
  }
}

TEST_CASE("a write fails when the plan says so, and stays failed", "[faulty_flow]") {
  ends one("kept", fault_plan().fail_write(2, no_space));
  CHECK(one.write("abc") == texts{"sent"});
  CHECK(one.write("") == texts{"sent"});
  CHECK(one.write("def") == texts{no_space.message()});
  CHECK(one.write("ghi") == texts{no_space.message()});
  CHECK(one.read(2) == texts{"kept", "eof"});
  one.close();
  CHECK(one.read_peer(2) == texts{"abc", "eof"});
}

TEST_CASE("a write that the plan ends in the middle is followed by no clean end", "[faulty_flow]") {
  ends one(memory_pipe(), fault_plan().fail_write_after(5, no_space));
  CHECK(one.write("abc") == texts{"sent"});
  CHECK(one.write("def") == texts{no_space.message()});
  one.close();
  CHECK(one.read_peer(3) == texts{"abc", "de", reset.message()});
}

TEST_CASE("a close in the midst of a write that is cut up is no clean end", "[faulty_flow]") {
  for (const bool by_call : {false, true}) {
    ends one(memory_pipe(4), fault_plan().writes(split::one_byte));
    texts got;
    coflow::spawn(one.on, write_text(one.b.get(), "abcdefgh", &got));
    one.on.run_until_idle();
    CHECK(got == texts{});
    if (by_call) coflow::run(one.on, close_after(one.b.get(), 1s));
    one.close();
    one.on.run_until_idle();
    CHECK(got == texts{closed});
    CHECK(one.read_peer(5) == texts{"a", "b", "c", "d", reset.message()});
  }
}

TEST_CASE("a cut ends the flow below without a goodbye", "[faulty_flow]") {
  {
    ends one("abcd", fault_plan().cut_after_reading(2));
    CHECK(one.read(3) == texts{"ab", closed, closed});
    CHECK(one.write("x") == texts{closed});
    CHECK(one.read_peer(1) == texts{"eof"});
  }
  {
    ends one("abcd", fault_plan().cut_after_writing(2));
    CHECK(one.write("xy") == texts{"sent"});
    CHECK(one.write("z") == texts{closed});
    CHECK(one.read(1) == texts{closed});
    CHECK(one.read_peer(2) == texts{"xy", "eof"});
  }
  {
    ends one("abcd", fault_plan().cut_after_writing(2));
    CHECK(one.write("xyz") == texts{closed});
    CHECK(one.read_peer(2) == texts{"xy", "eof"});
  }
}

namespace {

task<> cancel_reads(faulty* flow, memory_flow* peer, std::vector<std::string>* out) {
  for (int i = 0; i < 4; ++i) {
    task_scope scope;
    scope.spawn(read_times(flow, 1, out)).value();
    co_await coflow::laws::turns(i);
    if (i == 2) {
      const result<void> sent = co_await peer->write(buffer("abc"));
      CHECK(sent);
    }
    scope.cancel();
    const result<void> joined = co_await scope.join();
    CHECK(joined);
  }
}

}  // namespace

TEST_CASE("what is left of a read outlives cancelled ones", "[faulty_flow]") {
  ends one(memory_pipe(), fault_plan().reads(split::one_byte));
  texts got;
  coflow::run(one.on, cancel_reads(one.b.get(), &one.a, &got));
  coflow::run(one.on, ends::shut(&one.a));
  for (std::string& text : one.read(4)) got.push_back(text);
  std::string all;
  for (const std::string& text : got)
    if (text.size() == 1) all += text;
  CHECK(all == "abc");
  CHECK(got.back() == "eof");
  CHECK(got.front() == canceled);
}

TEST_CASE("a slow flow takes its time, and gives it back when it is told to end", "[faulty_flow]") {
  ends one("abc", fault_plan().slow(10s));
  const auto start = one.on.now();
  CHECK(one.read(2) == texts{"abc", "eof"});
  CHECK(one.on.now() - start == 20s);
  CHECK(one.write("slow") == texts{"sent"});
  CHECK(one.on.now() - start == 30s);
  CHECK(one.write("") == texts{"sent"});
  CHECK(one.on.now() - start == 30s);
  texts got;
  coflow::spawn(one.on, write_text(one.b.get(), "never", &got));
  coflow::run(one.on, close_after(one.b.get(), 3s));
  one.on.run_until_idle();
  CHECK(got == texts{closed});
  CHECK(one.on.now() - start == 33s);
  CHECK(one.read_peer(2) == texts{"slow", "eof"});
}
