// expect(g++): use of deleted function
// expect(clang): overload resolution selected deleted operator
#include <utility>

#include "coflow/core/buffer.hpp"

void assign(coflow::buffer& to, coflow::buffer& from) {
#ifdef CONTROL
  to = std::move(from);
#else
  to = from;
#endif
}
