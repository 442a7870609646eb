/// \file
/// Flows of the operating system.
#pragma once

#include "coflow/net/endpoint.hpp"
#include "coflow/net/event_loop.hpp"
#include "coflow/net/listen_descriptors.hpp"
#include "coflow/net/run_main.hpp"
#include "coflow/net/tcp_connect.hpp"
#include "coflow/net/tcp_flow.hpp"
#include "coflow/net/tcp_listener.hpp"
#include "coflow/net/tcp_options.hpp"
#include "coflow/net/unix_address.hpp"
#include "coflow/net/unix_connect.hpp"
#include "coflow/net/unix_flow.hpp"
#include "coflow/net/unix_listener.hpp"
#include "coflow/net/unix_options.hpp"
