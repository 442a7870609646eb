#pragma once

// A flow that breaks one law, on purpose, and what the law suite must say about it.

#include <coflow/testing/laws.hpp>
#include <vector>

namespace broken {

struct specimen {
  const char* name;                                          // what is wrong with it, a sentence
  const char* law;                                           // the law that a finding must be about
  coflow::report (*check)(const coflow::law_options& with);  // runs the suite over it
};

}  // namespace broken
