// expect: a Flow that has read_into\(std::span<std::byte>\) gives an awaitable of
// expect: basic_read_into_result<error_type>
#include <cstddef>
#include <span>
#include <system_error>

#include "coflow/core/flow.hpp"
#include "coflow/core/task.hpp"

struct my_flow {
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  coflow::task<coflow::read_result> read();
#ifdef CONTROL
  coflow::task<coflow::read_into_result> read_into(std::span<std::byte> room);
#else
  coflow::task<std::size_t> read_into(std::span<std::byte> room);
#endif
  coflow::task<coflow::result<void>> write(coflow::buffer bytes);
  coflow::task<coflow::result<void>> writev(std::span<coflow::buffer> list);
  coflow::task<> shutdown(coflow::shutdown_mode mode);
  coflow::task<> close();
};
static_assert(coflow::check_flow_shape<my_flow>());
