// expect(g++): could not convert 'text'
// expect(clang): no matching function for call to 'send'
#include <string_view>

#include "coflow/core/buffer.hpp"

// Copying text is asked for by name: buffer("text").
void send(coflow::buffer bytes);
void user(std::string_view text) {
#ifdef CONTROL
  send(coflow::buffer(text));
#else
  send(text);
#endif
}
