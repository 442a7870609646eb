#pragma once

// Peers that want the whole loop: a slow loris, floods of connections, of bytes, of bytes that nobody wants. A client
// that behaves, on the same loop, must be served all the same.

#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "hostile/silence.hpp"

namespace hostile {

/// How a server treats what comes.
enum class service { echo, collect, shut, shut_after_urgent, blocks };

template <class F>
task<> echo(F flow, buffer first) {
  const result<void> sent_first = co_await flow.write(std::move(first));
  if (!sent_first) co_return;
  for (;;) {
    read_result got = co_await flow.read();
    if (!got) co_return;
    const result<void> sent = co_await flow.write(std::move(*got));
    if (!sent) co_return;
  }
}
// Waits for a line that does not come.
template <class F>
task<> collect(F flow, bool blocks) {
  std::string line;
  for (;;) {
    const read_result got = co_await flow.read();
    if (!got) co_return;
    line.append(got->text());
    if (line.size() > 4096) line.clear();
    if (!blocks) continue;
    const auto until = clock::now() + std::chrono::milliseconds(2);
    while (clock::now() < until) {
    }
  }
}
template <class F>
task<> want_nothing(F flow) {
  co_await flow.shutdown(coflow::shutdown_mode::read);
  std::size_t accepted = 0;
  std::error_code ended;
  co_await write_until_it_fails(&flow, &accepted, &ended);
}
// The first byte says who it is: `w` behaves.
template <class Wire>
task<> receive(typename Wire::flow flow, service how) {
  read_result first = co_await flow.read();
  if (!first) co_return;
  if (first->text()[0] == 'w' || how == service::echo)
    co_await echo(std::move(flow), std::move(*first));
  else if (how == service::shut || how == service::shut_after_urgent)
    co_await want_nothing(std::move(flow));
  else
    co_await collect(std::move(flow), how == service::blocks);
}
template <class Wire>
task<> receive_all(typename Wire::listener at, service how) {
  coflow::task_scope clients(coflow::on_failure::isolate);
  for (;;) {
    auto client = co_await at.accept();
    if (!client) co_return;  // told to stop; the connections go with the scope
    clients.spawn(receive<Wire>(std::move(*client), how)).value();
  }
}

/// A server on a thread of its own.
template <class Wire>
class server_thread {
 public:
  explicit server_thread(service how)
      : loop_(Wire::make_loop()),
        at_(Wire::listen(4096)),
        address_(Wire::address(at_)),
        thread_([this, how] { coflow::run(*loop_, receive_all<Wire>(std::move(at_), how)); }) {}
  ~server_thread() {
    loop_->stop();
    thread_.join();
  }
  [[nodiscard]] const std::string& address() const noexcept { return address_; }

