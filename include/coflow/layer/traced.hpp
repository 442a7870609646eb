/// \file
/// A line of text for every operation on a flow.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/fallible.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/layer/detail/hooked.hpp"
#include "coflow/layer/detail/share.hpp"
#include "coflow/layer/detail/trace_line.hpp"
#include "coflow/layer/layered_flow.hpp"

namespace coflow::inline v0 {

/// Where the lines of a `traced` flow go unless something else is given: to the standard error stream.
class trace_to_stderr {
 public:
  trace_to_stderr() noexcept {}
  void operator()(std::string_view line) const noexcept {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  }
};

/// What can be chosen about a `traced` flow.
class trace_options {
 public:
  trace_options() noexcept {}
  /// Shows up to so many of the first bytes that an operation moves, 64 at most; none unless set. Bytes that cannot be
  /// printed are escaped as in C.
  trace_options& preview(std::size_t bytes) noexcept {
    preview_ = detail::smaller(bytes, detail::payload_head::most);
    return *this;
  }
  /// A line also where an operation begins, which shows what a program that hangs waits for. Off unless set.
  trace_options& beginnings(bool shown) noexcept {
    beginnings_ = shown;
    return *this;
  }
  [[nodiscard]] std::size_t preview_size() const noexcept { return preview_; }
  [[nodiscard]] bool beginnings_shown() const noexcept { return beginnings_; }

 private:
  std::size_t preview_ = 0;
  bool beginnings_ = false;
};

namespace detail {

enum class traced_kind : std::uint8_t { read, write, shutdown_read, shutdown_write, shutdown_both, close };

template <class Sink>
class trace_block final : public shared_block {
 public:
  trace_block(std::string name, const trace_options& options, Sink sink)
      : options_(options), name_(std::move(name)), sink_(std::move(sink)) {}

  [[nodiscard]] std::size_t preview() const noexcept { return options_.preview_size(); }
  [[nodiscard]] bool says_beginnings() const noexcept { return options_.beginnings_shown(); }
  [[nodiscard]] std::uint64_t count(traced_kind what) noexcept {
    if (what > traced_kind::write) return 0;
    return ++numbers_[static_cast<std::size_t>(what)];
  }
  void begin_line(trace_line& line, traced_kind what, std::uint64_t number) const noexcept {
    constexpr std::string_view names[] = {"read", "write", "shutdown(read)", "shutdown(write)", "shutdown(read_write)",
                                          "close"};
    if (!name_.empty()) line.add("[").add(name_).add("] ");
    line.add(names[static_cast<std::size_t>(what)]);
    if (number != 0) line.add(" #").add(number);
  }
  // What a sink throws is no affair of the flow's.
  void say(const trace_line& line) noexcept {
    try {
      sink_(line.text());
    } catch (...) {
    }
  }

 private:
  trace_options options_;
  std::uint64_t numbers_[2] = {0, 0};
  std::string name_;
  Sink sink_;
};

/// The hook of an operation.
template <class Sink>
class tracing {
 public:
  tracing(share<trace_block<Sink>> into, traced_kind what) noexcept : into_(std::move(into)), what_(what) {}
  tracing(tracing&& unbegun) noexcept
      : into_(std::move(unbegun.into_)),
        what_(unbegun.what_),
        size_(unbegun.size_),
        head_(unbegun.head_),
        room_(unbegun.room_) {}
  ~tracing() {
    if (begun_) say_end([](trace_line& line) { line.add(": given up"); });
  }

  /// What is about to be written.
  void writes(std::span<const buffer> list) noexcept {
    for (const buffer& one : list) {
      head_.add(one.bytes(), into_->preview());
      size_ += one.size();
    }
  }
  /// Where a read is to put what it gets.
  void reads_into(std::span<const std::byte> room) noexcept { room_ = room; }

  void begin() noexcept {
    begun_ = true;
    number_ = into_->count(what_);
    if (const executor* on = executor::current()) began_ = on->now();
    if (!into_->says_beginnings()) return;
    trace_line line;
    into_->begin_line(line, what_, number_);
    if (what_ == traced_kind::write) add_bytes(line, size_, head_);
    line.add(" begins");
    into_->say(line);
  }
  template <class Outcome>
  void end(const Outcome& outcome) noexcept {
    say_end([this, &outcome](trace_line& line) {
      if constexpr (requires { outcome.eof(); }) {
        payload_head head;
        std::size_t size = 0;
        if constexpr (requires { outcome.has_data(); }) {
          size = outcome->size();
          head.add(outcome->bytes(), into_->preview());
        } else {
          size = *outcome;
          head.add(room_.first(size), into_->preview());
        }
        if (outcome.eof())
          line.add(": eof");
        else if (!outcome.failed())
          add_bytes(line, size, head);
      } else {
        add_bytes(line, size_, head_);
      }
      if (const std::error_code failure = failure_of(outcome)) line.add(": ").add_error(failure);
    });
  }
  void end() noexcept {
    say_end([](trace_line&) {});
  }

