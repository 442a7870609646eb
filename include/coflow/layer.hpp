/// \file
/// Flows made of flows.
#pragma once

#include "coflow/layer/layered_flow.hpp"
#include "coflow/layer/observed.hpp"
