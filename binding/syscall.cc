#include "syscall.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

// The numbers are the same on every architecture; headers before 5.1 lack the names.
#ifndef __NR_io_uring_setup
#define __NR_io_uring_setup 425
#define __NR_io_uring_enter 426
#define __NR_io_uring_register 427
#endif

namespace uring {
namespace {

int result_of(long returned) { return returned < 0 ? -errno : static_cast<int>(returned); }

}  // namespace

int sys_setup(uint32_t entries, io_uring_params* params) {
  return result_of(syscall(__NR_io_uring_setup, entries, params));
}

int sys_enter(int fd, uint32_t to_submit, uint32_t min_complete, uint32_t flags) {
  return result_of(syscall(__NR_io_uring_enter, fd, to_submit, min_complete, flags, nullptr, 0));
}

int sys_register(int fd, uint32_t opcode, const void* arg, uint32_t count) {
  return result_of(syscall(__NR_io_uring_register, fd, opcode, arg, count));
}

int sys_statx(int fd, int flags, uint32_t mask, struct statx* found) {
  return result_of(syscall(__NR_statx, fd, "", AT_EMPTY_PATH | flags, mask, found));
}

int sys_statx(const char* path, uint32_t mask, struct statx* found) {
  return result_of(syscall(__NR_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, mask, found));
}

}  // namespace uring
