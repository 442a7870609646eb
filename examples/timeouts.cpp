// Limits in time: of one operation, of a whole conversation, of everything that a flow reads, of silence, and the first
// of two servers that answers.
#include <chrono>
#include <coflow/coflow.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace {

using namespace std::chrono_literals;
using coflow::buffer;
using coflow::memory_flow;
using coflow::result;
using coflow::task;

// A server that answers when it has thought about it for so long.
task<result<void>> answer(memory_flow flow, std::chrono::milliseconds thought) {
  for (;;) {
    auto question = co_await flow.read();
    if (question.eof()) co_return coflow::success;
    if (!question) co_return question.error();
    auto slept = co_await coflow::sleep_for(thought);
    if (!slept) co_return slept;
    auto sent = co_await flow.write(buffer("the answer to "));
    if (sent) sent = co_await flow.write(std::move(*question));
    if (!sent) co_return sent;
  }
}

result<memory_flow> dial(coflow::task_scope* servers, std::chrono::milliseconds thought) {
  auto [near, far] = coflow::memory_pipe();
  auto started = servers->spawn(answer(std::move(far), thought));
  if (!started) return started.error();
  return std::move(near);
}

// A conversation knows nothing of limits: whoever awaits it may set one.
template <coflow::Flow F>
task<result<std::string>> ask(F* flow, std::string_view question) {
  auto sent = co_await flow->write(buffer(question));
  if (!sent) co_return sent.error();
  const std::string whole = "the answer to " + std::string(question);
  std::string heard;
  while (heard.size() < whole.size()) {
    auto chunk = co_await flow->read();
    if (chunk.eof()) co_return coflow::error::truncated;
    if (!chunk) co_return chunk.error();
    heard += chunk->text();
  }
  co_return heard;
}

void tell(const char* what, const result<std::string>& heard) {
  std::printf("%s: %s\n", what, heard ? heard->c_str() : heard.error().message().c_str());
}

// A read that timed out has lost nothing, and the flow goes on.
task<result<void>> one_operation(memory_flow flow) {
  auto sent = co_await flow.write(buffer("patience"));
  if (!sent) co_return sent;
  auto early = co_await coflow::with_timeout(flow.read(), 10ms);
  std::printf("one operation: %s\n", early.error().message().c_str());
  auto late = co_await coflow::with_timeout(flow.read(), 10s);
  if (late.eof()) co_return coflow::error::truncated;
  if (!late) co_return late.error();
  std::printf("the same again: %s...\n", std::string(late->text()).c_str());
  co_return coflow::success;
}

// One deadline for all that a conversation does, whatever that is.
task<result<void>> whole_conversation(memory_flow flow) {
  auto heard = co_await coflow::with_timeout(ask(&flow, "everything"), 10ms);
  tell("a conversation", heard);
  co_return coflow::success;
}

// A deadline of the flow: no operation sets a timer, and no code on the way knows of it.
task<result<void>> per_flow(memory_flow below) {
  coflow::read_deadline flow(std::move(below));
  flow.expires_after(10ms);
  auto heard = co_await ask(&flow, "the flow");
  tell("a flow with a deadline", heard);
  flow.never();
  auto more = co_await flow.read();
  if (more.eof()) co_return coflow::error::truncated;
  if (!more) co_return more.error();
  std::printf("without it: %s...\n", std::string(more->text()).c_str());
  co_return coflow::success;
}

// Gives up when nothing has moved for so long, however long everything takes.
task<result<void>> silence(memory_flow below) {
  coflow::idle_timeout flow(std::move(below), 10ms);
  auto heard = co_await ask(&flow, "silence");
  tell("a flow that fell silent", heard);
  co_return coflow::success;
}

// Whoever answers first; the other one is told to stop.
task<result<void>> first_of_two(memory_flow slow, memory_flow quick) {
  auto race = co_await coflow::when_any(ask(&slow, "the tortoise"), ask(&quick, "the hare"));
  auto& [first, second] = race.results;
  tell(race.index == 0 ? "the first one" : "the second one", race.index == 0 ? first : second);
  co_return coflow::success;
}

task<result<void>> all_of_them() {
  coflow::task_scope servers(coflow::on_failure::isolate);  // a client that leaves is no reason for others to go
  for (const auto run : {one_operation, whole_conversation, per_flow, silence}) {
    auto flow = dial(&servers, 100ms);
    if (!flow) co_return flow.error();
    auto ran = co_await run(std::move(*flow));
    if (!ran) co_return ran;
  }
  auto slow = dial(&servers, 10s);
  if (!slow) co_return slow.error();
  auto quick = dial(&servers, 1ms);
  if (!quick) co_return quick.error();
  co_return co_await first_of_two(std::move(*slow), std::move(*quick));
}

}  // namespace

int main() { return coflow::run_main(all_of_them()); }
