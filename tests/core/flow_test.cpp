#include "coflow/core/flow.hpp"

#include <coroutine>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "coflow/core/error.hpp"
#include "coflow/core/task.hpp"
#include "support/catch.hpp"
#include "support/fake_transport.hpp"
#include "support/manual_executor.hpp"

using coflow::buffer;
using coflow::Flow;
using coflow::read_into_result;
using coflow::read_result;
using coflow::ReadIntoFlow;
using coflow::result;
using coflow::shutdown_mode;
using coflow::SystemFlow;
using coflow::task;

namespace {

// A flow in which every operation is a coroutine: what somebody writes who knows no operation objects.
struct coroutine_flow {
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  task<read_result> read() { co_return coflow::end_of_stream; }
  task<result<void>> write(buffer bytes) {
    written += std::string(bytes.text());
    co_return coflow::success;
  }
  task<result<void>> writev(std::span<buffer> list) {
    for (buffer& one : list) written += std::string(std::exchange(one, buffer()).text());
    co_return coflow::success;
  }
  task<> shutdown(shutdown_mode) { co_return; }
  task<> close() { co_return; }
  std::string written;
};

// Awaitables of somebody else.
template <class T>
struct ready {
  explicit ready(T given) : value(std::move(given)) {}
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  T await_resume() { return std::move(value); }
  T value;
};
template <>
struct ready<void> {
  ready() noexcept {}
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};
template <class T>
struct by_member_operator {
  explicit by_member_operator(T given) : value(std::move(given)) {}
  ready<T> operator co_await() && { return ready<T>(std::move(value)); }
  T value;
};
struct by_free_operator {
  by_free_operator() noexcept {}
};
ready<void> operator co_await(by_free_operator) { return {}; }

// g++ 12 warns at -O1 with sanitizers that the error may be used uninitialized where it sees too much.
[[gnu::noinline]] read_result some_data() { return buffer("foreign"); }

struct foreign_flow {
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  ready<read_result> read() { return ready<read_result>(some_data()); }
  by_member_operator<result<void>> write(buffer) { return by_member_operator<result<void>>(coflow::success); }
  ready<result<void>> writev(std::span<buffer>) { return ready<result<void>>(coflow::success); }
  by_free_operator shutdown(shutdown_mode) { return {}; }
  std::suspend_never close() { return {}; }
};

// Errors of another library.
enum class their_error { none, broken };
struct their_flow {
  using error_type = their_error;
  using write_error_type = std::string;
  ready<coflow::basic_read_result<their_error>> read();
  ready<result<void, std::string>> write(buffer);
  ready<result<void, std::string>> writev(std::span<buffer>);
  ready<void> shutdown(shutdown_mode);
  ready<void> close();
};

// Each of these is a flow but for one thing. A tag, so that bases differ.
struct no_error_type {
  using write_error_type = std::error_code;
  ready<read_result> read();
  ready<result<void>> write(buffer);
  ready<result<void>> writev(std::span<buffer>);
  ready<void> shutdown(shutdown_mode);
  ready<void> close();
};
struct no_write_error_type {
  using error_type = std::error_code;
  ready<read_result> read();
  ready<result<void>> write(buffer);
  ready<result<void>> writev(std::span<buffer>);
  ready<void> shutdown(shutdown_mode);
  ready<void> close();
};
struct no_read : foreign_flow {
  void read() = delete;
};
struct no_write : foreign_flow {
  void write(buffer) = delete;
};
struct no_writev : foreign_flow {
  void writev(std::span<buffer>) = delete;
};
struct no_shutdown : foreign_flow {
  void shutdown(shutdown_mode) = delete;
};
struct no_close : foreign_flow {
  void close() = delete;
};
struct read_gives_a_buffer : foreign_flow {
  ready<buffer> read();
};
struct read_gives_another_error : foreign_flow {
  ready<coflow::basic_read_result<their_error>> read();
};
struct read_is_no_awaitable : foreign_flow {
  read_result read();
};
struct write_gives_nothing : foreign_flow {
  ready<void> write(buffer);
};
struct write_gives_a_size : foreign_flow {
  ready<result<std::size_t>> write(buffer);
};
struct write_takes_a_reference : foreign_flow {
  ready<result<void>> write(buffer&);
};
struct writev_takes_a_vector : foreign_flow {
  ready<result<void>> writev(std::vector<buffer>);
};
struct writev_gives_another_error : foreign_flow {
  ready<result<void, their_error>> writev(std::span<buffer>);
};
struct shutdown_without_mode : foreign_flow {
  ready<void> shutdown();
};
struct shutdown_can_fail : foreign_flow {
  ready<result<void>> shutdown(shutdown_mode);
};
struct close_can_fail : foreign_flow {
  ready<result<void>> close();
};
struct close_is_no_awaitable : foreign_flow {
  void close();
};
struct cannot_move : foreign_flow {
  cannot_move(cannot_move&&) = delete;
};
struct cannot_be_assigned : foreign_flow {
  cannot_be_assigned(cannot_be_assigned&&) = default;
  cannot_be_assigned& operator=(cannot_be_assigned&&) = delete;
};

// Reading into the caller's memory, and what it is taken for.
struct reads_into : foreign_flow {
  ready<read_into_result> read_into(std::span<std::byte> room) {
    return ready<read_into_result>(room.empty() ? std::size_t{0} : std::size_t{1});
  }
};
struct their_read_into : their_flow {
  ready<coflow::basic_read_into_result<their_error>> read_into(std::span<std::byte>);
};
struct read_into_gives_a_size : foreign_flow {
  ready<std::size_t> read_into(std::span<std::byte>);
};
struct read_into_gives_another_error : foreign_flow {
  ready<coflow::basic_read_into_result<their_error>> read_into(std::span<std::byte>);
};
struct read_into_is_no_awaitable : foreign_flow {
  read_into_result read_into(std::span<std::byte>);
};
struct read_into_takes_a_pointer : foreign_flow {
  ready<read_into_result> read_into(void*, std::size_t);
};
struct read_into_is_deleted : reads_into {
  void read_into(std::span<std::byte>) = delete;
};
struct replaces_read : reads_into {
  ready<read_result> read();
};
struct replaces_both : replaces_read {
  ready<read_into_result> read_into(std::span<std::byte>);
};
struct replaces_write : replaces_both {
  ready<result<void>> write(buffer);
};
struct adds_read_into : foreign_flow {
  ready<read_into_result> read_into(std::span<std::byte>);
};
struct only_const_read : foreign_flow {
  ready<read_result> read() const;
};

}  // namespace

