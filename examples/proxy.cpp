// proxy --listen [HOST:]PORT --to HOST:PORT [--linger SECONDS] [-v]
//       [--tls-cert FILE --tls-key FILE] [--tls-to [--ca FILE]]
// Passes each connection on to another place, both ways, until both sides have ended; a reset stays a reset. With
// --linger one direction may go on for so long when the other has ended; otherwise, as long as it likes. With -v each
// connection's end is a line on standard error. With a certificate and its key, in PEM, the clients speak TLS; with
// --tls-to the other place does, whose certificate is for its HOST and from an authority that the system trusts, or one
// of those in FILE. SIGINT and SIGTERM end it: connections then have five seconds left.
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

#ifdef COFLOW_EXAMPLE_TLS
#include <coflow/tls/openssl.hpp>
#endif

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
  std::string certificate;
  std::string key;
  bool tls_to = false;
  std::string authorities;
#ifdef COFLOW_EXAMPLE_TLS
  std::optional<coflow::openssl_context> server;  // where the clients speak TLS
  std::optional<coflow::openssl_context> client;  // where the other place does
#endif
};

void report(const coflow::endpoint& client, const std::string& what) {
  std::fprintf(stderr, "proxy: %s: %s\n", client.to_string().c_str(), what.c_str());
}

template <coflow::Flow Client, coflow::Flow Server>
task<result<void>> join(const settings* wanted, coflow::endpoint who, Client client, Server server) {
  const auto joined = co_await coflow::proxy(client, server, wanted->limits);
  if (wanted->talks) {
    const std::string how = joined ? "complete" : joined.error().message();
    report(who, std::to_string(joined.forward.bytes) + " bytes there, " + std::to_string(joined.backward.bytes) +
                    " back, " + how);
  }
  if (!joined) co_return joined.error();
  co_return coflow::success;
}

template <coflow::Flow Client>
task<result<void>> turn_away(const settings* wanted, coflow::endpoint who, Client client, std::error_code why,
                             std::string message) {
  coflow::reset(client);  // so that nobody takes it for an answer of nothing
  if (wanted->talks) report(who, message);
  co_return why;
}

template <coflow::Flow Client>
task<result<void>> pass_on(const settings* wanted, coflow::endpoint who, Client client) {
  auto server = co_await coflow::tcp_connect(wanted->to.host, wanted->to.port);
  if (!server) co_return co_await turn_away(wanted, who, std::move(client), server.error(), server.error().message());
#ifdef COFLOW_EXAMPLE_TLS
  if (wanted->client) {
    auto tls = co_await coflow::tls_client(*wanted->client, std::move(*server), wanted->to.host);
    if (!tls) co_return co_await turn_away(wanted, who, std::move(client), tls.error(), tls.error().message());
    co_return co_await join(wanted, who, std::move(client), std::move(*tls));
  }
#endif
  co_return co_await join(wanted, who, std::move(client), std::move(*server));
}

task<result<void>> relay(const settings* wanted, coflow::tcp_flow client) {
  const coflow::endpoint who = client.remote_endpoint();
#ifdef COFLOW_EXAMPLE_TLS
  if (wanted->server) {
    auto tls = co_await coflow::tls_server(*wanted->server, std::move(client));
    if (tls) co_return co_await pass_on(wanted, who, std::move(*tls));
    if (wanted->talks) report(who, tls.error().message());
    co_return tls.error().code();
  }
#endif
  co_return co_await pass_on(wanted, who, std::move(client));
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

// False where there can be no TLS as it is wanted.
bool prepare_tls(settings& wanted) {
  if (wanted.certificate.empty() && !wanted.tls_to) return true;
#ifdef COFLOW_EXAMPLE_TLS
  const auto keep = [](auto made, std::optional<coflow::openssl_context>& context) {
    if (made) context = std::move(*made);
    if (!made) std::fprintf(stderr, "proxy: %s\n", made.error().message().c_str());
    return made.has_value();
  };
  coflow::openssl_options ours;
  if (!wanted.certificate.empty()) {
    ours.certificate_files(wanted.certificate, wanted.key);
    if (!keep(coflow::openssl_context::server(ours), wanted.server)) return false;
  }
  coflow::openssl_options theirs;
  if (!wanted.authorities.empty()) theirs.trust_file(wanted.authorities);
  return !wanted.tls_to || keep(coflow::openssl_context::client(theirs), wanted.client);
#else
  std::fprintf(stderr, "proxy: --tls-cert and --tls-to: built without TLS\n");
  return false;
#endif
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
    if (name == "--tls-to") {
      found.tls_to = true;
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
    else if (name == "--tls-cert")
      found.certificate = words[i];
    else if (name == "--tls-key")
      found.key = words[i];
    else if (name == "--ca")
      found.authorities = words[i];
    else
      return std::nullopt;
  }
  if (found.certificate.empty() != found.key.empty() || (!found.tls_to && !found.authorities.empty()))
    return std::nullopt;
  if (!listens || !leads) return std::nullopt;
  return found;
}

}  // namespace

int main(int count, char** words) {
  std::optional<settings> wanted = read_arguments(count, words);
  if (!wanted) {
    std::fprintf(stderr,
                 "usage: proxy --listen [HOST:]PORT --to HOST:PORT [--linger SECONDS] [-v]"
                 " [--tls-cert FILE --tls-key FILE] [--tls-to [--ca FILE]]\n");
    return 2;
  }
  if (!prepare_tls(*wanted)) return 1;
  return coflow::run_main(run(*wanted));
}
