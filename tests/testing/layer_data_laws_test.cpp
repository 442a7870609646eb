// What the laws about bytes and errors in layers promise; that whole layers pass is layer_laws_test.cpp's.
#include <coflow/core.hpp>
#include <coflow/layer/layered_flow.hpp>
#include <coflow/testing/layer_data_laws.hpp>
#include <coflow/testing/layer_laws.hpp>
#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broken/broken_layers.hpp"
#include "support/catch.hpp"

namespace {

using broken::defect;
using coflow::buffer;
using coflow::layer_end;
using coflow::layer_options;
using coflow::layered_flow;
using coflow::probe_flow;
using coflow::read_result;
using coflow::report;
using coflow::result;
using coflow::task;
using coflow::laws::layer_data_laws;
using coflow::laws::layer_law;

bool rejects(const char* check, const char* law, defect what) {
  const report found = broken::check_toy_layer(what, layer_options().ends_with_goodbye().only(check));
  INFO(check);
  INFO(found.text());
  CHECK(found.checks() == 1);
  return found.broke(law);
}

}  // namespace

TEST_CASE("the laws about bytes hold for a bare layer and for a codec", "[layer_data_laws]") {
  layer_options options;
  for (const layer_law& one : layer_data_laws()) options.only(one.check);
  const report bare =
      coflow::check_layer([](probe_flow inner) { return layered_flow<probe_flow>(std::move(inner)); }, options);
  INFO(bare.text());
  CHECK(bare.passed());
  CHECK(bare.skipped().size() == 1);
  const report codec = broken::check_toy_layer(defect::none, options.ends_with_goodbye());
  INFO(codec.text());
  CHECK(codec.passed());
  CHECK(codec.checks() == layer_data_laws().size());
}

TEST_CASE("layers that lose or change what comes from below are rejected for it", "[layer_data_laws]") {
  CHECK(rejects("writev goes through a layer as write does", "W3", defect::passes_writev_by));
  CHECK(rejects("an inner read error surfaces as itself, for good", "L6", defect::turns_errors_into_eof));
  CHECK(rejects("an inner write error surfaces as itself, for good", "L6", defect::forgets_write_errors));
  CHECK(rejects("an inner eof without the goodbye is truncated, wherever it comes", "L7",
                defect::takes_truncation_for_eof));
  CHECK(rejects("data that came before an inner error is delivered first", "L9", defect::drops_data_before_errors));
  CHECK(rejects("any split of the inner bytes gives the same outer bytes and the same end", "L12",
                defect::depends_on_pieces));
}

namespace {

// The first end waits for a greeting of five bytes. Where that does not come, it lets the inner flow go or not.
task<result<layered_flow<probe_flow>>> greeted(probe_flow inner, layer_end end, std::vector<probe_flow>* kept) {
  if (end == layer_end::second) {
    const result<void> sent = co_await inner.write(buffer("hello"));
    if (!sent) co_return sent.error();
    co_return layered_flow<probe_flow>(std::move(inner));
  }
  for (std::size_t heard = 0; heard < 5;) {
    const read_result got = co_await inner.read();
    if (!got) {
      if (kept != nullptr) kept->push_back(std::move(inner));
      co_return got.failed() ? got.error() : make_error_code(coflow::error::truncated);
    }
    heard += got->size();
  }
  co_return layered_flow<probe_flow>(std::move(inner));
}
// It takes whatever comes for a greeting.
task<result<layered_flow<probe_flow>>> easily_greeted(probe_flow inner, layer_end end) {
  if (end == layer_end::second) {
    const result<void> sent = co_await inner.write(buffer("hello"));
    if (!sent) co_return sent.error();
  } else {
    static_cast<void>(co_await inner.read());
  }
  co_return layered_flow<probe_flow>(std::move(inner));
}

report shaking_hands(std::vector<probe_flow>* kept) {
  return coflow::check_layer([kept](probe_flow inner, layer_end end) { return greeted(std::move(inner), end, kept); },
                             layer_options().only("L11"));
}

}  // namespace

TEST_CASE("a handshake that is cut off must fail and let the inner flow go", "[layer_data_laws]") {
  const report good = shaking_hands(nullptr);
  INFO(good.text());
  CHECK(good.passed());
  std::vector<probe_flow> kept;
  CHECK(shaking_hands(&kept).broke("L11"));
  CHECK(coflow::check_layer(easily_greeted, layer_options().only("L11")).broke("L11"));
}

TEST_CASE("no two checks about the bytes of layers have one name", "[layer_data_laws]") {
  std::set<std::string> names;
  for (const layer_law& one : layer_data_laws()) names.insert(one.check);
  CHECK(names.size() == layer_data_laws().size());
}
