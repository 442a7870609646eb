// Every law, on what the mutants are of: a layer and two codecs over pipes in memory. Small, so that it is quick.
//
//     killer [--only LAW-OR-CHECK]

#include <coflow/async.hpp>
#include <coflow/core.hpp>
#include <coflow/layer.hpp>
#include <coflow/memory.hpp>
#include <coflow/testing/laws.hpp>
#include <coflow/testing/layer_laws.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "laws/factories.hpp"
#include "support/proof.hpp"

namespace {

using namespace factories;
using coflow::law_options;
using coflow::layer_options;
using coflow::probe_flow;
using support::toy_codec;
using support::toy_role;

support::proof* tally = nullptr;
std::string only;

void judge(std::string_view name, const coflow::report& found) {
  tally->point(found.checks());
  for (const coflow::finding& one : found.findings())
    tally->fail(std::string(name) + ": " + coflow::to_string(one), "--only '" + one.check + "'");
  tally->part(name);
}

template <class Factory>
void check(std::string_view name, Factory make, law_options options = law_options()) {
  options.many(2000);
  if (!only.empty()) options.only(only);
  judge(name, coflow::check_flow(std::move(make), options));
}

// ---- layers, as check_layer wants them

coflow::layered_flow<probe_flow> wrap_in_nothing(probe_flow inner) {
  return coflow::layered_flow<probe_flow>(std::move(inner));
}
coflow::codec_flow<coflow::length_prefix_codec, probe_flow> wrap_in_frames(probe_flow inner) {
  return {coflow::length_prefix_codec(), std::move(inner)};
}
auto wrap_in_secrets(probe_flow inner, coflow::layer_end end) {
  const toy_role role = end == coflow::layer_end::first ? toy_role::client : toy_role::server;
  return coflow::codec_handshake(toy_codec(role, 1, 5), std::move(inner));
}

template <class Wrap>
void check_wrapped(std::string_view name, Wrap wrap, layer_options options) {
  if (!only.empty()) options.only(only);
  judge(name, coflow::check_layer(wrap, options));
}

}  // namespace

int main(int argc, char** argv) {
  support::proof proof(argc, argv);
  tally = &proof;
  only = proof.value("--only");
  const law_options goodbye = law_options().ends_with_goodbye();

  check_wrapped("the bare layer", wrap_in_nothing, layer_options());
  check_wrapped("frames", wrap_in_frames, layer_options().ends_with_goodbye());
  check_wrapped("secure", wrap_in_secrets, layer_options().ends_with_goodbye());
  check("layered_flow over memory", over_layer<>(memory(1000)));
  check("frames over memory", over_frames<>(memory(1000)), goodbye);
  check("secure over memory", over_secure<>(memory(1000)), goodbye);
  return proof.end();
}
