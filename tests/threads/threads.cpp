// Several threads, each with a loop of its own: posts across, buffers that are freed elsewhere, flows that are used
// where they do not belong, shared libraries that have coflow each.
//
//     threads [--long]
//
// The program starts itself again for what ends a process, and `threads_release` beside it for what an assertion would
// end. The thread sanitizer watches all of it.

#undef NDEBUG

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "support/proof.hpp"
#include "threads/buffers.hpp"
#include "threads/foreign.hpp"
#include "threads/library.hpp"
#include "threads/posts.hpp"

namespace {

using wire = support::tcp_wire;

#ifdef COFLOW_FEWER_POINTS
constexpr std::size_t share = 5;
#else
constexpr std::size_t share = 1;
#endif

/// What became of another process, and what it said.
struct ended {
  int status = -1;
  std::string said;
};
ended start(const std::string& program, const std::string& option, const std::string& argument) {
  int ends[2] = {-1, -1};
  ended out;
  if (::pipe2(ends, O_CLOEXEC) != 0) return out;
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], 1);
    ::dup2(ends[1], 2);
    ::execl(program.c_str(), program.c_str(), option.c_str(), argument.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  char room[4096];
  for (ssize_t got = 1; got > 0;) {
    got = ::read(ends[0], room, sizeof room);
    if (got > 0) out.said.append(room, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  if (::waitpid(child, &out.status, 0) != child) out.status = -1;
  return out;
}
std::string own_path() {
  char path[4096] = "";
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path - 1);
  return std::string(path, length > 0 ? static_cast<std::size_t>(length) : 0);
}

void expect(support::proof& proof, std::size_t got, std::size_t wanted, const char* what) {
  proof.point(got);
  if (got != wanted)
    proof.fail(
        std::string(what) + ": " + std::to_string(got) + " of " + std::to_string(wanted) + " are as they should be",
        "");
  proof.part(what);
}

void check_posts(support::proof& proof) {
  const std::size_t posts = (proof.has("--long") ? 1'000'000 : 200'000) / share / 128 * 128;
  expect(proof, posts::throw_balls<wire>(posts / 2, false), posts / 2 / 64 * 64, "posts from loop to loop");
  expect(proof, posts::send_letters<wire>(posts / 2, false), posts / 2 / 16 * 16, "posts that arrive in order");
  const std::size_t tasks = (proof.has("--long") ? 50'000 : 10'000) / share;
  expect(proof, posts::spawn_tasks<wire>(tasks), tasks, "tasks that other threads start");
  proof.point(2);
  if (posts::throw_balls<wire>(6400, true) != 0) proof.fail("a post that is lost goes unseen", "");
  if (posts::send_letters<wire>(1600, true) != 0) proof.fail("posts out of order go unseen", "");
}

void check_buffers(support::proof& proof) {
  const std::size_t count = 20'000 / share;
  expect(proof, buffers::hand_over(count), count, "buffers that another thread frees");
  expect(proof, buffers::share_out(count), count * 4, "buffers that several threads hold");
  const ended late = start(own_path(), "--after-main", "1000");
  proof.point(1000);
  if (late.status != 0 || late.said != "after main: 1000 whole\n")
    proof.fail("buffers after main: status " + std::to_string(late.status) + ", " + late.said, "");
  proof.part("buffers that are freed after main");
}

void check_foreign_use(support::proof& proof) {
  for (const std::string_view which : foreign::all_cases) {
    const ended died = start(own_path(), "--foreign", std::string(which));
    proof.point();
    const bool told = died.said.find("executors") != std::string::npos || died.said.find("belong") != std::string::npos;
    if (!WIFSIGNALED(died.status) || WTERMSIG(died.status) != SIGABRT || !told)
      proof.fail("foreign use goes unseen: " + std::string(which) + ": " + died.said,
                 "--foreign '" + std::string(which) + "'");
  }
  const ended home = start(own_path(), "--foreign", "nowhere");
  proof.point();
  if (home.status != 0) proof.fail("use at home is taken for foreign use: " + home.said, "--foreign nowhere");
  const ended released = start(own_path() + "_release", "", "");
  proof.point(std::size(foreign::all_cases));
  if (released.status != 0) proof.fail("without assertions: " + released.said, "");
  proof.part("flows that are used on foreign threads");
}

// ---- libraries

bool agree(const libraries::view& one, const libraries::view& other) {
  return one.errors == other.errors && one.conditions == other.conditions && one.running == other.running &&
         one.closed == other.closed && one.closed_is_disconnected && other.closed_is_disconnected;
}
coflow::task<> converse(coflow::task<coflow::result<void>> (*echo)(coflow::memory_flow), bool* good) {
  auto ends = coflow::memory_pipe();
  coflow::task_scope both;
  both.spawn(echo(std::move(ends.second))).value();
  const coflow::result<void> sent = co_await ends.first.write(coflow::buffer("across libraries"));
  const coflow::read_result got = co_await ends.first.read();
  *good = sent.has_value() && got.has_data() && got->text() == "across libraries";
  co_await ends.first.close();
  const coflow::result<void> joined = co_await both.join();
  if (!joined) *good = false;
}
coflow::task<> look_inside(support::proof* proof) {
  libraries::view mine;
  mine.errors = &coflow::error_category();
  mine.conditions = &coflow::condition_category();
  mine.running = coflow::executor::current();
  mine.closed = coflow::error::closed;
  mine.closed_is_disconnected = mine.closed == coflow::condition::disconnected;
  libraries::view one;
  libraries::view two;
  libraries::view three;
  libraries::one_look(one);
  libraries::two_look(two);
  libraries::three_look(three);
  proof->point(4);
  if (!agree(mine, one) || !agree(mine, two) || !agree(one, two))
    proof->fail("shared libraries disagree on errors or on the current executor", "");
  if (agree(mine, three)) proof->fail("a library that disagrees goes unseen", "");
  proof->point(4);
  if (!libraries::one_knows(two.closed) || !libraries::two_knows(one.closed) || !libraries::one_knows(mine.closed) ||
      !libraries::two_knows(mine.closed))
    proof->fail("an error of one shared library is strange to the other", "");
  bool with_one = false;
  bool with_two = false;
  co_await converse(&libraries::one_echo, &with_one);
  co_await converse(&libraries::two_echo, &with_two);
  proof->point(2);
  if (!with_one || !with_two) proof->fail("a flow does not work in another shared library", "");
}
void check_libraries(support::proof& proof) {
  const auto loop = wire::make_loop();
  coflow::run(*loop, look_inside(&proof));
  proof.part("shared libraries");
}

int use_at_home() {
  const auto home = wire::make_loop();
  auto ends = coflow::run(*home, foreign::connect_over<wire>());
  return coflow::run(*home, foreign::say(&ends)) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  if (proof.has("--foreign")) {
    const std::string which = proof.value("--foreign");
    if (which == "nowhere") return use_at_home();
    std::printf("%s\n", foreign::play(which).c_str());
    return 0;
  }
  if (proof.has("--after-main")) {
    for (std::size_t i = 0; i < 1000; ++i) buffers::until_the_end.held.push_back(buffers::make(i));
    return 0;
  }
  check_posts(proof);
  check_buffers(proof);
  check_foreign_use(proof);
  check_libraries(proof);
  return proof.end();
}
