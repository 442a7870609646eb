// expect(g++): assignment of read-only location
// expect(clang): returns a const value
#include <cstddef>

#include "coflow/core/buffer.hpp"

void change(coflow::buffer& one) {
#ifdef CONTROL
  one.writable()[0] = std::byte{1};
#else
  one.bytes()[0] = std::byte{1};
#endif
}
