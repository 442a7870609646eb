/// \file
/// A server: one handler for each connection that a listener accepts.
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include "coflow/async/detail/as_task.hpp"
#include "coflow/core/awaitable.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/error.hpp"
#include "coflow/core/result.hpp"
#include "coflow/core/task.hpp"
#include "coflow/net/detail/server_core.hpp"
#include "coflow/net/endpoint.hpp"
#include "coflow/net/listener.hpp"
#include "coflow/net/serve_options.hpp"
#include "coflow/net/watched_flow.hpp"

namespace coflow::inline v0 {
namespace detail {

template <class F, bool Watched>
struct handled_flow {
  using type = F;
};
template <class F>
struct handled_flow<F, true> {
  static_assert(SystemFlow<F>, "an idle_timeout needs a flow whose errors are or convert to std::error_code");
  using type = watched_flow<F>;
};

/// Calls the handler with the flow to keep, or if it wants that, with one to use while it runs.
template <class Handler, class F>
decltype(auto) call_handler(Handler& handler, F& flow) {
  if constexpr (std::invocable<Handler&, F&&>)
    return handler(std::move(flow));
  else
    return handler(flow);
}

template <class T>
inline constexpr bool is_handler_outcome = std::is_void_v<T>;
template <class T, class E>
inline constexpr bool is_handler_outcome<result<T, E>> = true;

template <class E>
[[nodiscard]] std::error_code code_of(const E& given) noexcept {
  if constexpr (std::convertible_to<const E&, std::error_code>)
    return given;
  else
    return std::make_error_code(std::errc::io_error);
}

/// The server for one kind of listener and one kind of handler.
template <class L, class Handler, bool Watched>
class server final : public server_core {
  using accepted_flow = accepted_flow_t<L>;
  using flow_type = typename handled_flow<accepted_flow, Watched>::type;
  static_assert(std::invocable<Handler&, flow_type> || std::invocable<Handler&, flow_type&>,
                "the handler of serve() is called with the flow: with an idle_timeout that is a "
                "coflow::watched_flow<F>, else what the listener accepts");
  using awaited_type = decltype(call_handler(std::declval<Handler&>(), std::declval<flow_type&>()));
  static_assert(awaitable<awaited_type>, "the handler of serve() returns something to await, such as a task");
  using outcome_type = std::remove_cvref_t<await_result_t<awaited_type>>;
  static_assert(is_handler_outcome<outcome_type>, "the handler of serve() is awaited and gives nothing, or a result");

 public:
  server(L listener, Handler handler, const basic_serve_options<Watched>& options)
      : server_core(limits_of(options), options.stopped_by() == nullptr ? nullptr : &options.stopped_by()->servers()),
        listener_(std::move(listener)),
        handler_(std::move(handler)),
        on_error_(options.on_error()) {}
  ~server() { this->destroy_tasks(); }

 private:
  // Before the task in the order of construction, behind it in that of destruction.
  class flow_box {
   public:
    explicit flow_box(flow_type flow) : flow_(std::move(flow)) {}
    flow_type flow_;
  };

  class connection final : private flow_box, public root<outcome_type>, public server_connection, public pooled {
   public:
    connection(server& of, flow_type flow, const endpoint& peer, std::size_t number)
        : flow_box(std::move(flow)),
          root<outcome_type>(make_body(of.handler_, this->flow_)),
          server_connection(number),
          server_(of),
          peer_(peer) {}
    ~connection() = default;

    void watch(activity_share what) noexcept { this->watch_.watch(std::move(what)); }
    void request_stop() noexcept override { root<outcome_type>::request_stop(); }
    void destroy() noexcept override { delete this; }
    const stop_node& stop_chain() const noexcept override { return root<outcome_type>::stop_chain(); }

   private:
    static task<outcome_type> make_body(Handler& handler, flow_type& flow) {
      return as_task(call_handler(handler, flow));
    }

    void on_end() noexcept override {
      std::error_code failure;
      std::exception_ptr thrown;
      try {
        if constexpr (std::is_void_v<outcome_type>) {
          this->take();
        } else {
          const outcome_type outcome = this->take();
          if (!outcome.has_value()) failure = code_of(outcome.error());
        }
      } catch (...) {
        thrown = std::current_exception();
      }
      if (!thrown && this->cut_off()) failure = error::timed_out;
      server& told = server_;
      const endpoint peer = peer_;
      delete this;
      if (failure || thrown) told.report(failure, std::move(thrown), peer);
      told.connection_ended();
    }

