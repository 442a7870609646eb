#include "coflow/async/channel.hpp"

#include <algorithm>
#include <any>
#include <cstddef>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/survival.hpp"
#include "support/waiters.hpp"

using coflow::channel;
using coflow::error;
using coflow::task;
using support::job;
using support::manual_executor;
using support::modelled;

namespace {

using journal = std::vector<std::string>;

task<> send(channel<int>* to, int value, journal* log) {
  const auto sent = co_await to->send(value);
  log->push_back("sent " + std::to_string(value) + ": " + support::what_came(sent));
}
task<> receive(channel<int>* from, journal* log) {
  const auto got = co_await from->receive();
  log->push_back("got " + (got ? std::to_string(*got) : support::what_came(got.error())));
}

// A channel, an executor, and coroutines at both ends.
struct stage {
  explicit stage(std::size_t capacity) : queue(std::in_place, capacity) { jobs.reserve(16); }
  manual_executor on;
  coflow::executor::entry inside{on};
  std::optional<channel<int>> queue;
  journal log;
  std::vector<job<void>> jobs;

  job<void>& begin(task<> body) {
    jobs.push_back(job<void>::of(std::move(body)));
    support::begin(on, jobs.back());
    return jobs.back();
  }
  job<void>& sender(int value) { return begin(send(&*queue, value, &log)); }
  job<void>& receiver() { return begin(receive(&*queue, &log)); }
  journal now() { return std::exchange(log, {}); }
  journal all() {
    on.run_until_idle();
    return now();
  }
};

}  // namespace

TEST_CASE("a channel holds so many values, and gives them in order", "[channel]") {
  stage s(2);
  CHECK(s.queue->capacity() == 2);
  for (int i = 1; i <= 4; ++i) s.sender(i);
  CHECK(s.now() == journal{"sent 1: ok", "sent 2: ok"});  // at once
  CHECK(s.queue->size() == 2);
  CHECK(s.all().empty());
  s.receiver();
  CHECK(s.queue->size() == 2);  // 3 has moved up
  CHECK(s.now() == journal{"got 1"});
  CHECK(s.all() == journal{"sent 3: ok"});
  for (int i = 0; i < 4; ++i) s.receiver();
  CHECK(s.all() == journal{"got 2", "got 3", "got 4", "sent 4: ok"});
  s.sender(5);
  s.sender(6);
  CHECK(s.now() == journal{"sent 5: ok", "sent 6: ok"});  // 5 goes to the one who waits
  s.receiver();
  CHECK(s.queue->try_receive().error() == std::errc::operation_would_block);
  CHECK(s.now().empty());  // 6 is there, but he was not the first to ask
  CHECK(s.all() == journal{"got 5", "got 6"});
}

TEST_CASE("receivers that wait are served in order, all in the turn after", "[channel]") {
  stage s(4);
  for (int i = 0; i < 3; ++i) s.receiver();
  for (int i = 1; i <= 3; ++i) s.sender(i);
  s.now();
  CHECK_FALSE(s.queue->try_receive());  // they are spoken for
  CHECK(s.on.run_once() == 3);
  CHECK(s.now() == journal{"got 1", "got 2", "got 3"});
}

TEST_CASE("without capacity a value is accepted when somebody waits for it", "[channel]") {
  stage s(0);
  CHECK(s.queue->try_send(1).error() == std::errc::operation_would_block);
  s.sender(1);
  s.sender(2);
  CHECK(s.all().empty());
  CHECK(s.queue->size() == 0);
  s.receiver();
  CHECK(s.now() == journal{"got 1"});
  CHECK(s.all() == journal{"sent 1: ok"});
  s.receiver();
  s.receiver();
  s.receiver();
  CHECK(s.all() == journal{"got 2", "sent 2: ok"});
  CHECK(s.queue->try_send(3));
  CHECK(s.queue->try_send(4).error() == std::errc::operation_would_block);  // one at a time
  s.sender(5);
  CHECK(s.all() == journal{"got 3", "sent 5: ok", "got 5"});
}

