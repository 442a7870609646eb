/// \file
/// What `tls_flow` needs to know of a TLS library: the protocol as a plain object, without I/O.
///
/// An engine is a codec with a handshake (see `HandshakingCodec`, which says what `start`, `feed`, `seal`, `farewell`
/// and `established` are for) that can also be asked about the connection. What is said of a codec there means for TLS:
///
/// - `start`: a client's first flight. A server has nothing to say yet.
/// - `feed`: any piece of the peer's stream. It runs the handshake, opens records, and answers: with flights of the
///   handshake, tickets, key updates, alerts. All that can be decoded is decoded at once and given to `out.data`, also
///   what comes glued to the end of the handshake (law L11); nothing decoded stays behind.
/// - the peer's close_notify is `out.end()`; a fatal alert, a certificate that is refused, or anything against the
///   protocol is `out.fail(code)`, behind the data that came before it, and after the alert that tells the peer
///   was given to `out.send`. Input that ends without a close_notify is no business of the engine: the layer knows.
/// - `seal`: makes as few records as the plaintext needs. After a failure it gives that failure.
/// - `farewell`: close_notify, at most once; nothing after a failure, or before the handshake is done. The peer may go
///   on sending (TLS 1.3 ends each direction by itself), so `feed` goes on as before.
/// - `established`: true as soon as this side may seal.
///
/// Errors are of a category of the engine's own that says for each code which `tls_condition` it has. Memory that
/// cannot be had is std::bad_alloc; no other exception leaves an engine.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <system_error>

#include "coflow/core/result.hpp"
#include "coflow/layer/codec.hpp"
#include "coflow/tls/tls_error.hpp"

namespace coflow::inline v0 {

/// A TLS library behind the interface of a codec (with `holds_back` if it cannot send in the middle of a message of the
/// peer's). Beyond that of `HandshakingCodec` it supplies
///
///     bool needs_input() const;
///         // post-handshake messages must be answered: true, as a rule
///     std::string explain(std::error_code) const;
///         // one line that a person can act on, about a failure of this connection: "certificate verify failed:
///         // self-signed certificate"; the code's own message if there is no more
///     std::string_view version() const;
///         // "TLSv1.3"; empty before the handshake is done, as the next two
///     std::string_view cipher() const;
///         // the cipher suite's name
///     std::string_view application_protocol() const;
///         // what was agreed on by ALPN; empty if nothing was
///     bool peer_said_goodbye() const;
///         // the peer's close_notify has come
///     void request_key_update();
///         // new keys for what is sent from the next record on, and the wish that the peer does the same; nothing in
///         // TLS 1.2
///
/// The texts live as long as the engine, or until it changes.
template <class E>
concept TlsEngine = HandshakingCodec<E> && requires(const E& engine, E& changed, std::error_code code) {
  { engine.needs_input() } -> std::convertible_to<bool>;
  { engine.explain(code) } -> std::convertible_to<std::string>;
  { engine.version() } -> std::convertible_to<std::string_view>;
  { engine.cipher() } -> std::convertible_to<std::string_view>;
  { engine.application_protocol() } -> std::convertible_to<std::string_view>;
  { engine.peer_said_goodbye() } -> std::convertible_to<bool>;
  changed.request_key_update();
};

/// What makes engines for clients: `client_engine(host)` gives a `result<Engine, tls_error>`. The engine must not
/// depend on the context's lifetime.
template <class C>
concept TlsClientContext = requires(const C& context, const std::string& host) {
  requires TlsEngine<typename decltype(context.client_engine(host))::value_type>;
  { context.client_engine(host).error() } -> std::convertible_to<tls_error>;
};

/// What makes engines for servers: `server_engine()` gives a `result<Engine, tls_error>`.
template <class C>
concept TlsServerContext = requires(const C& context) {
  requires TlsEngine<typename decltype(context.server_engine())::value_type>;
  { context.server_engine().error() } -> std::convertible_to<tls_error>;
};

}  // namespace coflow::inline v0
