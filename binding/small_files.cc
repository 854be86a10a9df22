#include "small_files.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/stat.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "file_calls.h"
#include "syscall.h"

namespace uring {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd), error_(fd < 0 ? -errno : 0) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }
  int error() const { return error_; }
  // A server may say only here that it has no room. 0 or -errno.
  int close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd) < 0 && errno != EINTR ? -errno : 0;
  }

 private:
  int fd_;
  int error_;
};

// All of a file that is as large as it says and without holes. Its bytes, or -errno.
int64_t read_whole(int fd, const struct statx& found, char* memory) {
  constexpr int64_t block = 512;  // of stx_blocks
  const auto size = static_cast<int64_t>(found.stx_size);
  if (!S_ISREG(found.stx_mode) || size > static_cast<int64_t>(small_bytes_max)) return -EFBIG;
  if (static_cast<int64_t>(found.stx_blocks) * block < size) return -EFBIG;
  const ssize_t got = read(fd, memory, static_cast<size_t>(size) + 1);
  if (got < 0) return -errno;
  return got == size ? got : -EAGAIN;
}

int64_t fill(int source, int target, char* memory, int64_t bytes, bool& clone) {
  if (clone && bytes > 0) {
    const int64_t error = clone_file(source, target);
    if (error == 0) return bytes;
    clone = false;  // nor will it for the next one
  }
  const ssize_t written = write(target, memory, static_cast<size_t>(bytes));
  if (written < 0) return -errno;
  return written == bytes ? bytes : -ENOSPC;
}

int64_t copy_one(const char* from, const char* to, char* memory, bool& clone) {
  struct statx found;
  if (const int error = sys_statx(from, STATX_TYPE, &found); error < 0) return error;
  // Not even opened: a FIFO's writer that waits for its reader would begin, and be ended when this one went away again.
  if (!S_ISREG(found.stx_mode)) return -EFBIG;
  // What has become a FIFO since must not stop the thread. A link is left: whether it is to be followed is not known here.
  Descriptor source(open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (source.fd() < 0) return source.error();
  if (const int error = sys_statx(source.fd(), 0, STATX_BASIC_STATS, &found); error < 0) return error;
  const int64_t bytes = read_whole(source.fd(), found, memory);
  if (bytes < 0) return bytes;
  Descriptor target(open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, found.stx_mode & 0777));
  if (target.fd() < 0) return target.error();
  int64_t result = fill(source.fd(), target.fd(), memory, bytes, clone);
  if (const int error = target.close(); error < 0 && result >= 0) result = error;
  if (result < 0) unlink(to);  // it was not there before
  return result;
}

}  // namespace

void copy_small_files(std::span<const char> paths, bool clone, std::span<int64_t> results) {
  const auto memory = std::make_unique<char[]>(small_bytes_max + 1);
  const char* next = paths.data();
  const auto take = [&next] {
    const char* path = next;
    next += std::strlen(path) + 1;
    return path;
  };
  for (int64_t& result : results) {
    const char* from = take();
    const char* to = take();
    result = copy_one(from, to, memory.get(), clone);
  }
}

}  // namespace uring
