#include "inspect.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <unistd.h>

#include "syscall.h"

namespace uring {

int inspect(int fd, FileFacts& facts) {
  // DONT_SYNC: this runs on the event loop, so a network file system must not be asked.
  struct statx found;
  const int error = sys_statx(fd, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &found);
  if (error < 0) return error;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  facts.regular = S_ISREG(found.stx_mode);
  facts.append = (flags & O_APPEND) != 0;
  facts.size = static_cast<int64_t>(found.stx_size);
  facts.position = lseek(fd, 0, SEEK_CUR);
  return 0;
}

int seek(int fd, int64_t position) { return lseek(fd, position, SEEK_SET) < 0 ? -errno : 0; }

}  // namespace uring
