/// \file
/// Listening sockets that whoever started the process has opened for it.
#pragma once

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coflow/core/error.hpp"
#include "coflow/core/result.hpp"
#include "coflow/net/detail/system_unix.hpp"

namespace coflow::inline v0 {

/// A descriptor that was handed over, and the name that its giver knows it by.
class listen_descriptor {
 public:
  listen_descriptor(int number, std::string name) noexcept : number_(number), name_(std::move(name)) {}

  /// For `tcp_listener::adopt` or `unix_listener::adopt`. It stays open until somebody closes it.
  [[nodiscard]] int number() const noexcept { return number_; }
  /// "unknown" where none was given.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  int number_;
  std::string name_;
};

namespace detail {

/// The first descriptor behind standard input, output and error.
inline constexpr int first_listen_descriptor = 3;

// Gives false for anything but a number that is at least `least`.
template <class Number>
[[nodiscard]] bool read_number(const char* text, Number least, Number& number) noexcept {
  const std::string_view all(text);
  const auto [end, failed] = std::from_chars(all.data(), all.data() + all.size(), number);
  return failed == std::errc() && end == all.data() + all.size() && number >= least;
}

// "a:b:c" gives three names, "" none, and an empty one means unknown.
[[nodiscard]] inline std::vector<std::string> split_names(std::string_view all) {
  std::vector<std::string> names;
  while (!all.empty()) {
    const std::size_t end = all.find(':');
    names.emplace_back(all.substr(0, end));
    if (names.back().empty()) names.back() = "unknown";
    if (end == std::string_view::npos) break;
    all.remove_prefix(end + 1);
    if (all.empty()) names.emplace_back("unknown");
  }
  return names;
}

// What the variables say; they are still there.
[[nodiscard]] inline result<std::vector<listen_descriptor>> described_descriptors() {
  std::vector<listen_descriptor> found;
  const char* process = sys::environment("LISTEN_PID");
  const char* number = sys::environment("LISTEN_FDS");
  if (process == nullptr || number == nullptr) return found;
  pid_t meant = 0;
  if (!read_number(process, pid_t{1}, meant)) return std::make_error_code(std::errc::invalid_argument);
  if (meant != sys::process_id()) return found;
  int count = 0;
  if (!read_number(number, 0, count)) return std::make_error_code(std::errc::invalid_argument);

  std::vector<std::string> names;
  if (const char* given = sys::environment("LISTEN_FDNAMES")) {
    names = split_names(given);
    if (names.size() != static_cast<std::size_t>(count)) return std::make_error_code(std::errc::invalid_argument);
  }
  for (int i = 0; i < count; ++i) {
    const int fd = first_listen_descriptor + i;
    if (const int status = sys::set_close_on_exec(fd); status < 0) return from_system(-status);
    found.emplace_back(fd, names.empty() ? std::string("unknown") : std::move(names[static_cast<std::size_t>(i)]));
  }
  return found;
}

}  // namespace detail

/// The listening sockets that a service manager has opened for this process (socket activation, sd_listen_fds(3)): as
/// LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES say. They become close-on-exec. Nothing if there are none, or if they are
/// meant for another process.
///
/// The variables are removed in any case, so that no child takes them for its own; hence the second call gives
/// nothing. Call it at the beginning of `main`: no other thread may touch the environment meanwhile.
/// Errors: `std::errc::invalid_argument` if a variable is no number, or there are not as many names as descriptors;
/// `std::errc::bad_file_descriptor` if one of them is not open. Throws std::bad_alloc.
[[nodiscard]] inline result<std::vector<listen_descriptor>> listen_descriptors() {
  result<std::vector<listen_descriptor>> found = detail::described_descriptors();
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) detail::sys::remove_from_environment(name);
  return found;
}

}  // namespace coflow::inline v0
