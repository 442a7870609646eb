// The laws of writing: W1 to W10.
#include <array>
#include <csignal>
#include <deque>
#include <vector>

#include "laws/harness.hpp"

namespace {

using coflow::buffer;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using laws::expect;
using laws::start;

// ---- W1: success means that the transport below has accepted all the bytes

template <class Flow>
task<> read_slowly(Flow* flow, const std::string* pattern, std::size_t* count, bool* intact) {
  for (;;) {
    coflow::read_result got = co_await flow->read();
    if (!got) co_return;
    std::string_view text = got->text();
    while (!text.empty()) {
      const std::size_t offset = *count % pattern->size();
      const std::size_t part = std::min(text.size(), pattern->size() - offset);
      if (text.substr(0, part) != std::string_view(*pattern).substr(offset, part)) *intact = false;
      *count += part;
      text.remove_prefix(part);
    }
    co_await laws::turns(2);
  }
}

template <class Kind>
task<> a_large_write_waits_for_a_slow_reader() {
  auto ends = co_await Kind::connect();
  const std::string pattern = laws::pattern(1 << 20);
  std::string whole;
  whole.reserve(std::size_t{64} << 20);
  for (int i = 0; i < 64; ++i) whole += pattern;
  task_scope scope;
  std::size_t count = 0;
  bool intact = true;
  start(scope, read_slowly(&ends.b, &pattern, &count, &intact));
  const std::size_t size = whole.size();
  const coflow::result<void> sent = co_await ends.a.write(buffer::adopt(std::move(whole)));
  laws::expect_success(sent);
  expect(count + Kind::capacity >= size, "success comes only when the rest fits below");
  const bool there = co_await laws::until([&count, size] { return count >= size; });
  expect(there, "all the bytes arrive");
  expect(count == size, "no byte arrives twice");
  expect(intact, "the bytes arrive as they were");
}

template <class Kind>
task<> a_close_loses_nothing_that_was_written() {
  for (const std::size_t size : {std::size_t{1}, Kind::capacity / 2, Kind::more_than_fits}) {
    auto ends = co_await Kind::connect();
    const std::string text = laws::pattern(size);
    std::string all;
    laws::reading drained;
    task_scope scope;
    start(scope, laws::drain_once(&ends.b, &all, &drained));
    const coflow::result<void> sent = co_await ends.a.write(buffer(text));
    laws::expect_success(sent);
    co_await ends.a.close();
    const bool done = co_await laws::until([&drained] { return drained.done; });
    expect(done, "the peer comes to an end");
    laws::expect_same(all, text);
    laws::expect_eof(drained.got);
  }
}

// ---- W2: buffers pass to the flow

template <class Kind>
task<> writev_empties_what_was_accepted() {
  auto ends = co_await Kind::connect();
  std::array<buffer, 5> list{buffer("one "), buffer("two "), buffer(), buffer("three "), buffer("four")};
  const buffer payload(std::string(100, 'p'));
  list[1] = payload.share();
  const coflow::result<void> sent = co_await ends.a.writev(list);
  laws::expect_success(sent);
  for (const buffer& one : list) expect(one.empty(), "each buffer is emptied");
  std::string all;
  co_await laws::read_up_to(&ends.b, 114, &all);
  laws::expect_same(all, "one " + std::string(100, 'p') + "three four");
  laws::expect_same(payload.text(), std::string(100, 'p'));
}

enum class ending { cancel, destroy, close, peer_closes, peer_resets };

// What was not sent is still in the array, what was sent is not; together they are what the caller gave.
template <class Kind>
task<> writev_leaves_the_unsent_rest(ending how) {
  auto ends = co_await Kind::connect();
  std::vector<buffer> list;
  std::string whole;
  for (std::uint32_t i = 0; i < 10; ++i) {
    const std::string piece = laws::pattern(Kind::more_than_fits / 4, i);
    whole += piece;
    list.emplace_back(piece);
    list.emplace_back();
  }
  laws::writing written;
  {
    task_scope scope;
    start(scope, laws::writev_once(&ends.a, list, &written));
    co_await laws::turns(3);
    expect(written.started, "the write has begun");
    expect(!written.done, "the write waits");
    if (how == ending::cancel) scope.cancel();
    if (how == ending::close) co_await ends.a.close();
    if (how == ending::peer_closes) co_await ends.b.close();
    if (how == ending::peer_resets) laws::reset(ends.b);
    if (how != ending::destroy) {
      const bool done = co_await laws::until([&written] { return written.done; });
      expect(done, "the write ends");
      expect(!written.sent, "the write fails");
      if (how == ending::cancel) laws::expect_error(written.sent, coflow::canceled());
      if (how == ending::close) laws::expect_error(written.sent, coflow::error::closed);
      if (how == ending::peer_resets) laws::expect_reset(written.sent);
    }
  }
  const std::string rest = laws::joined(list);
  expect(rest.size() < whole.size(), "a part was sent");
  laws::expect_same(rest, std::string_view(whole).substr(whole.size() - rest.size()));
  if (how == ending::cancel || how == ending::destroy) {
    // Nothing that was accepted is lost as long as both ends stay.
    std::string all;
    co_await laws::read_up_to(&ends.b, whole.size() - rest.size(), &all);
    laws::expect_same(all + rest, whole);
  }
  // The caller may go on with its buffers.
  for (buffer& one : list) one.clear();
}

// ---- W3: in call order, in one piece, however it is cut

template <class Kind>
task<> writev_is_write_of_it_all(std::size_t buffers, std::size_t size) {
  auto ends = co_await Kind::connect();
  std::vector<buffer> list;
  std::string wanted;
  for (std::size_t i = 0; i < buffers; ++i) {
    if (i % 3 == 1) {
      list.emplace_back();
      continue;
    }
    const std::string piece = laws::pattern(1 + (i * 7) % size, static_cast<std::uint32_t>(i));
    wanted += piece;
    list.emplace_back(piece);
  }
  std::string all;
  laws::reading drained;
  task_scope scope;
  start(scope, laws::drain_once(&ends.b, &all, &drained));
  const coflow::result<void> sent = co_await ends.a.writev(list);
  laws::expect_success(sent);
  for (const buffer& one : list) {
    if (!one.empty()) expect(false, "every buffer is emptied");
  }
  co_await ends.a.shutdown(shutdown_mode::write);
  const bool done = co_await laws::until([&drained] { return drained.done; });
  expect(done, "the peer comes to the end");
  laws::expect_same(all, wanted);
}

template <class Kind>
task<> writes_of_all_kinds_keep_their_order() {
  auto ends = co_await Kind::connect();
  std::string all;
  laws::reading drained;
  task_scope scope;
  start(scope, laws::drain_once(&ends.b, &all, &drained));
  std::string wanted;
  std::vector<buffer> list;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const std::string piece = laws::pattern(1 + (i * i) % 5000, i);
    wanted += piece;
    if (i % 3 == 0) {
      const coflow::result<void> sent = co_await ends.a.write(buffer(piece));
      laws::expect_success(sent);
    } else if (i % 3 == 1) {
      const coflow::result<void> sent = co_await ends.a.write(buffer::adopt(piece));
      laws::expect_success(sent);
    } else {
      list.clear();
      for (std::size_t at = 0; at < piece.size(); at += 61) list.emplace_back(std::string_view(piece).substr(at, 61));
      const coflow::result<void> sent = co_await ends.a.writev(list);
      laws::expect_success(sent);
    }
  }
  co_await ends.a.shutdown(shutdown_mode::write);
  const bool done = co_await laws::until([&drained] { return drained.done; });
  expect(done, "the peer comes to the end");
  laws::expect_same(all, wanted);
}

