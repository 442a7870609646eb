// A flow of one's own, built on flow_block, and the few lines that prove that it keeps the contract.
#include <coflow/coflow.hpp>
#include <coflow/testing.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

// One end of a wire that holds 4096 bytes. flow_block has the rules: who waits, in what order, and with what verdict.
// What is left to say is how bytes move, and how the other end hears of an end.
class wire_end final : public coflow::flow_block<wire_end>, public coflow::executor::dependent {
 public:
  wire_end() { incoming_.reserve(capacity); }
  static void connect(wire_end& a, wire_end& b) noexcept { a.other_ = &b, b.other_ = &a; }

  bool entered() noexcept { return home_ != nullptr && home_ == coflow::executor::current(); }
  std::error_code enter() noexcept {  // it belongs to the executor that it is first used on
    coflow::executor* current = coflow::executor::current();
    if (current == nullptr) return coflow::error::no_executor;
    if (gone_ || current->finishing()) return coflow::error::closed;
    if (home_ == nullptr) current->add_dependent(*this);
    home_ = current;
    return {};
  }
  coflow::executor& home() noexcept { return *home_; }
  bool may_read() const noexcept { return true; }

  coflow::attempt try_read(coflow::buffer& data) {
    if (incoming_.empty() && !ended_) return coflow::attempt::wait;
    if (incoming_.empty()) {
      if (reset_) state().fail_read(std::make_error_code(std::errc::connection_reset));
      state().end_of_input();
      return coflow::attempt::verdict;
    }
    data = coflow::buffer(incoming_);
    incoming_.clear();
    if (other_ != nullptr) other_->call_writer();
    return coflow::attempt::done;
  }
  coflow::attempt try_write(coflow::writing_operation<wire_end>& op) noexcept {
    if (other_ == nullptr) {
      state().fail_write(reset_ ? std::make_error_code(std::errc::connection_reset) : coflow::error::closed);
      return coflow::attempt::verdict;
    }
    while (!op.rest().empty() && other_->incoming_.size() < capacity) {
      const coflow::buffer piece = op.accept(capacity - other_->incoming_.size());
      if (other_->state().can_read()) other_->incoming_.append(piece.text());
    }
    other_->call_reader();
    return op.rest().empty() ? coflow::attempt::done : coflow::attempt::wait;
  }
  void input_unwanted() noexcept {
    incoming_.clear();
    if (other_ != nullptr) other_->call_writer();
  }
  void signal_end() noexcept {
    if (other_ != nullptr) other_->hear_of_end(false);
  }
  void release_transport(bool torn) noexcept {
    wire_end* const other = std::exchange(other_, nullptr);
    if (other == nullptr) return;
    other->other_ = nullptr;
    other->hear_of_end(torn);
    other->call_writer();
  }
  void destroy() noexcept { delete this; }

 private:
  static constexpr std::size_t capacity = 4096;

  void hear_of_end(bool torn) noexcept {
    ended_ = true;
    reset_ = reset_ || torn;
    call_reader();
  }
  void on_executor_gone() noexcept override {
    gone_ = true;
    close();
  }

  std::string incoming_;
  wire_end* other_ = nullptr;
  coflow::executor* home_ = nullptr;
  bool ended_ = false;
  bool reset_ = false;
  bool gone_ = false;
};

class wire_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  explicit wire_flow(wire_end* end) noexcept : end_(end) {}

  auto read() noexcept { return coflow::read_operation<wire_end>(*end_); }
  auto write(coflow::buffer bytes) noexcept { return coflow::write_operation<wire_end>(*end_, std::move(bytes)); }
  auto writev(std::span<coflow::buffer> list) noexcept { return coflow::writev_operation<wire_end>(*end_, list); }
  auto shutdown(coflow::shutdown_mode mode) noexcept { return coflow::shutdown_operation<wire_end>(*end_, mode); }
  auto close() noexcept { return coflow::close_operation<wire_end>(*end_); }

 private:
  coflow::flow_handle<wire_end> end_;  // closes the flow when it dies
};
static_assert(coflow::check_flow_shape<wire_flow>());

std::pair<wire_flow, wire_flow> wire() {
  auto a = std::make_unique<wire_end>();
  auto b = std::make_unique<wire_end>();
  wire_end::connect(*a, *b);
  return {wire_flow(a.release()), wire_flow(b.release())};
}

int main() {
  const coflow::report found = coflow::check_flow([] { return wire(); });
  std::fputs(found.text().c_str(), stdout);
  return found ? 0 : 1;
}
