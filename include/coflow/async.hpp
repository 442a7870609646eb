/// \file
/// Structured concurrency over an executor.
#pragma once

#include "coflow/async/async_event.hpp"
#include "coflow/async/async_generator.hpp"
#include "coflow/async/async_mutex.hpp"
#include "coflow/async/async_semaphore.hpp"
#include "coflow/async/channel.hpp"
#include "coflow/async/on.hpp"
#include "coflow/async/on_failure.hpp"
#include "coflow/async/run.hpp"
#include "coflow/async/sleep.hpp"
#include "coflow/async/spawn.hpp"
#include "coflow/async/task_scope.hpp"
#include "coflow/async/timeout.hpp"
#include "coflow/async/when_all.hpp"
#include "coflow/async/when_any.hpp"
