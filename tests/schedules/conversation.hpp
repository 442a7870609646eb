#pragma once

// A random conversation over two connected flows: several operations pending at each end, cancelled, destroyed with
// their coroutines, overtaken by shutdowns, closes, resets, moves and the destruction of the flow, while the executor
// runs ready nodes in a random order. Everything random comes from one `choices`. What must hold whatever happens is
// checked at the end:
//
//   - what is received is a prefix of what was sent; equal, if its end was read without an error;
//   - a clean end follows whole writes only, a reset only what can have caused one;
//   - the first verdict of each half stays;
//   - nobody stays suspended.

#include <algorithm>
#include <coflow/core.hpp>
#include <coflow/testing/choices.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/outcome.hpp"
#include "model/subject.hpp"
#include "schedules/stage.hpp"

namespace schedules {

template <class Kind>
class conversation {
 public:
  using flow = typename Kind::flow;

  explicit conversation(choices& from)
      : pick_(from), capacity_(std::size_t{1} << pick_.pick(7)), home_(std::in_place, from) {
    auto made = connected<Kind>(*home_, capacity_);
    ends_[0].handle.emplace(std::move(made.first));
    ends_[1].handle.emplace(std::move(made.second));
    const coflow::executor::entry current(*home_);
    for (side& s : ends_) begin_read(s);  // binds both to the executor
  }

  // Gives what went wrong, or nothing.
  std::string run() {
    for (std::size_t steps = 5 + pick_.pick(60); steps != 0; --steps) {
      {
        const coflow::executor::entry current(*home_);
        take_step(pick_.pick(2));
      }
      if (pick_.pick(16) == 0) come_to_rest();
      for (std::size_t nodes = pick_.pick(4); nodes != 0 && home_->run_once() != 0;) --nodes;
    }
    if (pick_.pick(8) == 0)
      lose_executor();
    else
      read_to_the_end();
    for (const int at : {0, 1}) check(at);
    return wrong_;
  }

 private:
  // An operation, in the order in which they began.
  class operation {
   public:
    operation() = default;
    model::record came;
    std::optional<model::probe> coroutine;  // none: destroyed on the way
    std::string text;                       // of a write
    bool refused = false;                   // begun when the half was shut or closed already
  };
  class side {
   public:
    side() = default;
    std::optional<flow> handle;
    std::deque<operation> reads, writes, shutdowns, closes;
    bool shut_read = false, shut_write = false, closed = false, broken_off = false, destroyed = false;
    unsigned char next = 0;
  };

  void take_step(std::size_t at) {
    side& s = ends_[at];
    if (!s.handle) return;
    const std::size_t what = pick_.pick(32);
    if constexpr (requires { s.handle->request_key_update(); }) {
      if (what == 12) return s.handle->request_key_update();
    }
    switch (what) {
      default:
        if (pick_.pick(2) == 0) return begin_read(s);
        return begin_write(s);
      case 0:
      case 1:
      case 2:
        return give_up(s.reads, pick_.pick(2) == 0);
      case 3:
        return give_up(s.writes, pick_.pick(2) == 0);
      case 4:
        return give_up(s.shutdowns, pick_.pick(2) == 0);
      case 5:
        return begin_shutdown(s, coflow::shutdown_mode::write);
      case 6:
        return pick_.pick(4) == 0 ? begin_shutdown(s, coflow::shutdown_mode::read) : begin_read(s);
      case 7:
        return pick_.pick(4) == 0 ? begin_shutdown(s, coflow::shutdown_mode::read_write) : begin_read(s);
      case 8:
        if (pick_.pick(4) == 0) close(s);
        return;
      case 9:
        if (pick_.pick(4) == 0) break_off(s);
        return;
      case 10:
        if (pick_.pick(4) == 0) destroy(s);
        return;
      case 11:  // the operations stay where they are [O2]
        std::optional<flow> elsewhere(std::move(*s.handle));
        s.handle.reset();
        s.handle.emplace(std::move(*elsewhere));
        return;
    }
  }

