// What the options of a proxy keep.
#include <chrono>
#include <coflow/core/executor.hpp>
#include <coflow/layer/proxy_options.hpp>

#include "support/catch.hpp"

using coflow::executor;
using coflow::proxy_options;
using namespace std::chrono_literals;

TEST_CASE("a proxy has no limits unless they are set", "[proxy_options]") {
  const proxy_options options;
  CHECK(options.linger() == executor::duration::max());
  CHECK(options.idle_timeout() == executor::duration::zero());
}

TEST_CASE("the limits of a proxy are set one behind the other", "[proxy_options]") {
  const proxy_options options = proxy_options().linger(30s).idle_timeout(5min);
  CHECK(options.linger() == 30s);
  CHECK(options.idle_timeout() == 5min);
  CHECK(proxy_options().linger(-1s).linger() == 0s);
  CHECK(proxy_options().idle_timeout(std::chrono::hours::max()).idle_timeout() == executor::duration::max());
  CHECK(proxy_options().linger(0.5ns).linger() == executor::duration(1));
}
