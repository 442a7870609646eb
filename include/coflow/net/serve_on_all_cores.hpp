/// \file
/// A server on several threads, one event loop each.
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/run.hpp"
#include "coflow/core/detail/shared_callback.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"
#include "coflow/net/detail/system_thread.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/event_loop.hpp"
#include "coflow/net/listener.hpp"
#include "coflow/net/reactor.hpp"
#include "coflow/net/serve.hpp"
#include "coflow/net/serve_options.hpp"
#include "coflow/net/server_stop.hpp"
#include "coflow/net/stop_switch.hpp"
#include "coflow/net/tcp_listener.hpp"
#include "coflow/net/tcp_options.hpp"

namespace coflow::inline v0 {

/// Options of `serve_on_all_cores`: `cores_options().threads(4).stopped_by(the_switch)`.
class cores_options {
 public:
  cores_options() = default;

  /// How many loops there are, the calling thread's included; without it, or with 0, as many as the process may use
  /// cores.
  cores_options& threads(unsigned count) noexcept { return threads_ = count, *this; }
  /// What stops it, from any thread or a signal handler. Must outlive the call.
  cores_options& stopped_by(stop_switch& stop) noexcept { return stopped_by_ = &stop, *this; }
  /// How the address is listened on; `reuse_port` is turned on where there are several loops.
  cores_options& listening(listener_options how) noexcept { return listening_ = std::move(how), *this; }
  /// How the loops learn that descriptors are ready.
  cores_options& reactor(coflow::reactor which) noexcept { return reactor_ = which, *this; }
  /// Called once on the calling thread with the address and the port that was chosen, when all loops listen on it.
  template <class F>
    requires std::invocable<F&, const endpoint&>
  cores_options& on_listening(F report) {
    return on_listening_ = std::move(report), *this;
  }

  /// How many loops there will be; at least one.
  [[nodiscard]] unsigned threads() const noexcept { return threads_ != 0 ? threads_ : detail::sys::available_cores(); }
  [[nodiscard]] stop_switch* stopped_by() const noexcept { return stopped_by_; }
  [[nodiscard]] const listener_options& listening() const noexcept { return listening_; }
  [[nodiscard]] coflow::reactor reactor() const noexcept { return reactor_; }
  [[nodiscard]] const detail::shared_callback<const endpoint&>& on_listening() const noexcept { return on_listening_; }

 private:
  detail::shared_callback<const endpoint&> on_listening_;
  listener_options listening_;
  stop_switch* stopped_by_ = nullptr;
  unsigned threads_ = 0;
  coflow::reactor reactor_ = default_reactor;
};

/// True for listeners of which several may listen on one address, so that the kernel spreads the connections over them
/// (SO_REUSEPORT). Specialise it for a listener of your own that is made of such ones.
template <class L>
inline constexpr bool can_share_address = false;
template <>
inline constexpr bool can_share_address<tcp_listener> = true;

namespace detail {

/// One loop, its listener and its thread. The alignment keeps what two cores write on different cache lines.
template <class L, class MakeHandler, bool Watched>
class alignas(128) serving_core {
 public:
  serving_core(L listener, unsigned index, reactor which)
      : loop_(which), listener_(std::move(listener)), index_(index) {}
  serving_core(const serving_core&) = delete;
  serving_core& operator=(const serving_core&) = delete;
  ~serving_core() = default;

  struct shared {
    const MakeHandler& make_handler;
    const basic_serve_options<Watched>& options;
    stop_switch* asked;  // by the caller; may be null
    stop_switch failed;  // by a core that has ended with an error
  };

  void join_others(shared& all) {
    all_ = &all;
    failed_watch_.emplace(all.failed, loop_);
    if (all.asked != nullptr) asked_watch_.emplace(*all.asked, loop_);
  }

  void run() noexcept {
    try {
      failure_ = serve_until_stopped().error();
    } catch (...) {
      thrown_ = std::current_exception();
    }
    if (failure_ || thrown_) all_->failed.request();
  }
  [[nodiscard]] int start() noexcept { return thread_.start(*this); }
  void join() noexcept { thread_.join(); }

  [[nodiscard]] const std::error_code& failure() const noexcept { return failure_; }
  [[nodiscard]] const std::exception_ptr& thrown() const noexcept { return thrown_; }

 private:
  result<void> serve_until_stopped() {
    foreground<result<void>> job(serve_here(this));
    job.start(loop_);
    unsigned delivered = 0;
    for (;;) {
      static_cast<void>(loop_.take_stop_request());  // before the switches are read, which changed before it came
      for (const unsigned wanted = requests(); delivered < wanted; ++delivered) {
        const executor::entry inside(loop_);
        stop_.request();
      }
      if (job.ended()) return job.take();
      loop_.turn();
    }
  }
  // A failure elsewhere is a first request, never a second.
  [[nodiscard]] unsigned requests() const noexcept {
    const unsigned asked = all_->asked == nullptr ? 0 : all_->asked->requests();
    if (asked >= 2) return 2;
    return asked == 1 || all_->failed.requested() ? 1 : 0;
  }

  static task<result<void>> serve_here(serving_core* self) {
    auto handler = self->all_->make_handler(self->index_);
    basic_serve_options<Watched> options = self->all_->options;
    options.stopped_by(self->stop_);
    const result<void> came_to = co_await serve(std::move(self->listener_), std::move(handler), std::move(options));
    co_return came_to;
  }

