// asio_echo --port P [--mode echo|sink]
// The echo server with Asio's coroutines, as its documentation would have it; one thread.
#include <asio.hpp>
#if ASIO_VERSION < 102400
#include <asio/experimental/as_tuple.hpp>
#endif
#include <memory>
#include <utility>

#include "server_arguments.hpp"

namespace {

using asio::ip::tcp;
#if ASIO_VERSION < 102400
constexpr auto as_result = asio::experimental::as_tuple(asio::use_awaitable);
#else
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
#endif

asio::awaitable<void> session(tcp::socket peer, bool sink) {
  const std::unique_ptr<char[]> buffer(new char[receive_size]);  // not zeroed
  for (;;) {
    auto [read_error, size] = co_await peer.async_read_some(asio::buffer(buffer.get(), receive_size), as_result);
    if (read_error) co_return;
    if (sink) continue;
    auto [write_error, sent] = co_await asio::async_write(peer, asio::buffer(buffer.get(), size), as_result);
    if (write_error) co_return;
  }
}

asio::awaitable<void> serve(tcp::acceptor acceptor, bool sink) {
  for (;;) {
    auto [accept_error, peer] = co_await acceptor.async_accept(as_result);
    if (accept_error) continue;
    asio::error_code ignored;
    peer.set_option(tcp::no_delay(true), ignored);
    const auto executor = peer.get_executor();
    asio::co_spawn(executor, session(std::move(peer), sink), asio::detached);
  }
}

}  // namespace

int main(int count, char** words) {
  const server_arguments wanted = read_arguments(count, words);
  asio::io_context context(1);
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), wanted.port), true);
  acceptor.listen(4096);
  announce(acceptor.local_endpoint().port());
  asio::co_spawn(context, serve(std::move(acceptor), wanted.sink), asio::detached);
  context.run();
}
