/// \file
/// The law suite: says of any flow whether it keeps the contract.
///
///     auto report = coflow::check_flow([] { return coflow::memory_pipe(); });
///     if (!report) std::fputs(report.text().c_str(), stderr);
///
/// It needs no test framework and no operating system. Each law of the contract (R1 to R8 about reads, W1 to W10 about
/// writes, S1 to S4 about shutdown, C1 to C6 about close, X0 to X3 about cancellation, O1 to O4 about operations) has
/// at least one check.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coflow/testing/abandoned_wait_laws.hpp"
#include "coflow/testing/acceptance_laws.hpp"
#include "coflow/testing/cancellation_laws.hpp"
#include "coflow/testing/cancelled_read_laws.hpp"
#include "coflow/testing/close_laws.hpp"
#include "coflow/testing/destruction_laws.hpp"
#include "coflow/testing/drain_laws.hpp"
#include "coflow/testing/end_of_stream_laws.hpp"
#include "coflow/testing/executor_end_laws.hpp"
#include "coflow/testing/fairness_laws.hpp"
#include "coflow/testing/finding.hpp"
#include "coflow/testing/law.hpp"
#include "coflow/testing/law_runner.hpp"
#include "coflow/testing/ownership_laws.hpp"
#include "coflow/testing/read_into_laws.hpp"
#include "coflow/testing/read_laws.hpp"
#include "coflow/testing/reset_laws.hpp"
#include "coflow/testing/shutdown_laws.hpp"
#include "coflow/testing/torn_write_laws.hpp"
#include "coflow/testing/unsent_write_laws.hpp"
#include "coflow/testing/virtual_executor.hpp"
#include "coflow/testing/write_error_laws.hpp"
#include "coflow/testing/write_laws.hpp"
#include "coflow/testing/writev_laws.hpp"

namespace coflow::inline v0 {
namespace laws {

/// Every law of the suite, in the order in which they are checked.
[[nodiscard]] inline std::vector<law> all_laws() {
  std::vector<law> all;
  for (const std::span<const law> some :
       {read_laws(),         read_into_laws(),   end_of_stream_laws(),  reset_laws(),        write_laws(),
        write_error_laws(),  writev_laws(),      acceptance_laws(),     shutdown_laws(),     drain_laws(),
        close_laws(),        destruction_laws(), abandoned_wait_laws(), cancellation_laws(), cancelled_read_laws(),
        unsent_write_laws(), torn_write_laws(),  ownership_laws(),      executor_end_laws(), fairness_laws()})
    all.insert(all.end(), some.begin(), some.end());
  return all;
}

/// Why a check is left out.
[[nodiscard]] inline std::string missing(need wanted, const law_run& given) {
  std::string why;
  const auto lacks = [&](need one, const char* text) {
    if (!covers(wanted, one) || given.has(one)) return;
    if (!why.empty()) why += ", ";
    why += text;
  };
  lacks(need::reset, "the factory cannot reset a peer");
  lacks(need::cut, "the factory cannot cut a connection");
  lacks(need::back_pressure, "writers never wait");
  lacks(need::cancellation, "operations do not hear of stop requests");
  lacks(need::one_type, "the ends are of two types");
  lacks(need::clean_destruction, "destruction sends no goodbye");
  lacks(need::read_into, "the flows have no read_into");
  lacks(need::prompt_acceptance, "writes are accepted early");
  return why;
}

}  // namespace laws

/// Checks whether the flows that `make` gives keep the contract, and reports every law that they break.
///
/// `make()` gives two connected flows as a `std::pair`, or something awaitable that gives it; the first is the one that
/// most checks are about. It is called again and again, on a fresh executor of type `E` for each check: virtual time
/// unless the flows need another, such as `event_loop`. A factory that is an object may also have
///
///     void reset(F& end);                   // breaks the connection from this end: the other gets connection_reset
///     void cut(F& end);                     // ends the transport below, without the goodbye that the flow sends
///     std::size_t unread(F& end);           // how many bytes have arrived at this end and wait for a read
///     bool end_has_arrived(F& end);         // whether the other end's end, or a reset, has arrived at this one
///
/// Flows that have `read_into` are checked for what is special about it; for the rest of the laws of reading run it a
/// second time with `law_options().by_read_into()`.
///
/// Checks that need what is not there are left out; the report lists them. Flows that crash the program, or that never
/// come back from a call, cannot be reported.
template <drivable_executor E = virtual_executor, class Factory>
[[nodiscard]] report check_flow(Factory make, const law_options& options = law_options()) {
  report found;
  laws::law_runner<E, Factory> runner(make, options, found);
  if (options.cancellation()) runner.give(laws::need::cancellation);
  if (!options.goodbye()) runner.give(laws::need::clean_destruction);
  if (!options.early_acceptance()) runner.give(laws::need::prompt_acceptance);
  if (options.back_pressure()) {
    report of_measuring;
    const laws::check_in_progress now("W8", "a peer that does not read suspends the writer", "law_options()",
                                      of_measuring);
    const bool bounded = runner.measure();
    laws::expect(bounded, "a writer waits when nobody reads", "64 MiB were accepted");
    if (bounded) runner.give(laws::need::back_pressure);
    found.merge(std::move(of_measuring));
  }
  for (const laws::law& one : laws::all_laws()) {
    if (!options.wants(one)) continue;
    const laws::need wanted = options.reads_into() ? one.needs | laws::need::read_into : one.needs;
    const std::string why = laws::missing(wanted, runner);
    if (why.empty())
      runner.check(one);
    else
      found.skip(one.check, why);
  }
  return found;
}

}  // namespace coflow::inline v0
