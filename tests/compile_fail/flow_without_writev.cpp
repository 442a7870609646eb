// expect: a Flow has writev\(std::span<buffer>\), an awaitable of result<void, write_error_type>
// expect: has_writev
#include <span>
#include <system_error>

#include "coflow/core/flow.hpp"
#include "coflow/core/task.hpp"

struct my_flow {
  using error_type = std::error_code;
  using write_error_type = std::error_code;
  coflow::task<coflow::read_result> read();
  coflow::task<coflow::result<void>> write(coflow::buffer bytes);
#ifdef CONTROL
  coflow::task<coflow::result<void>> writev(std::span<coflow::buffer> list);
#endif
  coflow::task<> shutdown(coflow::shutdown_mode mode);
  coflow::task<> close();
};
static_assert(coflow::check_flow_shape<my_flow>());

template <coflow::Flow F>
void use(F& flow);
void user(my_flow& flow) { use(flow); }