  void begin_read(side& s) {
    operation& op = s.reads.emplace_back();
    op.came.start_over();
    op.refused = s.closed || s.shut_read;
    op.coroutine.emplace(model::start_read(&*s.handle, &op.came));
  }
  void begin_write(side& s) {
    operation& op = s.writes.emplace_back();
    op.came.start_over();
    op.refused = s.closed || s.shut_write;
    const std::size_t size = 1 + pick_.pick(pick_.pick(4) == 0 ? 64 : 6);
    for (std::size_t i = 0; i != size; ++i) op.text += static_cast<char>(s.next++ * 5);
    if (pick_.pick(2) == 0) {
      op.coroutine.emplace(model::start_write(&*s.handle, &op.came, coflow::buffer(op.text)));
      return;
    }
    for (std::size_t from = 0; from != size;) {
      const std::size_t part = pick_.pick(size - from + 1);  // empty ones too
      op.came.list.push_back(coflow::buffer(std::string_view(op.text).substr(from, part)));
      from += part;
    }
    op.coroutine.emplace(model::start_writev(&*s.handle, &op.came));
  }
  void begin_shutdown(side& s, coflow::shutdown_mode mode) {
    s.shut_read |= mode != coflow::shutdown_mode::write;
    s.shut_write |= mode != coflow::shutdown_mode::read;
    operation& op = s.shutdowns.emplace_back();
    op.came.start_over();
    op.coroutine.emplace(model::start_shutdown(&*s.handle, &op.came, mode));
  }
  // One of those that wait is cancelled, or its coroutine is destroyed.
  void give_up(std::deque<operation>& among, bool by_destruction) {
    std::vector<operation*> waiting;
    for (operation& one : among) {
      if (one.came.came_to == model::pending && one.coroutine) waiting.push_back(&one);
    }
    if (waiting.empty()) return;
    operation& chosen = *waiting[pick_.pick(waiting.size())];
    if (by_destruction)
      chosen.coroutine.reset();
    else
      chosen.came.stop->request_stop();
  }
  void close(side& s) {
    operation& op = s.closes.emplace_back();
    op.came.start_over();
    op.coroutine.emplace(model::start_close(&*s.handle, &op.came));
    expect(Kind::seals || op.came.came_to == model::done, "a close waits");
    s.closed = true;
  }
  void break_off(side& s) {
    s.broken_off |= !s.closed;
    model::break_off(*s.handle);
    s.closed |= !Kind::seals;  // a layer is told by what is below, and is not closed itself
  }
  void destroy(side& s) {
    s.handle.reset();
    s.closed = s.destroyed = true;
  }

  // Each end that can still read does so until its verdict, then both close.
  void read_to_the_end() {
    come_to_rest();
    for (bool progress = true; progress;) {
      progress = false;
      for (side& s : ends_) {
        if (!s.handle || first_waiting(s.reads) != nullptr ||
            (!s.reads.empty() && is_verdict(s.reads.back().came.came_to)))
          continue;
        {
          const coflow::executor::entry current(*home_);
          begin_read(s);
        }
        come_to_rest();
        progress = true;
      }
    }
    for (side& s : ends_) {
      const coflow::executor::entry current(*home_);
      if (s.handle) close(s);
      come_to_rest();
    }
  }
  // Everything that waits completes, and the flows answer that they are closed [O4].
  void lose_executor() {
    home_.reset();
    for (side& s : ends_) {
      if (!s.handle) continue;
      s.closed = true;
      begin_read(s);
      expect(s.reads.back().came.came_to == model::closed, "a flow outlives its executor and is not closed");
    }
  }

