#pragma once

// S1 to S7, S13 and S15: what two sides do with a connection as it is.

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "faults/meeting.hpp"

namespace faults {

using namespace std::chrono_literals;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;

/// Sends back what comes until the end, then parts.
template <class F>
task<> echo(side* at, F flow) {
  for (;;) {
    const std::size_t before = at->received.size();
    const bool more = co_await hear(at, &flow);
    if (!more) break;
    const bool sent = co_await say(at, &flow, at->received.substr(before));
    if (!sent) break;
  }
  co_await part(at, &flow);
}

// ---- S1: connect, echo, close

template <class W>
task<> s1_client(side* at, typename W::flow flow) {
  bool well = true;
  for (std::size_t size = 1; size < 10'000 && well; size *= 70) {
    well = co_await say(at, &flow, material(size));
    if (well) well = co_await hear_up_to(at, &flow, at->offered.size());
  }
  co_await part(at, &flow);
}
template <class W>
task<> s1(stage* on) {
  co_await meet<W>(on, s1_client<W>, echo<typename W::flow>);
  on->complete = on->client.received.size() == 4971 && on->server.heard(on->client.offered) && on->reports.empty();
}

// ---- S2: request, half-close, reply, eof

template <class W>
task<> s2_client(side* at, typename W::flow flow) {
  const bool asked = co_await say(at, &flow, "tell me all");
  co_await flow.shutdown(shutdown_mode::write);
  if (asked) co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W>
task<> s2_server(side* at, typename W::flow flow) {
  co_await hear_all(at, &flow);
  static_cast<void>(co_await say(at, &flow, material(3000)));
  std::vector<coflow::buffer> list;
  for (int i = 0; i < 3; ++i) list.emplace_back(material(50, 5));
  static_cast<void>(co_await say_list(at, &flow, std::move(list)));
  co_await flow.shutdown(shutdown_mode::read_write);
  co_await part(at, &flow);
}
template <class W>
task<> s2(stage* on) {
  co_await meet<W>(on, s2_client<W>, s2_server<W>);
  on->complete = on->server.heard("tell me all") &&
                 on->client.heard(material(3000) + material(50, 5) + material(50, 5) + material(50, 5));
}

// ---- S3: much against a slow reader

template <class W>
task<> s3_client(side* at, typename W::flow flow) {
  const coflow::result<void> narrow = W::narrow(flow);
  if (!narrow) at->report(narrow.error());
  const std::string much = material(at->on.bulk);
  bool well = narrow.has_value();
  for (std::size_t i = 0; i < 4 && well; ++i)
    well = co_await say(at, &flow, much.substr(i * (much.size() / 4), much.size() / 4));
  co_await flow.shutdown(shutdown_mode::write);
  if (well) co_await hear_all(at, &flow);  // nobody answers to what was not said
  co_await part(at, &flow);
}
template <class W>
task<> s3_server(side* at, typename W::flow flow) {
  const coflow::result<void> narrow = W::narrow(flow);
  if (!narrow) at->report(narrow.error());
  for (int i = 1;; ++i) {
    const bool more = co_await hear(at, &flow);
    if (!more) break;
    if (i % 16 == 0 && i < 1000) static_cast<void>(co_await coflow::sleep_for(1ms));
  }
  co_await part(at, &flow);
}
template <class W>
task<> s3(stage* on) {
  co_await meet<W>(on, s3_client<W>, s3_server<W>);
  on->complete = on->server.heard(material(on->bulk)) && on->client.at_eof() && on->reports.empty();
}

// ---- S4: a list of 3,000 buffers, every third empty

[[nodiscard]] inline std::vector<coflow::buffer> many_buffers(std::size_t count) {
  std::vector<coflow::buffer> list;
  list.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (i % 3 == 0)
      list.emplace_back();
    else
      list.emplace_back(material(i % 17 + 1, static_cast<unsigned>(i)));
  }
  return list;
}
template <class W>
task<> s4_client(side* at, typename W::flow flow) {
  const bool sent = co_await say_list(at, &flow, many_buffers(at->on.successes));
  co_await flow.shutdown(shutdown_mode::write);
  if (sent) co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W>
task<> listens(side* at, typename W::flow flow) {
  co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W, std::size_t count>
task<> s4(stage* on) {
  on->successes = count;
  co_await meet<W>(on, s4_client<W>, listens<W>);
  on->complete = on->server.heard(on->client.offered) && !on->client.offered.empty() && on->client.at_eof();
}

// ---- S5: close with a read pending

template <class F>
task<> hear_as_child(side* at, F* flow) {
  static_cast<void>(co_await hear(at, flow));
}
template <class W>
task<> s5_client(side* at, typename W::flow flow) {
  task_scope scope(coflow::on_failure::isolate);
  scope.spawn(hear_as_child(at, &flow)).value();
  scope.spawn(hear_as_child(at, &flow)).value();
  static_cast<void>(co_await coflow::sleep_for(1ms));
  at->closed = true;
  co_await flow.close();
  static_cast<void>(co_await scope.join());
  co_await part(at, &flow);
}
template <class W>
task<> s5(stage* on) {
  co_await meet<W>(on, s5_client<W>, listens<W>);
  on->complete = on->client.read_failed_with(coflow::error::closed) && on->server.heard("");
}

// ---- S6: close with a write pending

template <class W>
task<> s6_client(side* at, typename W::flow flow) {
  const coflow::result<void> narrow = W::narrow(flow);
  if (!narrow) at->report(narrow.error());
  task_scope scope(coflow::on_failure::isolate);
  scope.spawn(say_as_child(at, &flow, material(1024 * 1024))).value();
  scope.spawn(say_as_child(at, &flow, material(10))).value();
  for (int i = 0; i < 100 && kernel::bytes_sent() == 0 && !at->write_end; ++i)
    static_cast<void>(co_await coflow::sleep_for(1ms));
  static_cast<void>(co_await coflow::sleep_for(1ms));
  const bool pending = !at->write_end;
  at->closed = true;
  co_await flow.close();
  static_cast<void>(co_await scope.join());
  at->cut_off = pending && at->accepted == 0 && kernel::bytes_sent() != 0;  // a part of the first has gone out
  co_await part(at, &flow);
}
template <class W>
task<> s6_server(side* at, typename W::flow flow) {
  const coflow::result<void> narrow = W::narrow(flow);
  if (!narrow) at->report(narrow.error());
  for (int i = 0; i < 300 && !at->on.client.closed; ++i) static_cast<void>(co_await coflow::sleep_for(1ms));
  co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W>
task<> s6(stage* on) {
  co_await meet<W>(on, s6_client<W>, s6_server<W>);
  on->complete = on->client.write_end == std::error_code(coflow::error::closed) && on->client.accepted == 0 &&
                 on->server.read_end == std::error_code(ECONNRESET, std::system_category());
}

// ---- S7: shutdown(write) with writes pending

template <class W>
task<> s7_client(side* at, typename W::flow flow) {
  const coflow::result<void> narrow = W::narrow(flow);
  if (!narrow) at->report(narrow.error());
  task_scope scope(coflow::on_failure::isolate);
  const std::size_t each = at->on.bulk / 4;
  for (unsigned i = 0; i < 3; ++i) scope.spawn(say_as_child(at, &flow, material(each, i))).value();
  static_cast<void>(co_await coflow::sleep_for(1ms));
  co_await flow.shutdown(shutdown_mode::write);
  const coflow::result<void> late = co_await flow.write(coflow::buffer("too late"));
  if (late) at->breach("a write succeeded after the shutdown");
  static_cast<void>(co_await scope.join());
  if (at->write_end)
    at->write_end.reset();  // a write that is asked for after the shutdown says 'closed' (law W5)
  else
    co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W>
task<> s7_server(side* at, typename W::flow flow) {
  static_cast<void>(co_await coflow::sleep_for(3ms));
  co_await hear_all(at, &flow);
  static_cast<void>(co_await say(at, &flow, "done"));
  co_await part(at, &flow);
}
template <class W>
task<> s7(stage* on) {
  co_await meet<W>(on, s7_client<W>, s7_server<W>);
  const std::size_t each = on->bulk / 4;
  on->complete = on->server.heard(material(each, 0) + material(each, 1) + material(each, 2)) &&
                 on->client.heard("done") && on->reports.empty();
}

// ---- S13: a read with a deadline, cancelled, tried again

template <class W>
task<> s13_client(side* at, typename W::flow flow) {
  for (std::size_t i = 1; i <= 3; ++i) {
    task_scope scope(coflow::on_failure::isolate);
    scope.spawn(hear_as_child(at, &flow)).value();
    static_cast<void>(co_await coflow::sleep_for(2ms));
    scope.cancel();
    static_cast<void>(co_await scope.join());
    bool well = co_await say(at, &flow, "go on\n");
    if (well) well = co_await hear_up_to(at, &flow, 2000 * i);
    if (!well) break;
  }
  co_await flow.shutdown(shutdown_mode::write);
  if (!at->write_end) co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W>
task<> s13_server(side* at, typename W::flow flow) {
  for (std::size_t i = 1; i <= 3; ++i) {
    const bool asked = co_await hear_up_to(at, &flow, 6 * i);
    if (!asked) break;
    const bool answered = co_await say(at, &flow, material(2000, static_cast<unsigned>(i)));
    if (!answered) break;
  }
  if (!at->write_end) co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W>
task<> s13(stage* on) {
  co_await meet<W>(on, s13_client<W>, s13_server<W>);
  on->complete = on->client.heard(material(2000, 1) + material(2000, 2) + material(2000, 3)) &&
                 on->server.heard("go on\ngo on\ngo on\n");
}

// ---- S15: input waits to be read when a write fails: it is read all the same, and then, if the connection is gone,
// that

template <class W>
task<> s15_client(side* at, typename W::flow flow) {
  static_cast<void>(co_await coflow::sleep_for(2ms));
  const bool said = co_await say(at, &flow, "a question");
  co_await flow.shutdown(shutdown_mode::write);
  if (said || coflow::detail::ends_connection(*at->write_end))
    co_await hear_all(at, &flow);
  else
    static_cast<void>(co_await hear(at, &flow));
  co_await part(at, &flow);
}
template <class W>
task<> s15_server(side* at, typename W::flow flow) {
  const bool said = co_await say(at, &flow, "a greeting");
  if (said) co_await hear_all(at, &flow);
  co_await part(at, &flow);
}
template <class W>
task<> s15(stage* on) {
  co_await meet<W>(on, s15_client<W>, s15_server<W>);
  on->complete = on->client.heard("a greeting") && on->server.heard("a question") && on->reports.empty();
}

}  // namespace faults
