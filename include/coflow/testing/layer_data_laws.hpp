/// \file
/// What every layer does with the bytes and the errors of the flow below it: laws W3, L6, L7, L9, L11 and L12.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/testing/layer_run.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- W3: writev is not passed by

inline task<> writev_looks_like_write(layer_run& run) {
  layer_ends ends;
  const bool made = co_await connected(&run, layer_plan(), &ends);
  if (!made) co_return;
  const std::string text = pattern(3000);
  reading drained;
  shutting shut;
  std::string all;
  task_scope scope;
  start(scope, drain_once(&*ends.b, &all, &drained));
  result<void> sent = co_await ends.a->write(buffer(text));
  expect_success(sent);
  std::vector<buffer> list;
  for (std::size_t at = 0; at < text.size(); at += 100) {
    list.emplace_back(std::string_view(text).substr(at, 100));
    list.emplace_back();
  }
  sent = co_await ends.a->writev(list);
  expect_success(sent);
  expect(joined(list).empty(), "writev empties its buffers", "some are not empty");
  start(scope, shutdown_once(&*ends.a, shutdown_mode::write, &shut));
  const bool over = co_await within(run.close_limit(), [&drained] { return drained.done; });
  expect(over, "the peer comes to the end of the stream", "it waits on");
  expect_same(all, text + text);
  if (over) expect_eof(drained.got);
}

// ---- L6 and L9: errors of the flow below

// A fault right behind the last byte of a handshake may be met by the handshake already, which then says so.
inline task<bool> connected_or_refused(layer_run* run, layer_plan plan, layer_ends* ends, std::error_code code) {
  if (!code) {
    const bool made = co_await connected(run, plan, ends);
    co_return made;
  }
  co_await run->connect(plan, ends);
  if (ends->a_failed)
    expect(ends->a_failed == code, "a handshake that fails says " + in_words(code), in_words(ends->a_failed));
  else
    expect(ends->made(), "two layers can be made and connected", in_words(ends->b_failed));
  co_return ends->made();
}

// The last byte of the data is the last that comes from below; then the fault.
inline task<> read_error_comes_behind_the_data(layer_run* run, std::error_code code, bool cuts, bool with_data) {
  const std::vector<std::string> texts = {"one", "two and more", pattern(500)};
  std::string wanted;
  if (with_data)
    for (const std::string& text : texts) wanted += text;
  std::size_t bytes = 0;
  for (const bool measured : {false, true}) {
    layer_ends ends;
    layer_plan plan;
    if (measured) plan.first(cuts ? fault_plan().cut_after_reading(bytes) : fault_plan().fail_read_after(bytes, code));
    const bool made = co_await connected_or_refused(run, plan, &ends, measured ? code : std::error_code());
    if (!made) co_return;
    writing written;
    std::string all;
    task_scope scope;
    if (with_data) start(scope, write_all(&*ends.b, texts, &written));
    const bool sent = co_await until([&] { return written.done || !with_data; });
    expect(sent, "what fits below is accepted", "the write waits");
    bytes = ends.below_b->written.size();
    if (!measured) continue;
    reading drained;
    start(scope, drain_once(&*ends.a, &all, &drained));
    const bool ended = co_await until([&drained] { return drained.done; });
    expect(ended, "an error of the flow below ends the read", "it waits on");
    if (!ended) co_return;
    expect_same(all, wanted);
    expect_error(drained.got, code);
    const read_result again = co_await ends.a->read();
    expect_error(again, code);
  }
}
inline task<> read_errors_surface(layer_run& run) {
  co_await read_error_comes_behind_the_data(&run, std::make_error_code(std::errc::io_error), false, false);
  co_await read_error_comes_behind_the_data(&run, std::make_error_code(std::errc::timed_out), false, false);
  co_await read_error_comes_behind_the_data(&run, error::closed, true, false);
}
inline task<> data_comes_before_errors(layer_run& run) {
  co_await read_error_comes_behind_the_data(&run, std::make_error_code(std::errc::io_error), false, true);
  co_await read_error_comes_behind_the_data(&run, std::make_error_code(std::errc::connection_reset), false, true);
}

inline task<> a_write_error_surfaces(layer_run* run, std::error_code code, bool cuts, bool by_writev) {
  const bytes_below start_at = co_await bytes_of_handshake(run);
  layer_ends ends;
  layer_plan plan;
  plan.first(cuts ? fault_plan().cut_after_writing(start_at.to_b) : fault_plan().fail_write_after(start_at.to_b, code));
  const bool made = co_await connected_or_refused(run, plan, &ends, code);
  if (!made) co_return;
  std::array<buffer, 2> list{buffer("first "), buffer("write")};
  result<void> sent;
  if (by_writev)
    sent = co_await ends.a->writev(list);
  else
    sent = co_await ends.a->write(buffer("first write"));
  expect_error(sent, code);
  for (int i = 0; i < 2; ++i) {
    sent = co_await ends.a->write(buffer("later"));
    expect_error(sent, code);
    std::array<buffer, 1> later{buffer("later")};
    sent = co_await ends.a->writev(later);
    expect_error(sent, code);
  }
}
inline task<> write_errors_surface(layer_run& run) {
  for (const bool by_writev : {false, true}) {
    co_await a_write_error_surfaces(&run, std::make_error_code(std::errc::no_space_on_device), false, by_writev);
    co_await a_write_error_surfaces(&run, std::make_error_code(std::errc::io_error), false, by_writev);
    co_await a_write_error_surfaces(&run, error::closed, true, by_writev);
  }
}

// ---- L7, L11 and L12: the inner bytes, cut off and cut up

