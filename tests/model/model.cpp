// Contract = model: every sequence of operations and peer actions, up to a length, on every kind of flow, compared with
// an executable specification after every step.
//
//     model [--long] [--length N] [--tcp-length N] [--flow NAME] [--repro "NAME STEP STEP ..."]
//
// Prints a line for each failure, and at the end how many sequences were run. The status is 1 if one failed.

#include <algorithm>
#include <array>
#include <coflow/testing/choices.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/flow_model.hpp"
#include "model/pairs.hpp"
#include "model/subject.hpp"

namespace model {
namespace {

// End a is the flow that is looked at; end b is its peer. A write is a `writev` around empty elements at every second
// place of the sequence.
constexpr std::array<std::string_view, 12> steps{
    "a.read",   "a.write", "a.write_large", "a.shutdown_read",  "a.shutdown_write", "a.close",
    "a.cancel", "b.write", "b.read",        "b.shutdown_write", "b.close",          "b.reset",
};

// Bytes that differ from one write to the next.
std::string_view text(std::size_t write, std::size_t size) {
  static const std::string letters = [] {
    std::string made;
    for (std::size_t i = 0; i < 2 * 1024 * 1024; ++i) made += static_cast<char>('a' + (i * 7 + i / 26) % 26);
    return made;
  }();
  return std::string_view(letters).substr(write * 5, size);
}

// What the steps are called by.
enum : std::size_t { a_write_large = 2, a_close = 5, a_cancel = 6, b_reset = 11 };

// False for a sequence of which the laws want a reset that the kind has no means for: one of b's, or the close of a
// torn stream.
template <class Kind>
bool is_possible(const std::vector<std::size_t>& sequence) {
  if (Kind::resets) return true;
  bool large = false;
  for (const std::size_t step : sequence) {
    if (step == b_reset || (large && (step == a_close || step == a_cancel))) return false;
    large |= step == a_write_large;
  }
  return true;
}

template <class Kind>
class comparison {
 public:
  comparison() : model_(Kind::below) {}

  // Gives what went wrong, or nothing.
  std::string run(const std::vector<std::size_t>& sequence) {
    const coflow::executor::entry current(kind_.home());
    model_.start_over();
    tested_.begin(kind_.connect());
    std::string wrong;
    for (std::size_t place = 0; place != sequence.size() && wrong.empty(); ++place) {
      take(sequence[place], place);
      wrong = compare();
      if (!wrong.empty()) wrong = "after step " + std::to_string(place + 1) + ", " + wrong;
    }
    if (wrong.empty()) wrong = drain();
    tested_.end();
    return wrong;
  }

 private:
  void take(std::size_t step, std::size_t place) {
    switch (step) {
      case 0:
        return read(0);
      case 1:
        return write(0, Kind::small, place);
      case 2:
        return write(0, Kind::large, place);
      case 3:
        model_.shut_read(0);
        return tested_.shutdown(0, coflow::shutdown_mode::read);
      case 4:
        return shut_write(0);
      case 5:
        return close(0);
      case 6:
        if (const std::size_t op = model_.cancel(0); op != model_.count()) tested_.cancel(op);
        return;
      case 7:
        return write(1, Kind::small, place);
      case 8:
        return read(1);
      case 9:
        return shut_write(1);
      case 10:
        return close(1);
      default:
        model_.break_off(1);
        if constexpr (Kind::resets) break_off(tested_.flow(1));
        return;
    }
  }
  void read(int at) {
    model_.read(at);
    tested_.read(at);
  }
  void write(int at, std::size_t size, std::size_t place) {
    const std::string_view bytes = text(model_.count(), size);
    model_.write(at, bytes);
    tested_.write(at, bytes, place % 2 == 1);
  }
  void shut_write(int at) {
    model_.shut_write(at);
    tested_.shutdown(at, coflow::shutdown_mode::write);
  }
  void close(int at) {
    model_.close(at);
    tested_.close(at);
    if (!Kind::close_waits && !tested_.closes_are_over()) close_waited_ = true;
  }

  std::string compare() {
    if (std::exchange(close_waited_, false)) return "a close has not completed at once";
    kind_.begin_wait();
    for (;;) {
      kind_.turn();
      const auto agreed = model_.settle([this](std::size_t op) { return tested_.seen(op); });
      if (agreed == flow_model::agreement::complete)
        return tested_.closes_are_over() ? std::string() : std::string("a close is not over");
      if (agreed == flow_model::agreement::waiting && kind_.may_wait()) continue;
      return complaint(model_.culprit());
    }
  }
  std::string complaint(std::size_t op) {
    const observation seen = tested_.seen(op);
    std::string what = model_.describe(op) + ": " + in_words(seen.came_to);
    if (seen.came_to == data) what.append(": \"").append(seen.bytes.substr(0, 32)).append("\"");
    if (seen.came_to == strange) what += ": " + tested_.error(op);
    if (seen.left != observation::unknown) what += " with " + std::to_string(seen.left) + " bytes unsent";
    return what + " instead of " + model_.expectation(op);
  }

