#include <coflow/layer/codec.hpp>
#include <coflow/layer/length_prefix_codec.hpp>
#include <string>
#include <system_error>

#include "support/catch.hpp"
#include "support/codec_sink.hpp"
#include "support/toy_codec.hpp"

namespace {

using coflow::buffer;

static_assert(coflow::Codec<coflow::length_prefix_codec>);
static_assert(!coflow::HandshakingCodec<coflow::length_prefix_codec>);
static_assert(coflow::HandshakingCodec<support::toy_codec>);

TEST_CASE("a codec's output keeps data and what is to be sent apart, in order", "[codec]") {
  support::codec_sink out;
  out.data(buffer("a"));
  out.send(buffer("1"));
  out.data(buffer("b"));
  out.send(buffer("2"));
  CHECK(out.take_data() == "ab");
  CHECK(out.take_sent() == "12");
  CHECK(!out.ended());
}

TEST_CASE("empty records never surface", "[codec]") {
  support::codec_sink out;
  out.data(buffer());
  out.send(buffer());
  CHECK(out.pieces() == 0);
}

TEST_CASE("data behind an end is dropped, and the first end counts", "[codec]") {
  support::codec_sink out;
  out.data(buffer("before"));
  SECTION("a goodbye") {
    out.end();
    out.fail(std::make_error_code(std::errc::bad_message));
    CHECK(!out.failure());
  }
  SECTION("a failure") {
    out.fail(std::make_error_code(std::errc::bad_message));
    out.end();
    CHECK(out.failure() == std::errc::bad_message);
  }
  out.data(buffer("behind"));
  CHECK(out.ended());
  CHECK(out.take_data() == "before");
}

TEST_CASE("nothing is sent after the goodbye", "[codec]") {
  support::codec_sink out;
  out.send(buffer("goodbye"));
  out.fall_silent();
  out.send(buffer("more"));
  CHECK(out.take_sent() == "goodbye");
}

}  // namespace
