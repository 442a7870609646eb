#include "coflow/net/unix_flow.hpp"

#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/task_scope.hpp"
#include "coflow/net/run_main.hpp"
#include "support/catch.hpp"
#include "support/loop_tasks.hpp"
#include "support/survival.hpp"

namespace {

using coflow::buffer;
using coflow::event_loop;
using coflow::read_result;
using coflow::result;
using coflow::shutdown_mode;
using coflow::task;
using coflow::task_scope;
using coflow::unix_flow;
using support::finishes;
using support::hear_all;
using support::loop_turns;
using support::message_of;
using support::notes;
using support::say;
using support::several;
using support::unique_fd;

static_assert(coflow::check_flow_shape<unix_flow>());
static_assert(coflow::SystemFlow<unix_flow>);
static_assert(!std::is_copy_constructible_v<unix_flow>);
static_assert(std::is_nothrow_move_constructible_v<unix_flow>);
static_assert(std::is_nothrow_move_assignable_v<unix_flow>);
static_assert(!std::is_aggregate_v<unix_flow>);
static_assert(!std::is_aggregate_v<coflow::unix_credentials>);

// Two connected sockets of which coflow knows nothing yet; both block.
struct socket_pair {
  unique_fd a;
  unique_fd b;
  explicit socket_pair(int type = SOCK_STREAM) {
    int ends[2];
    support::checked(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), "socketpair");
    a = unique_fd(ends[0]);
    b = unique_fd(ends[1]);
  }
};
// A flow, and its peer, of which coflow knows nothing.
struct one_end {
  unique_fd peer;
  unix_flow flow;
  one_end() : one_end(socket_pair()) {}
  explicit one_end(socket_pair pair) : peer(std::move(pair.b)), flow(unix_flow::adopt(pair.a.release()).value()) {}
};
struct two_ends {
  std::pair<unix_flow, unix_flow> both = coflow::unix_pair().value();
  unix_flow& left = both.first;
  unix_flow& right = both.second;
};

std::size_t unread(int fd) {
  int count = 0;
  return ::ioctl(fd, FIONREAD, &count) == 0 ? static_cast<std::size_t>(count) : 0;
}
std::string reset_after(const std::string& text) { return text + "!" + std::to_string(ECONNRESET); }

// Sends `text` together with a descriptor.
void say_with_descriptor(const unique_fd& peer, std::string text) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
  iovec bytes{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int sent_along = peer.get();
  std::memcpy(CMSG_DATA(header), &sent_along, sizeof sent_along);
  if (::sendmsg(peer.get(), &message, MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
    throw std::system_error(errno, std::system_category(), "sendmsg");
}

task<> read_one(unix_flow* flow, notes* to) {
  const read_result got = co_await flow->read();
  (*to)(got);
}
task<> read_all(unix_flow* flow, std::string* to, notes* end) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) {
      (*end)(got);
      co_return;
    }
    *to += got->text();
  }
}
task<> write_one(unix_flow* flow, std::string text, notes* to) {
  const result<void> sent = co_await flow->write(buffer::adopt(std::move(text)));
  (*to)(sent);
}
task<> write_list(unix_flow* flow, std::size_t count, notes* to) {
  std::vector<buffer> list;
  for (std::size_t i = 0; i < count; ++i) list.emplace_back("x");
  const result<void> sent = co_await flow->writev(list);
  (*to)(sent);
}
task<> shut(unix_flow* flow, shutdown_mode mode) { co_await flow->shutdown(mode); }
task<> close_it(unix_flow* flow) { co_await flow->close(); }
void start(task_scope& scope, task<> child) { scope.spawn(std::move(child)).value(); }
task<> ended(task_scope* scope) {
  const result<void> joined = co_await scope->join();
  joined.value();
}

}  // namespace

// ---- where flows come from, and what they know

TEST_CASE("a connected local socket is adopted and becomes non-blocking", "[unix_flow]") {
  socket_pair pair;
  const int fd = pair.a.release();
  result<unix_flow> flow = unix_flow::adopt(fd);
  REQUIRE(flow);
  CHECK(flow->native_handle() == fd);
  CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) == O_NONBLOCK);
  say(pair.b, "hello");
  notes heard;
  REQUIRE(finishes(read_one(&*flow, &heard)));
  CHECK(heard.all == several{"hello"});
}