// ---- W4: concurrent writes queue; none interleaves with another

template <class Flow>
task<> write_two_ways(Flow* flow, char byte, bool in_pieces, int* finished) {
  const std::string text(100 * 1024, byte);
  if (in_pieces) {
    std::vector<buffer> list;
    for (std::size_t at = 0; at < text.size(); at += 1000) list.emplace_back(std::string_view(text).substr(at, 1000));
    const coflow::result<void> sent = co_await flow->writev(list);
    laws::expect_success(sent);
  } else {
    const coflow::result<void> sent = co_await flow->write(buffer(text));
    laws::expect_success(sent);
  }
  expect(*finished == byte - 'a', "writes end in the order in which they began");
  ++*finished;
}

template <class Kind>
task<> sixteen_writers_do_not_interleave() {
  auto ends = co_await Kind::connect();
  task_scope scope;
  int finished = 0;
  std::string wanted;
  for (int i = 0; i < 16; ++i) {
    const char byte = static_cast<char>('a' + i);
    start(scope, write_two_ways(&ends.a, byte, i % 2 == 1, &finished));
    wanted.append(100 * 1024, byte);
  }
  co_await laws::turns();
  std::string all;
  co_await laws::read_up_to(&ends.b, wanted.size(), &all);
  laws::expect_same(all, wanted);
  const bool done = co_await laws::until([&finished] { return finished == 16; });
  expect(done, "all writes end");
}