/// What a reader gets, and how it ends.
struct outer_stream {
  outer_stream() noexcept {}
  bool made = false;
  bool ended = false;
  std::error_code not_made;
  std::string all;
  reading drained;
  std::size_t handshake = 0;  // bytes below, until the layers were made
  std::size_t bytes = 0;      // and altogether
  bool let_go = false;
};

// The second end writes a few messages and ends its stream; the first one reads.
inline task<> read_a_stream(layer_run* run, layer_plan plan, outer_stream* out) {
  layer_ends ends;
  co_await run->connect(plan, &ends);
  out->not_made = ends.a_failed;
  out->let_go = ends.below_a->let_go();
  out->handshake = ends.below_b->written.size();
  out->made = ends.made();
  if (!ends.b.has_value()) co_return;
  writing written;
  shutting shut;
  task_scope scope;
  if (ends.a.has_value()) start(scope, drain_once(&*ends.a, &out->all, &out->drained));
  start(scope, write_all(&*ends.b, {"a", "bc", "def", pattern(40)}, &written));
  const bool sent = co_await until([&written] { return written.done; });
  if (sent) start(scope, shutdown_once(&*ends.b, shutdown_mode::write, &shut));
  if (ends.a.has_value()) out->ended = co_await within(run->close_limit(), [out] { return out->drained.done; });
  out->bytes = ends.below_b->written.size();
}
[[nodiscard]] inline std::string whole_stream() { return "abcdef" + pattern(40); }

inline task<> truncation_is_no_end(layer_run& run) {
  outer_stream whole;
  co_await read_a_stream(&run, layer_plan(), &whole);
  expect(whole.made && whole.ended, "a whole stream is read to its end", "it is not");
  if (!whole.made || !whole.ended) co_return;
  expect_same(whole.all, whole_stream());
  expect_eof(whole.drained.got);
  for (std::size_t cut = whole.handshake; cut < whole.bytes; ++cut) {
    outer_stream part;
    layer_plan plan;
    plan.first(fault_plan().end_reads_after(cut));
    co_await read_a_stream(&run, plan, &part);
    const std::string where = " where " + std::to_string(cut) + " of " + std::to_string(whole.bytes) + " bytes came";
    expect(part.made && part.ended, "a stream that is cut off ends", "it waits on," + where);
    if (!part.made || !part.ended) co_return;
    expect(whole.all.starts_with(part.all), "what came before the cut is what was written", "it differs," + where);
    const bool truncated = part.drained.got.failed() && part.drained.got.error() == error::truncated;
    expect(truncated, "an inner eof without the goodbye is truncated", in_words(part.drained.got) + where);
    if (!truncated) co_return;
  }
}

inline task<> a_cut_handshake_lets_the_inner_flow_go(layer_run& run) {
  const bytes_below start_at = co_await bytes_of_handshake(&run);
  for (std::size_t cut = 0; cut < start_at.to_a; ++cut) {
    outer_stream part;
    layer_plan plan;
    plan.first(fault_plan().end_reads_after(cut));
    co_await read_a_stream(&run, plan, &part);
    const std::string where = "where " + std::to_string(cut) + " bytes of the handshake came";
    expect(!part.made && part.not_made, "a handshake that is cut off fails", "it does not, " + where);
    expect(part.let_go, "a handshake that fails closes the inner flow", "it is still open, " + where);
  }
}

inline task<> any_split_gives_the_same(layer_run& run) {
  outer_stream whole;
  co_await read_a_stream(&run, layer_plan(), &whole);
  expect(whole.made && whole.ended, "a whole stream is read to its end", "it is not");
  if (!whole.made || !whole.ended) co_return;
  const std::size_t body = whole.bytes - whole.handshake;
  for (const std::size_t end : {whole.bytes, whole.handshake + body / 2, whole.handshake + body / 3}) {
    outer_stream straight;
    layer_plan plan;
    plan.first(fault_plan().end_reads_after(end));
    co_await read_a_stream(&run, plan, &straight);
    expect(straight.ended, "a stream that is cut off ends", "it waits on");
    if (!straight.ended) co_return;
    for (std::uint64_t i = 0; i < 6; ++i) {
      const split how = i == 0 ? split::one_byte : i == 1 ? split::halves : split::random;
      outer_stream cut_up;
      layer_plan split_plan;
      split_plan.first(fault_plan().reads(how).writes(how).seed(i).end_reads_after(end));
      split_plan.second(fault_plan().reads(how).writes(how).seed(i + 7));
      co_await read_a_stream(&run, split_plan, &cut_up);
      expect(cut_up.made && cut_up.ended, "a stream that comes in pieces ends", "it waits on");
      if (!cut_up.made || !cut_up.ended) co_return;
      expect_same(cut_up.all, straight.all);
      const std::string same = in_words(straight.drained.got);
      expect(in_words(cut_up.drained.got) == same, "however it is cut up, a stream ends with " + same,
             in_words(cut_up.drained.got));
    }
  }
}

/// The checks of this header.
[[nodiscard]] inline std::span<const layer_law> layer_data_laws() noexcept {
  static constexpr layer_law all[] = {
      {"W3", "writev goes through a layer as write does", writev_looks_like_write},
      {"L6", "an inner read error surfaces as itself, for good", read_errors_surface},
      {"L6", "an inner write error surfaces as itself, for good", write_errors_surface},
      {"L7", "an inner eof without the goodbye is truncated, wherever it comes", truncation_is_no_end,
       layer_need::goodbye},
      {"L9", "data that came before an inner error is delivered first", data_comes_before_errors},
      {"L11", "a handshake that is cut off closes the inner flow", a_cut_handshake_lets_the_inner_flow_go},
      {"L12", "any split of the inner bytes gives the same outer bytes and the same end", any_split_gives_the_same},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
