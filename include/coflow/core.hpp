/// \file
/// The vocabulary: buffers, results, tasks, the Flow concept; no operating system, no event loop.
#pragma once

#include "coflow/core/awaitable.hpp"
#include "coflow/core/awaiting.hpp"
#include "coflow/core/buffer.hpp"
#include "coflow/core/config.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/flow_operations.hpp"
#include "coflow/core/half_state.hpp"
#include "coflow/core/node.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/operation_queue.hpp"
#include "coflow/core/read_into_result.hpp"
#include "coflow/core/read_result.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/shutdown_mode.hpp"
#include "coflow/core/stop.hpp"
#include "coflow/core/task.hpp"
