// expect(g++): use of deleted function
// expect(clang): call to deleted constructor of '(coflow::)?buffer'
#include <utility>

#include "coflow/core/task.hpp"
#include "coflow/memory/memory_pipe.hpp"

// Bytes that were given to a write belong to the flow (law W2): who wants to send them twice shares them.
coflow::task<> send_twice(coflow::memory_flow* flow, coflow::buffer bytes) {
#ifdef CONTROL
  static_cast<void>(co_await flow->write(bytes.share()));
  static_cast<void>(co_await flow->write(std::move(bytes)));
#else
  static_cast<void>(co_await flow->write(bytes));
  static_cast<void>(co_await flow->write(bytes));
#endif
}
