#include "coflow/core/half_state.hpp"

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "support/catch.hpp"

using coflow::error;
using coflow::from_system;
using coflow::half;
using coflow::half_state;

namespace {

// What can happen to a flow, as its owner reports it.
enum class event {
  eof,
  read_reset,
  read_abort,
  read_error,
  write_reset,
  write_closed,
  write_error,
  torn,
  shut_read,
  shut_write,
  drained,
  close,
};
constexpr int event_count = 12;

// The section "State" of the contract, told again without looking at half_state: two halves that only go to the right,
// the first verdict wins, a reset fails both.
class model {
 public:
  void apply(event what) {
    switch (what) {
      case event::eof:
        // "A recv of 0 after a reset is the reset."
        if (read_open && writer_saw_reset)
          end_reading("failed", write_error);
        else if (read_open)
          end_reading("ended", {});
        break;
      case event::read_reset:
        reset(from_system(ECONNRESET));
        break;
      case event::read_abort:
        reset(from_system(ECONNABORTED));
        break;
      case event::read_error:
        if (read_open) end_reading("failed", from_system(EIO));
        break;
      case event::write_reset:
        // The read half first delivers what is buffered, so it stays open.
        if (write_alive) writer_saw_reset = true;
        if (write_alive) end_writing("failed", from_system(ECONNRESET));
        break;
      case event::write_closed:
        // "EPIPE fails the write half alone."
        if (write_alive) end_writing("failed", error::closed);
        break;
      case event::write_error:
        if (write_alive) end_writing("failed", from_system(EIO));
        break;
      case event::torn:
        torn = true;
        if (write_alive) end_writing("failed", error::torn_write);
        break;
      case event::shut_read:
        if (read_open) end_reading("shut", {});
        break;
      case event::shut_write:
        if (write == "open") {
          write = "draining";
          refused = true;
        }
        break;
      case event::drained:
        if (write == "draining") end_writing("shut", error::closed);
        break;
      case event::close:
        end_reading("closed", error::closed);
        end_writing("closed", error::closed);
        break;
    }
  }

  std::string read = "open";
  std::string write = "open";
  std::error_code read_error;
  std::error_code write_error = error::closed;  // what a queued write gives that may not go on
  bool refused = false;  // writes have been refused as closed because of a shutdown: so are all that follow
  bool torn = false;
  bool read_open = true;
  bool write_alive = true;  // open or draining
  bool writer_saw_reset = false;

 private:
  void reset(std::error_code code) {
    if (write_alive) end_writing("failed", code);
    if (read_open) end_reading("failed", code);
  }
  void end_reading(const char* how, std::error_code code) {
    read = how;
    read_error = code;
    read_open = false;
  }
  void end_writing(const char* how, std::error_code code) {
    write = how;
    write_error = code;
    write_alive = false;
  }
};

const char* name_of(half one) {
  switch (one) {
    case half::open:
      return "open";
    case half::draining:
      return "draining";
    case half::ended:
      return "ended";
    case half::shut:
      return "shut";
    case half::failed:
      return "failed";
    case half::closed:
      return "closed";
  }
  return "?";
}

const char* name_of(event one) {
  constexpr std::array names{"eof",         "read_reset", "read_abort", "read_error", "write_reset", "write_closed",
                             "write_error", "torn",       "shut_read",  "shut_write", "drained",     "close"};
  return names[static_cast<std::size_t>(one)];
}

void apply(half_state& to, event what) {
  switch (what) {
    case event::eof:
      return to.end_of_input();
    case event::read_reset:
      return to.fail_read(from_system(ECONNRESET));
    case event::read_abort:
      return to.fail_read(from_system(ECONNABORTED));
    case event::read_error:
      return to.fail_read(from_system(EIO));
    case event::write_reset:
      return to.fail_write(from_system(ECONNRESET));
    case event::write_closed:
      return to.fail_write(from_system(EPIPE));
    case event::write_error:
      return to.fail_write(from_system(EIO));
    case event::torn:
      return to.tear_write();
    case event::shut_read:
      to.shut_read();
      return;
    case event::shut_write:
      to.drain_write();
      return;
    case event::drained:
      to.finish_drain();
      return;
    case event::close:
      to.close();
      return;
  }
}

bool agree(const half_state& real, const model& wanted) {
  return name_of(real.read_half()) == wanted.read && name_of(real.write_half()) == wanted.write &&
         real.can_read() == wanted.read_open && real.can_write() == (wanted.write == "open") &&
         real.can_transmit() == wanted.write_alive && real.terminal() == (!wanted.read_open && !wanted.write_alive) &&
         real.torn() == wanted.torn && (wanted.read_open || real.read_verdict() == wanted.read_error) &&
         (wanted.write_alive || real.transmit_verdict() == wanted.write_error) &&
         (wanted.write == "open" ||
          real.write_verdict() == (wanted.refused ? make_error_code(error::closed) : wanted.write_error)) &&
         (!wanted.read_open || real.broken() == wanted.writer_saw_reset);
}

}  // namespace

TEST_CASE("a new flow is open in both halves", "[half_state]") {
  const half_state fresh;
  CHECK(fresh.can_read());
  CHECK(fresh.can_write());
  CHECK(fresh.can_transmit());
  CHECK_FALSE(fresh.terminal());
  CHECK_FALSE(fresh.torn());
  CHECK_FALSE(fresh.broken());
}

