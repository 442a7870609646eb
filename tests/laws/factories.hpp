#pragma once

// How each flow of the library comes to a connected pair, for everything that is checked over many kinds of flow. A
// factory is what coflow::check_flow takes; the stacked ones take the factory of what is below.

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <chrono>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/net.hpp>
#include <cstddef>
#include <map>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

#include "support/toy_codec.hpp"

namespace factories {

template <class F>
using pair_of = std::pair<F, F>;

// The close of a flow without layers is done when it is begun (law C5).
template <class F>
void close_now(F& flow) noexcept {
  auto closing = flow.close();
  static_cast<void>(closing.await_ready());
}

/// A pipe in memory.
struct memory {
  using flow = coflow::memory_flow;
  explicit memory(std::size_t bytes = 4096) noexcept : capacity(bytes) {}
  std::size_t capacity;

  pair_of<flow> operator()() const { return coflow::memory_pipe(capacity); }
  void reset(flow& end) const noexcept { end.reset(); }
  void let_go(flow& end) const noexcept { factories::close_now(end); }
};

/// A connection over the loopback device.
struct tcp {
  using flow = coflow::tcp_flow;

  coflow::task<pair_of<flow>> operator()() const { return connect(); }
  void reset(flow& end) const noexcept { end.reset(); }
  void let_go(flow& end) const noexcept { factories::close_now(end); }
  std::size_t unread(flow& end) const noexcept {
    int count = 0;
    return ::ioctl(end.native_handle(), FIONREAD, &count) == 0 ? static_cast<std::size_t>(count) : 0;
  }
  bool end_has_arrived(flow& end) const noexcept {
    pollfd asked{end.native_handle(), POLLRDHUP, 0};
    return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

  static coflow::task<pair_of<flow>> connect() {
    auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
    if (!listener) throw std::system_error(listener.error());
    auto client = co_await coflow::tcp_connect(listener->local_endpoint());
    if (!client) throw std::system_error(client.error());
    auto server = co_await listener->accept();
    if (!server) throw std::system_error(server.error());
    // Small, but more than one segment of the loopback device, which would stall on less.
    for (flow* end : {&*client, &*server}) {
      end->set_option(SOL_SOCKET, SO_SNDBUF, 65536).value();
      end->set_option(SOL_SOCKET, SO_RCVBUF, 65536).value();
    }
    pair_of<flow> both(std::move(*client), std::move(*server));
    co_return std::move(both);
  }
};

/// A connection between local sockets. The system tells of a reset only where a closing end has left input unread, so
/// an end that is to be reset gets a byte from its peer first; that cannot be done once the peer has shut its write
/// half.
struct local {
  using flow = coflow::unix_flow;

