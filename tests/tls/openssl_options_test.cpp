// What can be chosen for TLS with OpenSSL: what is agreed on, and what is said of files and settings that are wrong.
#include <sys/stat.h>
#include <unistd.h>

#include <coflow/tls/openssl_options.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "support/openssl_ends.hpp"

namespace {

using namespace openssl_ends;

// A file of this test's own, that is removed with it.
class file {
 public:
  explicit file(std::string_view text) {
    const int fd = ::mkstemp(path_.data());
    REQUIRE(fd >= 0);
    REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::close(fd);
  }
  file(const file&) = delete;
  file& operator=(const file&) = delete;
  ~file() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }
  std::string text() const {
    std::string all;
    std::FILE* from = std::fopen(path_.c_str(), "r");
    REQUIRE(from != nullptr);
    for (int c = std::fgetc(from); c != EOF; c = std::fgetc(from)) all.push_back(static_cast<char>(c));
    std::fclose(from);
    return all;
  }

 private:
  std::string path_ = "/tmp/coflow-test-XXXXXX";
};

// ---- versions and ciphers

TEST_CASE("the newest version that both have is taken", "[openssl_options]") {
  const auto version = [](tls_version least, tls_version most) {
    return meet(client(), server(openssl_options().minimum_version(least).maximum_version(most)));
  };
  CHECK(version(tls_version::v1_2, tls_version::v1_3).client.flow->version() == "TLSv1.3");
  CHECK(version(tls_version::v1_2, tls_version::v1_2).client.flow->version() == "TLSv1.2");
  const ends none = meet(client(openssl_options().maximum_version(tls_version::v1_2)),
                         server(openssl_options().minimum_version(tls_version::v1_3)));
  CHECK(none.server.failed == tls_condition::no_common_version);
  CHECK(none.client.failed == tls_condition::no_common_version);
  CHECK(none.client.failed == tls_condition::refused_by_peer);
  CHECK(none.client.failed.message() ==
        "the peer ended the connection with the TLS alert: protocol version (host localhost)");
}

