#pragma once

// Flows whose reads into the caller's memory break a law, and whose other operations break none.

#include <algorithm>
#include <chrono>
#include <coflow/core.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/laws.hpp>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "broken/altered_flow.hpp"

namespace broken {

using coflow::read_into_result;

// What an altered flow does, and how it reads into a room.
class room_behaviour : public behaviour {
 public:
  virtual task<read_into_result> read_into(shared, std::span<std::byte> room) {
    if (!inner) co_return coflow::error::closed;
    read_into_result got = co_await inner->read_into(room);
    co_return std::move(got);
  }
};

class room_flow : public altered_flow {
 public:
  explicit room_flow(std::shared_ptr<room_behaviour> how) noexcept : altered_flow(how), fill_(std::move(how)) {}
  room_flow(room_flow&&) noexcept = default;
  room_flow& operator=(room_flow&&) noexcept = default;
  ~room_flow() = default;

  task<coflow::read_result> read() { return altered_flow::read(); }
  task<read_into_result> read_into(std::span<std::byte> room) { return fill_->read_into(fill_, room); }

 private:
  std::shared_ptr<room_behaviour> fill_;
};
static_assert(coflow::ReadIntoFlow<room_flow>);

template <class Behaviour>
class room_pair {
 public:
  std::pair<room_flow, room_flow> operator()() {
    auto ends = coflow::memory_pipe(4096);
    const auto first = std::make_shared<Behaviour>();
    const auto second = std::make_shared<Behaviour>();
    first->inner.emplace(std::move(ends.first));
    second->inner.emplace(std::move(ends.second));
    return {room_flow(first), room_flow(second)};
  }
  void reset(room_flow& end) noexcept { end.reset(); }
};

template <class Behaviour>
[[nodiscard]] constexpr specimen room(const char* name, const char* law) {
  return {name, law, [](const coflow::law_options& with) { return coflow::check_flow(room_pair<Behaviour>(), with); }};
}

// R1
class gives_nothing_as_a_count : public room_behaviour {
 public:
  task<read_into_result> read_into(shared self, std::span<std::byte> room) override {
    empty_ = !empty_;
    if (empty_) co_return std::size_t{0};
    read_into_result got = co_await room_behaviour::read_into(self, room);
    co_return std::move(got);
  }

 private:
  bool empty_ = false;
};

class writes_behind_the_count : public room_behaviour {
 public:
  task<read_into_result> read_into(shared self, std::span<std::byte> room) override {
    read_into_result got = co_await room_behaviour::read_into(self, room);
    if (got && *got < room.size()) room[*got] = std::byte{0};
    co_return std::move(got);
  }
};

class waits_with_an_empty_room : public room_behaviour {
 public:
  task<read_into_result> read_into(shared self, std::span<std::byte> room) override {
    std::byte one;
    const bool nothing = room.empty();
    if (nothing) room = std::span(&one, 1);
    read_into_result got = co_await room_behaviour::read_into(self, room);
    if (got && nothing) co_return std::size_t{0};
    co_return std::move(got);
  }
};

// R5
class drops_what_does_not_fit : public room_behaviour {
 public:
  task<read_into_result> read_into(shared self, std::span<std::byte> room) override {
    if (room.empty()) {
      read_into_result none = co_await room_behaviour::read_into(self, room);
      co_return std::move(none);
    }
    const read_result got = co_await behaviour::read(self);
    if (got.failed()) co_return got.error();
    if (got.eof()) co_return coflow::end_of_stream;
    const std::size_t count = std::min(room.size(), got->size());
    std::memcpy(room.data(), got->data(), count);
    co_return count;
  }
};

// R5: what a small room left is for the next one of its kind, and reads of the other kind overtake it.
class keeps_the_rest_from_read : public room_behaviour {
 public:
  task<read_into_result> read_into(shared self, std::span<std::byte> room) override {
    if (rest_.empty() && !room.empty()) {
      read_result got = co_await behaviour::read(self);
      if (got.failed()) co_return got.error();
      if (got.eof()) co_return coflow::end_of_stream;
      rest_ = std::move(*got);
    }
    const std::size_t count = std::min(room.size(), rest_.size());
    if (count != 0) std::memcpy(room.data(), rest_.data(), count);
    rest_.remove_prefix(count);
    co_return count;
  }

 protected:
  buffer rest_;
};

// S2: the same, with reads that see the rest.
class keeps_the_rest_for_ever : public keeps_the_rest_from_read {
 public:
  task<read_result> read(shared self) override {
    if (!rest_.empty()) co_return std::move(rest_);
    read_result got = co_await behaviour::read(self);
    co_return std::move(got);
  }
};

// R8: two queues, of which that of the rooms has to wait.
class serves_rooms_last : public room_behaviour {
 public:
  task<read_result> read(shared self) override {
    const among now(reads_);
    read_result got = co_await behaviour::read(self);
    co_return std::move(got);
  }
  task<read_into_result> read_into(shared self, std::span<std::byte> room) override {
    while (reads_ != 0 && !room.empty()) {
      const result<void> slept = co_await coflow::sleep_for(std::chrono::microseconds(1));
      if (!slept) co_return slept.error();
    }
    read_into_result got = co_await room_behaviour::read_into(self, room);
    co_return std::move(got);
  }

 private:
  class among {
   public:
    explicit among(int& count) noexcept : count_(count) { ++count_; }
    among(const among&) = delete;
    among& operator=(const among&) = delete;
    ~among() { --count_; }

   private:
    int& count_;
  };
  int reads_ = 0;
};

// X1
class loses_bytes_to_a_stop : public room_behaviour {
 public:
  task<read_into_result> read_into(shared self, std::span<std::byte> room) override {
    read_into_result got = co_await room_behaviour::read_into(self, room);
    if (!got) co_return std::move(got);
    const result<void> slept = co_await coflow::sleep_for(std::chrono::nanoseconds(0));
    if (!slept) co_return slept.error();
    co_return std::move(got);
  }
};

/// All of them.
[[nodiscard]] inline std::vector<specimen> broken_read_intos() {
  return {
      room<gives_nothing_as_a_count>("a read_into gives a count of 0 before every other one", "R1"),
      room<writes_behind_the_count>("a read_into writes a byte behind those that it counts", "R1"),
      room<waits_with_an_empty_room>("a read_into waits for bytes though its room is empty", "R1"),
      room<drops_what_does_not_fit>("what does not fit into the room is dropped", "R5"),
      room<keeps_the_rest_from_read>("what did not fit into a room is overtaken by the next read", "R5"),
      room<keeps_the_rest_for_ever>("what did not fit into a room outlives a shutdown", "S2"),
      room<serves_rooms_last>("a read overtakes a read_into that began before it", "R8"),
      room<loses_bytes_to_a_stop>("a read_into that is cancelled has lost its bytes", "X1"),
  };
}

}  // namespace broken
