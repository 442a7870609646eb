// A watched flow keeps every law of the flow below; what its notes are for is in serve_test.cpp.
#include "coflow/net/watched_flow.hpp"

#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/task.hpp"
#include "coflow/memory/memory_pipe.hpp"
#include "coflow/testing/laws.hpp"
#include "support/catch.hpp"
#include "support/law_table.hpp"
#include "support/manual_executor.hpp"

namespace {

using coflow::buffer;
using coflow::memory_flow;
using coflow::task;
using coflow::detail::activity;
using coflow::detail::activity_share;
using coflow::detail::activity_watch;
using watched = coflow::watched_flow<memory_flow>;

static_assert(coflow::check_flow_shape<watched>());
static_assert(coflow::SystemFlow<watched>);

class watched_ends {
 public:
  std::pair<watched, watched> operator()() {
    auto ends = coflow::memory_pipe(4096);
    return {watched(std::move(ends.first), activity_share(new activity)),
            watched(std::move(ends.second), activity_share(new activity))};
  }
  void reset(watched& end) noexcept { end.lowest_layer().reset(); }
  void cut(watched& end) noexcept { end.lowest_layer().reset(); }
};

// A flow, the server's watch on it, and the other end.
struct stage {
  explicit stage(std::pair<memory_flow, memory_flow> ends) : peer(std::move(ends.second)) {
    activity_share noted(new activity);
    flow.emplace(std::move(ends.first), noted);
    watch.watch(std::move(noted));
    static_cast<void>(watch.look());  // a connection begins as an active one
  }
  stage() : stage(coflow::memory_pipe(4)) {}

  template <class T>
  bool notes(task<T> operation) {
    auto running = support::job<T>::of(std::move(operation));
    running.start(on);
    on.run_until_idle();
    return watch.look() == 0;
  }

  support::manual_executor on;
  activity_watch watch;
  memory_flow peer;
  std::optional<watched> flow;
};

task<std::error_code> read_of(auto* flow) {
  auto got = co_await flow->read();
  co_return got.failed() ? got.error() : std::error_code();
}
task<std::error_code> read_into_of(auto* flow) {
  std::byte room[8];
  const auto got = co_await flow->read_into(std::span<std::byte>(room));
  co_return got.failed() ? got.error() : std::error_code();
}
task<std::error_code> write_of(auto* flow, buffer bytes) {
  const auto sent = co_await flow->write(std::move(bytes));
  co_return sent.error();
}
task<std::error_code> writev_of(auto* flow) {
  buffer list[2] = {buffer("a"), buffer("b")};
  const auto sent = co_await flow->writev(std::span<buffer>(list));
  co_return sent.error();
}
task<> shutdown_of(auto* flow) { co_await flow->shutdown(coflow::shutdown_mode::write); }

}  // namespace

TEST_CASE("a watched flow keeps every law", "[watched_flow]") {
  const auto table = support::all_laws();
  support::require_kept(support::check_table<coflow::virtual_executor>(table, watched_ends()), table);
}

TEST_CASE("completed reads and writes are noted, and nothing else", "[watched_flow]") {
  stage s;
  CHECK(s.watch.look() == 1);
  CHECK(s.watch.look() == 2);
  CHECK(s.notes(write_of(&*s.flow, buffer("ab"))));
  CHECK(s.watch.look() == 1);
  CHECK(s.notes(writev_of(&*s.flow)));
  CHECK_FALSE(s.notes(read_of(&*s.flow)));                // nothing there: withdrawn
  CHECK_FALSE(s.notes(write_of(&*s.flow, buffer("c"))));  // no room: withdrawn
  CHECK_FALSE(s.notes(write_of(&s.peer, buffer("d"))));
  CHECK(s.notes(read_of(&*s.flow)));
  CHECK_FALSE(s.notes(read_into_of(&*s.flow)));
  CHECK_FALSE(s.notes(write_of(&s.peer, buffer("d"))));
  CHECK(s.notes(read_into_of(&*s.flow)));
  CHECK_FALSE(s.notes(shutdown_of(&*s.flow)));
  CHECK_FALSE(s.notes(write_of(&*s.flow, buffer("e"))));  // fails
  CHECK_FALSE(s.notes(shutdown_of(&s.peer)));
  CHECK(s.notes(read_of(&*s.flow)));  // the end of the stream is news too
  s.flow->keep_alive();
  CHECK(s.watch.look() == 0);
}

TEST_CASE("a cancelled operation says timed_out if the peer was cut off, and only then", "[watched_flow]") {
  for (const bool cut : {false, true}) {
    stage s;
    auto reading = support::job<std::error_code>::of(read_of(&*s.flow));
    auto writing = support::job<std::error_code>::of(write_of(&*s.flow, buffer("too much")));
    reading.start(s.on);
    writing.start(s.on);
    s.on.run_until_idle();
    if (cut) s.watch.cut();
    CHECK(s.watch.cut_off() == cut);
    {
      const coflow::executor::entry inside(s.on);
      reading.request_stop();
      writing.request_stop();
    }
    s.on.run_until_idle();
    const auto wanted = cut ? make_error_code(coflow::error::timed_out) : coflow::canceled();
    CHECK(reading.take() == wanted);
    CHECK(writing.take() == wanted);
    // Another failure stays what it is.
    auto later = support::job<std::error_code>::of(write_of(&*s.flow, buffer("x")));
    later.start(s.on);
    s.on.run_until_idle();
    CHECK(later.take() == coflow::error::torn_write);
  }
}

TEST_CASE("an operation may outlive the flow and the watch", "[watched_flow]") {
  stage s;
  auto reading = support::job<std::error_code>::of(read_of(&*s.flow));
  reading.start(s.on);
  s.on.run_until_idle();
  s.watch = activity_watch();
  {
    const coflow::executor::entry inside(s.on);
    s.flow.reset();
  }
  s.on.run_until_idle();
  CHECK(reading.take() == coflow::error::closed);
}
