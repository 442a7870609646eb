/// \file
/// Runs laws on an executor: one fresh executor for each, and a finding for whatever does not come to an end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "coflow/async/detail/root.hpp"
#include "coflow/async/run.hpp"
#include "coflow/core/awaitable.hpp"
#include "coflow/core/executor.hpp"
#include "coflow/core/stop.hpp"
#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {

/// What a caller of `check_flow` may say about its flows, and which checks to run.
class law_options {
 public:
  law_options() noexcept {}

  /// Runs the checks of one law ("R4"), or the one check of that name. As often as is wanted; all if never.
  law_options& only(std::string law_or_check) {
    only_.push_back(std::move(law_or_check));
    return *this;
  }
  /// The flows do not hear of stop requests: leaves out what needs that (laws X0 to X3).
  law_options& without_cancellation() noexcept {
    cancellation_ = false;
    return *this;
  }
  /// The flows take any amount of bytes, by design: a writer need not wait for a reader (law W8).
  law_options& without_back_pressure() noexcept {
    back_pressure_ = false;
    return *this;
  }
  /// The flows end their stream with a goodbye of their own, which destruction does not send (law C6).
  law_options& ends_with_goodbye() noexcept {
    goodbye_ = true;
    return *this;
  }
  /// The flows keep bytes of writes that have succeeded, where what is below does not take them yet (law W1): an end
  /// may lose them, but is no clean one then, and an error of what is below is told to a later write.
  law_options& accepts_early() noexcept {
    early_acceptance_ = true;
    return *this;
  }
  /// Most reads of the checks are done by `read_into` where the flows have that, and some by `read` all the same. For a
  /// second run: every law about reading holds for both, and for their mixture.
  law_options& by_read_into() noexcept {
    by_read_into_ = true;
    return *this;
  }
  /// How many operations the laws about very many run; 20,000 unless set.
  law_options& many(int operations) noexcept {
    many_ = operations;
    return *this;
  }
  /// How long a check may take; 20 s unless set. With virtual time a check that hangs is found at once, and one that is
  /// busy without end after this time.
  law_options& limit(std::chrono::milliseconds time) noexcept {
    limit_ = time;
    return *this;
  }

  [[nodiscard]] bool wants(const laws::law& one) const {
    if (only_.empty()) return true;
    for (const std::string& name : only_)
      if (name == one.id || name == one.check) return true;
    return false;
  }
  [[nodiscard]] bool cancellation() const noexcept { return cancellation_; }
  [[nodiscard]] bool back_pressure() const noexcept { return back_pressure_; }
  [[nodiscard]] bool goodbye() const noexcept { return goodbye_; }
  [[nodiscard]] bool early_acceptance() const noexcept { return early_acceptance_; }
  [[nodiscard]] bool reads_into() const noexcept { return by_read_into_; }
  [[nodiscard]] int many() const noexcept { return many_; }
  [[nodiscard]] std::chrono::milliseconds limit() const noexcept { return limit_; }

 private:
  std::vector<std::string> only_;
  bool cancellation_ = true;
  bool back_pressure_ = true;
  bool goodbye_ = false;
  bool early_acceptance_ = false;
  bool by_read_into_ = false;
  int many_ = 20'000;
  std::chrono::milliseconds limit_{20'000};
};

namespace laws {

/// A task of a law, and what became of it. A hang says what it waits for.
class law_task final : public detail::root<void>, public executor::dependent {
 public:
  explicit law_task(task<> body) noexcept : root<void>(std::move(body)) {}
  ~law_task() = default;
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  void on_start() noexcept override { home().add_dependent(*this); }
  void on_executor_gone() noexcept override {}  // what it waits for ends the wait
  void list_waits(wait_list& into) const override {
    if (!ended_) into.add("a task of the law", stop_chain());
  }
  void on_end() noexcept override {
    ended_ = true;
    try {
      take();
    } catch (const std::exception& thrown) {
      expect(false, "the flow throws nothing", thrown.what());
    } catch (...) {
      expect(false, "the flow throws nothing", "something was thrown");
    }
    destroy_frame();
  }
  bool ended_ = false;
};

/// An executor that finds a hang by itself and throws.
template <class E>
concept finds_hangs = requires { typename E::finds_hangs; };

/// Runs laws on executors of type `E`, over the flows that `make` gives.
template <drivable_executor E, class Factory>
class law_runner final : public law_stage {
 public:
  using made = std::invoke_result_t<Factory&>;
  static constexpr bool made_by_awaiting = awaitable<made>;

  law_runner(Factory& make, const law_options& options, report& into) : make_(make), options_(options), into_(into) {
    many_ = options.many();
    static_cast<void>(note_ends(nullptr));
  }
  ~law_runner() {
    begin_executor();
    clear();
  }

  /// Finds out how much a flow takes while nobody reads. False if that is without end.
  [[nodiscard]] bool measure() {
    begin_executor();
    run(measuring(this));
    end_check();
    return capacity_ != 0;
  }
  void give(need what) noexcept { given_ = given_ | what; }

