/// \file
/// One piece of work on an executor's ready queue.
#pragma once

#include "coflow/core/detail/intrusive_list.hpp"

namespace coflow::inline v0 {

/// Work that an executor runs once per `executor::post`. The node is part of what it resumes, so posting allocates
/// nothing. For nodes that know when they are queued: one that may be must call `unlink` before it dies. Others derive
/// from `node`.
class basic_node : public detail::list_link {
 public:
  /// Does the work. Runs on the executor's thread, never inside `post`.
  virtual void run() noexcept = 0;

  /// The executor is gone and will not run the node, which is off the queue: for nodes that nobody else owns.
  virtual void discard() noexcept {}

 protected:
  basic_node() noexcept {}
  ~basic_node() = default;
};

/// A node that takes itself off the queue when it dies there; that must happen on the executor's thread.
class node : public basic_node {
 protected:
  node() noexcept {}
  ~node() { unlink(); }
};

}  // namespace coflow::inline v0
