#define CATCH_CONFIG_EXTERNAL_INTERFACES
#include "support/survival.hpp"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coflow/core/detail/pool.hpp"
#include "coflow/core/task.hpp"
#include "support/catch.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define COFLOW_TEST_UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COFLOW_TEST_UNDER_ASAN 1
#endif
#endif
#ifdef COFLOW_TEST_UNDER_ASAN
#include <sanitizer/asan_interface.h>
#endif

// ---- live allocations
//
// Every block carries a header with the number of the test body that made it, 0 for none; the blocks of the running
// body are on a list. What Catch2 allocates is kept off the list in three ways. Its assertions, sections and messages
// all go through IResultCapture, so a wrapper around the real one marks them. Reporters work between the listener's
// sectionStarting and the body; Catch2 installs its signal handlers right before it calls the body, and that is how the
// body's first allocation is told from theirs; after the body there is one, the name in the SectionStats. The string
// streams behind INFO and CAPTURE, made on demand and kept for ever, are made large and in number before the first
// test.

namespace {

enum class phase : int {
  outside,      // no test body is running
  before_body,  // one is about to run
  body,
};

constinit std::atomic<std::uint64_t> calls{0};
constinit std::atomic<phase> now_in{phase::outside};
constinit thread_local int exempt = 0;                   // in Catch2, or in the scope of a lasting_allocations
constinit thread_local std::int64_t until_failure = -1;  // calls that still succeed; none is to fail if negative

struct block_header {
  block_header* previous;
  block_header* next;
  std::size_t size;
  std::uint32_t body;  // which one made it
  std::uint32_t mark;
};
[[maybe_unused]] constexpr std::uint32_t live_mark = 0x51badbad;
#ifdef COFLOW_TEST_UNDER_ASAN
constexpr std::size_t red_zone = 16;  // poisoned, so that a write in front of the block is still found
#else
constexpr std::size_t red_zone = 0;
#endif
constexpr std::size_t in_front = sizeof(block_header) + red_zone;
static_assert(in_front % alignof(std::max_align_t) == 0);

constinit std::mutex list_mutex;
constinit block_header* list_head = nullptr;
constinit std::uint32_t body_number = 0;

}  // namespace

