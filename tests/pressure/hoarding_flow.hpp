#pragma once

// The defect that the sweep must see: a flow that accepts whatever is written, and keeps it until it can be sent.

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

namespace pressure {

class hoarding_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit hoarding_flow(coflow::memory_flow below) : all_(std::make_unique<hoard>(std::move(below))) {}

  auto read() noexcept { return all_->below.read(); }
  coflow::task<coflow::result<void>> write(coflow::buffer bytes) {
    all_->kept.push_back(std::move(bytes));
    return accept(all_.get());
  }
  coflow::task<coflow::result<void>> writev(std::span<coflow::buffer> list) {
    for (coflow::buffer& one : list) all_->kept.push_back(std::move(one));
    return accept(all_.get());
  }
  coflow::task<> shutdown(coflow::shutdown_mode mode) { return end(all_.get(), mode); }
  auto close() noexcept { return all_->below.close(); }

 private:
  struct hoard {
    explicit hoard(coflow::memory_flow to) : below(std::move(to)) {}
    coflow::memory_flow below;
    std::deque<coflow::buffer> kept;
  };

  static coflow::task<coflow::result<void>> accept(hoard*) { co_return coflow::success; }
  static coflow::task<> end(hoard* all, coflow::shutdown_mode mode) {
    while (!all->kept.empty()) {
      coflow::buffer next = std::move(all->kept.front());
      all->kept.pop_front();
      const coflow::result<void> sent = co_await all->below.write(std::move(next));
      if (!sent) break;
    }
    co_await all->below.shutdown(mode);
  }

  std::unique_ptr<hoard> all_;
};

/// For the factories of connected pairs.
struct hoarded {
  template <class>
  using flow = hoarding_flow;
  static constexpr bool by_awaiting = false;
  static hoarding_flow make(coflow::memory_flow inner, bool) { return hoarding_flow(std::move(inner)); }
};

}  // namespace pressure
