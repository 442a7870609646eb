// The laws of reading: R1 to R8.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "laws/harness.hpp"

namespace {

using coflow::buffer;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using laws::expect;
using laws::start;

// ---- R1: data of one byte or more, eof, or an error

template <class Flow>
task<> write_with_gaps(Flow* flow) {
  std::vector<buffer> list;
  for (int i = 0; i < 40; ++i) {
    const coflow::result<void> nothing = co_await flow->write(buffer());
    laws::expect_success(nothing);
    list.clear();
    list.emplace_back();
    list.emplace_back("some");
    list.emplace_back();
    list.emplace_back("thing");
    list.emplace_back();
    const coflow::result<void> sent = co_await flow->writev(list);
    laws::expect_success(sent);
  }
  const coflow::result<void> nothing = co_await flow->write(buffer());
  laws::expect_success(nothing);
  co_await flow->shutdown(shutdown_mode::write);
}

template <class Kind>
task<> data_is_never_empty() {
  auto ends = co_await Kind::connect();
  task_scope scope;
  start(scope, write_with_gaps(&ends.b));
  std::string all;
  for (;;) {
    coflow::read_result got = co_await ends.a.read();
    if (!got) {
      laws::expect_eof(got);
      break;
    }
    expect(!got->empty(), "data is not empty");
    expect(!got.eof(), "data is not eof");
    expect(!got.error(), "data is no error");
    all.append(got->text());
  }
  expect(all.size() == 40 * 9, "empty writes carry nothing");
}

// ---- R2: the buffer belongs to the caller alone

template <class Kind>
task<> buffers_keep_their_bytes() {
  std::vector<buffer> kept;
  std::string wanted;
  {
    auto ends = co_await Kind::connect();
    for (int i = 0; i < 6; ++i) {
      // Small, large, and larger than what fits at once, so that a flow copies, splits and hands over.
      const std::size_t sizes[] = {1, 100, Kind::capacity / 2, 3 * Kind::capacity, 70'000, 13};
      const std::string sent = laws::pattern(sizes[i], static_cast<std::uint32_t>(i + 1));
      task_scope scope;
      laws::writing written;
      start(scope, laws::write_once(&ends.b, buffer(sent), &written));
      std::size_t got_now = 0;
      while (got_now < sent.size()) {
        coflow::read_result got = co_await ends.a.read();
        expect(got.has_data(), "the bytes arrive");
        if (!got) co_return;
        got_now += got->size();
        kept.push_back(std::move(*got));
      }
      wanted += sent;
    }
    // Traffic of every size over the same pools and blocks.
    for (int i = 0; i < 50; ++i) {
      task_scope scope;
      laws::writing written;
      start(scope,
            laws::write_once(&ends.b, buffer(std::string(static_cast<std::size_t>(1 + i * 1500), '#')), &written));
      std::string all;
      co_await laws::read_up_to(&ends.a, static_cast<std::size_t>(1 + i * 1500), &all);
    }
    laws::expect_same(laws::joined(kept), wanted);
  }
  laws::expect_same(laws::joined(kept), wanted);
  std::vector<buffer> others;
  for (int i = 0; i < 200; ++i) others.emplace_back(std::string(static_cast<std::size_t>(1 + i * 700), '%'));
  laws::expect_same(laws::joined(kept), wanted);
}

template <class Kind>
task<> scribbling_stays_private() {
  auto ends = co_await Kind::connect();
  const std::size_t size = 3 * 4096 + 7;
  buffer payload = buffer::allocate(size);
  const std::string text = laws::pattern(size);
  std::memcpy(payload.writable().data(), text.data(), size);
  const buffer kept_by_writer = payload.share();
  task_scope scope;
  laws::writing written;
  start(scope, laws::write_once(&ends.b, std::move(payload), &written));
  std::vector<buffer> pieces;
  std::size_t count = 0;
  while (count < size) {
    coflow::read_result got = co_await ends.a.read();
    if (!got) break;
    count += got->size();
    pieces.push_back(std::move(*got));
  }
  laws::expect_same(laws::joined(pieces), text);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::string others;
    for (std::size_t j = i + 1; j < pieces.size(); ++j) others.append(pieces[j].text());
    for (std::byte& byte : pieces[i].writable()) byte = std::byte{'!'};
    std::string others_now;
    for (std::size_t j = i + 1; j < pieces.size(); ++j) others_now.append(pieces[j].text());
    laws::expect_same(others_now, others);
  }
  laws::expect_same(kept_by_writer.text(), text);
}

// ---- R3: as soon as one byte is there

template <class Kind>
task<> one_byte_is_enough() {
  auto ends = co_await Kind::connect();
  for (char byte : {'x', 'y', '\0', '\n', '\xff'}) {
    task_scope scope;
    laws::reading read;
    start(scope, laws::read_once(&ends.a, &read));
    co_await laws::turns();
    expect(read.started, "the read has begun");
    expect(!read.done, "a read waits for bytes");
    const coflow::result<void> sent = co_await ends.b.write(buffer(std::string_view(&byte, 1)));
    laws::expect_success(sent);
    const bool done = co_await laws::until([&read] { return read.done; });
    expect(done, "one byte ends the read");
    laws::expect_data(read.got, std::string_view(&byte, 1));
  }
}

// A read stops in front of urgent data (tcp(7)), which is no part of the stream; what follows it is.
template <class Kind>
task<> urgent_data_hides_nothing(bool waiting, bool dropped) {
  auto ends = co_await Kind::connect();
  const int peer = laws::lowest(ends.b).native_handle();
  std::string all;
  laws::reading drained;
  task_scope scope;
  if (waiting) {
    start(scope, laws::drain_once(&ends.a, &all, &drained));
    co_await laws::turns(2);
  }
  for (int i = 0; i < 3; ++i) {
    expect(::send(peer, "abc", 3, MSG_NOSIGNAL) == 3, "the peer can send");
    expect(::send(peer, "!", 1, MSG_NOSIGNAL | MSG_OOB) == 1, "the peer can send urgent data");
    expect(::send(peer, "def", 3, MSG_NOSIGNAL) == 3, "the peer can send");
    if (waiting) co_await laws::turns(i);
  }
  if (dropped) {
    // Nor does it keep a shutdown from dropping everything.
    co_await ends.a.shutdown(shutdown_mode::read);
    const bool gone = co_await laws::until([&ends] { return laws::held_by_kernel<Kind>(ends.a) == 0; });
    expect(gone, "everything is dropped");
    co_return;
  }
  if (!waiting) start(scope, laws::drain_once(&ends.a, &all, &drained));
  // Urgent bytes that the next ones overtake are part of the stream after all.
  const bool there = co_await laws::until([&all] { return all.size() >= 18; });
  expect(there, "everything is read, not only '" + all + "'");
  co_await ends.b.shutdown(shutdown_mode::write);
  const bool done = co_await laws::until([&drained] { return drained.done; });
  expect(done, "the end is read");
  std::string without;
  for (const char byte : all)
    if (byte != '!') without += byte;
  laws::expect_same(without, "abcdefabcdefabcdef");
}

// ---- R4: the first verdict is final

template <class Kind>
task<> eof_is_final() {
  auto ends = co_await Kind::connect();
  const coflow::result<void> sent = co_await ends.b.write(buffer("last words"));
  laws::expect_success(sent);
  co_await ends.b.shutdown(shutdown_mode::write);
  std::string all;
  coflow::read_result last = co_await laws::drain(&ends.a, &all);
  laws::expect_eof(last);
  laws::expect_same(all, "last words");
  for (int i = 0; i < 3; ++i) {
    laws::turn_mark mark;
    last = co_await ends.a.read();
    expect(!mark.passed(), "eof comes at once");
    laws::expect_eof(last);
  }
  co_await ends.b.close();
  co_await laws::turns(3);
  last = co_await ends.a.read();
  laws::expect_eof(last);
  last = co_await ends.a.read();
  laws::expect_eof(last);
}

template <class Kind>
task<> a_read_error_is_final() {
  auto ends = co_await Kind::connect();
  laws::reset(ends.b);
  std::string all;
  coflow::read_result last = co_await laws::drain(&ends.a, &all);
  laws::expect_reset(last);
  for (int i = 0; i < 3; ++i) {
    laws::turn_mark mark;
    last = co_await ends.a.read();
    expect(!mark.passed(), "a known error comes at once");
    laws::expect_reset(last);
  }
  const coflow::result<void> refused = co_await ends.a.write(buffer("x"));
  expect(!refused, "a broken connection takes no bytes");
  co_await ends.a.shutdown(shutdown_mode::read_write);
  last = co_await ends.a.read();
  laws::expect_reset(last);
}

// ---- R5: everything that arrived is delivered before the end

enum class farewell { shutdown, close, destroy, reset };

template <class Kind>
task<> bytes_come_before_the_end(farewell how) {
  auto ends = co_await Kind::connect();
  std::optional<typename Kind::flow> b(std::move(ends.b));
  std::string wanted;
  for (std::uint32_t i = 0; i < 7; ++i) {
    const std::string piece = laws::pattern(1 + i * 150, i);
    const coflow::result<void> sent = co_await b->write(buffer(piece));
    laws::expect_success(sent);
    wanted += piece;
  }
  co_await laws::arrived<Kind>(&ends.a, wanted.size());
  if (how == farewell::shutdown) co_await b->shutdown(shutdown_mode::write);
  if (how == farewell::close) co_await b->close();
  if (how == farewell::destroy) b.reset();
  if (how == farewell::reset) laws::reset(*b);
  co_await laws::end_arrived<Kind>(&ends.a);
  co_await laws::turns(3);
  std::string all;
  coflow::read_result last = co_await laws::drain(&ends.a, &all);
  laws::expect_same(all, wanted);
  for (int i = 0; i < 3; ++i) {
    if (how == farewell::reset)
      laws::expect_reset(last);
    else
      laws::expect_eof(last);
    last = co_await ends.a.read();
  }
}

// The end is there, and known to the loop, between two reads.
template <class Kind>
task<> bytes_come_before_the_end_that_a_reader_has_not_reached(farewell how) {
  auto ends = co_await Kind::connect();
  task_scope scope;
  laws::reading first;
  start(scope, laws::read_once(&ends.a, &first));
  co_await laws::turns();
  coflow::result<void> sent = co_await ends.b.write(buffer("one"));
  laws::expect_success(sent);
  const bool done = co_await laws::until([&first] { return first.done; });
  expect(done, "the pending read is served");
  laws::expect_data(first.got, "one");
  sent = co_await ends.b.write(buffer("two"));
  laws::expect_success(sent);
  co_await laws::arrived<Kind>(&ends.a, 3);
  if (how == farewell::reset)
    laws::reset(ends.b);
  else
    co_await ends.b.close();
  co_await laws::end_arrived<Kind>(&ends.a);
  co_await laws::turns(3);
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.a, &all);
  laws::expect_same(all, "two");
  if (how == farewell::reset)
    laws::expect_reset(last);
  else
    laws::expect_eof(last);
}

