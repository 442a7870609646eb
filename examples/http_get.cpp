// http_get [-v] [--ca FILE] [--timeout SECONDS] URL
// Gets what an http or https URL names, and writes it to standard output; with -v the status and the headers to
// standard error. A server's certificate is one that the system trusts, or with --ca the authorities in FILE.
// Everything together may take a minute, unless said otherwise. The exit code is 1 where something failed, were it the
// server that says so.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <coflow/coflow.hpp>
#include <coflow/layer/buffered_reader.hpp>
#include <coflow/tls/openssl.hpp>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using coflow::task;

struct request {
  std::string authority;  // host and port as they stand in the URL
  std::string host;
  std::string target = "/";
  std::uint16_t port = 80;
  bool secure = false;
};
struct settings {
  request url;
  std::string authorities;
  unsigned seconds = 60;
  bool talks = false;
};
struct head {
  std::string status_line;
  std::optional<std::uint64_t> length;
  unsigned status = 0;
  bool chunked = false;
};

// What went wrong, for programs and for people.
class failure {
 public:
  failure() {}
  failure(std::error_code code, std::string text) : code_(code), text_(std::move(text)) {}
  template <std::convertible_to<std::error_code> E>
  failure(const E& error) : failure(error, error.message()) {}  // NOLINT: conversion is the point
  operator std::error_code() const { return code_; }            // NOLINT: with_timeout asks whether it was the limit
  [[nodiscard]] const std::string& message() const { return text_; }

 private:
  std::error_code code_;
  std::string text_;
};
template <class T>
using outcome = coflow::result<T, failure>;

failure malformed(const std::string& what) {
  return failure(std::make_error_code(std::errc::bad_message), "the server's answer is malformed: " + what);
}
// Why there is no record, where there must be one.
template <class Record>
failure missing(const Record& record) {
  return record.eof() ? make_error_code(coflow::error::truncated) : record.error();
}

// What a server says may hold anything, and the terminal obeys some of it.
std::string printable(std::string_view line) {
  std::string text(line);
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}
std::string lower(std::string_view text) {
  std::string small(text);
  for (char& c : small) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return small;
}
std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == text.npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// A body that goes on until the connection ends has this size.
constexpr std::uint64_t endless = UINT64_MAX;

template <class T>
bool read_number(std::string_view text, T& number, int base = 10) {
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return wrong == std::errc() && end == text.data() + text.size();
}

outcome<void> read_header(std::string_view line, head& found) {
  const auto colon = line.find(':');
  if (colon == line.npos) return malformed("a header without a colon");
  const std::string name = lower(line.substr(0, colon));
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (name == "transfer-encoding") {
    if (found.chunked || lower(value) != "chunked") return malformed("an unknown Transfer-Encoding");
    found.chunked = true;
  } else if (name == "content-length") {
    std::uint64_t length = 0;
    if (!read_number(value, length) || length == endless) return malformed("a Content-Length that is none");
    if (found.length.value_or(length) != length) return malformed("two lengths");
    found.length = length;
  }
  return coflow::success;
}

template <class Reader>
task<outcome<head>> read_head(Reader* from, bool talks) {
  auto line = co_await from->read_line();
  if (!line) co_return missing(line);
  head found;
  found.status_line = printable(line->text());
  const std::string_view text = line->text();
  if (!text.starts_with("HTTP/1.") || text.size() < 12 || !read_number(text.substr(9, 3), found.status))
    co_return malformed("no status");
  for (;;) {
    if (talks) std::fprintf(stderr, "%s\n", printable(line->text()).c_str());
    line = co_await from->read_line();
    if (!line) co_return missing(line);
    if (line->empty()) break;
    auto read = read_header(line->text(), found);
    if (!read) co_return read.error();
  }
  if (talks) std::fprintf(stderr, "\n");
  co_return found;
}

// The next `size` bytes go to standard output.
template <class Reader>
task<outcome<void>> write_out(Reader* from, const std::uint64_t size) {
  std::vector<std::byte> room(16 * 1024);
  for (std::uint64_t left = size; left > 0;) {
    const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(left, room.size()));
    const auto got = co_await from->read_into(std::span(room).first(most));
    if (got.eof() && size == endless) break;
    if (!got) co_return missing(got);
    if (std::fwrite(room.data(), 1, *got, stdout) != *got)
      co_return failure(std::error_code(errno, std::generic_category()), "cannot write standard output");
    left -= *got;
  }
  co_return coflow::success;
}