TEST_CASE("every sequence of events up to length 5 does what the contract says", "[half_state]") {
  long sequences = 0;
  for (int length = 1; length <= 5; ++length) {
    std::array<int, 5> digits{};
    for (bool more = true; more;) {
      half_state real;
      model wanted;
      bool right = true;
      for (int i = 0; i < length && right; ++i) {
        apply(real, static_cast<event>(digits[static_cast<std::size_t>(i)]));
        wanted.apply(static_cast<event>(digits[static_cast<std::size_t>(i)]));
        right = agree(real, wanted);
      }
      ++sequences;
      if (!right) {
        std::string text;
        for (int i = 0; i < length; ++i)
          text += std::string(" ") + name_of(static_cast<event>(digits[static_cast<std::size_t>(i)]));
        FAIL("after" << text << ": read " << name_of(real.read_half()) << " (" << real.read_verdict().message()
                     << "), not " << wanted.read << "; write " << name_of(real.write_half()) << " ("
                     << real.write_verdict().message() << "), not " << wanted.write << "; broken " << real.broken());
      }
      more = false;
      for (int i = 0; i < length && !more; ++i) {
        int& digit = digits[static_cast<std::size_t>(i)];
        digit = (digit + 1) % event_count;
        more = digit != 0;
      }
    }
  }
  CHECK(sequences == 12 + 144 + 1728 + 20736 + 248832);
}

TEST_CASE("the calls that change the state say whether they did", "[half_state]") {
  half_state one;
  CHECK(one.shut_read());
  CHECK_FALSE(one.shut_read());
  CHECK_FALSE(one.finish_drain());  // not draining yet
  CHECK(one.drain_write());
  CHECK_FALSE(one.drain_write());
  CHECK(one.finish_drain());  // now the end is to be signalled, once
  CHECK_FALSE(one.finish_drain());
  CHECK(one.close());
  CHECK_FALSE(one.close());
  CHECK_FALSE(one.shut_read());
  CHECK_FALSE(one.drain_write());
  CHECK_FALSE(one.finish_drain());
}

TEST_CASE("a torn write is never followed by a clean end", "[half_state]") {
  half_state one;
  one.drain_write();
  one.tear_write();
  CHECK_FALSE(one.finish_drain());
  CHECK(one.torn());
  CHECK(one.transmit_verdict() == error::torn_write);
  CHECK(one.write_verdict() == error::closed);
  one.close();
  CHECK(one.torn());  // so that close resets the connection
  CHECK(one.write_verdict() == error::closed);
}

TEST_CASE("a write that failed half-way marks the stream as torn without another verdict", "[half_state]") {
  half_state one;
  one.fail_write(from_system(EIO));
  one.mark_torn();
  CHECK(one.torn());
  CHECK(one.write_verdict() == std::errc::io_error);
}

TEST_CASE("a reset in the spelling of another library is a reset too", "[half_state]") {
  const auto code = std::make_error_code(std::errc::connection_reset);  // the generic category
  {
    half_state one;
    one.fail_read(code);
    CHECK(one.write_half() == half::failed);
    CHECK(one.write_verdict() == code);
  }
  {
    half_state one;
    one.fail_write(code);
    CHECK(one.broken());
    one.end_of_input();
    CHECK(one.read_half() == half::failed);  // never laundered into eof
    CHECK(one.read_verdict() == code);
  }
}

TEST_CASE("what the writer met is the reader's verdict only where input ends without a reason of its own",
          "[half_state]") {
  half_state one;
  one.fail_write(from_system(ECONNRESET));
  CHECK(one.can_read());
  CHECK(one.broken());
  one.fail_read(from_system(EIO));
  CHECK(one.read_verdict() == std::errc::io_error);
}

TEST_CASE("a local shutdown of the read half outlives a reset", "[half_state]") {
  half_state one;
  one.fail_write(from_system(ECONNRESET));
  CHECK(one.shut_read());
  one.end_of_input();
  CHECK(one.read_half() == half::shut);
  CHECK_FALSE(one.read_verdict());
  CHECK(one.write_verdict() == std::errc::connection_reset);
}

TEST_CASE("a connection that fails after the write half was shut down is an error for the reader", "[half_state]") {
  half_state one;
  one.drain_write();
  one.finish_drain();
  one.fail_connection(from_system(ECONNRESET));
  CHECK(one.write_half() == half::shut);
  CHECK(one.write_verdict() == error::closed);
  CHECK(one.can_read());  // what is there is delivered first
  CHECK(one.broken());
  one.end_of_input();
  CHECK(one.read_half() == half::failed);
  CHECK(one.read_verdict() == from_system(ECONNRESET));
}

TEST_CASE("the peer's own goodbye is the end of the stream, on a connection that is broken too", "[half_state]") {
  half_state whole;
  whole.end_of_stream();
  CHECK(whole.read_half() == half::ended);
  CHECK_FALSE(whole.read_verdict());
  CHECK(whole.can_write());  // law R6
  half_state broken;
  broken.fail_write(from_system(ECONNRESET));
  broken.end_of_stream();
  CHECK(broken.read_half() == half::ended);
  CHECK_FALSE(broken.read_verdict());
  half_state failed;
  failed.fail_read(from_system(EIO));
  failed.end_of_stream();
  CHECK(failed.read_half() == half::failed);  // the first verdict wins
}

TEST_CASE("a connection that fails takes an open write half with it, and keeps a verdict that was there",
          "[half_state]") {
  half_state open;
  open.fail_connection(from_system(ECONNRESET));
  CHECK(open.write_half() == half::failed);
  CHECK(open.write_verdict() == from_system(ECONNRESET));
  half_state failed;
  failed.fail_write(from_system(EIO));
  failed.fail_connection(from_system(ECONNRESET));
  CHECK(failed.write_verdict() == from_system(EIO));
  failed.end_of_input();
  CHECK(failed.read_verdict() == from_system(ECONNRESET));  // what broke it, not what the writer met
}
