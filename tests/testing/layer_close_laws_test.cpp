// What the laws about the end of the flow below a layer promise; that whole layers pass is layer_laws_test.cpp's.
#include <coflow/layer/layered_flow.hpp>
#include <coflow/testing/layer_close_laws.hpp>
#include <coflow/testing/layer_laws.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broken/broken_layers.hpp"
#include "support/catch.hpp"

namespace {

using broken::defect;
using coflow::layer_options;
using coflow::report;
using coflow::laws::layer_close_laws;
using coflow::laws::layer_law;

layer_options these_laws() {
  layer_options options = layer_options().ends_with_goodbye();
  for (const layer_law& one : layer_close_laws()) options.only(one.check);
  return options;
}

// The findings that the check of that name has made of such a layer are about its law.
bool rejects(const char* check, const char* law, defect what) {
  const report found = broken::check_toy_layer(what, layer_options().ends_with_goodbye().only(check));
  INFO(check);
  INFO(found.text());
  CHECK(found.checks() == 1);
  return found.broke(law);
}

}  // namespace

TEST_CASE("the laws about closing hold for a bare layer and for a codec", "[layer_close_laws]") {
  const report codec = broken::check_toy_layer(defect::none, these_laws());
  INFO(codec.text());
  CHECK(codec.passed());
  CHECK(codec.checks() == layer_close_laws().size());
  layer_options options;
  for (const layer_law& one : layer_close_laws()) options.only(one.check);
  const report bare = coflow::check_layer(
      [](coflow::probe_flow inner) { return coflow::layered_flow<coflow::probe_flow>(std::move(inner)); }, options);
  INFO(bare.text());
  CHECK(bare.passed());
  CHECK(bare.skipped().size() == 2);
}

TEST_CASE("layers that end wrongly are rejected for it", "[layer_close_laws]") {
  CHECK(rejects("a close closes the inner flow exactly once", "L2", defect::closes_twice));
  CHECK(rejects("a close closes the inner flow exactly once after errors", "L2", defect::never_closes));
  CHECK(rejects("a close with operations pending ends them all", "L2", defect::never_closes));
  CHECK(rejects("a close does not wait for a peer that reads nothing", "L2", defect::waits_for_the_peer));
  CHECK(rejects("shutdown(write) reaches the inner flow after all accepted data", "L3", defect::keeps_the_shutdown));
  CHECK(rejects("shutdown(write) reaches the inner flow after all accepted data", "L3", defect::cuts_accepted_data));
  CHECK(rejects("shutdown(read) does not stop writing", "L3", defect::shuts_too_much));
  CHECK(rejects("a connection that is over is closed by the layer", "L3", defect::never_closes));
  CHECK(rejects("a layer says goodbye at most once, and nothing after it", "L4", defect::says_goodbye_twice));
  CHECK(rejects("a layer says goodbye at most once, and nothing after it", "L4", defect::writes_after_goodbye));
  CHECK(rejects("the peer's goodbye is eof, and the write half stays open", "L5", defect::ends_with_the_peer));
  CHECK(rejects("inner writes are serialised", "L8", defect::overlaps_writes));
}

namespace {

// It keeps what is below it alive for as long as an operation runs that it has begun by itself, and so for ever.
class clinging_layer : public coflow::layered_flow<coflow::probe_flow> {
 public:
  explicit clinging_layer(coflow::probe_flow inner, std::vector<coflow::probe_flow>* kept)
      : layered_flow(std::move(inner)), kept_(kept) {}
  clinging_layer(clinging_layer&& other) noexcept
      : layered_flow(std::move(other)), kept_(std::exchange(other.kept_, nullptr)) {}
  clinging_layer& operator=(clinging_layer&& other) noexcept {
    layered_flow::operator=(std::move(other));
    std::swap(kept_, other.kept_);
    return *this;
  }
  ~clinging_layer() {
    if (kept_ != nullptr) kept_->push_back(std::move(this->next_layer()));
  }

 private:
  std::vector<coflow::probe_flow>* kept_;
};

}  // namespace

TEST_CASE("a layer that clings to the inner flow when it is destroyed is rejected for it", "[layer_close_laws]") {
  std::vector<coflow::probe_flow> kept;
  const report found =
      coflow::check_layer([&kept](coflow::probe_flow inner) { return clinging_layer(std::move(inner), &kept); },
                          layer_options().only("a layer that is destroyed lets the inner flow go"));
  INFO(found.text());
  CHECK(found.broke("L2"));
}

TEST_CASE("no two checks about the end of layers have one name", "[layer_close_laws]") {
  std::set<std::string> names;
  for (const layer_law& one : layer_close_laws()) names.insert(one.check);
  CHECK(names.size() == layer_close_laws().size());
}
