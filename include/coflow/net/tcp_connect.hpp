/// \file
/// Making a TCP connection.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/task.hpp"
#include "coflow/net/connect_error.hpp"
#include "coflow/net/detail/connect_race.hpp"
#include "coflow/net/detail/connect_wait.hpp"
#include "coflow/net/detail/io_executor.hpp"
#include "coflow/net/detail/limited_task.hpp"
#include "coflow/net/detail/stream_socket.hpp"
#include "coflow/net/detail/stream_socket_room.hpp"
#include "coflow/net/detail/system.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/name_resolver.hpp"
#include "coflow/net/resolver.hpp"
#include "coflow/net/tcp_flow.hpp"
#include "coflow/net/tcp_options.hpp"

namespace coflow::inline v0 {
namespace detail {

// A socket on its way to `remote`: minus an errno value, or the descriptor and whether the connection stands already.
inline int begin_connect(const endpoint& remote, const connect_options& options, bool& connected) noexcept {
  const int fd = sys::tcp_socket(remote.raw().family);
  if (fd < 0) return fd;
  int status = 0;
  if (options.no_delay()) status = sys::set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (status >= 0 && options.keep_alive_setting()) status = set_keep_alive(fd, options.keep_alive_setting());
  if (status >= 0 && options.local()) status = sys::bind(fd, sys::kernel_address(options.local()->raw()));
  if (status >= 0) status = sys::connect(fd, sys::kernel_address(remote.raw()));
  connected = status >= 0;
  if (status >= 0 || status == -EINPROGRESS || status == -EINTR) return fd;  // interrupted: it goes on by itself
  sys::close(fd);
  return status;
}

[[nodiscard]] inline std::optional<executor::time_point> deadline_of(const connect_options& options,
                                                                     const executor& on) noexcept {
  if (!options.timeout()) return std::nullopt;
  return on.after(*options.timeout());
}

[[nodiscard]] inline task<resolved> ask_resolver(const connect_options& options, const std::string& host,
                                                 std::uint16_t port) {
  if (options.resolver()) return options.resolver()(host, port);
  return resolve(host, port);
}

// The endpoints to try, the best first; at least one.
inline task<resolved> endpoints_of(std::string host, std::uint16_t port, connect_options options,
                                   std::optional<executor::time_point> deadline) {
  const result<endpoint> literal = parse_literal(host, port);
  if (literal) {
    std::vector<endpoint> one;
    one.push_back(*literal);
    co_return std::move(one);
  }
  if (!may_be_host(host)) co_return resolve_error::bad_host;
  limited_task<resolved> answer(ask_resolver(options, host, port), deadline, "the answer of a resolver");
  resolved found = co_await answer;
  if (!found) co_return found.error();
  if (found->empty()) co_return resolve_error::no_such_host;
  co_return interleaved(*found, [](const endpoint& one) { return one.raw().family; });
}

// What the attempts of a race have come to; `ended` says why it was given up, if it was.
inline connect_error race_lost(const std::string& host, std::uint16_t port, const std::vector<endpoint>& tried,
                               const connect_race& race, std::error_code ended) {
  std::vector<connect_failure> failures;
  for (std::size_t i = 0; i < race.begun(); ++i) {
    std::error_code code = race.failure(i);
    if (!code && ended == error::timed_out) code = ended;
    if (code) failures.emplace_back(tried[i], code);
  }
  if (ended) return connect_error(host, port, ended, std::move(failures));
  return connect_error::of_all(host, port, std::move(failures));
}

}  // namespace detail

/// Connects to `remote`.
/// Cancellation and the deadline close the attempt. Errors: what the system says, such as connection_refused or
/// network_unreachable; `error::timed_out` if the option's deadline passes; `operation_canceled`. An attempt that meets
/// only itself, at a port of this machine where nobody listens, is refused.
[[nodiscard]] inline task<result<tcp_flow>> tcp_connect(endpoint remote, connect_options options = {}) {
  executor* running = executor::current();
  if (running == nullptr) co_return error::no_executor;
  const std::optional<executor::time_point> deadline = detail::deadline_of(options, *running);
  bool connected = false;
  const int fd = detail::begin_connect(remote, options, connected);
  if (fd < 0) co_return from_system(-fd);
  detail::stream_socket* socket = detail::new_stream_socket(fd);
  tcp_flow flow{flow_handle(socket)};

  const std::error_code failed = co_await detail::connect_wait(*socket, connected, deadline);
  if (failed) co_return failed;
  co_return std::move(flow);
}

/// Connects to a host by name, or by an address such as "127.0.0.1", "::1" or "fe80::1%eth0", brackets allowed, for
/// which no resolver is asked.
///
/// The addresses of a name are raced (RFC 8305): they are tried in the resolver's order, the two families in turns; the
/// next one begins when the last one fails, or after the option `attempt_delay`, without ending the earlier attempts.
/// The first connection that stands is the flow; the other attempts are closed before this completes.
/// Cancellation and the deadline, which is one for the look-up and all attempts, close every attempt; a look-up that
/// cannot be interrupted goes on by itself and its answer is dropped (see `resolve`). A resolver of one's own is then
/// told to stop, and destroyed; what it throws is thrown here.
/// Errors: see `connect_error`, which has every address and its reason: the resolver's; what the system says, such as
/// connection_refused; `error::timed_out`; `operation_canceled`; `resolve_error::bad_host` for what cannot be a name.
[[nodiscard]] inline task<result<tcp_flow, connect_error>> tcp_connect(std::string host, std::uint16_t port,
                                                                       connect_options options = {}) {
  const executor* running = detail::io_executor::current_io();
  if (running == nullptr) co_return connect_error(std::move(host), port, error::no_executor);
  const std::optional<executor::time_point> deadline = detail::deadline_of(options, *running);
  const resolved found = co_await detail::endpoints_of(host, port, options, deadline);
  if (!found) co_return connect_error(std::move(host), port, found.error());

  const std::vector<endpoint>& order = *found;
  detail::connect_race race(order.size());
  for (;;) {
    while (race.begun() < order.size() && race.next_may_begin()) {
      bool connected = false;
      const int fd = detail::begin_connect(order[race.begun()], options, connected);
      race.begin(fd, connected);
    }
    std::optional<executor::duration> head_start;
    if (race.begun() < order.size()) head_start = options.attempt_delay();
    const std::error_code ended = co_await race.wait(deadline, head_start);
    if (ended) co_return detail::race_lost(host, port, order, race, ended);
    if (race.won()) co_return tcp_flow(race.take_winner());
    if (race.idle() && race.begun() == order.size()) co_return detail::race_lost(host, port, order, race, {});
  }
}

}  // namespace coflow::inline v0
