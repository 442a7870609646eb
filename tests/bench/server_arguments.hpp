/// \file
/// What the servers to compare with have in common: the command line of examples/echo_server.cpp, and how they end.
#pragma once
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

/// How much one receive takes at most: as much as coflow's, so that nobody wins by the size of a buffer.
constexpr unsigned receive_size = 64 * 1024;

struct server_arguments {
  std::uint16_t port = 0;
  bool sink = false;
  const char* certificate = nullptr;  // a file in PEM, and so is the key
  const char* key = nullptr;
};

/// `--port P [--mode echo|sink]`, and where there is TLS `--tls --cert FILE --key FILE`; ends the process on anything
/// else. SIGTERM ends it too, by way of `exit`.
inline server_arguments read_arguments(int count, char** words, bool with_tls = false) {
  server_arguments found;
  bool good = count >= 3, wants_tls = false;
  for (int i = 1; i < count && good; i += 2) {
    const char* value = i + 1 < count ? words[i + 1] : "";
    if (std::strcmp(words[i], "--port") == 0) {
      char* end = nullptr;
      const long port = std::strtol(value, &end, 10);
      good = end != value && *end == '\0' && port >= 0 && port <= 65535;
      found.port = static_cast<std::uint16_t>(port);
    } else if (std::strcmp(words[i], "--mode") == 0) {
      found.sink = std::strcmp(value, "sink") == 0;
      good = found.sink || std::strcmp(value, "echo") == 0;
    } else if (std::strcmp(words[i], "--tls") == 0) {
      wants_tls = true;
      --i;  // no value belongs to it
    } else if (std::strcmp(words[i], "--cert") == 0) {
      found.certificate = value;
    } else if (std::strcmp(words[i], "--key") == 0) {
      found.key = value;
    } else {
      good = false;
    }
  }
  good =
      good && wants_tls == with_tls && (found.certificate != nullptr) == with_tls && (found.key != nullptr) == with_tls;
  if (!good) {
    std::fprintf(stderr, "usage: %s --port P [--mode echo|sink]%s\n", words[0],
                 with_tls ? " --tls --cert FILE --key FILE" : "");
    std::exit(2);
  }
  std::signal(SIGTERM, [](int) { std::_Exit(0); });
  return found;
}

/// Says where the server listens, in the words of examples/echo_server.cpp.
inline void announce(unsigned port) {
  std::printf("listening on 127.0.0.1:%u\n", port);
  std::fflush(stdout);
}