TEST_CASE("operation objects, coroutines and foreign awaitables all make a flow", "[flow]") {
  STATIC_REQUIRE(Flow<support::fake_flow>);
  STATIC_REQUIRE(Flow<coroutine_flow>);
  STATIC_REQUIRE(Flow<foreign_flow>);
  STATIC_REQUIRE(Flow<their_flow>);
  STATIC_REQUIRE(coflow::check_flow_shape<support::fake_flow>());
  STATIC_REQUIRE(coflow::check_flow_shape<coroutine_flow>());
  STATIC_REQUIRE(coflow::check_flow_shape<foreign_flow>());
  STATIC_REQUIRE(coflow::check_flow_shape<their_flow>());
  STATIC_REQUIRE(Flow<only_const_read>);
  STATIC_REQUIRE(Flow<write_takes_a_reference> == false);
}

TEST_CASE("a type that lacks one thing is no flow", "[flow]") {
  STATIC_REQUIRE_FALSE(Flow<no_error_type>);
  STATIC_REQUIRE_FALSE(Flow<no_write_error_type>);
  STATIC_REQUIRE_FALSE(Flow<no_read>);
  STATIC_REQUIRE_FALSE(Flow<no_write>);
  STATIC_REQUIRE_FALSE(Flow<no_writev>);
  STATIC_REQUIRE_FALSE(Flow<no_shutdown>);
  STATIC_REQUIRE_FALSE(Flow<no_close>);
  STATIC_REQUIRE_FALSE(Flow<cannot_move>);
  STATIC_REQUIRE_FALSE(Flow<cannot_be_assigned>);
  STATIC_REQUIRE_FALSE(Flow<int>);
  STATIC_REQUIRE_FALSE(Flow<foreign_flow&>);
  STATIC_REQUIRE_FALSE(Flow<const foreign_flow>);
}

TEST_CASE("each part of the concept rejects its own defect and accepts the others'", "[flow]") {
  STATIC_REQUIRE_FALSE(coflow::has_read<no_read>);
  STATIC_REQUIRE_FALSE(coflow::has_write<no_write>);
  STATIC_REQUIRE_FALSE(coflow::has_writev<no_writev>);
  STATIC_REQUIRE_FALSE(coflow::has_shutdown<no_shutdown>);
  STATIC_REQUIRE_FALSE(coflow::has_close<no_close>);
  STATIC_REQUIRE(coflow::has_read<no_write>);
  STATIC_REQUIRE(coflow::has_write<no_read>);
  STATIC_REQUIRE(coflow::has_writev<no_write>);
  STATIC_REQUIRE(coflow::has_shutdown<no_close>);
  STATIC_REQUIRE(coflow::has_close<no_shutdown>);
  STATIC_REQUIRE_FALSE(coflow::has_error_types<no_error_type>);
  STATIC_REQUIRE_FALSE(coflow::has_error_types<no_write_error_type>);
}

