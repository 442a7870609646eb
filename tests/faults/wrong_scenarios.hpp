#pragma once

// Scenarios that are wrong, each in a way of its own: negative controls of everything that judges a run.

#include <unistd.h>

#include <coflow/core.hpp>
#include <coroutine>
#include <memory>
#include <utility>

#include "faults/plain_scenarios.hpp"
#include "faults/worlds.hpp"

namespace faults {

using tcp = tcp_world;

inline task<> leaks_a_descriptor(stage* on) {
  co_await s1<tcp>(on);
  static_cast<void>(::dup(STDERR_FILENO));
}

inline task<> leaks_memory(stage* on) {
  static std::unique_ptr<int> kept;  // until the program ends
  co_await s1<tcp>(on);
  kept = std::make_unique<int>(1);
}

inline task<> nothing() { co_return; }
inline task<> leaks_a_frame(stage* on) {
  static task<> kept = nothing();  // until the program ends
  co_await s1<tcp>(on);
}

inline task<> loses_the_last_byte(stage* on) {
  co_await s1<tcp>(on);
  on->server.received.pop_back();
}
inline task<> receives_another_byte(stage* on) {
  co_await s1<tcp>(on);
  on->server.received[10] ^= 1;
}

inline task<> waits_for_ever(stage* on) { co_await meet<tcp>(on, listens<tcp>, listens<tcp>); }

inline task<> cannot_be_stopped(stage*) { co_await std::suspend_always(); }

// The worst that can be done with a reset.
inline task<> takes_any_end_for_clean_body(side* at, tcp::flow flow) {
  static_cast<void>(co_await say(at, &flow, "a question"));
  co_await flow.shutdown(shutdown_mode::write);
  for (;;) {
    const coflow::read_result got = co_await flow.read();
    if (!got) break;
    at->received.append(got->text());
  }
  co_await flow.close();
}
inline task<> takes_any_end_for_clean(stage* on) {
  co_await meet<tcp>(on, takes_any_end_for_clean_body, takes_any_end_for_clean_body);
  on->complete = on->client.received == "a question" && on->server.received == "a question";
  on->reports.clear();
}

inline task<> gives_another_error_body(side* at, tcp::flow flow) {
  const coflow::read_result got = co_await flow.read();
  if (got.failed()) {
    const coflow::read_result other = make_error_code(coflow::error::truncated);
    at->read_came_to(other);
  }
  co_await flow.close();
}
inline task<> gives_another_error(stage* on) {
  co_await meet<tcp>(on, gives_another_error_body, gives_another_error_body);
}

inline task<> changes_its_mind_body(side* at, tcp::flow flow) {
  co_await flow.shutdown(shutdown_mode::write);
  co_await hear_all(at, &flow);
  at->read_end = make_error_code(coflow::error::truncated);
  co_await part(at, &flow);
  at->read_end = std::error_code();
}
inline task<> changes_its_mind(stage* on) {
  co_await meet<tcp>(on, changes_its_mind_body, listens<tcp>);
  on->complete = true;
}

inline task<> claims_more_than_it_sent(stage* on) {
  co_await s1<tcp>(on);
  on->client.accepted += 1;
}

inline constexpr scenario all_wrong[] = {
    {"S90", leaks_a_descriptor},
    {"S91", leaks_memory},
    {"S92", leaks_a_frame},
    {"S93", loses_the_last_byte},
    {"S94", receives_another_byte},
    {"S95", waits_for_ever},
    {"S96", cannot_be_stopped},
    {"S97", takes_any_end_for_clean},
    {"S98", gives_another_error},
    {"S99", changes_its_mind},
    {"S100", claims_more_than_it_sent},
};

}  // namespace faults
