#pragma once

// Lists of buffers through every way in which a transport takes a write's bytes: in part, buffer by buffer, and several
// at once. What is accepted and what is left make up the list, whatever ends the write (laws W2, W3).

#include <algorithm>
#include <chrono>
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
#include <vector>

#include "fuzz/input.hpp"

namespace fuzz {

struct listed {
  std::vector<coflow::buffer> list;
  std::string text;
};
inline listed list_of(choices& from, std::size_t most) {
  listed made;
  for (unsigned i = 0; !from.empty() && i < 400 && made.text.size() < most; ++i) {
    const unsigned how = from.next();
    const std::size_t size = how < 0xF0U ? how % 9 : (how - 0xEFU) * 200;
    const std::string part = text_of(i, size);
    made.text += part;
    if (how % 2 == 0)
      made.list.emplace_back(std::string_view(part));
    else
      made.list.push_back(coflow::buffer::adopt(part));
  }
  return made;
}

/// What the reader does while somebody writes.
struct reader_plan {
  explicit reader_plan(choices& by) {
    const unsigned how = by.next();
    sleeps = (how & 1U) != 0;
    limited = (how & 2U) != 0;
    closes = (how & 4U) != 0;
    piece = 1 + by.next();
    place = by.next_two();
  }
  bool sleeps;   // once, in the middle
  bool limited;  // the writer does not wait for that
  bool closes;   // when it wakes up
  std::size_t piece;
  std::size_t place;
};

/// How one write came out, and what arrived.
struct written {
  std::error_code failure;
  bool over = false;
  std::string arrived;
};

// Time stands still while anybody can go on, so that the limit is met where the reader sleeps and nowhere else.
template <class F>
coflow::task<> write_list(F* to, listed* what, bool limited, written* out) {
  if (limited) {
    const coflow::result<void> sent =
        co_await coflow::with_timeout(to->writev(what->list), std::chrono::milliseconds(1));
    out->failure = sent.error();
  } else {
    const coflow::result<void> sent = co_await to->writev(what->list);
    out->failure = sent.error();
  }
  out->over = true;
  co_await to->close();
}
inline coflow::task<> take_all(coflow::memory_flow* from, std::size_t piece, std::size_t until_sleep, bool closes,
                               written* out) {
  std::string room(piece, '\0');
  for (;;) {
    if (out->arrived.size() >= until_sleep) {
      static_cast<void>(co_await coflow::sleep_for(std::chrono::milliseconds(2)));
      if (closes) co_await from->close();
      until_sleep = SIZE_MAX;
    }
    const std::span<char> chars(room);
    const coflow::read_into_result got = co_await from->read_into(std::as_writable_bytes(chars));
    if (!got) co_return;
    out->arrived.append(room, 0, *got);
  }
}
template <class F>
void write_through(F to, coflow::memory_flow* from, const reader_plan& plan, listed what, bool frames) {
  const std::size_t until_sleep = plan.sleeps ? plan.place % (what.text.size() + 1) : SIZE_MAX;
  const bool closes = plan.closes && plan.sleeps;
  written out;
  coflow::virtual_executor on;
  try {
    const auto both = [](coflow::task<> one, coflow::task<> other) -> coflow::task<> {
      coflow::task_scope scope(coflow::on_failure::isolate);
      scope.spawn(std::move(one)).value();
      scope.spawn(std::move(other)).value();
      static_cast<void>(co_await scope.join());
    };
    coflow::run(
        on, both(write_list(&to, &what, plan.limited, &out), take_all(from, plan.piece, until_sleep, closes, &out)));
  } catch (const coflow::hang& hung) {
    breach(hung.what());
  }
  if (!out.over) breach("a write does not end");
  std::string left;
  for (const coflow::buffer& one : what.list) left += one.text();
  if (!what.text.ends_with(left)) breach("other bytes are left in the list than were not sent");
  const std::string_view accepted = std::string_view(what.text).substr(0, what.text.size() - left.size());
  if (!out.failure && !left.empty()) breach("bytes are left of a write that succeeded");
  if (out.failure && until_sleep == SIZE_MAX) breach("a write fails, and nothing is in its way");
  if (frames) return;  // what has arrived is framed, and not for this target
  if (!accepted.starts_with(out.arrived)) breach("what has arrived is not what was accepted");
  if (!closes && out.arrived != accepted) breach("bytes that were accepted do not arrive");
}

/// A sink that takes a byte more at a time than it has room for.
inline void write_into_string(std::size_t place, listed what) {
  const std::size_t limit = place % (what.text.size() + 2);
  coflow::virtual_executor on;
  coflow::string_flow sink = coflow::string_sink(limit);
  written out;
  coflow::run(on, write_list(&sink, &what, false, &out));
  std::string left;
  for (const coflow::buffer& one : what.list) left += one.text();
  if (sink.text() + left != what.text) breach("what is collected and what is left do not make up the list");
  if (sink.text().size() != std::min(limit, what.text.size())) breach("a sink takes too little, or too much");
  if (static_cast<bool>(out.failure) == left.empty()) breach("an error without a rest, or a rest without an error");
}

inline void writev(std::span<const std::uint8_t> input) {
  choices by(input);
  const unsigned way = by.pick(3);
  const std::size_t capacity = 1 + by.next() * (by.next() % 2 == 0 ? 1U : 20U);
  const reader_plan plan(by);
  listed what = list_of(by, 64 * std::min(capacity, plan.piece));  // or it takes for ever
  if (way == 0) return write_into_string(plan.place, std::move(what));
  auto pipe = coflow::memory_pipe(capacity);
  if (way == 1) return write_through(std::move(pipe.first), &pipe.second, plan, std::move(what), false);
  using framed = coflow::codec_flow<coflow::length_prefix_codec, coflow::memory_flow>;
  framed flow(coflow::length_prefix_codec(), std::move(pipe.first));
  write_through(std::move(flow), &pipe.second, plan, std::move(what), true);
}

inline bytes made_writev(unsigned seed) {
  maker by(seed);
  return by.some(7 + by.pick(by.pick(8) == 0 ? 300 : 24));
}

}  // namespace fuzz
