/// \file
/// Flows of the operating system.
#pragma once

#include "coflow/net/endpoint.hpp"
#include "coflow/net/event_loop.hpp"
#include "coflow/net/fd_flow.hpp"
#include "coflow/net/run_main.hpp"
#include "coflow/net/signals.hpp"
#include "coflow/net/standard_streams.hpp"
#include "coflow/net/tcp_connect.hpp"
#include "coflow/net/tcp_flow.hpp"
#include "coflow/net/tcp_listener.hpp"
#include "coflow/net/tcp_options.hpp"