// Everything that a peer has to say is there when the connection is reported to stand.
struct connecting {
  bool done = false;
  std::error_code failure;
  std::optional<coflow::tcp_flow> flow;
};

task<> connect_once(coflow::endpoint remote, connecting* out) {
  auto made = co_await coflow::tcp_connect(remote);
  if (made)
    out->flow.emplace(std::move(*made));
  else
    out->failure = made.error();
  out->done = true;
}

task<> data_and_end_come_with_the_connection(bool broken) {
  auto listener = coflow::tcp_listener::bind("127.0.0.1", 0);
  expect(listener.has_value(), "a listener can be made");
  if (!listener) co_return;
  connecting made;
  task_scope scope;
  start(scope, connect_once(listener->local_endpoint(), &made));
  co_await laws::turns();
  // The attempt is under way; no turn of the loop passes until the peer has said everything.
  int peer = -1;
  for (int tries = 0; tries < 10'000'000 && peer < 0; ++tries)
    peer = ::accept(listener->native_handle(), nullptr, nullptr);
  expect(peer >= 0, "the connection arrives");
  expect(::send(peer, "hello", 5, MSG_NOSIGNAL) == 5, "the peer can send");
  if (broken) {
    const linger now{1, 0};
    // The bytes go out before the reset does: the loopback device delivers in order, and at once.
    static_cast<void>(::setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now));
  }
  ::close(peer);
  const bool decided = co_await laws::until([&made] { return made.done; });
  expect(decided, "the attempt ends");
  if (!made.flow) {
    // The connection stood and fell before anybody looked: that is an error of the attempt.
    expect(broken && made.failure == std::errc::connection_reset, "only a reset makes the attempt fail");
    co_return;
  }
  laws::reading first;
  laws::reading second;
  start(scope, laws::read_once(&*made.flow, &first));
  start(scope, laws::read_once(&*made.flow, &second));
  const bool over = co_await laws::until([&first, &second] { return first.done && second.done; });
  expect(over, "both reads end");
  laws::expect_data(first.got, "hello");
  if (broken)
    laws::expect_reset(second.got);
  else
    laws::expect_eof(second.got);
}

