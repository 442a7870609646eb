// asio_echo --port P [--mode echo|sink]
// The echo server with Asio's coroutines.
#include "asio_server.hpp"

namespace {

asio::awaitable<void> session(asio::ip::tcp::socket peer, bool sink) { co_await asio_server::echo(peer, sink); }

}  // namespace

int main(int count, char** words) {
  const server_arguments wanted = read_arguments(count, words);
  asio_server::run(wanted, [sink = wanted.sink](asio::ip::tcp::socket peer) { return session(std::move(peer), sink); });
}
