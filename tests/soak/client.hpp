#pragma once

// The client's process, which judges both.

#include <chrono>
#include <coflow/testing/choices.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "soak/server.hpp"

namespace soak {

struct settings {
  std::size_t together = 10'000;
  std::size_t churned = 20'000;
  std::size_t workers = 128;
  std::uint64_t seed = 1;
  long slope_limit = 256;  // KiB between the second fifth and the last; negative: no limit
  bool lies = false;       // says `r`, and ends the stream all the same
};

struct outcome {
  std::size_t behaved = 0;
  std::string breach;  // the first
  std::size_t breaches = 0;
  double idle_bytes = 0;
  std::vector<long> server_resident;
  std::vector<long> client_resident;

  void blame(const std::string& what) {
    if (breaches++ == 0) breach = what;
  }
};

/// What the server says of itself.
struct server_counts {
  counts has;
  long active = 0;
  long started = 0;
  long wrong = 0;
};

template <class Wire>
class client {
 public:
  using flow = typename Wire::flow;

  client(const settings& how, std::string address, outcome& out)
      : how_(how), address_(std::move(address)), out_(out), pick_(coflow::choices::by_seed(how.seed)) {
    for (std::size_t i = 0; i < 8192; ++i) pattern_ += static_cast<char>('a' + (i * 7 + i / 256) % 26);
  }

  static task<> run(client* self) {
    auto control = co_await Wire::connect(self->address_, 0);
    if (!control) {
      self->out_.blame("no connection to the server: " + control.error().message());
      co_return;
    }
    const result<void> said = co_await control->write(buffer("m"));
    if (!said) self->out_.blame("the server takes no question");
    // What is made once for all is made now.
    co_await churn(self, 300);
    server_counts before = co_await ask(self, &*control, "s");
    co_await stand_together(self, &*control);
    co_await compare(self, &*control, &before, "after connections that stood together");
    for (int fifth = 1; fifth <= 5; ++fifth) {
      co_await churn(self, self->how_.churned / 5);
      const server_counts now = co_await ask(self, &*control, "s");
      self->out_.server_resident.push_back(now.has.resident);
      self->out_.client_resident.push_back(count_all(support::memory_in_use.blocks).resident);
    }
    self->judge_slope("the server", self->out_.server_resident);
    self->judge_slope("the client", self->out_.client_resident);
    co_await compare(self, &*control, &before, "after the churn");
    const result<void> last = co_await control->write(buffer("q"));
    if (!last) self->out_.blame("the server was gone before it was told to");
    co_await control->close();
  }

 private:
  static task<server_counts> ask(client* self, flow* control, std::string_view what) {
    server_counts got;
    const result<void> asked = co_await control->write(buffer(what));
    std::string line;
    while (asked && !line.ends_with('\n')) {
      const read_result part = co_await control->read();
      if (!part) break;
      line.append(part->text());
    }
    if (std::sscanf(line.c_str(), "%ld %ld %ld %ld %ld %ld %ld", &got.has.descriptors, &got.has.frames, &got.has.blocks,
                    &got.has.resident, &got.active, &got.started, &got.wrong) != 7)
      self->out_.blame("the server gives no answer");
    co_return got;
  }
  static task<> compare(client* self, flow* control, server_counts* before, std::string_view when) {
    const server_counts now = co_await ask(self, control, "s");
    if (now.active != 1)
      self->out_.blame(std::to_string(now.active - 1) + " connections never ended " + std::string(when));
    const std::string left = left_behind(before->has, now.has);
    if (!left.empty()) self->out_.blame("the server has " + left + " " + std::string(when));
    if (now.wrong != before->wrong)
      self->out_.blame(std::to_string(now.wrong) + " connections ended in another way than the server was told");
  }
  void judge_slope(std::string_view who, const std::vector<long>& resident) {
    const long grown = resident[4] - resident[1];
    if (how_.slope_limit >= 0 && grown > how_.slope_limit)
      out_.blame(std::string(who) + " grows in memory: " + std::to_string(grown) + " KiB in three fifths of the churn");
  }

  // ---- connections that stand together

