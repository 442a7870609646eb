/// \file
/// The laws of reading: what a read gives, to whom the bytes belong, and in which order they come (R1, R2, R3, R5, R8).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coflow/testing/law.hpp"

namespace coflow::inline v0 {
namespace laws {

// ---- R1: data of one byte or more, eof, or an error

inline task<> write_with_gaps(checked_flow* flow) {
  std::vector<buffer> list;
  for (int i = 0; i < 40; ++i) {
    const result<void> nothing = co_await flow->write(buffer());
    expect_success(nothing);
    list.clear();
    list.emplace_back();
    list.emplace_back("some");
    list.emplace_back();
    list.emplace_back("thing");
    list.emplace_back();
    const result<void> sent = co_await flow->writev(list);
    expect_success(sent);
  }
  const result<void> nothing = co_await flow->write(buffer());
  expect_success(nothing);
  co_await flow->shutdown(shutdown_mode::write);
}

inline task<> data_is_never_empty(law_run& run) {
  flow_ends ends = co_await run.connect();
  task_scope scope;
  start(scope, write_with_gaps(&ends.b));
  std::string all;
  for (;;) {
    const read_result got = co_await ends.a.read();
    if (!got) {
      expect_eof(got);
      break;
    }
    expect(!got->empty(), "data is one byte or more", "a read gave an empty buffer");
    all.append(got->text());
  }
  expect(all.size() == 40 * 9, "empty writes carry nothing, and the others everything",
         std::to_string(all.size()) + " bytes arrived instead of 360");
}

// ---- R2: the buffer belongs to the caller alone

// Reads `size` bytes and keeps the buffers as they came.
inline task<> read_and_keep(checked_flow* flow, std::size_t size, std::vector<buffer>* kept) {
  std::size_t count = 0;
  while (count < size) {
    read_result got = co_await flow->read();
    expect(got.has_data(), "all the bytes arrive", in_words(got));
    if (!got) co_return;
    count += got->size();
    kept->push_back(std::move(*got));
  }
}

inline task<> buffers_keep_their_bytes(law_run& run) {
  std::vector<buffer> kept;
  std::string wanted;
  // Small, large, and larger than what fits at once, so that a flow copies, splits and hands over.
  const std::size_t sizes[] = {1, 100, run.capacity() / 2 + 1, run.more_than_fits(), 70'000, 13};
  {
    flow_ends ends = co_await run.connect();
    std::uint32_t seed = 0;
    for (const std::size_t size : sizes) {
      const std::string sent = pattern(size, ++seed);
      wanted += sent;
      writing written;
      task_scope scope;
      start(scope, write_once(&ends.b, buffer(sent), &written));
      co_await read_and_keep(&ends.a, size, &kept);
    }
    // Traffic of every size over the same pools and blocks.
    for (std::size_t size = 1; size < 30'000; size += 1'500) {
      writing written;
      std::string all;
      task_scope scope;
      start(scope, write_once(&ends.b, buffer(std::string(size, '#')), &written));
      co_await read_up_to(&ends.a, size, &all);
    }
    expect_same(joined(kept), wanted);
  }
  expect_same(joined(kept), wanted);
  std::vector<buffer> others;
  for (std::size_t size = 1; size < 100'000; size += 700) others.emplace_back(std::string(size, '%'));
  expect_same(joined(kept), wanted);
}

inline task<> scribbling_stays_private(law_run& run) {
  flow_ends ends = co_await run.connect();
  const std::size_t size = 3 * 4096 + 7;
  const std::string text = pattern(size);
  buffer payload = buffer::allocate(size);
  std::memcpy(payload.writable().data(), text.data(), size);
  const buffer kept_by_writer = payload.share();
  writing written;
  std::vector<buffer> pieces;
  task_scope scope;
  start(scope, write_once(&ends.b, std::move(payload), &written));
  co_await read_and_keep(&ends.a, size, &pieces);
  expect_same(joined(pieces), text);
  // What may be written to is written to, from the front, and changes nothing that comes behind it.
  std::size_t behind = 0;
  for (buffer& one : pieces) {
    behind += one.size();
    for (std::byte& byte : one.writable()) byte = std::byte{'!'};
    const std::size_t through = static_cast<std::size_t>(&one - pieces.data()) + 1;
    expect_same(joined(std::span<const buffer>(pieces).subspan(through)), std::string_view(text).substr(behind));
    if (through > 100) break;
  }
  expect_same(kept_by_writer.text(), text);
}

// ---- R3: as soon as one byte is there

inline task<> one_byte_is_enough(law_run& run) {
  flow_ends ends = co_await run.connect();
  for (const char byte : {'x', 'y', '\0', '\n', '\xff'}) {
    reading read;
    task_scope scope;
    start(scope, read_once(&ends.a, &read));
    co_await turns();
    expect(read.started, "the read has begun");
    expect(!read.done, "a read waits for bytes", "it ended before any were there");
    const result<void> sent = co_await ends.b.write(buffer(std::string_view(&byte, 1)));
    expect_success(sent);
    const bool done = co_await until([&read] { return read.done; });
    expect(done, "one byte ends the read", "the read waits on");
    expect_data(read.got, std::string_view(&byte, 1));
  }
}

// ---- R5: everything that arrived is delivered before the end

enum class stream_end { shutdown, close, destruction, reset };

inline task<> bytes_come_before_the_end(law_run& run, stream_end how) {
  flow_ends ends = co_await run.connect();
  writing writes[7];
  std::string accepted;
  std::string offered;
  shutting gone;
  task_scope scope;
  std::uint32_t seed = 0;
  for (writing& one : writes) {
    const std::string piece = pattern(1 + 150 * seed, seed);
    ++seed;
    offered += piece;
    co_await offer(&scope, &ends.b, piece, &one);
    if (!one.done) break;
    expect_success(one.sent);
    accepted = offered;
  }
  const bool prompt = run.has(need::prompt_acceptance);
  const bool whole = prompt && accepted.size() == offered.size();
  co_await arrived(&ends.a, accepted.size());
  if (how == stream_end::shutdown) start(scope, shutdown_once(&ends.b, shutdown_mode::write, &gone));
  if (how == stream_end::close) start(scope, close_once(&ends.b, &gone));
  if (how == stream_end::destruction) ends.b.destroy();
  if (how == stream_end::reset) ends.b->reset();
  if (whole) co_await end_arrived(&ends.a);
  co_await turns(3);
  std::string all;
  read_result last = co_await drain(&ends.a, &all);
  const bool complete = whole || how == stream_end::shutdown;
  const bool in_bounds = (!prompt || all.size() >= accepted.size()) && all.size() <= offered.size();
  const std::size_t due = in_bounds && !complete ? all.size() : offered.size();
  expect_same(all, std::string_view(offered).substr(0, due));
  for (int i = 0; i < 3; ++i) {
    if (how == stream_end::reset)
      expect_reset(last);
    else if (complete)
      expect_eof(last);
    else if (all.size() < accepted.size())
      expect_broken(last);
    last = co_await ends.a.read();
  }
}

// The end is there, and known to the flow, between two reads.
inline task<> bytes_come_before_an_end_between_two_reads(law_run& run, stream_end how) {
  flow_ends ends = co_await run.connect();
  reading first;
  writing second;
  shutting gone;
  task_scope scope;
  start(scope, read_once(&ends.a, &first));
  co_await turns();
  const result<void> sent = co_await ends.b.write(buffer("1"));
  expect_success(sent);
  const bool done = co_await until([&first] { return first.done; });
  expect(done, "the pending read is served", "it waits on");
  expect_data(first.got, "1");
  co_await offer(&scope, &ends.b, "2", &second);
  const bool whole = second.done;
  if (whole) co_await arrived(&ends.a, 1);
  if (how == stream_end::reset)
    ends.b->reset();
  else
    start(scope, close_once(&ends.b, &gone));
  co_await end_arrived(&ends.a);
  co_await turns(3);
  std::string all;
  const read_result last = co_await drain(&ends.a, &all);
  expect_same(all, whole ? "2" : "");
  if (how == stream_end::reset)
    expect_reset(last);
  else if (whole)
    expect_eof(last);
}

// ---- R8: first come, first served

inline task<> three_reads_are_served_in_order(law_run& run) {
  flow_ends ends = co_await run.connect();
  reading reads[3];
  task_scope scope;
  for (reading& one : reads) start(scope, read_once(&ends.a, &one));
  co_await turns();
  for (int i = 0; i < 3; ++i) {
    const char byte = static_cast<char>('1' + i);
    const result<void> sent = co_await ends.b.write(buffer(std::string_view(&byte, 1)));
    expect_success(sent);
    const bool done = co_await until([&reads] { return reads[0].done || reads[1].done || reads[2].done; });
    expect(done, "a byte ends a read", "all wait on");
    const bool served = co_await until([&reads, i] { return reads[i].done; });
    expect(served, "the read that began first is served first", "another one was");
    expect_data(reads[i].got, std::string_view(&byte, 1));
    for (int j = i + 1; j < 3; ++j) expect(!reads[j].done, "the reads behind it wait", "a later read ended too");
  }
}

inline task<> read_into_line(checked_flow* flow, std::string* line) {
  for (;;) {
    const read_result got = co_await flow->read();
    if (!got) co_return;
    line->append(got->text());
  }
}

// Whatever the order in which three readers come back for more, the pieces are handed out in order.
inline task<> readers_that_come_back_queue_again(law_run& run) {
  flow_ends ends = co_await run.connect();
  std::string line;
  std::string wanted;
  task_scope scope;
  for (int i = 0; i < 3; ++i) start(scope, read_into_line(&ends.a, &line));
  co_await turns();
  for (std::uint32_t i = 0; i < 300; ++i) {
    const std::string piece = pattern(1 + i % 37, i);
    wanted += piece;
    const result<void> sent = co_await ends.b.write(buffer(piece));
    expect_success(sent);
    if (i % 7 == 0) co_await turns();
  }
  const bool there = co_await until([&line, &wanted] { return line.size() >= wanted.size(); });
  expect(there, "all the bytes are read", std::to_string(line.size()) + " of " + std::to_string(wanted.size()));
  expect_same(line, wanted);
}

inline task<> an_end_goes_to_all_reads(law_run& run, stream_end how) {
  flow_ends ends = co_await run.connect();
  reading reads[3];
  shutting gone;
  task_scope scope;
  for (reading& one : reads) start(scope, read_once(&ends.a, &one));
  co_await turns();
  const result<void> sent = co_await ends.b.write(buffer("1"));
  expect_success(sent);
  const bool served = co_await until([&reads] { return reads[0].done; });
  expect(served, "the first read is served", "it waits on");
  expect_data(reads[0].got, "1");
  if (how == stream_end::reset)
    ends.b->reset();
  else
    start(scope, shutdown_once(&ends.b, shutdown_mode::write, &gone));
  const bool done = co_await until([&reads] { return reads[1].done && reads[2].done; });
  expect(done, "the end goes to all reads that wait", "one of two waits on");
  for (const reading* one : {&reads[1], &reads[2]}) {
    if (!one->done) continue;
    if (how == stream_end::reset)
      expect_reset(one->got);
    else
      expect_eof(one->got);
  }
}

/// The checks of this header.
[[nodiscard]] inline std::span<const law> read_laws() noexcept {
  static constexpr law all[] = {
      {"R1", "data is never empty, whatever the peer writes", data_is_never_empty},
      {"R2", "a buffer that was read keeps its bytes after later traffic and after both flows are gone",
       buffers_keep_their_bytes},
      {"R2", "scribbling in a buffer that was read changes no other buffer", scribbling_stays_private},
      {"R3", "a read that waits ends with the first byte", one_byte_is_enough},
      {"R5", "bytes that arrived before a shutdown are read before eof",
       [](law_run& run) { return bytes_come_before_the_end(run, stream_end::shutdown); }},
      {"R5", "bytes that arrived before a close are read before eof",
       [](law_run& run) { return bytes_come_before_the_end(run, stream_end::close); }},
      {"R5", "bytes that arrived before the peer's flow was destroyed are read before eof",
       [](law_run& run) { return bytes_come_before_the_end(run, stream_end::destruction); }, nullptr,
       need::clean_destruction},
      {"R5", "bytes that arrived before a reset are read before the error",
       [](law_run& run) { return bytes_come_before_the_end(run, stream_end::reset); }, nullptr, need::reset},
      {"R5", "bytes that arrived before a close are read by whoever reads only afterwards",
       [](law_run& run) { return bytes_come_before_an_end_between_two_reads(run, stream_end::close); }},
      {"R5", "bytes that arrived before a reset are read by whoever reads only afterwards",
       [](law_run& run) { return bytes_come_before_an_end_between_two_reads(run, stream_end::reset); }, nullptr,
       need::reset},
      {"R8", "three pending reads are served in the order in which they began", three_reads_are_served_in_order},
      {"R8", "readers that come back for more are served in order", readers_that_come_back_queue_again},
      {"R8", "eof goes to all pending reads",
       [](law_run& run) { return an_end_goes_to_all_reads(run, stream_end::shutdown); }},
      {"R8", "a reset goes to all pending reads",
       [](law_run& run) { return an_end_goes_to_all_reads(run, stream_end::reset); }, nullptr, need::reset},
  };
  return all;
}

}  // namespace laws
}  // namespace coflow::inline v0