// ---- R6: half-close

template <class Kind>
task<> eof_leaves_the_write_half_usable() {
  auto ends = co_await Kind::connect();
  co_await ends.b.shutdown(shutdown_mode::write);
  coflow::read_result got = co_await ends.a.read();
  laws::expect_eof(got);
  const std::string text = laws::pattern(3 * Kind::capacity + 11);
  task_scope scope;
  laws::writing written;
  start(scope, laws::write_once(&ends.a, buffer(text), &written));
  std::string all;
  co_await laws::read_up_to(&ends.b, text.size(), &all);
  laws::expect_same(all, text);
  const bool done = co_await laws::until([&written] { return written.done; });
  expect(done, "the write ends");
  laws::expect_success(written.sent);
  co_await ends.a.shutdown(shutdown_mode::write);
  got = co_await ends.b.read();
  laws::expect_eof(got);
  // Both halves have ended, and still nobody has closed.
  got = co_await ends.a.read();
  laws::expect_eof(got);
  if constexpr (Kind::has_descriptor) expect(laws::lowest(ends.a).native_handle() >= 0, "an end closes no flow");
}

template <class Kind>
task<> a_read_error_closes_nothing() {
  auto ends = co_await Kind::connect();
  laws::reset(ends.b);
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.a, &all);
  laws::expect_reset(last);
  if constexpr (Kind::has_descriptor) expect(laws::lowest(ends.a).native_handle() >= 0, "an error closes no flow");
  const coflow::result<void> sent = co_await ends.a.write(buffer("x"));
  laws::expect_reset(sent);
}

