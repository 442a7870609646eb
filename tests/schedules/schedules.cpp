// Schedules: what happens at once happens in every order.
//
//     schedules [--long] [--tls] [--seeds N] [--past FILE] [--repro LINE]
//
// --tls: over TLS instead, where OpenSSL is; fewer conversations, since each begins with a handshake.
// Plays the micro scenarios in all orders in which the ready nodes can run, then random conversations by seed; before
// that, what failed once (past_failures). Prints a line for each failure, and at the end how many were played. The
// status is 1 if one failed.

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COFLOW_HAS_SANITIZER 1
#endif
#endif
#ifndef COFLOW_HAS_SANITIZER
#define COFLOW_HAS_SANITIZER 0
#endif

#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/choices.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "schedules/conversation.hpp"
#include "schedules/scenarios.hpp"
#ifdef COFLOW_WITH_OPENSSL
#include "schedules/tls.hpp"
#include "schedules/tls_scenarios.hpp"
#endif

namespace schedules {
namespace {

class over_memory {
 public:
  using flow = coflow::memory_flow;
  static constexpr const char* name = "memory_pipe";
  static constexpr bool seals = false;
  static std::pair<flow, flow> connect(std::size_t capacity = 4) { return coflow::memory_pipe(capacity); }
};

class over_layer {
 public:
  using flow = coflow::layered_flow<coflow::memory_flow>;
  static constexpr const char* name = "layered_flow";
  static constexpr bool seals = false;
  static std::pair<flow, flow> connect(std::size_t capacity = 4) {
    auto ends = coflow::memory_pipe(capacity);
    return {flow(std::move(ends.first)), flow(std::move(ends.second))};
  }
};

class over_any {
 public:
  using flow = coflow::any_flow;
  static constexpr const char* name = "any_flow";
  static constexpr bool seals = false;
  static std::pair<flow, flow> connect(std::size_t capacity = 4) {
    auto ends = coflow::memory_pipe(capacity);
    return {flow(std::move(ends.first)), flow(std::move(ends.second), "b")};
  }
};

// What a codec has sealed goes out, whatever becomes of the write; its close waits, and its goodbye takes room.
class over_codec {
 public:
  using flow = coflow::codec_flow<coflow::length_prefix_codec, coflow::memory_flow>;
  static constexpr const char* name = "codec_flow";
  static constexpr bool seals = true;
  static std::pair<flow, flow> connect(std::size_t capacity = 4) {
    auto ends = coflow::memory_pipe(capacity);
    const coflow::length_prefix_codec codec;
    return {flow(codec, std::move(ends.first)), flow(codec, std::move(ends.second))};
  }
};

template <class Kind>
std::string random_conversation(choices& from) {
  conversation<Kind> of(from);
  return of.run();
}

class play {
 public:
  const char* name;
  const char* flow;
  std::string (*run)(choices&);
};

template <class Kind>
constexpr play scenarios[] = {
    {"read_with_close", Kind::name, read_with_close<Kind>},
    {"write_with_shutdown", Kind::name, write_with_shutdown<Kind>},
    {"write_with_write", Kind::name, write_with_write<Kind>},
    {"read_with_cancel", Kind::name, read_with_cancel<Kind>},
    {"close_with_close", Kind::name, close_with_close<Kind>},
    {"read_with_destruction", Kind::name, read_with_destruction<Kind>},
    {"write_with_cancel", Kind::name, write_with_cancel<Kind>},
    {"shutdown_with_close", Kind::name, shutdown_with_close<Kind>},
    {"read_with_its_coroutines_end", Kind::name, read_with_its_coroutines_end<Kind>},
};
template <>
constexpr play scenarios<over_codec>[] = {
    {"read_with_close", over_codec::name, read_with_close<over_codec>},
    {"write_with_write", over_codec::name, write_with_write<over_codec>},
    {"read_with_cancel", over_codec::name, read_with_cancel<over_codec>},
    {"close_with_close", over_codec::name, close_with_close<over_codec>},
    {"handshake_with_close", over_codec::name, handshake_with_close<over_memory>},
    {"handshake_with_cancel", over_codec::name, handshake_with_cancel<over_memory>},
};
constexpr play conversations[] = {
    {"conversation", over_memory::name, random_conversation<over_memory>},
    {"conversation", over_layer::name, random_conversation<over_layer>},
    {"conversation", over_any::name, random_conversation<over_any>},
    {"conversation", over_codec::name, random_conversation<over_codec>},
};
#ifdef COFLOW_WITH_OPENSSL
template <>
constexpr play scenarios<over_tls>[] = {
    {"read_with_close", over_tls::name, read_with_close<over_tls>},
    {"write_with_shutdown", over_tls::name, write_with_shutdown<over_tls>},
    {"write_with_write", over_tls::name, write_with_write<over_tls>},
    {"read_with_cancel", over_tls::name, read_with_cancel<over_tls>},
    {"close_with_close", over_tls::name, close_with_close<over_tls>},
    {"write_with_cancel", over_tls::name, write_with_cancel<over_tls>},
    {"handshake_with_close", over_tls::name, tls_handshake_with_close},
    {"handshake_with_cancel", over_tls::name, tls_handshake_with_cancel},
    {"handshake_with_its_coroutines_end", over_tls::name, tls_handshake_with_its_coroutines_end},
    {"handshake_with_farewell", over_tls::name, tls_handshake_with_farewell},
};
constexpr std::span<const play> tls_scenarios = scenarios<over_tls>;
constexpr play conversations_over_tls[] = {{"conversation", over_tls::name, random_conversation<over_tls>}};
constexpr std::span<const play> tls_conversations = conversations_over_tls;
#else
constexpr std::span<const play> tls_scenarios;
constexpr std::span<const play> tls_conversations;
#endif

// Calls `f` with every scenario on every kind of flow.
template <class F>
void for_each_scenario(F&& f) {
  for (const play& one : scenarios<over_memory>) f(one);
  for (const play& one : scenarios<over_layer>) f(one);
  for (const play& one : scenarios<over_any>) f(one);
  for (const play& one : scenarios<over_codec>) f(one);
}

class totals {
 public:
  long points = 0;
  long failures = 0;
  static constexpr long most_reports = 20;
};

bool passes(const play& one, choices& order, totals& sum) {
  ++sum.points;
  std::string wrong;
  try {
    wrong = one.run(order);
  } catch (const std::exception& thrown) {
    wrong = thrown.what();
  }
  if (const long left = coflow::detail::live_frames.exchange(0); left != 0 && wrong.empty())
    wrong = std::to_string(left) + " coroutine frames are left";
  if (wrong.empty()) return true;
  if (++sum.failures <= totals::most_reports)
    std::printf("schedules: %s on %s: %s  COFLOW_REPRO=\"%s %s %s\"\n", one.name, one.flow, wrong.c_str(), one.name,
                one.flow, order.repro().c_str());
  return false;
}

void play_all_orders(const play& one, totals& sum) {
  auto order = choices::exhaustive();
  do {
    passes(one, order, sum);
  } while (order.next());
}

// "read_with_close memory_pipe 1,0,2"
void repeat(const std::string& line, totals& sum) {
  std::istringstream words(line);
  std::string name, flow, picks;
  words >> name >> flow >> picks;
  bool found = false;
  const auto try_one = [&](const play& one) {
    if (name != one.name || flow != one.flow) return;
    found = true;
    auto order = choices::replay(picks);
    passes(one, order, sum);
  };
  for_each_scenario(try_one);
  for (const std::span<const play> some : {std::span<const play>(conversations), tls_scenarios, tls_conversations})
    for (const play& one : some) try_one(one);
  if (found) return;
  std::printf("schedules: nothing is called so: %s\n", line.c_str());
  ++sum.failures;
}

void repeat_past_failures(const std::filesystem::path& from, totals& sum) {
  std::ifstream file(from);
  if (!file) {
    std::printf("schedules: cannot read the past failures\n");
    ++sum.failures;
  }
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.front() != '#') repeat(line, sum);
  }
}

}  // namespace
}  // namespace schedules

