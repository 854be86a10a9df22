#include "file_calls.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

#include "syscall.h"

namespace uring {

int64_t find_extents(int fd, std::span<int64_t> numbers) {
  const int64_t end = numbers[1];
  const size_t pairs = numbers.size() / 2;
  int64_t from = numbers[0];
  size_t found = 0;
  while (found < pairs && from < end) {
    const int64_t data = lseek(fd, from, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // nothing but a hole to the end
    if (data < 0 && errno != EINVAL) return -errno;
    // EINVAL: a file system that does not know of holes.
    const int64_t begin = data < 0 ? from : data;
    const int64_t hole = data < 0 ? end : lseek(fd, begin, SEEK_HOLE);
    if (begin >= end) break;
    // ENXIO: the file was cut meanwhile; who reads there will see its end.
    numbers[found * 2] = begin;
    numbers[found * 2 + 1] = from = hole < 0 ? end : std::min(hole, end);
    found++;
  }
  return static_cast<int64_t>(found);
}

int64_t clone_file(int source, int target) {
  return ioctl(target, FICLONE, source) < 0 ? -errno : 0;
}

namespace {

int64_t set_xattr(int target, const char* name, std::span<const char> value) {
  return fsetxattr(target, name, value.data(), value.size(), 0) < 0 ? -errno : 0;
}

// The kernel asks the mode of the file, not how it was opened: one that is for reading is made writable for a moment.
int64_t set_xattr_of_any(int target, const char* name, std::span<const char> value) {
  const int64_t error = set_xattr(target, name, value);
  if (error != -EACCES) return error;
  struct statx before;  // fstat would be a symbol of glibc 2.33
  if (sys_statx(target, 0, STATX_MODE, &before) < 0) return error;
  const mode_t mode = before.stx_mode & 07777;
  if (fchmod(target, mode | S_IWUSR) < 0) return error;
  const int64_t result = set_xattr(target, name, value);
  return fchmod(target, mode) < 0 ? -errno : result;
}

int64_t copy_xattr(int source, int target, const char* name, std::vector<char>& value) {
  for (;;) {
    const ssize_t bytes = fgetxattr(source, name, nullptr, 0);
    if (bytes < 0) return errno == ENODATA ? 0 : -errno;
    value.resize(static_cast<size_t>(bytes));
    const ssize_t got = fgetxattr(source, name, value.data(), value.size());
    if (got < 0 && errno == ERANGE) continue;  // it has grown meanwhile
    if (got < 0) return errno == ENODATA ? 0 : -errno;
    return set_xattr_of_any(target, name, {value.data(), static_cast<size_t>(got)});
  }
}

// One behind the other, each with its NUL. 0 or -errno.
int64_t list_xattrs(int fd, std::vector<char>& names) {
  const ssize_t bytes = flistxattr(fd, nullptr, 0);
  if (bytes < 0) return errno == EOPNOTSUPP ? 0 : -errno;  // what cannot have any has none
  names.resize(static_cast<size_t>(bytes) + 4096);  // and some that are added meanwhile
  const ssize_t got = flistxattr(fd, names.data(), names.size());
  if (got < 0) return -errno;
  names.resize(static_cast<size_t>(got));
  return 0;
}

// Of its directory a new file may have an access control list, and a directory the one that it passes on: they give
// rights to users who have none to the source. 0 or -errno.
int64_t remove_inherited(int target, const std::vector<char>& names) {
  constexpr std::string_view lists[] = {{"system.posix_acl_access\0", 24}, {"system.posix_acl_default\0", 25}};
  const std::string_view all(names.data(), names.size());
  for (const std::string_view list : lists) {
    if (all.find(list) != all.npos) continue;
    if (fremovexattr(target, list.data()) < 0 && errno != ENODATA && errno != EOPNOTSUPP) return -errno;
  }
  return 0;
}

bool is_of_security_module(const char* name) {
  constexpr char prefix[] = "security.";
  constexpr char capability[] = "security.capability";
  return std::strncmp(name, prefix, sizeof prefix - 1) == 0 && std::strcmp(name, capability) != 0;
}

// By a file system that has none of that kind or of that size, to who has not the right, for users whom it does not know.
bool is_refusal(int64_t error) { return error == -EOPNOTSUPP || error == -EPERM || error == -E2BIG || error == -EINVAL; }

}  // namespace

int64_t copy_xattrs(int source, int target, std::span<const int64_t> numbers) {
  std::vector<char> names;
  if (const int64_t error = list_xattrs(source, names); error < 0) return error;
  const bool prefer = numbers[0] != 0;
  if (const int64_t error = remove_inherited(target, names); error < 0 && !(prefer && is_refusal(error))) return error;
  std::vector<char> value;
  for (const char* name = names.data(); name < names.data() + names.size(); name += std::strlen(name) + 1) {
    if (is_of_security_module(name)) continue;
    const int64_t error = copy_xattr(source, target, name, value);
    if (error < 0 && !(prefer && is_refusal(error))) return error;
  }
  return 0;
}

int64_t set_times(int fd, std::span<const int64_t> numbers) {
  const timespec times[2] = {{numbers[0], static_cast<long>(numbers[1])}, {numbers[2], static_cast<long>(numbers[3])}};
  return futimens(fd, times) < 0 ? -errno : 0;
}

int64_t drop_cache(int fd) {
  // Dirty pages cannot be dropped. A file that was only read has none, and a device may refuse.
  if (fdatasync(fd) < 0 && errno != EINVAL && errno != EROFS) return -errno;
  return -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

namespace {

bool change_flags(int fd, int add, int remove) {
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && fcntl(fd, F_SETFL, (flags | add) & ~remove) == 0;
}

}  // namespace

int64_t set_direct(int source, int target, std::span<int64_t> numbers) {
  const int flags = fcntl(source, F_GETFL);
  for (const int fd : {source, target}) {
    if (change_flags(fd, O_DIRECT, 0)) continue;
    const int error = errno;
    fcntl(source, F_SETFL, flags);
    numbers[0] = fd;
    return -error;
  }
  return 0;
}

int64_t clear_direct(int fd) { return change_flags(fd, 0, O_DIRECT) ? 0 : -errno; }

int64_t allocate(int fd, std::span<const int64_t> numbers) {
  const auto mode = static_cast<int>(numbers[2]);
  // Too much would end the process (SIGXFSZ); a write that is too much says so.
  rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) < 0) return -errno;
  const bool grows = (mode & FALLOC_FL_KEEP_SIZE) == 0;
  if (grows && static_cast<uint64_t>(numbers[0] + numbers[1]) > limit.rlim_cur) return -EFBIG;
  return fallocate(fd, mode, numbers[0], numbers[1]) < 0 ? -errno : 0;
}

namespace {

// Its magic number, or -errno.
int64_t file_system(int fd) {
  struct statfs system;
  return fstatfs(fd, &system) < 0 ? -errno : static_cast<int64_t>(system.f_type);
}

}  // namespace

int64_t preallocation_pays(int fd) {
  const int64_t system = file_system(fd);
  return system < 0 ? system : system == EXT4_SUPER_MAGIC;
}

int64_t preallocate(int fd, std::span<int64_t> numbers) {
  const int64_t pays = preallocation_pays(fd);
  if (pays < 0) return pays;
  if (!pays) return -EOPNOTSUPP;
  numbers[2] = numbers[2] != 0 ? 0 : FALLOC_FL_KEEP_SIZE;
  return allocate(fd, numbers);
}

int64_t cached_bytes(int fd, std::span<const int64_t> numbers) {
  // Neither is in the headers of Debian 12. The number is the same on every processor.
  constexpr long cachestat = 451;
  // Its pages are those of the file below, which nobody asks: of this one there seem to be none.
  const int64_t system = file_system(fd);
  if (system < 0) return system;
  if (system == OVERLAYFS_SUPER_MAGIC) return -EOPNOTSUPP;
  const uint64_t range[2] = {static_cast<uint64_t>(numbers[0]), static_cast<uint64_t>(numbers[1])};
  struct {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
  } pages;
  if (syscall(cachestat, fd, range, &pages, 0) < 0) return -errno;
  return static_cast<int64_t>(pages.cached) * sysconf(_SC_PAGESIZE);
}

int64_t close_file(int fd) { return close(fd) < 0 && errno != EINTR ? -errno : 0; }

int64_t start_writeback(int fd, std::span<const int64_t> numbers) {
  return sync_file_range(fd, numbers[0], numbers[1], SYNC_FILE_RANGE_WRITE) < 0 ? -errno : 0;
}

int64_t file_call(FileCall call, int source, int target, std::span<int64_t> numbers) {
  switch (call) {
    case FileCall::extents: return find_extents(source, numbers);
    case FileCall::clone: return clone_file(source, target);
    case FileCall::copy_xattrs: return copy_xattrs(source, target, numbers);
    case FileCall::set_times: return set_times(source, numbers);
    case FileCall::drop_cache: return drop_cache(source);
    case FileCall::set_direct: return set_direct(source, target, numbers);
    case FileCall::preallocate: return preallocate(source, numbers);
    case FileCall::allocate: return allocate(source, numbers);
    case FileCall::cached_bytes: return cached_bytes(source, numbers);
    case FileCall::close: return close_file(source);
    case FileCall::start_writeback: return start_writeback(source, numbers);
    case FileCall::clear_direct: return clear_direct(source);
    case FileCall::preallocation_pays: return preallocation_pays(source);
  }
  return -EINVAL;
}

}  // namespace uring
