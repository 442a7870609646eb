/// \file
/// The seam between the event loop and what tells it that descriptors are ready.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <span>

#include "coflow/net/detail/platform.hpp"

namespace coflow::inline v0 {
namespace detail {

/// What a descriptor may be ready for: bits of poll(2), which epoll(7) shares, so that nothing is translated.
enum readiness : unsigned {
  readable = POLLIN,                           // bytes, or a connection to accept
  urgent = POLLPRI,                            // urgent data: a read stops in front of it, though bytes follow
  writable = POLLOUT,                          // room for bytes, or a connection established
  broken = POLLERR | POLLHUP,                  // an error, or both directions ended
  ended = sys::peer_ended | POLLERR | POLLHUP  // there is an end to read on to
};

/// Which readiness a descriptor is watched for; `broken` is always reported.
enum class interest : unsigned char { read, write, both };

class io_executor;

/// A descriptor that an event loop watches. Its two flags say what it may be ready for: the owner clears one when a
/// system call says that it would wait, and sets it again when the loop's report says so.
///
/// The flags are also what a level-triggered reactor goes by, so that both kinds report a change once: it asks for what
/// is clear, and for what it has not reported yet. A flag that stays set is not asked for. Hence an owner
/// - clears a flag only because of EAGAIN (or a read that came back short); with a flag that is clear while the
///   descriptor is ready, by anything else than such a call, the loop would spin;
/// - leaves it set at the end of the stream and after an error, where no wait can come of it;
/// - leaves it clear for good if each report is to be one, and then takes what is reported.
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

 private:
  interest interest_ = interest::both;
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
class readiness_source {
 public:
  readiness_source() noexcept {}
  readiness_source(const readiness_source&) = delete;
  readiness_source& operator=(const readiness_source&) = delete;
  virtual ~readiness_source() = default;

  /// Begins to watch, and reports at first what is so already; gives 0 or minus an errno value.
  [[nodiscard]] virtual int add(int fd, std::uint64_t token, const descriptor& watched, interest what) noexcept = 0;
  /// Watches for something else from now on; what is so already is reported once more. Gives 0 or minus an errno value.
  [[nodiscard]] virtual int change(int fd, std::uint64_t token, interest what) noexcept = 0;
  /// Ends it for a descriptor that goes on living.
  virtual void remove(int fd) noexcept = 0;
  /// Ends it for a descriptor that is closed next.
  virtual void forget(int fd) noexcept = 0;
  /// Waits up to `timeout` (negative: for ever) and fills `events`; gives how many, 0 when interrupted, or minus an
  /// errno value. Never returns before the timeout without a reason, but perhaps without a report.
  [[nodiscard]] virtual int wait(std::span<ready_event> events, std::chrono::nanoseconds timeout) noexcept = 0;
  /// A descriptor that is readable while `wait` has a report; -1 if there is none.
  [[nodiscard]] virtual int native_handle() const noexcept { return -1; }
};

}  // namespace detail
}  // namespace coflow::inline v0
