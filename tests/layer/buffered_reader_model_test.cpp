// buffered_reader against a model, which is a string and a position in it: random texts, cut at random, read by random
// operations, some of which are stopped or destroyed on the way. No byte may be lost, doubled or out of order.
//
// A failure prints what repeats it: COFLOW_REPRO=seed=N coflow_tests '[buffered_reader_model]'

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer/buffered_reader.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/choices.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "support/catch.hpp"
#include "support/manual_executor.hpp"

namespace {

using coflow::buffer;
using coflow::choices;
using coflow::memory_flow;
using coflow::task;
using support::job;

using reader = coflow::buffered_reader<memory_flow>;

enum class kind { read, read_into, line, until, exact, peek, skip, number };

struct request {
  kind what = kind::read;
  std::size_t size = 0;  // or limit
  std::string_view delimiter;
};
struct outcome {
  enum class is { none, record, eof, failure };
  is came = is::none;
  std::string text;
  std::error_code code;
};

template <class Result>
outcome as_outcome(const Result& got, std::string text) {
  outcome made;
  made.came = got.eof() ? outcome::is::eof : got.failed() ? outcome::is::failure : outcome::is::record;
  made.code = got.error();
  if (made.came == outcome::is::record) made.text = std::move(text);
  return made;
}

task<> ask(reader* from, request asked, outcome* out, bool* begun) {
  *begun = true;
  switch (asked.what) {
    case kind::read: {
      const coflow::read_result got = co_await from->read();
      *out = as_outcome(got, std::string(got->text()));
      break;
    }
    case kind::read_into: {
      std::string room(asked.size, '?');
      const std::span<char> chars(room);
      const coflow::read_into_result got = co_await from->read_into(std::as_writable_bytes(chars));
      *out = as_outcome(got, room.substr(0, *got));
      break;
    }
    case kind::line: {
      const auto got = co_await from->read_line(asked.size);
      *out = as_outcome(got, std::string(got->text()));
      break;
    }
    case kind::until: {
      const auto got = co_await from->read_until(asked.delimiter, asked.size);
      *out = as_outcome(got, std::string(got->text()));
      break;
    }
    case kind::exact: {
      const auto got = co_await from->read_exactly(asked.size);
      *out = as_outcome(got, std::string(got->text()));
      break;
    }
    case kind::peek: {
      const auto got = co_await from->peek(asked.size);
      *out = as_outcome(got, std::string(got->text()));
      break;
    }
    case kind::skip: {
      const auto got = co_await from->skip(asked.size);
      *out = as_outcome(got, std::string());
      break;
    }
    case kind::number: {
      const auto got = co_await from->read_big<std::uint32_t>();
      std::string bytes;
      for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(*got >> shift);
      *out = as_outcome(got, std::move(bytes));
      break;
    }
  }
}

class run {
 public:
  run(choices& by, std::pair<memory_flow, memory_flow> ends)
      : picks_(by), in_(std::move(ends.first)), peer_(std::move(ends.second)) {
    const std::size_t size = picks_.pick(200);
    for (std::size_t i = 0; i < size; ++i) text_ += "ab\n\r;ab-cd"[picks_.pick(10)];
    reset_ = picks_.pick(4) == 0;
  }

  /// Empty if everything went as the model says.
  std::string breach() try {
    job<void> writer = job<void>::of(write());
    writer.start(on_);
    for (int i = 0; i < 40 && breach_.empty(); ++i) step();
    while (breach_.empty() && !over_) judge({kind::read, 0, {}}, complete({kind::read, 0, {}}));
    writer.destroy();
    return breach_;
  } catch (const std::exception& thrown) {
    return thrown.what();
  }

 private:
  task<> write() {
    for (std::size_t at = 0; at < text_.size();) {
      const std::size_t size = 1 + picks_.pick(picks_.pick(2) == 0 ? 3 : 60);
      const coflow::result<void> sent = co_await peer_.write(buffer(std::string_view(text_).substr(at, size)));
      if (!sent) co_return;
      at += size;
      for (std::size_t i = picks_.pick(4); i != 0; --i) co_await support::yield_turn();
    }
    if (reset_)
      peer_.reset();
    else
      co_await peer_.shutdown(coflow::shutdown_mode::write);
  }

