#include <chrono>
#include <coflow/layer/codec_options.hpp>

#include "support/catch.hpp"

namespace {

using namespace std::chrono_literals;

TEST_CASE("a codec's flow waits a second and allows no truncation unless told otherwise", "[codec_options]") {
  const coflow::codec_options options;
  CHECK(options.close_limit() == 1s);
  CHECK(!options.truncation_allowed());
}

TEST_CASE("codec options are set in a chain, and limits saturate", "[codec_options]") {
  const coflow::codec_options options = coflow::codec_options().close_limit(3min).allow_truncation(true);
  CHECK(options.close_limit() == 3min);
  CHECK(options.truncation_allowed());
  CHECK(coflow::codec_options().close_limit(-5s).close_limit() == 0s);
  CHECK(coflow::codec_options().close_limit(1s).allow_truncation(true).allow_truncation(false).truncation_allowed() ==
        false);
  const auto endless = coflow::codec_options().close_limit(std::chrono::hours::max()).close_limit();
  CHECK(endless == coflow::executor::duration::max());
}

}  // namespace