  pair_of<flow> operator()() const {
    auto made = coflow::unix_pair();
    if (!made) throw std::system_error(made.error());
    for (flow* end : {&made->first, &made->second}) end->set_option(SOL_SOCKET, SO_SNDBUF, 65536).value();
    peers()[made->first.native_handle()] = made->second.native_handle();
    peers()[made->second.native_handle()] = made->first.native_handle();
    return std::move(*made);
  }
  void let_go(flow& end) const noexcept { factories::close_now(end); }
  void reset(flow& end) const noexcept {
    const auto peer = peers().find(end.native_handle());
    if (peer != peers().end() && peers()[peer->second] == end.native_handle()) {
      const char left_unread = '!';
      static_cast<void>(::send(peer->second, &left_unread, 1, MSG_NOSIGNAL | MSG_DONTWAIT));
    }
    static_cast<void>(end.close().await_ready());
  }
  std::size_t unread(flow& end) const noexcept {
    int count = 0;
    return ::ioctl(end.native_handle(), FIONREAD, &count) == 0 ? static_cast<std::size_t>(count) : 0;
  }
  bool end_has_arrived(flow& end) const noexcept {
    pollfd asked{end.native_handle(), POLLRDHUP, 0};
    return ::poll(&asked, 1, 0) > 0 && (asked.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

 private:
  // Which descriptors are connected; a number that is used again has another partner.
  static std::map<int, int>& peers() {
    static std::map<int, int> all;
    return all;
  }
};

/// A factory that puts something around what the factory `below` makes; `Wrap` says what.
template <class Below, class Wrap>
struct around {
  using flow = typename Wrap::template flow<typename Below::flow>;
  static constexpr bool by_awaiting = coflow::awaitable<std::invoke_result_t<const Below&>>;

  explicit around(Below inner = Below()) : below(std::move(inner)) {}
  Below below;

  auto operator()() const {
    if constexpr (Wrap::by_awaiting || by_awaiting)
      return connect(below);
    else
      return wrapped(below());
  }
  // What breaks the lowest flow breaks the stack.
  void reset(flow& end) const noexcept { below.reset(Wrap::below(end)); }
  // Closes the lowest flow, past the layers.
  void let_go(flow& end) const noexcept { below.let_go(Wrap::below(end)); }
  // Ends the stream without the goodbye that the protocol of the uppermost codec demands (law L7).
  void cut(flow& end) const noexcept
    requires Wrap::says_goodbye || requires(const Below& b, typename Below::flow& f) { b.cut(f); }
  {
    if constexpr (Wrap::says_goodbye)
      let_go(end);
    else
      below.cut(Wrap::below(end));
  }
  std::size_t unread(flow& end) const noexcept
    requires requires(const Below& b, typename Below::flow& f) { b.unread(f); }
  {
    return below.unread(Wrap::below(end));
  }
  bool end_has_arrived(flow& end) const noexcept
    requires requires(const Below& b, typename Below::flow& f) { b.end_has_arrived(f); }
  {
    return below.end_has_arrived(Wrap::below(end));
  }

 private:
  static pair_of<flow> wrapped(pair_of<typename Below::flow> ends) {
    return pair_of<flow>(Wrap::make(std::move(ends.first), true), Wrap::make(std::move(ends.second), false));
  }
  static coflow::task<pair_of<flow>> connect(Below make) {
    if constexpr (by_awaiting) {
      auto ends = co_await make();
      auto both = co_await finished(std::move(ends));
      co_return std::move(both);
    } else {
      auto both = co_await finished(make());
      co_return std::move(both);
    }
  }
  static coflow::task<pair_of<flow>> finished(pair_of<typename Below::flow> ends) {
    if constexpr (Wrap::by_awaiting) {
      auto both = co_await Wrap::connect(std::move(ends));
      co_return std::move(both);
    } else {
      co_return wrapped(std::move(ends));
    }
  }
};

struct layered {
  template <class Inner>
  using flow = coflow::layered_flow<Inner>;
  static constexpr bool says_goodbye = false;
  static constexpr bool by_awaiting = false;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool) {
    return flow<Inner>(std::move(inner));
  }
  template <class F>
  static auto& below(F& end) noexcept {
    return end.next_layer();
  }
};

/// A close that waits for a busy machine: over the kernel the limit is of real time.
inline coflow::codec_options patient() { return coflow::codec_options().close_limit(std::chrono::seconds(5)); }

struct framed {
  template <class Inner>
  using flow = coflow::codec_flow<coflow::length_prefix_codec, Inner>;
  static constexpr bool says_goodbye = true;
  static constexpr bool by_awaiting = false;
  template <class Inner>
  static flow<Inner> make(Inner inner, bool) {
    return flow<Inner>(coflow::length_prefix_codec(), std::move(inner), patient());
  }
  template <class F>
  static auto& below(F& end) noexcept {
    return end.next_layer();
  }
};

/// A flow whose type is not part of its type.
template <class Inner>
struct erased {
  template <class>
  using flow = coflow::any_flow;
  static constexpr bool says_goodbye = false;
  static constexpr bool by_awaiting = false;
  static coflow::any_flow make(Inner inner, bool) { return coflow::any_flow(std::move(inner)); }
  static Inner& below(coflow::any_flow& end) noexcept { return *end.target<Inner>(); }
};

template <class F>
void break_off(F& flow) noexcept {
  if constexpr (requires { flow.reset(); }) {
    flow.reset();
  } else if constexpr (requires { flow.next_layer(); }) {
    break_off(flow.next_layer());
  } else if constexpr (requires { flow.below(); }) {
    break_off(flow.below());
  }
}

/// Callables that hand everything on to a flow which they share.
template <class Inner>
struct called {
  struct read {
    std::shared_ptr<Inner> to;
    auto operator()() const { return to->read(); }
  };
  struct write {
    std::shared_ptr<Inner> to;
    auto operator()(coflow::buffer bytes) const { return to->write(std::move(bytes)); }
  };
  struct shutdown {
    std::shared_ptr<Inner> to;
    auto operator()(coflow::shutdown_mode mode) const { return to->shutdown(mode); }
  };
  struct close {
    std::shared_ptr<Inner> to;
    // A torn stream is broken below, at whatever depth that is possible.
    auto operator()(coflow::stream_end how) const {
      if (how == coflow::stream_end::torn) break_off(*to);
      return to->close();
    }
  };

