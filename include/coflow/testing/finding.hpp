/// \file
/// What a check of a flow has found, in words that a person can act on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coflow::inline v0 {

/// One broken promise.
struct finding {
  std::string law;        ///< the law of the contract, such as "R4"
  std::string check;      ///< the name of the check, a sentence
  std::string expected;   ///< what the law demands
  std::string happened;   ///< what the flow did instead
  std::string where;      ///< file and line of the expectation
  std::string reproduce;  ///< how to run this check alone
};

/// The finding as a few lines of text.
[[nodiscard]] inline std::string to_string(const finding& one) {
  return one.law + ": " + one.check + "\n  expected  " + one.expected + "\n  happened  " + one.happened +
         "\n  where     " + one.where + "\n  reproduce " + one.reproduce + "\n";
}

/// What came of a run of checks: true if the contract was kept.
class report {
 public:
  report() noexcept {}

  [[nodiscard]] explicit operator bool() const noexcept { return passed(); }
  /// True if at least one expectation was looked at and none failed.
  [[nodiscard]] bool passed() const noexcept { return findings_.empty() && expectations_ != 0; }
  [[nodiscard]] const std::vector<finding>& findings() const noexcept { return findings_; }
  /// How many checks ran.
  [[nodiscard]] std::size_t checks() const noexcept { return checks_; }
  /// How many expectations they looked at.
  [[nodiscard]] std::size_t expectations() const noexcept { return expectations_; }
  /// The checks that were left out, each with the reason.
  [[nodiscard]] const std::vector<std::string>& skipped() const noexcept { return skipped_; }

  /// True if a finding is about `law`.
  [[nodiscard]] bool broke(std::string_view law) const noexcept {
    return std::any_of(findings_.begin(), findings_.end(), [law](const finding& one) { return one.law == law; });
  }

  /// Everything that was found, then one line that sums it up.
  [[nodiscard]] std::string text() const {
    std::string all;
    for (const finding& one : findings_) all += to_string(one);
    all += std::to_string(checks_) + " checks, " + std::to_string(expectations_) + " expectations, " +
           std::to_string(skipped_.size()) + " checks left out, " + std::to_string(findings_.size()) + " findings\n";
    return all;
  }

  // For whoever runs checks.

  void count_check() noexcept { ++checks_; }
  void count_expectation() noexcept { ++expectations_; }
  void add(finding one) { findings_.push_back(std::move(one)); }
  void skip(std::string_view check, std::string_view why) {
    skipped_.push_back(std::string(check) + ": " + std::string(why));
  }
  /// Takes over what another run came to.
  void merge(report other) {
    for (finding& one : other.findings_) findings_.push_back(std::move(one));
    for (std::string& one : other.skipped_) skipped_.push_back(std::move(one));
    checks_ += other.checks_;
    expectations_ += other.expectations_;
  }

 private:
  std::vector<finding> findings_;
  std::vector<std::string> skipped_;
  std::size_t checks_ = 0;
  std::size_t expectations_ = 0;
};

}  // namespace coflow::inline v0