#ifndef COFLOW_TEST_UNDER_TSAN
namespace {

// The handlers that Catch2 installs for the time of a test body.
bool catch_handlers_installed() noexcept {
  struct sigaction current;
  return sigaction(SIGTERM, nullptr, &current) == 0 && current.sa_handler != SIG_DFL && current.sa_handler != SIG_IGN;
}

bool in_test_body() noexcept {
  const phase current = now_in.load(std::memory_order_relaxed);
  if (current == phase::outside || exempt != 0) return false;
  if (current == phase::body) return true;
  if (!catch_handlers_installed()) return false;
  now_in.store(phase::body, std::memory_order_relaxed);
  return true;
}

// What is taken in front of a block, so that the block itself is aligned.
constexpr std::size_t room_for(std::size_t alignment) noexcept {
  return (in_front + alignment - 1) / alignment * alignment;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  calls.fetch_add(1, std::memory_order_relaxed);
  if (until_failure >= 0 && exempt == 0 && until_failure-- == 0) return nullptr;
  alignment = std::max(alignment, alignof(std::max_align_t));
  const std::size_t room = room_for(alignment);
  if (size > std::size_t{PTRDIFF_MAX} - 2 * room) return nullptr;
  void* memory = alignment == alignof(std::max_align_t)
                     ? std::malloc(room + size)
                     : std::aligned_alloc(alignment, (room + size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) return nullptr;
  std::byte* given = static_cast<std::byte*>(memory) + room;
  auto* header = ::new (static_cast<void*>(given - in_front)) block_header{nullptr, nullptr, size, 0, live_mark};
  if (in_test_body()) {
    const std::lock_guard lock(list_mutex);
    header->body = body_number;
    header->next = list_head;
    if (list_head != nullptr) list_head->previous = header;
    list_head = header;
  }
#ifdef COFLOW_TEST_UNDER_ASAN
  __asan_poison_memory_region(given - red_zone, red_zone);
#endif
  return given;
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  if (void* given = allocate(size, alignment)) return given;
  throw std::bad_alloc();
}

void release(void* given, std::size_t alignment) noexcept {
  if (given == nullptr) return;
  std::byte* start = static_cast<std::byte*>(given);
  auto* header = reinterpret_cast<block_header*>(start - in_front);
  if (header->mark != live_mark) {
    std::fputs("survival: a block was freed that operator new did not give, or somebody wrote in front of it\n",
               stderr);
    std::abort();
  }
  if (header->body != 0) {
    const std::lock_guard lock(list_mutex);
    if (header->body == body_number) {  // blocks of earlier bodies are on no list
      if (header->previous != nullptr)
        header->previous->next = header->next;
      else
        list_head = header->next;
      if (header->next != nullptr) header->next->previous = header->previous;
    }
  }
  header->mark = 0;
#ifdef COFLOW_TEST_UNDER_ASAN
  __asan_unpoison_memory_region(start - red_zone, red_zone);
#endif
  std::free(start - room_for(std::max(alignment, alignof(std::max_align_t))));
}

constexpr std::size_t plain = alignof(std::max_align_t);
constexpr std::size_t number(std::align_val_t alignment) noexcept { return static_cast<std::size_t>(alignment); }

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size, plain); }
void* operator new[](std::size_t size) { return allocate_or_throw(size, plain); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, plain); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, plain); }
void* operator new(std::size_t size, std::align_val_t a) { return allocate_or_throw(size, number(a)); }
void* operator new[](std::size_t size, std::align_val_t a) { return allocate_or_throw(size, number(a)); }
void* operator new(std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(size, number(a));
}
void* operator new[](std::size_t size, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate(size, number(a));
}
void operator delete(void* given) noexcept { release(given, plain); }
void operator delete[](void* given) noexcept { release(given, plain); }
void operator delete(void* given, std::size_t) noexcept { release(given, plain); }
void operator delete[](void* given, std::size_t) noexcept { release(given, plain); }
void operator delete(void* given, const std::nothrow_t&) noexcept { release(given, plain); }
void operator delete[](void* given, const std::nothrow_t&) noexcept { release(given, plain); }
void operator delete(void* given, std::align_val_t a) noexcept { release(given, number(a)); }
void operator delete[](void* given, std::align_val_t a) noexcept { release(given, number(a)); }
void operator delete(void* given, std::size_t, std::align_val_t a) noexcept { release(given, number(a)); }
void operator delete[](void* given, std::size_t, std::align_val_t a) noexcept { release(given, number(a)); }
void operator delete(void* given, std::align_val_t a, const std::nothrow_t&) noexcept { release(given, number(a)); }
void operator delete[](void* given, std::align_val_t a, const std::nothrow_t&) noexcept { release(given, number(a)); }
#endif  // COFLOW_TEST_UNDER_TSAN

namespace {

// A pool is drained so that its blocks count as freed, or so that it has none. Only this thread's: other threads end
// with the test.
void drain_pool() noexcept {
#ifndef COFLOW_NO_POOL
  coflow::detail::thread_pool.drain();
#endif
}

}  // namespace

namespace support {

std::uint64_t allocation_count() noexcept { return calls.load(std::memory_order_relaxed); }

failing_allocation::failing_allocation(std::int64_t behind) noexcept {
  drain_pool();
  until_failure = behind;
}
failing_allocation::~failing_allocation() { until_failure = -1; }
bool failing_allocation::has_struck() const noexcept { return until_failure < 0; }

lasting_allocations::lasting_allocations() noexcept { ++exempt; }
lasting_allocations::~lasting_allocations() { --exempt; }

}  // namespace support

