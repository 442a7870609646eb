/// \file
/// What a `faulty_flow` does to its user.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include "coflow/async/sleep.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"

namespace coflow::inline v0 {

template <SystemFlow Inner>
class faulty_flow;

/// How a `faulty_flow` cuts up what passes through it.
enum class split : std::uint8_t {
  whole,     ///< as it comes
  one_byte,  ///< one byte at a time
  halves,    ///< half of what is there, then half of the rest, and so on
  random     ///< pieces of any size, by the plan's seed
};

/// What a `faulty_flow` does to its user. Nothing unless something is set; faults that end a half happen once, and
/// then the half has its verdict for good (laws R4, W6).
class fault_plan {
 public:
  fault_plan() noexcept {}

  /// How the bytes of reads are cut up. What a read leaves is the next one's; none is lost.
  fault_plan& reads(split how) noexcept {
    reads_ = how;
    return *this;
  }
  /// How the bytes of writes are cut up on their way to the flow below.
  fault_plan& writes(split how) noexcept {
    writes_ = how;
    return *this;
  }
  /// What `split::random` picks by; 1 unless set.
  fault_plan& seed(std::uint64_t number) noexcept {
    seed_ = number;
    return *this;
  }
  /// Every read and every write that has something to write waits for so long, on the executor's clock, before it asks
  /// the flow below. Cancelling that wait loses nothing.
  template <class Rep, class Period>
  fault_plan& slow(std::chrono::duration<Rep, Period> time) noexcept {
    slow_ = detail::saturated(time);
    return *this;
  }

  /// The n-th read (1 is the first) gives `code` instead of asking the flow below; bytes that are left over from an
  /// earlier read come first. A code that ends connections, such as a reset, breaks the flow below too (law R7).
  fault_plan& fail_read(std::size_t nth, std::error_code code) noexcept { return set(read_, nth, most, code, false); }
  /// The same after so many bytes.
  fault_plan& fail_read_after(std::size_t bytes, std::error_code code) noexcept {
    return set(read_, most, bytes, code, false);
  }
  /// Reads give eof after so many bytes, whatever the flow below still has.
  fault_plan& end_reads_after(std::size_t bytes) noexcept { return set(read_, most, bytes, {}, false); }
  /// The flow below is destroyed, without a goodbye, as soon as so many bytes have been read.
  fault_plan& cut_after_reading(std::size_t bytes) noexcept { return set(read_, most, bytes, error::closed, true); }

  /// The n-th write that has something to write gives `code` and writes nothing. As with reads, a reset breaks the flow
  /// below.
  fault_plan& fail_write(std::size_t nth, std::error_code code) noexcept { return set(write_, nth, most, code, false); }
  /// Writes give `code` after so many bytes, in the midst of one if need be (law X3).
  fault_plan& fail_write_after(std::size_t bytes, std::error_code code) noexcept {
    return set(write_, most, bytes, code, false);
  }
  /// The flow below is destroyed, without a goodbye, as soon as so many bytes have been written.
  fault_plan& cut_after_writing(std::size_t bytes) noexcept { return set(write_, most, bytes, error::closed, true); }

 private:
  template <SystemFlow Inner>
  friend class faulty_flow;

  static constexpr std::size_t most = SIZE_MAX;
  struct fault {
    std::size_t nth = most;
    std::size_t bytes = most;
    std::error_code code;  // empty: eof
    bool cuts = false;
  };

  fault_plan& set(fault& of, std::size_t nth, std::size_t bytes, std::error_code code, bool cuts) noexcept {
    of.nth = nth;
    of.bytes = bytes;
    of.code = code;
    of.cuts = cuts;
    return *this;
  }

  split reads_ = split::whole;
  split writes_ = split::whole;
  std::uint64_t seed_ = 1;
  executor::duration slow_{0};
  fault read_;
  fault write_;
};

}  // namespace coflow::inline v0
