// Memory runs out at every allocation, once or from then on: each conversation is run once for each allocation that it
// makes. It must end, without a crash, with nothing left behind, and what was received must be a prefix of what was
// sent; where nothing was reported, all of it. Close, shutdown and destructors must get by without memory.
//
//     alloc [--flow NAME]
//
// A program of its own, because it replaces operator new.

// Every block counts, also those that a pool would give out again.
#define COFLOW_NO_POOL 1

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/net.hpp>
#include <coflow/testing/virtual_executor.hpp>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "laws/factories.hpp"
#ifdef COFLOW_WITH_OPENSSL
#include "laws/tls_factories.hpp"
#endif
#include "support/proof.hpp"

namespace {

// ---- the injector: armed around the library's work only

struct injector {
  bool armed = false;
  bool forever = false;
  std::size_t fails_at = 0;
  std::size_t seen = 0;
  std::size_t fired = 0;
  long live = 0;

  [[nodiscard]] bool refuses() noexcept {
    if (!armed) return false;
    ++seen;
    if (forever ? seen < fails_at : seen != fails_at) return false;
    ++fired;
    return true;
  }
};
injector memory_of;

void* allocate(std::size_t size, std::size_t alignment) {
  if (memory_of.refuses()) throw std::bad_alloc();
  void* made = alignment == 0 ? std::malloc(size == 0 ? 1 : size)
                              : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (made == nullptr) throw std::bad_alloc();
  ++memory_of.live;
  return made;
}
void give_back(void* memory) noexcept {
  if (memory == nullptr) return;
  --memory_of.live;
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, 0); }
void* operator new[](std::size_t size) { return allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }

namespace {

using coflow::buffer;
using coflow::read_result;
using coflow::result;
using coflow::task;

class armed {
 public:
  // An accept goes on through shortages, for ever if need be: over the kernel, memory runs out on made connections.
  armed(std::size_t at, bool forever, bool once_connected) noexcept {
    memory_of.fails_at = at;
    memory_of.forever = forever;
    memory_of.seen = 0;
    memory_of.fired = 0;
    memory_of.armed = !once_connected;
  }
  ~armed() { memory_of.armed = false; }
};

// ---- the conversation: both ends write and read everything, then end

constexpr std::string_view text = "what is said in a conversation, more than once";
constexpr int times = 20;

struct log {
  log() { text.reserve(4096); }
  std::string text;
  bool failed = false;
  bool eof = false;
};

template <class F>
task<> speak(F* flow, log* out) {
  for (int i = 0; i < times; ++i) {
    buffer list[2] = {buffer(text.substr(0, 10)), buffer(text.substr(10))};
    const result<void> sent = co_await flow->writev(list);
    if (!sent) {
      out->failed = true;
      break;
    }
  }
  co_await flow->shutdown(coflow::shutdown_mode::write);
}
template <class F>
task<> listen(F* flow, log* out) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) {
      out->eof = got.eof();
      if (got.failed()) out->failed = true;
      co_return;
    }
    out->text.append(got->text());
  }
}

template <class F>
task<> both(F* flow, log* said, log* heard) {
  coflow::task_scope scope;
  scope.spawn(listen(flow, heard)).value();
  co_await speak(flow, said);
  const result<void> joined = co_await scope.join();
  if (!joined) heard->failed = true;
  co_await flow->close();
}

struct outcome {
  log said[2];
  log heard[2];
  bool out_of_memory = false;
  bool other = false;
};

template <class Factory>
task<> converse(const Factory* make, outcome* out) {
  if constexpr (coflow::awaitable<std::invoke_result_t<const Factory&>>) {
    auto ends = co_await (*make)();
    memory_of.armed = true;
    coflow::task_scope scope;
    scope.spawn(both(&ends.first, &out->said[0], &out->heard[0])).value();
    scope.spawn(both(&ends.second, &out->said[1], &out->heard[1])).value();
    const result<void> joined = co_await scope.join();
    if (!joined) out->other = true;
  } else {
    auto ends = (*make)();
    coflow::task_scope scope;
    scope.spawn(both(&ends.first, &out->said[0], &out->heard[0])).value();
    scope.spawn(both(&ends.second, &out->said[1], &out->heard[1])).value();
    const result<void> joined = co_await scope.join();
    if (!joined) out->other = true;
  }
}

// ---- the sweep

template <class E, class Factory>
bool run_one(const Factory& make, std::size_t at, bool forever, std::string& breach) {
  const long live = memory_of.live;
  std::size_t fired = 0;
  {
    outcome came_to;
    std::string whole;
    for (int i = 0; i < times; ++i) whole.append(text);
    try {
      std::optional<E> on(std::in_place);
      {
        const armed now(at, forever, !std::is_same_v<E, coflow::virtual_executor>);
        try {
          coflow::run(*on, converse(&make, &came_to));
        } catch (const std::bad_alloc&) {
          came_to.out_of_memory = true;
        } catch (const std::system_error&) {
          came_to.other = true;
        }
        on.reset();
      }
      fired = memory_of.fired;
    } catch (const coflow::hang& hung) {
      breach = hung.what();
    }
    const bool reported = came_to.out_of_memory || came_to.other || came_to.said[0].failed || came_to.said[1].failed ||
                          came_to.heard[0].failed || came_to.heard[1].failed;
    for (const log& one : came_to.heard) {
      if (std::string_view(whole).substr(0, one.text.size()) != one.text) breach = "other bytes were received";
      if (!reported && (!one.eof || one.text != whole)) breach = "bytes are missing, and nothing was reported";
    }
  }
  if (coflow::detail::live_frames.load() != 0) breach = "a coroutine's frame is left";
  if (breach.empty() && memory_of.live != live)
    breach = std::to_string(memory_of.live - live) + " allocations are left";
  return fired != 0;
}

template <class E = coflow::virtual_executor, class Factory>
void sweep(support::proof& proof, std::string_view name, const Factory& make) {
  const std::string only = proof.value("--flow");
  if (!only.empty() && only != name) return;
  for (const bool forever : {false, true}) {
    for (std::size_t at = 1;; ++at) {
      std::string breach;
      const bool fired = run_one<E>(make, at, forever, breach);
      if (!breach.empty())
        proof.fail(std::string(name) + ", allocation " + std::to_string(at) + (forever ? " and all later" : "") +
                       " fails: " + breach,
                   "--flow '" + std::string(name) + "'");
      if (!fired) break;
      proof.point();
    }
  }
  proof.part(name);
}

}  // namespace

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  using namespace factories;
  sweep(proof, "memory_pipe", memory(100));
  sweep(proof, "layered_flow", over_layer<>());
  sweep(proof, "any_flow", over_any<>());
  sweep(proof, "function_flow", over_functions<>());
  sweep(proof, "codec_flow, frames", over_frames<>());
  sweep(proof, "codec_flow, secure", over_secure<>());
  sweep(proof, "secure, any, frames", over_secure<over_any<over_frames<>>>());
  sweep<coflow::event_loop>(proof, "tcp", tcp());
#ifdef COFLOW_WITH_OPENSSL
  tls_contexts::all();  // made once, and not in the middle of a sweep
  sweep(proof, "tls", over_tls<>());
#endif
  sweep<coflow::event_loop>(proof, "frames over tcp", over_frames<tcp>());
  return proof.end();
}
