// The same protocol over TCP, over a pipe in memory, and through a layer.
#include <coflow/coflow.hpp>
#include <cstdio>
#include <string>
#include <string_view>

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

coflow::task<coflow::result<void>> over_tcp() {
  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
  if (!listener) co_return listener.error();
  coflow::task_scope both;
  auto client = co_await coflow::tcp_connect(listener->local_endpoint());
  if (!client) co_return client.error();
  auto server = co_await listener->accept();
  if (!server) co_return server.error();
  both.spawn(echo(std::move(*server))).value();
  both.spawn(greet(std::move(*client), "TCP")).value();
  co_return co_await both.join();
}

coflow::task<coflow::result<void>> over_memory() {
  auto [near, far] = coflow::memory_pipe();
  coflow::task_scope both;
  both.spawn(echo(std::move(far))).value();
  both.spawn(greet(std::move(near), "memory")).value();
  co_return co_await both.join();
}

coflow::task<coflow::result<void>> through_a_layer() {
  auto [near, far] = coflow::memory_pipe();
  coflow::task_scope both;
  both.spawn(echo(coflow::layered_flow(std::move(far)))).value();
  both.spawn(greet(coflow::layered_flow(std::move(near)), "a layer")).value();
  co_return co_await both.join();
}

coflow::task<coflow::result<void>> all_three() {
  auto first = co_await over_tcp();
  if (!first) co_return first;
  auto second = co_await over_memory();
  if (!second) co_return second;
  co_return co_await through_a_layer();
}

int main() { return coflow::run_main(all_three()); }