namespace {

void begin_allocations() {
  {
    const std::lock_guard lock(list_mutex);
    list_head = nullptr;
    ++body_number;
  }
  now_in = phase::before_body;
}

// The sizes of what the body has left, but for the one block that Catch2 has made since.
std::vector<std::size_t> end_allocations(const void* made_by_catch) {
  now_in = phase::outside;
  const std::lock_guard lock(list_mutex);
  std::vector<std::size_t> sizes;
  for (const block_header* one = list_head; one != nullptr; one = one->next) {
    if (reinterpret_cast<const std::byte*>(one) + in_front != made_by_catch) sizes.push_back(one->size);
  }
  std::reverse(sizes.begin(), sizes.end());
  return sizes;
}

// ---- descriptors

using descriptor_table = std::map<int, std::string>;

descriptor_table open_descriptors() {
  descriptor_table found;
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return found;
  while (const dirent* entry = readdir(directory)) {
    char* end = nullptr;
    const long fd = std::strtol(entry->d_name, &end, 10);
    if (*end != '\0' || fd == dirfd(directory)) continue;
    char target[256];
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t length = readlink(path.c_str(), target, sizeof(target));
    found[static_cast<int>(fd)] = std::string(target, length > 0 ? static_cast<std::size_t>(length) : 0);
  }
  closedir(directory);
  return found;
}

// ---- hangs

class watchdog {
 public:
  watchdog() : thread_([this] { watch(); }) {}
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void arm(std::string name) {
    const double seconds = limit();
    {
      const std::lock_guard lock(mutex_);
      name_ = std::move(name);
      deadline_.reset();
      if (seconds > 0)
        deadline_ = clock::now() + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
    }
    changed_.notify_one();
  }
  void disarm() {
    const std::lock_guard lock(mutex_);
    deadline_.reset();
  }

 private:
  // Not the steady clock: the thread sanitizer of g++ 12 does not know the wait on that one.
  using clock = std::chrono::system_clock;

  static double limit() {
    if (const char* asked = std::getenv("COFLOW_HANG_LIMIT")) return std::strtod(asked, nullptr);
#if defined(COFLOW_TEST_UNDER_ASAN) || defined(COFLOW_TEST_UNDER_TSAN)
    return 300;
#else
    return 60;
#endif
  }

