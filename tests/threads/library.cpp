// A shared library whose symbols are hidden, but for what stands here. Built twice, under two names.

#include "threads/library.hpp"

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coflow/net.hpp>
#include <system_error>
#include <utility>

#define JOINED(a, b) a##b
#define NAMED(a, b) JOINED(a, b)

namespace {

coflow::task<coflow::result<void>> send_back(coflow::memory_flow flow) {
  for (;;) {
    coflow::read_result got = co_await flow.read();
    if (got.eof()) co_return coflow::success;
    if (!got) co_return got.error();
    const coflow::result<void> sent = co_await flow.write(std::move(*got));
    if (!sent) co_return sent.error();
  }
}

void fill_in(libraries::view& out) {
  out.errors = &coflow::error_category();
  out.conditions = &coflow::condition_category();
  out.running = coflow::executor::current();
  out.closed = coflow::error::closed;
  out.closed_is_disconnected = out.closed == coflow::condition::disconnected;
}

}  // namespace

namespace libraries {
[[gnu::visibility("default")]] void NAMED(COFLOW_LIBRARY, _look)(view& out) { fill_in(out); }
[[gnu::visibility("default")]] coflow::task<coflow::result<void>> NAMED(COFLOW_LIBRARY,
                                                                        _echo)(coflow::memory_flow flow) {
  return send_back(std::move(flow));
}
[[gnu::visibility("default")]] bool NAMED(COFLOW_LIBRARY, _knows)(const std::error_code& code) {
  return code == coflow::error::closed && code == coflow::condition::disconnected;
}
}  // namespace libraries
