// expect: read_into
#include <cstddef>
#include <span>

#include "coflow/core/task.hpp"
#include "coflow/memory/memory_pipe.hpp"

coflow::task<> fill(coflow::memory_flow* flow) {
#ifdef CONTROL
  static std::byte room[16];
#else
  static constexpr std::byte room[16] = {};
#endif
  static_cast<void>(co_await flow->read_into(std::span(room)));
}
