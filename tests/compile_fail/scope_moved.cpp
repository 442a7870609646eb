// expect: deleted
#include <utility>

#include "coflow/async/task_scope.hpp"

// Children point at their scope.
void user() {
  coflow::task_scope scope;
#ifdef CONTROL
  coflow::task_scope& other = scope;
#else
  coflow::task_scope other = std::move(scope);
#endif
  other.cancel();
}
