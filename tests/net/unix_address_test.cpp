#include "coflow/net/unix_address.hpp"

#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "coflow/net/detail/system_unix.hpp"
#include "support/catch.hpp"

namespace {

using coflow::result;
using coflow::unix_address;
using coflow::detail::sys::kernel_unix_address;

static_assert(!std::is_aggregate_v<unix_address>);
static_assert(std::is_trivially_copyable_v<unix_address>);

// Through the kernel's form and back.
unix_address there_and_back(const unix_address& address) {
  return unix_address(kernel_unix_address(address.raw()).value());
}

}  // namespace

TEST_CASE("a path is a path", "[unix_address]") {
  const unix_address address = unix_address::path("/run/x.sock").value();
  CHECK(address.is_path());
  CHECK_FALSE(address.is_abstract());
  CHECK_FALSE(address.unnamed());
  CHECK(address.name() == "/run/x.sock");
  CHECK(address.to_string() == "/run/x.sock");
  CHECK(there_and_back(address) == address);
}

TEST_CASE("an abstract name is shown with a mark", "[unix_address]") {
  const unix_address address = unix_address::abstract("name").value();
  CHECK(address.is_abstract());
  CHECK_FALSE(address.is_path());
  CHECK(address.name() == "name");
  CHECK(address.to_string() == "@name");
  CHECK(there_and_back(address) == address);
}

TEST_CASE("an abstract name may hold any bytes", "[unix_address]") {
  const std::string_view name("\0a\0b/\xff\0", 7);
  const unix_address address = unix_address::abstract(name).value();
  CHECK(address.name() == name);
  CHECK(address.to_string() == "@@a@b/\xff@");
  CHECK(there_and_back(address) == address);
}

TEST_CASE("an address that was not given a name is unnamed", "[unix_address]") {
  const unix_address address;
  CHECK(address.unnamed());
  CHECK_FALSE(address.is_path());
  CHECK_FALSE(address.is_abstract());
  CHECK(address.name().empty());
  CHECK(address.to_string() == "(unnamed)");
  CHECK(unix_address(kernel_unix_address().value()) == address);
}

TEST_CASE("the kind of a name is a part of it", "[unix_address]") {
  CHECK(unix_address::path("name").value() == unix_address::path("name").value());
  CHECK_FALSE(unix_address::path("name").value() == unix_address::abstract("name").value());
  CHECK_FALSE(unix_address::path("name").value() == unix_address::path("names").value());
  CHECK_FALSE(unix_address::abstract(std::string_view("a\0", 2)).value() == unix_address::abstract("a").value());
}

TEST_CASE("an empty name is refused", "[unix_address]") {
  const result<unix_address> path = unix_address::path("");
  const result<unix_address> abstract = unix_address::abstract("");
  REQUIRE_FALSE(path);
  REQUIRE_FALSE(abstract);
  CHECK(path.error() == std::errc::invalid_argument);
  CHECK(abstract.error() == std::errc::invalid_argument);
}

TEST_CASE("a path with a zero in it is refused", "[unix_address]") {
  for (const std::string_view name : {std::string_view("\0name", 5), std::string_view("na\0me", 5),
                                      std::string_view("name\0", 5), std::string_view("\0", 1)}) {
    const result<unix_address> address = unix_address::path(name);
    REQUIRE_FALSE(address);
    CHECK(address.error() == std::errc::invalid_argument);
  }
}

TEST_CASE("a name takes 107 bytes and no more", "[unix_address]") {
  const std::string longest(unix_address::max_size, 'x');
  CHECK(longest.size() == 107);
  for (auto* make : {&unix_address::path, &unix_address::abstract}) {
    const result<unix_address> fits = make(longest);
    REQUIRE(fits);
    CHECK(fits->name() == longest);
    CHECK(there_and_back(*fits) == *fits);
    const result<unix_address> too_long = make(longest + "x");
    REQUIRE_FALSE(too_long);
    CHECK(too_long.error() == std::errc::filename_too_long);
  }
}

TEST_CASE("a path of 108 bytes that another program has bound loses its last one", "[unix_address]") {
  kernel_unix_address given;
  auto* raw = reinterpret_cast<sockaddr_un*>(given.data());
  *given.room() = sizeof *raw + 1;  // as getsockname(2) says it
  raw->sun_family = AF_UNIX;
  std::memset(raw->sun_path, 'x', sizeof raw->sun_path);
  const unix_address address(given.value());
  CHECK(address.is_path());
  CHECK(address.name() == std::string(107, 'x'));
}
