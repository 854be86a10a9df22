// The three system calls of io_uring. Each returns its result, or -errno.
#pragma once

#include "uapi.h"

namespace uring {

int sys_setup(uint32_t entries, io_uring_params* params);
int sys_enter(int fd, uint32_t to_submit, uint32_t min_complete, uint32_t flags);
int sys_register(int fd, uint32_t opcode, const void* arg, uint32_t count);

}  // namespace uring
