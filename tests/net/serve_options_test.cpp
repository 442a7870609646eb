#include "coflow/net/serve_options.hpp"

#include <chrono>
#include <concepts>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>

#include "coflow/core/error.hpp"
#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;
using coflow::connection_failure;
using coflow::endpoint;
using coflow::serve_options;
using coflow::watched_serve_options;

}  // namespace

TEST_CASE("without a word a server has no bounds but ten seconds of grace", "[serve_options]") {
  const serve_options plain;
  CHECK(plain.max_connections() == 0);
  CHECK(plain.idle_timeout() == 0s);
  CHECK(plain.grace() == 10s);
  CHECK(plain.stopped_by() == nullptr);
  CHECK_FALSE(plain.on_error());
}

TEST_CASE("an idle timeout changes the type of the options and keeps the rest, in any order", "[serve_options]") {
  coflow::server_stop stop;
  int calls = 0;
  const auto options = serve_options()
                           .max_connections(3)
                           .on_error([&calls](const connection_failure&) { ++calls; })
                           .idle_timeout(30s)
                           .grace(5s)
                           .stopped_by(stop);
  STATIC_REQUIRE(std::same_as<const watched_serve_options, decltype(options)>);
  CHECK(options.max_connections() == 3);
  CHECK(options.idle_timeout() == 30s);
  CHECK(options.grace() == 5s);
  CHECK(options.stopped_by() == &stop);
  options.on_error()(connection_failure(coflow::error::closed, endpoint()));
  CHECK(calls == 1);
  CHECK(options.idle_timeout(1min).idle_timeout() == 60s);
}

TEST_CASE("times of any unit are taken, and cut to what the clock can count", "[serve_options]") {
  CHECK(serve_options().grace(1.5s).grace() == 1500ms);
  CHECK(serve_options().grace(-1s).grace() == 0s);
  CHECK(serve_options().grace(std::chrono::hours::max()).grace() == coflow::executor::duration::max());
  CHECK(serve_options().idle_timeout(-1s).idle_timeout() == 0s);
}

TEST_CASE("a failure is an error or an exception, with its peer and in words", "[serve_options]") {
  const auto peer = endpoint::loopback_v4(7);
  const connection_failure error(coflow::error::timed_out, peer);
  CHECK(error.code() == coflow::error::timed_out);
  CHECK(error.exception() == nullptr);
  CHECK(error.peer() == peer);
  CHECK(error.message() == "the deadline has passed");

  const connection_failure thrown(std::make_exception_ptr(std::runtime_error("what it says")), peer);
  CHECK_FALSE(thrown.code());
  CHECK(thrown.exception() != nullptr);
  CHECK(thrown.peer() == peer);
  CHECK(thrown.message() == "what it says");

  const connection_failure unknown(std::make_exception_ptr(1), endpoint());
  CHECK(unknown.message() == "an unknown exception");
  CHECK(unknown.peer().unspecified());
}