 private:
  std::unique_ptr<coflow::event_loop> loop_;
  typename Wire::listener at_;
  std::string address_;
  std::thread thread_;
};

/// The client that behaves. Gives how many echoes it got in `time`; ends early after `enough`.
inline std::size_t count_echoes(raw_peer& peer, std::chrono::milliseconds time, std::size_t enough) {
  const auto until = clock::now() + time;
  std::size_t count = 0;
  while (count < enough) {
    if (!peer.send("well behaved")) return count;
    for (std::size_t got = 0; got < 12;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
      pollfd asked{peer.fd(), POLLIN, 0};
      if (left <= 0 || ::poll(&asked, 1, static_cast<int>(left)) <= 0) return count;
      char room[64];
      const ssize_t more = ::recv(peer.fd(), room, sizeof room, 0);
      if (more <= 0) return count;
      got += static_cast<std::size_t>(more);
    }
    ++count;
  }
  return count;
}

/// `lorises` connections send a byte each 100 ms. Gives the echoes of a good client meanwhile.
template <class Wire>
std::size_t with_lorises(std::size_t lorises, service how, std::chrono::milliseconds time) {
  const server_thread<Wire> server(how);
  std::vector<raw_peer> slow;
  for (std::size_t i = 0; i < lorises; ++i) {
    slow.emplace_back(Wire::raw_connect(server.address()));
    slow.back().send_some("l");
  }
  std::atomic<bool> over{false};
  std::atomic<bool> begun{false};  // before the good client, however busy the machine is
  std::thread trickle([&] {
    auto next = clock::now();
    while (!over) {
      for (raw_peer& one : slow) one.send_some("l");
      begun = true;
      begun.notify_one();
      next += std::chrono::milliseconds(100);
      std::this_thread::sleep_until(next);
    }
  });
  begun.wait(false);
  raw_peer good(Wire::raw_connect(server.address()));
  const std::size_t count = count_echoes(good, time, SIZE_MAX);
  over = true;
  trickle.join();
  return count;
}

template <class Wire>
void sweep_lorises(ground<Wire>& on) {
  const std::size_t lorises = sanitized ? 200 : 2000;
  const std::chrono::milliseconds time(700);
  const std::size_t alone = with_lorises<Wire>(0, service::collect, time);
  const std::size_t among = with_lorises<Wire>(lorises, service::collect, time);
  std::printf("echoes in %d ms: alone %zu, among %zu slow lorises %zu\n", static_cast<int>(time.count()), alone,
              lorises, among);
  // The loris costs system calls, and shares the machine; it must not cost more than that.
  on.check(among * 20 >= alone && among >= 10, "slow loris",
           "a client gets " + std::to_string(among) + " echoes, " + std::to_string(alone) + " without a loris");
  const std::size_t failed = on.failed;
  on.muted = true;
  const std::size_t blocked = with_lorises<Wire>(lorises, service::blocks, time);
  on.check(blocked * 20 >= alone && blocked >= 10, "slow loris", "");
  on.muted = false;
  on.check(on.failed == failed + 1, "slow loris", "a server that blocks goes unseen");
}

/// A peer that sends without end until it is told. Gives the bytes that went.
template <class Wire>
std::size_t flood(const std::string& address, service how, const std::atomic<bool>& over, std::atomic<bool>& begun) {
  raw_peer peer(Wire::raw_connect(address));
  static_cast<void>(peer.send_some("f"));
  const std::string bytes(256 * 1024, 'f');
  std::size_t sent = 0;
  if (how == service::shut_after_urgent) static_cast<void>(peer.send_urgent('!'));
  while (!over) {
    pollfd asked{peer.fd(), POLLOUT, 0};
    if (::poll(&asked, 1, 10) > 0) sent += peer.send_some(bytes);
    if (sent > 1'000'000) begun = true;
  }
  begun = true;
  return sent;
}

/// A client gets all its echoes while another's bytes come without end; `wanted` of them, in any time that is not ever.
template <class Wire>
void one_flood(ground<Wire>& on, service how, const char* what) {
  const std::size_t wanted = on.proof.has("--long") ? 100'000 : sanitized ? 100 : 2000;
  const server_thread<Wire> server(how);
  std::atomic<bool> over{false};
  std::atomic<bool> begun{false};
  std::size_t sent = 0;
  std::thread other([&] { sent = flood<Wire>(server.address(), how, over, begun); });
  while (!begun) std::this_thread::yield();
  raw_peer good(Wire::raw_connect(server.address()));
  const auto start = clock::now();
  const std::size_t count = count_echoes(good, std::chrono::seconds(20), wanted);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - start);
  over = true;
  other.join();
  std::printf("%zu echoes in %d ms beside %zu MiB %s\n", count, static_cast<int>(took.count()), sent >> 20, what);
  on.proof.point(count / 100);
  on.check(count >= wanted, "floods", std::string("a client starves beside bytes ") + what);
}

/// More connections than the backlog holds, some of them reset before anybody has accepted them.
template <class Wire>
task<> sweep_backlog(ground<Wire>* on) {
  for (const std::size_t backlog : {std::size_t{1}, std::size_t{30}}) {
    auto at = Wire::listen(static_cast<int>(backlog));
    const std::string address = Wire::address(at);
    std::vector<raw_peer> crowd;
    for (std::size_t i = 0; i < backlog; ++i) {
      crowd.emplace_back(Wire::raw_connect(address));
      crowd.back().send_some(std::to_string(i));
    }
    // Those that find no room are not told so; they try again by themselves, in a second.
    std::vector<std::thread> late;
    std::atomic<int> served{0};
    for (int i = 0; i < 3; ++i) {
      late.emplace_back([&address, &served] {
        raw_peer one(Wire::raw_connect(address));
        if (one.connected() && count_echoes(one, std::chrono::seconds(20), 1) == 1) ++served;
      });
    }
    for (std::size_t i = 0; i < backlog; i += 2) crowd[i].reset();
    for (std::size_t i = 0; i < backlog; ++i) {
      auto client = co_await at.accept();
      if (!client) {
        on->check(false, "backlog", "accept gives " + coflow::laws::in_words(client.error()));
        continue;
      }
      if (i % 2 == 0) {
        const heard all = co_await listen_to(&*client);
        on->check(all.error == std::errc::connection_reset && all.text == std::to_string(i), "backlog",
                  "one that was reset in the backlog gives " + in_words(all));
      } else {
        const read_result got = co_await client->read();
        on->check(got.has_data() && got->text() == std::to_string(i), "backlog", "the order is not kept");
      }
    }
    coflow::task_scope echoes(coflow::on_failure::isolate);
    for (int i = 0; i < 3; ++i) {
      auto client = co_await at.accept();
      if (client) echoes.spawn(receive<Wire>(std::move(*client), service::echo)).value();
    }
    const result<void> joined = co_await echoes.join();
    static_cast<void>(joined);
    for (std::thread& one : late) one.join();
    on->check(served == 3, "backlog", "those that came too many were never served");
  }
}

template <class Wire>
void sweep_crowds(ground<Wire>& on) {
  if (on.wanted("slow loris")) sweep_lorises(on);
  if (on.wanted("floods")) {
    one_flood(on, service::echo, "that are sent back, though their sender does not read");
    one_flood(on, service::collect, "that are read");
    one_flood(on, service::shut, "that nobody wants");
    one_flood(on, service::shut_after_urgent, "that nobody wants, behind urgent data");
  }
}

}  // namespace hostile