TEST_CASE("a closed channel is drained, and then closed for receivers too", "[channel]") {
  stage s(2);
  for (int i = 1; i <= 3; ++i) s.sender(i);
  s.now();
  CHECK_FALSE(s.queue->closed());
  s.queue->close();
  s.queue->close();
  CHECK(s.queue->closed());
  CHECK(s.log.empty());  // never inline
  CHECK(s.all() == journal{"sent 3: closed"});
  s.sender(4);
  CHECK(s.now() == journal{"sent 4: closed"});
  CHECK(s.queue->try_send(4).error() == error::closed);
  s.receiver();
  CHECK(s.queue->try_receive().value() == 2);
  s.receiver();
  CHECK(s.now() == journal{"got 1", "got closed"});
  CHECK(s.queue->try_receive().error() == error::closed);
  stage t(2);
  t.receiver();
  t.receiver();
  t.queue->close();
  CHECK(t.all() == journal{"got closed", "got closed"});
}

TEST_CASE("closed is said when no value can come back any more", "[channel]") {
  // 1 is on its way to a receiver that then dies: who asks in between gets it, not the end.
  stage s(1);
  auto& doomed = s.receiver();
  s.sender(1);
  s.queue->close();
  s.receiver();
  CHECK(s.queue->try_receive().error() == std::errc::operation_would_block);
  CHECK(s.now() == journal{"sent 1: ok"});
  doomed.destroy();
  CHECK(s.all() == journal{"got 1"});
  stage t(1);
  t.receiver();
  t.sender(1);
  t.queue->close();
  t.receiver();
  CHECK(t.all() == journal{"sent 1: ok", "got 1", "got closed"});
}

TEST_CASE("a value that was not sent is where it was", "[channel]") {
  using pointers = channel<std::unique_ptr<int>>;
  struct local {
    static task<> send_from(pointers* to, std::unique_ptr<int>* value, journal* log) {
      const auto sent = co_await to->send_from(*value);
      log->push_back(support::what_came(sent));
    }
  };
  manual_executor on;
  const coflow::executor::entry inside(on);
  journal log;
  std::optional<pointers> queue(std::in_place, 1);
  std::unique_ptr<int> values[4];
  for (auto& one : values) one = std::make_unique<int>(1);
  std::vector<job<void>> jobs;
  for (auto& one : values) {
    jobs.push_back(job<void>::of(local::send_from(&*queue, &one, &log)));
    jobs.back().start(on);
  }
  on.run_until_idle();
  CHECK(log == journal{"ok"});
  CHECK(values[0] == nullptr);
  jobs[1].request_stop();
  jobs[2].destroy();
  std::unique_ptr<int> another = std::make_unique<int>(2);
  CHECK_FALSE(queue->try_send(std::move(another)));
  CHECK(another != nullptr);
  queue.reset();
  on.run_until_idle();
  CHECK(log == journal{"ok", "canceled", "closed"});
  for (const int i : {1, 2, 3}) CHECK(values[i] != nullptr);
}

TEST_CASE("a value beats a stop, and outlives the receiver that was to have it", "[channel]") {
  for (const std::size_t capacity : {0U, 1U, 3U}) {
    stage s(capacity);
    auto& first = s.receiver();
    auto& second = s.receiver();
    s.receiver();
    second.request_stop();  // it waits
    s.sender(1);
    first.request_stop();  // a value has come for it
    CHECK(s.all() == journal{"sent 1: ok", "got canceled", "got 1"});
    s.sender(2);  // for the third, which dies
    s.sender(3);
    s.now();
    s.jobs[2].destroy();
    s.receiver();
    s.receiver();
    const journal rest = s.all();
    journal got;
    std::copy_if(rest.begin(), rest.end(), std::back_inserter(got), [](auto& line) { return line.starts_with("got"); });
    CHECK(got == journal{"got 2", "got 3"});  // nothing overtakes
  }
}

TEST_CASE("a channel that dies ends the waits at both its ends", "[channel]") {
  stage s(1);
  s.sender(1);
  s.sender(2);
  stage t(1);
  t.receiver();
  t.receiver();
  t.sender(1);  // on its way to the first
  for (stage* one : {&s, &t}) one->queue.reset();
  CHECK(s.all() == journal{"sent 1: ok", "sent 2: closed"});
  CHECK(t.all() == journal{"sent 1: ok", "got 1", "got closed"});
  // The receiver that has a value coming dies later than the channel.
  stage u(1);
  auto& doomed = u.receiver();
  u.sender(1);
  u.queue.reset();
  doomed.destroy();
  CHECK(u.all() == journal{"sent 1: ok"});
}