// ---- R7: a reset is never eof

template <class Kind>
task<> the_reader_sees_a_reset_first() {
  auto ends = co_await Kind::connect();
  task_scope scope;
  laws::reading read;
  start(scope, laws::read_once(&ends.a, &read));
  co_await laws::turns();
  laws::reset(ends.b);
  const bool done = co_await laws::until([&read] { return read.done; });
  expect(done, "a pending read hears of the reset");
  laws::expect_reset(read.got);
  const coflow::result<void> sent = co_await ends.a.write(buffer("x"));
  laws::expect_reset(sent);
}

template <class Kind>
task<> the_writer_sees_a_reset_first(std::size_t queued) {
  auto ends = co_await Kind::connect();
  const std::string text = laws::pattern(queued);
  coflow::result<void> sent = co_await ends.b.write(buffer(text));
  laws::expect_success(sent);
  co_await laws::arrived<Kind>(&ends.a, queued);
  laws::reset(ends.b);
  co_await laws::end_arrived<Kind>(&ends.a);
  sent = co_await ends.a.write(buffer("x"));
  laws::expect_reset(sent);
  std::string all;
  coflow::read_result last = co_await laws::drain(&ends.a, &all);
  laws::expect_same(all, text);
  for (int i = 0; i < 3; ++i) {
    laws::expect_reset(last);
    last = co_await ends.a.read();
  }
  sent = co_await ends.a.write(buffer("x"));
  laws::expect_reset(sent);
}