template <class Reader>
task<outcome<void>> write_out_chunks(Reader* from) {
  std::uint64_t size = 0;
  do {
    auto line = co_await from->read_line();
    if (!line) co_return missing(line);
    if (!read_number(trimmed(line->text().substr(0, line->text().find(';'))), size, 16) || size == endless)
      co_return malformed("a chunk without a size");
    auto written = co_await write_out(from, size);
    if (!written) co_return written;
    // Behind a chunk is the end of its line, and behind the last one, which is empty, may be more headers.
    do {
      line = co_await from->read_line();
      if (!line) co_return missing(line);
    } while (size == 0 && !line->empty());
    if (!line->empty()) co_return malformed("a chunk that is longer than its size");
  } while (size != 0);
  co_return coflow::success;
}

// The same for every kind of flow. Gives the exit code.
template <coflow::Flow F>
task<outcome<int>> get(F flow, const settings* wanted) {
  auto sent = co_await flow.write(coflow::buffer(
      "GET " + wanted->url.target + " HTTP/1.1\r\nHost: " + wanted->url.authority + "\r\nConnection: close\r\n\r\n"));
  if (!sent) co_return sent.error();
  coflow::buffered_reader answer(std::move(flow));
  outcome<head> found = head();
  do {  // the first ones may be about what is to come
    found = co_await read_head(&answer, wanted->talks);
    if (!found) co_return found.error();
  } while (found->status < 200);
  outcome<void> written = coflow::success;
  if (found->status != 204 && found->status != 304) {
    if (found->chunked)
      written = co_await write_out_chunks(&answer);
    else
      written = co_await write_out(&answer, found->length.value_or(endless));
  }
  co_await answer.close();
  if (!written) co_return written.error();
  if (found->status < 400) co_return 0;
  std::fprintf(stderr, "http_get: %s\n", found->status_line.c_str());
  co_return 1;
}

task<outcome<int>> get_over_tcp(const settings* wanted) {
  auto tcp = co_await coflow::tcp_connect(wanted->url.host, wanted->url.port);
  if (!tcp) co_return tcp.error();
  co_return co_await get(std::move(*tcp), wanted);
}

task<outcome<int>> get_over_tls(const settings* wanted) {
  coflow::openssl_options options;
  if (!wanted->authorities.empty()) options.trust_file(wanted->authorities);
  auto context = coflow::openssl_context::client(options);
  if (!context) co_return context.error();
  auto tcp = co_await coflow::tcp_connect(wanted->url.host, wanted->url.port);
  if (!tcp) co_return tcp.error();
  auto tls = co_await coflow::tls_client(*context, std::move(*tcp), wanted->url.host);
  if (!tls) co_return tls.error();
  co_return co_await get(std::move(*tls), wanted);
}

task<int> run(settings wanted) {
  auto work = wanted.url.secure ? get_over_tls(&wanted) : get_over_tcp(&wanted);
  auto code = co_await coflow::with_timeout(std::move(work), std::chrono::seconds(wanted.seconds));
  if (code && std::fflush(stdout) != 0)
    code = failure(std::error_code(errno, std::generic_category()), "cannot write standard output");
  if (code) co_return *code;
  std::fprintf(stderr, "http_get: %s\n", code.error().message().c_str());
  co_return 1;
}

std::optional<request> read_url(std::string_view text) {
  request found;
  found.secure = text.starts_with("https://");
  if (found.secure) found.port = 443;
  if (!found.secure && !text.starts_with("http://")) return std::nullopt;
  text.remove_prefix(text.find("//") + 2);
  if (std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c == 0x7f; })) return std::nullopt;
  text = text.substr(0, text.find('#'));
  const auto end = std::min(text.find_first_of("/?"), text.size());
  found.authority = text.substr(0, end);
  if (end < text.size()) found.target = (text[end] == '?' ? "/" : "") + std::string(text.substr(end));

  const auto colon = found.authority.rfind(':');
  const bool has_port = colon != std::string::npos && found.authority.find(']', colon) == std::string::npos;
  found.host = has_port ? found.authority.substr(0, colon) : found.authority;
  if (has_port && !read_number(found.authority.substr(colon + 1), found.port)) return std::nullopt;
  if (found.host.empty() || found.host.find('@') != std::string::npos) return std::nullopt;
  return found;
}

std::optional<settings> read_arguments(int count, char** words) {
  settings found;
  std::optional<request> url;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    const bool has_value = i + 1 < count;
    if (word == "-v")
      found.talks = true;
    else if (word == "--ca" && has_value)
      found.authorities = words[++i];
    else if (word == "--timeout" && has_value && read_number(words[i + 1], found.seconds))
      ++i;
    else if (i + 1 == count)
      url = read_url(word);
    else
      return std::nullopt;
  }
  if (!url) return std::nullopt;
  found.url = *url;
  return found;
}

}  // namespace

int main(int count, char** words) {
  const std::optional<settings> wanted = read_arguments(count, words);
  if (wanted) return coflow::run_main(run(*wanted));
  std::fprintf(stderr, "usage: http_get [-v] [--ca FILE] [--timeout SECONDS] http[s]://HOST[:PORT][/PATH]\n");
  return 2;
}
