/// \file
/// Timers in order of their deadlines: an intrusive pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986).
/// Adding is constant; removing any timer is logarithmic, amortised; nothing allocates.
#pragma once

#include <cstdint>

namespace coflow::inline v0 {
namespace detail {

class timer_heap;

/// What the heap needs to know of a timer. `previous_` is the previous sibling or, for a first child, the parent.
class timer_entry {
 public:
  timer_entry() noexcept {}
  timer_entry(const timer_entry&) = delete;
  timer_entry& operator=(const timer_entry&) = delete;

  [[nodiscard]] bool armed() const noexcept { return armed_; }
  [[nodiscard]] std::int64_t deadline() const noexcept { return deadline_; }

 private:
  friend class timer_heap;

  timer_entry* sibling_ = nullptr;
  timer_entry* previous_ = nullptr;
  timer_entry* child_ = nullptr;
  std::int64_t deadline_ = 0;
  std::uint64_t order_ = 0;  // equal deadlines expire in the order in which they were set
  bool armed_ = false;
};

class timer_heap {
 public:
  timer_heap() noexcept {}

  [[nodiscard]] bool empty() const noexcept { return root_ == nullptr; }
  [[nodiscard]] timer_entry& first() const noexcept { return *root_; }

  void add(timer_entry& entry, std::int64_t deadline) noexcept {
    entry.deadline_ = deadline;
    entry.order_ = ++order_;
    entry.sibling_ = entry.previous_ = entry.child_ = nullptr;
    entry.armed_ = true;
    root_ = root_ == nullptr ? &entry : meld(root_, &entry);
  }

  void remove(timer_entry& entry) noexcept {
    timer_entry* rest = merge_siblings(entry.child_);
    if (&entry == root_) {
      root_ = rest;
    } else {
      if (entry.previous_->child_ == &entry)
        entry.previous_->child_ = entry.sibling_;
      else
        entry.previous_->sibling_ = entry.sibling_;
      if (entry.sibling_ != nullptr) entry.sibling_->previous_ = entry.previous_;
      if (rest != nullptr) root_ = meld(root_, rest);
    }
    entry.armed_ = false;
  }

 private:
  static bool before(const timer_entry& a, const timer_entry& b) noexcept {
    return a.deadline_ != b.deadline_ ? a.deadline_ < b.deadline_ : a.order_ < b.order_;
  }

  // Two roots become one; the later one becomes the first child of the other.
  static timer_entry* meld(timer_entry* a, timer_entry* b) noexcept {
    if (before(*b, *a)) {
      timer_entry* swapped = a;
      a = b;
      b = swapped;
    }
    b->sibling_ = a->child_;
    if (b->sibling_ != nullptr) b->sibling_->previous_ = b;
    b->previous_ = a;
    a->child_ = b;
    a->sibling_ = a->previous_ = nullptr;
    return a;
  }

  // The two passes: pairs from the left, then the pairs from the right. No recursion.
  static timer_entry* merge_siblings(timer_entry* first) noexcept {
    timer_entry* pairs = nullptr;
    while (first != nullptr) {
      timer_entry* second = first->sibling_;
      timer_entry* next = second != nullptr ? second->sibling_ : nullptr;
      first->sibling_ = first->previous_ = nullptr;
      timer_entry* pair = first;
      if (second != nullptr) {
        second->sibling_ = second->previous_ = nullptr;
        pair = meld(first, second);
      }
      pair->sibling_ = pairs;
      pairs = pair;
      first = next;
    }
    timer_entry* whole = nullptr;
    while (pairs != nullptr) {
      timer_entry* next = pairs->sibling_;
      pairs->sibling_ = nullptr;
      whole = whole == nullptr ? pairs : meld(whole, pairs);
      pairs = next;
    }
    return whole;
  }

  timer_entry* root_ = nullptr;
  std::uint64_t order_ = 0;
};

}  // namespace detail
}  // namespace coflow::inline v0
