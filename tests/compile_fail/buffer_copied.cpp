// expect(g++): use of deleted function
// expect(clang): call to deleted constructor of 'const coflow::buffer'
#include <utility>

#include "coflow/core/buffer.hpp"

void take(coflow::buffer& one) {
#ifdef CONTROL
  const coflow::buffer other = std::move(one);
#else
  const coflow::buffer other = one;
#endif
  static_cast<void>(other);
}
