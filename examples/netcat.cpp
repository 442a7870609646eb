// netcat [-v] [--tls [--ca FILE] [--cert FILE --key FILE] [--alpn NAME]] HOST PORT   connects, or
// netcat [-v] -l [HOST] PORT                  waits for one connection;
// sends standard input to the other side, and what comes from there to standard output, until both have ended. The end
// of standard input ends the sending direction alone, as nc -N does; -N itself is taken and changes nothing. With -v it
// says on standard error where it listens and with whom it talks. With --tls it speaks TLS with a server whose
// certificate is for HOST, and from an authority that the system trusts, or one of those in FILE; a server that wants
// to know with whom it talks is shown a certificate of one's own, and NAME is the protocol to agree on.
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
#include <vector>

#ifdef COFLOW_EXAMPLE_TLS
#include <coflow/tls/openssl.hpp>
#endif

namespace {

struct settings {
  std::string host;
  std::uint16_t port = 0;
  bool listens = false;
  bool talks = false;
  bool tls = false;
  std::string authorities;
  std::string certificate;
  std::string key;
  std::string protocol;
};

// What ends the program: the first thing that goes wrong, or a signal.
struct outcome {
  int exit_code = 0;

  void fail(const std::string& what, std::error_code why) {
    if (exit_code != 0 || why == std::errc::operation_canceled) return;
    std::fprintf(stderr, "netcat: %s\n", what.c_str());
    exit_code = 1;
  }
};

using coflow::result;
using coflow::task;

// A flow may know more about its error than the code says.
template <class F>
std::string reason(const F& flow, std::error_code why) {
  if constexpr (requires { flow.explain(why); })
    return flow.explain(why);
  else
    return why.message();
}

template <coflow::Flow F>
task<result<void>> send(coflow::fd_flow* input, F* connection, outcome* end) {
  for (;;) {
    auto chunk = co_await input->read();
    if (chunk.eof()) break;
    if (!chunk) {
      end->fail("cannot read standard input: " + chunk.error().message(), chunk.error());
      co_return chunk.error();
    }
    auto sent = co_await connection->write(std::move(*chunk));
    if (!sent) {
      end->fail("cannot send: " + reason(*connection, sent.error()), sent.error());
      co_return coflow::success;  // what the other side has still to say is worth hearing
    }
  }
  co_await connection->shutdown(coflow::shutdown_mode::write);
  co_return coflow::success;
}

template <coflow::Flow F>
task<result<void>> receive(F* connection, coflow::fd_flow* output, outcome* end) {
  for (;;) {
    auto chunk = co_await connection->read();
    if (chunk.eof()) co_return coflow::success;
    if (!chunk) {
      end->fail("cannot receive: " + reason(*connection, chunk.error()), chunk.error());
      co_return chunk.error();
    }
    auto written = co_await output->write(std::move(*chunk));
    if (!written) {
      end->fail("cannot write standard output: " + written.error().message(), written.error());
      co_return written.error();
    }
  }
}

// A program that is killed would leave the terminal as it is now: it does not block.
task<> stop_on_signal(coflow::task_scope* work, outcome* end) {
  coflow::signal_watch interrupts{SIGINT, SIGTERM};
  auto number = co_await interrupts.next();
  if (!number) co_return;
  if (end->exit_code == 0) end->exit_code = 128 + *number;
  work->cancel();
}

task<result<coflow::tcp_flow>> accept_one(std::string host, std::uint16_t port, bool talks) {
  auto listener = coflow::tcp_listener::bind(host, port);
  if (!listener) co_return listener.error();
  if (talks) std::fprintf(stderr, "listening on %s\n", listener->local_endpoint().to_string().c_str());
  auto accepted = co_await listener->accept();
  co_return std::move(accepted);
}

task<result<coflow::tcp_flow>> reach(settings wanted, outcome* end) {
  if (wanted.listens) {
    auto accepted = co_await accept_one(wanted.host, wanted.port, wanted.talks);
    const std::string place = wanted.host + " port " + std::to_string(wanted.port);
    if (!accepted) end->fail("cannot listen on " + place + ": " + accepted.error().message(), accepted.error());
    co_return std::move(accepted);
  }
  auto connected = co_await coflow::tcp_connect(wanted.host, wanted.port);
  if (connected) co_return std::move(*connected);
  end->fail(connected.error().message(), connected.error());  // with every address that was tried
  co_return connected.error().code();
}

template <coflow::Flow F>
task<result<void>> talk(F connection, outcome* end) {
  auto terminal = coflow::standard_streams();
  if (!terminal) {
    end->fail("cannot use standard input and output: " + terminal.error().message(), terminal.error());
    co_return terminal.error();
  }
  coflow::task_scope both;  // an error of one direction ends the other; its end does not
  auto started = both.spawn(send(&*terminal, &connection, end));
  if (started) started = both.spawn(receive(&connection, &*terminal, end));
  if (!started) co_return started;
  co_return co_await both.join();
}

#ifdef COFLOW_EXAMPLE_TLS
task<result<void>> talk_over_tls(coflow::tcp_flow connection, settings wanted, outcome* end) {
  coflow::openssl_options options;
  if (!wanted.authorities.empty()) options.trust_file(wanted.authorities);
  if (!wanted.certificate.empty()) options.certificate_files(wanted.certificate, wanted.key);
  if (!wanted.protocol.empty()) options.application_protocols({wanted.protocol});
  auto context = coflow::openssl_context::client(options);
  if (!context) {
    end->fail(context.error().message(), context.error());
    co_return context.error().code();
  }
  auto tls = co_await coflow::tls_client(*context, std::move(connection), wanted.host);
  if (!tls) {
    end->fail(tls.error().message(), tls.error());
    co_return tls.error().code();
  }
  if (wanted.talks) {
    const std::string version(tls->version());
    const std::string protocol(tls->application_protocol());
    std::fprintf(stderr, "%s, %s%s%s\n", version.c_str(), std::string(tls->cipher()).c_str(),
                 protocol.empty() ? "" : ", ", protocol.c_str());
  }
  co_return co_await talk(std::move(*tls), end);
}
#endif

task<result<void>> reach_and_talk(settings wanted, outcome* end) {
  auto connection = co_await reach(wanted, end);
  if (!connection) co_return connection.error();
  if (wanted.talks) std::fprintf(stderr, "connected to %s\n", connection->remote_endpoint().to_string().c_str());
#ifdef COFLOW_EXAMPLE_TLS
  if (wanted.tls) co_return co_await talk_over_tls(std::move(*connection), std::move(wanted), end);
#endif
  co_return co_await talk(std::move(*connection), end);
}

task<int> run(settings wanted) {
  outcome end;
  coflow::task_scope watching;
  coflow::task_scope work;
  auto started = watching.spawn(stop_on_signal(&work, &end));
  if (started) started = work.spawn(reach_and_talk(std::move(wanted), &end));
  if (!started) end.fail("cannot start: " + started.error().message(), started.error());
  auto ended = co_await work.join();
  if (!ended && end.exit_code == 0) end.exit_code = 1;
  co_return end.exit_code;
}

std::optional<settings> read_arguments(int count, char** words) {
  settings found;
  std::vector<std::string_view> names;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "-l")
      found.listens = true;
    else if (word == "-v")
      found.talks = true;
    else if (word == "--tls")
      found.tls = true;
    else if (word == "--ca" && i + 1 < count)
      found.authorities = words[++i];
    else if (word == "--cert" && i + 1 < count)
      found.certificate = words[++i];
    else if (word == "--key" && i + 1 < count)
      found.key = words[++i];
    else if (word == "--alpn" && i + 1 < count)
      found.protocol = words[++i];
    else if (word.starts_with("-") && word != "-N")
      return std::nullopt;
    else if (word != "-N")
      names.push_back(word);
  }
  if (names.size() == 1 && found.listens) names.insert(names.begin(), "0.0.0.0");
  const bool tells_tls = !found.authorities.empty() || !found.certificate.empty() || !found.protocol.empty();
  if (names.size() != 2 || (found.tls && found.listens) || (!found.tls && tells_tls)) return std::nullopt;
  if (found.certificate.empty() != found.key.empty()) return std::nullopt;
  found.host = names[0];
  const char* const last = names[1].data() + names[1].size();
  const auto [end, wrong] = std::from_chars(names[1].data(), last, found.port);
  if (wrong != std::errc() || end != last) return std::nullopt;
  return found;
}

}  // namespace

int main(int count, char** words) {
  const std::optional<settings> wanted = read_arguments(count, words);
  if (!wanted) {
    std::fprintf(stderr,
                 "usage: netcat [-N] [-v] [--tls [--ca FILE] [--cert FILE --key FILE] [--alpn NAME]] HOST PORT,"
                 " or netcat [-v] -l [HOST] PORT\n");
    return 2;
  }
#ifndef COFLOW_EXAMPLE_TLS
  if (wanted->tls) {
    std::fprintf(stderr, "netcat: --tls: built without TLS\n");
    return 1;
  }
#endif
  return coflow::run_main(run(*wanted));
}
