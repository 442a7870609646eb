/// \file
/// A second flow that gets what passes through the first.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>

#include "coflow/async/sleep.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/layer/detail/end_notice.hpp"
#include "coflow/layer/detail/gated_operation.hpp"
#include "coflow/layer/detail/hooked.hpp"
#include "coflow/layer/detail/layer_block.hpp"
#include "coflow/layer/detail/tee_block.hpp"
#include "coflow/layer/reset.hpp"

namespace coflow::inline v0 {

/// What can be chosen about a `tee`.
class tee_options {
 public:
  tee_options() noexcept {}
  /// Copies what is read. On unless set.
  tee_options& reads(bool copied) noexcept {
    reads_ = copied;
    return *this;
  }
  /// Copies what is written. Off unless set.
  tee_options& writes(bool copied) noexcept {
    writes_ = copied;
    return *this;
  }
  /// How many bytes may wait for the sink before the flow waits, too; 64 KiB unless set.
  tee_options& limit(std::size_t bytes) noexcept {
    limit_ = bytes == 0 ? 1 : bytes;
    return *this;
  }
  /// How long a close waits for the sink to take what waits for it; one second unless set, a negative time is none.
  template <class Rep, class Period>
  tee_options& close_limit(std::chrono::duration<Rep, Period> time) noexcept {
    close_limit_ = detail::saturated(time);
    return *this;
  }
  [[nodiscard]] bool copies_reads() const noexcept { return reads_; }
  [[nodiscard]] bool copies_writes() const noexcept { return writes_; }
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  [[nodiscard]] executor::duration close_limit() const noexcept { return close_limit_; }

 private:
  bool reads_ = true;
  bool writes_ = false;
  std::size_t limit_ = 64 * 1024;
  executor::duration close_limit_ = std::chrono::seconds(1);
};

/// A layer that also writes what passes to a second flow, the sink: a recording, a mirror.
///
/// What is read, and on request what is written, goes to the sink in the order in which the operations complete, as
/// second handles on the same bytes; only what `read_into` gives is copied. Of a write that fails nothing is copied. A
/// sink that is slow slows the flow down: while `limit` bytes wait for it, no read begins, and a write that has gone
/// out does not complete; one operation may go beyond the limit. A cancellation or a close ends such a wait, and the
/// write is a success.
///
/// A sink that fails does not disturb the flow: its first error is kept (`sink_error`), nothing is copied any more, and
/// what was not is counted (`not_copied`). `close` closes the flow below at once and then, when the sink has taken what
/// waits for it or the limit has passed, the sink. Destroying the flow destroys both. Every law of the flow below
/// holds.
///
/// One pooled block, which holds both flows, with three small coroutine frames. An operation that has to wait for the
/// sink takes a pooled frame, others none.
template <SystemFlow Inner, SystemFlow Sink>
class tee : public detail::layer_handle<Inner, detail::tee_block<Inner, Sink>> {
  using block = detail::tee_block<Inner, Sink>;
  using notice = detail::end_notice<block>;

 public:
  using sink_type = Sink;

  /// Throws std::bad_alloc; both flows are then destroyed.
  tee(Inner inner, Sink sink, const tee_options& options = tee_options())
      : detail::layer_handle<Inner, block>(new block(std::move(inner), std::move(sink), chosen(options))) {}

  /// The flow that gets the copy. Writing to it is the caller's affair.
  [[nodiscard]] Sink& sink() noexcept { return this->control().copy().sink(); }
  /// Why nothing is copied any more: the sink's first error, `error::timed_out` if a close did not wait for it; an
  /// empty code if all is well.
  [[nodiscard]] std::error_code sink_error() const noexcept { return this->control().copy().error(); }
  /// How many bytes the sink has accepted.
  [[nodiscard]] std::uint64_t copied() const noexcept { return this->control().copy().copied(); }
  /// How many bytes should have been copied and were not, and never will be.
  [[nodiscard]] std::uint64_t not_copied() const noexcept { return this->control().copy().not_copied(); }
  /// How many bytes wait for the sink.
  [[nodiscard]] std::size_t queued() const noexcept { return this->control().copy().queued(); }

  /// Reads from the flow below.
  [[nodiscard]] auto read() {
    return detail::gated<detail::read_note>(this->control(), [](Inner& inner) { return inner.read(); });
  }
  /// Reads from the flow below, if that can read into the caller's memory; the room must live until the await ends.
  [[nodiscard]] auto read_into(std::span<std::byte> room)
    requires has_read_into<Inner>
  {
    const auto make = [room](Inner& inner) { return inner.read_into(room); };
    return detail::gated<detail::read_into_note>(this->control(), make, room);
  }
  /// Writes to the flow below.
  [[nodiscard]] auto write(buffer bytes) {
    block& whole = this->control();
    detail::tee_write note(bytes, whole.wants_writes());
    const auto make = [&bytes](Inner& inner) { return inner.write(std::move(bytes)); };
    return detail::gated<detail::tee_write>(whole, make, std::move(note));
  }
  /// Writes to the flow below; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) {
    const auto make = [list](Inner& inner) { return inner.writev(list); };
    return detail::gated<detail::tee_writev>(this->control(), make, list);
  }
  /// Shuts the flow below down; the sink goes on.
  [[nodiscard]] auto shutdown(shutdown_mode mode) {
    return detail::hooked<notice>([&] { return this->next_layer().shutdown(mode); }, this->shared(), mode);
  }
  /// Closes the flow below, and then the sink, for whose last bytes it waits within the limit.
  [[nodiscard]] auto close() noexcept { return detail::tee_close_operation<block>(this->shared()); }
  /// Closes the flow below now, so that its peer does not take that for a clean end; see `coflow::reset`. The sink goes
  /// on, to its close or the end of this flow.
  void reset() noexcept
    requires ResettableFlow<Inner>
  {
    this->control().open();
    static_cast<void>(coflow::reset(this->next_layer()));
  }

 private:
  static typename block::choice chosen(const tee_options& options) noexcept {
    typename block::choice made;
    made.reads = options.copies_reads();
    made.writes = options.copies_writes();
    made.limit = options.limit();
    made.close_limit = options.close_limit();
    return made;
  }
};

}  // namespace coflow::inline v0
