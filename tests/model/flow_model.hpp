#pragma once

// What two connected flows must do, as an executable specification. It is written from the laws alone and knows nothing
// of how a flow is made; the letters in brackets name the law that a line says.
//
// It is told of every operation when it begins, and then `settle` compares what has happened since: which operations
// have completed, and with what. Where the laws leave a choice (the size of a read, R3; on TCP also how much fits, and
// what a reset destroys), it takes what was observed if that is legal, and goes on from there.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/outcome.hpp"

namespace model {

enum class verb { read, write, shutdown };

class flow_model {
 public:
  static constexpr std::size_t most_operations = 2048;

  explicit flow_model(transport below) : below_(below) {}
  void start_over() {
    ends_[0].start_over();
    ends_[1].start_over();
    count_ = 0;
    doubtful_ = most_operations;
  }

  // ---- an operation begins at end 0 or 1; its number is `count()` before the call

  [[nodiscard]] std::size_t count() const { return count_; }

  void read(int at) {
    end& e = ends_[at];
    const std::size_t op = add(at, verb::read);
    if (e.read_open)
      e.reads.push(op);
    else
      complete(op, e.read_verdict);  // [R4] [S2] [C1]
  }
  void write(int at, std::string_view bytes) {
    end& e = ends_[at];
    const std::size_t op = add(at, verb::write);
    ops_[op].rest = bytes;
    ops_[op].size = bytes.size();
    if (e.write_open)
      e.writes.push(op);
    else
      complete(op, e.write_verdict);  // [W5] [W6]
  }
  void shut_read(int at) {
    end& e = ends_[at];
    e.shut_here = true;
    if (e.read_open) {
      end_reading(e, eof);  // [S2]
      e.shut = true;
    }
    complete(add(at, verb::shutdown), done);
  }
  void shut_write(int at) {
    end& e = ends_[at];
    e.shut_here = true;
    if (e.write_open) {
      e.write_open = false;  // [S3]
      e.write_verdict = closed;
      // Who drops what arrives, or sends what was sealed, may have met a reset there: then this shutdown comes too
      // late.
      const bool at_work = below_.below == kind::kernel ? e.shut : below_.below == kind::codec && ends_[1 - at].gone;
      if (at_work) e.write_verdict |= e.finish & reset;
      e.draining = true;
    }
    e.shutdowns.push(add(at, verb::shutdown));
  }
  void close(int at) {
    end& e = ends_[at];
    if (e.closed) return;  // [C2]
    e.closed = true;
    leave(at, false);
    e.read_verdict = e.write_verdict = closed;  // [C1]
  }
  // The connection is broken at this end, by what is below a layer too.
  void break_off(int at) {
    end& e = ends_[at];
    if (below_.below != kind::codec && !e.closed) {
      e.closed = true;
      leave(at, true);
      e.read_verdict = e.write_verdict = closed;
    } else if (!e.gone) {
      leave(at, true);  // [L6]: the layer meets a closed flow, and is not closed itself [R4]
    }
  }
  // The oldest operation that waits at this end is cancelled. Gives its number, or count() if none waits.
  std::size_t cancel(int at) {
    end& e = ends_[at];
    std::size_t op = 0;
    while (op != count_ && (ops_[op].at != at || ops_[op].expected != pending)) ++op;
    if (op == count_) return op;
    e.reads.remove(op);
    e.writes.remove(op);
    e.shutdowns.remove(op);
    complete(op, ops_[op].what == verb::shutdown ? done : canceled);  // [X0]
    if (ops_[op].begun && below_.below == kind::codec) {              // [X2]: if it is sealed
      complete(op, done | canceled);
      doubtful_ = op;
    } else if (ops_[op].begun) {  // [X2]
      e.torn = true;
      e.draining = false;
      if (below_.below == kind::kernel) ends_[1 - at].lossy = true;
      stop_sending(e, torn);
    }
    return op;
  }

  // ---- comparing

  enum class agreement { complete, waiting, broken };

