#pragma once

// A flow of a foreign shape: each of its operations is a coroutine that owns a share of the state (law O2), around a
// memory_flow. Nothing of the library's own operation objects shows.

#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

namespace broken {

class honest_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit honest_flow(coflow::memory_flow inner) : state_(std::make_shared<state>(std::move(inner))) {}
  honest_flow(honest_flow&& other) noexcept : state_(std::move(other.state_)) {}
  honest_flow& operator=(honest_flow&& other) noexcept {
    honest_flow(std::move(other)).swap(*this);
    return *this;
  }
  ~honest_flow() {
    if (state_) state_->inner.reset();
  }

  coflow::task<coflow::read_result> read() { return reading(state_); }
  coflow::task<coflow::result<void>> write(coflow::buffer bytes) { return writing(state_, std::move(bytes)); }
  coflow::task<coflow::result<void>> writev(std::span<coflow::buffer> list) { return writing_all(state_, list); }
  coflow::task<> shutdown(coflow::shutdown_mode mode) { return shutting(state_, mode); }
  coflow::task<> close() { return closing(state_); }

  void reset() noexcept { state_->inner->reset(); }

 private:
  struct state {
    explicit state(coflow::memory_flow flow) : inner(std::move(flow)) {}
    std::optional<coflow::memory_flow> inner;  // empty once the flow is destroyed
  };
  using shared = std::shared_ptr<state>;

  static coflow::task<coflow::read_result> reading(shared whole) {
    if (!whole->inner) co_return coflow::error::closed;
    coflow::read_result got = co_await whole->inner->read();
    co_return std::move(got);
  }
  static coflow::task<coflow::result<void>> writing(shared whole, coflow::buffer bytes) {
    if (!whole->inner) co_return coflow::error::closed;
    coflow::result<void> sent = co_await whole->inner->write(std::move(bytes));
    co_return sent;
  }
  static coflow::task<coflow::result<void>> writing_all(shared whole, std::span<coflow::buffer> list) {
    if (!whole->inner) co_return coflow::error::closed;
    coflow::result<void> sent = co_await whole->inner->writev(list);
    co_return sent;
  }
  static coflow::task<> shutting(shared whole, coflow::shutdown_mode mode) {
    if (whole->inner) co_await whole->inner->shutdown(mode);
  }
  static coflow::task<> closing(shared whole) {
    if (whole->inner) co_await whole->inner->close();
  }

  void swap(honest_flow& other) noexcept { std::swap(state_, other.state_); }

  shared state_;
};

}  // namespace broken
