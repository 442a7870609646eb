/// \file
/// What can be chosen about a TLS flow, whichever library is behind it.
#pragma once

#include <chrono>

#include "coflow/async/sleep.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/layer/codec_options.hpp"

namespace coflow::inline v0 {

/// Options of `tls_client` and `tls_server`. Setters give the object back: `tls_options().handshake_timeout(3s)`.
class tls_options {
 public:
  tls_options() noexcept {}

  /// How long the handshake may take; then the connection is closed and the error is `error::timed_out`. Ten seconds
  /// unless set. A time that is not positive leaves one turn of the executor.
  template <class Rep, class Period>
  tls_options& handshake_timeout(std::chrono::duration<Rep, Period> time) noexcept {
    handshake_timeout_ = detail::saturated(time);
    return *this;
  }
  /// How long a close waits for the close_notify to be accepted below, and a handshake that has failed for the peer to
  /// read why; see `codec_options::close_limit`.
  template <class Rep, class Period>
  tls_options& close_limit(std::chrono::duration<Rep, Period> time) noexcept {
    codec_.close_limit(time);
    return *this;
  }
  /// Takes an end of the connection without close_notify for the end of the stream, for peers that are known to leave
  /// it out and protocols that mark their own end. Otherwise it is `error::truncated`, so that nobody can cut the
  /// stream short unnoticed (law L7).
  tls_options& allow_truncation(bool allow) noexcept {
    codec_.allow_truncation(allow);
    return *this;
  }

  [[nodiscard]] executor::duration handshake_timeout() const noexcept { return handshake_timeout_; }
  [[nodiscard]] executor::duration close_limit() const noexcept { return codec_.close_limit(); }
  [[nodiscard]] bool truncation_allowed() const noexcept { return codec_.truncation_allowed(); }
  /// What of this the layer below the engine is told.
  [[nodiscard]] const codec_options& codec() const noexcept { return codec_; }

 private:
  executor::duration handshake_timeout_ = std::chrono::seconds(10);
  codec_options codec_;
};

}  // namespace coflow::inline v0
