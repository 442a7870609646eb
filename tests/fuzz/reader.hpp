#pragma once

// Records out of any bytes, in any pieces: a `buffered_reader` gives what can be said of the whole text at once.

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/layer/buffered_reader.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "fuzz/input.hpp"

namespace fuzz {

class reader_run {
 public:
  explicit reader_run(choices by)
      : breaks_(by.pick(4) == 0), plan_(by.take(2 + by.pick(40))), pieces_(by.take(by.pick(16))), text_(by.rest()) {}

  void operator()() {
    choices steps(bytes_of(plan_));
    const std::size_t capacity = 1 + steps.next();
    auto pipe = coflow::memory_pipe(capacity);
    reader from(std::move(pipe.first), coflow::buffer(std::string_view(text_).substr(0, steps.next() % 16)));
    written_ = from.buffered();
    coflow::virtual_executor on;
    try {
      coflow::run(on, both(&from, &pipe.second, steps));
    } catch (const coflow::hang& hung) {
      breach(hung.what());
    }
  }

 private:
  using reader = coflow::buffered_reader<coflow::memory_flow>;
  static constexpr std::size_t npos = std::string_view::npos;

  static std::span<const std::uint8_t> bytes_of(const std::string& text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  }
  coflow::task<> both(reader* from, coflow::memory_flow* peer, choices steps) {
    coflow::task_scope scope(coflow::on_failure::isolate);
    scope.spawn(write(peer)).value();
    scope.spawn(read(from, steps)).value();
    static_cast<void>(co_await scope.join());
  }
  coflow::task<> write(coflow::memory_flow* to) {
    choices sizes(bytes_of(pieces_));
    while (written_ < text_.size()) {
      const unsigned how = sizes.next();
      const std::string_view piece = std::string_view(text_).substr(written_, 1 + how % 64);
      written_ += piece.size();
      if (how >= 192) static_cast<void>(co_await coflow::sleep_for(std::chrono::milliseconds(2)));
      const coflow::result<void> sent = co_await to->write(coflow::buffer(piece));
      if (!sent) co_return;
    }
    if (breaks_)
      to->reset();
    else
      co_await to->shutdown(coflow::shutdown_mode::write);
  }

  coflow::task<> read(reader* from, choices steps) {
    for (int i = 0; i < 64 && !over_; ++i) {
      const unsigned what = steps.empty() ? 0 : steps.next();
      const std::size_t size = steps.next();
      switch (what % 9) {
        case 0: {
          const coflow::read_result got = co_await from->read();
          judge_some(got.error(), got.eof(), got->text());
          break;
        }
        case 1: {
          std::string room(size + 1, '\0');
          const std::span<char> chars(room);
          const coflow::read_into_result got = co_await from->read_into(std::as_writable_bytes(chars));
          judge_some(got.error(), got.eof(), std::string_view(room).substr(0, *got));
          break;
        }
        case 2: {
          const auto got = co_await from->read_line(size);
          judge_ended(got, "\n", true, size);
          break;
        }
        case 3: {
          const std::string_view end = delimiter(what / 9);
          const auto got = co_await from->read_until(end, size);
          judge_ended(got, end, false, size);
          break;
        }
        case 4: {
          const auto got = co_await from->read_exactly(size);
          judge_whole(got, got->text(), rest().substr(0, size), size);
          break;
        }
        case 5: {
          const auto got = co_await from->peek(size);
          judge_peek(got, size);
          break;
        }
        case 6: {
          const auto got = co_await from->skip(size);
          if (got && *got != size) breach("skip gives another number than it was given");
          judge_whole(got, "", "", size);
          if (!got) at_ += size - static_cast<std::size_t>(from->unskipped());
          break;
        }
        case 7: {
          const auto got = co_await from->read_big<std::uint32_t>();
          std::string as_text;
          for (int shift = 24; shift >= 0; shift -= 8) as_text += static_cast<char>(*got >> shift);
          judge_whole(got, as_text, rest().substr(0, 4), 4);
          break;
        }
        default: {  // what is given up takes nothing
          const auto got = co_await coflow::with_timeout(from->read_exactly(size), std::chrono::milliseconds(what % 4));
          if (!got && got.error() == coflow::error::timed_out) break;
          judge_whole(got, got->text(), rest().substr(0, size), size);
        }
      }
      if (from->buffered() > text_.size() - at_) breach("more is buffered than is left");
    }
    co_await from->close();
  }

