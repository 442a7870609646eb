/// \file
/// A doubly linked list through its elements: O(1) removal without knowing the list, no allocation.
#pragma once

#include <cstdint>

namespace coflow::inline v0 {
namespace detail {

/// A singly linked collection in which links may be before they come on a list: an executor's inbox.
class link_chain {
 public:
  /// Puts all links of the chain on a list.
  virtual void collect() noexcept = 0;

 protected:
  ~link_chain() = default;
};

/// A link of a list. Whoever ends its life takes it off first, by `unlink`: operations have this checked by their own
/// state, and a destructor here would cost each of them.
class list_link {
 public:
  list_link() noexcept {}
  list_link(const list_link&) = delete;
  list_link& operator=(const list_link&) = delete;

  [[nodiscard]] bool linked() const noexcept { return next_ != nullptr; }

  /// Takes this link off its list, if it is on one.
  void unlink() noexcept {
    if (next_ == nullptr) return;
    if (link_chain* chain = this->chain()) [[unlikely]]
      chain->collect();
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = nullptr;
  }

  /// Makes this link part of `chain`, in front of `next`, which may be null.
  void enter(link_chain& chain, list_link* next) noexcept {
    next_ = reinterpret_cast<list_link*>(reinterpret_cast<std::uintptr_t>(&chain) | 1);
    previous_ = next;
  }
  /// The link behind this one in its chain.
  [[nodiscard]] list_link* next_in_chain() const noexcept { return previous_; }

 protected:
  ~list_link() = default;

 private:
  template <class T>
  friend class intrusive_list;

  // In a chain, next_ says which one, marked by its lowest bit, and previous_ goes on.
  [[nodiscard]] link_chain* chain() const noexcept {
    const auto bits = reinterpret_cast<std::uintptr_t>(next_);
    return (bits & 1) != 0 ? reinterpret_cast<link_chain*>(bits & ~std::uintptr_t{1}) : nullptr;
  }

  list_link* next_ = nullptr;
  list_link* previous_;  // means something while next_ does
};

/// A link that takes itself off its list when it dies.
class self_unlinking : public list_link {
 protected:
  self_unlinking() noexcept {}
  ~self_unlinking() { unlink(); }
};

/// A first-in, first-out list of `T`, which derives from `list_link`. It does not own its elements.
template <class T>
class intrusive_list {
 public:
  intrusive_list() noexcept { reset(); }
  intrusive_list(const intrusive_list&) = delete;
  intrusive_list& operator=(const intrusive_list&) = delete;
  ~intrusive_list() { clear(); }

  [[nodiscard]] bool empty() const noexcept { return head_.next_ == &head_; }
  [[nodiscard]] T& front() const noexcept { return static_cast<T&>(*head_.next_); }

  void push_back(T& element) noexcept { insert(element, *head_.previous_, head_); }
  void push_front(T& element) noexcept { insert(element, head_, *head_.next_); }

  T& pop_front() noexcept {
    T& element = front();
    static_cast<list_link&>(element).unlink();
    return element;
  }

  /// Moves all elements of `other` to the end of this list.
  void splice_back(intrusive_list& other) noexcept {
    if (other.empty()) return;
    list_link& first = *other.head_.next_;
    list_link& last = *other.head_.previous_;
    other.reset();
    head_.previous_->next_ = &first;
    first.previous_ = head_.previous_;
    last.next_ = &head_;
    head_.previous_ = &last;
  }

  /// Takes all elements off.
  void clear() noexcept {
    while (!empty()) pop_front();
  }

  /// Calls `f(element)` for each element; `f` may not change the list.
  template <class F>
  void for_each(F&& f) const {
    for (list_link* link = head_.next_; link != &head_; link = link->next_) f(static_cast<T&>(*link));
  }

 private:
  class sentinel : public list_link {};

  void reset() noexcept {
    head_.next_ = &head_;
    head_.previous_ = &head_;
  }
  static void insert(list_link& element, list_link& before, list_link& after) noexcept {
    element.previous_ = &before;
    element.next_ = &after;
    before.next_ = &element;
    after.previous_ = &element;
  }

  sentinel head_;
};

}  // namespace detail
}  // namespace coflow::inline v0
