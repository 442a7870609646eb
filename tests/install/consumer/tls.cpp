#include <coflow/tls/openssl.hpp>
#include <cstdio>

int main() {
  const auto context = coflow::openssl_context::client();
  if (!context) {
    std::printf("%s\n", context.error().message().c_str());
    return 1;
  }
  const auto engine = context->client_engine("example.org");
  std::printf("coflow with %s\n", OpenSSL_version(OPENSSL_VERSION));
  return engine ? 0 : 1;
}
