#pragma once

// Any bytes, cut anywhere, to a flow of frames, which says what a decoder of ten lines says of them, and sends back
// what it has heard.

#include <algorithm>
#include <cerrno>
#include <coflow/async.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "fuzz/input.hpp"

namespace fuzz {

struct decoded {
  std::string text;
  std::error_code failure;  // none for the goodbye
};
/// The reference: what `raw`, which ends as `cut` says, is decoded to.
inline decoded decode(std::string_view raw, std::uint32_t limit, std::error_code cut) {
  decoded made;
  for (;;) {
    if (raw.size() < 4) return made.failure = cut, made;
    std::uint32_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8U | static_cast<unsigned char>(raw[static_cast<std::size_t>(i)]);
    if (length == 0) return made;
    if (length > limit) return made.failure = std::make_error_code(std::errc::message_size), made;
    made.text += raw.substr(4, length);
    if (raw.size() - 4 < length) return made.failure = cut, made;
    raw.remove_prefix(4 + std::size_t{length});
  }
}

using framed_flow = coflow::codec_flow<coflow::length_prefix_codec, coflow::memory_flow>;

/// What one run has come to.
struct framed_run {
  decoded heard;
  bool ended = false;
  bool all_returned = true;  // everything heard was sent back
  std::string back;          // as it is on the wire
};

inline coflow::task<> say_raw(coflow::memory_flow* to, std::string_view raw, choices cuts, bool breaks) {
  while (!raw.empty()) {
    const std::string_view piece = raw.substr(0, 1 + cuts.next());
    raw.remove_prefix(piece.size());
    const coflow::result<void> sent = co_await to->write(coflow::buffer(piece));
    if (!sent) co_return;
  }
  if (breaks)
    to->reset();
  else
    co_await to->shutdown(coflow::shutdown_mode::write);
}
inline coflow::task<> hear_raw(coflow::memory_flow* from, framed_run* out) {
  for (;;) {
    const coflow::read_result got = co_await from->read();
    if (!got) co_return;
    out->back.append(got->text());
  }
}
inline coflow::task<> send_back(framed_flow* flow, std::size_t room_size, framed_run* out) {
  std::string room(room_size, '\0');
  for (;;) {
    coflow::buffer piece;
    if (room_size == 0) {
      coflow::read_result got = co_await flow->read();
      out->heard.failure = got.error();
      if (!got) break;
      piece = std::move(*got);
    } else {
      const std::span<char> chars(room);
      const coflow::read_into_result got = co_await flow->read_into(std::as_writable_bytes(chars));
      out->heard.failure = got.error();
      if (!got) break;
      piece = coflow::buffer(std::string_view(room).substr(0, *got));
    }
    if (piece.empty()) breach("a read gives nothing");
    out->heard.text.append(piece.text());
    const coflow::result<void> sent = co_await flow->write(std::move(piece));
    if (!sent) out->all_returned = false;
  }
  out->ended = true;
  const coflow::read_result again = co_await flow->read();
  if (again || again.error() != out->heard.failure) breach("a second verdict is another one");
  co_await flow->close();
}

inline void frames(std::span<const std::uint8_t> input) {
  choices by(input);
  const unsigned how = by.next();
  const std::size_t capacity = 1 + by.next() * (1 + by.next());
  const std::uint32_t limit = by.next_two();
  const std::size_t room = (how & 1U) != 0 ? by.next() : 0;
  const std::string cuts = by.take(how >> 4U);
  const bool breaks = (how & 2U) != 0;
  const std::string raw = by.take(64 * capacity);  // or it takes for ever

  framed_run out;
  {
    auto pipe = coflow::memory_pipe(capacity);
    framed_flow flow(coflow::length_prefix_codec(limit), std::move(pipe.first));
    coflow::virtual_executor on;
    const auto all = [&]() -> coflow::task<> {
      coflow::task_scope scope(coflow::on_failure::isolate);
      const choices cut(std::span(reinterpret_cast<const std::uint8_t*>(cuts.data()), cuts.size()));
      scope.spawn(say_raw(&pipe.second, raw, cut, breaks)).value();
      scope.spawn(hear_raw(&pipe.second, &out)).value();
      scope.spawn(send_back(&flow, room, &out)).value();
      static_cast<void>(co_await scope.join());
    };
    try {
      coflow::run(on, all());
    } catch (const coflow::hang& hung) {
      breach(hung.what());
    }
  }
  const std::error_code cut =
      breaks ? std::error_code(ECONNRESET, std::system_category()) : make_error_code(coflow::error::truncated);
  const decoded want = decode(raw, limit, cut);
  if (out.heard.text != want.text) breach("another text than the reference's");
  if (!out.ended || out.heard.failure != want.failure) breach("another end than the reference's");
  if (!breaks && !out.all_returned) breach("a write fails, and nothing is in its way");
  if (breaks) return;
  const decoded back = decode(out.back, 0xFFFFFFFFU, make_error_code(coflow::error::truncated));
  if (back.failure || back.text != want.text) breach("what was sent back is not what was heard");
}

inline bytes made_frames(unsigned seed) {
  maker by(seed);
  const unsigned cuts = by.pick(16);
  bytes made = by.some(6);
  made[0] = static_cast<std::uint8_t>((made[0] & 0xFU) | cuts << 4U);
  if (by.pick(2) == 0) made[3] = by.pick(2) == 0 ? 0xFF : 0;
  const bool tight = made[3] == 0;  // the limit is met
  if (tight) made[4] = static_cast<std::uint8_t>(1 + by.pick(12));
  const unsigned limit = made[4];
  if ((made[0] & 1U) == 0) made.pop_back();
  for (unsigned i = 0; i < cuts; ++i)
    made.push_back(by.pick(2) == 0 ? static_cast<std::uint8_t>(by.pick(4)) : by.any());
  for (unsigned i = by.pick(8); i != 0; --i) {
    unsigned length = by.pick(8) == 0 ? 0 : by.pick(by.pick(4) == 0 ? 700 : 12);
    if (tight && by.pick(3) == 0) length = limit;
    made.insert(made.end(), {0, 0, static_cast<std::uint8_t>(length >> 8U), static_cast<std::uint8_t>(length)});
    const bytes payload = by.some(length);
    made.insert(made.end(), payload.begin(), payload.end());
  }
  if (by.pick(2) == 0) made.insert(made.end(), 4, 0);
  if (by.pick(4) == 0) made[by.pick(static_cast<unsigned>(made.size()))] = by.any();
  if (by.pick(4) == 0) made.resize(made.size() - by.pick(static_cast<unsigned>(made.size())));
  return made;
}

}  // namespace fuzz
