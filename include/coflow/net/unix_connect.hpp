/// \file
/// Making a local (unix-domain) connection.
#pragma once

#include <cerrno>
#include <chrono>
#include <coroutine>
#include <optional>
#include <system_error>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/core/detail/min_max.hpp"
#include "coflow/core/operation.hpp"
#include "coflow/core/task.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/stream_socket.hpp"
#include "coflow/net/detail/stream_socket_room.hpp"
#include "coflow/net/detail/system_unix.hpp"
#include "coflow/net/unix_address.hpp"
#include "coflow/net/unix_flow.hpp"
#include "coflow/net/unix_options.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Tells at once whether the awaiting task has been told to stop.
class [[nodiscard]] stop_question final {
 public:
  stop_question() noexcept {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle awaiting) noexcept {
    const stop_node* stop = stop_of(awaiting.promise());
    requested_ = stop != nullptr && stop->stop_requested();
    return false;
  }
  [[nodiscard]] bool await_resume() const noexcept { return requested_; }

 private:
  bool requested_ = false;
};

// A connected socket, or minus an errno value.
inline int connect_local(const unix_address& remote) noexcept {
  const int fd = sys::unix_socket();
  if (fd < 0) return fd;
  const int status = sys::connect(fd, sys::kernel_unix_address(remote.raw()));
  if (status >= 0) return fd;
  sys::close(fd);
  return status;
}

}  // namespace detail

/// Connects to `remote`.
/// It stands, or fails, at once; only where the listener's queue is full is it tried again, after 1 ms and ever more
/// slowly up to 50 ms: the system does not tell when there is room. Cancellation ends that.
/// Errors: what the system says, such as no_such_file_or_directory, connection_refused (nobody listens, or the file is
/// no socket) or permission_denied; `std::errc::invalid_argument` for an unnamed address; `error::timed_out` if the
/// option's deadline passes; `operation_canceled`; `error::no_executor`.
[[nodiscard]] inline task<result<unix_flow>> unix_connect(unix_address remote, unix_connect_options options = {}) {
  const executor* running = detail::io_executor::current_io();
  if (running == nullptr) co_return error::no_executor;
  if (remote.unnamed()) co_return std::make_error_code(std::errc::invalid_argument);
  std::optional<executor::time_point> deadline;
  if (options.timeout()) deadline = running->after(*options.timeout());
  const bool stopped = co_await detail::stop_question();
  if (stopped) co_return canceled();

  executor::duration pause = std::chrono::milliseconds(1);
  for (;;) {
    const int fd = detail::connect_local(remote);
    if (fd >= 0) co_return unix_flow(flow_handle(detail::new_stream_socket(fd, detail::socket_kind::local)));
    if (fd != -EAGAIN) co_return from_system(-fd);
    executor::duration wait = pause;
    if (deadline) {
      const executor::time_point now = running->now();
      if (*deadline <= now) co_return error::timed_out;
      wait = detail::smaller(wait, *deadline - now);
    }
    const result<void> slept = co_await sleep_for(wait);
    if (!slept) co_return slept.error();
    pause = detail::smaller<executor::duration>(pause * 2, std::chrono::milliseconds(50));
  }
}

}  // namespace coflow::inline v0
