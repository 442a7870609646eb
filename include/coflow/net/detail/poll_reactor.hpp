/// \file
/// Readiness by poll(2), on any POSIX system.
///
/// poll tells levels, the library thinks in edges: so poll is asked for what the owner of a descriptor has found
/// wanting (a flag of `descriptor` that is clear), and for what has not been reported yet. That asks for nothing in
/// vain and loses nothing, as what comes between is still there at the next wait. What remains are levels that never
/// fall: the peer's end, an error, a hang-up. Each is reported once and then no more asked for; if the owner still
/// waits for something, which it should not, it is told again after 10 ms, so that such a wait neither spins nor lasts
/// for ever.
#pragma once

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <span>
#include <vector>

#include "coflow/net/detail/platform.hpp"
#include "coflow/net/detail/reactor.hpp"

namespace coflow::inline v0 {
namespace detail {

class poll_reactor final : public readiness_source {
 public:
  poll_reactor() noexcept {}

  [[nodiscard]] int add(int fd, std::uint64_t token, const descriptor& watched, interest what) noexcept override {
    const auto number = static_cast<std::size_t>(fd);
    try {
      if (number >= places_.size()) places_.resize(number + 1 + number / 2, nowhere);
      if (places_[number] != nowhere) return -EEXIST;
      if (asked_.size() == asked_.capacity()) asked_.reserve(asked_.size() * 2 + 16);
      entries_.push_back(entry(token, watched, what, fd));
    } catch (const std::bad_alloc&) {
      return -ENOMEM;
    }
    places_[number] = static_cast<std::uint32_t>(asked_.size());
    asked_.push_back(pollfd{fd, 0, 0});
    return 0;
  }
  [[nodiscard]] int change(int fd, std::uint64_t token, interest what) noexcept override {
    const std::uint32_t place = place_of(fd);
    if (place == nowhere) return -ENOENT;
    entries_[place].token = token;
    entries_[place].what = what;
    entries_[place].told = 0;
    return 0;
  }
  void remove(int fd) noexcept override {
    const std::uint32_t place = place_of(fd);
    if (place == nowhere) return;
    entries_[place] = entries_.back();
    asked_[place] = asked_.back();
    places_[static_cast<std::size_t>(entries_[place].fd)] = place;
    places_[static_cast<std::size_t>(fd)] = nowhere;
    entries_.pop_back();
    asked_.pop_back();
  }
  void forget(int fd) noexcept override { remove(fd); }

  [[nodiscard]] int wait(std::span<ready_event> events, std::chrono::nanoseconds timeout) noexcept override {
    const bool held_before = held_back_;
    const bool again = held_before && clock::now() >= look_again_;
    held_back_ = ask(again);
    if (held_back_) [[unlikely]]
      timeout = until_next_look(held_before, timeout);
    const int ready = sys::poll(asked_.data(), asked_.size(), timeout);
    if (ready > 0) return collect(events, static_cast<std::size_t>(ready));
    const bool passing = ready == -EINTR || ready == -EAGAIN || ready == -ENOMEM;
    return passing ? 0 : ready;
  }

 private:
  using clock = std::chrono::steady_clock;

  static constexpr std::chrono::milliseconds patience{10};
  static constexpr std::uint32_t nowhere = std::numeric_limits<std::uint32_t>::max();
  static constexpr int gone = POLLERR | POLLHUP;  // levels that poll reports whether asked or not

  // What is known of a descriptor; its pollfd stands at the same place in the other array.
  struct entry {
    std::uint64_t token;
    const descriptor* watched;
    int fd;
    int told = 0;  // the bits that have been reported and are not asked for only to have them reported
    interest what;
    entry(std::uint64_t t, const descriptor& d, interest w, int number) noexcept
        : token(t), watched(&d), fd(number), what(w) {}
  };

  [[nodiscard]] std::uint32_t place_of(int fd) const noexcept {
    const auto number = static_cast<std::size_t>(fd);
    return number < places_.size() ? places_[number] : nowhere;
  }

  // Writes down what to ask poll for. True if something was held back, because a level that never falls would answer;
  // with `again` nothing is.
  [[nodiscard]] bool ask(bool again) noexcept {
    bool held_back = false;
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      entry& one = entries_[i];
      const bool reads = one.what != interest::write;
      const bool writes = one.what != interest::read;
      const bool starved = reads && !one.watched->readable_;
      const bool stuck = writes && !one.watched->writable_;
      if (again) [[unlikely]] {
        if ((one.told & gone) != 0 && (starved || stuck)) one.told &= ~gone;
        if (starved) one.told &= ~sys::peer_ended;
      }
      int wanted = 0;
      const bool over = (one.told & gone) != 0;
      if (over) {
        held_back |= starved || stuck;
      } else {
        if (reads) wanted = (POLLPRI | sys::peer_ended) & ~one.told;
        if ((one.told & sys::peer_ended) != 0)
          held_back |= starved;
        else if (starved || (reads && (one.told & POLLIN) == 0))
          wanted |= POLLIN;
        if (stuck || (writes && (one.told & POLLOUT) == 0)) wanted |= POLLOUT;
      }
      asked_[i].fd = over ? -1 : one.fd;  // poll passes over what is negative
      asked_[i].events = static_cast<short>(wanted);
    }
    return held_back;
  }

  [[nodiscard]] std::chrono::nanoseconds until_next_look(bool held_before, std::chrono::nanoseconds timeout) noexcept {
    const clock::time_point present = clock::now();
    if (!held_before) look_again_ = present + patience;
    const std::chrono::nanoseconds left = look_again_ > present ? look_again_ - present : clock::duration(0);
    return timeout.count() < 0 || timeout > left ? left : timeout;
  }

  // Takes down what poll has found. What finds no room in `events` is found again at the next wait, where the search
  // begins with it.
  [[nodiscard]] int collect(std::span<ready_event> events, std::size_t ready) noexcept {
    const std::size_t size = asked_.size();
    std::size_t at = first_ < size ? first_ : 0;
    std::size_t count = 0;
    for (std::size_t seen = 0; seen < size && count < ready && count < events.size(); ++seen) {
      if (asked_[at].revents != 0) {
        events[count].what = news(entries_[at], asked_[at].revents);
        events[count].token = entries_[at].token;
        ++count;
      }
      if (++at == size) at = 0;
    }
    first_ = count < ready ? at : 0;
    return static_cast<int>(count);
  }

  static unsigned news(entry& one, int found) noexcept {
    if ((found & POLLNVAL) != 0) found = gone;  // closed behind the loop's back: whoever waits shall learn it
    if ((found & sys::peer_ended) != 0) found |= POLLIN;
    one.told |= found;
    // Urgent data lasts until it has been passed by reading: look for more only with what is read next.
    if ((found & (POLLIN | POLLPRI)) == POLLIN) one.told &= ~POLLPRI;
    return static_cast<unsigned>(found);
  }

  std::vector<pollfd> asked_;
  std::vector<entry> entries_;
  std::vector<std::uint32_t> places_;  // by number of the descriptor
  std::size_t first_ = 0;
  clock::time_point look_again_;
  bool held_back_ = false;
};

}  // namespace detail
}  // namespace coflow::inline v0
