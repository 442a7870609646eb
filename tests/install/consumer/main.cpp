#include <coflow/coflow.hpp>
#include <cstdio>
#include <string_view>

#ifndef COFLOW_VERSION
#error "coflow.hpp does not define COFLOW_VERSION"
#endif

int main() {
#ifdef PACKAGE_VERSION
  if (std::string_view(COFLOW_VERSION_STRING) != PACKAGE_VERSION) {
    std::printf("the headers are of version %s, the package of %s\n", COFLOW_VERSION_STRING, PACKAGE_VERSION);
    return 1;
  }
#endif
  std::printf("coflow %s\n", COFLOW_VERSION_STRING);
  return coflow::buffer("x").size() == 1 ? 0 : 1;
}
