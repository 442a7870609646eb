/// \file
/// Who waits for a connection attempt.
#pragma once

namespace coflow::inline v0 {
namespace detail {

/// Told when a connection attempt has been decided.
class connect_waiter {
 public:
  virtual void on_decided() noexcept = 0;
  virtual void on_closed() noexcept = 0;

 protected:
  ~connect_waiter() = default;
};

}  // namespace detail
}  // namespace coflow::inline v0
