/// \file
/// Bytes that belong to exactly one holder at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "coflow/core/detail/pool.hpp"

namespace coflow::inline v0 {
namespace detail {

/// The header in front of a buffer's bytes; the bytes of an adopted string live in the string instead.
struct buffer_block {
  enum class kind : std::uint8_t { shelved, large, adopted };

  std::atomic<std::uint32_t> handles{1};
  kind made;
  bool writable;
  std::uint8_t shelf;  // the size class of a shelved block

  buffer_block(kind how, bool is_writable, std::size_t index) noexcept
      : made(how), writable(is_writable), shelf(static_cast<std::uint8_t>(index)) {}
  [[nodiscard]] std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this + 1); }

  // Out of line because the pool is a thread-local, whose address must not be cached in a coroutine body.
  [[nodiscard, gnu::noinline]] static buffer_block* make(std::size_t size, bool writable) {
    return make_here(size, writable);
  }
  [[nodiscard, gnu::always_inline]] static buffer_block* make_here(std::size_t size, bool writable) {
    if (pooling && size <= size_classes::small_limit - sizeof(buffer_block)) [[likely]] {
      const std::size_t index = (size + sizeof(buffer_block) - 1) / size_classes::granule;
      pool::shelf& shelf = thread_pool.shelves[index];
      if (pool::free_block* block = shelf.first) [[likely]] {
        shelf.first = block->next;
        ++shelf.room;
        return ::new (static_cast<void*>(block)) buffer_block(kind::shelved, writable, index);
      }
    }
    return make_slowly(size, writable);
  }
  [[nodiscard, gnu::noinline, gnu::cold]] static buffer_block* make_slowly(std::size_t size, bool writable) {
    if (size > PTRDIFF_MAX - sizeof(buffer_block)) throw std::bad_alloc();
    const std::size_t whole = sizeof(buffer_block) + size;
    if (!pooling || whole > size_classes::limit)
      return ::new (::operator new(whole)) buffer_block(kind::large, writable, 0);
    const std::size_t index = size_classes::index(whole);
    return ::new (unshelve(index)) buffer_block(kind::shelved, writable, index);
  }
};

struct adopted_block : buffer_block {
  std::string text;
  explicit adopted_block(std::string&& from) noexcept : buffer_block(kind::adopted, false, 0), text(std::move(from)) {}
};

[[gnu::noinline, gnu::cold]] inline void destroy_unshelved(buffer_block* block) noexcept {
  if (block->made == buffer_block::kind::large) {
    ::operator delete(static_cast<void*>(block));
  } else {
    static_cast<adopted_block*>(block)->~adopted_block();
    pool_free(block, sizeof(adopted_block));
  }
}

// A sole owner pays a load. Out of line like `make`.
[[gnu::noinline]] inline void release_block(buffer_block* block) noexcept {
  if (block->handles.load(std::memory_order_acquire) != 1 &&
      block->handles.fetch_sub(1, std::memory_order_acq_rel) != 1)
    return;
  if (block->made == buffer_block::kind::shelved) [[likely]]
    shelve(block, block->shelf);
  else
    destroy_unshelved(block);
}

struct buffer_access;

}  // namespace detail

/// A move-only handle on bytes in a pooled, reference-counted block.
///
/// A buffer that was moved from is empty. Handles made by `share` and `take_front` look at the same block; the block is
/// freed with its last handle, on any thread, also after `main`. Because a buffer is move-only, bytes given to `write`
/// cannot be reused by mistake (law W2), and bytes given by `read` belong to the caller alone (law R2).
class buffer {
 public:
  /// An empty buffer; owns nothing.
  buffer() noexcept {}

  /// A copy of `text`. Throws std::bad_alloc.
  explicit buffer(std::string_view text) : buffer(text.data(), text.size(), false) {}

  /// A copy of `bytes`. Throws std::bad_alloc.
  explicit buffer(std::span<const std::byte> bytes) : buffer(bytes.data(), bytes.size(), false) {}

