// expect: no matching function for call to 'sleep_for
#include <chrono>

#include "coflow/async/sleep.hpp"

auto user() {
#ifdef CONTROL
  return coflow::sleep_for(std::chrono::seconds(5));
#else
  return coflow::sleep_for(5);
#endif
}
