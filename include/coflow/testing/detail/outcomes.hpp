/// \file
/// What came of operations that ran as children of a check.
#pragma once

#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"

namespace coflow::inline v0 {
namespace laws {

/// What came of a read that ran as a child.
struct reading {
  reading() noexcept {}
  bool started = false;
  bool done = false;
  read_result got;
};
/// What came of a read into the law's own memory that ran as a child.
struct reading_into {
  reading_into() noexcept {}
  bool started = false;
  bool done = false;
  read_into_result got;
};
/// What came of a write that ran as a child.
struct writing {
  writing() noexcept {}
  bool started = false;
  bool done = false;
  result<void> sent;
};
/// What came of a shutdown or a close that ran as a child.
struct shutting {
  shutting() noexcept {}
  bool started = false;
  bool done = false;
};

}  // namespace laws
}  // namespace coflow::inline v0
