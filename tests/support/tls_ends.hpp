#pragma once

// Two TLS flows over a pipe in memory, made side by side, for tests of the layer and of engines alike.

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <coflow/tls.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "support/catch.hpp"

namespace tls_ends {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::memory_flow;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using coflow::tls_error;
using coflow::tls_options;

template <class T>
T drive(task<T> body) {
  coflow::virtual_executor on;
  return coflow::run(on, std::move(body));
}
template <class T>
void start(task_scope& scope, task<T> child) {
  CHECK(scope.spawn(std::move(child)).has_value());
}
inline task<> turns(int count) {
  for (int i = 0; i < count; ++i) {
    const result<void> slept = co_await coflow::sleep_for(0ns);
    if (!slept) co_return;
  }
}

template <class Flow>
struct made {
  std::optional<Flow> flow;
  tls_error failed;
  bool done = false;
};
template <class Flow>
task<> keep(task<result<Flow, tls_error>> making, made<Flow>* into) {
  auto came = co_await std::move(making);
  into->done = true;
  if (came)
    into->flow.emplace(std::move(*came));
  else
    into->failed = came.error();
}

template <class Context, class Inner>
using client_of =
    coflow::tls_flow<Inner, typename decltype(std::declval<const Context&>().client_engine(std::string()))::value_type>;
template <class Context, class Inner>
using server_of =
    coflow::tls_flow<Inner, typename decltype(std::declval<const Context&>().server_engine())::value_type>;

/// Both sides' factories, at once; either may fail.
template <class Context, class Inner = memory_flow>
struct both {
  made<client_of<Context, Inner>> client;
  made<server_of<Context, Inner>> server;
};
template <class Context, class Inner>
task<> connect(std::pair<Inner, Inner> below, const Context* of_client, const Context* of_server,
               both<Context, Inner>* into, std::string host = "localhost", tls_options options = {}) {
  task_scope scope;
  start(scope, keep(coflow::tls_client(*of_client, std::move(below.first), std::move(host), options), &into->client));
  start(scope, keep(coflow::tls_server(*of_server, std::move(below.second), options), &into->server));
  const result<void> joined = co_await scope.join();
  CHECK(joined.has_value());
}

template <class F>
task<std::error_code> say(F* flow, std::string text) {
  const result<void> sent = co_await flow->write(buffer(text));
  co_return sent.error();
}
/// Everything up to the end of the stream, and what that was: an empty code for eof.
struct heard {
  std::string text;
  std::error_code failed;
  bool eof = false;
};
template <class F>
task<> listen(F* flow, heard* into) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (got.eof()) {
      into->eof = true;
      co_return;
    }
    if (!got) {
      into->failed = got.error();
      co_return;
    }
    into->text.append(got->text());
  }
}
template <class F>
task<> talk_and_shut(F* flow, std::string text, std::error_code* failed) {
  const result<void> sent = co_await flow->write(buffer(text));
  *failed = sent.error();
  co_await flow->shutdown(shutdown_mode::write);
}

/// Bytes that differ from place to place.
inline std::string many_bytes(std::size_t count, unsigned seed = 1) {
  std::string all(count, '\0');
  unsigned state = seed * 2654435761U + 1;
  for (char& c : all) {
    state = state * 1664525U + 1013904223U;
    c = static_cast<char>(state >> 24);
  }
  return all;
}

}  // namespace tls_ends
