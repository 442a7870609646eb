// expect: a Flow names its error types: using error_type =
// expect: has_error_types
#include <span>
#include <system_error>

#include "coflow/core/flow.hpp"
#include "coflow/core/task.hpp"

struct my_flow {
  using error_type = std::error_code;
#ifdef CONTROL
  using write_error_type = std::error_code;
#endif
  coflow::task<coflow::read_result> read();
  coflow::task<coflow::result<void>> write(coflow::buffer bytes);
  coflow::task<coflow::result<void>> writev(std::span<coflow::buffer> list);
  coflow::task<> shutdown(coflow::shutdown_mode mode);
  coflow::task<> close();
};
static_assert(coflow::check_flow_shape<my_flow>());

template <coflow::Flow F>
void use(F& flow);
void user(my_flow& flow) { use(flow); }