  static task<> stand_together(client* self, flow* control) {
    const server_counts empty = co_await ask(self, control, "s");
    std::vector<flow> open;
    open.reserve(self->how_.together);
    coflow::task_scope connecting;
    for (std::size_t i = 0; i < self->how_.workers; ++i) connecting.spawn(open_some(self, &open)).value();
    const result<void> connected = co_await connecting.join();
    if (!connected) self->out_.blame("a connection failed: " + connected.error().message());
    const server_counts full = co_await ask(self, control, "i");
    if (full.active != static_cast<long>(open.size()) + 1)
      self->out_.blame(std::to_string(full.active - 1) + " of " + std::to_string(open.size()) + " are open at once");
    if (!open.empty())
      self->out_.idle_bytes =
          static_cast<double>(full.has.resident - empty.has.resident) * 1024 / static_cast<double>(open.size());
    // Each is still alive.
    for (flow& one : open) {
      const bool good = co_await exchange(self, &one, 'g');
      if (good) ++self->out_.behaved;
      co_await one.close();
    }
  }
  static task<result<void>> open_some(client* self, std::vector<flow>* open) {
    while (self->begun_ < self->how_.together) {
      const auto number = static_cast<unsigned>(self->begun_++);
      auto made = co_await Wire::connect(self->address_, number);
      if (!made) co_return made.error();
      const bool good = co_await exchange(self, &*made, 'g');
      if (good) open->push_back(std::move(*made));
    }
    co_return coflow::success;
  }

  // ---- connections that come and go

  static task<> churn(client* self, std::size_t count) {
    self->left_ = count;
    coflow::task_scope workers;
    for (std::size_t i = 0; i < self->how_.workers; ++i) workers.spawn(work(self)).value();
    const result<void> joined = co_await workers.join();
    if (!joined) self->out_.blame("a connection failed: " + joined.error().message());
  }
  static task<result<void>> work(client* self) {
    while (self->left_ != 0) {
      --self->left_;
      const char kind = "ggggcrrwdvk"[self->pick_.pick(11)];
      auto made = co_await Wire::connect(self->address_, self->turn_++);
      if (!made) co_return made.error();
      const bool good = co_await play(self, std::move(*made), kind);
      if (good)
        ++self->out_.behaved;
      else
        self->out_.blame(std::string("a connection of kind ") + kind + " went wrong");
    }
    co_return coflow::success;
  }

  static task<bool> play(client* self, flow made, char kind) {
    switch (kind) {
      case 'c': {
        const bool canceled = co_await cancel_a_read(&made);
        if (!canceled) co_return false;
        break;
      }
      case 'w': {
        keep_small(made);
        const result<void> said = co_await made.write(buffer("w"));
        if (!said) co_return false;
        coflow::task_scope writing;
        writing.spawn(write_and_forget(&made, large_payload())).value();
        co_await let_others_run(1 + static_cast<int>(self->pick_.pick(20)));
        co_return writing.size() == 1;  // and away, in the middle of it
      }
      case 'd': {
        keep_small(made);
        const result<void> said = co_await made.write(buffer("d"));
        const read_result got = co_await made.read();
        co_return said.has_value() && got.has_data();
      }
      case 'v': {
        keep_small(made);
        const result<void> said = co_await made.write(buffer("v"));
        if (!said) co_return false;
        std::size_t got = 0;
        const ending came_to = co_await read_to_end(&made, &got);
        co_return came_to == ending::failed || got == more_than_fits;  // it may be that this end was as fast
      }
      case 'k': {
        coflow::task_scope doomed;
        doomed.spawn(exchange(self, &made, 'k')).value();
        co_await let_others_run(static_cast<int>(self->pick_.pick(4)));
        doomed.cancel();
        if (self->pick_.pick(2) == 0) {
          const result<void> joined = co_await doomed.join();
          static_cast<void>(joined);
        }
        co_return true;
      }
      default:
        break;
    }

    const bool good = co_await exchange(self, &made, kind);
    if (!good) co_return false;
    if (kind == 'r' && !self->how_.lies) {
      made.reset();
      co_return true;
    }
    co_await made.shutdown(coflow::shutdown_mode::write);
    const read_result last = co_await made.read();
    co_await made.close();
    co_return last.eof() || self->how_.lies;
  }
  static task<> read_once(flow* from, bool* canceled) {
    const read_result got = co_await from->read();
    *canceled = got.failed() && got.error() == std::errc::operation_canceled;
  }
  static task<bool> cancel_a_read(flow* from) {
    bool canceled = false;
    coflow::task_scope reading;
    reading.spawn(read_once(from, &canceled)).value();
    co_await let_others_run(1);
    reading.cancel();
    const result<void> joined = co_await reading.join();
    co_return joined.has_value() && canceled;
  }
  static task<bool> exchange(client* self, flow* with, char kind) {
    std::string sent(1, kind);
    sent.append(self->pattern_, self->pick_.pick(100), self->pick_.pick(4000));
    const result<void> written = co_await with->write(buffer(sent));
    if (!written) co_return false;
    std::string got;
    while (got.size() < sent.size()) {
      const read_result part = co_await with->read();
      if (!part) co_return false;
      got.append(part->text());
    }
    co_return got == sent;
  }

  settings how_;
  std::string address_;
  outcome& out_;
  coflow::choices pick_;
  std::string pattern_;
  std::size_t begun_ = 0;
  std::size_t left_ = 0;
  unsigned turn_ = 0;
};

}  // namespace soak