  request pick() {
    static constexpr std::string_view delimiters[] = {";", "\r\n", "ab", "abab", "aa-", "b;ab;"};
    request made;
    made.what = static_cast<kind>(picks_.pick(8));
    made.size = 1 + picks_.pick(picks_.pick(2) == 0 ? 8 : 80);
    made.delimiter = delimiters[picks_.pick(6)];
    return made;
  }
  outcome complete(request asked) {
    outcome came;
    bool begun = false;
    job<void> one = job<void>::of(ask(&in_, asked, &came, &begun));
    one.start(on_);
    support::finish_job(on_, one);
    return came;
  }
  void step() {
    const request asked = pick();
    const std::size_t way = picks_.pick(6);
    if (way > 1) return judge(asked, complete(asked));
    outcome came;
    bool begun = false;
    job<void> one = job<void>::of(ask(&in_, asked, &came, &begun));
    one.start(on_);
    for (std::size_t i = picks_.pick(5); i != 0; --i) on_.run_once();
    if (way == 0) {
      const coflow::executor::entry current(on_);
      one.destroy();
    } else {
      one.request_stop();
      support::finish_job(on_, one);
    }
    if (came.came == outcome::is::none || came.code == coflow::canceled()) {
      if (asked.what == kind::skip && begun) at_ += asked.size - static_cast<std::size_t>(in_.unskipped());
    } else {
      judge(asked, came);
    }
  }

  // What the model says.
  void judge(const request& asked, const outcome& came) {
    const std::string_view rest = std::string_view(text_).substr(at_);
    const std::size_t size = asked.size;
    switch (asked.what) {
      case kind::read:
      case kind::read_into:
        if (rest.empty()) return expect_end(came, false);
        if (came.text.empty() || !rest.starts_with(came.text)) return say("other bytes than '", came);
        at_ += came.text.size();
        return;
      case kind::peek:
        if (rest.empty()) return expect_end(came, false);
        if (!rest.starts_with(came.text) || came.text.size() < (size < rest.size() ? size : rest.size()))
          say("a peek at other bytes, or too few: '", came);
        return;
      case kind::exact:
        return rest.size() < size ? expect_end(came, !rest.empty()) : expect(came, rest.substr(0, size), size);
      case kind::number:
        return rest.size() < 4 ? expect_end(came, !rest.empty()) : expect(came, rest.substr(0, 4), 4);
      case kind::skip:
        if (rest.size() >= size) return expect(came, "", size);
        expect_end(came, !rest.empty());
        at_ = text_.size();
        return;
      case kind::line: {
        const std::size_t end = rest.find('\n');
        std::size_t content = end == std::string_view::npos ? rest.size() : end;
        if (content != 0 && rest[content - 1] == '\r') --content;
        return expect_ended(came, rest, end, content, 1, size);
      }
      case kind::until: {
        const std::size_t end = rest.find(asked.delimiter);
        std::size_t content = end;
        if (end == std::string_view::npos) {
          std::size_t begun = asked.delimiter.size() - 1;
          while (!rest.ends_with(asked.delimiter.substr(0, begun))) --begun;
          content = rest.size() - begun;
        }
        return expect_ended(came, rest, end, content, asked.delimiter.size(), size);
      }
    }
  }
  void expect_ended(const outcome& came, std::string_view rest, std::size_t end, std::size_t content,
                    std::size_t end_size, std::size_t limit) {
    if (content > limit) {
      if (came.came != outcome::is::failure || came.code != std::errc::message_size) say("not too long: '", came);
    } else if (end == std::string_view::npos) {
      expect_end(came, !rest.empty());
    } else {
      expect(came, rest.substr(0, content), end + end_size);
    }
  }
  void expect(const outcome& came, std::string_view text, std::size_t taken) {
    if (came.came != outcome::is::record || came.text != text) say("another record than '" + std::string(text), came);
    at_ += taken;
  }
  void expect_end(const outcome& came, bool torn) {
    if (reset_) {
      if (came.came != outcome::is::failure || came.code != std::errc::connection_reset) say("no reset: '", came);
    } else if (torn) {
      if (came.came != outcome::is::failure || came.code != coflow::error::truncated) say("not truncated: '", came);
    } else if (came.came != outcome::is::eof) {
      say("no eof: '", came);
    }
    over_ = !torn;
  }
  void say(std::string what, const outcome& came) {
    breach_ = "at " + std::to_string(at_) + " of " + std::to_string(text_.size()) + ": " + std::move(what) +
              "', got '" + came.text + "', " + came.code.message();
  }

  choices& picks_;
  support::manual_executor on_;
  reader in_;
  memory_flow peer_;
  std::string text_;
  std::size_t at_ = 0;
  bool reset_ = false;
  bool over_ = false;
  std::string breach_;
};

void check(choices by) {
  const std::string found = run(by, coflow::memory_pipe(1 + by.pick(100))).breach();
  if (!found.empty()) FAIL_CHECK(found << "\nCOFLOW_REPRO=" << by.repro());
}

TEST_CASE("a reader gives what its model gives, whatever is asked, stopped and destroyed", "[buffered_reader_model]") {
  if (const char* repro = std::getenv("COFLOW_REPRO")) return check(choices::replay(repro));
  for (std::uint64_t seed = 0; seed < 3000; ++seed) check(choices::by_seed(seed));
  SUCCEED();
}

}  // namespace
