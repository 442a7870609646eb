#pragma once

// A writer that never stops, a reader that does, and what is looked at meanwhile.

#include <algorithm>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/testing/choices.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "soak/counted_memory.hpp"

namespace pressure {

using coflow::buffer;
using coflow::read_result;
using coflow::result;
using coflow::task;
using support::memory_in_use;

inline constexpr std::size_t kib = 1024;
inline constexpr std::size_t mib = 1024 * kib;

// ---- the bytes: a pattern whose period is no length of anything, so often that a buffer of 64 KiB fits anywhere

inline constexpr std::size_t period = 65521;

inline const std::string& pattern() {
  static const std::string made = [] {
    std::string bytes(3 * period, ' ');
    std::uint32_t state = 1;
    for (std::size_t i = 0; i < period; ++i) {
      state = state * 1664525U + 1013904223U;
      bytes[i] = bytes[i + period] = bytes[i + 2 * period] = static_cast<char>(state >> 24);
    }
    return bytes;
  }();
  return made;
}
inline void fill(std::size_t offset, std::span<std::byte> to) {
  std::memcpy(to.data(), pattern().data() + offset % period, to.size());
}
inline bool matches(std::size_t offset, std::string_view got) {
  while (!got.empty()) {
    const std::string_view part = got.substr(0, period);
    if (std::memcmp(part.data(), pattern().data() + offset % period, part.size()) != 0) return false;
    offset += part.size();
    got.remove_prefix(part.size());
  }
  return true;
}

// ---- one flow

/// How one run goes.
struct course {
  std::size_t total = 0;  // bytes written
  std::size_t piece = 0;  // bytes of a buffer, at most 64 KiB
  std::size_t list = 1;   // buffers of a write
  std::size_t stops = 0;  // how often the reader stops
};
struct state {
  std::size_t written = 0;
  std::size_t read = 0;
  bool writer_failed = false;
  bool other_bytes = false;
  bool eof = false;
  long most = 0;               // live bytes at a stop, over those at the start
  long peak = 0;               // and at any moment
  std::size_t ahead_most = 0;  // bytes accepted and not read
  std::size_t looks = 0;
};

inline task<> let_others_run(int turns) {
  for (int i = 0; i < turns; ++i) {
    const result<void> slept = co_await coflow::sleep_for(std::chrono::seconds(0));
    if (!slept) co_return;
  }
}

template <class F>
task<> write_all(F* flow, course how, state* out) {
  std::vector<buffer> list(how.list);
  while (out->written < how.total) {
    std::size_t size = 0;
    for (buffer& one : list) {
      one = buffer::allocate(how.piece);
      fill(out->written + size, one.writable());
      size += how.piece;
    }
    result<void> sent;
    if (how.list == 1)
      sent = co_await flow->write(std::move(list[0]));
    else
      sent = co_await flow->writev(list);
    if (!sent) {
      out->writer_failed = true;
      co_return;
    }
    out->written += size;
  }
  co_await flow->shutdown(coflow::shutdown_mode::write);
}

// The reader stops until the writer has come to a stand, and looks; then it reads some more. At the end it reads all.
template <class F>
task<> read_with_stops(F* flow, course how, coflow::choices* pick, long start, state* out) {
  for (std::size_t stop = 0; stop <= how.stops; ++stop) {
    std::size_t before = how.total + 1;
    for (int still = 0; still < 5;) {
      still = before == out->written ? still + 1 : 0;
      before = out->written;
      co_await let_others_run(1);
    }
    out->most = std::max(out->most, memory_in_use.bytes - start);
    if (out->written > out->read) out->ahead_most = std::max(out->ahead_most, out->written - out->read);
    ++out->looks;
    const bool last = stop == how.stops;
    const std::size_t until = last ? SIZE_MAX : out->read + 1 + pick->pick(how.total / (how.stops + 1));
    while (out->read < until) {
      const read_result got = co_await flow->read();
      if (!got) {
        out->eof = got.eof();
        co_return;
      }
      if (!matches(out->read, got->text())) out->other_bytes = true;
      out->read += got->size();
    }
  }
}

template <class Ends>
task<> run_one(Ends* ends, course how, coflow::choices* pick, state* out) {
  coflow::task_scope both;
  const long start = memory_in_use.bytes;
  memory_in_use.peak = start;
  both.spawn(write_all(&ends->first, how, out)).value();
  both.spawn(read_with_stops(&ends->second, how, pick, start, out)).value();
  const result<void> joined = co_await both.join();
  if (!joined) out->writer_failed = true;
  out->peak = memory_in_use.peak - start;
  co_await ends->first.close();
  co_await ends->second.close();
}
template <class Factory>
task<> connect_and_run(const Factory* make, course how, coflow::choices* pick, state* out) {
  if constexpr (coflow::awaitable<std::invoke_result_t<const Factory&>>) {
    auto ends = co_await (*make)();
    co_await run_one(&ends, how, pick, out);
  } else {
    auto ends = (*make)();
    co_await run_one(&ends, how, pick, out);
  }
}

/// Headers, rounding, and the lists of what is under way.
inline constexpr std::size_t around_it = 28 * kib;

/// What may be under way: 64 KiB, and one buffer, which is a write or what one receive has taken.
inline std::size_t may_grow(const course& how) {
  return 64 * kib + std::max(how.piece * how.list, 64 * kib) + around_it;
}

}  // namespace pressure
