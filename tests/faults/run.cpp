#include "faults/run.hpp"

#include <signal.h>
#include <unistd.h>
#ifdef COFLOW_WITH_OPENSSL
#include <openssl/crypto.h>
#endif

#include <algorithm>
#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/net.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <system_error>

#include "faults/stage.hpp"

namespace faults {
namespace {

long live_now = 0;
char running[512];
unsigned limit_in_seconds = 60;

void* allocate(std::size_t size, std::size_t alignment) {
  void* made = alignment == 0 ? std::malloc(size == 0 ? 1 : size)
                              : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (made == nullptr) throw std::bad_alloc();
  ++live_now;
  return made;
}
void give_back(void* memory) noexcept {
  if (memory == nullptr) return;
  --live_now;
  std::free(memory);
}

void name_the_run(int signal) {
  const char start[] = "\nended by a signal, or took too long: COFLOW_REPRO=\"";
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, start, sizeof start - 1);
  written = ::write(STDERR_FILENO, running, std::strlen(running));
  written = ::write(STDERR_FILENO, "\"\n", 2);
  ::_exit(128 + signal);
}

using namespace std::chrono_literals;

// When nothing has happened for so long, nothing will: the scenario is told to stop, and then it is given up.
class warden final : public coflow::timer {
 public:
  warden(coflow::event_loop& loop, stage& on, coflow::task_scope** scope) : loop_(loop), on_(on), scope_(scope) {
    loop_.arm(*this, loop_.now() + 2s);
  }
  warden(const warden&) = delete;
  warden& operator=(const warden&) = delete;
  ~warden() = default;
  [[nodiscard]] bool given_up() const noexcept { return given_up_; }

 private:
  void run() noexcept override {
    if (on_.starving || *scope_ == nullptr) {
      given_up_ = true;
      return;
    }
    on_.starving = true;
    (*scope_)->cancel();
    loop_.arm(*this, loop_.now() + 2s);
  }

  coflow::event_loop& loop_;
  stage& on_;
  coflow::task_scope** scope_;
  bool given_up_ = false;
};

coflow::task<> in_a_scope(stage* on, coflow::task<> (*body)(stage*), coflow::task_scope** published) {
  coflow::task_scope scope;
  *published = &scope;
  scope.spawn(body(on)).value();
  static_cast<void>(co_await scope.join());
  *published = nullptr;
}

void drive(stage& on, const world& in, const scenario& what) {
  std::exception_ptr thrown;
  bool hung = false;
  {
    const std::unique_ptr<coflow::event_loop> loop = in.loop();
    coflow::task_scope* scope = nullptr;
    bool over = false;
    coflow::spawn(*loop, in_a_scope(&on, what.body, &scope), [&](const coflow::task_outcome<void>& came_to) {
      if (!came_to) thrown = came_to.error();
      over = true;
    });
    const warden watching(*loop, on, &scope);
    while (!over && !hung) {
      loop->turn();
      hung = watching.given_up() || kernel::spins();
    }
  }
  if (hung) on.breaches.push_back("it does not end");
  if (thrown) std::rethrow_exception(thrown);
}

// ---- the judgement

bool to_be_absorbed(const incident& one) noexcept {
  const fault& what = one.what;
  if (what.what == EINTR || what.what == EAGAIN || what.what < 0) return true;
  switch (what.where) {
    case call::accept4:
      return !what.persistent;
    case call::shutdown:
    case call::close:
    case call::getpeername:
      return true;
    default:
      return false;
  }
}

bool starves(const incident& one) noexcept {
  return one.times != 0 && one.what.persistent && one.what.where == call::accept4;
}

bool sends(const incident& one) noexcept {
  const call at = one.what.where;
  return one.what.what > 0 && (at == call::send || at == call::sendmsg || at == call::write || at == call::writev);
}

// A goodbye that fails in a shutdown, on a connection that goes on: neither side is told, and only who waits no longer
// ends it. An error that ends the connection tells the reader.
bool loses_a_goodbye(const incident& one) noexcept {
  if (!sends(one)) return false;
  const int what = one.what.what;
  return what == EPIPE || what == ENOBUFS || what == ENOMEM || what == EMSGSIZE;
}

void judge_stream(const side& from, const side& to, bool forged_end, stage& on) {
  const std::string names = std::string(from.name) + " to " + std::string(to.name);
  if (!std::string_view(from.offered).starts_with(to.received))
    on.breaches.push_back(names + ": what was received is not what was sent");
  if (!to.at_eof() || (forged_end && !to.framed)) return;
  if (on.cannot_reset && !to.framed && !on.reports.empty()) return;  // no law can hold without the means
  if (to.received.size() != from.accepted)
    on.breaches.push_back(names + ": a clean end after " + std::to_string(to.received.size()) + " bytes, where " +
                          std::to_string(from.accepted) + " were accepted");
  if (from.cut_off) on.breaches.push_back(names + ": a clean end, where the connection was cut off");
}

void judge(stage& on, const plan& of) {
  bool must_be_complete = true;
  bool may_starve = false;
  bool forged_end = false;
  bool told = false;
  const bool layered = on.client.framed || on.server.framed;
  for (const incident& one : kernel::incidents()) {
    if (one.times == 0) continue;
    if (!to_be_absorbed(one)) must_be_complete = false;
    if (starves(one) || (layered && loses_a_goodbye(one))) may_starve = true;
    const bool end = one.what.what == end_of_file;
    if (end) forged_end = true;
    if (end && !layered) told = true;  // nobody can tell it from a real one
    if (starves(one)) told = true;     // a listener says so elsewhere, and goes on
    for (const std::error_code& each : on.reports) {
      if (!end && each == coflow::from_system(one.what.what)) told = true;
      // The goodbye of a close is sent by nobody who could be told; the peer is, or a limit is met.
      if (layered && (end || sends(one)) && (each == coflow::error::truncated || each == coflow::error::timed_out))
        told = true;
    }
  }

  if (on.proxied) {
    judge_stream(on.client, on.inner_client, forged_end, on);
    judge_stream(on.inner_client, on.client, forged_end, on);
    judge_stream(on.server, on.inner_server, forged_end, on);
    judge_stream(on.inner_server, on.server, forged_end, on);
  } else {
    judge_stream(on.client, on.server, forged_end, on);
    judge_stream(on.server, on.client, forged_end, on);
  }
  if (on.starving && !may_starve) on.breaches.push_back("nothing goes on any more");
  if (on.complete || (on.starving && may_starve)) return;
  if (must_be_complete && !of.no_edges)
    on.breaches.push_back(kernel::incidents().empty() ? "it did not go as it was meant to go"
                                                      : "a fault was not absorbed");
  else if (!told)
    on.breaches.push_back("a fault was neither reported nor absorbed");
}

}  // namespace

