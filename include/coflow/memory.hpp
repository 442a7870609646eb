/// \file
/// Flows without an operating system.
#pragma once

#include "coflow/memory/function_flow.hpp"
#include "coflow/memory/memory_pipe.hpp"
#include "coflow/memory/string_flow.hpp"
