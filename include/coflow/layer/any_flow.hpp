/// \file
/// A flow whose type is not part of its type.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/core/awaiting.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/detail/storage.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/flow_handle.hpp"
#include "coflow/core/task.hpp"
#include "coflow/layer/detail/erased_wait.hpp"
#include "coflow/layer/reset.hpp"

namespace coflow::inline v0 {

class any_flow;
class any_read_into_flow;

namespace detail {

struct no_argument {};

class any_block;

/// What one kind of flow does, in functions that do not show its type. The first five make the operation and tell
/// whether it is over already.
struct any_functions {
  template <class Result, class Argument>
  using begin = bool (*)(any_block&, erased_wait<Result>&, Argument&);

  begin<read_result, no_argument> read;
  begin<result<void>, buffer> write;
  begin<result<void>, std::span<buffer>> writev;
  begin<void, shutdown_mode> shutdown;
  begin<void, no_argument> close;
  void (*reset)(any_block&) noexcept;
  void (*destroy_flow)(void*) noexcept;
  void (*free_block)(any_block*) noexcept;
};

/// The same of a flow that has `read_into`.
struct any_read_into_functions : any_functions {
  begin<read_into_result, std::span<std::byte>> read_into;
};

/// The one piece of memory behind an `any_flow`: this, the flow, and the name.
class any_block {
 public:
  [[nodiscard]] const any_functions& functions() const noexcept { return functions_; }
  [[nodiscard]] void* flow() const noexcept { return flow_; }
  [[nodiscard]] std::string_view name() const noexcept { return {name_, name_size_}; }

  /// Ends the flow (law C6): operations on it that wait complete with `error::closed`, and so do later ones.
  void drop_flow() noexcept {
    if (void* flow = std::exchange(flow_, nullptr)) functions_.destroy_flow(flow);
  }

  // For the handle.
  void close() noexcept { drop_flow(); }
  void destroy() noexcept { functions_.free_block(this); }

 protected:
  any_block(const any_functions& functions, char* name_at, std::string_view name) noexcept
      : functions_(functions), name_(name_at), name_size_(name.size()) {
    if (!name.empty()) std::memcpy(name_at, name.data(), name.size());
  }
  ~any_block() = default;

  void set_flow(void* flow) noexcept { flow_ = flow; }

 private:
  const any_functions& functions_;
  void* flow_ = nullptr;
  const char* name_;
  std::size_t name_size_;
};

template <class F>
class any_block_of final : public any_block {
 public:
  [[nodiscard]] static any_block* make(F flow, std::string_view name) {
    const std::size_t size = sizeof(any_block_of) + name.size();
    void* memory = allocate(size);
    try {
      return ::new (memory) any_block_of(std::move(flow), name);
    } catch (...) {
      deallocate(memory, size);
      throw;
    }
  }
  static void free(any_block* block) noexcept {
    auto* mine = static_cast<any_block_of*>(block);
    const std::size_t size = sizeof(any_block_of) + mine->name().size();
    mine->~any_block_of();
    deallocate(mine, size);
  }

 private:
  any_block_of(F flow, std::string_view name);
  ~any_block_of() {}  // the flow has been dropped

  static constexpr bool over_aligned = alignof(F) > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
  static void* allocate(std::size_t size) {
    if constexpr (over_aligned)
      return ::operator new(size, std::align_val_t(alignof(any_block_of)));
    else
      return pool_allocate(size);
  }
  static void deallocate(void* memory, std::size_t size) noexcept {
    if constexpr (over_aligned)
      ::operator delete(memory, std::align_val_t(alignof(any_block_of)));
    else
      pool_free(memory, size);
  }

  union {
    F kept_;
  };
};

// For operations that cannot wait in place. What `call` gives is made in the frame of the task, and before its first
// suspension, so that the flow may be gone later.
template <class Result, class F, class Argument, class Call>
task<Result> run_in_task(F* flow, Argument argument, Call call) {
  if constexpr (std::is_void_v<Result>) {
    co_await call(*flow, argument);
  } else {
    auto given = co_await call(*flow, argument);
    co_return as_system_result<Result>(std::move(given));
  }
}

template <class Result, class F, class Argument, class Call>
bool begin_wait(F& flow, erased_wait<Result>& wait, Argument& argument, Call call) {
  if constexpr (waits_in_place<decltype(call(flow, argument))>) {
    return wait.begin([&]() -> decltype(auto) { return call(flow, argument); });
  } else {
    return wait.begin([&] { return run_in_task<Result>(&flow, std::move(argument), call); });
  }
}

template <class F>
struct any_functions_of {
  static F& flow_in(any_block& block) noexcept { return *static_cast<F*>(block.flow()); }

