// expect(g++): passing 'coflow::.*task<int>' as 'this' argument discards qualifiers
// expect(clang): no member named 'await_ready' in 'coflow::task<int>'
#include <utility>

#include "coflow/core/task.hpp"

coflow::task<int> number();
coflow::task<int> await_it() {
  coflow::task<int> kept = number();
#ifdef CONTROL
  co_return co_await std::move(kept);
#else
  co_return co_await kept;
#endif
}