template <class Flow>
task<> write_again_and_again(Flow* flow, char byte, std::size_t size) {
  for (int i = 0; i < 5; ++i) {
    const coflow::result<void> sent = co_await flow->write(buffer(std::string(size, byte)));
    laws::expect_success(sent);
  }
}

// A writer that has been served goes to the end of the line.
template <class Kind>
task<> writers_that_come_back_queue_again() {
  auto ends = co_await Kind::connect();
  task_scope scope;
  for (const char byte : {'a', 'b', 'c'}) start(scope, write_again_and_again(&ends.a, byte, Kind::more_than_fits));
  co_await laws::turns();
  std::string wanted;
  for (int i = 0; i < 5; ++i) {
    for (const char byte : {'a', 'b', 'c'}) wanted.append(Kind::more_than_fits, byte);
  }
  std::string all;
  co_await laws::read_up_to(&ends.b, wanted.size(), &all);
  laws::expect_same(all, wanted);
}

// ---- W5: closed

template <class Kind>
task<> writing_after_the_end_is_closed(ending how) {
  auto ends = co_await Kind::connect();
  if (how == ending::close) co_await ends.a.close();
  if (how == ending::cancel) co_await ends.a.shutdown(shutdown_mode::write);
  if (how == ending::peer_closes) co_await ends.b.close();
  std::array<buffer, 2> list{buffer("more"), buffer("bytes")};
  coflow::result<void> sent = co_await laws::write_until_error(&ends.a);
  for (int i = 0; i < 3; ++i) {
    laws::expect_error(sent, coflow::error::closed);
    expect(sent.error() == coflow::condition::disconnected, "closed means disconnected");
    sent = co_await ends.a.write(buffer("again"));
    laws::expect_error(sent, coflow::error::closed);
    sent = co_await ends.a.writev(list);
  }
  laws::expect_same(laws::joined(list), "morebytes");
}

// ---- W6: the first write error is final

template <class Kind>
task<> a_write_error_is_final() {
  auto ends = co_await Kind::connect();
  laws::reset(ends.b);
  coflow::result<void> sent = co_await laws::write_until_error(&ends.a);
  std::array<buffer, 2> list{buffer("more"), buffer("bytes")};
  for (int i = 0; i < 3; ++i) {
    laws::expect_reset(sent);
    laws::turn_mark mark;
    sent = co_await ends.a.write(buffer("again"));
    expect(!mark.passed(), "a known error comes at once");
    laws::expect_reset(sent);
    sent = co_await ends.a.writev(list);
    expect(!mark.passed(), "a known error comes at once");
  }
  co_await ends.a.shutdown(shutdown_mode::write);
  sent = co_await ends.a.write(buffer("again"));
  laws::expect_reset(sent);
  laws::expect_same(laws::joined(list), "morebytes");
}

// A write refused because of a local shutdown is refused with the same error ever after, whatever becomes of the writes
// that were queued before (W5, W6).
template <class Kind>
task<> refused_by_a_shutdown_means_closed_for_good(bool torn) {
  auto ends = co_await Kind::connect();
  laws::writing queued;
  laws::shutting shut;
  task_scope writers;
  task_scope scope;
  start(writers, laws::write_once(&ends.a, buffer(std::string(Kind::more_than_fits, 'q')), &queued));
  co_await laws::turns(2);
  start(scope, laws::shutdown_once(&ends.a, shutdown_mode::write, &shut));
  co_await laws::turns(2);
  expect(!shut.done, "the shutdown waits for the queued write");
  coflow::result<void> sent = co_await ends.a.write(buffer("late"));
  laws::expect_error(sent, coflow::error::closed);
  if (torn)
    writers.cancel();
  else
    laws::reset(ends.b);
  const bool done = co_await laws::until([&queued, &shut] { return queued.done && shut.done; });
  expect(done, "the queued write and the shutdown end");
  if (torn)
    laws::expect_error(queued.sent, coflow::canceled());
  else
    laws::expect_reset(queued.sent);
  sent = co_await ends.a.write(buffer("later"));
  laws::expect_error(sent, coflow::error::closed);
}