TEST_CASE("a channel moves with those who wait", "[channel]") {
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<channel<int>>);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<channel<int>>);
  stage s(1);
  s.receiver();
  s.receiver();
  channel<int> moved = std::move(*s.queue);
  CHECK(moved.try_send(1));
  CHECK(s.all() == journal{"got 1"});
  moved = channel<int>(1);
  CHECK(s.all() == journal{"got closed"});
}

TEST_CASE("a receiver may destroy the channel and all who wait", "[channel]") {
  struct local {
    static task<> wreck(stage* s) {
      const auto got = co_await s->queue->receive();
      s->log.push_back("wrecker got " + std::to_string(*got));
      s->queue.reset();
      while (s->jobs.size() > 1) s->jobs.pop_back();
    }
  };
  stage s(1);
  s.begin(local::wreck(&s));
  s.receiver();
  s.receiver();
  CHECK(s.queue->try_send(1));
  CHECK(s.queue->try_send(2).error() == std::errc::operation_would_block);
  CHECK(s.all() == journal{"wrecker got 1"});
}

TEST_CASE("a channel ends its waits when the executor goes away, and goes on with the next", "[channel]") {
  channel<int> queue(1);
  journal log;
  std::vector<job<void>> jobs;
  {
    manual_executor on;
    for (int i = 1; i <= 2; ++i) {
      jobs.push_back(job<void>::of(send(&queue, i, &log)));
      support::begin(on, jobs.back());
    }
  }
  CHECK(log == journal{"sent 1: ok", "sent 2: closed"});
  log.clear();
  {
    manual_executor on;
    for (int i = 0; i < 3; ++i) {
      jobs.push_back(job<void>::of(receive(&queue, &log)));
      support::begin(on, jobs.back());
    }
    const coflow::executor::entry inside(on);
    CHECK(queue.try_send(3));  // is heard before the end
  }
  CHECK(log == journal{"got 1", "got 3", "got closed"});
  CHECK_FALSE(queue.closed());
  CHECK(queue.try_send(4));
}

TEST_CASE("an end of a channel that cannot wait says why", "[channel]") {
  manual_executor on;
  channel<int> queue(1);
  journal log;
  std::vector<job<void>> jobs;
  const auto begin = [&](task<> body, bool stopped, bool somewhere) {
    jobs.push_back(job<void>::of(std::move(body)));
    if (stopped) jobs.back().request_stop();
    if (somewhere)
      support::begin(on, jobs.back());
    else
      jobs.back().started().run();
  };
  begin(send(&queue, 1, &log), true, true);
  begin(send(&queue, 2, &log), false, false);
  begin(send(&queue, 3, &log), false, false);
  begin(receive(&queue, &log), true, true);
  begin(receive(&queue, &log), false, false);
  begin(receive(&queue, &log), false, false);
  CHECK(log ==
        journal{"sent 1: canceled", "sent 2: ok", "sent 3: no executor", "got canceled", "got 2", "got no executor"});
  const auto two_executors = [] {
    stage first(0);
    first.receiver();
    stage second(0);
    journal said;
    auto other = job<void>::of(receive(&*first.queue, &said));
    support::begin(second.on, other);
    return said.empty() ? "" : said.front();
  };
  CHECK(support::is_caught(two_executors, "got wrong executor"));
}

TEST_CASE("values of all kinds go through, and those that stay behind are destroyed", "[channel]") {
  struct alignas(64) wide {
    explicit wide(std::shared_ptr<int> of) noexcept : held(std::move(of)) {}
    std::shared_ptr<int> held;
  };
  const auto counted = std::make_shared<int>(0);
  {
    channel<wide> queue(3);
    for (int i = 0; i < 10; ++i) {  // around the ring
      CHECK(queue.try_send(wide(counted)));
      CHECK(queue.try_send(wide(counted)));
      const auto got = queue.try_receive();
      CHECK(reinterpret_cast<std::uintptr_t>(&*got) % alignof(wide) == 0);
      CHECK(queue.try_receive());
    }
    CHECK(queue.try_send(wide(counted)));
    CHECK(counted.use_count() == 2);
  }
  CHECK(counted.use_count() == 1);
  channel<std::string> texts(2);
  const std::string kept(100, 'x');
  CHECK(texts.try_send(kept));
  CHECK(texts.try_receive().value() == kept);
  CHECK_THROWS_AS(channel<std::string>(SIZE_MAX / 2), std::bad_alloc);
}

