#pragma once

// A flow that is used on a thread whose loop it does not belong to: the program's mistake. With assertions it ends the
// program; without, the operation gives an error, and the flow is none the worse.

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coflow/net.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "soak/wire.hpp"

namespace foreign {

using coflow::buffer;
using coflow::read_result;
using coflow::result;
using coflow::task;

template <class F>
struct ends {
  ends(F one, F two) : first(std::move(one)), second(std::move(two)) {}
  F first;
  F second;
};

template <class Wire>
task<ends<typename Wire::flow>> connect_over() {
  auto at = Wire::listen();
  auto client = co_await Wire::connect(Wire::address(at), 0);
  if (!client) throw std::system_error(client.error());
  auto server = co_await at.accept();
  if (!server) throw std::system_error(server.error());
  ends<typename Wire::flow> both(std::move(*client), std::move(*server));
  co_return std::move(both);
}
inline task<ends<coflow::memory_flow>> connect_in_memory() {
  auto both = coflow::memory_pipe();
  ends<coflow::memory_flow> made(std::move(both.first), std::move(both.second));
  co_return std::move(made);
}

/// The flow belongs to the running loop from here on.
template <class F>
task<bool> say(ends<F>* both) {
  const result<void> sent = co_await both->first.write(buffer("hello"));
  const read_result got = co_await both->second.read();
  co_return sent.has_value() && got.has_data() && got->text() == "hello";
}

template <class F>
task<std::error_code> misuse(ends<F>* both, std::string_view how) {
  if (how == "read") {
    const read_result got = co_await both->second.read();
    co_return got.error();
  }
  if (how == "writev") {
    buffer list[2] = {buffer("one"), buffer("two")};
    const result<void> sent = co_await both->first.writev(list);
    co_return sent.error();
  }
  const result<void> sent = co_await both->first.write(buffer("here"));
  co_return sent.error();
}

/// Makes a flow, uses it on this thread's loop, then on another's, then here again. Gives what that came to; with
/// assertions it does not return.
template <class Wire, class F>
std::string use_elsewhere(task<ends<F>> connect, std::string_view how) {
  const auto home = Wire::make_loop();
  ends<F> both = coflow::run(*home, std::move(connect));
  if (!coflow::run(*home, say(&both))) return "the flow does not work at all";
  std::error_code gave;
  std::thread other([&both, &gave, how] {
    const auto elsewhere = Wire::make_loop();
    gave = coflow::run(*elsewhere, misuse(&both, how));
  });
  other.join();
  if (gave != coflow::error::wrong_executor) return "elsewhere it gives " + gave.message();
  if (!coflow::run(*home, say(&both))) return "afterwards the flow does not work at home";
  return "";
}

template <class Wire>
task<std::error_code> accept_once(typename Wire::listener* at) {
  auto client = co_await at->accept();
  if (!client) co_return client.error();
  co_return std::error_code();
}
template <class Wire>
task<std::error_code> accept_with_client(typename Wire::listener* at) {
  auto client = co_await Wire::connect(Wire::address(*at), 0);
  if (!client) co_return client.error();
  co_return co_await accept_once<Wire>(at);
}
template <class Wire>
std::string accept_elsewhere() {
  const auto home = Wire::make_loop();
  auto at = Wire::listen();
  if (coflow::run(*home, accept_with_client<Wire>(&at))) return "the listener does not work at all";
  std::error_code gave;
  std::thread other([&at, &gave] {
    const auto elsewhere = Wire::make_loop();
    gave = coflow::run(*elsewhere, accept_once<Wire>(&at));
  });
  other.join();
  if (gave != coflow::error::wrong_executor) return "elsewhere it gives " + gave.message();
  if (coflow::run(*home, accept_with_client<Wire>(&at))) return "afterwards the listener does not work at home";
  return "";
}

inline constexpr std::string_view all_cases[] = {"tcp read",    "tcp write",    "tcp writev",   "tcp accept",
                                                 "memory read", "memory write", "memory writev"};

/// Empty if all is as it should be.
inline std::string play(std::string_view which) {
  using wire = support::tcp_wire;
  const std::string_view how = which.substr(which.find(' ') + 1);
  if (how == "accept") return accept_elsewhere<wire>();
  if (which.starts_with("memory")) return use_elsewhere<wire>(connect_in_memory(), how);
  return use_elsewhere<wire>(connect_over<wire>(), how);
}

}  // namespace foreign
