// A layer of one's own: it counts the bytes that pass, and changes nothing else.
#include <coflow/coflow.hpp>
#include <cstddef>
#include <cstdio>
#include <memory>

// What the operations touch when they complete. They own a share of it, because the flow may be moved or destroyed
// while they are pending.
struct traffic {
  std::size_t received = 0;
  std::size_t sent = 0;
};

template <coflow::SystemFlow Inner>
class counting_flow : public coflow::layered_flow<Inner> {
 public:
  counting_flow(Inner inner, std::shared_ptr<traffic> count)
      : coflow::layered_flow<Inner>(std::move(inner)), count_(std::move(count)) {}

  auto read() {
    return coflow::observed(this->next_layer().read(), [count = count_](coflow::read_result chunk) {
      if (chunk) count->received += chunk->size();
      return chunk;
    });
  }
  auto write(coflow::buffer bytes) {
    const std::size_t size = bytes.size();
    return coflow::observed(this->next_layer().write(std::move(bytes)), add_sent(size));
  }
  auto writev(std::span<coflow::buffer> list) {  // who replaces write replaces writev with it
    std::size_t size = 0;
    for (const coflow::buffer& bytes : list) size += bytes.size();
    return coflow::observed(this->next_layer().writev(list), add_sent(size));
  }

 private:
  auto add_sent(std::size_t size) {
    return [count = count_, size](coflow::result<void> outcome) {
      if (outcome) count->sent += size;
      return outcome;
    };
  }
  std::shared_ptr<traffic> count_;
};

static_assert(coflow::check_flow_shape<counting_flow<coflow::tcp_flow>>());

coflow::task<coflow::result<void>> converse() {
  auto count = std::make_shared<traffic>();
  auto [near, far] = coflow::memory_pipe();
  counting_flow flow(std::move(near), count);

  auto asked = co_await flow.write(coflow::buffer("how many bytes is this?"));
  if (!asked) co_return asked;
  auto answered = co_await far.write(coflow::buffer("twenty-three"));
  if (!answered) co_return answered;
  auto answer = co_await flow.read();
  if (!answer) co_return answer.error();
  co_await flow.close();  // reaches the pipe below

  auto end = co_await far.read();
  while (end) end = co_await far.read();
  std::printf("sent %zu, received %zu, the other end saw %s\n", count->sent, count->received,
              end.eof() ? "eof" : end.error().message().c_str());
  co_return coflow::success;
}

int main() { return coflow::run_main(converse()); }
