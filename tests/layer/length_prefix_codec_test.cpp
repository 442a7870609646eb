#include <array>
#include <coflow/layer/length_prefix_codec.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include "support/catch.hpp"
#include "support/codec_sink.hpp"

namespace {

using coflow::buffer;
using coflow::length_prefix_codec;

std::string sealed(std::string_view first, std::string_view second = {}) {
  length_prefix_codec codec;
  support::codec_sink out;
  std::array<buffer, 2> plain{buffer(first), buffer(second)};
  CHECK(!codec.seal(plain, out));
  return out.take_sent();
}

TEST_CASE("a frame is four bytes of length, most significant first, and its bytes", "[length_prefix_codec]") {
  CHECK(sealed("abc") == std::string("\0\0\0\3abc", 7));
  CHECK(sealed("ab", "cde") == std::string("\0\0\0\5abcde", 9));
  CHECK(sealed(std::string(0x1234, 'x')).substr(0, 4) == std::string("\0\0\x12\x34", 4));
}

TEST_CASE("the goodbye is a frame of length zero", "[length_prefix_codec]") {
  length_prefix_codec codec;
  support::codec_sink out;
  codec.farewell(out);
  CHECK(out.take_sent() == std::string(4, '\0'));
}

TEST_CASE("frames come out as their bytes, however the stream is cut", "[length_prefix_codec]") {
  const std::string stream = sealed("first") + sealed("second") + sealed("x") + std::string(4, '\0');
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    length_prefix_codec codec;
    support::codec_sink out;
    for (std::size_t at = 0; at < stream.size(); at += piece)
      codec.feed(buffer(std::string_view(stream).substr(at, piece)), out);
    CHECK(out.take_data() == "firstsecondx");
    CHECK(out.ended());
    CHECK(!out.failure());
  }
}

TEST_CASE("a frame that is longer than the limit is a message_size error", "[length_prefix_codec]") {
  for (const bool too_long : {false, true}) {
    length_prefix_codec codec(5);
    support::codec_sink out;
    codec.feed(buffer(too_long ? std::string_view("\0\0\0\6abcdef", 10) : std::string_view("\0\0\0\5abcde", 9)), out);
    CHECK(out.ended() == too_long);
    CHECK((out.failure() == std::errc::message_size) == too_long);
    CHECK(out.take_data() == (too_long ? "" : "abcde"));
  }
}

TEST_CASE("a length of four bytes of ones is refused and does not wrap", "[length_prefix_codec]") {
  length_prefix_codec codec;
  support::codec_sink out;
  codec.feed(buffer(std::string_view("\xff\xff\xff\xffrest", 8)), out);
  CHECK(out.failure() == std::errc::message_size);
  CHECK(out.take_data().empty());
}

TEST_CASE("framing copies no payload", "[length_prefix_codec]") {
  length_prefix_codec codec;
  support::codec_sink out;
  const buffer payload(std::string(1000, 'p'));
  std::array<buffer, 1> plain{payload.share()};
  CHECK(!codec.seal(plain, out));
  CHECK(out.pieces() == 2);
  const coflow::buffer header = out.pop_sent();
  const coflow::buffer sent = out.pop_sent();
  CHECK(header.size() == 4);
  CHECK(sent.data() == payload.data());
}

}  // namespace
