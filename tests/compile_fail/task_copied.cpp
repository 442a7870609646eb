// expect: deleted
#include <utility>

#include "coflow/core/task.hpp"

coflow::task<int> take(coflow::task<int>& one) {
#ifdef CONTROL
  return std::move(one);
#else
  return one;
#endif
}