  // Takes what `observed(number)` says of every operation. `waiting`: something has not happened yet that must.
  template <class Observed>
  agreement settle(Observed&& observed) {
    waits_for_ = count_;
    wrong_ = count_;
    legal_ = 0;
    resolve(observed);
    for (bool changed = true; changed && wrong_ == count_;) {
      changed = false;
      for (const int at : {0, 1}) {
        if (send(at, observed)) changed = true;
        if (finish_shutdown(at, observed)) changed = true;
        if (receive(at, observed)) changed = true;
      }
    }
    for (std::size_t op = 0; op != count_ && wrong_ == count_; ++op) {
      const observation seen = observed(op);
      if (seen.came_to == pending && ops_[op].expected != pending) waits_for_ = std::min(waits_for_, op);
      if (seen.came_to != pending && (ops_[op].expected & seen.came_to) == 0) wrong_ = op;
      end& e = ends_[ops_[op].at];
      if (ops_[op].what == verb::write && (seen.came_to & e.write_verdict) != 0)
        e.write_verdict &= seen.came_to;  // [W6]
      // [W2]: what was not sent is still the caller's.
      const bool kept = seen.came_to <= done || seen.left == observation::unknown || seen.left == ops_[op].rest.size();
      if (below_.below == kind::pipe && !kept) wrong_ = op;
    }
    if (wrong_ != count_) return agreement::broken;
    return waits_for_ != count_ ? agreement::waiting : agreement::complete;
  }

  // After `settle`: the operation it is about, and what the laws say about it.
  [[nodiscard]] std::size_t culprit() const { return wrong_ != count_ ? wrong_ : waits_for_; }
  [[nodiscard]] std::string describe(std::size_t op) const {
    constexpr std::array<std::string_view, 3> verbs{"read", "write", "shutdown"};
    return "operation " + std::to_string(op) + ", a " + std::string(verbs[static_cast<std::size_t>(ops_[op].what)]) +
           " of " + (ops_[op].at == 0 ? 'a' : 'b');
  }
  [[nodiscard]] std::string expectation(std::size_t op) const {
    const end& e = ends_[ops_[op].at];
    if (ops_[op].expected != pending) return in_words(ops_[op].expected);
    if (e.writes.is_first(op) && legal_ != 0) return in_words(legal_);
    if (!e.reads.is_first(op)) return in_words(pending);
    if (e.incoming.empty()) return in_words(e.finish);
    return "data: \"" + e.incoming.substr(0, 32) + '"' + (e.lossy ? " or " + in_words(e.finish) : "");
  }
  [[nodiscard]] bool reads_pending(int at) const { return !ends_[at].reads.empty(); }
  [[nodiscard]] bool can_read(int at) const { return ends_[at].read_open; }

 private:
  struct operation {
    int at = 0;
    verb what = verb::read;
    bool begun = false;     // a part of the write has gone out
    std::string_view rest;  // of the write
    std::size_t size = 0;
    outcomes expected = pending;
  };

  // Operations that wait, in order [R8] [W4].
  class queue {
   public:
    [[nodiscard]] bool empty() const { return first_ == last_; }
    [[nodiscard]] std::size_t first() const { return ops_[first_]; }
    [[nodiscard]] bool is_first(std::size_t op) const { return !empty() && first() == op; }
    void clear() { first_ = last_ = 0; }
    void push(std::size_t op) { ops_.at(last_++) = static_cast<std::uint16_t>(op); }
    std::size_t pop() {
      const std::size_t op = ops_[first_++];
      if (empty()) clear();
      return op;
    }
    void remove(std::size_t op) {
      last_ = static_cast<std::size_t>(std::remove(ops_.begin() + static_cast<std::ptrdiff_t>(first_),
                                                   ops_.begin() + static_cast<std::ptrdiff_t>(last_), op) -
                                       ops_.begin());
    }

   private:
    std::array<std::uint16_t, most_operations> ops_;
    std::size_t first_ = 0;
    std::size_t last_ = 0;
  };