TEST_CASE("ciphers can be chosen, for each version", "[openssl_options]") {
  const ends newer = meet(client(openssl_options().cipher_suites("TLS_CHACHA20_POLY1305_SHA256")), server());
  REQUIRE(newer.client.flow);
  CHECK(newer.server.flow->cipher() == "TLS_CHACHA20_POLY1305_SHA256");
  const ends older = meet(
      client(openssl_options().maximum_version(tls_version::v1_2).ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")), server());
  REQUIRE(older.client.flow);
  CHECK(older.server.flow->cipher() == "ECDHE-ECDSA-AES128-GCM-SHA256");
  const ends none =
      meet(client(openssl_options().cipher_suites("TLS_AES_128_GCM_SHA256")),
           server(openssl_options().minimum_version(tls_version::v1_3).cipher_suites("TLS_AES_256_GCM_SHA384")));
  CHECK(none.server.failed == tls_condition::no_common_cipher);
  CHECK(none.client.failed == tls_condition::no_common_cipher);
}

// ---- application protocols

TEST_CASE("the server's best application protocol is agreed on", "[openssl_options]") {
  const auto agree = [](std::vector<std::string> of_client, std::vector<std::string> of_server) {
    return meet(client(openssl_options().application_protocols(std::move(of_client))),
                server(openssl_options().application_protocols(std::move(of_server))));
  };
  const ends both = agree({"http/1.1", "h2"}, {"h2", "http/1.1"});
  REQUIRE(both.client.flow);
  CHECK(both.client.flow->application_protocol() == "h2");
  CHECK(both.server.flow->application_protocol() == "h2");
  CHECK(agree({"h2"}, {}).client.flow->application_protocol().empty());
  CHECK(agree({}, {"h2"}).client.flow->application_protocol().empty());
  const ends none = agree({"h2"}, {"imap"});
  CHECK(none.server.failed == tls_condition::no_common_application);
  CHECK(none.client.failed == tls_condition::no_common_application);
}

// ---- files

TEST_CASE("certificates, keys and trust come from files, too", "[openssl_options]") {
  const file chain(cast().server.chain);
  const file key(cast().server.key);
  const file trust(cast().trusted.pem());
  const ends both =
      meet(other_client(openssl_options().trust_file(trust.path())),
           openssl_context::server(openssl_options().certificate_files(chain.path(), key.path())).value());
  CHECK(both.client.flow);
}

struct mistake {
  openssl_options options;
  std::string message;
};

TEST_CASE("what is wrong with a file is said, and in which", "[openssl_options]") {
  const file chain(cast().server.chain);
  const file key(cast().server.key);
  const file other_key(cast().client.key);
  const file garbage("this is no certificate\n");
  const file broken(cast().server.chain.substr(0, 200) + "\n-----END CERTIFICATE-----\n");
  const std::string none = "/nonexistent/file.pem";
  std::vector<mistake> all;
  all.push_back({openssl_options().certificate_files(none, key.path()),
                 "cannot read the certificate chain in " + none + ": No such file or directory"});
  all.push_back({openssl_options().certificate_files(chain.path(), none),
                 "cannot read the private key in " + none + ": No such file or directory"});
  all.push_back({openssl_options().certificate_files(garbage.path(), key.path()),
                 "cannot use the certificate chain in " + garbage.path() + ": no start line (PEM routines)"});
  all.push_back({openssl_options().certificate_files(chain.path(), garbage.path()),
                 "cannot use the private key in " + garbage.path() + ": "});
  all.push_back({openssl_options().certificate_files(chain.path(), other_key.path()),
                 "cannot use the private key in " + other_key.path() + ": key values mismatch"});
  all.push_back({openssl_options().certificate_files(broken.path(), key.path()),
                 "cannot use the certificate chain in " + broken.path() + ": "});
  all.push_back({openssl_options().certificate(cast().server.chain, "nothing"), "cannot use the private key: "});
  all.push_back({openssl_options().certificate(cast().server.chain, cast().server.key).trust("nothing"),
                 "cannot use the trusted certificates: no start line"});
  all.push_back({openssl_options(), "a TLS server needs a certificate and its private key"});
  for (const mistake& one : all) {
    const auto made = openssl_context::server(one.options);
    REQUIRE(!made);
    INFO(made.error().message());
    CHECK(made.error().message().starts_with(one.message));
    const bool of_the_system = made.error().code().category() == std::system_category();
    CHECK((of_the_system || made.error() == tls_condition::bad_configuration));
  }
}

TEST_CASE("what is wrong with a setting is said", "[openssl_options]") {
  const auto says = [](openssl_options options) {
    const auto made = openssl_context::client(std::move(options));
    REQUIRE(!made);
    CHECK(made.error() == tls_condition::bad_configuration);
    return made.error().message();
  };
  CHECK(says(openssl_options().ciphers("NONSENSE")) == "no cipher of TLS 1.2 is called \"NONSENSE\"");
  CHECK(says(openssl_options().cipher_suites("NONSENSE")) == "no cipher suite of TLS 1.3 is called \"NONSENSE\"");
  CHECK(says(openssl_options().minimum_version(tls_version::v1_3).maximum_version(tls_version::v1_2)) ==
        "the minimum TLS version is above the maximum version");
  CHECK(says(openssl_options().application_protocols({""})) ==
        "the name of an application protocol has 1 to 255 bytes");
  CHECK(says(openssl_options().application_protocols({std::string(256, 'x')})) ==
        "the name of an application protocol has 1 to 255 bytes");
}

TEST_CASE("an encrypted key needs its password, and nobody is asked", "[openssl_options]") {
  const std::string encrypted = support::encrypted(cast().server.key, "open sesame");
  const auto with = [&](std::string password) {
    return openssl_context::server(
        openssl_options().certificate(cast().server.chain, encrypted).key_password(std::move(password)));
  };
  CHECK(with("open sesame").has_value());
  CHECK(with("wrong").error() == tls_condition::bad_configuration);
  CHECK(with("").error() == tls_condition::bad_configuration);
}

// ---- the key log

TEST_CASE("secrets are logged where that is asked for, for the owner's eyes only", "[openssl_options]") {
  const file made("");
  const std::string path = made.path() + ".log";
  {
    const ends both = meet(client(openssl_options().key_log_file(path)), server());
    REQUIRE(both.client.flow);
  }
  struct ::stat about{};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  CHECK(about.st_size > 500);
  ::unlink(path.c_str());

  const auto failed = openssl_context::client(openssl_options().key_log_file("/nonexistent/log"));
  REQUIRE(!failed);
  CHECK(failed.error().message() == "cannot open the key log /nonexistent/log: No such file or directory");
}

TEST_CASE("SSLKEYLOGFILE is honoured only where that is asked for", "[openssl_options]") {
  const file log("");
  ::setenv("SSLKEYLOGFILE", log.path().c_str(), 1);
  CHECK(meet(client(), server()).client.flow);
  CHECK(log.text().empty());
  CHECK(meet(client(openssl_options().key_log_from_environment()), server()).client.flow);
  ::unsetenv("SSLKEYLOGFILE");
  CHECK(log.text().find("CLIENT_TRAFFIC_SECRET_0 ") != std::string::npos);
  const std::size_t size = log.text().size();
  CHECK(meet(client(openssl_options().key_log_from_environment()), server()).client.flow);
  CHECK(log.text().size() == size);
}

}  // namespace
