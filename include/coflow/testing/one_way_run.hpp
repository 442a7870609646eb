/// \file
/// What a law about a flow that goes one way is, and what its body has to work with.
#pragma once

#include <string>
#include <utility>

#include "coflow/testing/checked_flow.hpp"
#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

/// What a law about one direction gets.
class one_way_run {
 public:
  one_way_run(const one_way_run&) = delete;
  one_way_run& operator=(const one_way_run&) = delete;

  /// Makes a fresh flow.
  [[nodiscard]] virtual task<> make(checked_flow* into) = 0;
  /// What a sink has taken.
  [[nodiscard]] virtual std::string received(checked_flow& sink) = 0;
  /// What a source gives.
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 protected:
  explicit one_way_run(std::string text) : text_(std::move(text)) {}
  ~one_way_run() = default;

 private:
  std::string text_;
};

/// One promise of sources or sinks as a check.
struct one_way_law {
  const char* id;
  const char* check;
  task<> (*body)(one_way_run&);
  bool cancels = false;  // it is about stop requests
};

inline task<> shutdown_is_harmless(one_way_run& run) {
  checked_flow flow;
  co_await run.make(&flow);
  for (int i = 0; i < 3; ++i)
    for (const shutdown_mode mode : {shutdown_mode::write, shutdown_mode::read, shutdown_mode::read_write})
      co_await flow.shutdown(mode);
  co_await flow.close();
  for (const shutdown_mode mode : {shutdown_mode::write, shutdown_mode::read, shutdown_mode::read_write})
    co_await flow.shutdown(mode);
  const read_result got = co_await flow.read();
  expect_error(got, error::closed);
}

}  // namespace laws
}  // namespace coflow::inline v0
