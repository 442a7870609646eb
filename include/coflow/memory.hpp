/// \file
/// Flows without an operating system.
#pragma once

#include "coflow/memory/memory_pipe.hpp"