  [[nodiscard]] std::string_view rest() const { return std::string_view(text_).substr(at_); }
  [[nodiscard]] static std::string_view delimiter(unsigned which) noexcept {
    static constexpr std::string_view all[] = {"\n", ";", "\r\n", "ab", "abab", "aab", "abaabab"};
    return all[which % std::size(all)];
  }
  // The first byte of a record that is torn, and what follows, stays; the end of the stream is the end of all.
  void judge_end(const std::error_code& failure, bool eof, bool torn) {
    if (breaks_ && failure != std::errc::connection_reset)
      breach("the stream is broken off, and a read says another thing");
    if (!breaks_ && torn && failure != coflow::error::truncated) breach("a record is torn, and nobody says so");
    if (!breaks_ && !torn && !eof) breach("the stream has ended, and a read says another thing");
    over_ = !torn;
  }
  void judge_some(const std::error_code& failure, bool eof, std::string_view got) {
    if (rest().empty()) return judge_end(failure, eof, false);
    if (got.empty() || !rest().starts_with(got)) breach("a read gives other bytes than those that come next");
    at_ += got.size();
  }
  template <class R>
  void judge_whole(const R& got, std::string_view record, std::string_view want, std::size_t size) {
    if (rest().size() < size) return judge_end(got.error(), got.eof(), !rest().empty());
    if (!got || record != want) breach("another record than the one that comes next");
    at_ += size;
  }
  template <class R>
  void judge_peek(const R& got, std::size_t size) {
    if (rest().empty() && size != 0) return judge_end(got.error(), got.eof(), false);
    if (!got && rest().empty()) return judge_end(got.error(), got.eof(), false);
    if (!got || !rest().starts_with(got->text())) breach("a peek at other bytes than those that come next");
    if (got->size() < size && got->size() < rest().size()) breach("a peek shows too little");
  }
  template <class R>
  void judge_ended(const R& got, std::string_view end, bool line, std::size_t limit) {
    const std::size_t found = rest().find(end);
    std::size_t content = found;
    if (found == npos) {  // the beginning of an end is no content yet
      std::size_t begun = line ? 0 : end.size() - 1;
      while (!rest().ends_with(end.substr(0, begun))) --begun;
      content = rest().size() - begun;
    }
    if (line && content != 0 && rest()[content - 1] == '\r') --content;
    if (content > limit) {
      if (!got.failed() || got.error() != std::errc::message_size) breach("a record is too long, and nobody says so");
    } else if (found == npos) {
      judge_end(got.error(), got.eof(), !rest().empty());
    } else {
      judge_whole(got, got->text(), rest().substr(0, content), found + end.size());
    }
  }

  bool breaks_;
  bool over_ = false;
  std::string plan_;    // a capacity, and two bytes for each operation
  std::string pieces_;  // how the text is cut
  std::string text_;
  std::size_t written_ = 0;
  std::size_t at_ = 0;  // what was read ends here
};

inline void reader(std::span<const std::uint8_t> input) { reader_run(choices(input))(); }

inline bytes made_reader(unsigned seed) {
  maker by(seed);
  const unsigned steps = 2 + by.pick(40);
  const unsigned pieces = by.pick(16);
  bytes made{by.any(), static_cast<std::uint8_t>(steps - 2)};
  for (unsigned i = 0; i < steps; ++i)
    made.push_back(by.pick(2) == 0 ? by.any() : static_cast<std::uint8_t>(by.pick(12)));
  made.push_back(static_cast<std::uint8_t>(pieces));
  const bytes cuts = by.some(pieces);
  made.insert(made.end(), cuts.begin(), cuts.end());
  for (unsigned i = by.pick(by.pick(4) == 0 ? 400 : 60); i != 0; --i)
    made.push_back(static_cast<std::uint8_t>("ab\n\r;ab-\naab"[by.pick(12)]));
  return made;
}

}  // namespace fuzz
