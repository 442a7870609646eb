// chat --port P [--limit BYTES]
// Every line that a client sends goes to all others. One that does not read what is said, so that its backlog exceeds
// the limit, is dropped. SIGINT and SIGTERM end it.
#include <charconv>
#include <coflow/coflow.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using coflow::buffer;
using coflow::result;
using coflow::task;

constexpr std::size_t longest_line = 8 * 1024;
constexpr std::size_t most_lines = 256;  // that wait for one client

class client;
struct room {
  std::size_t limit;
  std::vector<client*> clients;
};
void say(const room& in, const std::string& text, const client* speaker = nullptr);

// One connection. It is in the room as long as it lives.
class client {
 public:
  client(coflow::tcp_flow connection, room* in)
      : flow(std::move(connection)), name(flow.remote_endpoint().to_string()), room_(in) {
    say(*room_, "* " + name + " is here");
    room_->clients.push_back(this);
  }
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  ~client() {
    std::erase(room_->clients, this);
    say(*room_, "* " + name + (too_slow ? " was too slow" : " has left"));
  }
  void tell(buffer line) {
    if (too_slow) return;
    backlog += line.size();
    if (backlog <= room_->limit && outbox.try_send(std::move(line))) return;
    too_slow = true;
    flow.reset();  // ends what its session waits for
  }

  coflow::tcp_flow flow;
  const std::string name;
  coflow::channel<buffer> outbox{most_lines};
  std::size_t backlog = 0;  // bytes in the outbox, and in the write that is under way
  bool too_slow = false;

 private:
  room* room_;
};

// One payload, and a handle on it for each.
void say(const room& in, const std::string& text, const client* speaker) {
  const buffer line(text + "\n");
  for (client* one : in.clients) {
    if (one != speaker) one->tell(line.share());
  }
}

task<result<void>> write_lines(client* to) {
  for (;;) {
    auto line = co_await to->outbox.receive();
    if (!line) co_return line.error();
    const std::size_t size = line->size();
    auto sent = co_await to->flow.write(std::move(*line));
    if (!sent) co_return sent.error();
    to->backlog -= size;
  }
}

task<result<void>> read_lines(client* from, room* in) {
  std::string line;
  for (;;) {
    auto chunk = co_await from->flow.read();
    if (chunk.eof()) co_return coflow::success;
    if (!chunk) co_return chunk.error();
    for (const char c : chunk->text()) {
      if (c != '\n') {
        if (line.size() == longest_line) co_return std::make_error_code(std::errc::message_size);
        line += c;
        continue;
      }
      say(*in, from->name + ": " + line, from);
      line.clear();
      // Nobody is too slow who has had no turn to write.
      auto rested = co_await coflow::sleep_for(std::chrono::seconds(0));
      if (!rested) co_return rested.error();
    }
  }
}

task<result<void>> session(coflow::tcp_flow flow, room* in) {
  client self(std::move(flow), in);
  coflow::task_scope writing;  // goes before the client
  auto started = writing.spawn(write_lines(&self));
  if (!started) co_return started;
  co_return co_await read_lines(&self, in);
}

// Stops the server when a signal comes.
task<> wait_for_signal(coflow::server_stop* stops) {
  coflow::signal_watch signals{SIGINT, SIGTERM};
  const auto came = co_await signals.next();
  if (came) stops->request();
}

task<result<void>> serve_chat(std::uint16_t port, std::size_t limit) {
  auto listener = coflow::tcp_listener::bind("127.0.0.1", port);
  if (!listener) co_return listener.error();
  coflow::server_stop stops;
  coflow::task_scope scope;
  auto started = scope.spawn(wait_for_signal(&stops));
  if (!started) co_return started;
  std::printf("chat: listening on %s\n", listener->local_endpoint().to_string().c_str());
  std::fflush(stdout);
  room all{limit, {}};
  const auto handler = [&all](coflow::tcp_flow flow) { return session(std::move(flow), &all); };
  const auto options = coflow::serve_options().stopped_by(stops).grace(std::chrono::seconds(0));
  const auto ended = co_await coflow::serve(std::move(*listener), handler, options);
  co_return ended;
}

template <class T>
bool read_number(std::string_view text, T& number) {
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  return wrong == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

int main(int count, char** words) {
  std::optional<std::uint16_t> port;
  std::size_t limit = 64 * 1024;
  bool good = count % 2 == 1;
  for (int i = 1; good && i < count; i += 2) {
    const std::string_view name = words[i];
    good = (name == "--port" && read_number(words[i + 1], port.emplace())) ||
           (name == "--limit" && read_number(words[i + 1], limit));
  }
  if (good && port) return coflow::run_main(serve_chat(*port, limit));
  std::fprintf(stderr, "usage: chat --port P [--limit BYTES]\n");
  return 2;
}
