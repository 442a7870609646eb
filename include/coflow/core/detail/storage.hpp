/// \file
/// Making and ending objects in raw storage. The same as std::construct_at and std::destroy_at, which cost the whole of
/// <memory> to include.
#pragma once

#include <new>
#include <utility>

namespace coflow::inline v0 {
namespace detail {

// g++ 12 cannot see that a member of a union is read only where the mark beside it says that it is there, and warns in
// code that was inlined from here, at users' places.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

template <class T, class... Args>
T* construct(T& place, Args&&... args) {
  return ::new (const_cast<void*>(static_cast<const volatile void*>(__builtin_addressof(place))))
      T(std::forward<Args>(args)...);
}

template <class T>
void destroy(T& object) noexcept {
  object.~T();
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace detail
}  // namespace coflow::inline v0