  struct end {
    bool read_open, write_open, shut, draining, closed, torn;
    bool gone;  // nobody reads any more what the other end writes
    bool shut_here;
    bool sending;  // the writes that are queued may go on
    outcomes read_verdict, write_verdict, sending_verdict;
    std::string incoming;  // what the other end wrote and this one has not read
    bool lossy;            // less than that may come
    outcomes finish;       // what follows it
    queue reads, writes, shutdowns;

    void start_over() {
      read_open = write_open = sending = true;
      shut = shut_here = gone = draining = closed = torn = lossy = false;
      read_verdict = write_verdict = sending_verdict = finish = 0;
      incoming.clear();
      reads.clear();
      writes.clear();
      shutdowns.clear();
    }
  };

  std::size_t add(int at, verb what) {
    ops_.at(count_) = operation{at, what, false, {}, 0, pending};
    return count_++;
  }
  void complete(std::size_t op, outcomes with) { ops_[op].expected = with; }

  void end_reading(end& e, outcomes verdict) {
    e.read_open = false;
    e.read_verdict = verdict;
    e.incoming.clear();
    while (!e.reads.empty()) complete(e.reads.pop(), verdict);  // [R8] [C3]
  }
  // The write half has come to its end: every write that is queued gets it, and no clean end will follow [W6].
  void stop_sending(end& e, outcomes verdict) {
    if (!e.sending) return;
    e.sending = false;
    e.sending_verdict = verdict;
    e.draining = false;
    if (e.write_open) e.write_verdict = verdict;
    e.write_open = false;
    while (!e.writes.empty()) {
      const std::size_t op = e.writes.pop();
      if (ops_[op].begun) e.torn = true;  // [X3]
      complete(op, verdict);
    }
  }

  // One end goes, with an end of the stream for the other, or with a reset.
  void leave(int at, bool abort) {
    end& e = ends_[at];
    end& peer = ends_[1 - at];
    const bool unread = !e.incoming.empty();
    const bool all_out = peer.incoming.size() <= below_.surely_fits;
    e.draining = false;
    stop_sending(e, closed);                  // [C3]
    if (e.read_open) end_reading(e, closed);  // [C3]
    abort |= e.torn && below_.below != kind::codec;
    if (below_.below == kind::pipe) {
      if (peer.finish == 0 || abort) peer.finish = abort ? reset : eof;  // [X3] [C6]
    } else if (below_.below == kind::kernel) {                           // [K4]
      if (abort || unread) peer.lossy = true;
      if (abort)
        peer.finish |= reset;
      else if (unread)
        peer.finish |= eof | reset;
      else if (peer.finish == 0)
        peer.finish = eof;
    } else if (!e.gone) {  // [L2]: the goodbye waits for room, but not for long
      if (!all_out) peer.lossy = true;
      if (abort || !all_out) peer.finish |= reset;
      if (!abort) peer.finish |= eof;
    }
    e.gone = true;
  }
  // A write that was cancelled where the laws leave open whether it was sealed by then.
  template <class Observed>
  void resolve(Observed& observed) {
    if (doubtful_ == most_operations) return;
    const observation seen = observed(doubtful_);
    std::string& sent = ends_[1 - ops_[doubtful_].at].incoming;
    if (seen.came_to == canceled && sent.size() < ops_[doubtful_].size) return objects(doubtful_, seen);
    if (seen.came_to == canceled) sent.resize(sent.size() - ops_[doubtful_].size);
    doubtful_ = most_operations;
  }

