// load_generator MODE --port P [options]
// Loads an echo server on 127.0.0.1 from one thread, on epoll, and measures it. MODE:
//
//   pingpong   each connection sends a message, waits until all of it is back, and sends the next
//   stream     each connection keeps bytes under way, to the server and back
//   sink       each connection sends as much as it can to a server that answers nothing
//   churn      connect, one message there and back, close, and again; over TLS each time with a full handshake
//   resume     the same over TLS, each time taking up the session that the last ticket is for
//   idle       opens connections, sends one message on each, and leaves them alone
//
//   --tls             over TLS 1.3, where it is built with OpenSSL
//   --connections N   how many at a time (16)
//   --size S          bytes of a message (64, at most 65536); stream and sink: of a send (65536)
//   --in-flight B     stream: how many bytes of a connection are under way (262144; with much more than that the CPU
//                     time of any server jumps by half from run to run, with how the kernel sizes its buffers)
//   --seconds D       measures for that long (1) after a warm-up of --warmup W seconds (0.2)
//   --messages M      instead: exactly M messages (churn, resume: connections; stream: megabytes and a little more;
//                     not with sink), without a warm-up
//   --pid P           the server's process, for what is measured about it
//
// Prints name=value pairs in a line. An operation is a message; stream and sink: a megabyte, 10^6 bytes; churn and
// resume: a connection. done and per_second count operations; cpu_us is the server's CPU time for one, in microseconds;
// *_waiting is the share of the time in which a process could have run, but did not get a CPU; idle: bytes of the
// server's memory for each connection. Whatever goes wrong ends the process with 1, a handshake that is not of the kind
// that was wanted among it, and an alarm ends it when nothing goes on.
#include <sys/resource.h>

#include "generator.hpp"
#ifdef COFLOW_BENCH_TLS
#include "tls_client.hpp"
#endif

namespace {

template <class Client>
bool run(const settings& wanted) {
  return generator<Client>(wanted).run();
}

bool run_any(const settings& wanted) {
  if (!wanted.tls) return run<plain_client>(wanted);
#ifdef COFLOW_BENCH_TLS
  return run<tls_client>(wanted);
#else
  errno = ENOTSUP;
  fail("--tls");
#endif
}

}  // namespace

int main(int count, char** words) {
  settings wanted;
  if (!read_arguments(count, words, wanted)) {
    std::fprintf(
        stderr,
        "usage: load_generator pingpong|stream|sink|churn|resume|idle --port P [--tls] [--connections N] [--size S]\n"
        "  [--in-flight B] [--seconds D] [--warmup W] [--messages M] [--pid P]; the head of its source says more\n");
    return 2;
  }
  alarm(wanted.messages != 0 || wanted.mode == "idle" ? 120
                                                      : static_cast<unsigned>(wanted.seconds + wanted.warmup) + 30);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  if (!run_any(wanted)) {
    std::fprintf(stderr, "load_generator: no mode is named %s\n", words[1]);
    return 2;
  }
}