TEST_CASE("an operation of the wrong shape makes no flow", "[flow]") {
  STATIC_REQUIRE_FALSE(Flow<read_gives_a_buffer>);
  STATIC_REQUIRE_FALSE(Flow<read_gives_another_error>);
  STATIC_REQUIRE_FALSE(Flow<read_is_no_awaitable>);
  STATIC_REQUIRE_FALSE(Flow<write_gives_nothing>);
  STATIC_REQUIRE_FALSE(Flow<write_gives_a_size>);
  STATIC_REQUIRE_FALSE(Flow<write_takes_a_reference>);
  STATIC_REQUIRE_FALSE(Flow<writev_takes_a_vector>);
  STATIC_REQUIRE_FALSE(Flow<writev_gives_another_error>);
  STATIC_REQUIRE_FALSE(Flow<shutdown_without_mode>);
  STATIC_REQUIRE_FALSE(Flow<shutdown_can_fail>);
  STATIC_REQUIRE_FALSE(Flow<close_can_fail>);
  STATIC_REQUIRE_FALSE(Flow<close_is_no_awaitable>);
}

TEST_CASE("a flow with errors of its own is no flow for the layers", "[flow]") {
  STATIC_REQUIRE(SystemFlow<support::fake_flow>);
  STATIC_REQUIRE(SystemFlow<coroutine_flow>);
  STATIC_REQUIRE_FALSE(SystemFlow<their_flow>);
}

TEST_CASE("a flow may read into the caller's memory or not", "[flow]") {
  STATIC_REQUIRE(ReadIntoFlow<reads_into>);
  STATIC_REQUIRE(ReadIntoFlow<their_read_into>);
  STATIC_REQUIRE(ReadIntoFlow<adds_read_into>);
  STATIC_REQUIRE(coflow::check_flow_shape<reads_into>());
  STATIC_REQUIRE(Flow<foreign_flow>);
  STATIC_REQUIRE_FALSE(ReadIntoFlow<foreign_flow>);
  STATIC_REQUIRE_FALSE(ReadIntoFlow<no_read>);
}

TEST_CASE("a read_into of the wrong shape is none", "[flow]") {
  STATIC_REQUIRE_FALSE(coflow::has_read_into<read_into_gives_a_size>);
  STATIC_REQUIRE_FALSE(coflow::has_read_into<read_into_gives_another_error>);
  STATIC_REQUIRE_FALSE(coflow::has_read_into<read_into_is_no_awaitable>);
  STATIC_REQUIRE_FALSE(coflow::has_read_into<read_into_takes_a_pointer>);
  STATIC_REQUIRE_FALSE(coflow::has_read_into<read_into_is_deleted>);
  STATIC_REQUIRE(Flow<read_into_gives_a_size>);
  STATIC_REQUIRE(coflow::check_flow_shape<read_into_is_deleted>());
}

TEST_CASE("a class that replaces read and inherits read_into has none, until it replaces both", "[flow]") {
  STATIC_REQUIRE_FALSE(ReadIntoFlow<replaces_read>);
  STATIC_REQUIRE(Flow<replaces_read>);
  STATIC_REQUIRE(coflow::check_flow_shape<replaces_read>());
  STATIC_REQUIRE(ReadIntoFlow<replaces_both>);
  STATIC_REQUIRE(ReadIntoFlow<replaces_write>);
}

namespace {

// One protocol, written once.
template <Flow F>
task<std::string> greet(F* flow) {
  const auto chunk = co_await flow->read();
  std::string heard = chunk.eof() ? std::string("eof") : std::string((*chunk).text());
  const auto sent = co_await flow->write(buffer("hello"));
  if (!sent) heard += " unsent";
  buffer parts[2] = {buffer("to"), buffer("you")};
  const auto sent_list = co_await flow->writev(parts);
  if (!sent_list) heard += " unsent";
  co_await flow->shutdown(shutdown_mode::write);
  co_await flow->close();
  co_return heard;
}

}  // namespace

TEST_CASE("one protocol runs over every kind of flow", "[flow]") {
  coroutine_flow coroutines;
  CHECK(support::drive(greet(&coroutines)) == "eof");
  CHECK(coroutines.written == "hellotoyou");

  foreign_flow foreign;
  CHECK(support::drive(greet(&foreign)) == "foreign");

  support::wire wire;
  wire.give("from the wire");
  {
    support::fake_flow fake(wire);
    CHECK(support::drive(greet(&fake)) == "from the wire");
  }
  CHECK(wire.sent == "hellotoyou");
  CHECK(wire.ends_signalled == 1);
  CHECK(wire.released == 1);
  CHECK(wire.block_gone);
}
