/// \file
/// TLS with OpenSSL 3: contexts, their options, and what connections can be asked. Link with `coflow::openssl`.
///
///     auto context = coflow::openssl_context::client();
///     auto tls = co_await coflow::tls_client(*context, std::move(tcp), "example.org");
#pragma once

#include "coflow/tls/openssl_certificate.hpp"
#include "coflow/tls/openssl_context.hpp"
#include "coflow/tls/openssl_engine.hpp"
#include "coflow/tls/openssl_error.hpp"
#include "coflow/tls/openssl_options.hpp"
#include "coflow/tls/tls_flow.hpp"