  event_loop loop_;
  server_stop stop_;
  L listener_;
  unsigned index_;
  shared* all_ = nullptr;
  sys::thread thread_;
  std::error_code failure_;
  std::exception_ptr thrown_;
  std::optional<stop_switch::watcher> failed_watch_;
  std::optional<stop_switch::watcher> asked_watch_;
};

/// Binds one listener after another; the later ones share the port that the first was given.
class shared_address {
 public:
  shared_address(const endpoint& at, listener_options how) : address_(at), how_(std::move(how)) {}

  result<tcp_listener> operator()(unsigned) {
    result<tcp_listener> made = tcp_listener::bind(address_, how_);
    if (made && address_.port() == 0) address_.set_port(made->local_endpoint().port());
    return made;
  }
  [[nodiscard]] const endpoint& address() const noexcept { return address_; }

 private:
  endpoint address_;
  listener_options how_;
};

template <class MakeListener>
using made_listener_t = typename std::remove_cvref_t<std::invoke_result_t<MakeListener&, unsigned>>::value_type;

template <class MakeListener, class MakeHandler, bool Watched, class OnListening>
result<void> serve_on_cores(MakeListener& make_listener, const MakeHandler& make_handler,
                            const basic_serve_options<Watched>& options, const cores_options& cores,
                            OnListening on_listening) {
  using core = serving_core<made_listener_t<MakeListener>, MakeHandler, Watched>;
  const unsigned count = cores.threads();
  typename core::shared all{make_handler, options, cores.stopped_by(), {}};
  std::vector<std::unique_ptr<core>> loops;
  while (loops.size() < count) {
    const auto index = static_cast<unsigned>(loops.size());
    auto listener = make_listener(index);
    if (!listener) return listener.error();
    try {
      loops.push_back(std::make_unique<core>(std::move(*listener), index, cores.reactor()));
    } catch (const std::system_error& no_loop) {
      return no_loop.code();
    }
  }
  on_listening();
  for (auto& one : loops) one->join_others(all);

  // The calling thread is the first of them.
  unsigned running = 1;
  std::error_code failure;
  while (running < count && !failure) {
    const int status = loops[running]->start();
    if (status < 0)
      failure = from_system(-status);
    else
      ++running;
  }
  if (failure) all.failed.request();
  loops[0]->run();
  for (unsigned i = 1; i < running; ++i) loops[i]->join();

  for (const auto& one : loops) {
    if (one->thrown()) std::rethrow_exception(one->thrown());
    if (!failure) failure = one->failure();
  }
  if (failure) return failure;
  return success;
}

}  // namespace detail

/// Runs a server on several threads: an event loop, a listener and a handler for each, and nothing that they share on
/// the way of an operation. Blocks the calling thread, which is one of them, until all have ended.
///
/// `make_listener(core)` gives a `result` of a listener; it is called for each core, one after another, on the calling
/// thread. `make_handler(core)` gives the handler of a core; it is called on the core's own thread, inside its loop,
/// and at the same time as on others. `options` are those of `serve`, for each core: the bound on connections is one
/// per core, and `on_error` is called on every thread. `stopped_by` of `options` is not looked at, that of `cores` is.
///
/// The first core that fails stops the others gracefully. Gives success when the switch has stopped it; otherwise the
/// first failure, in the order of the cores, of whatever `serve` gives, of a listener, of a loop, or of a thread that
/// could not be started; then nothing is left running. Throws what `make_listener` throws and, when all have ended,
/// what a handler's maker or `serve` has thrown.
///
/// Listeners that cannot share an address, such as those of unix sockets, are refused by the compiler: serve them on
/// one loop.
template <class MakeListener, class MakeHandler, bool Watched = false>
  requires std::invocable<MakeListener&, unsigned>
result<void> serve_on_all_cores(MakeListener make_listener, MakeHandler make_handler,
                                basic_serve_options<Watched> options = {}, cores_options cores = {}) {
  using listener = detail::made_listener_t<MakeListener>;
  static_assert(Listener<listener>, "the first argument makes a result<L> where L is a Listener");
  static_assert(
      can_share_address<listener>,
      "listeners of this kind cannot share one address (SO_REUSEPORT): serve() them on one loop, or specialise "
      "coflow::can_share_address if they can");
  static_assert(std::invocable<const MakeHandler&, unsigned>,
                "the second argument makes a core's handler: make_handler(unsigned core)");
  return detail::serve_on_cores(make_listener, make_handler, options, cores, [] {});
}

/// The same for TCP: each core listens on `address`. Port 0 lets the system choose one, which all share; see
/// `cores_options::on_listening`.
template <class MakeHandler, bool Watched = false>
result<void> serve_on_all_cores(const endpoint& address, MakeHandler make_handler,
                                basic_serve_options<Watched> options = {}, cores_options cores = {}) {
  static_assert(std::invocable<const MakeHandler&, unsigned>,
                "the second argument makes a core's handler: make_handler(unsigned core)");
  listener_options how = cores.listening();
  if (cores.threads() > 1) how.reuse_port(true);
  detail::shared_address bind(address, std::move(how));
  return detail::serve_on_cores(bind, make_handler, options, cores, [&] {
    if (cores.on_listening()) cores.on_listening()(bind.address());
  });
}

}  // namespace coflow::inline v0
