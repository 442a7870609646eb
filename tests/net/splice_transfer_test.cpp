// Transfers between descriptors, which go through a pipe of the kernel where that is worth it: whatever way they take,
// the outcome is that of plain reads and writes.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <coflow/coflow.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/loop_tasks.hpp"

namespace {

// ---- what the system's splice is made to say; it is counted, too

enum class way { in, out };  // into a pipe of the library's, or out of one

struct splicing {
  int calls = 0;
  std::uint64_t bytes = 0;  // out
  int refuse_in = 0;        // with this number, always
  int refuse_out = 0;
  int fail_in_at = 0;  // the n-th call of this way fails once, with `failure`
  int fail_out_at = 0;
  int failure = 0;
  std::size_t most = SIZE_MAX;
  int ins = 0;
  int outs = 0;
};
splicing spliced;

// A loop's pipes are the only ones so large.
way way_of(int to) { return ::fcntl(to, F_GETPIPE_SZ) >= (1 << 20) ? way::in : way::out; }

ssize_t instead_of_splice(int from, int to, std::size_t count, unsigned flags) {
  ++spliced.calls;
  const bool in = way_of(to) == way::in;
  const int number = in ? ++spliced.ins : ++spliced.outs;
  int failure = in ? spliced.refuse_in : spliced.refuse_out;
  if (number == (in ? spliced.fail_in_at : spliced.fail_out_at)) failure = spliced.failure;
  if (failure != 0) {
    errno = failure;
    return -1;
  }
  const long moved =
      ::syscall(SYS_splice, from, nullptr, to, nullptr, count < spliced.most ? count : spliced.most, flags);
  if (!in && moved > 0) spliced.bytes += static_cast<std::uint64_t>(moved);
  return moved;
}

}  // namespace

// In the place of the C library's.
extern "C" ssize_t splice(int from, off64_t*, int to, off64_t*, std::size_t count, unsigned flags) {
  return instead_of_splice(from, to, count, flags);
}

namespace {

using coflow::buffer;
using coflow::copy_options;
using coflow::copy_result;
using coflow::fd_flow;
using coflow::proxy_result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using coflow::tcp_flow;
using coflow::unix_flow;

constexpr std::size_t mib = std::size_t{1} << 20;

// ---- bytes that say where they are

// A period that no power of two shares.
char byte_at(std::uint64_t place) { return static_cast<char>((place * 2654435761U) >> 13); }

buffer bytes_from(std::uint64_t place, std::size_t size) {
  buffer made = buffer::allocate(size);
  std::byte* to = made.writable().data();
  for (std::size_t i = 0; i < size; ++i) to[i] = static_cast<std::byte>(byte_at(place + i));
  return made;
}
// How many of `got` follow what was heard before.
bool follows(std::uint64_t place, std::string_view got) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] != byte_at(place + i)) return false;
  }
  return true;
}

struct hearing {
  std::uint64_t bytes = 0;
  bool right = true;
  bool eof = false;
  std::error_code failure;
};

template <class F>
task<> hear(F* from, hearing* out, std::uint64_t pause_every = 0) {
  std::uint64_t next_pause = pause_every;
  for (;;) {
    coflow::read_result got = co_await from->read();
    if (!got) {
      out->eof = got.eof();
      out->failure = got.error();
      co_return;
    }
    out->right = out->right && follows(out->bytes, got->text());
    out->bytes += got->size();
    if (pause_every == 0 || out->bytes < next_pause) continue;
    next_pause += pause_every;
    co_await support::loop_turns(3);
  }
}
template <class F>
task<> say(F* to, std::uint64_t size, std::uint64_t* sent = nullptr) {
  constexpr std::uint64_t piece = 256 * 1024;
  for (std::uint64_t at = 0; at < size; at += piece) {
    const auto part = static_cast<std::size_t>(size - at < piece ? size - at : piece);
    const coflow::result<void> done = co_await to->write(bytes_from(at, part));
    if (!done) co_return;
    if (sent != nullptr) *sent = at + part;
  }
  co_await to->shutdown(shutdown_mode::write);
}