    server& server_;
    endpoint peer_;
  };

  static server_limits limits_of(const basic_serve_options<Watched>& options) noexcept {
    server_limits limits;
    limits.connections = options.max_connections();
    limits.grace = options.grace();
    limits.idle = options.idle_timeout();
    return limits;
  }

  void close_listener() noexcept override { listener_.close(); }
  task<> make_acceptor() override { return accept_all(this); }

  static task<> accept_all(server* self) {
    try {
      room_wait room(*self);
      for (;;) {
        co_await room;
        if (self->stopping()) co_return;
        auto accepted = co_await self->listener_.accept();
        if (!accepted.has_value()) {
          self->accept_failed(accepted.error(), nullptr);
          co_return;
        }
        if (self->stopping()) co_return;
        self->welcome(std::move(*accepted));
      }
    } catch (...) {
      self->accept_failed(std::error_code(), std::current_exception());
    }
  }

  void welcome(accepted_flow flow) noexcept {
    endpoint peer;
    if constexpr (requires {
                    { flow.remote_endpoint() } -> std::convertible_to<endpoint>;
                  })
      peer = flow.remote_endpoint();
    try {
      connection* fresh = make_connection(std::move(flow), peer);
      if (this->stopping()) {  // the handler has asked for it when it was called
        fresh->destroy();
        return;
      }
      this->add(*fresh);
      fresh->start(this->home());
    } catch (...) {
      report(std::error_code(), std::current_exception(), peer);
    }
  }

  connection* make_connection(accepted_flow flow, const endpoint& peer) {
    if constexpr (Watched) {
      activity_share noted(new activity);
      auto* fresh = new connection(*this, flow_type(std::move(flow), noted), peer, this->next_number());
      fresh->watch(std::move(noted));
      return fresh;
    } else {
      return new connection(*this, std::move(flow), peer, this->next_number());
    }
  }

  void report(std::error_code failure, std::exception_ptr thrown, const endpoint& peer) noexcept {
    if (!on_error_) {
      if (thrown) this->keep(std::move(thrown));
      return;
    }
    try {
      if (thrown)
        on_error_(connection_failure(std::move(thrown), peer));
      else
        on_error_(connection_failure(failure, peer));
    } catch (...) {  // its own affair: the other connections go on
    }
  }

  L listener_;
  Handler handler_;
  shared_callback<const connection_failure&> on_error_;
};

}  // namespace detail

/// Accepts connections and runs `handler(flow)` for each, side by side, until it is told to stop.
///
/// The handler is called with the flow (a `watched_flow` around it if `options` has an `idle_timeout`), by value or by
/// reference; it lives until its connection has ended. What it returns is awaited as a task of its own, from a turn of
/// the executor, and gives nothing or a `result`. An error or an exception concerns that connection alone: it is
/// reported once to `serve_options::on_error` after its flow is closed. Without that callback errors are dropped; the
/// first exception is kept and thrown when `serve` ends.
///
/// A stop, of the task (law X0) or through `serve_options::stopped_by`, is graceful: the listener is closed, handlers
/// that run have `serve_options::grace` to finish, then they are cancelled and waited for. Another request, or the end
/// of the executor, cancels them at once. A handler that ignores cancellation is waited for as long as it takes;
/// destroying the task destroys it (law C6).
///
/// Gives success when `stopped_by` has stopped it, `operation_canceled` when the stop of its task did, the error of
/// `accept` when the listener broke (which ends it in the same graceful way), `error::closed` when the executor goes
/// away, `error::no_executor`. The listener is closed once in every case. Two or three pooled blocks for each
/// connection; nothing allocates for an operation. Throws std::bad_alloc if there is no memory to begin; what accept
/// throws.
template <Listener L, class Handler, bool Watched = false>
[[nodiscard]] task<result<void>> serve(L listener, Handler handler, basic_serve_options<Watched> options = {}) {
  detail::server<L, Handler, Watched> all(std::move(listener), std::move(handler), options);
  const result<void> came_to = co_await detail::server_run(all);
  co_return came_to;
}

}  // namespace coflow::inline v0