// ---- W7: a write error takes no readable input away

template <class Kind>
task<> input_outlives_a_write_error(ending how) {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(3000);
  const coflow::result<void> sent = co_await ends.b.write(buffer(text));
  laws::expect_success(sent);
  co_await laws::arrived<Kind>(&ends.a, text.size());
  if (how == ending::peer_resets)
    laws::reset(ends.b);
  else
    co_await ends.b.close();
  co_await laws::end_arrived<Kind>(&ends.a);
  const coflow::result<void> failed = co_await laws::write_until_error(&ends.a);
  expect(!failed, "the write fails");
  co_await laws::turns(3);
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.a, &all);
  laws::expect_same(all, text);
  if (how == ending::peer_resets)
    laws::expect_reset(last);
  else
    laws::expect_eof(last);
}

// ---- W8: a peer that does not read suspends the writer

template <class Flow>
task<> write_for_ever(Flow* flow, std::size_t* accepted) {
  for (;;) {
    const coflow::result<void> sent = co_await flow->write(buffer(std::string(1000, 'x')));
    if (!sent) co_return;
    *accepted += 1000;
  }
}

template <class Kind>
task<> memory_is_bounded() {
  auto ends = co_await Kind::connect();
  task_scope scope;
  std::size_t accepted = 0;
  start(scope, write_for_ever(&ends.a, &accepted));
  co_await laws::turns(5000);
  expect(accepted > 0, "something fits");
  expect(accepted <= Kind::capacity, "what nobody reads is bounded");
  const std::size_t before = accepted;
  co_await laws::turns(100);
  expect(accepted == before, "the writer waits");
  std::size_t count = 0;
  while (accepted == before) {
    const coflow::read_result got = co_await ends.b.read();
    expect(got.has_data(), "the bytes are there");
    if (!got) co_return;
    count += got->size();
    co_await laws::turns(3);
  }
  expect(count <= before + 1000, "room made by the reader lets the writer go on");
}

// ---- W9: writing nothing

template <class Kind>
task<> writing_nothing_never_waits() {
  auto ends = co_await Kind::connect();
  laws::writing blocked;
  task_scope scope;
  std::vector<buffer> empties(100);
  for (const bool full : {false, true}) {
    if (full) {
      start(scope, laws::write_once(&ends.a, buffer(std::string(Kind::more_than_fits, 'f')), &blocked));
      co_await laws::turns(3);
      expect(!blocked.done, "the flow is full");
    }
    laws::turn_mark mark;
    coflow::result<void> sent = co_await ends.a.write(buffer());
    laws::expect_success(sent);
    sent = co_await ends.a.write(buffer(""));
    laws::expect_success(sent);
    sent = co_await ends.a.writev(std::span<buffer>());
    laws::expect_success(sent);
    sent = co_await ends.a.writev(empties);
    laws::expect_success(sent);
    expect(!mark.passed(), "writing nothing does not wait");
  }
  laws::shutting shut;
  start(scope, laws::shutdown_once(&ends.a, shutdown_mode::write, &shut));
  co_await laws::turns(2);
  expect(!shut.done, "the shutdown waits for the full flow");
  for (const bool closed : {false, true}) {
    if (closed) co_await ends.a.close();
    laws::turn_mark mark;
    coflow::result<void> sent = co_await ends.a.write(buffer());
    laws::expect_error(sent, coflow::error::closed);
    sent = co_await ends.a.writev(std::span<buffer>());
    laws::expect_error(sent, coflow::error::closed);
    sent = co_await ends.a.writev(empties);
    laws::expect_error(sent, coflow::error::closed);
    expect(!mark.passed(), "writing nothing does not wait");
  }
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.b, &all);
  expect(!last.has_data(), "the peer comes to an end");
  expect(all.find_first_not_of('f') == std::string::npos, "nothing was written");
}

