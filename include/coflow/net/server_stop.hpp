/// \file
/// Asking a server to stop.
#pragma once

#include "coflow/net/detail/stop_subscriber.hpp"

namespace coflow::inline v0 {

/// What stops servers gracefully: made by whoever will stop them, given to `serve` by `serve_options::stopped_by`. One
/// may stop any number of servers.
///
/// The first request is the graceful one: the servers accept nothing more, and their handlers have until the end of the
/// grace to finish. The second cancels the handlers at once. A request is a level: a server that begins later stops as
/// well. For the executor's thread only; from other threads and signal handlers see `stop_switch`. It must live until
/// the servers have begun.
class server_stop {
 public:
  server_stop() noexcept {}
  server_stop(const server_stop&) = delete;
  server_stop& operator=(const server_stop&) = delete;
  ~server_stop() = default;

  /// Asks the servers to stop; asks again, and more firmly, when called again. Resumes nobody inline.
  void request() noexcept { servers_.request(); }

  /// True once somebody has asked: for handlers that serve several requests, to end between two.
  [[nodiscard]] bool requested() const noexcept { return servers_.requests() != 0; }

  /// For the servers.
  [[nodiscard]] detail::stop_subscribers& servers() noexcept { return servers_; }

 private:
  detail::stop_subscribers servers_;
};

}  // namespace coflow::inline v0
