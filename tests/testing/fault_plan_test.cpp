// What a plan says; that a flow does it is faulty_flow_test.cpp's.
#include <chrono>
#include <coflow/async/run.hpp>
#include <coflow/core.hpp>
#include <coflow/memory/memory_pipe.hpp>
#include <coflow/testing/fault_plan.hpp>
#include <coflow/testing/faulty_flow.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::fault_plan;
using coflow::faulty_flow;
using coflow::memory_flow;
using coflow::read_result;
using coflow::result;
using coflow::split;
using coflow::task;
using coflow::virtual_executor;

const std::error_code trouble = std::make_error_code(std::errc::io_error);

// A reader through a plan, and what it saw of the twelve bytes that the other end wrote before its end.
struct seen {
  seen() noexcept {}
  std::vector<std::size_t> sizes;
  std::string all;
  std::string end;
  virtual_executor::duration took{};
};

task<> read_all(fault_plan plan, seen* out) {
  auto ends = coflow::memory_pipe();
  faulty_flow<memory_flow> reader(std::move(ends.first), plan);
  const result<void> sent = co_await ends.second.write(buffer("twelve bytes"));
  CHECK(sent);
  co_await ends.second.shutdown(coflow::shutdown_mode::write);
  const auto began = coflow::executor::current()->now();
  for (;;) {
    const read_result got = co_await reader.read();
    if (!got) {
      out->end = got.eof() ? std::string("eof") : got.error().message();
      break;
    }
    out->sizes.push_back(got->size());
    out->all += got->text();
  }
  out->took = coflow::executor::current()->now() - began;
}
seen reading(fault_plan plan) {
  seen out;
  virtual_executor on;
  coflow::run(on, read_all(plan, &out));
  return out;
}

task<> write_twice(fault_plan plan, std::vector<std::string>* out) {
  auto ends = coflow::memory_pipe();
  faulty_flow<memory_flow> writer(std::move(ends.first), plan);
  for (int i = 0; i < 2; ++i) {
    const result<void> sent = co_await writer.write(buffer("twelve bytes"));
    out->push_back(sent ? std::string("success") : sent.error().message());
  }
}
std::vector<std::string> writing(fault_plan plan) {
  std::vector<std::string> out;
  virtual_executor on;
  coflow::run(on, write_twice(plan, &out));
  return out;
}

using sizes = std::vector<std::size_t>;
using verdicts = std::vector<std::string>;

}  // namespace

TEST_CASE("a plan without anything set changes nothing", "[fault_plan]") {
  const seen got = reading(fault_plan());
  CHECK(got.sizes == sizes{12});
  CHECK(got.all == "twelve bytes");
  CHECK(got.end == "eof");
  CHECK(got.took == 0s);
  CHECK(writing(fault_plan()) == verdicts{"success", "success"});
}

TEST_CASE("a plan cuts what is read into the pieces that it names", "[fault_plan]") {
  CHECK(reading(fault_plan().reads(split::whole)).sizes == sizes{12});
  CHECK(reading(fault_plan().reads(split::one_byte)).sizes == sizes(12, 1));
  CHECK(reading(fault_plan().reads(split::halves)).sizes == sizes{6, 3, 2, 1});
  for (const split how : {split::one_byte, split::halves, split::random}) {
    const seen got = reading(fault_plan().reads(how));
    CHECK(got.all == "twelve bytes");
    CHECK(got.end == "eof");
  }
}

TEST_CASE("a plan's seed decides its random pieces, and 1 is the one that is not set", "[fault_plan]") {
  const auto pieces = [](std::uint64_t seed) { return reading(fault_plan().reads(split::random).seed(seed)).sizes; };
  CHECK(reading(fault_plan().reads(split::random)).sizes == pieces(1));
  CHECK(pieces(7) == pieces(7));
  bool differ = false;
  for (std::uint64_t seed = 2; seed < 10; ++seed) differ = differ || pieces(seed) != pieces(1);
  CHECK(differ);
}

TEST_CASE("a slow plan takes its time on the executor's clock", "[fault_plan]") {
  CHECK(reading(fault_plan().slow(3s)).took == 6s);  // the data, and the end
  CHECK(reading(fault_plan().slow(0s)).took == 0s);
}

TEST_CASE("a plan fails the read that it names", "[fault_plan]") {
  CHECK(reading(fault_plan().fail_read(1, trouble)).sizes.empty());
  CHECK(reading(fault_plan().fail_read(1, trouble)).end == trouble.message());
  const seen second = reading(fault_plan().fail_read(2, trouble));
  CHECK(second.all == "twelve bytes");
  CHECK(second.end == trouble.message());
  CHECK(reading(fault_plan().fail_read(3, trouble)).end == "eof");
}

TEST_CASE("a plan ends reads after so many bytes", "[fault_plan]") {
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{12}}) {
    const std::string front = std::string("twelve bytes").substr(0, bytes);
    const seen failed = reading(fault_plan().fail_read_after(bytes, trouble));
    CHECK(failed.all == front);
    CHECK(failed.end == trouble.message());
    const seen ended = reading(fault_plan().end_reads_after(bytes));
    CHECK(ended.all == front);
    CHECK(ended.end == "eof");
    const seen cut = reading(fault_plan().cut_after_reading(bytes));
    CHECK(cut.all == front);
    CHECK(cut.end == make_error_code(coflow::error::closed).message());
  }
}

TEST_CASE("a plan has one fault for each half, the one that was set last", "[fault_plan]") {
  const seen got = reading(fault_plan().fail_read(1, trouble).end_reads_after(5));
  CHECK(got.all == "twelv");
  CHECK(got.end == "eof");
  CHECK(writing(fault_plan().fail_write(1, trouble).fail_write(2, trouble)) == verdicts{"success", trouble.message()});
  // Each half has its own.
  CHECK(reading(fault_plan().fail_write(1, trouble)).end == "eof");
  CHECK(writing(fault_plan().fail_read(1, trouble)) == verdicts{"success", "success"});
}

TEST_CASE("a plan fails the write that it names, or the one with so many bytes before it", "[fault_plan]") {
  const std::string no = trouble.message();
  CHECK(writing(fault_plan().fail_write(1, trouble)) == verdicts{no, no});
  CHECK(writing(fault_plan().fail_write(2, trouble)) == verdicts{"success", no});
  CHECK(writing(fault_plan().fail_write_after(0, trouble)) == verdicts{no, no});
  CHECK(writing(fault_plan().fail_write_after(12, trouble)) == verdicts{"success", no});
  CHECK(writing(fault_plan().fail_write_after(13, trouble)) == verdicts{"success", no});
  CHECK(writing(fault_plan().fail_write_after(24, trouble)) == verdicts{"success", "success"});
  const std::string gone = make_error_code(coflow::error::closed).message();
  CHECK(writing(fault_plan().cut_after_writing(12)) == verdicts{"success", gone});
}

TEST_CASE("a plan is a value that can be copied and built on", "[fault_plan]") {
  const fault_plan early = fault_plan().fail_read(1, trouble);
  fault_plan copy = early;
  copy.fail_read(2, trouble);
  CHECK(reading(early).all.empty());
  CHECK(reading(copy).all == "twelve bytes");
  static_assert(std::is_nothrow_default_constructible_v<fault_plan>);
  static_assert(!std::is_aggregate_v<fault_plan>);
}
