#pragma once

// A layer of coroutines around a flow, with a protocol of its own, and what goes wrong in such layers: each specimen
// does one thing wrong.

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/testing/layer_laws.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "broken/specimen.hpp"

namespace broken {

enum class defect {
  none,
  closes_twice,
  never_closes,
  waits_for_the_peer,
  passes_writev_by,
  keeps_the_shutdown,
  cuts_accepted_data,
  shuts_too_much,
  says_goodbye_twice,
  writes_after_goodbye,
  ends_with_the_peer,
  turns_errors_into_eof,
  forgets_write_errors,
  takes_truncation_for_eof,
  overlaps_writes,
  drops_data_before_errors,
  depends_on_pieces
};

// The protocol: each byte of data is 'D' and the byte; 'G' is the goodbye.
template <class Inner>
class toy_layer {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  toy_layer(Inner inner, defect what) : state_(std::make_shared<state>(std::move(inner), what)) {}
  toy_layer(toy_layer&& other) noexcept : state_(std::move(other.state_)) {}
  toy_layer& operator=(toy_layer&& other) noexcept {
    toy_layer old(std::move(*this));
    state_ = std::move(other.state_);
    return *this;
  }
  ~toy_layer() {
    if (!state_) return;
    state_->closed = true;
    state_->inner.reset();
  }

  coflow::task<coflow::read_result> read() { return reading(state_); }
  coflow::task<coflow::result<void>> write(coflow::buffer bytes) { return writing(state_, std::string(bytes.text())); }
  coflow::task<coflow::result<void>> writev(std::span<coflow::buffer> list) { return listing(state_, list); }
  coflow::task<> shutdown(coflow::shutdown_mode mode) { return shutting(state_, mode); }
  coflow::task<> close() { return closing(state_); }

 private:
  struct state {
    state(Inner flow, defect which) : inner(std::move(flow)), what(which) {}
    std::optional<Inner> inner;
    defect what;
    std::string decoded;
    bool in_data = false;                     // a 'D' has come, its byte has not
    std::optional<std::error_code> read_end;  // empty code: eof
    std::error_code write_end;
    bool read_shut = false;
    bool write_shut = false;
    bool sent_goodbye = false;
    bool inner_closed = false;
    bool closed = false;
    unsigned next_ticket = 0;
    unsigned served = 0;
  };
  using shared = std::shared_ptr<state>;

  // One write to the flow below at a time, in order.
  class ticket {
   public:
    explicit ticket(state& of) noexcept : of_(of), number_(of.next_ticket++) {}
    ticket(const ticket&) = delete;
    ticket& operator=(const ticket&) = delete;
    ~ticket() { ++of_.served; }
    [[nodiscard]] bool waits() const noexcept { return of_.what != defect::overlaps_writes && of_.served != number_; }

   private:
    state& of_;
    unsigned number_;
  };

  static std::string encoded(const std::string& text) {
    std::string made;
    for (const char one : text) made.append("D").push_back(one);
    return made;
  }
  static void decode(state& whole, std::string_view bytes) {
    for (const char one : bytes) {
      if (whole.read_end) return;
      if (std::exchange(whole.in_data, false))
        whole.decoded.push_back(one);
      else if (one == 'D')
        whole.in_data = true;
      else if (one == 'G')
        whole.read_end = std::error_code();
      else
        whole.read_end = std::make_error_code(std::errc::bad_message);
    }
  }
  static coflow::read_result verdict(const state& whole) {
    if (whole.closed) return coflow::error::closed;
    if (whole.read_shut || !*whole.read_end) return coflow::end_of_stream;
    return *whole.read_end;
  }

  static coflow::task<coflow::read_result> reading(shared whole) {
    for (;;) {
      if (whole->closed || whole->read_shut) co_return verdict(*whole);
      if (!whole->decoded.empty()) co_return coflow::buffer::adopt(std::exchange(whole->decoded, std::string()));
      if (whole->read_end) {
        co_await close_if_over(whole);
        co_return verdict(*whole);
      }
      if (whole->what == defect::depends_on_pieces) whole->in_data = false;
      coflow::read_result got = co_await whole->inner->read();
      if (got.has_data()) {
        decode(*whole, got->text());
        if (whole->what == defect::drops_data_before_errors && whole->inner) {
          // It looks whether the stream goes on, and forgets what it has.
          coflow::read_result next = co_await whole->inner->read();
          if (next.has_data()) decode(*whole, next->text());
          if (next.failed()) whole->decoded.clear();
          if (next.failed() && !whole->read_end) whole->read_end = next.error();
          if (next.eof() && !whole->read_end) whole->read_end = coflow::error::truncated;
        }
      } else if (got.eof()) {
        whole->read_end = coflow::error::truncated;
        if (whole->what == defect::takes_truncation_for_eof) whole->read_end = std::error_code();
      } else {
        if (got.error() == coflow::canceled()) co_return got.error();
        whole->read_end = got.error();
        if (whole->what == defect::turns_errors_into_eof) whole->read_end = std::error_code();
      }
      if (whole->read_end && whole->what == defect::ends_with_the_peer) whole->write_shut = true;
    }
  }

