#pragma once

// Flows whose reads break a law.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "broken/altered_flow.hpp"

namespace broken {

// R1
class gives_empty_buffers : public behaviour {
 public:
  task<read_result> read(shared self) override {
    empty_ = !empty_;
    if (empty_) co_return buffer();
    read_result got = co_await behaviour::read(self);
    co_return std::move(got);
  }

 private:
  bool empty_ = false;
};

// R2
class reuses_its_buffer : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (!got) co_return std::move(got);
    if (block_.size() < got->size()) block_ = buffer::allocate(std::max<std::size_t>(got->size(), 4096));
    std::memcpy(const_cast<std::byte*>(block_.data()), got->data(), got->size());
    buffer given = block_.share();
    given.remove_suffix(given.size() - got->size());
    co_return std::move(given);
  }

 private:
  buffer block_;
};

// R3
class waits_for_two_bytes : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (!got || got->size() > 1) co_return std::move(got);
    std::string both(got->text());
    read_result more = co_await behaviour::read(self);
    if (more) both += more->text();
    co_return buffer(both);
  }
};

// R4
class forgets_eof : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (got.eof() && std::exchange(told_, true)) co_return coflow::error::closed;
    co_return std::move(got);
  }

 private:
  bool told_ = false;
};

class forgets_errors : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    const bool verdict = got.failed() && got.error() == std::errc::connection_reset;
    if (verdict && std::exchange(told_, true)) co_return coflow::end_of_stream;
    co_return std::move(got);
  }

 private:
  bool told_ = false;
};

// R5
class ends_before_its_data : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (peer_ended_) co_return coflow::end_of_stream;
    read_result got = co_await behaviour::read(self);
    co_return std::move(got);
  }
  task<> shutdown(shared self, shutdown_mode mode) override {
    const std::shared_ptr<behaviour> other = peer.lock();
    co_await behaviour::shutdown(self, mode);
    if (other && coflow::covers_write(mode)) static_cast<ends_before_its_data&>(*other).peer_ended_ = true;
  }

 private:
  bool peer_ended_ = false;
};

// R6
class closes_on_eof : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (got.eof() && inner) co_await inner->shutdown(shutdown_mode::write);
    co_return std::move(got);
  }
};

// R7
class takes_a_reset_for_eof : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (got.failed() && got.error() == std::errc::connection_reset) co_return coflow::end_of_stream;
    co_return std::move(got);
  }
};

// R7, fact K3: the write half takes the error away.
class loses_a_reset_to_the_writer : public behaviour {
 public:
  task<read_result> read(shared self) override {
    read_result got = co_await behaviour::read(self);
    if (got.failed() && writer_knows_) co_return coflow::end_of_stream;
    co_return std::move(got);
  }
  task<result<void>> write(shared self, buffer bytes) override {
    const result<void> sent = co_await behaviour::write(self, std::move(bytes));
    if (!sent && sent.error() == std::errc::connection_reset) writer_knows_ = true;
    co_return sent;
  }

 private:
  bool writer_knows_ = false;
};

// R8
class serves_the_last_reader_first : public behaviour {
 public:
  task<read_result> read(shared self) override {
    const bool entered = co_await readers_.enter();
    if (!entered) co_return coflow::canceled();
    const line::turn turn(readers_);
    read_result got = co_await behaviour::read(self);
    co_return std::move(got);
  }

 private:
  line readers_{line::order::last_come};
};

class tells_the_end_to_one_reader : public behaviour {
 public:
  task<read_result> read(shared self) override {
    if (!over_) {
      const bool entered = co_await readers_.enter();
      if (!entered) co_return coflow::canceled();
    }
    line::turn turn(readers_);
    read_result got = co_await behaviour::read(self);
    if (got.eof()) {
      turn.keep();
      over_ = true;
    }
    co_return std::move(got);
  }

 private:
  line readers_;
  bool over_ = false;
};

/// All of them.
[[nodiscard]] inline std::vector<specimen> broken_reads() {
  return {
      altered<gives_empty_buffers>("a read gives an empty buffer before every other one", "R1"),
      altered<reuses_its_buffer>("the buffer of a read is filled again by the next one", "R2"),
      altered<waits_for_two_bytes>("a read waits for two bytes", "R3"),
      altered<forgets_eof>("eof is told once, then the flow is said to be closed", "R4"),
      altered<forgets_errors>("a reset is told once, then eof", "R4"),
      altered<ends_before_its_data>("eof comes before what has arrived", "R5"),
      altered<closes_on_eof>("eof ends the write half as well", "R6"),
      altered<takes_a_reset_for_eof>("a reset is taken for eof", "R7"),
      altered<loses_a_reset_to_the_writer>("a reset that a write has met is eof for the reader", "R7"),
      altered<serves_the_last_reader_first>("of the reads that wait the last is served first", "R8"),
      altered<tells_the_end_to_one_reader>("eof goes to the first of several reads alone", "R8"),
  };
}

}  // namespace broken
