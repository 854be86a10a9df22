#include "scripted_syscall.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace uring {
namespace {

int result_of(long returned) { return returned < 0 ? -errno : static_cast<int>(returned); }

}  // namespace

int sys_setup(uint32_t entries, io_uring_params* params) {
  const int answer = test::script.setup ? test::script.setup(entries, *params) : test::ask_kernel;
  if (answer != test::ask_kernel) return answer;
  return result_of(syscall(__NR_io_uring_setup, entries, params));
}

int sys_enter(int fd, uint32_t to_submit, uint32_t min_complete, uint32_t flags) {
  const int answer = test::script.enter ? test::script.enter(to_submit) : test::ask_kernel;
  if (answer != test::ask_kernel) return answer;
  return result_of(syscall(__NR_io_uring_enter, fd, to_submit, min_complete, flags, nullptr, 0));
}

int sys_register(int fd, uint32_t opcode, const void* arg, uint32_t count) {
  const auto& registers = test::script.register_something;
  const int answer = registers ? registers(opcode) : test::ask_kernel;
  if (answer != test::ask_kernel) return answer;
  return result_of(syscall(__NR_io_uring_register, fd, opcode, arg, count));
}

}  // namespace uring
