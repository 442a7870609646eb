/// \file
/// What one child's failure means to the others.
#pragma once

namespace coflow::inline v0 {

/// What a child's failure means to its siblings, in a `task_scope` and in `when_all`. A child fails by giving an error
/// or by an exception.
enum class on_failure {
  cancel_siblings,  ///< the others are told to stop
  isolate,          ///< nobody else is touched
};

}  // namespace coflow::inline v0
