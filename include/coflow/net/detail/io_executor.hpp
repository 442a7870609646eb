/// \file
/// An executor that also knows descriptors.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/buffer.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/net/detail/reactor.hpp"
#include "coflow/net/detail/splice_pipe.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Something that waits for a descriptor to become free: a listener that has met EMFILE.
class descriptor_hunger : public self_unlinking {
 public:
  virtual void on_descriptor_freed() noexcept = 0;

 protected:
  descriptor_hunger() noexcept {}
  ~descriptor_hunger() = default;
};

/// Room for the next receive; see `io_executor::read_space`.
using read_space = std::span<std::byte>;

class io_executor : public executor {
 public:
  /// How much one receive takes at most: a block of 64 KiB less its header.
  static constexpr std::size_t read_size = 64 * 1024 - sizeof(buffer_block);
  /// The current executor of this thread if it is one that knows descriptors, else null.
  [[nodiscard]] static io_executor* current_io() noexcept {
    executor* running = current();
    return running == nullptr ? nullptr : static_cast<io_executor*>(running->extension());
  }

  /// Binds `d` to this loop and watches it from now on, for reading, writing, or both; what is ready already is
  /// reported in the next turn. Errors: `error::closed` while the loop goes away, not_enough_memory, and what the
  /// system says, unchanged: operation_not_permitted (EPERM) is epoll's word for a file that never makes anybody wait,
  /// so that its owner may go on without the loop (poll watches such a file and reports it as ready once).
  [[nodiscard]] std::error_code attach(descriptor& d, interest what = interest::both) noexcept {
    if (finishing()) return error::closed;
    const auto index = static_cast<std::size_t>(d.fd_);
    if (index >= slots_.size()) {
      try {
        slots_.resize(index + 1 + index / 2);
      } catch (const std::bad_alloc&) {
        return std::make_error_code(std::errc::not_enough_memory);
      }
    }
    slot& mine = slots_[index];

    if (const int status = source_->add(d.fd_, token(d.fd_, mine.generation), d, what); status < 0)
      return from_system(-status);
    mine.watched = &d;
    d.loop_ = this;
    d.interest_ = what;
    return {};
  }
  /// Watches `d`, which is attached here, for something else; what is ready for that already is reported in the next
  /// turn. For a descriptor that reports a readiness too often while nobody waits for it: a unix socket is writable
  /// anew whenever its peer has read. One system call with epoll, none with poll or if nothing changes. Error: what the
  /// system says; then all is as before.
  [[nodiscard]] std::error_code change_interest(descriptor& d, interest what) noexcept {
    if (d.interest_ == what) return {};
    const slot& mine = slots_[static_cast<std::size_t>(d.fd_)];
    if (const int status = source_->change(d.fd_, token(d.fd_, mine.generation), what); status < 0)
      return from_system(-status);
    d.interest_ = what;
    return {};
  }

  /// The descriptor is about to be closed: nothing that is still reported for it reaches anybody.
  void forget(descriptor& d) noexcept {
    source_->forget(d.fd_);
    release(d);
  }
  /// The descriptor goes on living elsewhere.
  void detach(descriptor& d) noexcept {
    source_->remove(d.fd_);
    release(d);
  }

  void add_hungry(descriptor_hunger& who) noexcept { hungry_.push_back(who); }

  /// The pipes of transfers between descriptors of this loop.
  [[nodiscard]] splice_pipes& transfer_pipes() noexcept { return pipes_; }

  /// Where to receive into; the bytes are then claimed by `take_read`. One block serves every connection of the loop,
  /// so that a waiting read holds no memory. Throws std::bad_alloc.
  [[nodiscard]] read_space reading_space() {
    if (space_ == nullptr) [[unlikely]]
      make_space();
    return read_space(space_, read_size);
  }
  /// Makes `into`, which is empty, the first `size` bytes of the reading space. A small read is copied out of the
  /// block, so that whoever keeps it does not keep 64 KiB; a large one takes the block with it.
  void take_read(std::size_t size, buffer& into) noexcept {
    if (size <= read_size / 8) [[likely]] {
      try {
        buffer_access::copy(into, space_, size);
        return;
      } catch (const std::bad_alloc&) {  // the bytes are here already: give them away with their block
      }
    }
    space_ = nullptr;
    into = std::move(scratch_);
    into.remove_suffix(into.size() - size);
  }

 protected:
  explicit io_executor(std::unique_ptr<readiness_source> source) noexcept
      : executor(static_cast<io_executor*>(this)), source_(std::move(source)) {
    add_dependent(farewell_);
  }
  ~io_executor() = default;

  /// How many reports one turn takes at most; the others are there in the next.
  static constexpr int report_limit = 256;

  [[nodiscard]] const readiness_source& source() const noexcept { return *source_; }

  /// Waits for readiness up to `timeout` (negative: for ever) and runs what became ready. Gives how many reports there
  /// were, of which some may be stale, or minus an errno value if it cannot wait.
  int poll_descriptors(std::chrono::nanoseconds timeout) noexcept {
    const int count = source_->wait(events_, timeout);
    for (int i = 0; i < count; ++i) {
      const ready_event event = events_[i];
      const slot& found = slots_[static_cast<std::uint32_t>(event.token)];
      // A descriptor that was closed earlier in this batch, or whose number was reused, has another generation.
      if (found.generation != static_cast<std::uint32_t>(event.token >> 32)) continue;
      found.watched->on_ready(event.what);
    }
    return count;
  }

 private:
  struct slot {
    descriptor* watched = nullptr;
    std::uint32_t generation = 0;
  };

  class farewell final : public dependent {
   public:
    explicit farewell(io_executor& of) noexcept : loop_(of) {}
    void on_executor_gone() noexcept override {
      for (std::size_t i = 0; i < loop_.slots_.size(); ++i) {
        if (descriptor* watched = loop_.slots_[i].watched) watched->on_loop_gone();
      }
    }

   private:
    io_executor& loop_;
  };

  void release(const descriptor& d) noexcept {
    slot& mine = slots_[static_cast<std::size_t>(d.fd_)];
    mine.watched = nullptr;
    ++mine.generation;
    while (!hungry_.empty()) hungry_.pop_front().on_descriptor_freed();
  }
  [[gnu::noinline, gnu::cold]] void make_space() {
    scratch_ = buffer::allocate(read_size);
    space_ = scratch_.writable().data();
  }
  static std::uint64_t token(int fd, std::uint32_t generation) noexcept {
    return std::uint64_t{generation} << 32 | static_cast<std::uint32_t>(fd);
  }

  std::unique_ptr<readiness_source> source_;
  std::vector<slot> slots_;
  buffer scratch_;
  std::byte* space_ = nullptr;  // the bytes of scratch_
  intrusive_list<descriptor_hunger> hungry_;
  splice_pipes pipes_;
  farewell farewell_{*this};
  ready_event events_[report_limit];
};

}  // namespace detail
}  // namespace coflow::inline v0
