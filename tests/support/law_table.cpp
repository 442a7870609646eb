#include "support/law_table.hpp"

#include <cstddef>
#include <span>
#include <string>

#include "support/catch.hpp"

namespace support {

namespace {
const auto every_law = coflow::laws::all_laws();
}
std::span<const coflow::laws::law> all_laws() { return every_law; }

void require_kept(const coflow::report& found, std::span<const coflow::laws::law> table) {
  INFO(found.text());
  for (const std::string& one : found.skipped()) FAIL_CHECK("left out: " << one);
  CHECK(found.passed());
  CHECK(found.checks() == table.size());
}

void require_kept_in_memory(std::span<const coflow::laws::law> table) {
  for (const std::size_t capacity : {std::size_t{7}, std::size_t{4096}, std::size_t{65536}}) {
    INFO("a pipe of " << capacity << " bytes");
    require_kept(check_table(table, memory_ends(capacity)), table);
  }
  require_kept(check_table(table, honest_ends()), table);
}

void require_rejected(std::span<const coflow::laws::law> table, broken::altered_pair::maker make, const char* law) {
  const coflow::report found = check_table(table, broken::altered_pair(make));
  INFO(found.text());
  CHECK(found.broke(law));
}

}  // namespace support
