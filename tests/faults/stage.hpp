#pragma once

// What happened in a run: for each side what it offered, what was accepted, what it received and how that ended. The
// operations here write it down, and hold each against the laws that hold at once.

#include <coflow/core.hpp>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "faults/kernel.hpp"

namespace faults {

class stage;

/// One end of a connection.
class side {
 public:
  explicit side(stage& of, std::string_view named) : on(of), name(named) {}
  side(const side&) = delete;
  side& operator=(const side&) = delete;

  stage& on;
  std::string_view name;
  int descriptor = -1;
  bool framed = false;  // a codec is in between, so that an end cannot be forged
  std::string offered;  // to be written, in the order in which the writes began
  std::size_t accepted = 0;
  std::string received;
  std::optional<std::error_code> read_end;  // an empty code is eof
  std::optional<std::error_code> write_end;
  bool cut_off = false;  // an end that says nothing of what was sent: a reset that the scenario asks for
  bool said_end = false;
  bool closed = false;  // by the scenario itself, which overrules every other verdict (law C1)
  bool over = false;

  /// Something failed, and said so.
  void report(std::error_code code);
  /// A law is broken.
  void breach(std::string what);

  void read_came_to(const coflow::read_result& got);
  void write_came_to(const coflow::result<void>& sent, std::size_t size);

  [[nodiscard]] bool heard(std::string_view all) const { return received == all && at_eof(); }
  [[nodiscard]] bool at_eof() const { return read_end && !*read_end; }
  [[nodiscard]] bool read_failed_with(std::error_code code) const { return read_end && *read_end == code; }
};

class stage {
 public:
  stage() {}
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;

  side client{*this, "client"};
  side server{*this, "server"};
  side inner_client{*this, "inner client"};  // of a proxy: towards the client
  side inner_server{*this, "inner server"};
  std::size_t bulk = 1024 * 1024;  // how much is much
  std::size_t successes = 0;       // for scenarios that count
  bool proxied = false;
  bool cannot_reset = false;  // a stream that was torn ends there like any other
  bool complete = false;      // everything went as it was meant to go
  bool starving = false;      // the run was cancelled, because nothing went on any more
  std::vector<std::error_code> reports;
  std::vector<std::string> breaches;
};

inline void side::report(std::error_code code) { on.reports.push_back(code); }
inline void side::breach(std::string what) { on.breaches.push_back(std::string(name) + ": " + std::move(what)); }

/// The fault that hit reads, or writes, of a descriptor; null if none did.
[[nodiscard]] inline const incident* met_by(int descriptor, bool reading) {
  for (const incident& one : kernel::incidents()) {
    if (one.times == 0 || one.descriptor != descriptor || one.what.what <= 0) continue;
    const call at = one.what.where;
    const bool hits = reading ? at == call::recv || at == call::read || at == call::readv
                              : at == call::send || at == call::sendmsg || at == call::write || at == call::writev;
    if (hits && one.what.what != EINTR && one.what.what != EAGAIN) return &one;
  }
  return nullptr;
}

inline void side::read_came_to(const coflow::read_result& got) {
  if (got) {
    if (got->empty()) breach("a read gave an empty buffer");
    if (read_end) breach("a read gave data after its verdict");
    received.append(got->text());
    return;
  }
  const std::error_code code = got.error();
  if (code) report(code);
  if (code == coflow::canceled()) return;  // no verdict (law X0)
  if (read_end) {
    if (*read_end != code) breach("a read gave another verdict than before: " + code.message());
    return;
  }
  read_end = code;
  const incident* hit = kernel::incidents().size() == 1 ? met_by(descriptor, true) : nullptr;
  if (hit == nullptr || code == coflow::error::closed || (framed && !code)) return;
  if (code != coflow::from_system(hit->what.what))
    breach("its system call failed with " + std::string(name_of(hit->what)) +
           ", but the read said: " + (code ? code.message() : "eof"));
}

inline void side::write_came_to(const coflow::result<void>& sent, std::size_t size) {
  if (sent) {
    if (write_end) breach("a write succeeded after one had failed");
    accepted += size;
    return;
  }
  const std::error_code code = sent.error();
  report(code);
  if (code == coflow::canceled()) return;
  if (write_end) {
    if (*write_end != code) breach("a write gave another error than before: " + code.message());
    return;
  }
  write_end = code;
  const incident* hit = kernel::incidents().size() == 1 ? met_by(descriptor, false) : nullptr;
  if (hit == nullptr || code == coflow::error::closed || framed) return;
  if (code != coflow::from_system(hit->what.what))
    breach("its system call failed with " + std::string(name_of(hit->what)) +
           ", but the write said: " + code.message());
}

// ---- operations that are written down

/// Reads once; false at the end.
template <class F>
coflow::task<bool> hear(side* at, F* flow) {
  const coflow::read_result got = co_await flow->read();
  at->read_came_to(got);
  co_return got.has_data();
}
template <class F>
coflow::task<> hear_all(side* at, F* flow) {
  for (;;) {
    const bool more = co_await hear(at, flow);
    if (!more) co_return;
  }
}
/// Reads until so many bytes have been received in all; false if they do not come.
template <class F>
coflow::task<bool> hear_up_to(side* at, F* flow, std::size_t size) {
  while (at->received.size() < size) {
    const bool more = co_await hear(at, flow);
    if (!more) co_return false;
  }
  co_return true;
}
template <class F>
coflow::task<bool> say(side* at, F* flow, std::string text) {
  at->offered += text;
  const std::size_t size = text.size();
  coflow::buffer bytes = coflow::buffer::adopt(std::move(text));
  const coflow::result<void> sent = co_await flow->write(std::move(bytes));
  at->write_came_to(sent, size);
  co_return sent.has_value();
}
template <class F>
coflow::task<bool> say_list(side* at, F* flow, std::vector<coflow::buffer> list) {
  std::size_t size = 0;
  for (const coflow::buffer& one : list) {
    at->offered += one.text();
    size += one.size();
  }
  const coflow::result<void> sent = co_await flow->writev(std::span<coflow::buffer>(list));
  at->write_came_to(sent, size);
  if (!sent) co_return false;
  for (const coflow::buffer& one : list)
    if (!one.empty()) at->breach("a write has left a buffer that it sent");
  co_return true;
}
template <class F>
coflow::task<> say_as_child(side* at, F* flow, std::string text) {
  static_cast<void>(co_await say(at, flow, std::move(text)));
}

/// The verdicts stay; then the end, and what an operation says after it.
template <class F>
coflow::task<> part(side* at, F* flow) {
  if (at->read_end && !at->closed) {
    const coflow::read_result again = co_await flow->read();
    if (again || again.error() != *at->read_end) {
      if (again || again.error() != coflow::canceled()) at->breach("a read's verdict has changed");
    }
  }
  if (at->write_end && !at->closed) {
    const coflow::result<void> again = co_await flow->write(coflow::buffer("one more"));
    if (again || again.error() != *at->write_end) {
      if (again || again.error() != coflow::canceled()) at->breach("a write's error has changed");
    }
  }
  co_await flow->close();
  const coflow::read_result read = co_await flow->read();
  if (!read.failed() || (read.error() != coflow::error::closed && read.error() != coflow::canceled()))
    at->breach("a read after close is not 'closed'");
  const coflow::result<void> written = co_await flow->write(coflow::buffer("too late"));
  if (written || (written.error() != coflow::error::closed && written.error() != coflow::canceled()))
    at->breach("a write after close is not 'closed'");
  co_await flow->close();
  at->over = true;
}

}  // namespace faults