  static bool read(any_block& block, erased_wait<read_result>& wait, no_argument& none) {
    return begin_wait(flow_in(block), wait, none, [](F& flow, no_argument&) -> decltype(auto) { return flow.read(); });
  }
  static bool read_into(any_block& block, erased_wait<read_into_result>& wait, std::span<std::byte>& room) {
    return begin_wait(flow_in(block), wait, room,
                      [](F& flow, std::span<std::byte>& given) -> decltype(auto) { return flow.read_into(given); });
  }
  static bool write(any_block& block, erased_wait<result<void>>& wait, buffer& bytes) {
    return begin_wait(flow_in(block), wait, bytes,
                      [](F& flow, buffer& given) -> decltype(auto) { return flow.write(std::move(given)); });
  }
  static bool writev(any_block& block, erased_wait<result<void>>& wait, std::span<buffer>& list) {
    return begin_wait(flow_in(block), wait, list,
                      [](F& flow, std::span<buffer>& given) -> decltype(auto) { return flow.writev(given); });
  }
  // These two never throw (laws S1, C2): if there is no memory for what the flow gives, it ends without.
  static bool shutdown(any_block& block, erased_wait<void>& wait, shutdown_mode& mode) try {
    return begin_wait(flow_in(block), wait, mode,
                      [](F& flow, shutdown_mode& given) -> decltype(auto) { return flow.shutdown(given); });
  } catch (const std::bad_alloc&) {
    return end_without(block, wait);
  }
  static bool close(any_block& block, erased_wait<void>& wait, no_argument& none) try {
    return begin_wait(flow_in(block), wait, none, [](F& flow, no_argument&) -> decltype(auto) { return flow.close(); });
  } catch (const std::bad_alloc&) {
    return end_without(block, wait);
  }
  static bool end_without(any_block& block, erased_wait<void>& wait) noexcept {
    wait.abandon();
    block.drop_flow();
    return true;
  }
  static void reset(any_block& block) noexcept {
    if (block.flow() != nullptr && !coflow::reset(flow_in(block))) block.drop_flow();
  }
  static void destroy(void* flow) noexcept { static_cast<F*>(flow)->~F(); }

  [[nodiscard]] static constexpr auto all() noexcept {
    constexpr any_functions basic{&read, &write, &writev, &shutdown, &close, &reset, &destroy, &any_block_of<F>::free};
    if constexpr (has_read_into<F>)
      return any_read_into_functions{basic, &read_into};
    else
      return basic;
  }
  static constexpr auto table = all();
};

template <class F>
any_block_of<F>::any_block_of(F flow, std::string_view name)
    : any_block(any_functions_of<F>::table, reinterpret_cast<char*>(this + 1), name) {
  set_flow(construct(kept_, std::move(flow)));
}

/// What the operations of an `any_flow` return: an object in the awaiting coroutine's frame that holds the operation of
/// the flow inside. It begins when it is awaited (law O1), which must happen before the flow is destroyed; after that
/// the flow may be moved or destroyed (law O2).
template <class Result, class Argument>
class [[nodiscard]] any_operation final {
 public:
  any_operation(any_block& block, any_functions::begin<Result, Argument> begin, Argument argument) noexcept
      : block_(block), begin_(begin), argument_(std::move(argument)) {}
  any_operation(any_operation&& unbegun) noexcept
      : block_(unbegun.block_), begin_(unbegun.begin_), argument_(std::move(unbegun.argument_)) {}
  ~any_operation() = default;

  [[nodiscard]] bool await_ready() { return block_.flow() == nullptr || begin_(block_, wait_, argument_); }
  template <suspended_coroutine Handle>
  [[nodiscard]] bool await_suspend(Handle coroutine) {
    return wait_.suspend(awaiting(coroutine));
  }
  Result await_resume() { return wait_.finish(); }

