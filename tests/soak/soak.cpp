// Many connections over the kernel, between two processes: thousands that are open at once, and tens of thousands that
// end gracefully, by a reset, in the middle of a write, or cancelled. Afterwards both processes must have the
// descriptors, coroutine frames and allocations that they had before, and must not grow.
//
//     soak [--long] [--together N] [--churn N] [--seed N]
//
// The program starts itself again as the server.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "soak/client.hpp"
#include "support/proof.hpp"

namespace {

#ifdef COFLOW_FEWER_POINTS
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

/// The server's process and what it prints.
class server_process {
 public:
  server_process(const char* wire, const std::string& defect) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) std::perror("pipe"), std::abort();
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], 1);
      ::execl("/proc/self/exe", "soak", "--server", wire, "--defect", defect.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    from_ = ::fdopen(ends[0], "r");
  }
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;
  ~server_process() { std::fclose(from_); }

  std::string line() {
    char text[500] = "";
    if (std::fgets(text, sizeof text, from_) == nullptr) return "";
    text[std::strcspn(text, "\n")] = '\0';
    return text;
  }
  bool ended_well() {
    int status = -1;
    return ::waitpid(child_, &status, 0) == child_ && status == 0;
  }

 private:
  pid_t child_ = -1;
  std::FILE* from_ = nullptr;
};

template <class Wire>
soak::outcome run_soak(const soak::settings& how, const std::string& defect = "none") {
  soak::outcome out;
  out.server_resident.reserve(5);
  out.client_resident.reserve(5);
  static_cast<void>(soak::large_payload());
  server_process server(Wire::name, defect);
  const std::string address = server.line();
  const soak::counts before = soak::count_all(support::memory_in_use.blocks);
  if (address.empty()) {
    out.blame("the server did not start");
    return out;
  }
  std::string breach;
  {
    // The outcome's own text must not count as something left behind.
    const auto loop = Wire::make_loop();
    soak::client<Wire> one(how, address, out);
    coflow::run(*loop, soak::client<Wire>::run(&one));
    breach = std::move(out.breach);
    out.breach = std::string();
  }
  const long own = breach.capacity() > 15 ? 1 : 0;
  soak::counts after = soak::count_all(support::memory_in_use.blocks);
  after.blocks -= own;
  out.breach = std::move(breach);
  const std::string left = soak::left_behind(before, after);
  if (!left.empty()) out.blame("the client has " + left);
  const std::string last = server.line();
  if (last != "end ") out.blame("the server's end: " + last);
  if (!server.ended_well()) out.blame("the server's process failed");
  return out;
}

/// A server with a defect, or a client that lies: the judge must see it.
template <class Wire>
void control(support::proof& proof, const std::string& defect, std::string_view finds) {
  soak::settings few;
  few.together = 50;
  few.churned = 2000;
  few.lies = defect == "lies";
  if (sanitized) {
    few.churned = 500;
    few.slope_limit = -1;
  }
  const soak::outcome out = run_soak<Wire>(few, defect);
  if (out.breach.find(finds) != std::string::npos)
    proof.point();
  else
    proof.fail("a defect goes unseen: " + defect + "; found: " + out.breach, "--only-controls");
}

template <class Wire>
void judge(support::proof& proof) {
  const std::string repro = "--seed " + std::to_string(proof.number("--seed", 1));
  soak::settings how;
  how.churned = proof.has("--long") ? 100'000 : sanitized ? 4'000 : 20'000;
  how.churned = static_cast<std::size_t>(proof.number("--churn", static_cast<long>(how.churned)));
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  how.together = std::min<std::size_t>(sanitized ? 2'000 : 10'000, descriptors.rlim_cur - 100);
  how.together = static_cast<std::size_t>(proof.number("--together", static_cast<long>(how.together)));
  how.seed = static_cast<std::uint64_t>(proof.number("--seed", 1));
  if (sanitized) how.slope_limit = -1;  // what is freed is kept back on purpose

  if (!proof.has("--only-controls")) {
    const soak::outcome out = run_soak<Wire>(how);
    proof.point(out.behaved);
    if (!out.breach.empty())
      proof.fail(out.breach + (out.breaches > 1 ? " (and " + std::to_string(out.breaches - 1) + " more)" : ""), repro);
    std::printf("%zu open at once: %.0f bytes of the server for each\n", how.together, out.idle_bytes);
    if (!sanitized && out.idle_bytes >= 4096) proof.fail("an idle connection holds 4 KiB or more", repro);
    for (std::size_t i = 0; i < out.server_resident.size(); ++i)
      std::printf("after %zu fifths of the churn: server %ld KiB, client %ld KiB\n", i + 1, out.server_resident[i],
                  out.client_resident[i]);
    proof.part(std::string(Wire::name) + ", connections that behaved");
  }
  control<Wire>(proof, "descriptors", "descriptors");
  control<Wire>(proof, "frames", "frames");
  control<Wire>(proof, "allocations", "allocations");
  if (!sanitized) control<Wire>(proof, "memory", "grows in memory");
  control<Wire>(proof, "lies", "ended in another way");
  proof.part(std::string(Wire::name) + ", defects that are seen");
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
}

}  // namespace

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  raise_descriptor_limit();
  if (proof.has("--server")) {
    if (proof.value("--server") == support::tcp_wire::name)
      return soak::server_main<support::tcp_wire>(proof.value("--defect"));
    return 2;
  }
  judge<support::tcp_wire>(proof);
  return proof.end();
}
