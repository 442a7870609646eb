// asio_echo_tls --port P [--mode echo|sink] --tls --cert FILE --key FILE
// The echo server with Asio's coroutines and its TLS, asio::ssl::stream.
#include <asio/ssl.hpp>

#include "asio_server.hpp"

namespace {

asio::awaitable<void> session(asio::ip::tcp::socket socket, asio::ssl::context& context, bool sink) {
  asio::ssl::stream<asio::ip::tcp::socket> peer(std::move(socket), context);
  auto [refused] = co_await peer.async_handshake(asio::ssl::stream_base::server, asio_server::as_result);
  if (refused) co_return;
  co_await asio_server::echo(peer, sink);
  co_await peer.async_shutdown(asio_server::as_result);
}

}  // namespace

int main(int count, char** words) {
  const server_arguments wanted = read_arguments(count, words, true);
  try {
    asio::ssl::context context(asio::ssl::context::tls_server);
    context.use_certificate_chain_file(wanted.certificate);
    context.use_private_key_file(wanted.key, asio::ssl::context::pem);
    SSL_CTX_set_session_cache_mode(context.native_handle(), SSL_SESS_CACHE_OFF);  // sessions live in tickets
    asio_server::run(wanted, [&context, sink = wanted.sink](asio::ip::tcp::socket peer) {
      return session(std::move(peer), context, sink);
    });
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "asio_echo_tls: %s\n", thrown.what());
    return 1;
  }
}
