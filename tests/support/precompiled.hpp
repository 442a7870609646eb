#pragma once

// What nearly every unit test includes of others, read once.

#include <atomic>
#include <chrono>
#include <coroutine>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"
