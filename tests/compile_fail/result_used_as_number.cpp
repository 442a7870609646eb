// expect(g++): cannot convert 'coflow::.*result<int>' to 'int'
// expect(clang): no viable conversion from returned value of type 'coflow::result<int>'
#include "coflow/core/error.hpp"
#include "coflow/core/result.hpp"

coflow::result<int> count();
int user() {
#ifdef CONTROL
  return *count();
#else
  return count();
#endif
}