// A pending read is there when the writer meets the reset.
template <class Kind>
task<> both_halves_wait_when_the_reset_comes() {
  auto ends = co_await Kind::connect();
  task_scope scope;
  laws::reading reads[3];
  laws::writing writes[3];
  for (laws::reading& one : reads) start(scope, laws::read_once(&ends.a, &one));
  for (laws::writing& one : writes) {
    start(scope, laws::write_once(&ends.a, buffer(std::string(Kind::more_than_fits, 'w')), &one));
  }
  co_await laws::turns(2);
  expect(!reads[0].done, "the read waits");
  expect(!writes[0].done, "the write waits");
  laws::reset(ends.b);
  const bool done = co_await laws::until([&reads, &writes] {
    for (const laws::reading& one : reads)
      if (!one.done) return false;
    for (const laws::writing& one : writes)
      if (!one.done) return false;
    return true;
  });
  expect(done, "everything that waits hears of the reset");
  for (const laws::reading& one : reads) laws::expect_reset(one.got);
  for (const laws::writing& one : writes) laws::expect_reset(one.sent);
}

template <class Kind>
task<> a_reset_after_a_local_shutdown() {
  auto ends = co_await Kind::connect();
  co_await ends.a.shutdown(shutdown_mode::write);
  const coflow::read_result end = co_await ends.b.read();
  laws::expect_eof(end);
  coflow::result<void> sent = co_await ends.b.write(buffer("answer"));
  laws::expect_success(sent);
  co_await laws::arrived<Kind>(&ends.a, 6);
  laws::reset(ends.b);
  co_await laws::end_arrived<Kind>(&ends.a);
  std::string all;
  const coflow::read_result last = co_await laws::drain(&ends.a, &all);
  laws::expect_same(all, "answer");
  laws::expect_reset(last);
}

// Reading the socket's error takes it away from the kernel (K3); the flow still knows, whatever its write half is.
enum class write_half { open, shut, torn };

template <class Kind>
task<> the_error_option_takes_a_reset_first(write_half state, bool with_data, bool waiting) {
  auto ends = co_await Kind::connect();
  laws::writing torn;
  laws::reading read;
  task_scope scope;
  if (state == write_half::shut) co_await ends.a.shutdown(shutdown_mode::write);
  if (state == write_half::torn) {
    task_scope tearing;
    start(tearing, laws::write_once(&ends.a, buffer(std::string(Kind::more_than_fits, 't')), &torn));
    co_await laws::turns(2);
    expect(!torn.done, "the write waits");
  }
  if (with_data) {
    const coflow::result<void> sent = co_await ends.b.write(buffer("data"));
    laws::expect_success(sent);
    co_await laws::arrived<Kind>(&ends.a, 4);
  }
  std::string all;
  if (waiting) {
    start(scope, laws::drain_once(&ends.a, &all, &read));
    co_await laws::turns(2);
  }
  // The reset is there, and no turn of the loop has passed since.
  const int fd = laws::lowest(ends.a).native_handle();
  laws::reset(ends.b);
  pollfd asked{fd, 0, 0};
  for (int tries = 0; tries < 10'000'000 && (asked.revents & (POLLERR | POLLHUP)) == 0; ++tries) ::poll(&asked, 1, 0);
  const coflow::result<int> taken = laws::lowest(ends.a).option(SOL_SOCKET, SO_ERROR);
  expect(taken.has_value(), "the option can be read");
  if (taken) expect(*taken == ECONNRESET, "it is the reset");
  if (!waiting) start(scope, laws::drain_once(&ends.a, &all, &read));
  const bool done = co_await laws::until([&read] { return read.done; });
  expect(done, "the reads come to an end");
  laws::expect_same(all, with_data ? "data" : "");
  laws::expect_reset(read.got);
}

