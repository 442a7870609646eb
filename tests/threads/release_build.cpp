// Uses flows on threads whose loops they do not belong to, with assertions compiled out: each operation must give an
// error, and the flow must go on working at home.
//
//     release_build

#ifndef NDEBUG
#define NDEBUG
#endif

#include <cstdio>
#include <string>

#include "threads/foreign.hpp"

int main() {
  int status = 0;
  for (const std::string_view which : foreign::all_cases) {
    const std::string breach = foreign::play(which);
    if (breach.empty()) {
      std::printf("ok\n");
      continue;
    }
    std::printf("%.*s: %s\n", static_cast<int>(which.size()), which.data(), breach.c_str());
    status = 1;
  }
  return status;
}
