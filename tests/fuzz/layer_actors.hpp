#pragma once

// Who acts on one side of a session over the layer: writers, a reader, and somebody who interferes, each with a plan.

#include <algorithm>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/tls.hpp>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "fuzz/harm.hpp"
#include "fuzz/input.hpp"
#include "fuzz/layer_side.hpp"
#include "fuzz/said.hpp"

namespace fuzz {

inline task<> turns(unsigned count) {
  for (; count != 0; --count) static_cast<void>(co_await coflow::sleep_for(std::chrono::nanoseconds(0)));
}

inline task<> shut(side* s, shutdown_mode mode) {
  s->shut_write |= mode != shutdown_mode::read;
  s->shut_read |= mode != shutdown_mode::write;
  co_await s->flow->shutdown(mode);
}
inline task<> close(side* s) {
  s->closed = true;
  co_await s->flow->close();
}
// ---- writing

inline task<> write_one(side* s, std::string text, unsigned pieces, unsigned limit, bool waits) {
  if (!s->flow) co_return;
  const bool refused = s->shut_write || s->closed;
  const std::size_t which = s->said.begin(text);
  std::vector<buffer> list;
  std::error_code failure;
  if (pieces == 0) {
    if (limit == 0) {
      const result<void> sent = co_await s->flow->write(buffer(text));
      failure = sent.error();
    } else {
      const result<void> sent =
          co_await coflow::with_timeout(s->flow->write(buffer(text)), std::chrono::milliseconds(limit - 1));
      failure = sent.error();
    }
  } else {
    const std::size_t part = text.size() / pieces + 1;
    for (std::size_t at = 0; at < text.size(); at += part) list.emplace_back(std::string_view(text).substr(at, part));
    list.emplace_back();
    const result<void> sent = co_await s->flow->writev(list);
    failure = sent.error();
  }
  if (refused && !failure) breach("a write succeeds behind a shutdown or a close");
  // One that is given up when all of it is sealed is a success too (law X2); otherwise law W1.
  if (!failure && waits) s->sent += text.size();
  if (waits && s->sent > s->below.accepted_below) breach("a write succeeds before all is accepted below");
  s->said.end(which, refused    ? saying::outcome::refused
                     : !failure ? saying::outcome::success
                                : saying::outcome::unknown);
}
inline task<> write_all(side* s, std::size_t writer) {
  // The last is more than is sealed at once, and can be torn.
  static constexpr unsigned sizes[] = {0, 1, 3, 17, 60, 300, 1500, 2, 5, 9, 30, 100, 700, 4000, 20000, 70000};
  for (const step& one : s->writes[writer]) {
    if (!s->flow) co_return;
    const std::size_t size = std::min<std::size_t>(sizes[one.amount % 16], s->most);
    const unsigned more = one.amount / 16;
    std::string text = text_of(static_cast<unsigned>(s->said.count()) * 2 + s->number, size);
    switch (one.what) {
      case 0:
      case 1:
        co_await write_one(s, std::move(text), 0, 0, true);
        break;
      case 2:
        co_await write_one(s, std::move(text), 1 + more, 0, true);
        break;
      case 3:
        static_cast<void>(co_await coflow::sleep_for(std::chrono::milliseconds(more)));
        break;
      case 4:
        co_await turns(more);
        break;
      case 5:
        s->disturbed = true;
        co_await write_one(s, std::move(text), 0, 1 + more, false);
        break;
      default: {  // the writer is told to stop, or goes
        s->disturbed = true;
        coflow::task_scope scope(coflow::on_failure::isolate);
        static_cast<void>(scope.spawn(write_one(s, std::move(text), more % 4, 0, false)));
        co_await turns(more);
        if (one.what == 6) {
          scope.cancel();
          static_cast<void>(co_await scope.join());
        }
      }
    }
  }
}

// ---- reading

// True while there may be more.
inline bool take(side* s, const std::error_code& failure, bool eof, std::string_view got) {
  const bool passing = failure == coflow::canceled() || failure == coflow::error::timed_out;
  if (s->over && !passing && !s->closed && !s->shut_read && (eof != s->eof || failure != s->verdict))
    breach("a read gives another verdict than the first");
  if (!failure && !eof) {
    if (got.empty()) breach("a read gives nothing");
    if (s->over) breach("data behind a verdict");
    s->heard.append(got);
    return true;
  }
  if (passing) return true;
  if (!s->over) {
    s->eof = eof;
    s->verdict = failure;
    s->over = true;
    s->from_stream = !s->shut_read && !s->closed;
    s->peers_end = eof && s->from_stream;
  }
  return false;
}
inline task<> read_one(side* s, unsigned room_size, unsigned limit) {
  if (!s->flow) co_return;
  const wish one(s);
  if (room_size != 0) {
    std::string room(room_size, '\0');
    const std::span<char> chars(room);
    const coflow::read_into_result got = co_await s->flow->read_into(std::as_writable_bytes(chars));
    static_cast<void>(take(s, got.error(), got.eof(), std::string_view(room).substr(0, *got)));
  } else if (limit != 0) {
    const read_result got = co_await coflow::with_timeout(s->flow->read(), std::chrono::milliseconds(limit - 1));
    static_cast<void>(take(s, got.error(), got.eof(), got->text()));
  } else {
    const read_result got = co_await s->flow->read();
    static_cast<void>(take(s, got.error(), got.eof(), got->text()));
  }
}
inline task<> read_all(side* s) {
  for (const step& one : s->reads) {
    if (!s->flow) co_return;
    switch (one.what) {
      case 0:
        co_await read_one(s, 0, 0);
        break;
      case 1:
        co_await read_one(s, 1 + one.amount, 0);
        break;
      case 2:
        co_await read_one(s, 0, 1 + one.amount % 16);
        break;
      case 3:
      case 4:
        static_cast<void>(co_await coflow::sleep_for(std::chrono::milliseconds(one.amount)));
        break;
      case 5:
        co_await turns(one.amount % 8);
        break;
      default: {  // the reader is told to stop, or goes
        coflow::task_scope scope(coflow::on_failure::isolate);
        static_cast<void>(scope.spawn(read_one(s, one.amount % 3, 0)));
        co_await turns(one.amount / 4 % 8);
        if (one.what == 6) {
          scope.cancel();
          static_cast<void>(co_await scope.join());
        }
      }
    }
  }
  while (s->flow && !s->over) {
    const wish one(s);
    const read_result got = co_await s->flow->read();
    if (!take(s, got.error(), got.eof(), got->text())) break;
  }
  if (!s->flow) co_return;
  const read_result again = co_await s->flow->read();
  static_cast<void>(take(s, again.error(), again.eof(), again->text()));
  if (s->flow && !s->eof) co_await close(s);  // or both sides write for ever, and nobody reads
}

// ---- interfering

inline task<> interfere(side* s) {
  for (const step& one : s->moves) {
    if (!s->flow) co_return;
    switch (one.what) {
      case 0:
        co_await turns(one.amount % 16);
        break;
      case 1:
        static_cast<void>(co_await coflow::sleep_for(std::chrono::milliseconds(one.amount)));
        break;
      case 2:
        s->flow->request_key_update();
        break;
      case 3: {  // the operations stay where they are (law O2)
        std::optional<layer_flow> elsewhere(std::move(*s->flow));
        s->flow.reset();
        s->flow.emplace(std::move(*elsewhere));
        break;
      }
      case 4:
        s->disturbed = true;
        co_await shut(s, static_cast<shutdown_mode>(one.amount % 3));
        break;
      case 5:
        s->disturbed = true;
        co_await close(s);
        break;
      case 6:
        s->disturbed = s->closed = true;
        s->flow->reset();
        break;
      default:
        s->disturbed = s->closed = true;
        s->flow.reset();
    }
  }
}

// ---- all of it

inline task<> be(side* s, task<result<layer_flow, coflow::tls_error>> making) {
  auto made = co_await std::move(making);
  if (!made) co_return;
  s->flow.emplace(std::move(*made));
  coflow::task_scope reading(coflow::on_failure::isolate);
  reading.spawn(read_all(s)).value();
  reading.spawn(interfere(s)).value();
  coflow::task_scope writing(coflow::on_failure::isolate);
  for (std::size_t i = 0; i < side::writers; ++i)
    if (!s->writes[i].empty()) writing.spawn(write_all(s, i)).value();
  static_cast<void>(co_await writing.join());
  if (s->flow) co_await shut(s, shutdown_mode::write);
  static_cast<void>(co_await reading.join());
  if (s->flow) co_await close(s);
}

}  // namespace fuzz
