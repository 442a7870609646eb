// The same protocol over TCP, over a pipe in memory, and through a layer.
#include <coflow/coflow.hpp>
#include <cstdio>
#include <string>

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

coflow::task<coflow::result<void>> all_three() {
  auto first = co_await over_tcp();
  if (!first) co_return first;
  auto second = co_await over_memory();
  if (!second) co_return second;
  co_return co_await through_a_layer();
}

int main() { return coflow::run_main(all_three()); }
