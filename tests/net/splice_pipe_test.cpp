// The pipes through which bytes go from one descriptor to another: what they hold, who has them, and no SIGPIPE.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <coflow/net/detail/splice_pipe.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "support/catch.hpp"
#include "support/loop_tasks.hpp"

namespace {

// Gives the number of the step that went wrong; a signal ends the process.
int splices_to_nobody(bool to_socket) {
  coflow::detail::splice_pipes pipes;
  coflow::detail::splice_pipe pipe(pipes);
  int source[2];
  int sink[2];
  if (!pipe || ::pipe(source) != 0) return 1;
  if ((to_socket ? ::socketpair(AF_UNIX, SOCK_STREAM, 0, sink) : ::pipe(sink)) != 0) return 2;
  if (::write(source[1], "lost", 4) != 4 || pipe.fill_from(source[0], 4) != 4) return 3;
  ::close(sink[0]);
  if (pipe.drain_to(sink[1]) != -EPIPE || pipe.held() != 4) return 4;
  return pipe.take_out(4).text() == "lost" ? 0 : 5;
}

TEST_CASE("no SIGPIPE comes of it", "[splice_pipe]") {
  if (!coflow::detail::sys::has_splice) return;
  CHECK(support::in_child(&splices_to_nobody, true) == 0);
  CHECK(support::in_child(&splices_to_nobody, false) == 0);
}

TEST_CASE("pipes are kept when they are empty, closed when they are not, and not lent without end", "[splice_pipe]") {
  if (!coflow::detail::sys::has_splice) return;
  int source[2];
  support::checked(::pipe(source), "pipe");
  const support::unique_fd out(source[0]);
  const support::unique_fd in(source[1]);
  {
    coflow::detail::splice_pipes pipes;
    {
      coflow::detail::splice_pipe first(pipes);
      REQUIRE(first);
      CHECK(::write(in.get(), "left", 4) == 4);
      CHECK(first.fill_from(out.get(), 4) == 4);
    }
    {
      coflow::detail::splice_pipe second(pipes);
      REQUIRE(second);
      CHECK(::write(in.get(), "this", 4) == 4);
      CHECK(second.fill_from(out.get(), 100) == 4);
      CHECK(second.take_out(3, std::as_bytes(std::span("in ", 3))).text() == "in thi");
      CHECK(second.take_out(100).text() == "s");
      CHECK(second.held() == 0);
    }
    std::vector<std::unique_ptr<coflow::detail::splice_pipe>> lent;
    do lent.push_back(std::make_unique<coflow::detail::splice_pipe>(pipes));
    while (*lent.back() && lent.size() < 1000);
    CHECK(lent.size() > 1);
    CHECK(lent.size() <= 17);
    lent.erase(lent.begin(), lent.begin() + 8);
    CHECK(coflow::detail::splice_pipe(pipes));
  }
  auto pipes = std::make_unique<coflow::detail::splice_pipes>();
  const coflow::detail::splice_pipe outlives_them(*pipes);
  pipes.reset();
  CHECK(outlives_them);
}

}  // namespace
