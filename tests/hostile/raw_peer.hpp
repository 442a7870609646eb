#pragma once

// Peers that keep to no contract: sockets of the system's own, driven by hand.

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace hostile {

class raw_peer {
 public:
  explicit raw_peer(int fd) noexcept : fd_(fd) {}
  raw_peer(raw_peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~raw_peer() { close(); }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool connected() const noexcept { return fd_ >= 0; }

  /// Sends all of it, waiting where it must: what is sent fits into the sockets, or somebody else reads.
  bool send(std::string_view text) noexcept {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  bool send_urgent(char one) noexcept { return ::send(fd_, &one, 1, MSG_OOB | MSG_NOSIGNAL) == 1; }
  /// Sends what goes without waiting; gives how many bytes.
  std::size_t send_some(std::string_view text) noexcept {
    const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }
  void shut() noexcept { ::shutdown(fd_, SHUT_WR); }
  void reset() noexcept {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  /// Reads up to the end, at most `limit` bytes, and gives 0 for a clean end, an errno value, or -1 if there is more,
  /// or nothing yet.
  int read_to_end(std::string& into, std::size_t limit = std::size_t{1} << 30) noexcept {
    char room[65536];
    while (into.size() < limit) {
      const std::size_t wanted = limit - into.size() < sizeof room ? limit - into.size() : sizeof room;
      const ssize_t got = ::recv(fd_, room, wanted, MSG_DONTWAIT);
      if (got == 0) return 0;
      if (got < 0) return errno == EAGAIN ? -1 : errno;
      into.append(room, static_cast<std::size_t>(got));
    }
    return -1;
  }

 private:
  int fd_;
};

}  // namespace hostile
