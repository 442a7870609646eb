#pragma once

// TLS records on their way: what can be done to a stream by someone who knows where its records begin.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fuzz {

/// The record of a type of one's choice, or of one that there is, with a length that need not be right.
[[nodiscard]] inline std::string record_of(unsigned type, std::size_t length, const std::string& content) {
  const unsigned there_is = type < 128 ? 20 + type % 5 : type;
  std::string made{static_cast<char>(there_is), 3, 3};
  const std::size_t said = length < 200 ? content.size() : length * 100;
  made.push_back(static_cast<char>(said >> 8U));
  made.push_back(static_cast<char>(said));
  return made + content;
}

/// What a peer has sent and nobody has read yet. True where something was changed.
class records {
 public:
  void add(const std::string& some) { text_ += some; }
  [[nodiscard]] std::string take() { return std::exchange(text_, std::string()); }
  [[nodiscard]] std::string take_front(std::size_t most) {
    std::string front = text_.substr(0, most);
    text_.erase(0, front.size());
    return front;
  }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

  bool change(std::size_t at, char with) {
    if (text_.empty() || with == 0) return false;
    char& one = text_[at % text_.size()];
    one = static_cast<char>(one ^ with);
    return true;
  }
  bool cut(std::size_t at) {
    if (text_.empty()) return false;
    text_.resize(at % text_.size());
    return true;
  }
  void insert(std::size_t before, const std::string& record) {
    std::vector<std::string> all = split();
    all.insert(all.begin() + static_cast<std::ptrdiff_t>(before % (all.size() + 1)), record);
    join(all);
  }
  bool remove(std::size_t which) {
    std::vector<std::string> all = split();
    if (all.empty()) return false;
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(which % all.size()));
    join(all);
    return true;
  }
  bool repeat(std::size_t which) {
    std::vector<std::string> all = split();
    if (all.empty()) return false;
    all.push_back(all[which % all.size()]);
    join(all);
    return true;
  }
  bool swap(std::size_t which) {
    std::vector<std::string> all = split();
    if (all.size() < 2) return false;
    const std::size_t first = which % (all.size() - 1);
    std::swap(all[first], all[first + 1]);
    join(all);
    return true;
  }

 private:
  [[nodiscard]] std::vector<std::string> split() const {
    std::vector<std::string> all;
    for (std::string_view rest = text_; !rest.empty();) {
      std::size_t size = rest.size();
      if (size >= 5)
        size = 5 + (static_cast<unsigned char>(rest[3]) * std::size_t{256}) + static_cast<unsigned char>(rest[4]);
      all.emplace_back(rest.substr(0, size));
      rest.remove_prefix(all.back().size());
    }
    return all;
  }
  void join(const std::vector<std::string>& all) {
    text_.clear();
    for (const std::string& one : all) text_ += one;
  }

  std::string text_;
};

}  // namespace fuzz