  /// Remembers what is below, so that it can be reset.
  class function : public coflow::function_flow<read, write, shutdown, close> {
    using base = coflow::function_flow<read, write, shutdown, close>;

   public:
    explicit function(std::shared_ptr<Inner> to)
        : base(read{to}, write{to}, shutdown{to}, close{to}), to_(std::move(to)) {}
    [[nodiscard]] Inner& below() const noexcept { return *to_; }

   private:
    std::shared_ptr<Inner> to_;
  };

  template <class>
  using flow = function;
  static constexpr bool says_goodbye = false;
  static constexpr bool by_awaiting = false;
  static function make(Inner inner, bool) { return function(std::make_shared<Inner>(std::move(inner))); }
  static Inner& below(function& end) noexcept { return end.below(); }
};

/// A codec with a handshake, answers and authentication.
struct secured {
  template <class Inner>
  using flow = coflow::codec_flow<support::toy_codec, Inner>;
  static constexpr bool says_goodbye = true;
  static constexpr bool by_awaiting = true;

  template <class Inner>
  static coflow::task<> shake(Inner inner, support::toy_role role, coflow::result<flow<Inner>>* out) {
    auto made = co_await coflow::codec_handshake(support::toy_codec(role, 1, 5), std::move(inner), patient());
    *out = std::move(made);
  }
  template <class Inner>
  static coflow::task<pair_of<flow<Inner>>> connect(pair_of<Inner> ends) {
    coflow::result<flow<Inner>> client = coflow::error::closed;
    coflow::result<flow<Inner>> server = coflow::error::closed;
    coflow::task_scope both;
    both.spawn(shake(std::move(ends.first), support::toy_role::client, &client)).value();
    both.spawn(shake(std::move(ends.second), support::toy_role::server, &server)).value();
    const coflow::result<void> joined = co_await both.join();
    if (!joined) throw std::system_error(joined.error());
    if (!client) throw std::system_error(client.error());
    if (!server) throw std::system_error(server.error());
    pair_of<flow<Inner>> made(std::move(*client), std::move(*server));
    co_return std::move(made);
  }
  template <class F>
  static auto& below(F& end) noexcept {
    return end.next_layer();
  }
};

template <class Below = memory>
using over_layer = around<Below, layered>;
template <class Below = memory>
using over_frames = around<Below, framed>;
template <class Below = memory>
using over_secure = around<Below, secured>;
template <class Below = memory>
using over_any = around<Below, erased<typename Below::flow>>;
template <class Below = memory>
using over_functions = around<Below, called<typename Below::flow>>;

}  // namespace factories
