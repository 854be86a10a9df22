/* Runs a command to which a system call is refused: refuse-call ERRNO setup|enter|link COMMAND... */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned number_of(const char* call) {
  if (strcmp(call, "setup") == 0) return 425; /* io_uring_setup, on every processor; and io_uring_enter */
  if (strcmp(call, "enter") == 0) return 426;
#ifdef SYS_link
  return SYS_link;
#else
  return SYS_linkat;
#endif
}

int main(int count, char** words) {
  if (count < 4) return 2;
  struct sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number_of(words[2]), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)atoi(words[1])),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof rules / sizeof *rules, .filter = rules};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
    perror("seccomp");
    return 3;
  }
  execvp(words[3], words + 3);
  perror(words[3]);
  return 4;
}
