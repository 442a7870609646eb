#pragma once

// The server's process. Each connection says with its first byte what will become of it:
//
//     g, c   all is sent back until the client ends the stream
//     r, w   the same, and the client resets the connection, or vanishes while it writes: the stream must not end
//     d      1 MiB is sent, of which the client reads little before it goes
//     v      the server vanishes while it sends that
//     k      the client stops at any moment
//     m      asks for counts: `i` at once, `s` when no other connection is left, `q` to end the server

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/net.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "soak/counted_memory.hpp"
#include "soak/counts.hpp"
#include "soak/wire.hpp"

namespace soak {

using coflow::buffer;
using coflow::read_result;
using coflow::result;
using coflow::task;

inline constexpr std::size_t more_than_fits = std::size_t{1} << 20;

// One megabyte for all.
inline buffer large_payload() {
  static buffer made = buffer::adopt(std::string(more_than_fits, 'x'));
  return made.share();
}
inline task<> let_others_run(int turns) {
  for (int i = 0; i < turns; ++i) {
    const result<void> slept = co_await coflow::sleep_for(std::chrono::seconds(0));
    if (!slept) co_return;
  }
}
// Small, but more than one segment of the loopback device, which would stall on less.
template <class F>
void keep_small(F& flow) {
  static_cast<void>(flow.set_option(SOL_SOCKET, SO_SNDBUF, 65536));
  static_cast<void>(flow.set_option(SOL_SOCKET, SO_RCVBUF, 65536));
}
template <class F>
task<> write_and_forget(F* flow, buffer bytes) {
  const result<void> sent = co_await flow->write(std::move(bytes));
  static_cast<void>(sent);
}

struct server_state {
  explicit server_state(std::string what) : defect(std::move(what)) {}
  std::string defect;
  long active = 0;
  long started = 0;
  long wrong = 0;
};
// What a defect leaves behind; it stays reachable, so that only the counts can find it.
inline std::vector<void*>& hoard() {
  static auto* const made = new std::vector<void*>;
  return *made;
}

class occupation {
 public:
  explicit occupation(server_state* of) noexcept : state_(of) {
    ++state_->active;
    ++state_->started;
  }
  occupation(const occupation&) = delete;
  occupation& operator=(const occupation&) = delete;
  ~occupation() { --state_->active; }

 private:
  server_state* state_;
};

enum class ending { eof, failed };

template <class F>
task<ending> send_back(F* flow, buffer first) {
  const result<void> sent_first = co_await flow->write(std::move(first));
  if (!sent_first) co_return ending::failed;
  for (;;) {
    read_result got = co_await flow->read();
    if (got.eof()) co_return ending::eof;
    if (!got) co_return ending::failed;
    const result<void> sent = co_await flow->write(std::move(*got));
    if (!sent) co_return ending::failed;
  }
}
// A write may fail while there is input: the end is what the reads come to.
template <class F>
task<ending> read_to_end(F* flow, std::size_t* read = nullptr) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (got.eof()) co_return ending::eof;
    if (!got) co_return ending::failed;
    if (read != nullptr) *read += got->size();
  }
}

inline std::string in_words(const server_state& state) {
  const counts now = count_all(support::memory_in_use.blocks);
  char line[200];
  std::snprintf(line, sizeof line, "%ld %ld %ld %ld %ld %ld %ld\n", now.descriptors, now.frames, now.blocks,
                now.resident, state.active, state.started, state.wrong);
  return line;
}

template <class Wire>
task<> answer(server_state* state, typename Wire::flow* flow, typename Wire::listener* at) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) co_return;
    for (const char asked : got->text()) {
      if (asked == 'q') at->close();
      if (asked == 's') {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (state->active > 1 && std::chrono::steady_clock::now() < limit) {
          const result<void> slept = co_await coflow::sleep_for(std::chrono::milliseconds(1));
          if (!slept) co_return;
        }
        co_await let_others_run(3);  // the last one's coroutine ends after it has counted itself out
      }
      if (asked != 'i' && asked != 's') continue;
      const result<void> sent = co_await flow->write(buffer(in_words(*state)));
      if (!sent) co_return;
    }
  }
}

