#pragma once

// Where a micro scenario plays: two connected flows, a few actors, and an executor whose order is a matter of choice.

#include <coflow/core.hpp>
#include <coflow/testing/choices.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "model/outcome.hpp"
#include "model/subject.hpp"
#include "support/manual_executor.hpp"

namespace schedules {

using coflow::choices;
using coflow::task;
using model::outcome;
using model::outcomes;

// What an operation came to; of a reader that goes on to the end: its bytes and its verdict.
class note {
 public:
  note() = default;
  outcome came_to = model::pending;
  std::string bytes;
};

// Two connected flows; of some kinds that takes an executor.
template <class Kind, class... Capacity>
std::pair<typename Kind::flow, typename Kind::flow> connected(coflow::virtual_executor& on, Capacity... capacity) {
  if constexpr (requires { Kind::connect(on, capacity...); })
    return Kind::connect(on, capacity...);
  else
    return Kind::connect(capacity...);
}

template <class Kind>
class stage {
 public:
  using flow = typename Kind::flow;
  using actor = support::job<void>;

  // A connection comes about in the natural order; from then on the order is a matter of choice.
  explicit stage(choices& order) : order_(order) {
    auto made = connected<Kind>(on_);
    a.emplace(std::move(made.first));
    b.emplace(std::move(made.second));
    std::swap(now_, order_);
  }
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;
  ~stage() { std::swap(now_, order_); }

  std::optional<flow> a;
  std::optional<flow> b;

  // Sets an actor going; when it begins is a matter of choice too.
  actor& act(task<> body) {
    actors_.push_back(actor::of(std::move(body)));
    actors_.back().start(on_);
    return actors_.back();
  }
  // Plays until nothing more happens, however long that takes: a layer's limits pass.
  void play() {
    do {
      on_.run_until_idle();
    } while (on_.advance_to_next_deadline());
  }
  // The same; nobody may then still wait.
  void play_to_the_end() {
    play();
    for (const actor& one : actors_) expect(one.ended(), "somebody stays suspended");
  }

  void expect(bool holds, std::string_view law) {
    if (!holds && wrong_.empty()) wrong_ = law;
  }
  void expect(const note& what, outcomes legal, const std::string& of) {
    if ((what.came_to & legal) == 0)
      expect(false, of + " gives " + model::in_words(what.came_to) + " instead of " + model::in_words(legal));
  }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  choices& order_;
  choices now_ = choices::replay("");
  coflow::virtual_executor on_{now_};
  std::deque<actor> actors_;  // these go before the executor; the flows go after it
  std::string wrong_;
};

// ---- what actors do; each does nothing if the flow is gone already

template <class Flow>
task<> read_once(std::optional<Flow>* from, note* into) {
  if (!from->has_value()) co_return;
  auto got = co_await (*from)->read();
  if (got) {
    into->came_to = model::data;
    into->bytes += got->text();
  } else {
    into->came_to = got.eof() ? model::eof : model::classify(got.error());
  }
}
template <class Flow>
task<> read_all(std::optional<Flow>* from, note* into) {
  do {
    co_await read_once(from, into);
  } while (into->came_to == model::data);
}
template <class Flow>
task<> write(std::optional<Flow>* to, std::string_view text, note* into) {
  if (!to->has_value()) co_return;
  const auto sent = co_await (*to)->write(coflow::buffer(text));
  into->came_to = sent ? model::done : model::classify(sent.error());
}
template <class Flow>
task<> shut(std::optional<Flow>* flow, coflow::shutdown_mode mode) {
  if (flow->has_value()) co_await (*flow)->shutdown(mode);
}
template <class Flow>
task<> close(std::optional<Flow>* flow) {
  if (flow->has_value()) co_await (*flow)->close();
}
template <class Flow>
task<> destroy(std::optional<Flow>* flow) {
  flow->reset();
  co_return;
}
inline task<> cancel(support::job<void>* victim) {
  victim->request_stop();
  co_return;
}
inline task<> kill(support::job<void>* victim) {
  victim->destroy();
  co_return;
}

}  // namespace schedules
