#include "inspect.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "syscall.h"
#include "uapi.h"

namespace uring {
namespace {

uint32_t word_at(const struct statx& found, size_t offset) {
  static_assert(sizeof found == 256);
  uint32_t word;
  std::memcpy(&word, reinterpret_cast<const char*>(&found) + offset, sizeof word);
  return word;
}

int64_t direct_alignment(const struct statx& found) {
  if ((found.stx_mask & uapi::statx_dioalign) == 0) return -1;
  const uint32_t offset = word_at(found, uapi::statx_dio_offset_align);
  return offset == 0 ? 0 : std::max(offset, word_at(found, uapi::statx_dio_mem_align));
}

// What statx does not say of one: its size, and before Linux 6.11 the bytes of its sectors.
void inspect_block_device(int fd, FileFacts& facts) {
  uint64_t bytes;
  if (ioctl(fd, BLKGETSIZE64, &bytes) == 0) facts.size = static_cast<int64_t>(bytes);
  int sector;
  if (facts.direct_alignment < 0 && ioctl(fd, BLKSSZGET, &sector) == 0) facts.direct_alignment = sector;
}

}  // namespace

int inspect(int fd, FileFacts& facts, bool just_opened) {
  // DONT_SYNC: this runs on the event loop, so a network file system must not be asked.
  struct statx found;
  constexpr uint32_t mask = STATX_TYPE | STATX_SIZE | uapi::statx_dioalign;
  const int error = sys_statx(fd, AT_STATX_DONT_SYNC, mask, &found);
  if (error < 0) return error;
  facts.regular = S_ISREG(found.stx_mode);
  facts.block = S_ISBLK(found.stx_mode);
  facts.size = static_cast<int64_t>(found.stx_size);
  facts.direct_alignment = direct_alignment(found);
  facts.position = 0;
  if (just_opened && facts.regular) return 0;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  facts.append = (flags & O_APPEND) != 0;
  facts.position = std::max<int64_t>(advance(fd, 0), -1);
  if (facts.block) inspect_block_device(fd, facts);
  return 0;
}

int seek(int fd, int64_t position) { return lseek(fd, position, SEEK_SET) < 0 ? -errno : 0; }

int64_t advance(int fd, int64_t bytes) {
  const int64_t position = lseek(fd, bytes, SEEK_CUR);
  return position < 0 ? -errno : position - bytes;
}

}  // namespace uring
