// echo_server --port P [--host H] [--mode echo|sink] [--threads N]
// Sends back what it is sent, or throws it away; N event loops share the port. SIGINT and SIGTERM end it.
#include <algorithm>
#include <charconv>
#include <coflow/coflow.hpp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

struct settings {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  bool sink = false;
  unsigned threads = 1;
};

template <coflow::Flow F>
coflow::task<coflow::result<void>> session(F flow, bool sink) {
  for (;;) {
    auto chunk = co_await flow.read();
    if (chunk.eof()) co_return coflow::success;
    if (!chunk) co_return chunk.error();
    if (sink) continue;
    auto sent = co_await flow.write(std::move(*chunk));
    if (!sent) co_return sent.error();
  }
}

coflow::task<coflow::result<void>> serve(coflow::tcp_listener listener, bool sink) {
  coflow::task_scope clients(coflow::on_failure::isolate);  // a client that fails concerns nobody else
  for (;;) {
    auto client = co_await listener.accept();
    if (!client) co_return client.error();
    auto started = clients.spawn(session(std::move(*client), sink));
    if (!started) co_return started;
  }
}

// What the signal handler may touch: complete before the handler is installed, and never changed afterwards.
std::vector<std::unique_ptr<coflow::event_loop>> loops;

extern "C" void on_signal(int) {
  for (const auto& loop : loops) loop->stop();
}

int fail(const std::string& what, std::error_code why) {
  std::fprintf(stderr, "echo_server: %s: %s\n", what.c_str(), why.message().c_str());
  return 1;
}

template <class T>
bool read_number(std::string_view text, T& number) {
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  return wrong == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::optional<settings> read_arguments(int count, char** words) {
  settings found;
  bool has_port = false;
  for (int i = 1; i < count; i += 2) {
    const std::string_view name = words[i];
    const std::string_view value = i + 1 < count ? words[i + 1] : "";
    bool good = i + 1 < count;
    if (name == "--port")
      good = has_port = good && read_number(value, found.port);
    else if (name == "--host")
      found.host = value;
    else if (name == "--mode")
      good = good && (value == "echo" || value == "sink"), found.sink = value == "sink";
    else if (name == "--threads")
      good = good && read_number(value, found.threads) && found.threads >= 1 && found.threads <= 1024;
    else
      good = false;
    if (!good) {
      std::fprintf(stderr, "echo_server: bad or incomplete argument: %s %s\n", words[i], std::string(value).c_str());
      return std::nullopt;
    }
  }
  if (!has_port) std::fprintf(stderr, "echo_server: --port is missing\n");
  return has_port ? std::optional(found) : std::nullopt;
}

int run_server(const settings& wanted) {
  auto address = coflow::endpoint::parse(wanted.host, wanted.port);
  if (!address) return fail("--host " + wanted.host, address.error());
  std::vector<coflow::tcp_listener> listeners;
  while (listeners.size() < wanted.threads) {
    auto listener = coflow::tcp_listener::bind(*address, coflow::listener_options().reuse_port(wanted.threads > 1));
    if (!listener) return fail("cannot listen on " + address->to_string(), listener.error());
    address->set_port(listener->local_endpoint().port());  // the others share the port that the first was given
    listeners.push_back(std::move(*listener));
  }
  for (unsigned i = 0; i < wanted.threads; ++i) loops.push_back(std::make_unique<coflow::event_loop>());
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  std::printf("listening on %s\n", address->to_string().c_str());
  std::fflush(stdout);

  std::vector<std::error_code> outcomes(wanted.threads);
  const auto work = [&](unsigned i) {
    outcomes[i] = coflow::run(*loops[i], serve(std::move(listeners[i]), wanted.sink)).error();
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < wanted.threads; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& other : others) other.join();

  const auto bad = std::find_if(outcomes.begin(), outcomes.end(), [](std::error_code outcome) {
    return outcome && outcome != std::errc::operation_canceled;  // cancelled: a signal has ended it
  });
  return bad == outcomes.end() ? 0 : fail("cannot accept on " + address->to_string(), *bad);
}

}  // namespace

int main(int count, char** words) {
  const std::optional<settings> wanted = read_arguments(count, words);
  if (!wanted) {
    std::fprintf(stderr, "usage: echo_server --port P [--host H] [--mode echo|sink] [--threads N]\n");
    return 2;
  }
  try {
    return run_server(*wanted);
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "echo_server: %s\n", thrown.what());
    return 1;
  }
}
