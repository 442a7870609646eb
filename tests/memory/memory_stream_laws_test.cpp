// What of the laws of streams only memory can show; the rest is checked with all flows by tests/laws.
#include <coflow/core.hpp>
#include <coflow/layer/layered_flow.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <cstring>
#include <utility>

#include "support/catch.hpp"
#include "support/law_table.hpp"

namespace {

using layer = coflow::layered_flow<coflow::memory_flow>;

class layered_ends {
 public:
  std::pair<layer, layer> operator()() {
    auto ends = coflow::memory_pipe(4096);
    return {layer(std::move(ends.first)), layer(std::move(ends.second))};
  }
};

// S2: the blocks that were buffered go back when the half is shut.
template <class Flow>
coflow::task<> buffered_input_is_released(std::pair<Flow, Flow> ends) {
  coflow::buffer payload = coflow::buffer::allocate(1000);
  std::memset(payload.writable().data(), 'm', payload.size());
  coflow::buffer kept = payload.share();
  const coflow::result<void> sent = co_await ends.second.write(std::move(payload));
  CHECK(sent);
  CHECK(kept.writable().empty());
  co_await ends.first.shutdown(coflow::shutdown_mode::read);
  CHECK_FALSE(kept.writable().empty());
}

template <class Factory>
void released(Factory make) {
  coflow::virtual_executor on;
  coflow::run(on, buffered_input_is_released(make()));
}

TEST_CASE("shutdown(read) gives buffered memory back", "[memory_stream_laws]") {
  released(support::memory_ends(4096));
  released(layered_ends());
  released(support::honest_ends());
}

}  // namespace