  // Both ends read what there is, and close; then nobody waits any more.
  std::string drain() {
    for (bool progress = true; progress;) {
      progress = false;
      for (const int at : {1, 0}) {
        if (!model_.can_read(at) || model_.reads_pending(at)) continue;
        read(at);
        if (std::string wrong = compare(); !wrong.empty()) return "reading the rest, " + wrong;
        progress |= !model_.reads_pending(at);
      }
    }
    for (const int at : {0, 1}) {
      close(at);
      if (std::string wrong = compare(); !wrong.empty()) return "closing, " + wrong;
    }
    return {};
  }

  Kind kind_;
  flow_model model_;
  subject<typename Kind::flow> tested_;
  bool close_waited_ = false;
};

struct totals {
  long points = 0;
  long failures = 0;
};

template <class Kind>
bool passes(comparison<Kind>& with, const std::vector<std::size_t>& sequence, bool report) {
  const std::string wrong = with.run(sequence);
  if (wrong.empty()) return true;
  if (!report) return false;
  std::string line;
  for (const std::size_t step : sequence) line.append(" ").append(steps[step]);
  std::printf("model: %s:%s: %s  COFLOW_REPRO=\"%s%s\"\n", Kind::name, line.c_str(), wrong.c_str(), Kind::name,
              line.c_str());
  return false;
}

template <class Kind>
void compare_all(std::size_t length, totals& sum) {
  constexpr long most_reports = 10;
  comparison<Kind> with;
  long failures = 0;
  for (std::size_t now = 1; now <= length; ++now) {
    std::vector<std::size_t> sequence(now);
    auto order = coflow::choices::exhaustive();
    do {
      for (std::size_t& step : sequence) step = order.pick(steps.size());
      if (!is_possible<Kind>(sequence)) continue;
      ++sum.points;
      if (!passes(with, sequence, failures < most_reports)) ++failures;
    } while (order.next());
  }
  if (failures > most_reports) std::printf("model: %s: %ld failures in all\n", Kind::name, failures);
  sum.failures += failures;
}

// "memory_pipe a.read b.write"
template <class Kind>
void repeat(const std::string& line, totals& sum) {
  std::istringstream words(line);
  std::string word;
  words >> word;
  if (word != Kind::name) return;
  std::vector<std::size_t> sequence;
  while (words >> word) {
    const auto step = std::find(steps.begin(), steps.end(), word);
    if (step == steps.end()) {
      std::printf("model: no such step: %s\n", word.c_str());
      ++sum.failures;
      return;
    }
    sequence.push_back(static_cast<std::size_t>(step - steps.begin()));
  }
  comparison<Kind> with;
  ++sum.points;
  if (!passes(with, sequence, true)) ++sum.failures;
}

class settings {
 public:
  settings() = default;

  std::size_t length = 5;
  std::size_t stacked_length = coflow::detail::pooling ? 5 : 4;  // a sanitizer makes the layers slow
  std::size_t tcp_length = 3;
  std::string flow;   // empty: all
  std::string repro;  // empty: none
};

template <class Kind>
void work(const settings& wanted, std::size_t length, totals& sum) {
  if (!wanted.repro.empty())
    repeat<Kind>(wanted.repro, sum);
  else if (wanted.flow.empty() || wanted.flow == Kind::name)
    compare_all<Kind>(length, sum);
}

}  // namespace
}  // namespace model

int main(int argc, char** argv) {
  model::settings wanted;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (option == "--long") {
      wanted.length = wanted.stacked_length = 6;
      wanted.tcp_length = 4;
      continue;
    }
    if (option == "--length" && value != nullptr) {
      wanted.length = wanted.stacked_length = std::strtoul(value, nullptr, 10);
    } else if (option == "--tcp-length" && value != nullptr) {
      wanted.tcp_length = std::strtoul(value, nullptr, 10);
    } else if (option == "--flow" && value != nullptr) {
      wanted.flow = value;
    } else if (option == "--repro" && value != nullptr) {
      wanted.repro = value;
    } else {
      std::fprintf(stderr, "usage: model [--long] [--length N] [--tcp-length N] [--flow NAME] [--repro LINE]\n");
      return 2;
    }
    ++i;
  }

  model::totals sum;
  model::work<model::memory_pairs>(wanted, wanted.length, sum);
  model::work<model::layered_pairs>(wanted, wanted.stacked_length, sum);
  model::work<model::any_pairs>(wanted, wanted.stacked_length, sum);
  model::work<model::codec_pairs>(wanted, wanted.stacked_length, sum);
  model::work<model::tcp_pairs>(wanted, wanted.tcp_length, sum);
  model::work<model::unix_pairs>(wanted, wanted.tcp_length, sum);
  if (sum.points == 0) {
    std::printf("model: no such flow\n");
    ++sum.failures;
  }
  std::printf("points: %ld\n", sum.points);
  return sum.failures == 0 ? 0 : 1;
}
