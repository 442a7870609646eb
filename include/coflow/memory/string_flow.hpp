/// \file
/// Flows that read from a string and write into one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "coflow/core/buffer.hpp"
#include "coflow/core/detail/pool.hpp"
#include "coflow/core/flow.hpp"
#include "coflow/core/flow_block.hpp"
#include "coflow/core/flow_handle.hpp"

namespace coflow::inline v0 {
namespace detail {

/// Nothing in it ever waits, but for its turn.
class string_block final : public flow_block<string_block>, public executor::dependent, public pooled {
 public:
  string_block(buffer input, std::size_t chunk, std::size_t limit) noexcept
      : input_(std::move(input)), chunk_(chunk != 0 ? chunk : 1), limit_(limit) {}
  ~string_block() = default;

  void end_input() noexcept { state().end_of_input(); }
  void end_output() noexcept {
    state().drain_write();
    state().finish_drain();
  }
  [[nodiscard]] const std::string& text() const noexcept { return output_; }
  [[nodiscard]] std::string take_text() noexcept { return std::exchange(output_, std::string()); }

  // What flow_block asks of a transport.
  [[nodiscard]] bool entered() const noexcept { return home_ != nullptr && home_ == current_executor; }
  [[nodiscard]] std::error_code enter() noexcept {
    executor* current = executor::current();
    if (home_ != nullptr && home_ == current) return {};
    if (current == nullptr) return error::no_executor;
    if (gone_ || current->finishing()) return error::closed;
    if (home_ != nullptr) {
      COFLOW_ASSERT(false, "a string_flow was used on two executors");
      return error::wrong_executor;
    }
    home_ = current;
    current->add_dependent(*this);
    return {};
  }
  [[nodiscard]] executor& home() noexcept { return *home_; }
  [[nodiscard]] bool may_read() const noexcept { return true; }
  [[nodiscard]] attempt try_read(buffer& data) noexcept {
    if (input_.empty()) {
      state().end_of_input();
      return attempt::verdict;
    }
    data = input_.take_front(chunk_);
    return attempt::done;
  }
  [[nodiscard]] attempt try_write(writing_operation<string_block>& op) noexcept {
    while (!op.rest().empty()) {
      const std::size_t room = limit_ - output_.size();
      if (room == 0) {
        state().fail_write(std::make_error_code(std::errc::no_space_on_device));
        return attempt::verdict;
      }
      const std::string_view piece = op.rest().front().text().substr(0, room);
      try {
        output_.append(piece);
      } catch (const std::exception&) {
        state().fail_write(std::make_error_code(std::errc::not_enough_memory));
        return attempt::verdict;
      }
      op.advance(piece.size());
    }
    return attempt::done;
  }
  void input_unwanted() noexcept { input_.clear(); }
  void signal_end() noexcept {}
  void release_transport(bool) noexcept { input_.clear(); }
  void destroy() noexcept { delete this; }

 private:
  void on_executor_gone() noexcept override {
    gone_ = true;
    close();
    home_ = nullptr;
  }

  buffer input_;
  std::string output_;
  std::size_t chunk_;
  std::size_t limit_;
  executor* home_ = nullptr;
  bool gone_ = false;
};

}  // namespace detail

/// A flow that reads what one string says and collects what is written in another: what `string_source` and
/// `string_sink` return. Every law of the contract holds; nothing waits.
class string_flow {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  /// Pieces as long as the text; a sink without a limit.
  static constexpr std::size_t all = SIZE_MAX;

  /// Both at once: reads `text` in pieces of `chunk` bytes, then eof, and collects up to `limit` bytes that are
  /// written. Throws std::bad_alloc.
  explicit string_flow(std::string text, std::size_t chunk = all, std::size_t limit = all)
      : block_(new detail::string_block(buffer::adopt(std::move(text)), chunk, limit)) {}

  string_flow(string_flow&&) noexcept = default;
  string_flow& operator=(string_flow&&) noexcept = default;
  /// Closes the flow (law C6).
  ~string_flow() = default;

  /// Reads the next piece of the text. The pieces share its memory, and nobody can change it (law R2).
  [[nodiscard]] auto read() noexcept { return read_operation<detail::string_block>(*block_); }
  /// Appends `bytes` to what is collected. Errors: no_space_on_device where the limit is passed, after what fits was
  /// taken; not_enough_memory; both are final (law W6).
  [[nodiscard]] auto write(buffer bytes) noexcept {
    return write_operation<detail::string_block>(*block_, std::move(bytes));
  }
  /// Appends all of `list` in order; the array must live until the await ends.
  [[nodiscard]] auto writev(std::span<buffer> list) noexcept {
    return writev_operation<detail::string_block>(*block_, list);
  }
  /// Ends one half or both (laws S1 to S4).
  [[nodiscard]] auto shutdown(shutdown_mode mode) noexcept {
    return shutdown_operation<detail::string_block>(*block_, mode);
  }
  /// Ends both halves (laws C1 to C4). What was written stays.
  [[nodiscard]] auto close() noexcept { return close_operation<detail::string_block>(*block_); }

  /// What was written so far; also after the close. Valid until the next write.
  [[nodiscard]] const std::string& text() const noexcept { return block_->text(); }
  /// Takes what was written out of the flow, which then has all of its limit again.
  [[nodiscard]] std::string take_text() noexcept { return block_->take_text(); }

 private:
  friend string_flow string_source(std::string text, std::size_t chunk);
  friend string_flow string_sink(std::size_t limit);

  flow_handle<detail::string_block> block_;
};

/// A flow that gives `text` in pieces of `chunk` bytes (at least one), then eof; its write half is shut. Throws
/// std::bad_alloc.
[[nodiscard]] inline string_flow string_source(std::string text, std::size_t chunk = string_flow::all) {
  string_flow made(std::move(text), chunk, 0);
  made.block_->end_output();
  return made;
}

/// A flow that gives eof and collects what is written, up to `limit` bytes. Throws std::bad_alloc.
[[nodiscard]] inline string_flow string_sink(std::size_t limit = string_flow::all) {
  string_flow made(std::string(), string_flow::all, limit);
  made.block_->end_input();
  return made;
}

}  // namespace coflow::inline v0
