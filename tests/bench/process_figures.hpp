/// \file
/// What Linux knows about a process.
#pragma once
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>

/// Seconds of CPU, of all threads, in user mode and in the kernel: what /proc/PID/stat says, but in nanoseconds.
inline std::optional<double> cpu_seconds(pid_t process) {
  clockid_t clock{};
  timespec used{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &used) != 0) return std::nullopt;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

/// The two first numbers of a file in /proc/PID.
inline bool read_two(pid_t process, const char* file, std::uint64_t& first, std::uint64_t& second) {
  const std::string name = "/proc/" + std::to_string(process) + "/" + file;
  std::FILE* opened = std::fopen(name.c_str(), "re");
  if (opened == nullptr) return false;
  unsigned long long one = 0, two = 0;
  const bool good = std::fscanf(opened, "%llu %llu", &one, &two) == 2;
  std::fclose(opened);
  first = one;
  second = two;
  return good;
}

/// Seconds in which the main thread could have run, but somebody else had the CPU.
inline std::optional<double> waiting_seconds(pid_t process) {
  std::uint64_t ran = 0, waited = 0;
  if (!read_two(process, "schedstat", ran, waited)) return std::nullopt;
  return static_cast<double>(waited) * 1e-9;
}

/// Bytes of memory that are there: not swapped out, and touched at least once.
inline std::optional<double> resident_bytes(pid_t process) {
  std::uint64_t size = 0, resident = 0;
  if (!read_two(process, "statm", size, resident)) return std::nullopt;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}