  // Nothing is ready: then nobody may wait who could go on.
  void come_to_rest() {
    do {
      home_->run_until_idle();
    } while (home_->advance_to_next_deadline());
    for (const int at : {0, 1}) {
      const side& mine = ends_[at];
      const side& peer = ends_[1 - at];
      const operation* write = first_waiting(mine.writes);
      if (first_waiting(mine.reads) != nullptr) {
        expect(written(peer) <= read(mine) && first_waiting(peer.writes) == nullptr, "a read waits, and there is data");
        expect(!mine.closed && !mine.shut_read, "a read waits on a flow that is closed");
        expect(!peer.closed && !peer.broken_off && (!peer.shut_write || gave_up(peer)),
               "a read waits, and the stream has ended");
      }
      if (write != nullptr && !Kind::seals) {
        // Of the write itself some has gone out, nobody knows how much. A large pipe need not be filled to the brim.
        const std::size_t full = read(peer) + (capacity_ < 64 ? capacity_ : capacity_ / 2);
        expect(written(mine) <= read(peer) + capacity_ && full < written(mine) + write->text.size(),
               "a write waits, and there is room");
        expect(!mine.closed && !peer.closed && !peer.shut_read, "a write waits, and nothing is in its way");
      }
      expect(Kind::seals || first_waiting(mine.shutdowns) == nullptr || write != nullptr,
             "a shutdown waits for nothing");
      expect(first_waiting(mine.closes) == nullptr, "a close waits for ever");
    }
  }

  static const operation* first_waiting(const std::deque<operation>& among) {
    for (const operation& one : among) {
      if (one.coroutine && one.came.came_to == model::pending) return &one;
    }
    return nullptr;
  }
  static std::size_t written(const side& s) {
    std::size_t sum = 0;
    for (const operation& one : s.writes) sum += one.came.came_to == model::done ? one.text.size() : 0;
    return sum;
  }
  static std::size_t read(const side& s) {
    std::size_t sum = 0;
    for (const operation& one : s.reads) sum += one.came.bytes.size();
    return sum;
  }
  static bool gave_up(const side& s) {
    for (const operation& one : s.writes) {
      if (!one.coroutine || one.came.came_to == model::canceled) return true;
    }
    return false;
  }
  static bool is_verdict(model::outcome what) {
    return what != model::pending && what != model::data && what != model::canceled;
  }

  void expect(bool holds, std::string_view law) {
    if (!holds && wrong_.empty()) wrong_ = law;
  }

  void check(int at) {
    const side& mine = ends_[at];
    const side& peer = ends_[1 - at];
    for (const auto* list : {&mine.reads, &mine.writes, &mine.shutdowns, &mine.closes}) {
      for (const operation& one : *list) {
        expect(!one.coroutine || one.came.came_to != model::pending, "somebody stays suspended");
        expect(one.came.came_to != model::strange, "an error that nobody has caused");
      }
    }
    check_reads(mine, peer);
    check_writes(mine, peer);
  }

  // A reset is legal only if the other end has caused it.
  static bool may_be_reset(const side& peer) {
    bool part_sent = false;
    for (const operation& one : peer.writes) part_sent |= one.came.came_to != model::done && !one.refused;
    return peer.broken_off || (peer.closed && (part_sent || Kind::seals));
  }

  // In the order in which they began: data, then one verdict for ever, which only a close can replace.
  void check_reads(const side& mine, const side& peer) {
    std::string received;
    model::outcome first = model::pending;
    model::outcome last = model::pending;
    for (const operation& one : mine.reads) {
      const model::outcome what = one.came.came_to;
      if (what == model::data) {
        expect(last == model::pending, "data after a verdict");
        expect(!one.refused, "data after a close or a shutdown");
        expect(!one.came.bytes.empty(), "a read gives nothing");
        received += one.came.bytes.text();
      } else if (is_verdict(what)) {
        expect(last == model::pending || what == last || (what == model::closed && mine.closed),
               "a read gives another verdict than the first one");
        if (first == model::pending) first = what;
        last = what;
      }
    }
    expect(first != model::closed || mine.closed || mine.broken_off, "a read says closed on a flow that is not");
    expect(first != model::torn, "a read meets a torn write");
    expect(first != model::eof || mine.shut_read || peer.shut_write || (peer.closed && !peer.broken_off),
           "an end that nobody has made");
    expect(first != model::reset || may_be_reset(peer), "a reset that nobody has made");
    expect(first != model::truncated || peer.destroyed || !peer.writes.empty(), "truncated, and nobody has cut it");
    check_stream(received, peer, first, mine.shut_read);
  }

