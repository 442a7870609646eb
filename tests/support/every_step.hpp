#pragma once

// Does something to a task at each of its steps: a scenario is run again and again, one step further each time, and
// there its task is stopped or destroyed. A step is one node of the executor's ready queue, so that an operation is
// also met when it has completed and its coroutine has not run yet, or a moment of virtual time.

#include <coflow/core/task.hpp>
#include <coflow/testing/choices.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace support {

enum class blow { stop, destroy };

/// `Scenario` is made anew for each run. It has `attacked()`, the task that the blow falls on, `peer()`, one that runs
/// beside it, `heir()`, one that is begun when the attacked task is no more, and `judge(blow)`, which looks at what has
/// come of it all and gives an empty text or what is wrong. Gives how many runs there were.
template <class Scenario>
std::size_t hit_at_every_step(blow what) {
  using coflow::task;
  std::size_t runs = 0;
  for (bool in_time = true; in_time; ++runs) {
    const long frames = coflow::detail::live_frames.load();
    std::string wrong;
    {
      coflow::choices in_order = coflow::choices::replay("");
      coflow::virtual_executor on(in_order);
      const coflow::executor::entry current(on);
      Scenario scenario;
      const auto step = [&on] { return on.run_once() != 0 || on.advance_to_next_deadline(); };
      std::vector<job<void>> others;
      auto attacked = job<void>::of(scenario.attacked());
      attacked.start(on);
      others.push_back(job<void>::of(scenario.peer()));
      others.back().start(on);
      for (std::size_t i = 0; i < runs && step(); ++i) continue;
      in_time = !attacked.ended();
      if (what == blow::destroy) {
        attacked.destroy();
      } else {
        attacked.request_stop();
        while (!attacked.ended() && step()) continue;
        if (!attacked.ended()) wrong = "the task hangs";
      }
      if (wrong.empty()) {
        others.push_back(job<void>::of(scenario.heir()));
        others.back().start(on);
        while (step()) continue;
        for (const job<void>& one : others)
          if (!one.ended()) wrong = "somebody else hangs";
      }
      if (wrong.empty()) wrong = scenario.judge(what);
    }
    if (wrong.empty() && coflow::detail::live_frames.load() != frames) wrong = "a frame is left";
    if (!wrong.empty()) FAIL_CHECK("step " << runs << (what == blow::stop ? ", stopped: " : ", destroyed: ") << wrong);
  }
  return runs;
}

}  // namespace support
