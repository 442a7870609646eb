// expect: ignoring return(ed)? value
#include "coflow/core/task.hpp"
#include "coflow/memory/memory_pipe.hpp"

// An operation that is not awaited does nothing (law O1), so both compilers warn.
coflow::task<> forget(coflow::memory_flow* flow) {
#ifdef CONTROL
  co_await flow->close();
#else
  flow->close();
#endif
  co_return;
}