template <class Kind>
task<> writing_nothing_fails_like_writing_something() {
  auto ends = co_await Kind::connect();
  laws::reset(ends.b);
  coflow::result<void> sent = co_await laws::write_until_error(&ends.a);
  laws::expect_reset(sent);
  sent = co_await ends.a.write(buffer());
  laws::expect_reset(sent);
  sent = co_await ends.a.writev(std::span<buffer>());
  laws::expect_reset(sent);
}

// ---- W10: no SIGPIPE

volatile std::sig_atomic_t broken_pipes = 0;

void count_broken_pipe(int) { broken_pipes = broken_pipes + 1; }

template <class Kind>
task<> writing_to_nobody_raises_no_signal(ending how) {
  auto ends = co_await Kind::connect();
  laws::writing waiting;
  task_scope scope;
  start(scope, laws::write_once(&ends.a, buffer(std::string(Kind::more_than_fits, 'w')), &waiting));
  co_await laws::turns(2);
  if (how == ending::peer_resets)
    laws::reset(ends.b);
  else
    co_await ends.b.close();
  co_await laws::end_arrived<Kind>(&ends.a);
  std::vector<buffer> list;
  for (int i = 0; i < 5; ++i) {
    coflow::result<void> sent = co_await laws::write_until_error(&ends.a);
    expect(!sent, "nobody takes the bytes");
    list.clear();
    list.emplace_back("several");
    list.emplace_back("buffers");
    sent = co_await ends.a.writev(list);
    expect(!sent, "nobody takes the bytes");
    co_await ends.a.shutdown(shutdown_mode::write);
  }
  co_await ends.a.close();
}

// Whatever is written first and ever after is a writev of several buffers: another system call.
template <class Kind>
task<> writing_lists_to_nobody_raises_no_signal(ending how) {
  auto ends = co_await Kind::connect();
  if (how == ending::peer_resets)
    laws::reset(ends.b);
  else
    co_await ends.b.close();
  co_await laws::end_arrived<Kind>(&ends.a);
  int failures = 0;
  for (int i = 0; i < 1000 && failures < 5; ++i) {
    std::array<buffer, 2> list{buffer("several"), buffer("buffers")};
    const coflow::result<void> sent = co_await ends.a.writev(list);
    if (!sent) {
      ++failures;
      if (how == ending::peer_resets)
        laws::expect_reset(sent);
      else
        laws::expect_error(sent, coflow::error::closed);
    }
    co_await laws::turns();
  }
  expect(failures == 5, "nobody takes the bytes");
}

class pipe_signal {
 public:
  explicit pipe_signal(void (*handler)(int)) {
    struct sigaction action = {};
    action.sa_handler = handler;
    ::sigaction(SIGPIPE, &action, &before_);
  }
  pipe_signal(const pipe_signal&) = delete;
  pipe_signal& operator=(const pipe_signal&) = delete;
  ~pipe_signal() { ::sigaction(SIGPIPE, &before_, nullptr); }

 private:
  struct sigaction before_ = {};
};

TEST_CASE("a write of 64 MiB goes through a slow reader whole", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_large_write_waits_for_a_slow_reader<Kind>(); });
}

TEST_CASE("a close right after a write loses nothing", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_close_loses_nothing_that_was_written<Kind>(); });
}

TEST_CASE("writev empties the buffers of its array and leaves shared handles alone", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return writev_empties_what_was_accepted<Kind>(); });
}

TEST_CASE("after a writev that was cut short the unsent rest is still in the array", "[write_laws]") {
  SECTION("it was cancelled") {
    laws::on_every_flow([]<class Kind>(Kind) { return writev_leaves_the_unsent_rest<Kind>(ending::cancel); });
  }
  SECTION("its coroutine was destroyed") {
    laws::on_every_flow([]<class Kind>(Kind) { return writev_leaves_the_unsent_rest<Kind>(ending::destroy); });
  }
  SECTION("the flow was closed") {
    laws::on_every_flow([]<class Kind>(Kind) { return writev_leaves_the_unsent_rest<Kind>(ending::close); });
  }
  SECTION("the peer closed") {
    laws::on_every_flow([]<class Kind>(Kind) { return writev_leaves_the_unsent_rest<Kind>(ending::peer_closes); });
  }
  SECTION("the peer reset the connection") {
    laws::on_every_flow([]<class Kind>(Kind) { return writev_leaves_the_unsent_rest<Kind>(ending::peer_resets); });
  }
}

