#pragma once

// Texts that may be endpoints: what `endpoint::parse` takes is what the system takes, and it survives being printed.

#include <arpa/inet.h>
#include <net/if.h>

#include <coflow/net/endpoint.hpp>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "fuzz/input.hpp"

namespace fuzz {

/// The port of a text that ends with one; -1 if it does not.
inline long port_at_end(const std::string& text) {
  const std::string digits = text.substr(text.rfind(':') + 1);
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) return -1;
  const std::size_t zeros = digits.find_first_not_of('0');
  const std::string number = zeros == std::string::npos ? "0" : digits.substr(zeros);
  return number.size() > 5 || std::stol(number) > 65535 ? -1 : std::stol(number);
}
/// True for the number of an interface that may be there, and for the name of one that is.
inline bool is_scope(const std::string& text) {
  if (if_nametoindex(text.c_str()) != 0) return true;
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) return false;
  const std::size_t zeros = text.find_first_not_of('0');
  if (zeros == std::string::npos) return false;
  const std::string number = text.substr(zeros);
  return number.size() <= 10 && std::stoull(number) <= 0xFFFFFFFFU;
}
inline bool is_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || port_at_end(text) < 0) return false;
  std::string host = text.substr(0, colon);
  if (host.find('\0') != std::string::npos || host.size() > 65) return false;
  unsigned char room[16];
  if (host.find(':') == std::string::npos) return inet_pton(AF_INET, host.c_str(), room) == 1;
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return false;
  host = host.substr(1, host.size() - 2);
  if (host.find(':') == std::string::npos) return false;
  const std::size_t percent = host.find('%');
  if (percent != std::string::npos && !is_scope(host.substr(percent + 1))) return false;
  return inet_pton(AF_INET6, host.substr(0, percent).c_str(), room) == 1;
}

inline void endpoint(std::span<const std::uint8_t> input) {
  const std::string text(input.begin(), input.end());
  const auto made = coflow::endpoint::parse(text);
  if (made.has_value() != is_endpoint(text)) breach(made ? "no endpoint, and taken for one" : "an endpoint is refused");
  if (!made) {
    if (made.error() != coflow::error::bad_endpoint) breach("another error than bad_endpoint");
    return;
  }
  if (made->unspecified() || made->port() != port_at_end(text)) breach("another port");
  const std::string printed = made->to_string();
  const auto again = coflow::endpoint::parse(printed);
  if (!again || *again != *made) breach("printed and read it is another one: " + printed);
  if (again->to_string() != printed) breach("printed twice it is another text");
  const auto apart = coflow::endpoint::parse(made->address(), made->port());
  if (!apart || *apart != *made) breach("its address alone is another one");
}

/// Pieces of endpoints, put together, some with a character that is another.
inline bytes made_endpoint(unsigned seed) {
  static constexpr std::string_view pieces[] = {
      "127.0.0.1", "[::1]", ":80",  ":", "[", "]",      "::",    "fe80::1", "%lo", "%1",  "%",
      "0000",      "255",   "1.2.", ".", "f", ":65535", "65536", "::ffff:", "%0",  "host"};
  maker by(seed);
  std::string text;
  switch (by.pick(4)) {
    case 0:
      text =
          std::to_string(by.pick(300)) + "." + std::to_string(by.pick(256)) + ".0.1:" + std::to_string(by.pick(70000));
      break;
    case 1:
      text = "[fe80::" + std::to_string(by.pick(99999)) + "%" + std::to_string(by.pick(9)) + "]:443";
      break;
    default:
      for (unsigned i = by.pick(8); i != 0; --i) text += pieces[by.pick(std::size(pieces))];
  }
  if (!text.empty() && by.pick(4) == 0) text[by.pick(static_cast<unsigned>(text.size()))] = "[]:%.0a"[by.pick(7)];
  return bytes(text.begin(), text.end());
}

}  // namespace fuzz
