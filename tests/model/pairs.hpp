#pragma once

// The kinds of connected flows that the model is compared with. A kind says what is below, makes a pair, and turns the
// executor on which it lives.

#include <sys/socket.h>

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/net.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "model/outcome.hpp"

namespace model {

// What lives in memory: everything that can happen has happened when nothing is ready.
class in_memory {
 public:
  static constexpr transport below{kind::pipe, 4, 4};
  static constexpr std::size_t small = 3;
  static constexpr std::size_t large = 6;
  static constexpr bool close_waits = false;
  static constexpr bool resets = true;

  in_memory() noexcept {}
  coflow::executor& home() { return home_; }
  void turn() { home_.run_until_idle(); }
  // For what others do: here more turns would change nothing.
  void begin_wait() {}
  [[nodiscard]] bool may_wait() { return false; }

 protected:
  coflow::virtual_executor home_;
};

class memory_pairs : public in_memory {
 public:
  using flow = coflow::memory_flow;
  static constexpr const char* name = "memory_pipe";
  static std::pair<flow, flow> connect() { return coflow::memory_pipe(below.at_most); }
};

class layered_pairs : public in_memory {
 public:
  using flow = coflow::layered_flow<coflow::memory_flow>;
  static constexpr const char* name = "layered_flow";
  static std::pair<flow, flow> connect() {
    auto ends = coflow::memory_pipe(below.at_most);
    return {flow(std::move(ends.first)), flow(std::move(ends.second))};
  }
};

class any_pairs : public in_memory {
 public:
  using flow = coflow::any_flow;
  static constexpr const char* name = "any_flow";
  static std::pair<flow, flow> connect() {
    auto ends = coflow::memory_pipe(below.at_most);
    return {flow(std::move(ends.first)), flow(std::move(ends.second), "b")};
  }
};

// Five small writes and a goodbye fit, a large one does not; time passes with every step, so that limits do too.
class codec_pairs : public in_memory {
 public:
  using flow = coflow::codec_flow<coflow::length_prefix_codec, coflow::memory_flow>;
  static constexpr const char* name = "codec_flow";
  static constexpr transport below{kind::codec, 15, 96};
  static constexpr std::size_t large = 100;
  static constexpr bool close_waits = true;

  void turn() {
    do {
      home_.run_until_idle();
    } while (home_.advance_to_next_deadline());
  }
  static std::pair<flow, flow> connect() {
    auto ends = coflow::memory_pipe(48);
    const coflow::length_prefix_codec codec;
    return {flow(codec, std::move(ends.first)), flow(codec, std::move(ends.second))};
  }
};

// What lives in the kernel: it takes its time.
class in_kernel {
 public:
  static constexpr bool close_waits = false;
  // The ends hold some hundred KiB; small writes always fit.
  static constexpr transport below{kind::kernel, 16 * 1024, 768 * 1024};
  static constexpr std::size_t small = 3;
  static constexpr std::size_t large = 1024 * 1024;

  in_kernel() {}
  coflow::executor& home() { return home_; }
  // Two turns, since what the kernel reports in one is acted on in the next. Neither waits.
  void turn() {
    for (int i = 0; i < 2; ++i) {
      {
        const coflow::executor::entry current(home_);
        if (!poke_.linked()) home_.post(poke_);
      }
      home_.turn();
    }
  }
  // What the kernel does takes its time, but not two seconds.
  void begin_wait() { limit_.reset(); }
  [[nodiscard]] bool may_wait() {
    const auto now = std::chrono::steady_clock::now();
    if (!limit_) limit_ = now + std::chrono::seconds(2);
    return now < *limit_;
  }

 protected:
  coflow::event_loop home_;

 private:
  class poke final : public coflow::node {
   public:
    poke() noexcept {}
    void run() noexcept override {}
  };

  poke poke_;
  std::optional<std::chrono::steady_clock::time_point> limit_;
};

class tcp_pairs : public in_kernel {
 public:
  using flow = coflow::tcp_flow;
  static constexpr const char* name = "tcp";
  static constexpr bool resets = true;

  tcp_pairs() : listener_(coflow::tcp_listener::bind("127.0.0.1", 0).value()) {}
  std::pair<flow, flow> connect() { return coflow::run(home_, make(&listener_)); }

 private:
  static coflow::task<std::pair<flow, flow>> make(coflow::tcp_listener* at) {
    auto client = co_await coflow::tcp_connect(at->local_endpoint());
    if (!client) throw std::system_error(client.error());
    auto server = co_await at->accept();
    if (!server) throw std::system_error(server.error());
    for (flow* one : {&*client, &*server}) {
      one->set_option(SOL_SOCKET, SO_SNDBUF, 65536).value();
      one->set_option(SOL_SOCKET, SO_RCVBUF, 65536).value();
    }
    co_return std::pair<flow, flow>(std::move(*client), std::move(*server));
  }

  coflow::tcp_listener listener_;
};

// Nothing resets a connection between local sockets, and so a torn write ends like any other.
class unix_pairs : public in_kernel {
 public:
  using flow = coflow::unix_flow;
  static constexpr const char* name = "unix";
  static constexpr bool resets = false;

  static std::pair<flow, flow> connect() {
    auto made = coflow::unix_pair();
    if (!made) throw std::system_error(made.error());
    for (flow* one : {&made->first, &made->second}) one->set_option(SOL_SOCKET, SO_SNDBUF, 65536).value();
    return std::move(*made);
  }
};

}  // namespace model
