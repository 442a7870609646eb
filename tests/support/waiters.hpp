#pragma once

// For tests of what coroutines wait for: coroutines that are begun, stopped and destroyed by hand; games, in which a
// `choices` picks what happens next and a model says what that comes to; and sweeps, in which somebody is stopped or
// destroyed at every step of a scene.

#include <sys/wait.h>
#include <unistd.h>

#include <coflow/async/run.hpp>
#include <coflow/core.hpp>
#include <coflow/testing/choices.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace support {

inline std::string what_came(const std::error_code& code) {
  if (code == std::errc::operation_canceled) return "canceled";
  if (code == coflow::error::closed) return "closed";
  if (code == coflow::error::no_executor) return "no executor";
  if (code == coflow::error::wrong_executor) return "wrong executor";
  if (code == std::errc::operation_would_block) return "would block";
  return code ? code.message() : "ok";
}
template <class T>
std::string what_came(const coflow::result<T>& given) {
  return given ? "ok" : what_came(given.error());
}

/// Begins `who` now, inline: nobody else runs.
template <class T>
void begin(manual_executor& on, job<T>& who) {
  const coflow::executor::entry inside(on);
  who.started().run();
}

/// Waits once for `what`, which gives a result, and notes what that came to.
template <class Operation>
coflow::task<> note(Operation what, std::vector<std::string>* log, std::string name) {
  const auto came = co_await what;
  log->push_back(name + ": " + what_came(came));
}

/// What `body` waits for when it hangs, as an executor that finds hangs reports it.
inline std::string hang_of(coflow::task<> body) {
  coflow::virtual_executor on;
  try {
    coflow::run(on, std::move(body));
  } catch (const coflow::hang& found) {
    const std::string report = found.what();
    return report.substr(report.find(" waits for ") + 11);
  }
  return "nothing";
}

// ---- games

/// One waiter as a model sees it.
struct modelled {
  enum class stage { absent, waits, decided, told, gone };
  stage at = stage::absent;
  bool stopped = false;  // its task has been
  std::string verdict;

  void decide(std::string what) {
    at = stage::decided;
    verdict = std::move(what);
  }
  [[nodiscard]] bool waits() const { return at == stage::waits; }
  /// It can be stopped and destroyed.
  [[nodiscard]] bool lives() const { return at == stage::waits || at == stage::decided; }
  /// What can be seen of it.
  [[nodiscard]] std::string seen() const { return at == stage::told ? verdict : ""; }
  /// Its turn has come.
  void run() {
    if (at == stage::decided) at = stage::told;
  }
};

/// A sequence of moves, each picked among those that are possible.
class game {
 public:
  explicit game(coflow::choices& from) : from_(from) {}

  /// A move of the next turn.
  void may(bool possible, std::string name, std::function<void()> what) {
    if (possible) moves_.emplace_back(std::move(name), std::move(what));
  }
  void turn() {
    auto moves = std::exchange(moves_, {});
    auto& [name, what] = moves[from_.pick(moves.size())];
    transcript_ += transcript_.empty() ? name : ", " + name;
    what();
  }
  void expect(const std::string& what, const std::string& seen, const std::string& modelled) {
    if (seen != modelled && wrong_.empty())
      wrong_ = transcript_ + ": " + what + " is '" + seen + "' instead of '" + modelled + "'  (" + from_.repro() + ")";
  }
  void expect(const std::string& what, std::size_t seen, std::size_t modelled) {
    if (seen != modelled) expect(what, std::to_string(seen), std::to_string(modelled));
  }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  coflow::choices& from_;
  std::vector<std::pair<std::string, std::function<void()>>> moves_;
  std::string transcript_;
  std::string wrong_;
};

/// Plays all games of `length` moves, then `seeds` random ones that are longer. `play(choices, length)` gives what went
/// wrong. Gives how many were played.
template <class Play>
std::size_t play_games(Play play, int length, int seeds) {
  std::size_t played = 0;
  const auto passes = [&](coflow::choices& from, int moves) {
    ++played;
    const std::string wrong = play(from, moves);
    if (!wrong.empty()) FAIL_CHECK(wrong);
    return wrong.empty();
  };
  auto every = coflow::choices::exhaustive();
  do {
    if (!passes(every, length)) return played;
  } while (every.next());
  for (int seed = 1; seed <= seeds; ++seed) {
    auto random = coflow::choices::by_seed(static_cast<std::uint64_t>(seed));
    if (!passes(random, 40)) return played;
  }
  return played;
}

// ---- sweeps

/// Plays `Scene` to its end, again and again: each time one of its `actors` is stopped, or destroyed, a step later. In
/// between steps everything is as the executor leaves it between two nodes. All others must come to their ends, and
/// `Scene::check(wrong)` may object. `Scene` has `std::vector<job<void>> actors`. Gives how many times it was played.
template <class Scene>
std::size_t sweep() {
  std::size_t played = 0;
  for (std::size_t victim = 0; victim < Scene::size; ++victim) {
    for (const bool destroys : {false, true}) {
      for (std::size_t at = 0;; ++at, ++played) {
        auto in_order = coflow::choices::replay("");
        coflow::virtual_executor on(in_order);
        Scene scene;
        for (auto& actor : scene.actors) actor.start(on);
        const auto step = [&] { return on.run_once() != 0 || on.advance_to_next_deadline(); };
        std::size_t done = 0;
        while (done < at && step()) ++done;
        if (done < at) break;
        {
          const coflow::executor::entry inside(on);
          if (!destroys)
            scene.actors[victim].request_stop();
          else
            scene.actors[victim].destroy();
        }
        while (step()) {
        }
        std::string wrong;
        for (std::size_t i = 0; i < scene.actors.size(); ++i) {
          const bool gone = destroys && i == victim;
          if (!gone && !scene.actors[i].ended()) wrong += " actor " + std::to_string(i) + " hangs;";
        }
        scene.check(wrong, victim, destroys);
        if (wrong.empty()) continue;
        FAIL_CHECK("actor " << victim << (destroys ? " destroyed" : " stopped") << " at step " << at << ":" << wrong);
        return played;
      }
    }
  }
  return played;
}

// ---- mistakes of the program

/// True if `mistake()` ends the program by an assertion, or, where those are compiled out, gives `released`.
template <class Mistake>
bool is_caught(Mistake mistake, [[maybe_unused]] const std::string& released) {
  const pid_t child = fork();
  if (child == 0) {
    std::freopen("/dev/null", "w", stderr);
    std::signal(SIGABRT, SIG_DFL);
    _exit(mistake() == released ? 0 : 1);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return false;
#ifdef NDEBUG
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
#else
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
#endif
}

}  // namespace support
