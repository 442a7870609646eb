/// \file
/// Pipes of the kernel through which bytes go from one descriptor to another without being copied.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/intrusive_list.hpp"
#include "coflow/core/detail/min_max.hpp"
#include "coflow/net/detail/platform.hpp"
#include "coflow/net/detail/system_files.hpp"

namespace coflow::inline v0 {
namespace detail {

class splice_pipe;

/// The pipes of one event loop. They are lent to transfers, and a few that are not in use are kept. It may go before
/// what it has lent.
class splice_pipes {
 public:
  /// Smaller ones cost as much as they save.
  static constexpr int size = 1024 * 1024;

  splice_pipes() noexcept {}
  splice_pipes(const splice_pipes&) = delete;
  splice_pipes& operator=(const splice_pipes&) = delete;
  inline ~splice_pipes();

 private:
  friend splice_pipe;

  // Each takes two descriptors and may pin a mebibyte, of the 64 that an unprivileged user has for all pipes.
  static constexpr int most_lent = 16;
  static constexpr int most_kept = 2;

  // None if there are too many, or the system does not give one so large.
  inline void lend(splice_pipe& to) noexcept;
  inline void take_back(splice_pipe& from) noexcept;
  static void close(const sys::pipe_ends& ends) noexcept {
    sys::close(ends.read);
    sys::close(ends.write);
  }

  intrusive_list<splice_pipe> lent_;
  sys::pipe_ends idle_[most_kept];
  int idle_count_ = 0;
  int lent_count_ = 0;
  int patience_ = 0;  // so many are not asked for
};

/// A pipe on loan, and how many bytes are in it.
class splice_pipe final : public self_unlinking {
 public:
  explicit splice_pipe(splice_pipes& from) noexcept { from.lend(*this); }
  splice_pipe(const splice_pipe&) = delete;
  splice_pipe& operator=(const splice_pipe&) = delete;
  ~splice_pipe() {
    if (!*this) return;
    if (pipes_ != nullptr)
      pipes_->take_back(*this);
    else
      splice_pipes::close(ends_);
  }

  /// False if there was none to lend.
  [[nodiscard]] explicit operator bool() const noexcept { return ends_.read >= 0; }
  [[nodiscard]] std::size_t held() const noexcept { return held_; }

  /// Moves up to `limit` bytes into the pipe, which is empty; gives how many, or minus the errno value.
  [[nodiscard]] std::ptrdiff_t fill_from(int fd, std::size_t limit) noexcept {
    const std::ptrdiff_t moved = sys::splice(fd, ends_.write, smaller<std::size_t>(limit, splice_pipes::size), false);
    if (moved > 0) held_ += static_cast<std::size_t>(moved);
    return moved;
  }
  /// Moves out what goes; gives how many, or minus the errno value. Needs `held() != 0`.
  [[nodiscard]] std::ptrdiff_t drain_to(int fd) noexcept {
    const std::ptrdiff_t moved = sys::splice(ends_.read, fd, held_, true);
    if (moved > 0) held_ -= static_cast<std::size_t>(moved);
    return moved;
  }
  /// Takes up to `limit` bytes out, behind a copy of `front`. Throws std::bad_alloc, before anything is taken.
  [[nodiscard]] buffer take_out(std::size_t limit, std::span<const std::byte> front = {}) {
    buffer taken = buffer::allocate(front.size() + smaller(limit, held_));
    std::span<std::byte> room = taken.writable();
    if (!front.empty()) std::memcpy(room.data(), front.data(), front.size());
    room = room.subspan(front.size());
    while (!room.empty()) {
      const std::ptrdiff_t got = sys::read(ends_.read, room.data(), room.size());
      if (got <= 0) break;  // it cannot be: so much is in the pipe
      held_ -= static_cast<std::size_t>(got);
      room = room.subspan(static_cast<std::size_t>(got));
    }
    taken.remove_suffix(room.size());
    return taken;
  }

 private:
  friend splice_pipes;

  splice_pipes* pipes_ = nullptr;  // while these are there
  sys::pipe_ends ends_;
  std::size_t held_ = 0;
};

inline splice_pipes::~splice_pipes() {
  while (idle_count_ != 0) close(idle_[--idle_count_]);
  while (!lent_.empty()) lent_.pop_front().pipes_ = nullptr;
}

inline void splice_pipes::lend(splice_pipe& to) noexcept {
  if (idle_count_ != 0) {
    to.ends_ = idle_[--idle_count_];
  } else {
    if (lent_count_ == most_lent || (patience_ != 0 && --patience_ != 0)) return;
    sys::pipe_ends made;
    if (sys::make_pipe(made) >= 0) {
      if (sys::set_pipe_size(made.write, size) >= size)
        to.ends_ = made;
      else
        close(made);
    }
    if (to.ends_.read < 0) {
      patience_ = 64;  // what is refused now will be refused next time, too
      return;
    }
  }
  ++lent_count_;
  to.pipes_ = this;
  lent_.push_back(to);
}

inline void splice_pipes::take_back(splice_pipe& from) noexcept {
  --lent_count_;
  from.unlink();
  if (from.held_ == 0 && idle_count_ != most_kept)
    idle_[idle_count_++] = from.ends_;
  else
    close(from.ends_);
}

/// True for what the system says where it cannot splice these two descriptors, or not now; the plain calls still work.
[[nodiscard]] inline bool splice_is_refused(std::ptrdiff_t status) noexcept {
  switch (-status) {
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
    case EPERM:
    case EBADF:
    case ENOMEM:
      return true;
    default:
      return false;
  }
}

}  // namespace detail
}  // namespace coflow::inline v0