  static coflow::task<coflow::result<void>> writing(shared whole, std::string text) {
    if (whole->closed || whole->write_shut) {
      if (whole->what == defect::writes_after_goodbye && whole->sent_goodbye && whole->inner)
        static_cast<void>(co_await whole->inner->write(coflow::buffer(encoded(text))));
      co_return coflow::error::closed;
    }
    if (text.empty()) co_return coflow::success;
    const ticket mine(*whole);
    while (mine.waits()) {
      const coflow::result<void> slept = co_await coflow::sleep_for(std::chrono::milliseconds(1));
      if (!slept) co_return slept;
    }
    if (whole->closed) co_return coflow::error::closed;
    if (whole->write_end) co_return whole->write_end;
    const coflow::result<void> sent = co_await whole->inner->write(coflow::buffer(encoded(text)));
    if (sent) co_return coflow::success;
    if (whole->closed) co_return coflow::error::closed;
    whole->write_end = sent.error();
    if (whole->what == defect::forgets_write_errors) whole->write_end = std::error_code();
    if (whole->what == defect::forgets_write_errors) co_return coflow::success;
    co_return sent;
  }
  static coflow::task<coflow::result<void>> listing(shared whole, std::span<coflow::buffer> list) {
    if (whole->what == defect::passes_writev_by && whole->inner) {
      const coflow::result<void> sent = co_await whole->inner->writev(list);
      co_return sent;
    }
    std::string text;
    for (const coflow::buffer& one : list) text += one.text();
    const coflow::result<void> sent = co_await writing(whole, text);
    if (sent)
      for (coflow::buffer& one : list) one.clear();
    co_return sent;
  }

  static coflow::task<> say_goodbye(shared whole, bool* done) {
    whole->sent_goodbye = true;
    static_cast<void>(co_await whole->inner->write(coflow::buffer("G")));
    *done = true;
  }
  static coflow::task<> close_inner(shared whole) {
    if (whole->what == defect::never_closes || !whole->inner) co_return;
    if (std::exchange(whole->inner_closed, true)) co_return;
    co_await whole->inner->close();
    if (whole->what == defect::closes_twice) co_await whole->inner->close();
  }
  static coflow::task<> close_if_over(shared whole) {
    if ((whole->read_end || whole->read_shut) && whole->sent_goodbye) co_await close_inner(whole);
  }

  static coflow::task<> shutting(shared whole, coflow::shutdown_mode mode) {
    if (whole->closed) co_return;
    if (coflow::covers_read(mode) && !std::exchange(whole->read_shut, true)) {
      const bool both = whole->what == defect::shuts_too_much;
      co_await whole->inner->shutdown(both ? coflow::shutdown_mode::read_write : coflow::shutdown_mode::read);
    }
    if (coflow::covers_write(mode) && !std::exchange(whole->write_shut, true)) {
      if (whole->what == defect::cuts_accepted_data) co_await whole->inner->close();
      const ticket mine(*whole);
      while (mine.waits() && !whole->closed) {
        const coflow::result<void> slept = co_await coflow::sleep_for(std::chrono::milliseconds(1));
        if (!slept) co_return;
      }
      bool done = false;
      if (!whole->closed && !whole->write_end) co_await say_goodbye(whole, &done);
      if (!whole->closed && whole->what != defect::keeps_the_shutdown)
        co_await whole->inner->shutdown(coflow::shutdown_mode::write);
    }
    co_await close_if_over(whole);
  }

  static coflow::task<> closing(shared whole) {
    if (std::exchange(whole->closed, true) || !whole->inner) co_return;
    const bool untorn = !whole->write_end && whole->served == whole->next_ticket;
    const bool open = !whole->write_shut && !whole->sent_goodbye;
    if (untorn && (open || whole->what == defect::says_goodbye_twice)) {
      bool done = false;
      if (whole->what == defect::waits_for_the_peer) {
        co_await say_goodbye(whole, &done);
      } else {
        coflow::task_scope scope;
        scope.spawn(say_goodbye(whole, &done)).value();
        static_cast<void>(co_await coflow::laws::within(std::chrono::milliseconds(1000), [&done] { return done; }));
      }
    }
    co_await close_inner(whole);
  }

  shared state_;
};

inline coflow::report check_toy_layer(defect what, const coflow::layer_options& options) {
  return coflow::check_layer(
      [what](coflow::probe_flow inner) { return toy_layer<coflow::probe_flow>(std::move(inner), what); }, options);
}

template <defect Defect>
coflow::report check_broken_layer(const coflow::law_options& with) {
  return check_toy_layer(Defect, coflow::layer_options().ends_with_goodbye().limit(with.limit()));
}

inline std::vector<specimen> broken_layers() {
  using enum defect;
  return {
      {"closes the inner flow twice", "L2", check_broken_layer<closes_twice>},
      {"never closes the inner flow", "L2", check_broken_layer<never_closes>},
      {"waits in close for a peer that does not read", "L2", check_broken_layer<waits_for_the_peer>},
      {"replaces write and forgets writev", "W3", check_broken_layer<passes_writev_by>},
      {"keeps a shutdown from the inner flow", "L3", check_broken_layer<keeps_the_shutdown>},
      {"cuts accepted data off in shutdown(write)", "L3", check_broken_layer<cuts_accepted_data>},
      {"stops writing in shutdown(read)", "L3", check_broken_layer<shuts_too_much>},
      {"says goodbye twice", "L4", check_broken_layer<says_goodbye_twice>},
      {"writes after its goodbye", "L4", check_broken_layer<writes_after_goodbye>},
      {"ends its write half with the peer's", "L5", check_broken_layer<ends_with_the_peer>},
      {"turns inner errors into eof", "L6", check_broken_layer<turns_errors_into_eof>},
      {"forgets write errors", "L6", check_broken_layer<forgets_write_errors>},
      {"takes truncation for the end", "L7", check_broken_layer<takes_truncation_for_eof>},
      {"lets inner writes overlap", "L8", check_broken_layer<overlaps_writes>},
      {"drops data when an error follows", "L9", check_broken_layer<drops_data_before_errors>},
      {"depends on how the inner bytes are cut", "L12", check_broken_layer<depends_on_pieces>},
  };
}

}  // namespace broken
