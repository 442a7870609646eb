/// \file
/// One piece of work on an executor's ready queue.
#pragma once

#include "coflow/core/detail/intrusive_list.hpp"

namespace coflow::inline v0 {

/// Work that an executor runs once per `executor::post`. The node is part of what it resumes, so posting allocates
/// nothing. A node that dies while it is queued takes itself off the queue; that must happen on the executor's thread.
class node : public detail::list_link {
 public:
  /// Does the work. Runs on the executor's thread, never inside `post`.
  virtual void run() noexcept = 0;

 protected:
  node() noexcept {}
  ~node() = default;
};

}  // namespace coflow::inline v0
