#pragma once

// S10 to S12: more than two sides, and a protocol of lines.

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "faults/plain_scenarios.hpp"

namespace faults {

// ---- S10: a proxy; the client half-closes, the server resets

/// One direction of a proxy: an end is passed on as an end, a failure as a reset.
template <class W>
task<> pass_on(side* from, typename W::flow* in, side* to, typename W::flow* out) {
  for (;;) {
    const std::size_t before = from->received.size();
    const bool more = co_await hear(from, in);
    if (!more) break;
    const bool sent = co_await say(to, out, from->received.substr(before));
    if (!sent) break;
  }
  if (from->at_eof()) {
    to->said_end = true;
    co_await out->shutdown(shutdown_mode::write);
  } else {
    if (!from->said_end) from->cut_off = true;
    if (!to->said_end) to->cut_off = true;
    W::reset(*in);
    W::reset(*out);
  }
}
template <class W>
task<> s10_proxy(stage* on, typename W::listener* front, typename W::listener* back) {
  coflow::result<typename W::flow> client = co_await front->accept();
  if (!client) {
    on->inner_client.report(client.error());
    front->close();
    back->close();
    co_return;
  }
  coflow::result<typename W::flow> server = co_await W::connect(back);
  if (!server) {
    on->inner_server.report(server.error());
    back->close();
    co_return;
  }
  on->inner_client.descriptor = descriptor_of(*client);
  on->inner_server.descriptor = descriptor_of(*server);
  {
    task_scope both(coflow::on_failure::isolate);
    both.spawn(pass_on<W>(&on->inner_client, &*client, &on->inner_server, &*server)).value();
    both.spawn(pass_on<W>(&on->inner_server, &*server, &on->inner_client, &*client)).value();
    static_cast<void>(co_await both.join());
  }
  back->close();
}
template <class W>
task<> s10_client(side* at, typename W::flow flow) {
  const bool said = co_await say(at, &flow, "a question");
  co_await flow.shutdown(shutdown_mode::write);
  if (said) co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W>
task<> s10_server(side* at, typename W::flow flow) {
  co_await hear_all(at, &flow);
  static_cast<void>(co_await say(at, &flow, "half of an ans"));
  at->cut_off = true;
  W::reset(flow);
  at->over = true;
}
template <class W>
task<> s10(stage* on) {
  on->proxied = true;
  coflow::result<typename W::listener> front = W::listen();
  coflow::result<typename W::listener> back = W::listen();
  if (!front || !back) {
    on->server.report(!front ? front.error() : back.error());
    co_return;
  }
  task_scope all(coflow::on_failure::isolate);
  all.spawn(accepting<W>(&on->server, &*back, s10_server<W>)).value();
  all.spawn(s10_proxy<W>(on, &*front, &*back)).value();
  all.spawn(connecting<W>(&on->client, &*front, s10_client<W>, true)).value();
  static_cast<void>(co_await all.join());
  on->complete = on->server.heard("a question") && on->client.read_end &&
                 *on->client.read_end == std::error_code(ECONNRESET, std::system_category());
}

// ---- S11: lines, many at once

/// Takes lines from a stream.
class line_reader {
 public:
  line_reader() {}

  /// The next whole line, without its end; false if there is none yet.
  [[nodiscard]] bool take(side* at, std::string& line) {
    const std::size_t end = at->received.find('\n', taken_);
    if (end == std::string::npos) return false;
    line = at->received.substr(taken_, end - taken_);
    taken_ = end + 1;
    return true;
  }

 private:
  std::size_t taken_ = 0;
};
template <class F>
task<bool> next_line(side* at, F* flow, line_reader* lines, std::string* line) {
  while (!lines->take(at, *line)) {
    const bool more = co_await hear(at, flow);
    if (!more) co_return false;
  }
  co_return true;
}

template <class W>
task<> s11_client(side* at, typename W::flow flow) {
  std::string all;
  for (int i = 0; i < 30; ++i) all += "ask " + std::to_string(i) + "\n";
  bool well = co_await say(at, &flow, all.substr(0, 100));  // in the middle of a line
  if (well) well = co_await say(at, &flow, all.substr(100));
  line_reader lines;
  for (int i = 0; i < 30 && well; ++i) {
    std::string line;
    well = co_await next_line(at, &flow, &lines, &line);
    if (well && line != "answer to ask " + std::to_string(i)) at->breach("a wrong answer: " + line);
    if (well) ++at->on.successes;
  }
  if (well) well = co_await say(at, &flow, "quit\n");
  if (well) co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W>
task<> s11_server(side* at, typename W::flow flow) {
  line_reader lines;
  for (;;) {
    std::string line;
    const bool more = co_await next_line(at, &flow, &lines, &line);
    if (!more || line == "quit") break;
    const bool answered = co_await say(at, &flow, "answer to " + line + "\n");
    if (!answered) break;
  }
  co_await part(at, &flow);
}
template <class W>
task<> s11(stage* on) {
  co_await meet<W>(on, s11_client<W>, s11_server<W>);
  on->complete = on->successes == 30 && on->client.at_eof() && on->reports.empty();
}

// ---- S12: a listener, 20 connections, one handler fails

template <class W>
task<> s12_handler(stage* on, typename W::flow flow) {
  std::string who;
  while (!who.ends_with('.')) {
    const coflow::read_result asked = co_await flow.read();
    if (!asked) {
      if (asked.failed()) on->server.report(asked.error());
      co_return;
    }
    who += asked->text();
  }
  if (who == "7.") throw std::runtime_error("a handler that fails");
  std::string text = "you are " + who;
  const coflow::result<void> sent = co_await flow.write(coflow::buffer(text));
  if (!sent) on->server.report(sent.error());
}
template <class W>
task<> s12_server(stage* on, typename W::listener* listener) {
  task_scope handlers(coflow::on_failure::isolate);
  for (;;) {
    coflow::result<typename W::flow> flow = co_await listener->accept();
    if (!flow) {
      if (flow.error() != coflow::error::closed) on->server.report(flow.error());
      listener->close();
      break;
    }
    handlers.spawn(s12_handler<W>(on, std::move(*flow))).value();
  }
  static_cast<void>(co_await handlers.join());
}
template <class W>
task<> s12_visit(stage* on, typename W::listener* listener, int number) {
  coflow::result<typename W::flow> flow = co_await W::connect(listener);
  if (!flow) {
    on->client.report(flow.error());
    co_return;
  }
  const std::string who = std::to_string(number) + ".";
  const coflow::result<void> sent = co_await flow->write(coflow::buffer(who));
  if (!sent) {
    on->client.report(sent.error());
    co_return;
  }
  std::string answer;
  for (;;) {
    const coflow::read_result got = co_await flow->read();
    if (got) {
      answer += got->text();
      continue;
    }
    if (got.failed()) on->client.report(got.error());
    break;
  }
  const std::string wanted = "you are " + who;
  if (!wanted.starts_with(answer)) on->client.breach("a wrong answer");
  if (answer == wanted) ++on->successes;
}
template <class W>
task<> s12_clients(stage* on, typename W::listener* listener) {
  for (int i = 1; i <= 20; i += 2) {
    task_scope two(coflow::on_failure::isolate);
    two.spawn(s12_visit<W>(on, listener, i)).value();
    two.spawn(s12_visit<W>(on, listener, i + 1)).value();
    const coflow::result<void> joined = co_await two.join();
    if (!joined) break;
  }
  listener->close();
}
template <class W>
task<> s12(stage* on) {
  coflow::result<typename W::listener> listener = W::listen();
  if (!listener) {
    on->server.report(listener.error());
    co_return;
  }
  task_scope both(coflow::on_failure::isolate);
  both.spawn(s12_server<W>(on, &*listener)).value();
  both.spawn(s12_clients<W>(on, &*listener)).value();
  static_cast<void>(co_await both.join());
  on->complete = on->successes == 19 && on->reports.empty();
}

}  // namespace faults