namespace {

template <class T>
task<> note_end(channel<T>* from, journal* log) {
  const auto got = co_await from->receive();
  log->push_back(support::what_came(got));
}
// What is said where there is no value: to one who asks, who waits, and who comes too late.
template <class T>
journal ends_of() {
  manual_executor on;
  channel<T> queue(1);
  journal log{support::what_came(queue.try_receive())};
  auto waits = job<void>::of(note_end(&queue, &log));
  waits.start(on);
  on.run_until_idle();
  queue.close();
  on.run_until_idle();
  log.push_back(support::what_came(queue.try_receive()));
  support::drive(on, note_end(&queue, &log));
  return log;
}

}  // namespace

TEST_CASE("the end of a channel is no value, even where an error could be one", "[channel]") {
  const journal said{"would block", "closed", "closed", "closed"};
  CHECK(ends_of<int>() == said);
  CHECK(ends_of<coflow::result<int>>() == said);
  CHECK(ends_of<coflow::read_result>() == said);
  CHECK(ends_of<std::variant<int, std::error_code>>() == said);
  CHECK(ends_of<coflow::error>() == said);
  CHECK(ends_of<std::any>() == said);
}

TEST_CASE("a million values go through a channel without an allocation, whoever waits for whom", "[channel]") {
  struct local {
    static task<> send_all(channel<int>* to, int count) {
      for (int i = 0; i < count; ++i) {
        const auto sent = co_await to->send(i);
        if (!sent) co_return;
      }
      to->close();
    }
    static task<> receive_all(channel<int>* from, int* next) {
      for (;;) {
        const auto got = co_await from->receive();
        if (!got) co_return;
        if (*got == *next) ++*next;
      }
    }
  };
  for (const std::size_t capacity : {0U, 1U, 1000U}) {
    const int count = capacity == 1000 ? 1'000'000 : 100'000;
    manual_executor on;
    channel<int> queue(capacity);
    int next = 0;
    auto sender = job<void>::of(local::send_all(&queue, count));
    auto receiver = job<void>::of(local::receive_all(&queue, &next));
    sender.start(on);
    receiver.start(on);
    const auto before = support::allocation_count();
    support::finish_job(on, receiver);
    const auto after = support::allocation_count();
    CHECK(before == after);
    CHECK(next == count);
  }
}

TEST_CASE("the waits of a channel have names", "[channel]") {
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<coflow::send_operation<int>>);
  STATIC_REQUIRE_FALSE(std::is_aggregate_v<coflow::receive_operation<int>>);
  channel<int> queue(0);
  journal log;
  {
    const auto unused = queue.send(1);
    const auto unused_too = queue.receive();
  }
  CHECK(support::hang_of(send(&queue, 1, &log)) == "a channel's receiver");
  CHECK(support::hang_of(receive(&queue, &log)) == "a channel's sender");
}

// ---- against a model

namespace {

// Two senders and three receivers at a channel. Moves: begin at either end, stop or destroy a coroutine, try to send or
// receive, close, let everybody run.
class channel_game {
 public:
  channel_game(coflow::choices& from, std::size_t capacity) : capacity_(capacity), game_(from) {}

  std::string play(int moves) {
    for (int move = 0; move < moves; ++move) {
      for (std::size_t i = 0; i < all; ++i) offer(i);
      game_.may(true, "try to send", [this] { try_to_send(); });
      game_.may(true, "try to receive", [this] { try_to_receive(); });
      game_.may(!closed_ && move > 1, "close", [this] { close(); });
      game_.may(true, "run", [this] { run(); });
      game_.turn();
      compare();
    }
    queue_.reset();
    closed_ = true;
    for (auto* waiting : {&senders_, &receivers_})
      for (const std::size_t i : std::exchange(*waiting, {})) model_[i].decide("closed");
    run();
    compare();
    return game_.wrong();
  }

 private:
  static constexpr std::size_t senders = 2;
  static constexpr std::size_t all = 5;
  static bool sends(std::size_t i) { return i < senders; }

