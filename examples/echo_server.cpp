// echo_server --port P [--host H] | --unix PATH   [--mode echo|sink] [--threads N] [--reactor epoll|poll]
//             [--tls --cert FILE --key FILE [--client-ca FILE] [--alpn NAME]]
// Sends back what it is sent, or throws it away; N event loops share the port. With --tls the clients speak TLS, and
// the files have the server's certificate and its key, in PEM; with --client-ca they must show a certificate from one
// of the authorities in FILE, and NAME is the protocol to agree on. SIGINT and SIGTERM end it.
#include <charconv>
#include <coflow/coflow.hpp>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#ifdef COFLOW_EXAMPLE_TLS
#include <coflow/tls/openssl.hpp>
#endif

namespace {

struct settings {
  std::string host = "127.0.0.1";
  std::string path;
  std::uint16_t port = 0;
  bool sink = false;
  unsigned threads = 1;
  coflow::reactor reactor = coflow::default_reactor;
  bool tls = false;
  std::string certificate;
  std::string key;
  std::string client_authorities;
  std::string protocol;
#ifdef COFLOW_EXAMPLE_TLS
  std::optional<coflow::openssl_context> context;  // there is one with --tls
#endif
};

template <coflow::Flow F>
coflow::task<coflow::result<void>> echo(F flow, bool sink) {
  for (;;) {
    auto chunk = co_await flow.read();
    if (chunk.eof()) break;
    if (!chunk) co_return chunk.error();
    if (sink) continue;
    auto sent = co_await flow.write(std::move(*chunk));
    if (!sent) co_return sent.error();
  }
  co_await flow.close();  // says goodbye, where the protocol has one
  co_return coflow::success;
}

#ifdef COFLOW_EXAMPLE_TLS
template <coflow::SystemFlow F>
coflow::task<coflow::result<void>> echo_over_tls(F flow, const settings* wanted) {
  auto tls = co_await coflow::tls_server(*wanted->context, std::move(flow));
  if (!tls) co_return tls.error().code();
  co_return co_await echo(std::move(*tls), wanted->sink);
}
#endif

template <coflow::SystemFlow F>
coflow::task<coflow::result<void>> session(F flow, const settings* wanted) {
#ifdef COFLOW_EXAMPLE_TLS
  if (wanted->tls) return echo_over_tls(std::move(flow), wanted);
#endif
  return echo(std::move(flow), wanted->sink);
}

// A client that fails concerns nobody else, and a signal ends the sessions at once.
coflow::serve_options server_options() { return coflow::serve_options().grace(std::chrono::seconds(0)); }

coflow::stop_switch stop;
extern "C" void on_signal(int) { stop.request(); }

void announce(const std::string& where) {
  std::printf("listening on %s\n", where.c_str());
  std::fflush(stdout);
}
int fail(const std::string& what, std::error_code why) {
  std::fprintf(stderr, "echo_server: %s: %s\n", what.c_str(), why.message().c_str());
  return 1;
}

int serve_port(const settings& wanted) {
  const auto address = coflow::endpoint::parse(wanted.host, wanted.port);
  if (!address) return fail("--host " + wanted.host, address.error());
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  const auto make_handler = [&wanted](unsigned) {
    return [&wanted](coflow::tcp_flow flow) { return session(std::move(flow), &wanted); };
  };
  const auto cores = coflow::cores_options()
                         .threads(wanted.threads)
                         .stopped_by(stop)
                         .reactor(wanted.reactor)
                         .on_listening([](const coflow::endpoint& at) { announce(at.to_string()); });
  const auto ended = coflow::serve_on_all_cores(*address, make_handler, server_options(), cores);
  return ended ? 0 : fail("cannot serve on " + address->to_string(), ended.error());
}

// Stops the server when a signal comes.
coflow::task<> wait_for_signal(coflow::server_stop* stops) {
  coflow::signal_watch signals{SIGINT, SIGTERM};
  const auto came = co_await signals.next();
  if (came) stops->request();
}

coflow::task<coflow::result<void>> serve_on(coflow::unix_listener listener, const settings* wanted) {
  coflow::server_stop stops;
  coflow::task_scope scope;
  const auto waiting = scope.spawn(wait_for_signal(&stops));
  if (!waiting) co_return waiting;
  const auto handler = [wanted](coflow::unix_flow flow) { return session(std::move(flow), wanted); };
  const auto ended = co_await coflow::serve(std::move(listener), handler, server_options().stopped_by(stops));
  co_return ended;
}

int serve_path(const settings& wanted) {
  const auto address = coflow::unix_address::path(wanted.path);
  if (!address) return fail("--unix " + wanted.path, address.error());
  auto listener = coflow::unix_listener::bind(*address, coflow::unix_listener_options().replace_stale(true));
  if (!listener) return fail("cannot listen on " + wanted.path, listener.error());
  announce(address->to_string());
  coflow::event_loop loop(wanted.reactor);
  const auto ended = coflow::run(loop, serve_on(std::move(*listener), &wanted));
  return ended ? 0 : fail("cannot serve on " + wanted.path, ended.error());
}

// False where there can be no TLS as it is wanted.
bool prepare_tls(settings& wanted) {
  if (!wanted.tls) return true;
#ifdef COFLOW_EXAMPLE_TLS
  coflow::openssl_options options;
  options.certificate_files(wanted.certificate, wanted.key);
  if (!wanted.client_authorities.empty()) options.trust_file(wanted.client_authorities).require_client_certificate();
  if (!wanted.protocol.empty()) options.application_protocols({wanted.protocol});
  auto made = coflow::openssl_context::server(options);
  if (made) wanted.context = std::move(*made);
  if (!made) std::fprintf(stderr, "echo_server: %s\n", made.error().message().c_str());
  return made.has_value();
#else
  std::fprintf(stderr, "echo_server: --tls: built without TLS\n");
  return false;
#endif
}

template <class T>
bool read_number(std::string_view text, T& number) {
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  return wrong == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool read_setting(std::string_view name, std::string_view value, settings& found, bool& has_port) {
  if (name == "--port") return has_port = read_number(value, found.port);
  if (name == "--host") return found.host = value, true;
  if (name == "--unix") return found.path = value, !value.empty();
  if (name == "--mode") return found.sink = value == "sink", value == "sink" || value == "echo";
  if (name == "--cert") return found.certificate = value, !value.empty();
  if (name == "--key") return found.key = value, !value.empty();
  if (name == "--client-ca") return found.client_authorities = value, !value.empty();
  if (name == "--alpn") return found.protocol = value, !value.empty();
  if (name == "--threads") return read_number(value, found.threads) && found.threads >= 1 && found.threads <= 1024;
  if (name != "--reactor") return false;
  found.reactor = value == "poll" ? coflow::reactor::poll : coflow::reactor::epoll;
  return value == "poll" || value == "epoll";
}

std::optional<settings> read_arguments(int count, char** words) {
  settings found;
  bool has_port = false;
  for (int i = 1; i < count; i += 2) {
    if (std::string_view(words[i]) == "--tls") {
      found.tls = true;
      --i;  // no value belongs to it
      continue;
    }
    const char* value = i + 1 < count ? words[i + 1] : "";
    if (i + 1 < count && read_setting(words[i], value, found, has_port)) continue;
    std::fprintf(stderr, "echo_server: bad or incomplete argument: %s %s\n", words[i], value);
    return std::nullopt;
  }
  if (has_port != found.path.empty()) {
    std::fprintf(stderr, "echo_server: --port or --unix is needed, one of them\n");
    return std::nullopt;
  }
  const bool more = !found.client_authorities.empty() || !found.protocol.empty();
  if (found.tls == found.certificate.empty() || found.tls == found.key.empty() || (more && !found.tls)) {
    std::fprintf(stderr, "echo_server: --tls, --cert and --key go together, and --client-ca and --alpn with them\n");
    return std::nullopt;
  }
  return found;
}

}  // namespace

int main(int count, char** words) {
  std::optional<settings> wanted = read_arguments(count, words);
  if (!wanted) {
    std::fprintf(stderr,
                 "usage: echo_server --port P [--host H] | --unix PATH"
                 "   [--mode echo|sink] [--threads N] [--reactor epoll|poll]"
                 " [--tls --cert FILE --key FILE [--client-ca FILE] [--alpn NAME]]\n");
    return 2;
  }
  try {
    if (!prepare_tls(*wanted)) return 1;
    return wanted->path.empty() ? serve_port(*wanted) : serve_path(*wanted);
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "echo_server: %s\n", thrown.what());
    return 1;
  }
}