  // Every write that succeeded, in order, then perhaps a part of one that did not.
  void check_stream(std::string_view received, const side& from, model::outcome verdict, bool dropped) {
    std::size_t count = from.writes.size();
    while (count != 0 && from.writes[count - 1].came.came_to != model::done) --count;
    bool whole = true;
    for (std::size_t i = 0; i != count; ++i) {
      const std::string_view text = from.writes[i].text;
      const std::size_t size = std::min(received.size(), text.size());
      const bool fits = received.starts_with(text.substr(0, size));
      if (from.writes[i].came.came_to != model::done) {
        // A codec may have sealed it before its coroutine went.
        if (Kind::seals && !from.writes[i].coroutine && fits) received.remove_prefix(size);
        continue;
      }
      whole &= size == text.size();
      expect(fits, "what is received is no prefix of what was sent");
      received.remove_prefix(size);
    }
    bool known = received.empty();
    for (std::size_t i = count; i < from.writes.size() && !known; ++i) {
      const std::string_view text = from.writes[i].text;
      if (Kind::seals && received.starts_with(text)) received.remove_prefix(text.size());
      known = text.starts_with(received);
    }
    expect(known, "bytes are received that were not sent");
    const bool to_the_end = !dropped && (verdict == model::eof || (verdict == model::reset && !Kind::seals));
    expect(!to_the_end || whole, "bytes of a write that succeeded are lost");
    expect(dropped || verdict != model::eof || received.empty(), "a torn write is followed by a clean end");
  }

  // In the order in which they began: successes, then one error for ever, which only a close or a shutdown can replace.
  void check_writes(const side& mine, const side& peer) {
    model::outcome error = model::pending;
    bool may_be_torn = false;
    for (const operation& one : mine.writes) {
      const model::outcome what = one.came.came_to;
      if (one.coroutine) check_rest(one);
      if (what == model::pending || what == model::canceled) {
        may_be_torn = true;
        continue;
      }
      if (what == model::done) {
        expect(error == model::pending, "a write succeeds after one that failed");
        expect(!one.refused, "a write succeeds after a close or a shutdown");
        continue;
      }
      const bool replaced = what == model::closed && (mine.closed || mine.shut_write);
      expect(error == model::pending || what == error || replaced, "a write gives another error than the first one");
      if (error == model::pending) error = what;
      const bool over = peer.closed || mine.broken_off || peer.broken_off ||
                        (Kind::seals && (peer.shut_write || peer.shut_read));  // [L3]
      expect(what != model::closed || mine.closed || mine.shut_write || over, "closed, and nobody has closed");
      expect(what != model::reset || may_be_reset(peer), "a reset that nobody has made");
      expect(what != model::torn || may_be_torn, "torn, and nobody has given a write up");
    }
  }
  // What was not sent is still the caller's.
  void check_rest(const operation& one) {
    if (one.came.list.empty()) return;
    std::string left;
    for (const coflow::buffer& part : one.came.list) left += part.text();
    expect(one.text.ends_with(left), "other bytes are left in a list than were not sent");
    expect(one.came.came_to != model::done || left.empty(), "bytes are left of a write that succeeded");
    expect(!one.refused || left == one.text, "a write that is refused takes bytes");
  }

  choices& pick_;
  std::size_t capacity_;
  std::optional<coflow::virtual_executor> home_;  // it may go before the flows do
  side ends_[2];
  std::string wrong_;
};

}  // namespace schedules
