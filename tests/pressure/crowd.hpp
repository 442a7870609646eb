#pragma once

// Many flows at once, whose readers have all stopped.

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "laws/factories.hpp"
#include "pressure/course.hpp"
#include "support/proof.hpp"

namespace pressure {

template <class F>
task<> read_all(F* flow, state* out) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) {
      out->eof = got.eof();
      co_return;
    }
    if (!matches(out->read, got->text())) out->other_bytes = true;
    out->read += got->size();
  }
}
template <class Ends, class Factory>
task<> make_ends(const Factory* make, std::vector<Ends>* out) {
  if constexpr (coflow::awaitable<std::invoke_result_t<const Factory&>>) {
    auto ends = co_await (*make)();
    out->push_back(std::move(ends));
  } else {
    out->push_back((*make)());
    co_return;
  }
}
template <class Factory>
task<> run_many(const Factory* make, std::vector<state>* all, course how, long* grown) {
  using ends = factories::pair_of<typename Factory::flow>;
  std::vector<ends> flows;
  flows.reserve(all->size());
  for (std::size_t i = 0; i < all->size(); ++i) co_await make_ends(make, &flows);
  const long start = memory_in_use.bytes;
  coflow::task_scope both;
  for (std::size_t i = 0; i < all->size(); ++i) both.spawn(write_all(&flows[i].first, how, &(*all)[i])).value();
  std::size_t before = 1;
  for (int still = 0; still < 5;) {
    std::size_t written = 0;
    for (const state& one : *all) written += one.written;
    still = before == written ? still + 1 : 0;
    before = written;
    co_await let_others_run(1);
  }
  *grown = memory_in_use.bytes - start;
  for (std::size_t i = 0; i < all->size(); ++i) both.spawn(read_all(&flows[i].second, &(*all)[i])).value();
  const result<void> joined = co_await both.join();
  static_cast<void>(joined);
}
template <class Wire, class Factory>
void crowd(support::proof& proof, std::string_view name, const Factory& make, std::size_t own) {
  course how;
  how.piece = 64 * kib;
  how.total = proof.has("--long") ? 4 * mib : mib;
  std::vector<state> all(proof.has("--long") ? 1000 : 50);
  long grown = 0;
  {
    const auto loop = Wire::make_loop();
    coflow::run(*loop, run_many(&make, &all, how, &grown));
  }
  const auto allowed = static_cast<long>(all.size() * (may_grow(how) + own));
  if (proof.has("--figures")) std::printf("%.*s: %ld bytes\n", static_cast<int>(name.size()), name.data(), grown);
  if (grown > allowed) proof.fail(std::string(name) + ": grows by " + std::to_string(grown) + " bytes", "");
  for (const state& one : all) {
    if (one.eof && !one.writer_failed && !one.other_bytes && one.read == one.written && one.read >= how.total)
      proof.point();
    else
      proof.fail(std::string(name) + ": bytes are missing, or others", "");
  }
  proof.part(name);
}

}  // namespace pressure
