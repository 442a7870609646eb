/// \file
/// What the servers with Asio's coroutines have in common: one thread, written as Asio's documentation would have it.
#pragma once
#include <asio.hpp>
#if ASIO_VERSION < 102400
#include <asio/experimental/as_tuple.hpp>
#endif
#include <memory>
#include <utility>

#include "server_arguments.hpp"

namespace asio_server {

using asio::ip::tcp;
#if ASIO_VERSION < 102400
constexpr auto as_result = asio::experimental::as_tuple(asio::use_awaitable);
#else
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
#endif

/// Sends back what comes until no more does.
template <class Stream>
asio::awaitable<void> echo(Stream& peer, bool sink) {
  const std::unique_ptr<char[]> buffer(new char[receive_size]);  // not zeroed
  for (;;) {
    auto [read_error, size] = co_await peer.async_read_some(asio::buffer(buffer.get(), receive_size), as_result);
    if (read_error) co_return;
    if (sink) continue;
    auto [write_error, sent] = co_await asio::async_write(peer, asio::buffer(buffer.get(), size), as_result);
    if (write_error) co_return;
  }
}

/// Runs `make_session(socket)` for each connection.
template <class MakeSession>
asio::awaitable<void> accept_all(tcp::acceptor acceptor, MakeSession make_session) {
  for (;;) {
    auto [accept_error, peer] = co_await acceptor.async_accept(as_result);
    if (accept_error) continue;
    asio::error_code ignored;
    peer.set_option(tcp::no_delay(true), ignored);
    const auto executor = peer.get_executor();
    asio::co_spawn(executor, make_session(std::move(peer)), asio::detached);
  }
}

template <class MakeSession>
void run(const server_arguments& wanted, MakeSession make_session) {
  asio::io_context context(1);
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), wanted.port), true);
  acceptor.listen(4096);
  announce(acceptor.local_endpoint().port());
  asio::co_spawn(context, accept_all(std::move(acceptor), make_session), asio::detached);
  context.run();
}

}  // namespace asio_server
