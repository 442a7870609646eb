/// \file
/// Everything that needs only the standard library and POSIX.
#pragma once

#include "coflow/async.hpp"
#include "coflow/core.hpp"
#include "coflow/layer.hpp"
#include "coflow/memory.hpp"
#include "coflow/net.hpp"
#include "coflow/tls.hpp"
