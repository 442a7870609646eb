// What the law suite for layers promises: it passes for layers that keep the laws, and rejects each broken one.
#include <chrono>
#include <coflow/core.hpp>
#include <coflow/layer/codec_flow.hpp>
#include <coflow/layer/layered_flow.hpp>
#include <coflow/layer/length_prefix_codec.hpp>
#include <coflow/testing/layer_laws.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "broken/broken_layers.hpp"
#include "support/catch.hpp"

namespace {

using coflow::check_layer;
using coflow::layer_end;
using coflow::layer_options;
using coflow::probe_flow;
using coflow::report;
using coflow::result;
using coflow::task;

// A layer of coroutines that changes nothing.
class identity_layer {
 public:
  using error_type = std::error_code;
  using write_error_type = std::error_code;

  explicit identity_layer(probe_flow inner) : inner_(std::make_shared<std::optional<probe_flow>>(std::move(inner))) {}
  identity_layer(identity_layer&& other) noexcept : inner_(std::move(other.inner_)) {}
  identity_layer& operator=(identity_layer&& other) noexcept {
    identity_layer old(std::move(*this));
    inner_ = std::move(other.inner_);
    return *this;
  }
  ~identity_layer() {
    if (inner_) inner_->reset();
  }

  task<coflow::read_result> read() { return reading(inner_); }
  task<result<void>> write(coflow::buffer bytes) { return writing(inner_, std::move(bytes)); }
  task<result<void>> writev(std::span<coflow::buffer> list) { return listing(inner_, list); }
  task<> shutdown(coflow::shutdown_mode mode) { return shutting(inner_, mode); }
  task<> close() { return closing(inner_); }

 private:
  using shared = std::shared_ptr<std::optional<probe_flow>>;

  static task<coflow::read_result> reading(shared inner) {
    if (!*inner) co_return coflow::error::closed;
    coflow::read_result got = co_await (*inner)->read();
    co_return std::move(got);
  }
  static task<result<void>> writing(shared inner, coflow::buffer bytes) {
    if (!*inner) co_return coflow::error::closed;
    const result<void> sent = co_await (*inner)->write(std::move(bytes));
    co_return sent;
  }
  static task<result<void>> listing(shared inner, std::span<coflow::buffer> list) {
    if (!*inner) co_return coflow::error::closed;
    const result<void> sent = co_await (*inner)->writev(list);
    co_return sent;
  }
  static task<> shutting(shared inner, coflow::shutdown_mode mode) {
    if (*inner) co_await (*inner)->shutdown(mode);
  }
  static task<> closing(shared inner) {
    if (*inner) co_await (*inner)->close();
  }

  shared inner_;
};

std::string findings(const report& found) {
  CHECK(found.expectations() > 100);
  std::string text;
  for (const coflow::finding& one : found.findings()) text += to_string(one);
  return text;
}

}  // namespace

TEST_CASE("the bare layer keeps the laws of layers", "[layer_laws]") {
  const report found = check_layer([](probe_flow inner) { return coflow::layered_flow<probe_flow>(std::move(inner)); });
  CHECK(findings(found) == "");
  CHECK(found.checks() == coflow::laws::all_layer_laws().size() - 3);
  CHECK(found.skipped().size() == 3);
}

TEST_CASE("a layer of coroutines keeps the laws of layers", "[layer_laws]") {
  CHECK(findings(check_layer([](probe_flow inner) { return identity_layer(std::move(inner)); })) == "");
}

TEST_CASE("a codec keeps the laws of layers, all of them", "[layer_laws]") {
  const report found = check_layer(
      [](probe_flow inner) {
        return coflow::codec_flow<coflow::length_prefix_codec, probe_flow>(coflow::length_prefix_codec(),
                                                                           std::move(inner));
      },
      layer_options().ends_with_goodbye());
  CHECK(findings(found) == "");
  CHECK(found.skipped().empty());
}

TEST_CASE("a codec written by hand keeps the laws of layers", "[layer_laws]") {
  CHECK(findings(broken::check_toy_layer(broken::defect::none, layer_options().ends_with_goodbye())) == "");
}

namespace {

task<result<coflow::layered_flow<probe_flow>>> shake_hands(probe_flow inner, layer_end end) {
  if (end == layer_end::first) {
    const result<void> sent = co_await inner.write(coflow::buffer("hello"));
    if (!sent) co_return sent.error();
  }
  std::string heard;
  while (heard.size() < 5) {
    const coflow::read_result got = co_await inner.read();
    if (!got) {
      co_await inner.close();
      co_return got.failed() ? got.error() : make_error_code(coflow::error::truncated);
    }
    heard += got->text();
  }
  if (end == layer_end::second) {
    const result<void> sent = co_await inner.write(coflow::buffer("world"));
    if (!sent) co_return sent.error();
  }
  co_return coflow::layered_flow<probe_flow>(std::move(inner));
}

}  // namespace

TEST_CASE("a layer with a handshake is made by awaiting, with an end of its own", "[layer_laws]") {
  const report found = check_layer(shake_hands, layer_options().only("L2").only("L11").only("W3"));
  CHECK(findings(found) == "");
}

TEST_CASE("a layer that cannot be made is a finding", "[layer_laws]") {
  const report found = check_layer(
      [](probe_flow) -> result<coflow::layered_flow<probe_flow>> {
        return std::make_error_code(std::errc::not_enough_memory);
      },
      layer_options().only("W3"));
  CHECK(found.checks() == 1);
  CHECK(found.broke("W3"));
}

TEST_CASE("a layer is checked for what its options say", "[layer_laws]") {
  const auto bare = [](probe_flow inner) { return coflow::layered_flow<probe_flow>(std::move(inner)); };
  const report one = check_layer(bare, layer_options().only("a close closes the inner flow exactly once"));
  CHECK(one.checks() == 1);
  const report other = check_layer(bare, layer_options().only("L7").only("L8"));
  CHECK(other.checks() == 0);
  REQUIRE(other.skipped().size() == 2);
  CHECK(other.skipped()[0] == "inner writes are serialised: the layer is no codec");
  CHECK(other.skipped()[1] ==
        "an inner eof without the goodbye is truncated, wherever it comes: the layer's protocol has no goodbye");
  // It writes as it is asked, several at a time: that is no codec.
  CHECK(check_layer(bare, layer_options().codec().only("L8")).broke("L8"));
}

TEST_CASE("a close may take as long as the options say", "[layer_laws]") {
  using namespace std::chrono_literals;
  const layer_options close_only = layer_options().ends_with_goodbye().only("L2");
  CHECK(broken::check_toy_layer(broken::defect::none, layer_options(close_only).close_limit(2s)).passed());
  CHECK(broken::check_toy_layer(broken::defect::none, layer_options(close_only).close_limit(100ms)).broke("L2"));
}

TEST_CASE("a broken layer is rejected, and the finding can be run alone", "[layer_laws]") {
  const report found =
      broken::check_toy_layer(broken::defect::closes_twice, layer_options().ends_with_goodbye().only("L2"));
  REQUIRE(found.broke("L2"));
  CHECK(found.findings().front().reproduce == "layer_options().only(\"" + found.findings().front().check + "\")");
}
