/// \file
/// Where all nondeterminism of a test comes from.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "coflow/core/config.hpp"

namespace coflow::inline v0 {

/// Picks one of several possibilities, again and again, in a way that can be repeated: by a seed, through all
/// combinations one after another, or as it was recorded.
///
///     auto c = choices::exhaustive();
///     do {
///       run_the_test(c);           // calls c.pick(n)
///     } while (c.next());
///
/// A test that draws everything it leaves open from one `choices` fails with a line, `repro()`, that repeats the
/// failure. Possibility 0 is the natural one. Belongs to one thread.
class choices {
 public:
  /// Picks that look random; the same seed gives the same picks, on every machine.
  [[nodiscard]] static choices by_seed(std::uint64_t seed) noexcept {
    choices made(way::seeded);
    made.seed_ = made.state_ = seed;
    return made;
  }

  /// Every combination of picks, depth first: each run makes as many picks as it likes, and how many possibilities one
  /// has may depend on those before it. The first run picks 0 throughout.
  [[nodiscard]] static choices exhaustive() noexcept { return choices(way::exhaustive); }

  /// The picks of an earlier run, from what `repro` gave: "1,0,2" or "seed=N". After the last one, and where there are
  /// fewer possibilities than were recorded, the nearest is picked. An empty text is the natural run. Throws
  /// std::invalid_argument if the text is neither.
  [[nodiscard]] static choices replay(std::string_view picks) {
    constexpr std::string_view prefix = "seed=";
    if (picks.starts_with(prefix)) return by_seed(number<std::uint64_t>(picks.substr(prefix.size()), picks));
    choices made(way::recorded);
    for (std::string_view rest = picks; !rest.empty();) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      made.taken_.push_back(pick_made(number<std::size_t>(rest.substr(0, comma), picks), 0));
      if (comma + 1 == rest.size()) throw std::invalid_argument("not a list of picks: " + std::string(picks));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    return made;
  }

  /// One of 0 to n - 1. Where n is 1 there is nothing to pick, and nothing is recorded. Needs n > 0.
  /// Throws std::bad_alloc, and std::logic_error if an exhaustive run does not repeat the one before it up to where
  /// they part: something else than this object decides too.
  [[nodiscard]] std::size_t pick(std::size_t n) {
    COFLOW_ASSERT(n != 0, "choices cannot pick one of no possibilities");
    if (n <= 1) return 0;
    switch (way_) {
      case way::seeded:
        return static_cast<std::size_t>(next_random() % n);
      case way::exhaustive:
        return pick_next(n);
      case way::recorded:
        break;
    }
    return pick_recorded(n);
  }

  /// Begins the next run. False when all combinations have been, and then the first comes again; also false, and the
  /// same run comes again, for what is not exhaustive.
  [[nodiscard]] bool next() {
    const std::size_t made = made_;
    made_ = 0;
    state_ = seed_;
    if (way_ != way::exhaustive) return false;
    taken_.resize(std::min(made, taken_.size()), pick_made(0, 0));
    while (!taken_.empty() && taken_.back().which + 1 == taken_.back().of) taken_.pop_back();
    if (taken_.empty()) return false;
    ++taken_.back().which;
    return true;
  }

  /// What `replay` takes to repeat the run so far.
  [[nodiscard]] std::string repro() const {
    if (way_ == way::seeded) return "seed=" + std::to_string(seed_);
    std::string text;
    for (std::size_t i = 0; i < std::min(made_, taken_.size()); ++i) {
      if (i != 0) text += ',';
      text += std::to_string(taken_[i].which);
    }
    return text;
  }

 private:
  enum class way { seeded, exhaustive, recorded };

  class pick_made {
   public:
    pick_made(std::size_t picked, std::size_t possibilities) noexcept : which(picked), of(possibilities) {}
    std::size_t which;
    std::size_t of;
  };

  explicit choices(way how) noexcept : way_(how) {}

  template <class N>
  static N number(std::string_view text, std::string_view whole) {
    N value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size())
      throw std::invalid_argument("not a list of picks: " + std::string(whole));
    return value;
  }

  std::size_t pick_next(std::size_t n) {
    if (made_ == taken_.size()) taken_.push_back(pick_made(0, n));
    const pick_made& now = taken_[made_];
    if (now.of != n) throw std::logic_error("a run made other choices than the one before it, after " + repro());
    ++made_;
    return now.which;
  }
  // What is picked becomes part of the record, so that `repro` tells what this run has done.
  std::size_t pick_recorded(std::size_t n) {
    if (made_ == taken_.size()) taken_.push_back(pick_made(0, 0));
    pick_made& now = taken_[made_++];
    now.which = std::min(now.which, n - 1);
    return now.which;
  }

  // SplitMix64 (Steele, Lea, Flood 2014).
  std::uint64_t next_random() noexcept {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  way way_;
  std::uint64_t seed_ = 0;
  std::uint64_t state_ = 0;
  std::vector<pick_made> taken_;
  std::size_t made_ = 0;  // in this run
};

}  // namespace coflow::inline v0
