/// \file
/// Which half of a flow `shutdown` ends.
#pragma once

namespace coflow::inline v0 {

/// Names one half of a flow, or both (laws S2, S3, S4).
enum class shutdown_mode {
  read,        ///< reads give eof; what the peer sends is dropped
  write,       ///< no new writes; the peer gets every queued byte, then eof
  read_write,  ///< both
};

/// True if `mode` ends the read half.
[[nodiscard]] constexpr bool covers_read(shutdown_mode mode) noexcept { return mode != shutdown_mode::write; }

/// True if `mode` ends the write half.
[[nodiscard]] constexpr bool covers_write(shutdown_mode mode) noexcept { return mode != shutdown_mode::read; }

}  // namespace coflow::inline v0