TEST_CASE("writev of 10,000 buffers, every third empty, is a write of it all", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return writev_is_write_of_it_all<Kind>(10'000, 90); });
}

TEST_CASE("writev of large buffers is a write of it all", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return writev_is_write_of_it_all<Kind>(100, 50'000); });
}

TEST_CASE("write and writev keep their order", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return writes_of_all_kinds_keep_their_order<Kind>(); });
}

TEST_CASE("sixteen concurrent writes go out whole and in order", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return sixteen_writers_do_not_interleave<Kind>(); });
}

TEST_CASE("a writer that was served goes to the end of the line", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return writers_that_come_back_queue_again<Kind>(); });
}

TEST_CASE("writing after shutdown, after close and to a peer that has gone is closed", "[write_laws]") {
  SECTION("shutdown") {
    laws::on_every_flow([]<class Kind>(Kind) { return writing_after_the_end_is_closed<Kind>(ending::cancel); });
  }
  SECTION("close") {
    laws::on_every_flow([]<class Kind>(Kind) { return writing_after_the_end_is_closed<Kind>(ending::close); });
  }
  SECTION("a peer that has gone") {
    laws::on_every_flow([]<class Kind>(Kind) { return writing_after_the_end_is_closed<Kind>(ending::peer_closes); });
  }
}

TEST_CASE("after a write error every write gives that error, at once", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_write_error_is_final<Kind>(); });
}

TEST_CASE("a write after shutdown is closed for good, whatever becomes of the queued writes", "[write_laws]") {
  SECTION("they meet a reset") {
    laws::on_every_flow([]<class Kind>(Kind) { return refused_by_a_shutdown_means_closed_for_good<Kind>(false); });
  }
  SECTION("they are torn") {
    laws::on_every_flow([]<class Kind>(Kind) { return refused_by_a_shutdown_means_closed_for_good<Kind>(true); });
  }
}

TEST_CASE("a write error takes no readable input away", "[write_laws]") {
  SECTION("the peer closed") {
    laws::on_every_flow([]<class Kind>(Kind) { return input_outlives_a_write_error<Kind>(ending::peer_closes); });
  }
  SECTION("the peer reset the connection") {
    laws::on_every_flow([]<class Kind>(Kind) { return input_outlives_a_write_error<Kind>(ending::peer_resets); });
  }
}

TEST_CASE("a peer that does not read suspends the writer within bounds", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return memory_is_bounded<Kind>(); });
}

TEST_CASE("writing nothing never waits, succeeds on an open half and is closed afterwards", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return writing_nothing_never_waits<Kind>(); });
}

TEST_CASE("writing nothing on a failed half gives the half's error", "[write_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return writing_nothing_fails_like_writing_something<Kind>(); });
}

TEST_CASE("writing to a peer that has gone raises no SIGPIPE", "[write_laws]") {
  // Counted first, so that a failure is a failure and not the end of the program; then with the default disposition.
  static bool raised = false;
  for (void (*handler)(int) : {&count_broken_pipe, SIG_DFL}) {
    DYNAMIC_SECTION((handler == SIG_DFL ? "with the default disposition" : "counted")) {
      REQUIRE_FALSE(raised);
      const pipe_signal disposition(handler);
      broken_pipes = 0;
      for (const ending how : {ending::peer_closes, ending::peer_resets}) {
        DYNAMIC_SECTION((how == ending::peer_closes ? "the peer closed" : "the peer reset the connection")) {
          SECTION("write") {
            laws::on_every_flow([how]<class Kind>(Kind) { return writing_to_nobody_raises_no_signal<Kind>(how); });
          }
          SECTION("writev") {
            laws::on_every_flow(
                [how]<class Kind>(Kind) { return writing_lists_to_nobody_raises_no_signal<Kind>(how); });
          }
        }
      }
      if (broken_pipes != 0) raised = true;
      CHECK(broken_pipes == 0);
    }
  }
}

}  // namespace
