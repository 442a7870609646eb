// expect: ignoring return(ed)? value
#include "coflow/core/error.hpp"
#include "coflow/core/result.hpp"

coflow::result<void> save();
void user() {
#ifdef CONTROL
  static_cast<void>(save());
#else
  save();
#endif
}