// ---- R8: first come, first served

template <class Kind>
task<> three_reads_are_served_in_order() {
  auto ends = co_await Kind::connect();
  task_scope scope;
  laws::reading reads[3];
  for (laws::reading& one : reads) start(scope, laws::read_once(&ends.a, &one));
  co_await laws::turns();
  const char* words[] = {"first", "second", "third"};
  for (int i = 0; i < 3; ++i) {
    const coflow::result<void> sent = co_await ends.b.write(buffer(words[i]));
    laws::expect_success(sent);
    const bool done = co_await laws::until([&reads, i] { return reads[i].done; });
    expect(done, "the next read in order is served");
    laws::expect_data(reads[i].got, words[i]);
    for (int j = i + 1; j < 3; ++j) expect(!reads[j].done, "the others wait");
  }
}

template <class Flow>
task<> read_into_line(Flow* flow, int times, std::string* line) {
  for (int i = 0; i < times; ++i) {
    coflow::read_result got = co_await flow->read();
    if (!got) co_return;
    line->append(got->text());
  }
}

// Whatever the order in which three readers come back for more, the pieces are handed out in order.
template <class Kind>
task<> readers_that_come_back_queue_again() {
  auto ends = co_await Kind::connect();
  std::string line;
  task_scope scope;
  for (int i = 0; i < 3; ++i) start(scope, read_into_line(&ends.a, 1000, &line));
  co_await laws::turns();
  std::string wanted;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const std::string piece = laws::pattern(1 + i % 37, i);
    const coflow::result<void> sent = co_await ends.b.write(buffer(piece));
    laws::expect_success(sent);
    wanted += piece;
    if (i % 7 == 0) co_await laws::turns();
  }
  const bool there = co_await laws::until([&line, &wanted] { return line.size() >= wanted.size(); });
  expect(there, "all the bytes are read");
  laws::expect_same(line, wanted);
}

template <class Kind>
task<> an_end_goes_to_all_reads(farewell how) {
  auto ends = co_await Kind::connect();
  task_scope scope;
  laws::reading reads[3];
  for (laws::reading& one : reads) start(scope, laws::read_once(&ends.a, &one));
  co_await laws::turns();
  const coflow::result<void> sent = co_await ends.b.write(buffer("one"));
  laws::expect_success(sent);
  const bool served = co_await laws::until([&reads] { return reads[0].done; });
  expect(served, "the first read is served");
  laws::expect_data(reads[0].got, "one");
  if (how == farewell::reset)
    laws::reset(ends.b);
  else
    co_await ends.b.shutdown(shutdown_mode::write);
  const bool done = co_await laws::until([&reads] { return reads[1].done && reads[2].done; });
  expect(done, "the end goes to all reads");
  for (int i = 1; i < 3; ++i) {
    if (how == farewell::reset)
      laws::expect_reset(reads[i].got);
    else
      laws::expect_eof(reads[i].got);
  }
}

TEST_CASE("data is never empty, whatever the peer writes", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return data_is_never_empty<Kind>(); });
}

TEST_CASE("a buffer that was read keeps its bytes after later traffic and after both flows are gone", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return buffers_keep_their_bytes<Kind>(); });
}

TEST_CASE("scribbling in a buffer that was read changes no other buffer", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return scribbling_stays_private<Kind>(); });
}

TEST_CASE("a read that waits ends with the first byte", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return one_byte_is_enough<Kind>(); });
}

TEST_CASE("urgent data hides no bytes of the stream", "[read_laws]") {
  for (const bool waiting : {false, true}) {
    DYNAMIC_SECTION((waiting ? "for a read that waits" : "for a read that comes later")) {
      auto law = [waiting]<class Kind>(Kind) { return urgent_data_hides_nothing<Kind>(waiting, false); };
      laws::on<laws::over_tcp>(law);
      laws::on<laws::two_layers_over_tcp>(law);
    }
  }
  SECTION("for a shutdown") {
    laws::on<laws::over_tcp>([]<class Kind>(Kind) { return urgent_data_hides_nothing<Kind>(false, true); });
  }
}