 private:
  any_block& block_;
  any_functions::begin<Result, Argument> begin_;
  [[no_unique_address]] Argument argument_;
  erased_wait<Result> wait_;
};

}  // namespace detail

/// A flow that holds any other flow, for code that is compiled once: a member of a class, an argument of a function, a
/// list of connections of several kinds. It may carry a name, for logs.
///
/// Every law of the flow inside holds, cancellation included, and its errors come as `std::error_code`. The flow lives
/// in one pooled block, so that an `any_flow` is a pointer to move. An operation costs a few indirect calls and
/// allocates nothing: the flow's own operation is put into the awaiting coroutine's frame. Only operations larger than
/// 192 bytes, and foreign ones that ask for a promise of a particular type or name the coroutine that is to go on, take
/// a block from the pool each time.
class any_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  /// Takes `flow` over; `name` is copied. Throws std::bad_alloc, or what moving `flow` throws; it is lost then.
  template <class F>
    requires(!std::same_as<F, any_flow> && SystemFlow<F>)
  explicit any_flow(F flow, std::string_view name = {})
      : block_(detail::any_block_of<F>::make(std::move(flow), name)) {}

  any_flow(any_flow&&) noexcept = default;
  any_flow& operator=(any_flow&&) noexcept = default;
  /// Destroys the flow inside, which closes it (law C6).
  ~any_flow() = default;

  /// Reads the next bytes of the stream, with all that the flow inside promises of it.
  [[nodiscard]] auto read() noexcept {
    return detail::any_operation<read_result, detail::no_argument>(*block_, functions().read, {});
  }
  /// Writes all of `bytes`.
  [[nodiscard]] auto write(buffer bytes) noexcept {
    return detail::any_operation<result<void>, buffer>(*block_, functions().write, std::move(bytes));
  }
  /// Writes all of `list` in order; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) noexcept {
    return detail::any_operation<result<void>, std::span<buffer>>(*block_, functions().writev, list);
  }
  /// Ends one half or both (laws S1 to S4). Should the flow's own operation find no memory, the flow is destroyed.
  [[nodiscard]] auto shutdown(shutdown_mode mode) noexcept {
    return detail::any_operation<void, shutdown_mode>(*block_, functions().shutdown, mode);
  }
  /// Ends both halves (laws C1 to C4). Should the flow's own operation find no memory, the flow is destroyed (law C6).
  [[nodiscard]] auto close() noexcept {
    return detail::any_operation<void, detail::no_argument>(*block_, functions().close, {});
  }

  /// Ends both halves now, so that the peer does not take that for a clean end; see `coflow::reset`. A flow that has
  /// nothing for it is destroyed (law C6).
  void reset() noexcept { functions().reset(*block_); }

  /// The name that was given to it, or nothing. Valid as long as the flow, wherever that is moved.
  [[nodiscard]] std::string_view name() const noexcept { return block_->name(); }

  /// The flow inside if it is an `F`, else null.
  template <class F>
  [[nodiscard]] F* target() noexcept {
    if constexpr (SystemFlow<F> && !std::same_as<F, any_flow>) {
      if (&functions() == &detail::any_functions_of<F>::table) return static_cast<F*>(block_->flow());
    }
    return nullptr;
  }
  template <class F>
  [[nodiscard]] const F* target() const noexcept {
    return const_cast<any_flow*>(this)->target<F>();
  }

 private:
  friend any_read_into_flow;

  [[nodiscard]] const detail::any_functions& functions() const noexcept { return block_->functions(); }

  flow_handle<detail::any_block> block_;
};

/// An `any_flow` that also reads into the caller's memory, and holds only flows that do: nothing could be made up for
/// those that do not without keeping bytes back from `read`. It is a flow of a type of its own.
class any_read_into_flow : any_flow {
 public:
  using any_flow::error_type;
  using any_flow::write_error_type;

  /// Takes `flow` over; `name` is copied. Throws std::bad_alloc, or what moving `flow` throws; it is lost then.
  template <class F>
    requires(!std::same_as<F, any_read_into_flow> && SystemFlow<F> && has_read_into<F>)
  explicit any_read_into_flow(F flow, std::string_view name = {}) : any_flow(std::move(flow), name) {}

  using any_flow::close;
  using any_flow::name;
  using any_flow::read;
  using any_flow::reset;
  using any_flow::shutdown;
  using any_flow::target;
  using any_flow::write;
  using any_flow::writev;

  /// Reads the next bytes of the stream into `room`, which must live until the await ends, with all that the flow
  /// inside promises of it.
  [[nodiscard]] auto read_into(std::span<std::byte> room) noexcept {
    const auto& functions = static_cast<const detail::any_read_into_functions&>(this->functions());
    return detail::any_operation<read_into_result, std::span<std::byte>>(*block_, functions.read_into, room);
  }
};

}  // namespace coflow::inline v0
