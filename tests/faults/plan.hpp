#pragma once

// What is to go wrong in a run, and how that is written: "S7 sendmsg#3 ECONNRESET persistent reactor=epoll seed=42".

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace faults {

/// The functions that are watched, in the order of `call_names`.
enum class call : unsigned char {
  socket,
  bind,
  listen,
  connect,
  accept4,
  recv,
  send,
  sendmsg,
  read,
  write,
  readv,
  writev,
  shutdown,
  close,
  setsockopt,
  getsockopt,
  getsockname,
  getpeername,
  eventfd,
  epoll_create1,
  epoll_ctl,
  epoll_wait,
  poll,
};
inline constexpr std::array<std::string_view, 23> call_names = {
    "socket",      "bind",        "listen",  "connect",       "accept4",   "recv",       "send",       "sendmsg",
    "read",        "write",       "readv",   "writev",        "shutdown",  "close",      "setsockopt", "getsockopt",
    "getsockname", "getpeername", "eventfd", "epoll_create1", "epoll_ctl", "epoll_wait", "poll"};
inline constexpr std::size_t call_count = call_names.size();
[[nodiscard]] constexpr std::size_t index(call of) noexcept { return static_cast<std::size_t>(of); }

/// What an injected call does. An error number is positive; these are not.
enum special : int {
  end_of_file = 0,  // gives 0
  one_byte = -1,    // moves a byte at most
  half = -2,        // moves a half of what it could
  spurious = -3,    // reports something that is not so
  stale = -4,       // reports something about a descriptor that was closed
  cut = -1000,      // and less: moves so many bytes less this
};

struct fault {
  call where = call::socket;
  unsigned nth = 0;  // from 1
  int what = 0;      // an errno value, or one of `special`
  bool persistent = false;
};

/// What each call may answer. Where an answer is true for a moment only, it is never given for good: it would be a lie
/// about the kernel.
struct answer {
  call where;
  std::string_view name;
  int what;
  bool for_good;
};
inline constexpr answer answers[] = {
    {call::socket, "EMFILE", EMFILE, true},
    {call::socket, "ENFILE", ENFILE, true},
    {call::socket, "ENOMEM", ENOMEM, true},
    {call::socket, "ENOBUFS", ENOBUFS, true},
    {call::socket, "EACCES", EACCES, true},
    {call::bind, "EADDRINUSE", EADDRINUSE, true},
    {call::bind, "EACCES", EACCES, true},
    {call::listen, "EADDRINUSE", EADDRINUSE, true},
    {call::connect, "ECONNREFUSED", ECONNREFUSED, true},
    {call::connect, "ETIMEDOUT", ETIMEDOUT, true},
    {call::connect, "ENETUNREACH", ENETUNREACH, true},
    {call::connect, "EHOSTUNREACH", EHOSTUNREACH, true},
    {call::connect, "EADDRNOTAVAIL", EADDRNOTAVAIL, true},
    {call::connect, "EALREADY", EALREADY, true},
    {call::connect, "EISCONN", EISCONN, true},
    {call::connect, "EINTR", EINTR, true},  // the attempt goes on
    {call::accept4, "EMFILE", EMFILE, true},
    {call::accept4, "ENFILE", ENFILE, true},
    {call::accept4, "ENOMEM", ENOMEM, true},
    {call::accept4, "ENOBUFS", ENOBUFS, true},
    {call::accept4, "ECONNABORTED", ECONNABORTED, true},
    {call::accept4, "EPROTO", EPROTO, true},
    {call::accept4, "EPERM", EPERM, true},
    {call::accept4, "EINTR", EINTR, false},
    {call::accept4, "EAGAIN", EAGAIN, false},
    {call::recv, "EOF", end_of_file, true},
    {call::recv, "ECONNRESET", ECONNRESET, true},
    {call::recv, "ETIMEDOUT", ETIMEDOUT, true},
    {call::recv, "EHOSTUNREACH", EHOSTUNREACH, true},
    {call::recv, "ENETDOWN", ENETDOWN, true},
    {call::recv, "ECONNABORTED", ECONNABORTED, true},
    {call::recv, "ENOMEM", ENOMEM, true},
    {call::recv, "EIO", EIO, true},
    {call::recv, "EINTR", EINTR, false},
    {call::recv, "EAGAIN", EAGAIN, false},
    {call::recv, "ONE", one_byte, false},
    {call::recv, "HALF", half, true},
    {call::send, "EPIPE", EPIPE, true},
    {call::send, "ECONNRESET", ECONNRESET, true},
    {call::send, "ENOBUFS", ENOBUFS, true},
    {call::send, "ENOMEM", ENOMEM, true},
    {call::send, "ETIMEDOUT", ETIMEDOUT, true},
    {call::send, "EHOSTUNREACH", EHOSTUNREACH, true},
    {call::send, "ENETDOWN", ENETDOWN, true},
    {call::send, "ECONNABORTED", ECONNABORTED, true},
    {call::send, "EMSGSIZE", EMSGSIZE, true},
    {call::send, "EINTR", EINTR, false},
    {call::send, "EAGAIN", EAGAIN, false},
    {call::send, "ONE", one_byte, false},
    {call::send, "HALF", half, true},
    {call::sendmsg, "EPIPE", EPIPE, true},
    {call::sendmsg, "ECONNRESET", ECONNRESET, true},
    {call::sendmsg, "ENOBUFS", ENOBUFS, true},
    {call::sendmsg, "ENOMEM", ENOMEM, true},
    {call::sendmsg, "ETIMEDOUT", ETIMEDOUT, true},
    {call::sendmsg, "EHOSTUNREACH", EHOSTUNREACH, true},
    {call::sendmsg, "ENETDOWN", ENETDOWN, true},
    {call::sendmsg, "ECONNABORTED", ECONNABORTED, true},
    {call::sendmsg, "EMSGSIZE", EMSGSIZE, true},
    {call::sendmsg, "EINTR", EINTR, false},
    {call::sendmsg, "EAGAIN", EAGAIN, false},
    {call::sendmsg, "ONE", one_byte, false},
    {call::sendmsg, "HALF", half, true},
    {call::read, "EOF", end_of_file, true},
    {call::read, "EIO", EIO, true},
    {call::read, "EINTR", EINTR, false},
    {call::read, "EAGAIN", EAGAIN, false},
    {call::read, "HALF", half, true},
    {call::write, "EPIPE", EPIPE, true},
    {call::write, "EIO", EIO, true},
    {call::write, "ENOSPC", ENOSPC, true},
    {call::write, "EINTR", EINTR, false},
    {call::write, "EAGAIN", EAGAIN, false},
    {call::write, "HALF", half, true},
    {call::readv, "EIO", EIO, true},
    {call::readv, "EINTR", EINTR, false},
    {call::readv, "EAGAIN", EAGAIN, false},
    {call::writev, "EPIPE", EPIPE, true},
    {call::writev, "EIO", EIO, true},
    {call::writev, "EINTR", EINTR, false},
    {call::writev, "EAGAIN", EAGAIN, false},
    {call::writev, "HALF", half, true},
    {call::shutdown, "ENOTCONN", ENOTCONN, true},
    {call::close, "EINTR", EINTR, true},
    {call::close, "EIO", EIO, true},
    {call::setsockopt, "EINVAL", EINVAL, true},
    {call::setsockopt, "ENOPROTOOPT", ENOPROTOOPT, true},
    {call::setsockopt, "ENOMEM", ENOMEM, true},
    {call::getsockopt, "ECONNREFUSED", ECONNREFUSED, true},  // for SO_ERROR: as its value
    {call::getsockopt, "ETIMEDOUT", ETIMEDOUT, true},
    {call::getsockopt, "ENETUNREACH", ENETUNREACH, true},
    {call::getsockopt, "EHOSTUNREACH", EHOSTUNREACH, true},
    {call::getsockopt, "ECONNRESET", ECONNRESET, true},
    {call::getsockname, "ENOBUFS", ENOBUFS, true},
    {call::getpeername, "ENOTCONN", ENOTCONN, false},
    {call::eventfd, "EMFILE", EMFILE, true},
    {call::eventfd, "ENFILE", ENFILE, true},
    {call::eventfd, "ENOMEM", ENOMEM, true},
    {call::epoll_create1, "EMFILE", EMFILE, true},
    {call::epoll_create1, "ENFILE", ENFILE, true},
    {call::epoll_create1, "ENOMEM", ENOMEM, true},
    {call::epoll_ctl, "ENOMEM", ENOMEM, true},
    {call::epoll_ctl, "ENOSPC", ENOSPC, true},
    {call::epoll_ctl, "EEXIST", EEXIST, true},
    {call::epoll_ctl, "EPERM", EPERM, true},
    {call::epoll_wait, "EINTR", EINTR, false},
    {call::epoll_wait, "SPURIOUS", spurious, true},
    {call::epoll_wait, "STALE", stale, true},
    {call::poll, "EINTR", EINTR, false},
    {call::poll, "SPURIOUS", spurious, true},
};

/// Everything that one run is made of.
struct plan {
  std::string scenario;
  std::string world = "tcp";
  std::string reactor = "epoll";
  std::uint32_t seed = 1;
  std::size_t limit = 0;  // no call moves more bytes than this; 0: no limit
  bool storm = false;     // calls fail at random, in the two ways that mean nothing
  bool no_edges = false;  // leaves out what the kernel would do after an EAGAIN: for a control
  std::vector<fault> faults;
};

[[nodiscard]] inline std::string_view name_of(const fault& one) noexcept {
  for (const answer& each : answers)
    if (each.where == one.where && each.what == one.what) return each.name;
  return "CUT";
}

[[nodiscard]] inline std::string in_words(const plan& of) {
  std::string text = of.scenario;
  for (const fault& one : of.faults) {
    text += ' ' + std::string(call_names[index(one.where)]) + '#' + std::to_string(one.nth) + ' ';
    text += name_of(one);
    if (one.what <= cut) text += '=' + std::to_string(cut - one.what);
    text += one.persistent ? " persistent" : " once";
  }
  if (of.limit != 0) text += " limit=" + std::to_string(of.limit);
  if (of.storm) text += " storm";
  if (of.world != "tcp") text += " world=" + of.world;
  return text + " reactor=" + of.reactor + " seed=" + std::to_string(of.seed);
}

/// Reads what `in_words` writes; words that mean nothing, such as the name of a program in front, are left out.
[[nodiscard]] inline plan parse(std::string_view text) {
  plan made;
  const auto number = [](std::string_view digits) { return std::strtoul(std::string(digits).c_str(), nullptr, 10); };
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (const std::size_t hash = word.find('#'); hash != std::string_view::npos) {
      for (std::size_t i = 0; i < call_count; ++i) {
        if (call_names[i] != word.substr(0, hash)) continue;
        fault& one = made.faults.emplace_back();
        one.where = static_cast<call>(i);
        one.nth = static_cast<unsigned>(number(word.substr(hash + 1)));
      }
    } else if (word.starts_with("limit=")) {
      made.limit = number(word.substr(6));
    } else if (word.starts_with("seed=")) {
      made.seed = static_cast<std::uint32_t>(number(word.substr(5)));
    } else if (word.starts_with("world=")) {
      made.world = word.substr(6);
    } else if (word.starts_with("reactor=")) {
      made.reactor = word.substr(8);
    } else if (word == "storm") {
      made.storm = true;
    } else if (word == "persistent" && !made.faults.empty()) {
      made.faults.back().persistent = true;
    } else if (word.starts_with("CUT=") && !made.faults.empty()) {
      made.faults.back().what = cut - static_cast<int>(number(word.substr(4)));
    } else if (word.size() >= 2 && word[0] == 'S' && word[1] >= '0' && word[1] <= '9') {
      made.scenario = word;
    } else if (!made.faults.empty()) {
      for (const answer& each : answers)
        if (each.where == made.faults.back().where && each.name == word) made.faults.back().what = each.what;
    }
  }
  return made;
}

}  // namespace faults