  void check(const law& one) {
    const std::string mode = options_.reads_into() ? "law_options().by_read_into()" : "law_options()";
    const std::string reproduce = mode + ".only(\"" + std::string(one.check) + "\")";
    const check_in_progress now(one.id, one.check, reproduce, into_);
    begin_executor();
    if (one.body != nullptr)
      run(one.body(*this));
    else
      one.stage(*this);
    end_check();
  }

  // What laws use.

  task<flow_ends> connect() override { return connecting(this); }
  void run(task<> body) override {
    law_task& one = add(std::move(body));
    watch limit(*on_, finds_hangs<E> ? std::chrono::milliseconds::max() : options_.limit());
    // What is busy for ever never comes to wait.
    const auto give_up = std::chrono::steady_clock::now() + options_.limit();
    for (unsigned round = 0; !one.ended(); ++round) {
      const bool too_long = round % 1024 == 1023 && std::chrono::steady_clock::now() > give_up;
      if (limit.lost() || too_long) {
        expect(false, "it comes to an end", "it hangs");
        break;
      }
      if (!turn_found_a_way()) break;
    }
  }
  void start(task<> body) override { add(std::move(body)); }
  void turn() override {
    if (on_.has_value()) static_cast<void>(turn_found_a_way());
  }
  void end_executor() override { on_.reset(); }
  void begin_executor() override {
    if (!on_.has_value()) on_.emplace();
  }

 private:
  // A real clock's limit: without it the executor would wait for ever.
  class watch final : public timer {
   public:
    watch(executor& on, std::chrono::milliseconds time) noexcept {
      if (time != std::chrono::milliseconds::max()) on.arm(*this, on.after(time));
    }
    [[nodiscard]] bool lost() const noexcept { return lost_; }

   private:
    void run() noexcept override { lost_ = true; }
    bool lost_ = false;
  };

  // Where both ends are of one type, and what the factory offers for it.
  template <class A, class B>
  bool note_ends(const std::pair<A, B>*) noexcept {
    if constexpr (std::is_same_v<A, B>) give(need::one_type);
    if constexpr (can_reset<Factory, B>) give(need::reset);
    if constexpr (can_cut<Factory, B>) give(need::cut);
    if constexpr (has_read_into<A>) give(need::read_into);
    return true;
  }
  bool note_ends(std::nullptr_t) noexcept {
    if constexpr (made_by_awaiting)
      return note_ends(static_cast<const std::remove_cvref_t<await_result_t<made>>*>(nullptr));
    else
      return note_ends(static_cast<const std::remove_cvref_t<made>*>(nullptr));
  }

  template <class A, class B>
  flow_ends under_check(std::pair<A, B> ends) {
    const bool into = options_.reads_into();
    return flow_ends(checked_flow(std::make_unique<subject_of<A, Factory>>(std::move(ends.first), make_, into)),
                     checked_flow(std::make_unique<subject_of<B, Factory>>(std::move(ends.second), make_, into)));
  }
  static task<flow_ends> connecting(law_runner* self) {
    if constexpr (made_by_awaiting) {
      auto ends = co_await self->make_();
      co_return self->under_check(std::move(ends));
    } else {
      co_return self->under_check(self->make_());
    }
  }

  static task<> measuring(law_runner* self) {
    flow_ends ends = co_await self->connect();
    task_scope scope;
    std::size_t taken = 0;
    for (std::size_t piece = 256; taken < 64 * 1024 * 1024; piece += piece / 8) {
      const std::size_t size = piece < 64 * 1024 ? piece : 64 * 1024;
      writing sent;
      laws::start(scope, write_once(&ends.a, buffer(std::string(size, 'm')), &sent));
      for (int i = 0; i < 50 && !sent.done; ++i) co_await turns();
      taken += size;
      if (!sent.done || !sent.sent) {
        self->capacity_ = taken;
        ends.a.destroy();
        co_await turns(2);
        co_return;
      }
    }
  }

  law_task& add(task<> body) {
    tasks_.push_back(std::make_unique<law_task>(std::move(body)));
    tasks_.back()->start(*on_);
    return *tasks_.back();
  }
  // False if the executor has found that nothing can happen any more.
  bool turn_found_a_way() {
    try {
      on_->turn();
      return true;
    } catch (const std::exception& hang) {
      expect(false, "it comes to an end", hang.what());
      return false;
    }
  }
  void clear() noexcept {
    if (on_.has_value()) {
      const executor::entry current(*on_);
      tasks_.clear();
    }
    on_.reset();
    tasks_.clear();
  }
  void end_check() noexcept { clear(); }

  Factory& make_;
  const law_options& options_;
  report& into_;
  std::vector<std::unique_ptr<law_task>> tasks_;
  std::optional<E> on_;
};

}  // namespace laws
}  // namespace coflow::inline v0
