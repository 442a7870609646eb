#pragma once

// Where a flow of the library meets a hostile peer, and what the sweeps share.

#include <chrono>
#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/net.hpp>
#include <coflow/testing/expect.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "hostile/raw_peer.hpp"
#include "soak/wire.hpp"
#include "support/proof.hpp"

namespace hostile {

using coflow::buffer;
using coflow::read_result;
using coflow::result;
using coflow::task;

#ifdef COFLOW_FEWER_POINTS
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

inline task<> let_others_run(int turns) {
  for (int i = 0; i < turns; ++i) {
    const result<void> slept = co_await coflow::sleep_for(std::chrono::seconds(0));
    if (!slept) co_return;
  }
}

/// What came of reading a flow to its end.
struct heard {
  std::string text;
  std::error_code error;
  bool eof = false;
};
template <class F>
task<heard> listen_to(F* flow) {
  heard all;
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) {
      all.eof = got.eof();
      all.error = got.error();
      co_return all;
    }
    all.text.append(got->text());
  }
}
/// The same, and others may look at what has come so far.
template <class F>
task<> listen_into(F* flow, heard* out, bool* done) {
  *out = heard();
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) {
      out->eof = got.eof();
      out->error = got.error();
      break;
    }
    out->text.append(got->text());
  }
  *done = true;
}

inline std::string in_words(const heard& all) {
  return std::to_string(all.text.size()) + " bytes, then " + (all.eof ? "eof" : coflow::laws::in_words(all.error));
}

/// A connection with the library on one side only.
template <class Wire>
struct meeting {
  meeting(typename Wire::flow accepted, raw_peer other) : flow(std::move(accepted)), peer(std::move(other)) {}
  typename Wire::flow flow;
  raw_peer peer;
};

/// A listener for all the sweeps, the checks that were made, and what failed.
template <class Wire>
class ground {
 public:
  explicit ground(support::proof& to)
      : proof(to), only(to.value("--only")), at(Wire::listen()), address(Wire::address(at)) {}

  [[nodiscard]] bool wanted(std::string_view name) const { return only.empty() || only == name; }
  void check(bool holds, std::string_view sweep, const std::string& what) {
    proof.point();
    if (!holds) {
      ++failed;
      if (!muted) proof.fail(std::string(sweep) + ": " + what, "--only '" + std::string(sweep) + "'");
    }
  }
  static task<meeting<Wire>> meet(ground* on) {
    raw_peer peer(Wire::raw_connect(on->address));
    if (!peer.connected()) throw std::system_error(errno, std::system_category(), "a hostile peer cannot connect");
    auto flow = co_await on->at.accept();
    if (!flow) throw std::system_error(flow.error());
    meeting<Wire> made(std::move(*flow), std::move(peer));
    co_return std::move(made);
  }

  support::proof& proof;
  std::string only;
  typename Wire::listener at;
  std::string address;
  std::size_t failed = 0;
  bool muted = false;  // a defect is being shown, whose failures are wanted
};

/// How a raw flow becomes one of a stack, and what a peer sends that is to be read there as a text.
struct plain {
  static constexpr const char* name = "tcp";
  static std::string sent_as(std::string_view text) { return std::string(text); }
  template <class F>
  static F over(F flow) {
    return flow;
  }
};
struct through_layer : plain {
  static constexpr const char* name = "layered_flow";
  template <class F>
  static coflow::layered_flow<F> over(F flow) {
    return coflow::layered_flow<F>(std::move(flow));
  }
};
struct through_any : plain {
  static constexpr const char* name = "any_flow";
  template <class F>
  static coflow::any_flow over(F flow) {
    return coflow::any_flow(coflow::layered_flow<F>(std::move(flow)));
  }
};
struct through_frames {
  static constexpr const char* name = "codec_flow";
  static std::string sent_as(std::string_view text) {
    std::string whole;
    while (!text.empty()) {
      const std::string_view part = text.substr(0, 100);
      text.remove_prefix(part.size());
      whole.append(3, '\0');
      whole += static_cast<char>(part.size());
      whole += part;
    }
    return whole;
  }
  template <class F>
  static coflow::codec_flow<coflow::length_prefix_codec, F> over(F flow) {
    return coflow::codec_flow<coflow::length_prefix_codec, F>(coflow::length_prefix_codec(), std::move(flow));
  }
};
/// The defect that the sweeps over resets must see: an error that looks like a clean end.
template <class F>
class laundering_flow : public coflow::layered_flow<F> {
 public:
  using coflow::layered_flow<F>::layered_flow;
  task<read_result> read() { return launder(&this->next_layer()); }

 private:
  static task<read_result> launder(F* from) {
    read_result got = co_await from->read();
    if (got.failed()) co_return coflow::end_of_stream;
    co_return std::move(got);
  }
};
struct laundered : plain {
  static constexpr const char* name = "a flow that launders resets";
  template <class F>
  static laundering_flow<F> over(F flow) {
    return laundering_flow<F>(std::move(flow));
  }
};

}  // namespace hostile
