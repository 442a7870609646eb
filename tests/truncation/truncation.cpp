// A stream that is cut never looks as if it had ended: a session through layers is recorded, and what one side sent is
// played to a fresh other side, cut after every byte, in pieces of several sizes, ended by a shutdown or a reset. Then
// with rubbish or a second goodbye behind the goodbye, with a goodbye in the handshake, and with every bit flipped
// where the layer authenticates.
//
//     truncation [--long] [--stack NAME --case CASE]

#include <algorithm>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/proof.hpp"
#include "support/toy_codec.hpp"

namespace {

using coflow::buffer;
using coflow::memory_flow;
using coflow::read_result;
using coflow::result;
using coflow::task;
using support::toy_codec;
using support::toy_role;

// ---- the stacks: how one end is opened over a pipe

struct frames {
  using flow = coflow::codec_flow<coflow::length_prefix_codec, memory_flow>;
  static constexpr const char* name = "frames";
  static constexpr int layers = 1;
  static constexpr bool authenticates = false;
  static task<result<flow>> open(memory_flow inner, bool) {
    co_return flow(coflow::length_prefix_codec(), std::move(inner));
  }
};

struct secure {
  using flow = coflow::codec_flow<toy_codec, memory_flow>;
  static constexpr const char* name = "secure";
  static constexpr int layers = 1;
  static constexpr bool authenticates = true;
  static task<result<flow>> open(memory_flow inner, bool client) {
    const toy_role role = client ? toy_role::client : toy_role::server;
    auto made = co_await coflow::codec_handshake(toy_codec(role, 7, 2), std::move(inner));
    co_return std::move(made);
  }
};

struct frames_over_secure {
  using flow = coflow::codec_flow<coflow::length_prefix_codec, secure::flow>;
  static constexpr const char* name = "frames over secure";
  static constexpr int layers = 2;
  static constexpr bool authenticates = true;
  static task<result<flow>> open(memory_flow inner, bool client) {
    auto below = co_await secure::open(std::move(inner), client);
    if (!below) co_return below.error();
    co_return flow(coflow::length_prefix_codec(), std::move(*below));
  }
};

struct secure_over_any_frames {
  using flow = coflow::codec_flow<toy_codec, coflow::any_flow>;
  static constexpr const char* name = "secure over any over frames";
  static constexpr int layers = 2;
  static constexpr bool authenticates = false;  // the frames below do not
  static task<result<flow>> open(memory_flow inner, bool client) {
    const toy_role role = client ? toy_role::client : toy_role::server;
    coflow::any_flow below(frames::flow(coflow::length_prefix_codec(), std::move(inner)));
    auto made = co_await coflow::codec_handshake(toy_codec(role, 7, 2), std::move(below));
    co_return std::move(made);
  }
};

// ---- a session, with all that was sent below on the way

constexpr std::size_t sizes[] = {1, 5, 60, 17};

std::string message(std::size_t number, bool client) {
  return std::string(sizes[number], static_cast<char>((client ? 'a' : 'A') + number));
}
std::string everything(bool client) {
  std::string all;
  for (std::size_t i = 0; i < std::size(sizes); ++i) all += message(i, client);
  return all;
}

template <class Stack>
task<> talk(memory_flow inner, bool client, std::string* heard, const std::string* passed, std::size_t* before_end) {
  auto end = co_await Stack::open(std::move(inner), client);
  if (!end) co_return;
  for (std::size_t i = 0; i < std::size(sizes); ++i) {
    const result<void> sent = co_await end->write(buffer(message(i, client)));
    if (!sent) co_return;
  }
  // On a virtual clock this is over when all of it has passed.
  const result<void> slept = co_await coflow::sleep_for(std::chrono::seconds(1));
  if (!slept) co_return;
  *before_end = passed->size();
  co_await end->shutdown(coflow::shutdown_mode::write);
  for (;;) {
    const read_result got = co_await end->read();
    if (!got) break;
    heard->append(got->text());
  }
  co_await end->close();
}

task<> relay(memory_flow* from, memory_flow* to, std::string* passed) {
  for (;;) {
    read_result got = co_await from->read();
    if (!got) break;
    passed->append(got->text());
    const result<void> sent = co_await to->write(std::move(*got));
    if (!sent) break;
  }
  co_await to->shutdown(coflow::shutdown_mode::write);
}

struct recording {
  std::string by_client;
  std::string by_server;
  std::size_t client_ends = 0;  // so much of it went before the outermost goodbye
  std::size_t server_ends = 0;
  bool complete = false;
};

template <class Stack>
task<> record(recording* out) {
  auto left = coflow::memory_pipe();
  auto right = coflow::memory_pipe();
  std::string heard[2];
  coflow::task_scope scope;
  scope.spawn(talk<Stack>(std::move(left.first), true, &heard[0], &out->by_client, &out->client_ends)).value();
  scope.spawn(talk<Stack>(std::move(right.second), false, &heard[1], &out->by_server, &out->server_ends)).value();
  scope.spawn(relay(&left.second, &right.first, &out->by_client)).value();
  scope.spawn(relay(&right.first, &left.second, &out->by_server)).value();
  const result<void> joined = co_await scope.join();
  out->complete = joined.has_value() && heard[0] == everything(false) && heard[1] == everything(true);
}

// ---- playing it to one side

struct outcome {
  bool opened = false;
  bool eof = false;
  std::error_code error;
  std::string data;
};

enum class ending { shutdown, reset };

task<> feed(memory_flow* wire, std::string_view bytes, std::size_t piece, ending how) {
  while (!bytes.empty()) {
    const result<void> sent = co_await wire->write(buffer(bytes.substr(0, piece)));
    if (!sent) co_return;
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  if (how == ending::shutdown)
    co_await wire->shutdown(coflow::shutdown_mode::write);
  else
    wire->reset();
}
task<> swallow(memory_flow* wire) {
  for (;;) {
    const read_result got = co_await wire->read();
    if (!got) co_return;
  }
}

template <class Stack>
task<> listen(memory_flow inner, bool client, outcome* out) {
  auto end = co_await Stack::open(std::move(inner), client);
  if (!end) {
    out->error = end.error();
    co_return;
  }
  out->opened = true;
  for (;;) {
    const read_result got = co_await end->read();
    if (got) {
      out->data.append(got->text());
      continue;
    }
    out->eof = got.eof();
    out->error = got.error();
    break;
  }
  // The verdict stays.
  const read_result again = co_await end->read();
  if (again.eof() != out->eof || again.error() != out->error) out->data += " and another verdict";
}

template <class Stack>
task<> play(std::string_view bytes, bool to_client, std::size_t piece, ending how, outcome* out) {
  auto pipe = coflow::memory_pipe();
  coflow::task_scope scope;
  scope.spawn(feed(&pipe.first, bytes, piece, how)).value();
  scope.spawn(swallow(&pipe.first)).value();
  co_await listen<Stack>(std::move(pipe.second), to_client, out);
}

template <class Stack>
outcome played(std::string_view bytes, bool to_client, std::size_t piece, ending how) {
  outcome came_to;
  coflow::virtual_executor on;
  try {
    coflow::run(on, play<Stack>(bytes, to_client, piece, how, &came_to));
  } catch (const coflow::hang& hung) {
    came_to.data = hung.what();
  }
  return came_to;
}

std::string in_words(const outcome& of) { return (of.eof ? "eof" : of.error.message()) + " after '" + of.data + "'"; }

// ---- the sweep

class sweep {
 public:
  sweep(support::proof& proof, std::string stack, bool to_client)
      : proof_(proof), stack_(std::move(stack)), wanted_(everything(!to_client)) {}

  // The stream was cut: anything but eof, and no byte that was not sent.
  void cut(const outcome& of, std::string_view what) {
    const bool prefix = std::string_view(wanted_).substr(0, of.data.size()) == of.data;
    const bool named = of.error == coflow::error::truncated || of.error == std::errc::connection_reset;
    judge(!of.eof && named && prefix, of, what, "truncated or a reset, after a part of what was sent");
  }
  // The outermost goodbye may have come, but not those of the layers below.
  void cut_below(const outcome& of, std::string_view what) {
    if (of.eof)
      judge(of.data == wanted_, of, what, "all that was sent before eof");
    else
      cut(of, what);
  }
  // A handshake that cannot answer any more because of the reset has failed.
  void whole(const outcome& of, ending how, std::string_view what) {
    const bool too_late = how == ending::reset && !of.opened && of.error == std::errc::connection_reset;
    judge(too_late || (of.eof && of.data == wanted_), of, what, "eof after all that was sent");
  }
  // The stream was forged: never more or other than what was sent, and eof only behind all of it.
  void forged(const outcome& of, std::string_view what) {
    const bool prefix = std::string_view(wanted_).substr(0, of.data.size()) == of.data;
    judge(prefix && (!of.eof || of.data == wanted_), of, what, "an error, or all that was sent and eof");
  }
  void refused(const outcome& of, std::string_view what) {
    judge(!of.eof && of.error && of.data.empty(), of, what, "an error and no data");
  }

 private:
  void judge(bool holds, const outcome& of, std::string_view what, std::string_view expected) {
    proof_.point();
    if (!holds)
      proof_.fail(stack_ + ", " + std::string(what) + ": " + in_words(of) + " instead of " + std::string(expected),
                  "--stack '" + stack_ + "'");
  }
  support::proof& proof_;
  std::string stack_;
  std::string wanted_;
};

template <class Stack>
void run_stack(support::proof& proof) {
  const std::string only = proof.value("--stack");
  if (!only.empty() && only != Stack::name) return;
  recording session;
  {
    coflow::virtual_executor on;
    coflow::run(on, record<Stack>(&session));
  }
  if (!session.complete) proof.fail(std::string(Stack::name) + ": the session itself fails", "");
  for (const bool to_client : {false, true}) {
    const std::string& sent = to_client ? session.by_server : session.by_client;
    const std::size_t data_end = to_client ? session.server_ends : session.client_ends;
    sweep over(proof, Stack::name, to_client);
    const std::size_t pieces[] = {sent.size() + 1, 1, 7};
    for (const std::size_t piece : pieces) {
      for (const ending how : {ending::shutdown, ending::reset}) {
        const std::string manner =
            std::string(how == ending::shutdown ? "shutdown" : "reset") + ", pieces of " + std::to_string(piece);
        for (std::size_t at = 0; at < sent.size(); ++at) {
          const outcome came_to = played<Stack>(std::string_view(sent).substr(0, at), to_client, piece, how);
          const std::string what = "cut at " + std::to_string(at) + " by a " + manner;
          if (at <= data_end || Stack::layers == 1)
            over.cut(came_to, what);
          else
            over.cut_below(came_to, what);
        }
        over.whole(played<Stack>(sent, to_client, piece, how), how, "whole, then a " + manner);
        // The goodbye of each layer is behind everything, so that this follows the outermost one.
        over.whole(played<Stack>(sent + "rubbish behind the goodbye", to_client, piece, how), how,
                   "rubbish, " + manner);
        over.whole(played<Stack>(sent + sent, to_client, piece, how), how, "all of it twice, " + manner);
      }
    }
    if constexpr (Stack::authenticates) {
      const int bits = proof.has("--long") ? 8 : 1;
      for (std::size_t at = 0; at < sent.size(); ++at) {
        for (int bit = 0; bit < bits; ++bit) {
          std::string flipped = sent;
          flipped[at] = static_cast<char>(flipped[at] ^ (1 << (bits == 1 ? at % 8 : static_cast<std::size_t>(bit))));
          over.forged(played<Stack>(flipped, to_client, sent.size() + 1, ending::shutdown),
                      "a bit flipped at " + std::to_string(at));
        }
      }
      toy_codec liar(to_client ? toy_role::server : toy_role::client, 7);
      const buffer goodbye = liar.forge('G', {});
      over.refused(played<Stack>(goodbye.text(), to_client, 1, ending::shutdown), "a goodbye in the handshake");
    }
    proof.part(std::string(Stack::name) + (to_client ? ", to the client" : ", to the server"));
  }
}

}  // namespace

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  run_stack<frames>(proof);
  run_stack<secure>(proof);
  run_stack<frames_over_secure>(proof);
  run_stack<secure_over_any_frames>(proof);
  return proof.end();
}
