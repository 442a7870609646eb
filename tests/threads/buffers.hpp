#pragma once

// Buffers that are freed on another thread than the one that made them, after that one has ended, by several at once,
// and after main.

#include <coflow/core.hpp>
#include <cstddef>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace buffers {

using coflow::buffer;

inline std::string text_of(std::size_t number) {
  return std::string(number * 37 % 5000 + 1, static_cast<char>('a' + number % 26));
}
/// Each in another way: a copy, an adopted string, a block to be filled, a part of a larger one.
inline buffer make(std::size_t number) {
  const std::string text = text_of(number);
  switch (number % 4) {
    case 0:
      return buffer(text);
    case 1:
      return buffer::adopt(text);
    case 2: {
      buffer made = buffer::allocate(text.size());
      for (std::size_t i = 0; i < text.size(); ++i) made.writable()[i] = static_cast<std::byte>(text[i]);
      return made;
    }
    default: {
      buffer whole(text + text);
      return whole.take_front(text.size());
    }
  }
}

/// Threads make buffers and end; others look at them and free them. Gives how many were whole.
inline std::size_t hand_over(std::size_t count) {
  std::vector<buffer> made[4];
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&made, t, count] {
      for (std::size_t i = t; i < count; i += 4) made[t].push_back(make(i));
    });
  }
  for (std::thread& one : threads) one.join();
  threads.clear();
  std::size_t whole[4] = {};
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&made, &whole, t] {
      std::vector<buffer> mine = std::move(made[(t + 1) % 4]);
      for (std::size_t i = 0; i < mine.size(); ++i)
        if (mine[i].text() == text_of(i * 4 + (t + 1) % 4)) ++whole[t];
    });
  }
  for (std::thread& one : threads) one.join();
  return whole[0] + whole[1] + whole[2] + whole[3];
}

/// Four threads have a handle on the same bytes each, and drop it at the same time. Gives how many saw them whole.
inline std::size_t share_out(std::size_t count) {
  std::vector<buffer> handles[4];
  for (std::size_t i = 0; i < count; ++i) {
    const buffer one = make(i);
    for (std::vector<buffer>& of : handles) of.push_back(one.share());
  }
  std::size_t whole[4] = {};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&handles, &whole, t] {
      for (std::size_t i = 0; i < handles[t].size(); ++i) {
        const buffer one = std::move(handles[t][i]);
        if (one.text() == text_of(i)) ++whole[t];
      }
    });
  }
  for (std::thread& one : threads) one.join();
  return whole[0] + whole[1] + whole[2] + whole[3];
}

/// Lives until after main, longer than the main thread's own objects.
class late_holder {
 public:
  ~late_holder() {
    if (held.empty()) return;
    std::size_t whole = 0;
    for (std::size_t i = 0; i < held.size(); ++i)
      if (held[i].text() == text_of(i)) ++whole;
    held.clear();
    held.push_back(make(0));  // and made there
    held.clear();
    std::printf("after main: %zu whole\n", whole);
    std::fflush(stdout);
  }
  std::vector<buffer> held;
};
inline late_holder until_the_end;

}  // namespace buffers
