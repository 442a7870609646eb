// expect(g++): cannot convert 'const std::vector<.*>' to 'std::span<coflow::.*buffer>'
// expect(clang): no viable conversion from 'const std::vector<coflow::buffer>' to 'std::span<buffer>'
// assertion failed
#include <span>
#include <vector>

#include "coflow/core/task.hpp"
#include "coflow/memory/memory_pipe.hpp"

// writev moves the buffers out of the list, so a list that cannot be changed is refused.
#ifdef CONTROL
coflow::task<> send(coflow::memory_flow* flow, std::vector<coflow::buffer>* list) {
#else
coflow::task<> send(coflow::memory_flow* flow, const std::vector<coflow::buffer>* list) {
#endif
  static_cast<void>(co_await flow->writev(*list));
}