  // The plain rules: values that were accepted, claims on them, and who waits.
  [[nodiscard]] bool room() const {
    return !closed_ && (capacity_ != 0 ? values_.size() < capacity_ : values_.empty() && !receivers_.empty());
  }
  void accept(int value) {
    values_.push_back(value);
    call();
  }
  void call() {
    while (!receivers_.empty() && values_.size() > claimed_.size()) {
      model_[receivers_.front()].decide("");
      claimed_.push_back(receivers_.front());
      receivers_.pop_front();
    }
  }
  void admit() {
    while (!senders_.empty() && room()) admit_first();
  }
  void admit_first() {
    const std::size_t i = senders_.front();
    senders_.pop_front();
    model_[i].decide("ok");
    accept(sent_[i]);
  }
  [[nodiscard]] bool available() {
    // Without capacity whoever asks counts as one who waits.
    if (values_.size() == claimed_.size() && capacity_ == 0 && values_.empty() && !senders_.empty()) admit_first();
    return values_.size() > claimed_.size();
  }
  int take() {
    const int value = values_.front();
    values_.pop_front();
    admit();
    end_if_drained();
    return value;
  }
  [[nodiscard]] bool drained() const { return closed_ && values_.empty(); }
  void end_if_drained() {
    if (!drained()) return;
    for (const std::size_t i : std::exchange(receivers_, {})) model_[i].decide("closed");
  }

  void offer(std::size_t i) {
    const std::string name = std::to_string(i);
    // The first of each kind who is idle will do for all who are.
    const bool first = i == 0 || i == senders || model_[i - 1].lives();
    game_.may(!model_[i].lives() && first, (sends(i) ? "send " : "receive ") + name, [this, i] { begin(i); });
    game_.may(model_[i].lives() && !model_[i].stopped, "stop " + name, [this, i] {
      jobs_[i]->request_stop();
      model_[i].stopped = true;
      if (!model_[i].waits()) return;
      std::erase(sends(i) ? senders_ : receivers_, i);
      model_[i].decide("canceled");
    });
    game_.may(model_[i].lives(), "destroy " + name, [this, i] {
      jobs_[i]->destroy();
      std::erase(sends(i) ? senders_ : receivers_, i);
      model_[i].at = modelled::stage::gone;
      if (std::erase(claimed_, i) != 0) call();
    });
  }
  void begin(std::size_t i) {
    said_[i].clear();
    model_[i] = modelled();
    model_[i].at = modelled::stage::waits;
    const int value = sent_[i] = next_++;
    jobs_[i].emplace(job<void>::of(sends(i) ? send(&*queue_, value, &said_[i]) : receive(&*queue_, &said_[i])));
    support::begin(on_, *jobs_[i]);
    if (sends(i)) {
      if (closed_) {
        model_[i].decide("closed");
      } else if (senders_.empty() && room()) {
        model_[i].decide("ok");
        accept(value);
      } else {
        senders_.push_back(i);
      }
    } else if (const bool first = claimed_.empty(); available()) {
      model_[i].decide("");
      claimed_.push_back(i);
      if (!first) return;
      claimed_.clear();
      model_[i].verdict = std::to_string(take());
    } else if (drained()) {
      model_[i].decide("closed");
    } else {
      receivers_.push_back(i);
    }
    model_[i].run();
  }
  void try_to_send() {
    const int value = next_++;
    const std::string modelled_outcome = closed_ ? "closed" : room() ? "ok" : "would block";
    game_.expect("trying", support::what_came(queue_->try_send(value)), modelled_outcome);
    if (room()) accept(value);
  }
  void try_to_receive() {
    const auto got = queue_->try_receive();
    const bool there = claimed_.empty() && available();
    const std::string otherwise = drained() ? "closed" : "would block";
    game_.expect("trying", got ? std::to_string(*got) : support::what_came(got.error()),
                 there ? std::to_string(take()) : otherwise);
  }
  void close() {
    queue_->close();
    closed_ = true;
    for (const std::size_t i : std::exchange(senders_, {})) model_[i].decide("closed");
    end_if_drained();
  }
  void run() {
    on_.run_until_idle();
    // Those who have a claim take what is first, in the order in which they were called; that may call more.
    while (!claimed_.empty()) {
      const std::size_t i = claimed_.front();
      claimed_.erase(claimed_.begin());
      const int value = values_.front();
      values_.pop_front();
      model_[i].verdict = std::to_string(value);
      model_[i].run();
      admit();
      end_if_drained();
    }
    for (modelled& one : model_) one.run();
  }
  void compare() {
    for (std::size_t i = 0; i < all; ++i) {
      const std::string said = said_[i].empty() ? "" : said_[i][0].substr(said_[i][0].rfind(' ') + 1);
      game_.expect(std::to_string(i), said, model_[i].seen());
    }
    if (queue_) game_.expect("the size", queue_->size(), values_.size());
  }

