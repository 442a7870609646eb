#pragma once

// Callables for tests of function_flow: a source and a sink that the test opens and shuts, and ones that do nothing.

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/manual_executor.hpp"

namespace support {

// ---- callables that do nothing

inline coflow::read_result no_data() { return coflow::end_of_stream; }
inline void ignore(coflow::buffer) {}

// ---- a source and a sink that the test opens and shuts

// What is to happen in the calls, and what has.
struct plant {
  gate* reading = nullptr;
  gate* writing = nullptr;
  int reads = 0;
  int writes = 0;
  int under_way = 0;
  std::string sent;
  std::vector<std::string> log;
  bool gives_in = false;  // a write that is told to stop gives operation_canceled
};

// Counts a call for as long as its coroutine lives.
class presence {
 public:
  explicit presence(plant* of) noexcept : plant_(of) { ++plant_->under_way; }
  presence(const presence&) = delete;
  presence& operator=(const presence&) = delete;
  ~presence() { --plant_->under_way; }

 private:
  plant* plant_;
};

inline coflow::task<coflow::read_result> read_plant(plant* of) {
  const presence here(of);
  const int number = ++of->reads;
  if (of->reading != nullptr) co_await of->reading->pass();
  co_return coflow::buffer("data " + std::to_string(number));
}
inline coflow::task<coflow::result<void>> write_plant(plant* of, coflow::buffer bytes) {
  const presence here(of);
  ++of->writes;
  if (of->gives_in) {
    const coflow::result<void> slept = co_await coflow::sleep_for(std::chrono::hours(1));
    if (!slept) co_return slept.error();
  }
  if (of->writing != nullptr) co_await of->writing->pass();
  of->sent += bytes.text();
  co_return coflow::success;
}

class plant_reader {
 public:
  explicit plant_reader(plant* of) noexcept : plant_(of) {}
  coflow::task<coflow::read_result> operator()() const { return read_plant(plant_); }

 private:
  plant* plant_;
};

class plant_writer {
 public:
  explicit plant_writer(plant* of) noexcept : plant_(of) {}
  coflow::task<coflow::result<void>> operator()(coflow::buffer bytes) const {
    return write_plant(plant_, std::move(bytes));
  }

 private:
  plant* plant_;
};

class plant_shutdown {
 public:
  explicit plant_shutdown(plant* of) noexcept : plant_(of) {}
  void operator()(coflow::shutdown_mode mode) const {
    plant_->log.push_back((mode == coflow::shutdown_mode::read ? "shut read after " : "shut write after ") +
                          plant_->sent);
  }

 private:
  plant* plant_;
};

class plant_close {
 public:
  explicit plant_close(plant* of) noexcept : plant_(of) {}
  void operator()() const { plant_->log.emplace_back("close"); }

 private:
  plant* plant_;
};
using plant_flow = coflow::function_flow<plant_reader, plant_writer, plant_shutdown, plant_close>;
inline plant_flow flow_of(plant* of) {
  return plant_flow(plant_reader(of), plant_writer(of), plant_shutdown(of), plant_close(of));
}

}  // namespace support
