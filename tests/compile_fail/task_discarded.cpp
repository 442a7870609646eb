// expect: ignoring return(ed)? value
#include "coflow/core/task.hpp"

coflow::task<int> number();
void start() {
#ifdef CONTROL
  static_cast<void>(number());
#else
  number();
#endif
}