  std::size_t capacity_;
  support::game game_;
  manual_executor on_;
  coflow::executor::entry inside_{on_};
  std::optional<channel<int>> queue_{std::in_place, capacity_};
  std::optional<job<void>> jobs_[all];
  journal said_[all];
  modelled model_[all];
  int sent_[all] = {};
  int next_ = 0;
  bool closed_ = false;
  std::deque<int> values_;
  std::vector<std::size_t> claimed_;
  std::deque<std::size_t> senders_;
  std::deque<std::size_t> receivers_;
};

// Two who send and two who receive: each value arrives once, in order, or its sender has it back.
template <std::size_t Capacity>
struct channel_scene {
  static constexpr std::size_t size = 4;
  static constexpr int each = 4;
  channel<std::unique_ptr<int>> queue{Capacity};
  int senders = 2;
  std::vector<int> arrived;
  std::vector<int> came_back;
  std::vector<job<void>> actors;

  channel_scene() {
    for (const int first : {0, 100}) actors.push_back(job<void>::of(produce(this, first, count(&senders))));
    for (int i = 0; i < 2; ++i) actors.push_back(job<void>::of(consume(this)));
  }
  // The last to go closes the channel, also if he is destroyed before he has begun.
  struct count_end {
    explicit count_end(channel_scene* of) noexcept : scene(of) {}
    count_end(count_end&& other) noexcept : scene(std::exchange(other.scene, nullptr)) {}
    ~count_end() {
      if (scene != nullptr && --scene->senders == 0) scene->queue.close();
    }
    channel_scene* scene;
  };
  count_end count(int*) { return count_end(this); }

  static task<> produce(channel_scene* scene, int first, count_end given) {
    const count_end end = std::move(given);
    for (int i = first; i < first + each; ++i) {
      auto value = std::make_unique<int>(i);
      const returned back(scene, &value);
      const auto sent = co_await scene->queue.send_from(value);
      if (!sent) co_return;
      if (i % 3 == 0) co_await support::yield_turn();
    }
  }
  // What is not sent when the coroutine goes is still its own.
  struct returned {
    returned(channel_scene* of, std::unique_ptr<int>* kept) : scene(of), value(kept) {}
    ~returned() {
      if (*value) scene->came_back.push_back(**value);
    }
    channel_scene* scene;
    std::unique_ptr<int>* value;
  };
  static task<> consume(channel_scene* scene) {
    for (;;) {
      const auto got = co_await scene->queue.receive();
      if (!got) co_return;
      scene->arrived.push_back(**got);
      co_await support::yield_turn();
    }
  }
  void check(std::string& wrong, std::size_t victim, bool) {
    for (const int first : {0, 100}) {
      std::vector<int> seen;
      for (const int one : arrived)
        if (one / 100 == first / 100) seen.push_back(one);
      if (!std::is_sorted(seen.begin(), seen.end())) wrong += " values overtake;";
      for (const int one : came_back)
        if (one / 100 == first / 100) seen.push_back(one);
      const bool attacked = victim == static_cast<std::size_t>(first / 100);
      if (!attacked && seen.size() != each) wrong += " values are lost or doubled;";
      for (std::size_t i = 0; i < seen.size(); ++i)
        if (seen[i] != first + static_cast<int>(i)) wrong += " a value is missing;";
    }
    if (queue.size() != 0) wrong += " something is left behind;";
  }
};

}  // namespace

TEST_CASE("a channel does what its model does", "[channel]") {
  for (const std::size_t capacity : {0U, 1U, 2U}) {
    const auto play = [capacity](coflow::choices& from, int moves) { return channel_game(from, capacity).play(moves); };
    CHECK(support::play_games(play, 5, 2000) > 10'000);
  }
}

TEST_CASE("an end that is stopped or destroyed at any step loses no value", "[channel]") {
  CHECK(support::sweep<channel_scene<0>>() > 100);
  CHECK(support::sweep<channel_scene<1>>() > 100);
  CHECK(support::sweep<channel_scene<3>>() > 100);
}
