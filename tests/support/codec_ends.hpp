#pragma once

// A flow of frames over a pipe in memory, whose other end is driven by hand, for tests of codec flows.

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer/codec_flow.hpp>
#include <coflow/layer/length_prefix_codec.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "support/catch.hpp"
#include "support/children.hpp"
#include "support/toy_codec.hpp"

namespace codec_ends {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::memory_flow;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using support::shutdown_once;
using support::toy_codec;
using support::toy_role;

using framed = coflow::codec_flow<coflow::length_prefix_codec, memory_flow>;
using secure = coflow::codec_flow<toy_codec, memory_flow>;

template <class T>
T drive(task<T> body) {
  coflow::virtual_executor on;
  return coflow::run(on, std::move(body));
}

inline std::string frame(std::string_view text) {
  std::string made{'\0', '\0', static_cast<char>(text.size() >> 8), static_cast<char>(text.size())};
  return made.append(text);
}
inline const std::string goodbye(4, '\0');

inline task<> turns(int count) {
  for (int i = 0; i < count; ++i) {
    const result<void> slept = co_await coflow::sleep_for(0ns);
    if (!slept) co_return;
  }
}

// What came of an operation that ran as a child.
template <class T>
struct came {
  bool done = false;
  T to{};
};
template <class F>
task<> read_once(F* flow, came<read_result>* out) {
  read_result got = co_await flow->read();
  out->to = std::move(got);
  out->done = true;
}
template <class F>
task<> write_once(F* flow, std::string text, came<result<void>>* out) {
  const result<void> sent = co_await flow->write(buffer(text));
  out->to = sent;
  out->done = true;
}
template <class F>
task<> close_once(F* flow, bool* done) {
  co_await flow->close();
  *done = true;
}
template <class T>
void start(task_scope& scope, task<T> child) {
  CHECK(scope.spawn(std::move(child)).has_value());
}

// Everything that can be read without waiting for more.
inline task<std::string> all_that_is_there(memory_flow* raw) {
  std::string all;
  for (;;) {
    came<read_result> got;
    task_scope scope;
    start(scope, read_once(raw, &got));
    co_await turns(5);
    if (!got.done) break;
    if (!got.to) break;
    all.append(got.to->text());
  }
  co_return all;
}
inline task<> say(memory_flow* raw, std::string text) {
  const result<void> sent = co_await raw->write(buffer(text));
  CHECK(sent.has_value());
}

struct ends {
  explicit ends(std::size_t capacity = 64 * 1024, coflow::codec_options options = {})
      : ends(coflow::memory_pipe(capacity), options) {}
  ends(std::pair<memory_flow, memory_flow> pipe, coflow::codec_options options)
      : flow(coflow::length_prefix_codec(), std::move(pipe.first), options), raw(std::move(pipe.second)) {}
  framed flow;
  memory_flow raw;
};

}  // namespace codec_ends
