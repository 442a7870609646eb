#pragma once

// What nearly every unit test includes, read once.

#include <chrono>
#include <coflow/coflow.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "support/catch.hpp"
