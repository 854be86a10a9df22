// Stands in for binding/syscall.cc in the tests that need a kernel which answers otherwise than
// this one: an older one, or one that is short of memory.
#pragma once

#include <cstdint>
#include <functional>

#include "syscall.h"

namespace test {

// Asked before the kernel is. An answer of `ask_kernel` passes the call on.
constexpr int ask_kernel = 1 << 30;

struct Script {
  std::function<int(uint32_t entries, io_uring_params& params)> setup;
  // May lower `to_submit`: the kernel then takes only so many.
  std::function<int(uint32_t& to_submit)> enter;
  std::function<int(uint32_t opcode)> register_something;
};

inline Script script;

}  // namespace test
