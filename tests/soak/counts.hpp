#pragma once

// What a process has: descriptors, coroutine frames, allocations, memory.

#include <dirent.h>
#include <malloc.h>

#include <coflow/core/detail/pool.hpp>
#include <coflow/core/task.hpp>
#include <cstdio>
#include <string>

namespace soak {

struct counts {
  long descriptors = 0;
  long frames = 0;
  long blocks = 0;
  long resident = 0;  // KiB
};

inline long open_descriptors() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return -1;
  long found = -3;  // ".", ".." and the directory itself
  while (::readdir(directory) != nullptr) ++found;
  ::closedir(directory);
  return found;
}

// The pages themselves are counted: the figures elsewhere in /proc are sums of what each processor has noted, and late.
inline long resident_kib() {
  std::FILE* rollup = std::fopen("/proc/self/smaps_rollup", "r");
  if (rollup == nullptr) return -1;
  char line[256];
  long found = -1;
  while (found < 0 && std::fgets(line, sizeof line, rollup) != nullptr) std::sscanf(line, "Rss: %ld", &found);
  std::fclose(rollup);
  return found;
}

/// `blocks` are live allocations as the program counts them.
inline counts count_all(const long& blocks) {
  // What is free is given back first, so that it does not count as used.
#ifndef COFLOW_NO_POOL
  coflow::detail::thread_pool.drain();
#endif
  ::malloc_trim(0);
  counts now;
  now.descriptors = open_descriptors();
  now.frames = coflow::detail::live_frames.load();
  now.blocks = blocks;
  now.resident = resident_kib();
  return now;
}

/// What is left behind, in words; empty if nothing is.
inline std::string left_behind(const counts& before, const counts& after) {
  std::string text;
  if (after.descriptors != before.descriptors)
    text += " " + std::to_string(after.descriptors - before.descriptors) + " descriptors";
  if (after.frames != before.frames) text += " " + std::to_string(after.frames - before.frames) + " frames";
  if (after.blocks != before.blocks) text += " " + std::to_string(after.blocks - before.blocks) + " allocations";
  return text.empty() ? text : "left behind:" + text;
}

}  // namespace soak
