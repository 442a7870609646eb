/// \file
/// TLS over any flow.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/codec_flow.hpp"
#include "coflow/tls/detail/limited_handshake.hpp"
#include "coflow/tls/engine.hpp"
#include "coflow/tls/tls_error.hpp"
#include "coflow/tls/tls_options.hpp"

namespace coflow::inline v0 {

/// A TLS connection over `Inner`: a codec's flow, with every law of the contract, that can be asked about the channel.
/// It comes from `tls_client` or `tls_server`.
///
/// The peer's close_notify is eof, and the write half stays open; `shutdown(write)` sends this side's, and reading goes
/// on. The inner flow's end without close_notify is `error::truncated`. `close` sends close_notify and does not wait
/// for the peer's: over TCP, where unread input makes a reset of a close (fact K4), and a TLS 1.3 server's tickets are
/// such input, `graceful_close` is the way that loses nothing. A TLS 1.3 client that is refused for its certificate
/// learns it from its first read: its handshake is done before the server has judged.
template <SystemFlow Inner, TlsEngine Engine>
class tls_flow : public codec_flow<Engine, Inner> {
  using base = codec_flow<Engine, Inner>;

 public:
  using engine_type = Engine;

  tls_flow(tls_flow&&) noexcept = default;
  tls_flow& operator=(tls_flow&&) noexcept = default;
  /// Closes the inner flow without a close_notify: the peer sees truncation (law C6).
  ~tls_flow() = default;

  /// The engine, to ask it what this class does not: certificates, sessions.
  [[nodiscard]] const Engine& engine() const noexcept { return this->codec(); }
  /// The version that was agreed on: "TLSv1.3".
  [[nodiscard]] std::string_view version() const noexcept { return engine().version(); }
  /// The cipher suite that was agreed on.
  [[nodiscard]] std::string_view cipher() const noexcept { return engine().cipher(); }
  /// The application protocol that was agreed on (ALPN); empty if none was.
  [[nodiscard]] std::string_view application_protocol() const noexcept { return engine().application_protocol(); }
  /// True once the peer's close_notify has come, read or not.
  [[nodiscard]] bool peer_said_goodbye() const noexcept { return engine().peer_said_goodbye(); }
  /// One line for people about an error that this flow gave.
  [[nodiscard]] std::string explain(std::error_code failed) const { return engine().explain(failed); }

  /// Takes new keys for what this side sends, from the next record on, and asks the peer to do the same. TLS 1.2
  /// cannot.
  void request_key_update() { this->mutable_codec().request_key_update(); }

  /// What `tls_client` and `tls_server` run.
  [[nodiscard]] static task<result<tls_flow, tls_error>> handshake(result<Engine, tls_error> engine, Inner inner,
                                                                   std::string host, tls_options options) {
    using block = typename base::block;
    if (!engine) {
      co_await inner.close();
      co_return std::move(engine).error();
    }
    auto fresh = std::make_unique<block>(std::move(*engine), std::move(inner), options.codec());
    block& whole = *fresh;
    tls_flow made(std::move(fresh));
    const result<void> done = co_await detail::limited_handshake<block>(whole, options.handshake_timeout());
    if (done) co_return std::move(made);
    tls_error why = made.why_not(done.error(), std::move(host));
    const bool at_once = done.error() == canceled() || done.error() == error::timed_out;
    if (at_once) whole.abandon();
    co_await typename block::closing(whole, !at_once);
    co_return std::move(why);
  }

 private:
  explicit tls_flow(std::unique_ptr<typename base::block> fresh) noexcept : base(std::move(fresh)) {}

  [[nodiscard]] tls_error why_not(std::error_code failed, std::string host) const {
    std::string text;
    if (failed == error::timed_out)
      text = "the TLS handshake did not end within its deadline";
    else if (failed == error::truncated)
      text = "the peer closed the connection in the middle of the TLS handshake";
    else if (failed.category() == error_category() || detail::has_errno(failed))
      text = "the TLS handshake failed: " + failed.message();
    else
      text = explain(failed);
    return tls_error(failed, std::move(text), std::move(host));
  }
};

/// Makes a TLS client of `inner`, which is connected, and gives the flow when the handshake is done.
///
/// `host` is the name or the address that the peer's certificate must be for, as the context sees to it; the context
/// need not outlive the call. Whatever goes wrong, the inner flow is closed: behind an alert when the peer has closed,
/// too, or after the options' `close_limit`, so that the peer can read why. Cancellation closes the inner flow at once,
/// and so does the deadline of the options.
/// Errors: what the engine says, which has a `tls_condition`; what the inner flow says; `error::timed_out`;
/// `error::truncated` where the peer just left; `operation_canceled`. `message()` is for people.
template <TlsClientContext Context, SystemFlow Inner>
[[nodiscard]] auto tls_client(const Context& context, Inner inner, std::string host, tls_options options = {}) {
  auto engine = context.client_engine(host);
  using flow = tls_flow<Inner, typename decltype(engine)::value_type>;
  return flow::handshake(std::move(engine), std::move(inner), std::move(host), options);
}

/// Makes a TLS server of `inner`, which is connected, and gives the flow when the handshake is done. The context need
/// not outlive the call. Failure, cancellation, deadline and errors: as for `tls_client`.
template <TlsServerContext Context, SystemFlow Inner>
[[nodiscard]] auto tls_server(const Context& context, Inner inner, tls_options options = {}) {
  auto engine = context.server_engine();
  using flow = tls_flow<Inner, typename decltype(engine)::value_type>;
  return flow::handshake(std::move(engine), std::move(inner), std::string(), options);
}

}  // namespace coflow::inline v0
