/// \file
/// The state of a flow's two halves: the one state machine, without I/O, that every flow of this library uses.
#pragma once

#include <cstdint>
#include <system_error>

#include "coflow/core/error.hpp"

namespace coflow::inline v0 {

/// Where one half of a flow stands. Transitions only go to the right; nothing re-opens a half.
///
///     read half:   open -> ended | shut | failed -> closed
///     write half:  open -> draining -> shut | failed -> closed
enum class half : std::uint8_t {
  open,      ///< in use
  draining,  ///< write half: shut down for new writes, queued ones still going out (law S3)
  ended,     ///< read half: the peer has ended its stream (law R4)
  shut,      ///< shut down by this side (laws S2, S3)
  failed,    ///< an error is its verdict (laws R4, W6)
  closed,    ///< the flow is closed (law C1)
};

/// Both halves of one flow: the first verdict of each wins (laws R4, W6), and a broken connection fails both (law R7).
///
/// The owner reports what happened; this class decides what it means. It performs no I/O and wakes nobody.
class half_state {
 public:
  half_state() noexcept {}

  [[nodiscard]] half read_half() const noexcept { return read_; }
  [[nodiscard]] half write_half() const noexcept { return write_; }

  /// True while reads may look for bytes.
  [[nodiscard]] bool can_read() const noexcept { return read_ == half::open; }
  /// True while new writes are accepted.
  [[nodiscard]] bool can_write() const noexcept { return write_ == half::open; }
  /// True while writes that are already queued may go on.
  [[nodiscard]] bool can_transmit() const noexcept { return write_ == half::open || write_ == half::draining; }
  /// True when neither half will ever move a byte again.
  [[nodiscard]] bool terminal() const noexcept { return !can_read() && !can_transmit(); }

  /// What a read gives when it cannot read: an error, or an empty code for eof.
  [[nodiscard]] std::error_code read_verdict() const noexcept {
    if (read_ == half::closed) return error::closed;
    return read_error_;
  }
  /// What a write gives when it cannot begin: after a shutdown `error::closed` for good, whatever becomes of the writes
  /// that were queued before.
  [[nodiscard]] std::error_code write_verdict() const noexcept {
    if (shutdown_) return error::closed;
    return transmit_verdict();
  }
  /// What a queued write gives when it cannot go on.
  [[nodiscard]] std::error_code transmit_verdict() const noexcept {
    if (write_ == half::failed) return write_error_;
    return error::closed;
  }

  /// True if the write half met an error that ended the whole connection: reads deliver what is there, and where the
  /// input then runs dry or ends, that error is the verdict (facts K2, K3).
  [[nodiscard]] bool broken() const noexcept { return broken_ != 0; }

  /// The stream may not end cleanly any more: a write was given up after a part of it had gone out (law X3).
  [[nodiscard]] bool torn() const noexcept { return torn_; }

  /// The transport below says that no more input will come, or, when `broken()`, that none is there.
  void end_of_input() noexcept {
    if (read_ != half::open) return;
    if (broken()) {
      read_ = half::failed;
      const bool writer_knows = write_ == half::failed && write_error_.value() == broken_;
      read_error_ = writer_knows ? write_error_ : std::error_code(broken_, std::system_category());
    } else {
      read_ = half::ended;
    }
  }

  /// The peer has ended its stream by a goodbye of its own, which is proof even on a connection that is broken by now.
  void end_of_stream() noexcept {
    if (read_ == half::open) read_ = half::ended;
  }

  /// Reading failed. An error that ends the connection fails the write half too.
  void fail_read(std::error_code code) noexcept {
    if (detail::ends_connection(code) && can_transmit()) {
      write_ = half::failed;
      write_error_ = code;
    }
    if (read_ != half::open) return;
    read_ = half::failed;
    read_error_ = code;
  }

  /// Writing failed. The read half is untouched here (law W7); see `broken()`.
  void fail_write(std::error_code code) noexcept {
    if (!can_transmit()) return;
    write_ = half::failed;
    write_error_ = code;
    if (detail::ends_connection(code)) broken_ = static_cast<std::uint16_t>(code.value());
  }

  /// The connection as a whole was said to have failed, by nothing that read or wrote: reads deliver what is there,
  /// then give that error, whatever has become of the write half.
  void fail_connection(std::error_code code) noexcept {
    if (!broken()) broken_ = static_cast<std::uint16_t>(code.value());
    fail_write(code);
  }

  /// A write was given up after a part of it had gone out: no other write, and no clean end, may follow (laws X2, X3).
  void tear_write() noexcept {
    torn_ = true;
    fail_write(error::torn_write);
  }

  /// A write that had moved some of its bytes ended in the error that is already latched (law X3).
  void mark_torn() noexcept { torn_ = true; }

  /// Local shutdown of the read half. True if it was open.
  bool shut_read() noexcept {
    if (read_ != half::open) return false;
    read_ = half::shut;
    return true;
  }

  /// Local shutdown of the write half begins: new writes are refused from here on. True if it was open.
  bool drain_write() noexcept {
    if (write_ != half::open) return false;
    write_ = half::draining;
    shutdown_ = true;
    return true;
  }

  /// The last queued write has gone out. True if the end of the stream is now to be signalled.
  bool finish_drain() noexcept {
    if (write_ != half::draining) return false;
    write_ = half::shut;
    return true;
  }

  /// The flow is closed. False if it was closed before (law C2).
  bool close() noexcept {
    if (read_ == half::closed) return false;
    read_ = half::closed;
    write_ = half::closed;
    return true;
  }

 private:
  std::error_code read_error_;
  std::error_code write_error_;
  half read_ = half::open;
  half write_ = half::open;
  std::uint16_t broken_ = 0;  // the errno value that ended the whole connection
  bool torn_ : 1 = false;
  bool shutdown_ : 1 = false;  // of the write half, by this side, while it was open
};

}  // namespace coflow::inline v0
