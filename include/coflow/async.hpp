/// \file
/// Structured concurrency over an executor.
#pragma once

#include "coflow/async/on.hpp"
#include "coflow/async/run.hpp"
#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "coflow/async/task_scope.hpp"
