#pragma once

// What two shared libraries with hidden symbols tell of themselves.

#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <system_error>

namespace libraries {

struct view {
  const std::error_category* errors = nullptr;
  const std::error_category* conditions = nullptr;
  const coflow::executor* running = nullptr;
  std::error_code closed;
  bool closed_is_disconnected = false;
};

void one_look(view& out);
void two_look(view& out);
/// Of a library that was linked so that it keeps everything to itself: it must be seen to disagree.
void three_look(view& out);
/// Sends back what it reads.
coflow::task<coflow::result<void>> one_echo(coflow::memory_flow flow);
coflow::task<coflow::result<void>> two_echo(coflow::memory_flow flow);
/// True for `error::closed`.
bool one_knows(const std::error_code& code);
bool two_knows(const std::error_code& code);

}  // namespace libraries
