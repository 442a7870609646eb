/// \file
/// The seam between the event loop and what tells it that descriptors are ready.
#pragma once

#include <poll.h>

#include <cstdint>
#include <span>

namespace coflow::inline v0 {
namespace detail {

/// What a descriptor may be ready for: bits of poll(2), which epoll(7) shares, so that nothing is translated.
enum readiness : unsigned {
  readable = POLLIN,                      // bytes, or a connection to accept
  urgent = POLLPRI,                       // urgent data: a read stops in front of it, though bytes follow
  writable = POLLOUT,                     // room for bytes, or a connection established
  broken = POLLERR | POLLHUP,             // an error, or both directions ended
  ended = POLLRDHUP | POLLERR | POLLHUP,  // there is an end to read on to
};

class io_executor;

/// A descriptor that an event loop watches. Its two flags say what it may be ready for: the owner clears one when a
/// system call says that it would wait, and the loop sets it again. A level-triggered reactor asks only for what is
/// clear, so that both kinds report a change once.
class descriptor {
 public:
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;

  /// Some of `readiness` has come. Resumes coroutines; called by the loop only.
  virtual void on_ready(unsigned what) noexcept = 0;
  /// The loop goes away; see `executor::dependent`.
  virtual void on_loop_gone() noexcept = 0;

 protected:
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  ~descriptor() = default;

  friend class io_executor;
  friend class poll_reactor;

  io_executor* loop_ = nullptr;
  int fd_;
  bool readable_ = true;
  bool writable_ = true;
};

/// One report of a reactor. The token is what `add` was given. Laid out like Linux's epoll_event, so that the kernel
/// can fill it in.
#ifdef __x86_64__
struct [[gnu::packed]] ready_event {
#else
struct ready_event {
#endif
  std::uint32_t what;
  std::uint64_t token;
};

/// Watches descriptors. Each is added once and reported when something changes, never polled for by an operation.
class reactor {
 public:
  reactor() noexcept {}
  reactor(const reactor&) = delete;
  reactor& operator=(const reactor&) = delete;
  virtual ~reactor() = default;

  /// Begins to watch; gives 0 or minus an errno value.
  [[nodiscard]] virtual int add(int fd, std::uint64_t token, const descriptor& watched) noexcept = 0;
  /// Ends it. Needed where the descriptor goes on living; closing it ends the watch by itself.
  virtual void remove(int fd) noexcept = 0;
  /// Waits up to `milliseconds` (-1: for ever) and fills `events`; gives how many, 0 when interrupted.
  [[nodiscard]] virtual int wait(std::span<ready_event> events, int milliseconds) noexcept = 0;
};

}  // namespace detail
}  // namespace coflow::inline v0