TEST_CASE("what is no connected local stream socket is not adopted and stays the caller's, as it was", "[unix_flow]") {
  std::vector<std::pair<std::string, unique_fd>> others;
  others.emplace_back("file", unique_fd(::open("/proc/self/exe", O_RDONLY)));
  others.emplace_back("unconnected socket", unique_fd(::socket(AF_UNIX, SOCK_STREAM, 0)));
  others.emplace_back("TCP socket", unique_fd(::socket(AF_INET, SOCK_STREAM, 0)));
  others.emplace_back("datagram socket", std::move(socket_pair(SOCK_DGRAM).a));
  socket_pair packets(SOCK_SEQPACKET);
  others.emplace_back("packet socket", std::move(packets.a));
  unique_fd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  const sockaddr_un unnamed{AF_UNIX, {}};
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&unnamed), sizeof(sa_family_t)) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  others.emplace_back("listening socket", std::move(listener));
  for (const auto& [name, fd] : others) {
    CAPTURE(name);
    REQUIRE(fd.get() >= 0);
    const int flags = ::fcntl(fd.get(), F_GETFL);
    const result<unix_flow> flow = unix_flow::adopt(fd.get());
    REQUIRE_FALSE(flow);
    CHECK(flow.error() == coflow::error::not_a_stream);
    CHECK(::fcntl(fd.get(), F_GETFL) == flags);
  }
  const result<unix_flow> nothing = unix_flow::adopt(-1);
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error() == std::errc::bad_file_descriptor);
}

TEST_CASE("a released descriptor does not block, and the local connection goes on", "[unix_flow]") {
  one_end end;
  const int fd = end.flow.native_handle();
  const unique_fd released(end.flow.release());
  CHECK(released.get() == fd);
  CHECK(end.flow.native_handle() == -1);
  CHECK(end.flow.release() == -1);
  say(end.peer, "to you");
  char heard[6];
  CHECK(::recv(fd, heard, sizeof heard, 0) == 6);
  notes after;
  REQUIRE(finishes(read_one(&end.flow, &after)));
  CHECK(after.all == several{message_of(coflow::error::closed)});
}

