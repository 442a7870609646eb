/// \file
/// Making and ending objects in raw storage. The same as std::construct_at and std::destroy_at, which cost the whole of
/// <memory> to include.
#pragma once

#include <new>
#include <utility>

namespace coflow::inline v0 {
namespace detail {

template <class T, class... Args>
T* construct(T& place, Args&&... args) {
  return ::new (static_cast<void*>(__builtin_addressof(place))) T(std::forward<Args>(args)...);
}

template <class T>
void destroy(T& object) noexcept {
  object.~T();
}

}  // namespace detail
}  // namespace coflow::inline v0
