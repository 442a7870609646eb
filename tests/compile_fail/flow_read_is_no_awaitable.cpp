// expect: a Flow has read\(\), an awaitable of basic_read_result<error_type>
// expect: has_read\b
#include <span>
#include <system_error>

#include "coflow/core/flow.hpp"
#include "coflow/core/task.hpp"

struct my_flow {
  using error_type = std::error_code;
  using write_error_type = std::error_code;
#ifdef CONTROL
  coflow::task<coflow::read_result> read();
#else
  coflow::read_result read();
#endif
  coflow::task<coflow::result<void>> write(coflow::buffer bytes);
  coflow::task<coflow::result<void>> writev(std::span<coflow::buffer> list);
  coflow::task<> shutdown(coflow::shutdown_mode mode);
  coflow::task<> close();
};
static_assert(coflow::check_flow_shape<my_flow>());

template <coflow::Flow F>
void use(F& flow);
void user(my_flow& flow) { use(flow); }