TEST_CASE("a pair is connected, close-on-exec and non-blocking, and has no addresses", "[unix_flow]") {
  two_ends ends;
  for (const unix_flow* one : {&ends.left, &ends.right}) {
    CHECK((::fcntl(one->native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(one->native_handle(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK(one->local_address().unnamed());
    CHECK(one->remote_address().unnamed());
  }
  notes heard;
  REQUIRE(finishes(write_one(&ends.left, "there", &heard)));
  // The loop is gone, and with it the writer's end.
  notes end;
  REQUIRE(finishes(read_one(&ends.right, &end)));
  CHECK(end.all == several{"there"});
}

namespace {
int pair_without_descriptors() {
  const int next = ::dup(STDERR_FILENO);
  ::close(next);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = static_cast<rlim_t>(next) + 1;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const auto pair = coflow::unix_pair();
  return !pair && pair.error() == std::errc::too_many_files_open ? 0 : 1;
}
}  // namespace

TEST_CASE("where there are no descriptors there is no pair", "[unix_flow]") {
  CHECK(support::in_child(pair_without_descriptors) == 0);
}

TEST_CASE("the credentials of a pair are those of who made it", "[unix_flow]") {
  two_ends ends;
  const auto found = ends.left.peer_credentials();
  REQUIRE(found);
  CHECK(found->pid() == ::getpid());
  CHECK(found->uid() == ::geteuid());
  CHECK(found->gid() == ::getegid());
  coflow::run(close_it(&ends.left));
  const auto gone = ends.left.peer_credentials();
  REQUIRE_FALSE(gone);
  CHECK(gone.error() == std::errc::bad_file_descriptor);
}

TEST_CASE("options of a local socket can be set and read, until the close", "[unix_flow]") {
  two_ends ends;
  CHECK(ends.left.set_option(SOL_SOCKET, SO_SNDBUF, 65536));
  CHECK(ends.left.option(SOL_SOCKET, SO_SNDBUF).value() >= 65536);
  const result<void> unknown = ends.left.set_option(IPPROTO_TCP, 1, 1);
  REQUIRE_FALSE(unknown);
  coflow::run(close_it(&ends.left));
  const result<int> gone = ends.left.option(SOL_SOCKET, SO_SNDBUF);
  REQUIRE_FALSE(gone);
  CHECK(gone.error() == std::errc::bad_file_descriptor);
}

// ---- what divides a local stream

namespace {
task<> divided(one_end* end, bool reads_already, std::string* heard, notes* last) {
  task_scope scope;
  if (reads_already) start(scope, read_all(&end->flow, heard, last));
  co_await loop_turns(3);
  for (int i = 0; i < 3; ++i) {
    say(end->peer, "ab");
    say_with_descriptor(end->peer, "cd");
    say(end->peer, "ef");
  }
  if (!reads_already) start(scope, read_all(&end->flow, heard, last));
  for (int i = 0; i < 1000 && heard->size() < 18; ++i) co_await loop_turns(1);
  end->peer.reset();
  co_await ended(&scope);
}
task<> urgent(one_end* end, std::string* heard, notes* last) {
  task_scope scope;
  start(scope, read_all(&end->flow, heard, last));
  co_await loop_turns(3);
  for (int i = 0; i < 3; ++i) {
    say(end->peer, "ab");
    if (::send(end->peer.get(), "!", 1, MSG_OOB | MSG_NOSIGNAL) != 1) break;  // some systems have none
    say(end->peer, "cd");
    co_await loop_turns(i);
  }
  for (int i = 0; i < 100; ++i) co_await loop_turns(1);
  CHECK(heard->size() >= 8);
  end->peer.reset();
  co_await ended(&scope);
}
}  // namespace

TEST_CASE("descriptors that are sent along divide the stream and hide nothing of it", "[unix_flow]") {
  for (const bool reads_already : {false, true}) {
    CAPTURE(reads_already);
    one_end end;
    std::string heard;
    notes last;
    REQUIRE(finishes(divided(&end, reads_already, &heard, &last)));
    CHECK(heard == "abcdefabcdefabcdef");
    CHECK(last.all == several{"eof"});
  }
}

TEST_CASE("urgent bytes on a local stream hide nothing of it", "[unix_flow]") {
  one_end end;
  std::string heard;
  notes last;
  REQUIRE(finishes(urgent(&end, &heard, &last)));
  std::erase(heard, '!');
  CHECK(heard.starts_with("abcd"));
  CHECK(heard.find("abcd", 4) != std::string::npos);
}

// ---- shutdown of the read half

namespace {
task<> dropping(one_end* end, std::size_t* at_once, std::size_t* in_the_end, notes* after) {
  // More than are dropped at once and when the loop reports them.
  for (int i = 0; i < 200; ++i) say_with_descriptor(end->peer, "x");
  co_await end->flow.shutdown(shutdown_mode::read);
  *at_once = unread(end->flow.native_handle());
  for (int i = 0; i < 10; ++i) co_await loop_turns(1);
  *in_the_end = unread(end->flow.native_handle());
  say(end->peer, "more");
  co_await loop_turns(3);
  *in_the_end += unread(end->flow.native_handle());
  co_await read_one(&end->flow, after);
  co_await write_one(&end->flow, "still writing", after);
}
// What is still to be dropped is dropped by nobody after this.
enum class ended_by { close, destruction, release };
task<> dropping_ends(std::optional<one_end>* end, ended_by how) {
  for (int i = 0; i < 100; ++i) say_with_descriptor((*end)->peer, "x");
  co_await (*end)->flow.shutdown(shutdown_mode::read);
  CHECK(unread((*end)->flow.native_handle()) != 0);
  unique_fd released;
  if (how == ended_by::close) co_await (*end)->flow.close();
  if (how == ended_by::destruction) end->reset();
  if (how == ended_by::release) {
    released = unique_fd((*end)->flow.release());
    CHECK(unread(released.get()) != 0);
  }
  co_await loop_turns(3);
  if (how == ended_by::release) CHECK(unread(released.get()) != 0);
}
}  // namespace

TEST_CASE("after a shutdown of the read half everything is dropped, a bounded part of it in a turn", "[unix_flow]") {
  one_end end;
  std::size_t at_once = 0;
  std::size_t in_the_end = 1;
  notes after;
  REQUIRE(finishes(dropping(&end, &at_once, &in_the_end, &after)));
  CHECK(at_once == 136);
  CHECK(in_the_end == 0);
  CHECK(after.all == several{"eof", "sent"});
}

TEST_CASE("a flow may end while it drops input", "[unix_flow]") {
  for (const ended_by how : {ended_by::close, ended_by::destruction, ended_by::release}) {
    std::optional<one_end> end(std::in_place);
    REQUIRE(finishes(dropping_ends(&end, how)));
  }
  // Its loop may, too.
  one_end end;
  {
    event_loop loop;
    for (int i = 0; i < 100; ++i) say_with_descriptor(end.peer, "x");
    coflow::run(loop, shut(&end.flow, shutdown_mode::read));
  }
  CHECK(end.flow.native_handle() == -1);
}

// ---- ends

namespace {
task<> both_meet_a_reset(unix_flow* flow, bool write_first, notes* reads, notes* writes) {
  if (write_first) co_await write_one(flow, "x", writes);
  for (int i = 0; i < 4; ++i) co_await read_one(flow, reads);
  co_await write_one(flow, "x", writes);
}
task<> waits_for_a_reset(one_end* end, notes* reads, notes* writes) {
  task_scope scope;
  start(scope, read_one(&end->flow, reads));
  start(scope, write_one(&end->flow, std::string(4 << 20, 'w'), writes));
  co_await loop_turns(3);
  CHECK(writes->all.empty());
  end->peer.reset();
  co_await ended(&scope);
  co_await read_one(&end->flow, reads);
  co_await write_one(&end->flow, "x", writes);
}
}  // namespace

TEST_CASE("a peer that leaves bytes unread has reset the connection, for both halves", "[unix_flow]") {
  const std::string reset = message_of(std::errc::connection_reset);
  for (const bool write_first : {false, true}) {
    CAPTURE(write_first);
    one_end end;
    notes reads;
    notes writes;
    say(end.peer, "data");
    REQUIRE(::send(end.flow.native_handle(), "unread", 6, MSG_NOSIGNAL) == 6);
    end.peer.reset();
    REQUIRE(finishes(both_meet_a_reset(&end.flow, write_first, &reads, &writes)));
    CHECK(reads.all == several{"data", reset, reset, reset});
    CHECK(writes.all == several(write_first ? 2 : 1, reset));
  }
  one_end end;
  notes reads;
  notes writes;
  REQUIRE(finishes(waits_for_a_reset(&end, &reads, &writes)));
  CHECK(reads.all == several{reset, reset});
  CHECK(writes.all == several{reset, reset});
}

TEST_CASE("a local reset that was read as an option stays one", "[unix_flow]") {
  one_end end;
  REQUIRE(::send(end.flow.native_handle(), "unread", 6, MSG_NOSIGNAL) == 6);
  end.peer.reset();
  CHECK(end.flow.option(SOL_SOCKET, SO_ERROR).value() == ECONNRESET);
  notes reads;
  notes writes;
  REQUIRE(finishes(both_meet_a_reset(&end.flow, true, &reads, &writes)));
  CHECK(reads.all == several(4, message_of(std::errc::connection_reset)));
  CHECK(writes.all == several(2, message_of(std::errc::connection_reset)));
}

TEST_CASE("a peer that has read everything and goes leaves an end, and nobody to write to", "[unix_flow]") {
  one_end end;
  notes reads;
  notes writes;
  say(end.peer, "data");
  end.peer.reset();
  REQUIRE(finishes(both_meet_a_reset(&end.flow, true, &reads, &writes)));
  CHECK(reads.all == several{"data", "eof", "eof", "eof"});
  CHECK(writes.all == several(2, message_of(coflow::error::closed)));
}

TEST_CASE("a peer that has shut its read half takes nothing and may be read", "[unix_flow]") {
  one_end end;
  REQUIRE(::shutdown(end.peer.get(), SHUT_RD) == 0);
  say(end.peer, "data");
  notes writes;
  notes reads;
  REQUIRE(finishes(write_one(&end.flow, "x", &writes)));
  CHECK(writes.all == several{message_of(coflow::error::closed)});
}

namespace {
int write_without_a_reader() {
  one_end end;
  end.peer.reset();
  notes writes;
  if (!finishes(write_one(&end.flow, "x", &writes))) return 2;
  one_end other;
  other.peer.reset();
  if (!finishes(write_list(&other.flow, 3, &writes))) return 3;
  return writes.all == several(2, message_of(coflow::error::closed)) ? 0 : 1;
}
}  // namespace

TEST_CASE("a write on a local connection raises no SIGPIPE", "[unix_flow]") {
  CHECK(support::in_child(write_without_a_reader) == 0);
}

TEST_CASE("what was written before a close arrives, with a reset behind it if input was left", "[unix_flow]") {
  for (const bool left : {false, true}) {
    one_end end;
    notes writes;
    if (left) say(end.peer, "unread");
    {
      event_loop loop;
      coflow::run(loop, write_one(&end.flow, "last words", &writes));
      coflow::run(loop, close_it(&end.flow));
    }
    CHECK(hear_all(end.peer) == (left ? reset_after("last words") : "last words"));
  }
}

namespace {
task<> torn(one_end* end, bool destroy, notes* first, notes* later) {
  std::optional<task_scope> scope(std::in_place);
  start(*scope, write_one(&end->flow, std::string(8 << 20, 'x'), first));
  co_await loop_turns(3);
  CHECK(first->all.empty());
  if (destroy) {
    scope.reset();
  } else {
    scope->cancel();
    co_await ended(&*scope);
  }
  co_await write_one(&end->flow, "later", later);
  co_await end->flow.shutdown(shutdown_mode::write);
}
}  // namespace

TEST_CASE("a torn local write is the last, and no end is signalled before the close", "[unix_flow]") {
  for (const bool destroy : {false, true}) {
    for (const bool unread_input : {false, true}) {
      CAPTURE(destroy, unread_input);
      one_end end;
      notes first;
      notes later;
      std::string heard;
      event_loop loop;
      coflow::run(loop, torn(&end, destroy, &first, &later));
      CHECK(later.all == several{message_of(coflow::error::torn_write)});
      std::vector<char> some(1 << 20);
      ssize_t got = 0;
      while ((got = ::recv(end.peer.get(), some.data(), some.size(), MSG_DONTWAIT)) > 0)
        heard.append(some.data(), static_cast<std::size_t>(got));
      CHECK(got < 0);  // not the end
      CHECK(heard.size() < 8 << 20);
      if (unread_input) say(end.peer, "left");
      coflow::run(loop, close_it(&end.flow));
      // The system has no better: see unix_flow.
      CHECK(hear_all(end.peer) == (unread_input ? reset_after("") : ""));
    }
  }
}

// ---- much

namespace {
task<> much(two_ends* ends, std::string* at_left, std::string* at_right, notes* sent, notes* last) {
  task_scope scope;
  start(scope, write_one(&ends->left, std::string(5'000'000, 'l'), sent));
  start(scope, write_list(&ends->left, 10'000, sent));
  start(scope, write_one(&ends->right, std::string(5'000'000, 'r'), sent));
  start(scope, shut(&ends->left, shutdown_mode::write));
  start(scope, shut(&ends->right, shutdown_mode::write));
  start(scope, read_all(&ends->left, at_left, last));
  start(scope, read_all(&ends->right, at_right, last));
  co_await ended(&scope);
}
task<> count_turns(const notes* until, int* count) {
  while (until->all.empty()) {
    ++*count;
    co_await loop_turns(1);
  }
}
task<> long_list(two_ends* ends, notes* sent, int* turns_of_others, std::string* heard, notes* last) {
  task_scope scope;
  start(scope, write_list(&ends->left, 20'000, sent));
  start(scope, count_turns(sent, turns_of_others));
  start(scope, read_all(&ends->right, heard, last));
  while (sent->all.empty()) co_await loop_turns(1);
  co_await ends->left.close();
  co_await ended(&scope);
}
enum class given_up { cancelled, destroyed, closed, flow_destroyed };
task<> long_list_given_up(std::optional<two_ends>* ends, given_up how, notes* sent) {
  std::optional<task_scope> scope(std::in_place);
  start(*scope, write_list(&(*ends)->left, 20'000, sent));
  co_await loop_turns(1);
  CHECK(sent->all.empty());
  if (how == given_up::cancelled) scope->cancel();
  if (how == given_up::destroyed) scope.reset();
  if (how == given_up::closed) co_await (*ends)->left.close();
  if (how == given_up::flow_destroyed) ends->reset();
  co_await loop_turns(5);
  if (scope) co_await ended(&*scope);
}
}  // namespace

TEST_CASE("much goes both ways at once, whole and in order", "[unix_flow]") {
  two_ends ends;
  std::string at_left;
  std::string at_right;
  notes sent;
  notes last;
  REQUIRE(finishes(much(&ends, &at_left, &at_right, &sent, &last)));
  CHECK(sent.all == several(3, "sent"));
  CHECK(last.all == several(2, "eof"));
  CHECK((at_left == std::string(5'000'000, 'r')));
  CHECK((at_right == std::string(5'000'000, 'l') + std::string(10'000, 'x')));
}

TEST_CASE("a long list of buffers takes several turns, in which others run", "[unix_flow]") {
  two_ends ends;
  notes sent;
  int turns_of_others = 0;
  std::string heard;
  notes last;
  REQUIRE(ends.left.set_option(SOL_SOCKET, SO_SNDBUF, 1 << 24));
  REQUIRE(finishes(long_list(&ends, &sent, &turns_of_others, &heard, &last)));
  CHECK(sent.all == several{"sent"});
  CHECK(turns_of_others >= 4);
  CHECK(heard.size() == 20'000);
  CHECK(last.all == several{"eof"});
}

TEST_CASE("a write may be given up between its turns", "[unix_flow]") {
  for (const given_up how : {given_up::cancelled, given_up::destroyed, given_up::closed, given_up::flow_destroyed}) {
    CAPTURE(static_cast<int>(how));
    std::optional<two_ends> ends(std::in_place);
    REQUIRE(ends->left.set_option(SOL_SOCKET, SO_SNDBUF, 1 << 24));
    notes sent;
    REQUIRE(finishes(long_list_given_up(&ends, how, &sent)));
    if (how == given_up::cancelled) CHECK(sent.all == several{message_of(std::errc::operation_canceled)});
    if (how == given_up::destroyed) CHECK(sent.all.empty());
    if (how == given_up::closed || how == given_up::flow_destroyed)
      CHECK(sent.all == several{message_of(coflow::error::closed)});
  }
}

// ---- memory; where the pool hands straight to the heap, there is nothing to be seen

#ifndef COFLOW_NO_POOL
namespace {
task<> echo_some(unix_flow* flow, long count) {
  for (long i = 0; i < count; ++i) {
    read_result got = co_await flow->read();
    if (!got) co_return;
    const result<void> sent = co_await flow->write(std::move(*got));
    if (!sent) co_return;
  }
}
task<> ask_some(unix_flow* flow, long warm, long count, std::uint64_t* allocated) {
  for (long i = 0; i < warm + count; ++i) {
    if (i == warm) *allocated = support::allocation_count();
    const result<void> sent = co_await flow->write(buffer("?"));
    if (!sent) co_return;
    const read_result got = co_await flow->read();
    if (!got) co_return;
  }
  *allocated = support::allocation_count() - *allocated;
}
task<> talk(two_ends* ends, std::uint64_t* allocated) {
  task_scope scope;
  start(scope, echo_some(&ends->right, 2100));
  start(scope, ask_some(&ends->left, 100, 2000, allocated));
  co_await ended(&scope);
}
}  // namespace

TEST_CASE("an echo over a local connection allocates nothing once it is under way", "[unix_flow]") {
  two_ends ends;
  std::uint64_t allocated = 1;
  REQUIRE(finishes(talk(&ends, &allocated)));
  CHECK(allocated == 0);
}
#endif