int main(int argc, char** argv) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || COFLOW_HAS_SANITIZER
  std::uint64_t seeds = 20'000;
  std::uint64_t tls_seeds = 500;
#else
  std::uint64_t seeds = 100'000;
  std::uint64_t tls_seeds = 2'000;
#endif
  std::filesystem::path past;
  std::string repro;
  bool tls = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--long") {
      seeds = 1'000'000;
      tls_seeds = 100'000;
      continue;
    }
    if (option == "--tls") {
      tls = true;
      continue;
    }
    const char* value = ++i < argc ? argv[i] : nullptr;
    if (option == "--seeds" && value != nullptr) {
      seeds = tls_seeds = std::strtoull(value, nullptr, 10);
    } else if (option == "--past" && value != nullptr) {
      past = value;
    } else if (option == "--repro" && value != nullptr) {
      repro = value;
    } else {
      std::fprintf(stderr, "usage: schedules [--long] [--tls] [--seeds N] [--past FILE] [--repro LINE]\n");
      return 2;
    }
  }

  if (past.empty())
    past = std::filesystem::path(__FILE__).parent_path() / (tls ? "past_tls_failures" : "past_failures");
  if (tls) seeds = tls_seeds;
  const std::span<const schedules::play> conversations =
      tls ? schedules::tls_conversations : std::span<const schedules::play>(schedules::conversations);

  schedules::totals sum;
  if (!repro.empty()) {
    schedules::repeat(repro, sum);
  } else {
    schedules::repeat_past_failures(past, sum);
    const auto in_all_orders = [&](const schedules::play& one) { schedules::play_all_orders(one, sum); };
    if (!tls) schedules::for_each_scenario(in_all_orders);
    if (tls)
      for (const schedules::play& one : schedules::tls_scenarios) in_all_orders(one);
    for (std::uint64_t seed = 0; seed != seeds && !conversations.empty(); ++seed) {
      auto random = coflow::choices::by_seed(seed);
      schedules::passes(conversations[seed % conversations.size()], random, sum);
    }
  }
  if (sum.failures != 0) std::printf("schedules: %ld failures in all\n", sum.failures);
  std::printf("points: %ld\n", sum.points);
  return sum.failures == 0 ? 0 : 1;
}