  template <class Observed>
  bool send(int at, Observed& observed) {
    end& e = ends_[at];
    end& peer = ends_[1 - at];
    bool changed = false;
    while (!e.writes.empty()) {
      const std::size_t op = e.writes.first();
      operation& write = ops_[op];
      if (peer.gone) {  // [W5] [R7]
        outcomes possible = (e.finish & reset) | ((e.finish & ~reset) != 0 ? closed : pending);
        if (below_.below == kind::kernel) possible = done | closed | reset;
        if (below_.below == kind::codec && write.begun) possible |= done;
        const observation seen = observed(op);
        if ((seen.came_to & possible) == 0) {
          legal_ = possible;
          return objects(op, seen), changed;
        }
        if (seen.came_to != done) {
          // A reset that one half sees is the end of both.
          if (below_.below == kind::kernel && seen.came_to == reset && (e.finish & reset) != 0) e.finish = reset;
          stop_sending(e, seen.came_to);
          return true;
        }
      } else if (!peer.read_open) {
        write.rest = {};  // [S2]: taken, and dropped
      } else if (below_.below != kind::pipe) {
        write.begun = true;
        peer.incoming += write.rest;
        write.rest = {};
        const bool accepted = observed(op).came_to == done && peer.incoming.size() <= below_.at_most;
        if (peer.incoming.size() > below_.surely_fits && !accepted) return changed;
      } else {
        const std::size_t fits = std::min(below_.at_most - peer.incoming.size(), write.rest.size());  // [W8]
        peer.incoming += write.rest.substr(0, fits);
        write.rest.remove_prefix(fits);
        write.begun |= fits != 0;
        changed |= fits != 0;
        if (!write.rest.empty()) return changed;
      }
      complete(e.writes.pop(), done);  // [W1]
      changed = true;
    }
    return changed;
  }

  template <class Observed>
  bool finish_shutdown(int at, Observed& observed) {
    end& e = ends_[at];
    end& peer = ends_[1 - at];
    if (e.draining && e.writes.empty()) {  // [S3]
      if (peer.finish == 0) peer.finish = eof;
      const bool seen = !e.shutdowns.empty() && observed(e.shutdowns.first()).came_to != pending;
      if (below_.below != kind::codec || peer.incoming.size() <= below_.surely_fits || seen) {
        e.draining = e.sending = false;
        e.sending_verdict = closed;
      }
    }
    // [L3]: then the layer closes what is below.
    if (below_.below == kind::codec && e.shut_here && !e.read_open && !e.sending) e.gone = true;
    if (e.draining || e.shutdowns.empty()) return false;
    while (!e.shutdowns.empty()) complete(e.shutdowns.pop(), done);  // [S1]
    return true;
  }

  template <class Observed>
  bool receive(int at, Observed& observed) {
    end& e = ends_[at];
    bool changed = false;
    while (!e.reads.empty() && (!e.incoming.empty() || e.finish != 0)) {
      const std::size_t op = e.reads.first();
      const observation seen = observed(op);
      if (seen.came_to == data) {
        const bool legal = !seen.bytes.empty() && std::string_view(e.incoming).starts_with(seen.bytes);  // [R1] [W3]
        if (!legal) return objects(op, seen), changed;
        e.incoming.erase(0, seen.bytes.size());  // [R3]
        complete(e.reads.pop(), data);
        changed = true;
        continue;
      }
      if (!e.incoming.empty() && e.lossy && seen.came_to == pending && e.finish == 0) return changed;
      const bool legal = (e.incoming.empty() || e.lossy) && (seen.came_to & e.finish) != 0;  // [R4] [R5]
      if (!legal) return objects(op, seen), changed;
      end_reading(e, seen.came_to);
      if (seen.came_to == reset) stop_sending(e, reset);  // [R7]
      changed = true;
    }
    return changed;
  }

  void objects(std::size_t op, const observation& seen) {
    if (seen.came_to == pending)
      waits_for_ = std::min(waits_for_, op);
    else
      wrong_ = op;
  }

  transport below_;
  end ends_[2];
  std::array<operation, most_operations> ops_;
  std::size_t count_ = 0;
  std::size_t doubtful_ = most_operations;
  std::size_t waits_for_ = 0;
  std::size_t wrong_ = 0;
  outcomes legal_ = 0;  // for the write at the head of its queue that one of them is about
};

}  // namespace model