  /// Takes over a string without copying its characters. Throws std::bad_alloc.
  [[nodiscard]] static buffer adopt(std::string text) {
    if (text.empty()) return buffer();
    auto* block = ::new (detail::pool_allocate(sizeof(detail::adopted_block))) detail::adopted_block(std::move(text));
    return buffer(block, reinterpret_cast<std::byte*>(block->text.data()), block->text.size());
  }

  /// `size` bytes of unspecified content to be filled through `writable()`. Throws std::bad_alloc.
  [[nodiscard]] static buffer allocate(std::size_t size) { return buffer(size, true); }

  buffer(const buffer&) = delete;
  buffer& operator=(const buffer&) = delete;
  buffer(buffer&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  buffer& operator=(buffer&& other) noexcept {
    detail::buffer_block* const dropped = std::exchange(block_, std::exchange(other.block_, nullptr));
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    if (dropped != nullptr) detail::release_block(dropped);
    return *this;
  }
  ~buffer() {
    if (block_ != nullptr) detail::release_block(block_);
  }

  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// The bytes; valid as long as any handle on them lives.
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

  /// The bytes as characters; valid as long as any handle on them lives.
  [[nodiscard]] std::string_view text() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }

  /// The bytes to write to, or an empty span where writing is not allowed: bytes are writable where `allocate` (or a
  /// flow's read) made them and while their block has this one handle.
  [[nodiscard]] std::span<std::byte> writable() noexcept {
    if (block_ == nullptr || !block_->writable || block_->handles.load(std::memory_order_acquire) != 1) return {};
    return {data_, size_};
  }

  /// Splits off the first `count` bytes (all of them if there are fewer) without copying; this buffer keeps the rest.
  [[nodiscard]] buffer take_front(std::size_t count) noexcept {
    if (count >= size_) return std::move(*this);
    if (count == 0) return buffer();
    buffer front = share();
    front.size_ = count;
    remove_prefix(count);
    return front;
  }

  /// A second handle on the same bytes, for one payload and many peers.
  [[nodiscard]] buffer share() const noexcept {
    if (block_ != nullptr) block_->handles.fetch_add(1, std::memory_order_relaxed);
    return buffer(block_, data_, size_);
  }

  /// Drops the first `count` bytes (all of them if there are fewer). Dropping the last byte releases the block.
  void remove_prefix(std::size_t count) noexcept {
    if (count >= size_) {
      clear();
      return;
    }
    data_ += count;
    size_ -= count;
  }

  /// Drops the last `count` bytes (all of them if there are fewer). Dropping the last byte releases the block.
  void remove_suffix(std::size_t count) noexcept {
    if (count >= size_) {
      clear();
      return;
    }
    size_ -= count;
  }

  /// Makes the buffer empty and gives up its block.
  void clear() noexcept { buffer().swap(*this); }

  void swap(buffer& other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  friend void swap(buffer& a, buffer& b) noexcept { a.swap(b); }

 private:
  friend struct detail::buffer_access;

  buffer(detail::buffer_block* block, std::byte* data, std::size_t size) noexcept
      : block_(block), data_(data), size_(size) {}

  buffer(std::size_t size, bool writable) {
    if (size == 0) return;
    block_ = detail::buffer_block::make(size, writable);
    data_ = block_->bytes();
    size_ = size;
  }
  buffer(const void* from, std::size_t size, bool writable) : buffer(size, writable) {
    if (size != 0) std::memcpy(data_, from, size);
  }

  detail::buffer_block* block_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

namespace detail {

/// For flows, whose reads may be written to like what `buffer::allocate` gives.
struct buffer_access {
  /// Makes `empty`, which holds nothing, a writable copy of `size` bytes, at least one. Not for a coroutine's body.
  static void copy(buffer& empty, const void* from, std::size_t size) {
    empty.block_ = buffer_block::make_here(size, true);
    empty.data_ = empty.block_->bytes();
    empty.size_ = size;
    std::memcpy(empty.data_, from, size);
  }
};

}  // namespace detail
}  // namespace coflow::inline v0
