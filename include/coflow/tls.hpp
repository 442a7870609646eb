/// \file
/// TLS over any flow. The binding of a TLS library is opt-in: `coflow/tls/openssl.hpp`.
#pragma once

#include "coflow/tls/engine.hpp"
#include "coflow/tls/tls_error.hpp"
#include "coflow/tls/tls_flow.hpp"
#include "coflow/tls/tls_options.hpp"
