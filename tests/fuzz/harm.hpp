#pragma once

// A network that does harm: a flow between a side and the pipe to the other, that changes what is read, and holds those
// above to what they promise about the flow below.

#include <algorithm>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/memory.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "fuzz/input.hpp"

namespace fuzz {

using coflow::buffer;
using coflow::memory_flow;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;

/// What is done to one direction's stream. The first four are the worst there is on a network, and all that TLS itself
/// is harmed with.
struct harm {
  enum class kind : unsigned { change, insert, remove, cut, repeat, hold, fail };
  kind what = kind::change;
  std::size_t at = 0;
  std::uint8_t byte = 0;
};

/// What has passed between a side and the network, for those who judge.
class passage {
 public:
  std::string handed_over;         // read from below
  std::size_t accepted_below = 0;  // written, by writes that have ended

  passage() = default;
  virtual ~passage() = default;
  virtual void read_begins() {}
};

/// The flow that a side believes to be the network: what it reads has been harmed.
class harmed_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  harmed_flow(memory_flow inner, std::vector<harm> what, std::size_t piece, passage* seen)
      : inner_(std::move(inner)), what_(std::move(what)), piece_(piece), seen_(seen) {
    std::sort(what_.begin(), what_.end(), [](const harm& a, const harm& b) { return a.at < b.at; });
  }

  task<read_result> read() {
    if (reading_) breach("two reads below at once");
    reading_ = true;
    seen_->read_begins();
    while (ready_.empty()) {
      if (held_) {
        held_ = false;
        static_cast<void>(co_await coflow::sleep_for(std::chrono::milliseconds(40)));
        continue;
      }
      if (cut_) {
        co_await inner_.shutdown(shutdown_mode::read);  // nobody waits for room on a way that leads nowhere
        reading_ = false;
        if (failed_) co_return std::make_error_code(std::errc::connection_reset);
        co_return coflow::end_of_stream;
      }
      if (!came_.empty()) {
        take();
        continue;
      }
      // What has come in several pieces is one, as on a network.
      const coflow::read_into_result got =
          co_await inner_.read_into(std::span(reinterpret_cast<std::byte*>(room_.get()), room));
      if (got.failed() || got.eof()) {
        reading_ = false;
        if (got.eof()) co_return coflow::end_of_stream;
        co_return got.error();
      }
      came_.assign(room_.get(), *got);
      take();
    }
    reading_ = false;
    const std::size_t size = piece_ == 0 ? ready_.size() : std::min(piece_, ready_.size());
    buffer one(std::string_view(ready_).substr(0, size));
    ready_.erase(0, size);
    seen_->handed_over.append(one.text());
    co_return std::move(one);
  }
  task<result<void>> write(buffer one) { co_return co_await writev(std::span<buffer>(&one, 1)); }
  task<result<void>> writev(std::span<buffer> list) {
    expect_open();
    std::size_t size = 0;
    for (const buffer& some : list) size += some.size();
    const result<void> sent = co_await inner_.writev(list);
    if (sent) seen_->accepted_below += size;
    co_return sent;
  }
  auto shutdown(shutdown_mode mode) {
    if (closed_) breach("a shutdown below behind the close");
    if (mode != shutdown_mode::read) {
      expect_open();
      shut_ = true;
    }
    return inner_.shutdown(mode);
  }
  auto close() {
    if (std::exchange(closed_, true)) breach("what is below is closed twice");  // law L2
    return inner_.close();
  }

 private:
  void expect_open() const {
    if (closed_ || shut_) breach("more is sent below behind the end");
  }

  // Up to the next harm at once.
  void take() {
    std::string_view text(came_);
    while (!text.empty() && !cut_ && !held_) {
      while (next_ != what_.size() && what_[next_].at < passed_) ++next_;
      const std::size_t free = next_ == what_.size() ? text.size() : std::min(text.size(), what_[next_].at - passed_);
      ready_.append(text.substr(0, free));
      text.remove_prefix(free);
      passed_ += free;
      if (!text.empty() && next_ != what_.size()) {
        strike(text.front());
        text.remove_prefix(1);
        ++passed_;
      }
    }
    came_.erase(0, came_.size() - text.size());
  }
  // All that is to happen to one byte.
  void strike(char byte) {
    bool keeps = true;
    for (; next_ != what_.size() && what_[next_].at == passed_; ++next_) {
      const harm& some = what_[next_];
      switch (some.what) {
        case harm::kind::change:
          byte = static_cast<char>(byte ^ some.byte);
          break;
        case harm::kind::insert:
          ready_.push_back(static_cast<char>(some.byte));
          break;
        case harm::kind::remove:
          keeps = false;
          break;
        case harm::kind::repeat:  // what is ready still, once more
          ready_ += ready_.substr(ready_.size() - std::min<std::size_t>(some.byte, ready_.size()));
          break;
        case harm::kind::hold:
          held_ = true;
          break;
        case harm::kind::fail:
          cut_ = failed_ = true;
          break;
        case harm::kind::cut:
          cut_ = true;
          break;
      }
    }
    if (keeps && !cut_) ready_.push_back(byte);
  }

  static constexpr std::size_t room = 2048;

  memory_flow inner_;
  std::unique_ptr<char[]> room_{new char[room]};
  std::vector<harm> what_;  // in the order of the places
  std::size_t next_ = 0;
  std::size_t piece_;
  passage* seen_;
  std::size_t passed_ = 0;
  std::string came_;   // and is not looked at yet
  std::string ready_;  // to be read
  bool held_ = false;
  bool cut_ = false;
  bool failed_ = false;
  bool reading_ = false;
  bool shut_ = false;
  bool closed_ = false;
};

}  // namespace fuzz
