#pragma once

// A TLS session over a network that does to it what the bytes of an input say: bytes are changed, put in, taken out,
// handed on in pieces, and streams are cut off. Whatever it does: nobody hears what was not said, nobody takes a cut
// for an end, nothing hangs, and nothing is left.

#include <algorithm>
#include <coflow/async.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <coflow/tls/openssl.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/certificates.hpp"

namespace fuzz {

using coflow::buffer;
using coflow::memory_flow;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;

/// The bytes of an input, one after another; zeros behind its end.
class choices {
 public:
  explicit choices(std::span<const std::uint8_t> from) noexcept : left_(from) {}
  [[nodiscard]] bool empty() const noexcept { return left_.empty(); }
  [[nodiscard]] unsigned next() noexcept {
    if (left_.empty()) return 0;
    const unsigned one = left_.front();
    left_ = left_.subspan(1);
    return one;
  }

 private:
  std::span<const std::uint8_t> left_;
};

/// What is done to one direction's stream, in the order of the places.
struct harm {
  enum class kind : unsigned { change, insert, remove, cut };
  kind what = kind::change;
  std::size_t at = 0;
  std::uint8_t byte = 0;
};

/// The flow that a side believes to be the network: what it reads has been harmed.
class harmed_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  harmed_flow(memory_flow inner, std::vector<harm> what, std::size_t piece) noexcept
      : inner_(std::move(inner)), what_(std::move(what)), piece_(piece) {}

  task<read_result> read() {
    while (ready_.empty()) {
      if (cut_) co_return coflow::end_of_stream;
      read_result got = co_await inner_.read();
      if (!got) co_return std::move(got);
      take(got->text());
    }
    const std::size_t size = piece_ == 0 ? ready_.size() : std::min(piece_, ready_.size());
    buffer one(std::string_view(ready_).substr(0, size));
    ready_.erase(0, size);
    co_return std::move(one);
  }
  auto write(buffer bytes) { return inner_.write(std::move(bytes)); }
  auto writev(std::span<buffer> list) { return inner_.writev(list); }
  auto shutdown(shutdown_mode mode) { return inner_.shutdown(mode); }
  auto close() { return inner_.close(); }

 private:
  void take(std::string_view text) {
    for (const char one : text) {
      if (cut_) return;
      bool keeps = true;
      char byte = one;
      for (const harm& some : what_) {
        if (some.at != passed_) continue;
        if (some.what == harm::kind::change) byte = static_cast<char>(byte ^ some.byte);
        if (some.what == harm::kind::insert) ready_.push_back(static_cast<char>(some.byte));
        if (some.what == harm::kind::remove) keeps = false;
        if (some.what == harm::kind::cut) cut_ = true;
      }
      ++passed_;
      if (keeps && !cut_) ready_.push_back(byte);
    }
  }

  memory_flow inner_;
  std::vector<harm> what_;
  std::size_t piece_;
  std::size_t passed_ = 0;
  std::string ready_;
  bool cut_ = false;
};

struct heard {
  std::string text;
  bool eof = false;
};

inline constexpr std::string_view from_client = "what the client says";
inline constexpr std::string_view from_server = "what the server says, which is a little more";

template <class F>
task<> listen(F* flow, heard* out) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) {
      out->eof = got.eof();
      co_return;
    }
    out->text.append(got->text());
  }
}
template <class F>
task<> talk(F flow, std::string_view text, heard* out) {
  coflow::task_scope scope;
  static_cast<void>(scope.spawn(listen(&flow, out)));
  const result<void> sent = co_await flow.write(buffer(text));
  if (sent) co_await flow.shutdown(shutdown_mode::write);
  static_cast<void>(co_await scope.join());
  co_await flow.close();
}
inline task<> be_client(const coflow::openssl_context* context, harmed_flow below, heard* out) {
  auto made = co_await coflow::tls_client(*context, std::move(below), "localhost");
  if (made) co_await talk(std::move(*made), from_client, out);
}
inline task<> be_server(const coflow::openssl_context* context, harmed_flow below, heard* out) {
  auto made = co_await coflow::tls_server(*context, std::move(below));
  if (made) co_await talk(std::move(*made), from_server, out);
}
inline task<> both(task<> client, task<> server) {
  coflow::task_scope scope(coflow::on_failure::isolate);
  scope.spawn(std::move(client)).value();
  scope.spawn(std::move(server)).value();
  static_cast<void>(co_await scope.join());
}

[[noreturn]] inline void breach(const char* what) {
  std::fprintf(stderr, "breach: %s\n", what);
  std::abort();
}
inline void judge(const heard& what, std::string_view said) {
  if (!said.starts_with(what.text)) breach("a side has heard what was not said");
  if (what.eof && what.text != said) breach("a side has taken a cut for an end");
}

/// The contexts of both sides, made once; the old server speaks TLS 1.2 only.
struct stage {
  support::authority trusted;
  support::identity shown = trusted.issue(support::request("server").hosts("DNS:localhost"));
  coflow::openssl_context client =
      coflow::openssl_context::client(coflow::openssl_options().trust(trusted.pem())).value();
  coflow::openssl_context old_server =
      coflow::openssl_context::server(
          coflow::openssl_options().certificate(shown.chain, shown.key).maximum_version(coflow::tls_version::v1_2))
          .value();
  coflow::openssl_context server =
      coflow::openssl_context::server(coflow::openssl_options().certificate(shown.chain, shown.key)).value();

  static const stage& the() {
    static const stage one;
    return one;
  }
};

/// One session; aborts where something is wrong. True if both sides have heard all, to its end. The first three bytes
/// choose the version and the sizes of the pieces, the others are harms of four bytes each.
inline bool tls_session(std::span<const std::uint8_t> input) {
  choices from(input);
  const unsigned how = from.next();
  const std::size_t client_piece = from.next();
  const std::size_t server_piece = from.next();
  std::vector<harm> to_client;
  std::vector<harm> to_server;
  while (!from.empty() && to_client.size() + to_server.size() < 64) {
    const unsigned what = from.next();
    harm one;
    one.what = static_cast<harm::kind>(what & 3U);
    one.at = (from.next() << 8U | from.next()) & 0xFFFU;  // a session has some three thousand bytes
    one.byte = static_cast<std::uint8_t>(from.next());
    ((what & 4U) != 0 ? to_client : to_server).push_back(one);
  }
  const stage& on = stage::the();
  heard at_client;
  heard at_server;
  {
    coflow::virtual_executor executor;
    auto pipe = coflow::memory_pipe();
    try {
      coflow::run(executor,
                  both(be_client(&on.client, harmed_flow(std::move(pipe.first), std::move(to_client), client_piece),
                                 &at_client),
                       be_server((how & 1U) != 0 ? &on.old_server : &on.server,
                                 harmed_flow(std::move(pipe.second), std::move(to_server), server_piece), &at_server)));
    } catch (const coflow::hang& hung) {
      breach(hung.what());
    }
  }
  judge(at_client, from_server);
  judge(at_server, from_client);
  if (coflow::detail::live_frames.load() != 0) breach("a coroutine's frame is left");
  return at_client.eof && at_server.eof;
}

}  // namespace fuzz
