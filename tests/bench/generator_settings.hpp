/// \file
/// What the load generator is asked for.
#pragma once
#include <sys/types.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

constexpr std::size_t largest_message = 65536;

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "load_generator: %s: %s\n", what, errno != 0 ? std::strerror(errno) : "failed");
  std::exit(1);
}

struct settings {
  std::string_view mode;
  std::uint16_t port = 0;
  std::size_t connections = 16;
  std::size_t size = 0;
  std::size_t in_flight = 262144;
  double seconds = 1, warmup = 0.2;
  std::uint64_t messages = 0;  // 0: as many as there is time for
  pid_t server = 0;            // 0: unknown
  bool tls = false;

  [[nodiscard]] bool resumes() const { return mode == "resume"; }
};

template <class T>
bool read_number(std::string_view text, T& number) {
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  return wrong == std::errc() && end == text.data() + text.size() && !text.empty();
}

inline bool read_setting(std::string_view name, std::string_view value, settings& found) {
  if (name == "--port") return read_number(value, found.port);
  if (name == "--connections") return read_number(value, found.connections);
  if (name == "--size") return read_number(value, found.size);
  if (name == "--in-flight") return read_number(value, found.in_flight);
  if (name == "--seconds") return read_number(value, found.seconds);
  if (name == "--warmup") return read_number(value, found.warmup);
  if (name == "--messages") return read_number(value, found.messages);
  if (name == "--pid") return read_number(value, found.server);
  return false;
}

inline bool read_arguments(int count, char** words, settings& found) {
  if (count < 2) return false;
  found.mode = words[1];
  for (int i = 2; i < count; i += 2) {
    if (std::string_view(words[i]) == "--tls") {
      found.tls = true;
      --i;  // no value belongs to it
    } else if (i + 1 == count || !read_setting(words[i], words[i + 1], found)) {
      return false;
    }
  }
  const bool in_bulk = found.mode == "stream" || found.mode == "sink";
  if (found.size == 0) found.size = in_bulk ? 65536 : 64;
  return found.port != 0 && found.connections != 0 && found.size <= largest_message && found.in_flight >= found.size &&
         (found.messages == 0 || found.mode != "sink") && (found.tls || !found.resumes());
}
