#pragma once

// A factory that hides which flows it makes, so that what is checked over many stacks of layers is compiled once and
// not once for each. The flows come as `any_flow`s, or as `any_read_into_flow`s to be read by that.

#include <coflow/core.hpp>
#include <coflow/layer/any_flow.hpp>
#include <memory>
#include <type_traits>
#include <utility>

#include "laws/factories.hpp"

namespace factories {

/// Hides any factory whose flows are `Any`'s kind: made of an object that has what factories.hpp's have. `Cuts` says
/// that it can cut a stream off, which is part of the type because checks ask for it at compile time.
template <class Any, bool Cuts = false>
class hidden {
 public:
  using flow = Any;
  static constexpr bool by_awaiting = true;

  template <class Factory>
  explicit hidden(Factory make) : inside_(std::make_shared<const kept<Factory>>(std::move(make))) {}

  coflow::task<pair_of<flow>> operator()() const { return inside_->connect(); }
  void reset(flow& end) const noexcept { inside_->reset(end); }
  void let_go(flow& end) const noexcept { inside_->let_go(end); }
  void cut(flow& end) const noexcept
    requires Cuts
  {
    inside_->cut(end);
  }

 private:
  class factory {
   public:
    factory() noexcept {}
    factory(const factory&) = delete;
    factory& operator=(const factory&) = delete;
    virtual ~factory() = default;
    virtual coflow::task<pair_of<Any>> connect() const = 0;
    virtual void reset(Any& end) const noexcept = 0;
    virtual void let_go(Any& end) const noexcept = 0;
    virtual void cut(Any& end) const noexcept = 0;
  };

  template <class Factory>
  class kept final : public factory {
    using inner = typename Factory::flow;

   public:
    explicit kept(Factory make) : make_(std::move(make)) {}

    coflow::task<pair_of<Any>> connect() const override { return connecting(&make_); }
    void reset(Any& end) const noexcept override {
      if (inner* flow = end.template target<inner>()) make_.reset(*flow);
    }
    void let_go(Any& end) const noexcept override {
      if (inner* flow = end.template target<inner>()) make_.let_go(*flow);
    }
    void cut([[maybe_unused]] Any& end) const noexcept override {
      if constexpr (Cuts) {
        if (inner* flow = end.template target<inner>()) make_.cut(*flow);
      }
    }

   private:
    static coflow::task<pair_of<Any>> connecting(const Factory* make) {
      if constexpr (coflow::awaitable<std::invoke_result_t<const Factory&>>) {
        auto ends = co_await (*make)();
        co_return under_cover(std::move(ends));
      } else {
        co_return under_cover((*make)());
      }
    }
    static pair_of<Any> under_cover(pair_of<inner> ends) {
      return pair_of<Any>(Any(std::move(ends.first)), Any(std::move(ends.second)));
    }

    Factory make_;
  };

  std::shared_ptr<const factory> inside_;
};

/// Flows without a goodbye of their own, and flows that end their stream with one.
using hidden_flow = hidden<coflow::any_read_into_flow>;
using hidden_codec = hidden<coflow::any_read_into_flow, true>;

}  // namespace factories