 private:
  static void add_bytes(trace_line& line, std::size_t count, const payload_head& head) noexcept {
    line.add(": ").add(count).add(count == 1 ? " byte" : " bytes").add_quoted(head, count);
  }
  template <class Tell>
  [[gnu::noinline]] void say_end(Tell tell) noexcept {
    begun_ = false;
    trace_line line;
    into_->begin_line(line, what_, number_);
    tell(line);
    const executor* const on = executor::current();
    if (on != nullptr && began_ != executor::time_point()) line.add(" after ").add_time(on->now() - began_);
    into_->say(line);
  }

  share<trace_block<Sink>> into_;
  traced_kind what_;
  bool begun_ = false;
  std::uint64_t number_ = 0;
  executor::time_point began_{};
  std::size_t size_ = 0;
  payload_head head_;
  std::span<const std::byte> room_;
};

}  // namespace detail

/// A layer that says what happens on a flow, one readable line an operation:
///
///     [client] read #3: 512 bytes "GET / HTTP/1.1\r\nHost:"... after 1.2 ms
///     [client] write #1: 17 bytes: the flow is closed after 3 us
///     [client] shutdown(write) after 0 us
///
/// A line is said when the result reaches the coroutine that awaits it, or when that coroutine dies waiting ("given
/// up"). It is put together on the stack, in 512 bytes, without an allocation but for the text of an error, and handed
/// to the sink, which is called with a `std::string_view` that is valid during the call. A sink must not use the flow;
/// what it throws is dropped. Every law of the flow below holds.
template <SystemFlow Inner, class Sink = trace_to_stderr>
  requires std::is_invocable_v<Sink&, std::string_view>
class traced : public layered_flow<Inner> {
  using block = detail::trace_block<Sink>;
  using hook = detail::tracing<Sink>;
  using kind = detail::traced_kind;

 public:
  /// `name` stands at the beginning of each line, in brackets; an empty one does not. Throws std::bad_alloc; the inner
  /// flow is then destroyed.
  explicit traced(Inner inner, std::string name = std::string(), const trace_options& options = trace_options(),
                  Sink sink = Sink())
      : layered_flow<Inner>(std::move(inner)), block_(*new block(std::move(name), options, std::move(sink))) {}

  /// Reads from the flow below.
  [[nodiscard]] auto read() {
    return detail::hooked<hook>([&] { return this->next_layer().read(); }, block_, kind::read);
  }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room)
    requires has_read_into<Inner>
  {
    hook look(block_, kind::read);
    look.reads_into(room);
    return detail::hooked<hook>([&] { return this->next_layer().read_into(room); }, std::move(look));
  }
  /// Writes to the flow below.
  [[nodiscard]] auto write(buffer bytes) {
    hook look(block_, kind::write);
    look.writes(std::span<const buffer>(&bytes, 1));
    return detail::hooked<hook>([&] { return this->next_layer().write(std::move(bytes)); }, std::move(look));
  }
  /// Writes to the flow below; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) {
    hook look(block_, kind::write);
    look.writes(list);
    return detail::hooked<hook>([&] { return this->next_layer().writev(list); }, std::move(look));
  }
  /// Shuts the flow below down.
  [[nodiscard]] auto shutdown(shutdown_mode mode) {
    const kind what = mode == shutdown_mode::read    ? kind::shutdown_read
                      : mode == shutdown_mode::write ? kind::shutdown_write
                                                     : kind::shutdown_both;
    return detail::hooked<hook>([&] { return this->next_layer().shutdown(mode); }, block_, what);
  }
  /// Closes the flow below.
  [[nodiscard]] auto close() {
    return detail::hooked<hook>([&] { return this->next_layer().close(); }, block_, kind::close);
  }

 private:
  detail::share<block> block_;
};

}  // namespace coflow::inline v0