long live_allocations() noexcept { return live_now; }

#ifdef COFLOW_WITH_OPENSSL
void count_openssl() noexcept {
  const auto give = [](std::size_t size, const char*, int) -> void* {
    void* const made = size == 0 ? nullptr : std::malloc(size);
    if (made != nullptr) ++live_now;
    return made;
  };
  const auto resize = [](void* memory, std::size_t size, const char*, int) -> void* {
    if (memory != nullptr && size == 0) {
      give_back(memory);
      return nullptr;
    }
    void* const made = std::realloc(memory, size);
    if (memory == nullptr && made != nullptr) ++live_now;
    return made;
  };
  const auto take = [](void* memory, const char*, int) { give_back(memory); };
  if (CRYPTO_set_mem_functions(give, resize, take) != 1) std::abort();
}
#else
void count_openssl() noexcept {}
#endif

void watch_the_clock(unsigned seconds) {
  limit_in_seconds = seconds;
  for (const int one : {SIGALRM, SIGABRT}) ::signal(one, name_the_run);
}

outcome run_once(const plan& of, const world& in, const scenario& what) {
  outcome came_to;
  std::snprintf(running, sizeof running, "%s", in_words(of).c_str());
  ::alarm(limit_in_seconds);
  const std::size_t descriptors = kernel::open_descriptors();
  const long frames = coflow::detail::live_frames.load();
  const long blocks = live_allocations();
  {
    stage on;
    on.cannot_reset = in.name == "unix";
    if (of.limit != 0 || of.storm) on.bulk = 64 * 1024;  // which takes many calls then
    kernel::begin(of);
    try {
      drive(on, in, what);
    } catch (const std::system_error& refused) {
      on.reports.push_back(refused.code());
    }
    kernel::end();
    judge(on, of);
    came_to.complete = on.complete;
    came_to.starved = on.starving;
    for (std::string& one : on.breaches) came_to.breaches.push_back(std::move(one));
  }
  came_to.counts = kernel::counts();
  for (const incident& one : kernel::incidents()) came_to.fired += one.times != 0 ? 1 : 0;
  const long frames_left = coflow::detail::live_frames.load() - frames;
  if (frames_left != 0) came_to.breaches.push_back(std::to_string(frames_left) + " coroutine frames are left");
  if (came_to.breaches.empty() && live_allocations() != blocks)
    came_to.breaches.push_back(std::to_string(live_allocations() - blocks) + " allocations are left");
  const std::size_t open = kernel::open_descriptors();
  if (open != descriptors)
    came_to.breaches.push_back("descriptors: " + std::to_string(descriptors) + " before, " + std::to_string(open) +
                               " after");
  return came_to;
}

}  // namespace faults

void* operator new(std::size_t size) { return faults::allocate(size, 0); }
void* operator new[](std::size_t size) { return faults::allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return faults::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { faults::give_back(memory); }
void operator delete[](void* memory) noexcept { faults::give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { faults::give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { faults::give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { faults::give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { faults::give_back(memory); }
