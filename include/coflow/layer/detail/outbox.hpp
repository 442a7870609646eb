/// \file
/// Bytes on their way out that nobody has asked to be sent yet: small ones packed, large ones as they are.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/min_max.hpp"

namespace coflow::inline v0 {
namespace detail {

/// A list for one `writev`, and a block that is being filled. Blocks grow with what is put between two sendings, so
/// that a lone small message does not keep a large block alive at its receiver.
class outbox {
 public:
  /// What has fewer bytes is packed: copying it costs less than another buffer in the list.
  static constexpr std::size_t worth_sharing = 512;

  outbox() noexcept {}

  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }

  /// Copies `some`. Throws std::bad_alloc; nothing has changed then.
  void put(std::span<const std::byte> some) {
    if (some.size() > room_) [[unlikely]]
      return put_elsewhere(some);
    pack(some);
  }
  /// Puts the bytes of `whole`, a second handle on them where they are many. Throws std::bad_alloc; nothing has changed
  /// then.
  void put(const buffer& whole) {
    if (whole.size() < worth_sharing) return put(whole.bytes());
    share(whole.share());
  }
  /// At most so many buffers make it up.
  [[nodiscard]] std::size_t pieces() const noexcept { return list_.size() + 1; }

  /// Moves everything into `list`, which is empty, and uses the memory of that from now on.
  void take(std::vector<buffer>& list) noexcept {
    seal();
    list.swap(list_);
    bytes_ = 0;
    if (room_ < least_room || list_.capacity() == 0) drop_block();
  }
  /// Nothing is going on: gives the block up.
  void rest() noexcept {
    drop_block();
    next_size_ = first_size;
  }

 private:
  // What a buffer of the pool's small blocks holds, which are handed out fastest.
  static constexpr std::size_t first_size = 496;
  static constexpr std::size_t largest_size = 16 * 1024 - 64;
  static constexpr std::size_t least_room = 64;

  void pack(std::span<const std::byte> some) noexcept {
    if (some.empty()) return;
    std::memcpy(end_, some.data(), some.size());
    end_ += some.size();
    room_ -= some.size();
    bytes_ += some.size();
  }
  void put_elsewhere(std::span<const std::byte> some) {
    if (some.size() >= worth_sharing) return share(buffer(some));
    reserve(2);  // for what is sealed now, and for what goes into the new block
    buffer fresh = buffer::allocate(next_size_ < some.size() ? some.size() : next_size_);
    next_size_ = smaller(2 * next_size_, largest_size);
    seal();
    block_ = std::move(fresh);
    begin_ = end_ = block_.writable().data();
    room_ = block_.size();
    pack(some);
  }
  void share(buffer whole) {
    reserve(3);  // and for what may still go into the block
    seal();
    bytes_ += whole.size();
    list_.push_back(std::move(whole));
  }
  void reserve(std::size_t more) {
    if (list_.capacity() - list_.size() < more) list_.reserve(larger<std::size_t>(8, 2 * list_.size() + more));
  }
  // What is in the block and not in the list goes there, without copying.
  void seal() noexcept {
    if (begin_ == end_) return;
    const auto size = static_cast<std::size_t>(end_ - begin_);
    list_.push_back(block_.take_front(size));
    begin_ = end_;
  }
  void drop_block() noexcept {
    block_.clear();
    begin_ = end_ = nullptr;
    room_ = 0;
  }

  std::vector<buffer> list_;  // always with room for one more while a block is open
  buffer block_;              // the rest of it, from begin_
  std::byte* begin_ = nullptr;
  std::byte* end_ = nullptr;
  std::size_t room_ = 0;
  std::size_t bytes_ = 0;
  std::size_t next_size_ = first_size;
};

}  // namespace detail
}  // namespace coflow::inline v0