// The wrongs that the judge must see.
inline void misbehave(server_state& state) {
  if (state.started % 50 != 0) return;
  if (state.defect == "descriptors") static_cast<void>(::dup(1));
  if (state.defect == "frames") {
    task<> never = let_others_run(1);
    hoard().push_back(new task<>(std::move(never)));
  }
  if (state.defect == "allocations") hoard().push_back(new char[10]);
  if (state.defect == "memory") {
    hoard().push_back(std::malloc(1 << 18));
    std::memset(hoard().back(), 1, 1 << 18);
  }
}

template <class F>
task<> serve_echo(server_state* state, F* flow, buffer first) {
  const ending came_to = co_await send_back(flow, std::move(first));
  if (came_to != ending::eof) ++state->wrong;
}
template <class F>
task<> serve_broken(server_state* state, F* flow, buffer first, bool small) {
  if (small) keep_small(*flow);
  ending came_to = co_await send_back(flow, std::move(first));
  if (came_to == ending::failed) came_to = co_await read_to_end(flow);
  if (came_to != ending::failed) ++state->wrong;
}
template <class F>
task<> serve_download(server_state* state, F* flow) {
  keep_small(*flow);
  const result<void> sent = co_await flow->write(large_payload());
  if (sent) ++state->wrong;
}
template <class F>
task<> vanish_while_writing(F* flow) {
  keep_small(*flow);
  coflow::task_scope writing;
  writing.spawn(write_and_forget(flow, large_payload())).value();
  co_await let_others_run(3);
}
template <class F>
task<> serve_anything(F* flow, buffer first) {
  static_cast<void>(co_await send_back(flow, std::move(first)));
}

template <class Wire>
task<> kind_of_session(server_state* state, typename Wire::flow* flow, typename Wire::listener* at, buffer first) {
  switch (first.text()[0]) {
    case 'm':
      return answer<Wire>(state, flow, at);
    case 'g':
    case 'c':
      return serve_echo(state, flow, std::move(first));
    case 'r':
      return serve_broken(state, flow, std::move(first), false);
    case 'w':
      return serve_broken(state, flow, std::move(first), true);
    case 'd':
      return serve_download(state, flow);
    case 'v':
      return vanish_while_writing(flow);
    default:
      return serve_anything(flow, std::move(first));
  }
}

template <class Wire>
task<> session(server_state* state, typename Wire::flow flow, typename Wire::listener* at) {
  const occupation here(state);
  misbehave(*state);
  read_result first = co_await flow.read();
  if (!first) co_return;
  task<> rest = kind_of_session<Wire>(state, &flow, at, std::move(*first));
  co_await std::move(rest);
}

template <class Wire>
task<> serve(server_state* state, typename Wire::listener at) {
  coflow::task_scope clients(coflow::on_failure::isolate);
  for (;;) {
    auto client = co_await at.accept();
    if (!client) break;
    clients.spawn(session<Wire>(state, std::move(*client), &at)).value();
  }
  const result<void> joined = co_await clients.join();
  static_cast<void>(joined);
}

/// Prints where it listens, and when it has ended what is left behind.
template <class Wire>
int server_main(const std::string& defect) {
  large_payload();
  const counts before = count_all(support::memory_in_use.blocks);
  {
    server_state state(defect);
    const auto loop = Wire::make_loop();
    auto at = Wire::listen();
    std::printf("%s\n", Wire::address(at).c_str());
    std::fflush(stdout);
    coflow::run(*loop, serve<Wire>(&state, std::move(at)));
  }
  const counts after = count_all(support::memory_in_use.blocks);
  std::printf("end %s\n", left_behind(before, after).c_str());
  return 0;
}

}  // namespace soak
