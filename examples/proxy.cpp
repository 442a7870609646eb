// proxy --listen [HOST:]PORT --to HOST:PORT [--linger SECONDS] [-v]
// Passes each connection on to another place, both ways, until both sides have ended; a reset stays a reset. With
// --linger one direction may go on for so long when the other has ended; otherwise, as long as it likes. With -v each
// connection's end is a line on standard error. SIGINT and SIGTERM end it: connections then have five seconds left.
#include <charconv>
#include <coflow/coflow.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {

using coflow::result;
using coflow::task;
using namespace std::chrono_literals;

struct place {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
};
struct settings {
  place listen;
  place to;
  coflow::proxy_options limits;
  bool talks = false;
};

void report(const coflow::endpoint& client, const std::string& what) {
  std::fprintf(stderr, "proxy: %s: %s\n", client.to_string().c_str(), what.c_str());
}

task<result<void>> relay(const settings* wanted, coflow::tcp_flow client) {
  const coflow::endpoint who = client.remote_endpoint();
  auto server = co_await coflow::tcp_connect(wanted->to.host, wanted->to.port);
  if (!server) {
    client.reset();  // so that nobody takes it for an answer of nothing
    if (wanted->talks) report(who, server.error().message());
    co_return server.error().code();
  }
  const auto joined = co_await coflow::proxy(client, *server, wanted->limits);
  if (wanted->talks) {
    const std::string how = joined ? "complete" : joined.error().message();
    report(who, std::to_string(joined.forward.bytes) + " bytes there, " + std::to_string(joined.backward.bytes) +
                    " back, " + how);
  }
  if (!joined) co_return joined.error();
  co_return coflow::success;
}

// The first signal ends the server gracefully, a second one at once.
task<> stop_on_signals(coflow::server_stop* stops) {
  coflow::signal_watch signals{SIGINT, SIGTERM};
  for (;;) {
    const auto came = co_await signals.next();
    if (!came) co_return;
    stops->request();
  }
}

task<result<void>> run(settings wanted) {
  auto listener = coflow::tcp_listener::bind(wanted.listen.host, wanted.listen.port);
  if (!listener) co_return listener.error();
  std::printf("proxy: listening on %s\n", listener->local_endpoint().to_string().c_str());
  std::fflush(stdout);

  coflow::server_stop stops;
  coflow::task_scope scope;
  const auto waiting = scope.spawn(stop_on_signals(&stops));
  if (!waiting) co_return waiting;
  const auto handler = [&wanted](coflow::tcp_flow client) { return relay(&wanted, std::move(client)); };
  const auto options = coflow::serve_options().stopped_by(stops).grace(5s);
  const auto ended = co_await coflow::serve(std::move(*listener), handler, options);
  co_return ended;
}

template <class T>
bool read_number(std::string_view text, T& number) {
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  return wrong == std::errc() && end == text.data() + text.size() && !text.empty();
}

// HOST:PORT, [HOST]:PORT, or PORT alone where that is enough.
bool read_place(std::string_view text, place& found, bool needs_host) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return !needs_host && read_number(text, found.port);
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  found.host = host;
  return !host.empty() && read_number(text.substr(colon + 1), found.port);
}

std::optional<settings> read_arguments(int count, char** words) {
  settings found;
  bool listens = false;
  bool leads = false;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = words[i];
    if (name == "-v") {
      found.talks = true;
      continue;
    }
    if (++i == count) return std::nullopt;
    unsigned seconds = 0;
    if (name == "--listen" && read_place(words[i], found.listen, false))
      listens = true;
    else if (name == "--to" && read_place(words[i], found.to, true))
      leads = true;
    else if (name == "--linger" && read_number(words[i], seconds))
      found.limits.linger(std::chrono::seconds(seconds));
    else
      return std::nullopt;
  }
  if (!listens || !leads) return std::nullopt;
  return found;
}

}  // namespace

int main(int count, char** words) {
  const std::optional<settings> wanted = read_arguments(count, words);
  if (!wanted) {
    std::fprintf(stderr, "usage: proxy --listen [HOST:]PORT --to HOST:PORT [--linger SECONDS] [-v]\n");
    return 2;
  }
  return coflow::run_main(run(*wanted));
}
