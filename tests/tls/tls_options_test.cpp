#include <chrono>
#include <coflow/tls/tls_options.hpp>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::tls_options;

TEST_CASE("a handshake has ten seconds, a close one, and truncation is an error, unless told otherwise",
          "[tls_options]") {
  const tls_options options;
  CHECK(options.handshake_timeout() == 10s);
  CHECK(options.close_limit() == 1s);
  CHECK(!options.truncation_allowed());
  CHECK(options.codec().close_limit() == 1s);
}

TEST_CASE("the setters of TLS options can be chained, and reach the codec", "[tls_options]") {
  const tls_options options = tls_options().handshake_timeout(3s).close_limit(250ms).allow_truncation(true);
  CHECK(options.handshake_timeout() == 3s);
  CHECK(options.close_limit() == 250ms);
  CHECK(options.truncation_allowed());
  CHECK(options.codec().truncation_allowed());
  CHECK(options.codec().close_limit() == 250ms);
}

TEST_CASE("a negative time is none", "[tls_options]") {
  CHECK(tls_options().handshake_timeout(-1s).handshake_timeout() == 0s);
  CHECK(tls_options().close_limit(-1s).close_limit() == 0s);
}

}  // namespace