  void watch() {
    std::unique_lock lock(mutex_);
    while (!over_) {
      if (!deadline_) {
        changed_.wait(lock);
      } else if (clock::now() < *deadline_) {
        const clock::time_point until = *deadline_;
        changed_.wait_until(lock, until);
      } else {
        std::fprintf(stderr, "\nsurvival: the test case \"%s\" hangs\n", name_.c_str());
        std::fflush(stderr);
        signal(SIGABRT, SIG_DFL);  // Catch2 would report from this thread
        std::abort();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string name_;
  std::optional<clock::time_point> deadline_;
  bool over_ = false;
  std::thread thread_;
};

// ---- Catch2

class in_catch {
 public:
  in_catch() noexcept { ++exempt; }
  in_catch(const in_catch&) = delete;
  in_catch& operator=(const in_catch&) = delete;
  ~in_catch() { --exempt; }
};

// Stands before Catch2's own IResultCapture and marks as Catch2's whatever is allocated behind it.
class marking_capture final : public Catch::IResultCapture {
 public:
  explicit marking_capture(Catch::IResultCapture& behind) noexcept : to_(behind) {}

#if CATCH_VERSION_MAJOR == 2
  bool sectionStarted(const Catch::SectionInfo& section, Catch::Counts& counts) override {
    const in_catch marked;
    return to_.sectionStarted(section, counts);
  }
  void sectionEnded(const Catch::SectionEndInfo& section) override {
    const in_catch marked;
    to_.sectionEnded(section);
  }
  void sectionEndedEarly(const Catch::SectionEndInfo& section) override {
    const in_catch marked;
    to_.sectionEndedEarly(section);
  }
  Catch::IGeneratorTracker& acquireGeneratorTracker(Catch::StringRef name, const Catch::SourceLineInfo& line) override {
    const in_catch marked;
    return to_.acquireGeneratorTracker(name, line);
  }
  void emplaceUnscopedMessage(const Catch::MessageBuilder& builder) override {
    const in_catch marked;
    to_.emplaceUnscopedMessage(builder);
  }
  void handleMessage(const Catch::AssertionInfo& info, Catch::ResultWas::OfType type, const Catch::StringRef& message,
                     Catch::AssertionReaction& reaction) override {
    const in_catch marked;
    to_.handleMessage(info, type, message, reaction);
  }
  void handleUnexpectedInflightException(const Catch::AssertionInfo& info, const std::string& message,
                                         Catch::AssertionReaction& reaction) override {
    const in_catch marked;
    to_.handleUnexpectedInflightException(info, message, reaction);
  }
#else  // the interface of 3.3 to 3.7, at least
  void notifyAssertionStarted(const Catch::AssertionInfo& info) override {
    const in_catch marked;
    to_.notifyAssertionStarted(info);
  }
  bool sectionStarted(Catch::StringRef name, const Catch::SourceLineInfo& line, Catch::Counts& counts) override {
    const in_catch marked;
    return to_.sectionStarted(name, line, counts);
  }
  void sectionEnded(Catch::SectionEndInfo&& section) override {
    const in_catch marked;
    to_.sectionEnded(std::move(section));
  }
  void sectionEndedEarly(Catch::SectionEndInfo&& section) override {
    const in_catch marked;
    to_.sectionEndedEarly(std::move(section));
  }
  Catch::IGeneratorTracker* acquireGeneratorTracker(Catch::StringRef name, const Catch::SourceLineInfo& line) override {
    const in_catch marked;
    return to_.acquireGeneratorTracker(name, line);
  }
  Catch::IGeneratorTracker* createGeneratorTracker(Catch::StringRef name, Catch::SourceLineInfo line,
                                                   Catch::Generators::GeneratorBasePtr&& generator) override {
    const in_catch marked;
    return to_.createGeneratorTracker(name, line, std::move(generator));
  }
  void benchmarkPreparing(Catch::StringRef name) override { to_.benchmarkPreparing(name); }
  void benchmarkStarting(const Catch::BenchmarkInfo& info) override { to_.benchmarkStarting(info); }
  void benchmarkEnded(const Catch::BenchmarkStats<>& stats) override { to_.benchmarkEnded(stats); }
  void benchmarkFailed(Catch::StringRef error) override { to_.benchmarkFailed(error); }
  void emplaceUnscopedMessage(Catch::MessageBuilder&& builder) override {
    const in_catch marked;
    to_.emplaceUnscopedMessage(std::move(builder));
  }
  void handleMessage(const Catch::AssertionInfo& info, Catch::ResultWas::OfType type, std::string&& message,
                     Catch::AssertionReaction& reaction) override {
    const in_catch marked;
    to_.handleMessage(info, type, std::string(message), reaction);  // a copy: the original was made in the body
  }
  void handleUnexpectedInflightException(const Catch::AssertionInfo& info, std::string&& message,
                                         Catch::AssertionReaction& reaction) override {
    const in_catch marked;
    to_.handleUnexpectedInflightException(info, std::string(message), reaction);
  }
#endif

  void pushScopedMessage(const Catch::MessageInfo& message) override {
    const in_catch marked;
    to_.pushScopedMessage(message);
  }
  void popScopedMessage(const Catch::MessageInfo& message) override {
    const in_catch marked;
    to_.popScopedMessage(message);
  }
  void handleFatalErrorCondition(Catch::StringRef message) override {
    const in_catch marked;
    to_.handleFatalErrorCondition(message);
  }
  void handleExpr(const Catch::AssertionInfo& info, const Catch::ITransientExpression& expression,
                  Catch::AssertionReaction& reaction) override {
    const in_catch marked;
    to_.handleExpr(info, expression, reaction);
  }
  void handleUnexpectedExceptionNotThrown(const Catch::AssertionInfo& info,
                                          Catch::AssertionReaction& reaction) override {
    const in_catch marked;
    to_.handleUnexpectedExceptionNotThrown(info, reaction);
  }
  void handleIncomplete(const Catch::AssertionInfo& info) override {
    const in_catch marked;
    to_.handleIncomplete(info);
  }
  void handleNonExpr(const Catch::AssertionInfo& info, Catch::ResultWas::OfType type,
                     Catch::AssertionReaction& reaction) override {
    const in_catch marked;
    to_.handleNonExpr(info, type, reaction);
  }
  bool lastAssertionPassed() override { return to_.lastAssertionPassed(); }
  void assertionPassed() override {
    const in_catch marked;
    to_.assertionPassed();
  }
  std::string getCurrentTestName() const override { return to_.getCurrentTestName(); }
  const Catch::AssertionResult* getLastResult() const override { return to_.getLastResult(); }
  void exceptionEarlyReported() override { to_.exceptionEarlyReported(); }

 private:
  Catch::IResultCapture& to_;
};

#if CATCH_VERSION_MAJOR == 2
using listener_base = Catch::TestEventListenerBase;
#else
using listener_base = Catch::EventListenerBase;
#endif

class survival_listener final : public listener_base {
 public:
  using listener_base::listener_base;

  void testRunStarting(const Catch::TestRunInfo&) override {
    warm_up();
    guard_ = std::make_unique<watchdog>();
    Catch::IResultCapture& original = Catch::getResultCapture();
    capture_ = std::make_unique<marking_capture>(original);
    Catch::getCurrentMutableContext().setResultCapture(capture_.get());
  }
  void testRunEnded(const Catch::TestRunStats&) override { guard_.reset(); }

  // A test case is a section too, the outermost one, and runs once for each way through the sections in it.
  void sectionStarting(const Catch::SectionInfo& section) override {
    if (depth_++ != 0) return;
    drain_pool();
    descriptors_ = open_descriptors();
    frames_ = coflow::detail::live_frames.load();
    guard_->arm(section.name);
    begin_allocations();
  }
  void sectionEnded(const Catch::SectionStats& stats) override {
    if (--depth_ != 0) return;
    drain_pool();
    const std::vector<std::size_t> allocations = end_allocations(stats.sectionInfo.name.data());
    guard_->disarm();
    std::ostringstream left;
    report_descriptors(left);
    if (const long frames = coflow::detail::live_frames.load() - frames_; frames != 0)
      left << "\n  coroutine frames: " << frames;
    if (!allocations.empty() && stats.assertions.failed == 0) report_allocations(left, allocations);
    if (const std::string what = left.str(); !what.empty())
      FAIL_CHECK("the test case \"" << stats.sectionInfo.name << "\" leaves behind:" << what);
  }

 private:
  static void warm_up() {
    std::vector<std::unique_ptr<Catch::ReusableStringStream>> streams;
    const std::string text(std::size_t{64} * 1024, '.');
    for (int i = 0; i < 32; ++i) {
      streams.push_back(std::make_unique<Catch::ReusableStringStream>());
      *streams.back() << text << 1 << 1.5 << true;  // also makes the caches of the locale
    }
  }

  void report_descriptors(std::ostream& left) const {
    const descriptor_table open = open_descriptors();
    for (const auto& [fd, target] : open) {
      const auto before = descriptors_.find(fd);
      if (before == descriptors_.end())
        left << "\n  descriptor " << fd << ": " << target;
      else if (before->second != target)
        left << "\n  descriptor " << fd << ": " << target << ", which was " << before->second;
    }
    for (const auto& [fd, target] : descriptors_)
      if (!open.contains(fd)) left << "\n  descriptor " << fd << " closed, which it did not open: " << target;
  }
  static void report_allocations(std::ostream& left, const std::vector<std::size_t>& sizes) {
    left << "\n  allocations: " << sizes.size() << ", of";
    for (std::size_t i = 0; i < std::min<std::size_t>(sizes.size(), 10); ++i) left << ' ' << sizes[i];
    left << (sizes.size() > 10 ? " ... bytes" : " bytes");
  }

  std::unique_ptr<watchdog> guard_;
  std::unique_ptr<marking_capture> capture_;
  descriptor_table descriptors_;
  long frames_ = 0;
  int depth_ = 0;
};

CATCH_REGISTER_LISTENER(survival_listener)

}  // namespace