TEST_CASE("after eof every read is eof, at once", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return eof_is_final<Kind>(); });
}

TEST_CASE("after a read error every read is that error, at once", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_read_error_is_final<Kind>(); });
}

TEST_CASE("bytes that arrived before a shutdown are read before eof", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return bytes_come_before_the_end<Kind>(farewell::shutdown); });
}

TEST_CASE("bytes that arrived before a close are read before eof", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return bytes_come_before_the_end<Kind>(farewell::close); });
}

TEST_CASE("bytes that arrived before the peer's flow was destroyed are read before eof", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return bytes_come_before_the_end<Kind>(farewell::destroy); });
}

TEST_CASE("bytes that arrived before a reset are read before the error", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return bytes_come_before_the_end<Kind>(farewell::reset); });
}

TEST_CASE("bytes that arrived before an end are read by whoever reads only afterwards", "[read_laws]") {
  for (const farewell how : {farewell::close, farewell::reset}) {
    DYNAMIC_SECTION((how == farewell::close ? "a close" : "a reset")) {
      laws::on_every_flow(
          [how]<class Kind>(Kind) { return bytes_come_before_the_end_that_a_reader_has_not_reached<Kind>(how); });
    }
  }
}

TEST_CASE("data and eof that come with the connection are both read", "[read_laws]") {
  laws::run(data_and_end_come_with_the_connection(false));
}

TEST_CASE("a reset that comes with the connection is an error, never eof", "[read_laws]") {
  laws::run(data_and_end_come_with_the_connection(true));
}

TEST_CASE("eof leaves the write half usable", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return eof_leaves_the_write_half_usable<Kind>(); });
}

TEST_CASE("a read error closes no flow", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_read_error_closes_nothing<Kind>(); });
}

TEST_CASE("a reset that a pending read sees first is an error on both halves", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return the_reader_sees_a_reset_first<Kind>(); });
}

TEST_CASE("a reset that the writer sees first is still an error for the reader", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return the_writer_sees_a_reset_first<Kind>(0); });
}

TEST_CASE("a reset that the writer sees first takes no bytes from the reader", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return the_writer_sees_a_reset_first<Kind>(4000); });
}

TEST_CASE("a reset ends every read and write that waits", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return both_halves_wait_when_the_reset_comes<Kind>(); });
}

TEST_CASE("a reset after a local shutdown is an error for the reader", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return a_reset_after_a_local_shutdown<Kind>(); });
}

TEST_CASE("a reset that SO_ERROR took from the kernel is still an error for the reader", "[read_laws]") {
  const std::pair<write_half, const char*> states[] = {{write_half::open, "the write half is open"},
                                                       {write_half::shut, "the write half is shut"},
                                                       {write_half::torn, "the write half is torn"}};
  for (const auto& [state, name] : states) {
    for (const unsigned bits : {0U, 1U, 2U, 3U}) {
      const write_half half = state;
      const bool with_data = (bits & 1) != 0;
      const bool waiting = (bits & 2) != 0;
      DYNAMIC_SECTION(name << (with_data ? ", with data" : "") << (waiting ? ", a read waits" : "")) {
        auto law = [half, with_data, waiting]<class Kind>(Kind) {
          return the_error_option_takes_a_reset_first<Kind>(half, with_data, waiting);
        };
        laws::on<laws::over_tcp>(law);
      }
    }
  }
}

TEST_CASE("three pending reads are served in the order in which they began", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return three_reads_are_served_in_order<Kind>(); });
}

TEST_CASE("readers that come back for more are served in order", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return readers_that_come_back_queue_again<Kind>(); });
}

TEST_CASE("eof goes to all pending reads", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return an_end_goes_to_all_reads<Kind>(farewell::shutdown); });
}

TEST_CASE("a reset goes to all pending reads", "[read_laws]") {
  laws::on_every_flow([]<class Kind>(Kind) { return an_end_goes_to_all_reads<Kind>(farewell::reset); });
}

}  // namespace