// ---- pairs of connected flows

template <class F>
using pair_of = std::pair<F, F>;

pair_of<tcp_flow> tcp_pair() {
  const support::unique_fd listener(support::checked(::socket(AF_INET, SOCK_STREAM, 0), "socket"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  support::checked(::bind(listener.get(), raw, size), "bind");
  support::checked(::listen(listener.get(), 1), "listen");
  support::checked(::getsockname(listener.get(), raw, &size), "getsockname");
  support::unique_fd client(support::checked(::socket(AF_INET, SOCK_STREAM, 0), "socket"));
  support::checked(::connect(client.get(), raw, size), "connect");
  const int server = support::checked(::accept(listener.get(), nullptr, nullptr), "accept");
  auto near = tcp_flow::adopt(client.release());
  auto far = tcp_flow::adopt(server);
  return {std::move(near.value()), std::move(far.value())};
}
pair_of<unix_flow> local_pair() { return std::move(coflow::unix_pair().value()); }
// What is written to the first comes out of the second.
pair_of<fd_flow> pipe_pair() {
  int ends[2];
  support::checked(::pipe(ends), "pipe");
  return {std::move(fd_flow::adopt(-1, ends[1]).value()), std::move(fd_flow::adopt(ends[0], -1).value())};
}

constexpr bool splices = coflow::detail::sys::has_splice;

// Whether anything has gone through the kernel since the last question.
bool was_spliced() { return std::exchange(spliced, splicing()).bytes != 0; }

// ---- every pair

struct outcome {
  copy_result copied;
  hearing heard;
};

template <class From, class To>
task<> transfer(pair_of<From>* from, pair_of<To>* to, std::uint64_t size, outcome* out) {
  task_scope scope;
  scope.spawn(say(&from->first, size)).value();
  scope.spawn(hear(&to->second, &out->heard, 3 * mib)).value();
  co_await support::loop_turns(30);  // so that there is much when the transfer begins
  copy_result copied = co_await coflow::copy(from->second, to->first, copy_options().shutdown(true));
  out->copied = std::move(copied);
  const coflow::result<void> joined = co_await scope.join();
  joined.value();
}

template <class From, class To>
outcome transfer_all(pair_of<From> from, pair_of<To> to, std::uint64_t size = 16 * mib + 12345) {
  outcome out;
  CHECK(support::finishes(transfer(&from, &to, size, &out)));
  CHECK(out.copied.ended);
  CHECK(out.copied.bytes == size);
  CHECK(out.copied.unsent.empty());
  CHECK(out.heard.bytes == size);
  CHECK(out.heard.right);
  CHECK(out.heard.eof);
  return out;
}

template <class From, class To>
bool goes_through_kernel(pair_of<From> from, pair_of<To> to, std::uint64_t size = 16 * mib + 12345) {
  was_spliced();
  transfer_all(std::move(from), std::move(to), size);
  return was_spliced();
}

TEST_CASE("bulk passes unchanged between sockets, through the kernel", "[splice_transfer]") {
  CHECK(goes_through_kernel(tcp_pair(), tcp_pair()) == splices);
  CHECK(goes_through_kernel(tcp_pair(), local_pair()) == splices);
  CHECK(goes_through_kernel(local_pair(), tcp_pair()) == splices);
  CHECK(goes_through_kernel(local_pair(), local_pair()) == splices);
  CHECK(goes_through_kernel(tcp_pair(), pipe_pair()) == splices);
}

TEST_CASE("bulk passes unchanged on a loop that polls", "[splice_transfer]") {
  auto from = tcp_pair();
  auto to = local_pair();
  outcome out;
  was_spliced();
  {
    coflow::event_loop loop(coflow::reactor::poll);
    coflow::run(loop, transfer(&from, &to, 20 * mib, &out));
  }
  CHECK(out.heard.bytes == 20 * mib);
  CHECK(out.heard.right);
  CHECK(was_spliced() == splices);
}

// A byte that is sent past the others stops a splice, but not the transfer.
task<> with_urgent_bytes(pair_of<tcp_flow>* from, pair_of<tcp_flow>* to, outcome* out) {
  task_scope scope;
  scope.spawn(hear(&to->second, &out->heard)).value();
  const auto pour = [](tcp_flow* into) -> task<> {
    for (std::uint64_t at = 0; at < 8 * mib; at += mib) {
      const coflow::result<void> sent = co_await into->write(bytes_from(at, mib));
      sent.value();
      support::checked(static_cast<int>(::send(into->native_handle(), "!", 1, MSG_OOB | MSG_NOSIGNAL)), "send");
    }
    co_await into->shutdown(shutdown_mode::write);
  };
  scope.spawn(pour(&from->first)).value();
  co_await support::loop_turns(30);
  copy_result copied = co_await coflow::copy(from->second, to->first, copy_options().shutdown(true));
  out->copied = std::move(copied);
  const coflow::result<void> joined = co_await scope.join();
  joined.value();
}

TEST_CASE("urgent bytes do not keep bulk from passing", "[splice_transfer]") {
  auto from = tcp_pair();
  auto to = tcp_pair();
  outcome out;
  CHECK(support::finishes(with_urgent_bytes(&from, &to, &out)));
  CHECK(out.copied.ended);
  CHECK(out.heard.bytes == out.copied.bytes);
  CHECK(out.heard.bytes >= 8 * mib);  // the system forgets all urgent bytes but the last that it has not passed on
}

TEST_CASE("bulk passes unchanged where the kernel has no better way", "[splice_transfer]") {
  CHECK_FALSE(goes_through_kernel(pipe_pair(), tcp_pair()));
  CHECK_FALSE(goes_through_kernel(pipe_pair(), pipe_pair()));
  CHECK_FALSE(goes_through_kernel(tcp_pair(), tcp_pair(), 50000));
}

// ---- files

task<> send_file(int file, pair_of<tcp_flow>* to, copy_options how, outcome* out) {
  fd_flow from = std::move(fd_flow::borrow(file, -1).value());
  task_scope scope;
  scope.spawn(hear(&to->second, &out->heard, mib)).value();
  copy_result copied = co_await coflow::copy(from, to->first, how);
  out->copied = std::move(copied);
  co_await to->first.shutdown(shutdown_mode::write);
  const coflow::result<void> joined = co_await scope.join();
  joined.value();
}

task<> receive_file(pair_of<tcp_flow>* from, int file, std::uint64_t size, outcome* out) {
  fd_flow to = std::move(fd_flow::borrow(-1, file).value());
  task_scope scope;
  scope.spawn(say(&from->first, size)).value();
  copy_result copied = co_await coflow::copy(from->second, to);
  out->copied = std::move(copied);
  const coflow::result<void> joined = co_await scope.join();
  joined.value();
}

TEST_CASE("a file is received, and sent through the kernel, to the byte that a limit names", "[splice_transfer]") {
  support::directory place;
  const std::string path = place.file("bulk");
  constexpr std::uint64_t size = 9 * mib + 777;
  {
    const support::unique_fd file(support::checked(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600), "open"));
    outcome received;
    auto ends = tcp_pair();
    CHECK(support::finishes(receive_file(&ends, file.get(), size, &received)));
    CHECK(received.copied.bytes == size);
    CHECK_FALSE(was_spliced());
    CHECK(::lseek(file.get(), 0, SEEK_CUR) == static_cast<off_t>(size));
  }
  for (const std::uint64_t limit : {copy_options::no_limit, 3 * mib + 1, std::uint64_t{70000}}) {
    const support::unique_fd file(support::checked(::open(path.c_str(), O_RDONLY), "open"));
    outcome sent;
    auto ends = tcp_pair();
    CHECK(support::finishes(send_file(file.get(), &ends, copy_options().limit(limit), &sent)));
    const std::uint64_t expected = limit < size ? limit : size;
    CHECK(sent.copied.bytes == expected);
    CHECK(sent.copied.ended == (limit > size));
    CHECK(sent.heard.bytes == expected);
    CHECK(sent.heard.right);
    CHECK(::lseek(file.get(), 0, SEEK_CUR) == static_cast<off_t>(expected));
    CHECK(was_spliced() == (splices && expected > mib));
  }
}

// ---- stopped half-way: what was accepted, what was not, and what is still to be read make the whole

task<> copy_into(tcp_flow* from, tcp_flow* to, copy_options how, copy_result* out) {
  copy_result copied = co_await coflow::copy(*from, *to, how);
  *out = std::move(copied);
}

task<> stopped_half_way(pair_of<tcp_flow>* from, pair_of<tcp_flow>* to, std::uint64_t size, std::uint64_t until,
                        bool* in_a_write, bool* by_kernel) {
  std::uint64_t given = 0;
  copy_result copied;
  hearing heard;
  task_scope source;
  source.spawn(say(&from->first, size, &given)).value();
  {
    task_scope scope;
    scope.spawn(copy_into(&from->second, &to->first, copy_options(), &copied)).value();
    while (heard.bytes < until) {
      coflow::read_result got = co_await to->second.read();
      heard.right = heard.right && follows(heard.bytes, got->text());
      heard.bytes += got->size();
    }
    co_await support::loop_turns(50);  // nobody reads: the transfer comes to rest
    scope.cancel();
    const coflow::result<void> joined = co_await scope.join();
    joined.value();
  }
  CHECK(copied.error() == coflow::canceled());
  *in_a_write = !copied.unsent.empty();
  *by_kernel = was_spliced();
  // What the destination has accepted arrives.
  while (heard.bytes < copied.bytes) {
    const coflow::read_result got = co_await to->second.read();
    if (!got) break;
    heard.right = heard.right && follows(heard.bytes, got->text());
    heard.bytes += got->size();
  }
  CHECK(heard.bytes == copied.bytes);
  // Then comes what was not accepted, then what is left at the source.
  heard.right = heard.right && follows(heard.bytes, copied.unsent.text());
  heard.bytes += copied.unsent.size();
  co_await hear(&from->second, &heard);
  CHECK(heard.right);
  CHECK(heard.bytes == size);
  const coflow::result<void> joined = co_await source.join();
  joined.value();
}

TEST_CASE("a bulk transfer that is stopped while it waits loses nothing", "[splice_transfer]") {
  int in_writes = 0;
  int through_kernel = 0;
  for (const std::uint64_t until : {std::uint64_t{0}, mib, 4 * mib, 7 * mib + 5}) {
    auto from = tcp_pair();
    auto to = tcp_pair();
    bool in_a_write = false;
    bool by_kernel = false;
    CHECK(support::finishes(stopped_half_way(&from, &to, 24 * mib, until, &in_a_write, &by_kernel)));
    in_writes += in_a_write;
    through_kernel += by_kernel;
  }
  CHECK(in_writes > 0);
  CHECK((through_kernel > 0) == splices);
}

// Also when the task is destroyed, or the loop: pipes and descriptors are given back (see support/survival.hpp).
task<> left_half_way(pair_of<tcp_flow>* from, pair_of<tcp_flow>* to) {
  copy_result copied;
  task_scope scope;
  scope.spawn(say(&from->first, 64 * mib)).value();
  scope.spawn(copy_into(&from->second, &to->first, copy_options(), &copied)).value();
  co_await support::loop_turns(200);
}

TEST_CASE("a bulk transfer that is destroyed half-way leaves nothing behind", "[splice_transfer]") {
  {
    auto from = tcp_pair();
    auto to = tcp_pair();
    CHECK(support::finishes(left_half_way(&from, &to)));
  }
  auto from = tcp_pair();
  auto to = tcp_pair();
  copy_result copied;
  task_scope scope;
  {
    coflow::event_loop loop;
    const auto begin = [](task_scope* in, pair_of<tcp_flow>* a, pair_of<tcp_flow>* b, copy_result* out) -> task<> {
      in->spawn(say(&a->first, 64 * mib)).value();
      in->spawn(copy_into(&a->second, &b->first, copy_options(), out)).value();
      co_await support::loop_turns(200);
    };
    coflow::run(loop, begin(&scope, &from, &to, &copied));
  }
  CHECK(copied.error() == coflow::error::closed);
}

// ---- ends and resets

task<> source_is_reset(pair_of<tcp_flow>* from, pair_of<tcp_flow>* to, std::uint64_t until, outcome* out) {
  task_scope scope;
  scope.spawn(copy_into(&from->second, &to->first, copy_options().shutdown(true), &out->copied)).value();
  scope.spawn(hear(&to->second, &out->heard)).value();
  std::uint64_t sent = 0;
  while (sent < until) {
    const coflow::result<void> done = co_await from->first.write(bytes_from(sent, mib));
    done.value();
    sent += mib;
  }
  from->first.reset();
  while (!out->copied.error()) co_await support::loop_turns(1);
  to->first.reset();
  const coflow::result<void> joined = co_await scope.join();
  joined.value();
}

TEST_CASE("the reset of a source of bulk is an error of reading, behind what had come", "[splice_transfer]") {
  for (const std::uint64_t until : {mib, 8 * mib}) {
    auto from = tcp_pair();
    auto to = tcp_pair();
    outcome out;
    CHECK(support::finishes(source_is_reset(&from, &to, until, &out)));
    CHECK(out.copied.read_error == std::errc::connection_reset);
    CHECK_FALSE(out.copied.write_error);
    CHECK_FALSE(out.copied.ended);
    CHECK(out.heard.right);
    CHECK(out.heard.failure == std::errc::connection_reset);
    CHECK(out.heard.bytes <= out.copied.bytes);
  }
}

template <class To>
task<> destination_goes_away(pair_of<tcp_flow>* from, pair_of<To>* to, bool abruptly, copy_result* out,
                             std::uint64_t* rest) {
  task_scope source;
  source.spawn(say(&from->first, 32 * mib)).value();
  {
    task_scope scope;
    const auto run = [](tcp_flow* f, To* t, copy_result* o) -> task<> {
      copy_result copied = co_await coflow::copy(*f, *t);
      *o = std::move(copied);
    };
    scope.spawn(run(&from->second, &to->first, out)).value();
    std::uint64_t heard = 0;
    while (heard < 3 * mib) {
      const coflow::read_result got = co_await to->second.read();
      CHECK(got.has_data());
      heard += got->size();
    }
    if (abruptly) static_cast<void>(coflow::reset(to->second));
    co_await to->second.close();
    const coflow::result<void> joined = co_await scope.join();
    joined.value();
  }
  hearing left;
  co_await hear(&from->second, &left);
  *rest = left.bytes;
  const coflow::result<void> joined = co_await source.join();
  joined.value();
}

template <class To>
void loses_its_destination(pair_of<To> to, bool abruptly) {
  auto from = tcp_pair();
  copy_result copied;
  std::uint64_t rest = 0;
  CHECK(support::finishes(destination_goes_away(&from, &to, abruptly, &copied, &rest)));
  CHECK(copied.write_error == coflow::condition::disconnected);
  CHECK_FALSE(copied.read_error);
  CHECK(copied.bytes + copied.unsent.size() + rest == 32 * mib);
  CHECK_FALSE(copied.unsent.empty());
}

TEST_CASE("a destination of bulk that goes away is an error of writing, and loses no input", "[splice_transfer]") {
  for (const bool abruptly : {true, false}) {
    loses_its_destination(tcp_pair(), abruptly);
    loses_its_destination(local_pair(), abruptly);
    loses_its_destination(pipe_pair(), abruptly);
  }
}

TEST_CASE("a process that may open no more files transfers without pipes", "[splice_transfer]") {
  auto from = tcp_pair();
  auto to = tcp_pair();
  rlimit before{};
  support::checked(::getrlimit(RLIMIT_NOFILE, &before), "getrlimit");
  outcome out;
  was_spliced();
  {
    coflow::event_loop loop;
    // The lowest number that is free is the first that cannot be had; poll(2) is refused more descriptors than that.
    const support::unique_fd next(support::checked(::dup(STDERR_FILENO), "dup"));
    const rlimit none{static_cast<rlim_t>(next.get()), before.rlim_max};
    support::checked(::setrlimit(RLIMIT_NOFILE, &none), "setrlimit");
    coflow::run(loop, transfer(&from, &to, 8 * mib, &out));
    support::checked(::setrlimit(RLIMIT_NOFILE, &before), "setrlimit");
  }
  CHECK(out.heard.bytes == 8 * mib);
  CHECK(out.heard.right);
  CHECK_FALSE(was_spliced());
}

// ---- what the system may say instead

TEST_CASE("bulk passes unchanged where the system does not splice, or little at a time", "[splice_transfer]") {
  if (!splices) return;
  struct {
    int refuse_in;
    int refuse_out;
    std::size_t most;
    int most_calls;
  } const tries[] = {{ENOSYS, 0, SIZE_MAX, 200},
                     {EINVAL, 0, SIZE_MAX, 200},
                     {ENOMEM, 0, SIZE_MAX, 200},
                     {EAGAIN, 0, SIZE_MAX, 200},
                     {0, EINVAL, SIZE_MAX, 2},
                     {0, ENOSYS, SIZE_MAX, 2},
                     {0, 0, 1, 200},
                     {0, 0, 100, 2000},
                     {0, 0, 70000, 1000000}};
  for (const auto& one : tries) {
    was_spliced();
    spliced.refuse_in = one.refuse_in;
    spliced.refuse_out = one.refuse_out;
    spliced.most = one.most;
    transfer_all(tcp_pair(), tcp_pair());
    CHECK(spliced.calls > 0);
    CHECK(spliced.calls <= one.most_calls);
    CHECK((spliced.bytes != 0) == (one.refuse_in == 0 && one.refuse_out == 0));
  }
  was_spliced();
}

// The kernel tells an error of a connection once: it must not be lost.
task<> fails_at(pair_of<tcp_flow>* from, pair_of<tcp_flow>* to, copy_result* out) {
  task_scope scope;
  scope.spawn(say(&from->first, 32 * mib)).value();
  hearing heard;
  scope.spawn(hear(&to->second, &heard, 2 * mib)).value();
  co_await support::loop_turns(30);
  copy_result copied = co_await coflow::copy(from->second, to->first);
  *out = std::move(copied);
  const coflow::read_result got = co_await from->second.read();
  if (out->read_error) CHECK(got.error() == out->read_error);
  if (out->write_error) {
    const coflow::result<void> sent = co_await to->first.write(buffer("more"));
    CHECK(sent.error() == out->write_error);
  }
  from->second.reset();
  to->first.reset();
  const coflow::result<void> joined = co_await scope.join();
  joined.value();
  CHECK(heard.right);
  CHECK(heard.bytes <= out->bytes);
}

TEST_CASE("an error that splicing meets is the flow's, for good", "[splice_transfer]") {
  if (!splices) return;
  int reached = 0;
  for (const int failure : {ECONNRESET, ETIMEDOUT, EIO, EPIPE}) {
    for (const bool in : {true, false}) {
      for (const int nth : {1, 3}) {
        was_spliced();
        (in ? spliced.fail_in_at : spliced.fail_out_at) = nth;
        spliced.failure = failure;
        copy_result copied;
        auto from = tcp_pair();
        auto to = tcp_pair();
        CHECK(support::finishes(fails_at(&from, &to, &copied)));
        if ((in ? spliced.ins : spliced.outs) < nth) continue;  // there was less to do than that
        ++reached;
        CHECK((in ? copied.read_error : copied.write_error) == coflow::from_system(failure));
        CHECK_FALSE((in ? copied.write_error : copied.read_error));
        CHECK(copied.unsent.empty() == in);
      }
    }
  }
  CHECK(reached > 4);
  was_spliced();
}

// ---- both ways at once

struct joint {
  proxy_result came_to;
  hearing at_client;
  hearing at_server;
};

task<> join_them(tcp_flow* a, tcp_flow* b, proxy_result* out) {
  proxy_result came_to = co_await coflow::proxy(*a, *b);
  *out = std::move(came_to);
}

task<> both_ways(pair_of<tcp_flow>* left, pair_of<tcp_flow>* right, std::uint64_t there, std::uint64_t back,
                 joint* out) {
  task_scope scope;
  scope.spawn(join_them(&left->second, &right->first, &out->came_to)).value();
  scope.spawn(say(&left->first, there)).value();
  scope.spawn(say(&right->second, back)).value();
  scope.spawn(hear(&left->first, &out->at_client, 2 * mib)).value();
  scope.spawn(hear(&right->second, &out->at_server, 5 * mib)).value();
  const coflow::result<void> joined = co_await scope.join();
  joined.value();
}

TEST_CASE("a proxy of sockets passes bulk on both ways, and both ends in either order", "[splice_transfer]") {
  const std::pair<std::uint64_t, std::uint64_t> sizes[] = {
      {16 * mib, 16 * mib}, {24 * mib, 5}, {0, 9 * mib}, {0, 0}, {70000, 3}};
  for (const auto& [there, back] : sizes) {
    auto left = tcp_pair();
    auto right = tcp_pair();
    joint out;
    CHECK(support::finishes(both_ways(&left, &right, there, back, &out)));
    CHECK(out.came_to.end == coflow::proxy_end::complete);
    CHECK(out.came_to.forward.bytes == there);
    CHECK(out.came_to.backward.bytes == back);
    CHECK(out.at_server.bytes == there);
    CHECK(out.at_client.bytes == back);
    CHECK(out.at_server.right);
    CHECK(out.at_client.right);
    CHECK(out.at_server.eof);
    CHECK(out.at_client.eof);
  }
}

// One end breaks off in the middle of bulk in either or both directions: the other never sees a clean end.
task<> broken_off(pair_of<tcp_flow>* left, pair_of<tcp_flow>* right, bool client_breaks, bool victim_pours,
                  joint* out) {
  tcp_flow& culprit = client_breaks ? left->first : right->second;
  tcp_flow& victim = client_breaks ? right->second : left->first;
  hearing& heard = client_breaks ? out->at_server : out->at_client;
  task_scope scope;
  scope.spawn(join_them(&left->second, &right->first, &out->came_to)).value();
  scope.spawn(hear(&victim, &heard)).value();
  task_scope pouring;
  if (victim_pours) pouring.spawn(say(&victim, 256 * mib)).value();
  for (std::uint64_t sent = 0; sent < 4 * mib; sent += mib) {
    const coflow::result<void> done = co_await culprit.write(bytes_from(sent, mib));
    done.value();
  }
  culprit.reset();
  const coflow::result<void> joined = co_await scope.join();
  joined.value();
}

TEST_CASE("a reset in the middle of bulk stays a reset, from either side", "[splice_transfer]") {
  for (const bool client_breaks : {true, false}) {
    for (const bool victim_pours : {true, false}) {
      auto left = tcp_pair();
      auto right = tcp_pair();
      joint out;
      CHECK(support::finishes(broken_off(&left, &right, client_breaks, victim_pours, &out)));
      const hearing& heard = client_breaks ? out.at_server : out.at_client;
      CHECK(out.came_to.end == coflow::proxy_end::failed);
      CHECK(heard.right);
      CHECK_FALSE(heard.eof);
      CHECK(heard.failure == std::errc::connection_reset);
    }
  }
}

}  // namespace
