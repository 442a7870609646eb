// The laws of reading, writing and shutdown over flows in memory of every make, and what of them only memory can show.
#include <coflow/core.hpp>
#include <coflow/layer/layered_flow.hpp>
#include <coflow/memory.hpp>
#include <coflow/net/event_loop.hpp>
#include <coflow/testing/drain_laws.hpp>
#include <coflow/testing/end_of_stream_laws.hpp>
#include <coflow/testing/read_laws.hpp>
#include <coflow/testing/reset_laws.hpp>
#include <coflow/testing/shutdown_laws.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <coflow/testing/write_error_laws.hpp>
#include <coflow/testing/write_laws.hpp>
#include <coflow/testing/writev_laws.hpp>
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
  void reset(layer& end) noexcept { end.lowest_layer().reset(); }
  void cut(layer& end) noexcept { end.lowest_layer().reset(); }
};

template <class Executor, class Factory>
void keep_all(Factory make) {
  using namespace coflow::laws;
  for (const auto table : {read_laws(), end_of_stream_laws(), reset_laws(), write_laws(), write_error_laws(),
                           writev_laws(), shutdown_laws(), drain_laws()})
    support::require_kept(support::check_table<Executor>(table, make), table);
}

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

TEST_CASE("the laws of reading, writing and shutdown hold in memory on an event loop", "[memory_stream_laws]") {
  keep_all<coflow::event_loop>(support::memory_ends(4096));
}

TEST_CASE("the laws of reading, writing and shutdown hold for a layer", "[memory_stream_laws]") {
  keep_all<coflow::virtual_executor>(layered_ends());
}

TEST_CASE("shutdown(read) gives buffered memory back", "[memory_stream_laws]") {
  released(support::memory_ends(4096));
  released(layered_ends());
  released(support::honest_ends());
}

}  // namespace
