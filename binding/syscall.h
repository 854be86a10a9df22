// The three system calls of io_uring, and statx. Each returns its result, or -errno.
#pragma once

#include "uapi.h"

struct statx;

namespace uring {

int sys_setup(uint32_t entries, io_uring_params* params);
int sys_enter(int fd, uint32_t to_submit, uint32_t min_complete, uint32_t flags);
int sys_register(int fd, uint32_t opcode, const void* arg, uint32_t count);
// Of an open file. musl has statx since 1.2.5 only, and glibc's fstat is a symbol of 2.33.
int sys_statx(int fd, int flags, uint32_t mask, struct statx* found);
// Of what a path names, without opening it; a link is not followed.
int sys_statx(const char* path, uint32_t mask, struct statx* found);

}  // namespace uring
