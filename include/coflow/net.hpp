/// \file
/// Flows of the operating system.
#pragma once

#include "coflow/net/connect_error.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/event_loop.hpp"
#include "coflow/net/listener.hpp"
#include "coflow/net/name_resolver.hpp"
#include "coflow/net/reactor.hpp"
#include "coflow/net/resolver.hpp"
#include "coflow/net/run_main.hpp"
#include "coflow/net/serve.hpp"
#include "coflow/net/serve_on_all_cores.hpp"
#include "coflow/net/serve_options.hpp"
#include "coflow/net/server_stop.hpp"
#include "coflow/net/stop_switch.hpp"
#include "coflow/net/tcp_connect.hpp"
#include "coflow/net/tcp_flow.hpp"
#include "coflow/net/tcp_listener.hpp"
#include "coflow/net/tcp_options.hpp"
#include "coflow/net/watched_flow.hpp"
