// The same protocol over TCP, over a pipe in memory, through a layer, and where OpenSSL is at hand over TLS.
#include <coflow/coflow.hpp>
#include <cstdio>
#include <string>

#ifdef COFLOW_EXAMPLE_TLS  // then link with -lssl -lcrypto, or in CMake with coflow::openssl
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <coflow/layer/flow_ref.hpp>
#include <coflow/tls/openssl.hpp>
#include <memory>
#endif

template <coflow::Flow F>
coflow::task<coflow::result<void>> echo(F flow) {
  for (;;) {
    auto chunk = co_await flow.read();
    if (chunk.eof()) co_return coflow::success;
    if (!chunk) co_return chunk.error();
    auto sent = co_await flow.write(std::move(*chunk));
    if (!sent) co_return sent.error();
  }
}

coflow::task<coflow::result<void>> serve_echo(coflow::tcp_listener listener) {
  coflow::task_scope clients(coflow::on_failure::isolate);
  for (;;) {
    auto client = co_await listener.accept();
    if (!client) co_return client.error();
    auto started = clients.spawn(echo(std::move(*client)));
    if (!started) co_return started;
  }
}

// Sends a greeting, ends its half, and prints what comes back until the other side ends too.
template <coflow::Flow F>
coflow::task<coflow::result<void>> greet(F flow, std::string over) {
  auto sent = co_await flow.write(coflow::buffer("hello over " + over));
  if (!sent) co_return sent.error();
  co_await flow.shutdown(coflow::shutdown_mode::write);
  std::string answer;
  for (;;) {
    auto chunk = co_await flow.read();
    if (chunk.eof()) break;
    if (!chunk) co_return chunk.error();
    answer += chunk->text();
  }
  co_await flow.close();
  std::printf("%s\n", answer.c_str());
  co_return coflow::success;
}

// A scope that ends takes what still runs in it along: the server stops when its client is done.
coflow::task<coflow::result<void>> over_tcp() {
  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
  if (!listener) co_return listener.error();
  const coflow::endpoint server = listener->local_endpoint();
  coflow::task_scope background;
  auto started = background.spawn(serve_echo(std::move(*listener)));
  if (!started) co_return started;
  auto client = co_await coflow::tcp_connect(server);
  if (!client) co_return client.error();
  co_return co_await greet(std::move(*client), "TCP");
}

coflow::task<coflow::result<void>> over_memory() {
  auto [near, far] = coflow::memory_pipe();
  coflow::task_scope background;
  auto started = background.spawn(echo(std::move(far)));
  if (!started) co_return started;
  co_return co_await greet(std::move(near), "memory");
}

coflow::task<coflow::result<void>> through_a_layer() {
  auto [near, far] = coflow::memory_pipe();
  coflow::task_scope background;
  auto started = background.spawn(echo(coflow::layered_flow(std::move(far))));
  if (!started) co_return started;
  co_return co_await greet(coflow::layered_flow(std::move(near)), "a layer");
}

#ifdef COFLOW_EXAMPLE_TLS
// The certificate of a server at 127.0.0.1, which is its own authority, and its key. A real one comes from a file.
struct identity {
  std::string certificate;
  std::string key;
};

identity make_identity() {
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, void (*)(X509*)> made(X509_new(), X509_free);
  X509_set_version(made.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
  X509_set_pubkey(made.get(), key.get());
  const std::unique_ptr<X509_EXTENSION, void (*)(X509_EXTENSION*)> host(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1"), X509_EXTENSION_free);
  X509_add_ext(made.get(), host.get(), -1);
  X509_sign(made.get(), key.get(), EVP_sha256());

  const auto text = [](auto write) {
    const std::unique_ptr<BIO, int (*)(BIO*)> into(BIO_new(BIO_s_mem()), BIO_free);
    write(into.get());
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(into.get(), &bytes);
    return std::string(bytes, static_cast<std::size_t>(size));
  };
  return {text([&](BIO* into) { PEM_write_bio_X509(into, made.get()); }),
          text([&](BIO* into) { PEM_write_bio_PrivateKey(into, key.get(), nullptr, nullptr, 0, nullptr, nullptr); })};
}

coflow::task<coflow::result<void>> serve_one_over_tls(coflow::openssl_context context, coflow::tcp_listener listener) {
  auto client = co_await listener.accept();
  if (!client) co_return client.error();
  auto tls = co_await coflow::tls_server(context, std::move(*client));
  if (!tls) co_return tls.error().code();
  auto ended = co_await echo(coflow::flow_ref(*tls));
  if (ended) co_await tls->close();  // says goodbye; without it the client takes the end for a cut
  co_return ended;
}

coflow::task<coflow::result<void>> over_tls() {
  const identity ours = make_identity();
  auto for_servers = coflow::openssl_context::server(coflow::openssl_options().certificate(ours.certificate, ours.key));
  if (!for_servers) co_return for_servers.error().code();
  auto for_clients = coflow::openssl_context::client(coflow::openssl_options().trust(ours.certificate));
  if (!for_clients) co_return for_clients.error().code();

  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
  if (!listener) co_return listener.error();
  const coflow::endpoint server = listener->local_endpoint();
  coflow::task_scope background;
  auto started = background.spawn(serve_one_over_tls(*for_servers, std::move(*listener)));
  if (!started) co_return started;
  auto tcp = co_await coflow::tcp_connect(server);
  if (!tcp) co_return tcp.error();
  auto tls = co_await coflow::tls_client(*for_clients, std::move(*tcp), "127.0.0.1");  // the host that is verified
  if (!tls) co_return tls.error().code();
  co_return co_await greet(std::move(*tls), "TLS over TCP");
}
#endif

coflow::task<coflow::result<void>> all_of_them() {
  auto done = co_await over_tcp();
  if (done) done = co_await over_memory();
  if (done) done = co_await through_a_layer();
#ifdef COFLOW_EXAMPLE_TLS
  if (done) done = co_await over_tls();
#endif
  co_return done;
}

int main() { return coflow::run_main(all_of_them()); }
