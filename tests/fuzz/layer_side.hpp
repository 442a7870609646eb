#pragma once

// One side of a session over the layer: what it is to do, and what is known of it.

#include <coflow/tls.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "fuzz/harm.hpp"
#include "fuzz/input.hpp"
#include "fuzz/said.hpp"
#include "support/codec_sink.hpp"
#include "support/toy_engine.hpp"

namespace fuzz {

using layer_flow = coflow::tls_flow<harmed_flow, support::toy_engine>;

/// What an actor does, and how much of it.
struct step {
  unsigned what = 0;
  unsigned amount = 0;
};

/// An engine that is told what the layer was told, in pieces of another size: what it decodes is what there is to hear.
class reference final : public passage {
 public:
  void be(support::toy_role role, std::uint32_t secret) {
    engine_.emplace(role, secret);
    engine_->start(sink_);
  }
  /// All that there has been to hear so far.
  [[nodiscard]] const std::string& text() {
    if (told_ != handed_over.size() && !sink_.ended()) {
      engine_->feed(buffer(std::string_view(handed_over).substr(told_)), sink_);
      text_ += sink_.take_data();
    }
    told_ = handed_over.size();
    return text_;
  }
  [[nodiscard]] bool ended() const noexcept { return sink_.ended(); }
  [[nodiscard]] std::error_code failure() const noexcept { return sink_.failure(); }
  inline void read_begins() override;
  struct side* of = nullptr;

 private:
  std::optional<support::toy_engine> engine_;
  support::codec_sink sink_;
  std::size_t told_ = 0;
  std::string text_;
};

struct side {
  static constexpr std::size_t writers = 2;

  explicit side(unsigned which) : number(which) { below.of = this; }
  side(const side&) = delete;
  side& operator=(const side&) = delete;

  unsigned number;
  std::vector<step> writes[writers];
  std::vector<step> reads;
  std::vector<step> moves;
  std::size_t most = 0;  // bytes that one write has

  reference below;
  std::optional<layer_flow> flow;
  sayings said;
  std::size_t sent = 0;  // bytes of writes that succeeded and were not given up
  std::string heard;
  unsigned wants = 0;  // reads that are under way
  std::error_code verdict;
  bool eof = false;
  bool over = false;         // the reader has its verdict
  bool peers_end = false;    // which is an end that the other side has made
  bool from_stream = false;  // it came of what was read below
  bool shut_write = false;   // by this side, as the next ones
  bool shut_read = false;
  bool closed = false;
  bool disturbed = false;  // something was done for which a session need not be whole
};

// Nothing is read below while there is something that nobody wants to hear (law W8).
inline void reference::read_begins() {
  if (of->wants == 0 && !of->shut_read && !of->closed && text().size() > of->heard.size())
    breach("more is read below than anybody wants");
}

/// Somebody waits for a read, or its outcome is on the way to him.
class wish {
 public:
  explicit wish(side* s) noexcept : of_(s) { ++of_->wants; }
  wish(const wish&) = delete;
  wish& operator=(const wish&) = delete;
  ~wish() { --of_->wants; }

 private:
  side* of_;
};

}  // namespace fuzz
