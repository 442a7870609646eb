// expect: any_read_into_flow
#include <utility>

#include "coflow/layer/any_flow.hpp"
#include "coflow/memory/memory_pipe.hpp"

// What holds any flow that reads into the caller's memory takes no flow that does not.
coflow::any_read_into_flow hold(coflow::memory_flow flow) {
#ifdef CONTROL
  return coflow::any_read_into_flow(std::move(flow));
#else
  return coflow::any_read_into_flow(coflow::any_flow(std::move(flow)));
#endif
}
