// expect(g++): discards qualifiers
// expect(clang): not marked const
#include <cstddef>

#include "coflow/core/buffer.hpp"

#ifdef CONTROL
void change(coflow::buffer& one) {
#else
void change(const coflow::buffer& one) {
#endif
  one.writable()[0] = std::byte{1};
}
