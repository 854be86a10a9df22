// Calls on files that io_uring has no operation for. Each may wait for the disk: they are for a thread's use.
#pragma once

#include <cstdint>
#include <span>

namespace uring {

// In the order of `FileCall` in lib/native.ts.
enum class FileCall : uint32_t {
  extents,
  clone,
  copy_xattrs,
  set_times,
  drop_cache,
  set_direct,
  preallocate,
  allocate,
  cached_bytes,
  close,
  start_writeback,
  clear_direct,
  preallocation_pays
};

// What is called with which arguments: `source` and `target` are descriptors, `numbers` go in and out.
// Returns a count or 0, or -errno.
int64_t file_call(FileCall call, int source, int target, std::span<int64_t> numbers);

// Writes where data begins and ends, in pairs, between numbers[0] and numbers[1]. Returns how many pairs; as many as
// there is room for when there may be more. Moves the descriptor's own position.
int64_t find_extents(int fd, std::span<int64_t> numbers);

// Shares the source's blocks (FICLONE). 0 or -errno.
int64_t clone_file(int source, int target);

// All extended attributes but those of a security module, which belong to where a file is; with numbers[0] without those
// that the target's file system does not take, or that may not be set. Access control lists that the source has not are
// taken off the target. 0 or -errno.
int64_t copy_xattrs(int source, int target, std::span<const int64_t> numbers);

// Access and modification time: each in seconds since 1970 and nanoseconds, both in `numbers`. 0 or -errno.
int64_t set_times(int fd, std::span<const int64_t> numbers);

// Makes reads and writes of both files go past the page cache, or those of none. 0 or -errno; numbers[0] is then the
// descriptor that refuses. (O_DIRECT at the opening would have made the target before it is refused.)
int64_t set_direct(int source, int target, std::span<int64_t> numbers);

// Makes them go through it again. 0 or -errno.
int64_t clear_direct(int fd);

// Whether what is about to be written is to be allocated before: only where that was measured to pay. On ext4 a copy took three
// quarters of the time; elsewhere it may cost more than time (btrfs compresses nothing that was allocated before). 1, 0 or -errno.
int64_t preallocation_pays(int fd);

// Where it pays, allocates numbers[1] bytes from numbers[0] on, which are about to be written, and with numbers[2] makes the
// file so large. 0 or -errno.
int64_t preallocate(int fd, std::span<int64_t> numbers);

// fallocate(2) of numbers[1] bytes from numbers[0] on, with the mode numbers[2], on whatever has it. 0 or -errno.
int64_t allocate(int fd, std::span<const int64_t> numbers);

// Bytes of numbers[1] from numbers[0] on that are in the page cache, in whole pages (cachestat, Linux 6.5), or -errno:
// EOPNOTSUPP on overlayfs.
int64_t cached_bytes(int fd, std::span<const int64_t> numbers);

// Gives the pages of a file back, once they are on the disk. 0 or -errno.
int64_t drop_cache(int fd);

// Lets the disk begin with what was written of numbers[1] bytes from numbers[0] on, and does not wait for it. 0 or -errno.
int64_t start_writeback(int fd, std::span<const int64_t> numbers);

// close(2), for kernels whose ring says so too early. 0 or -errno; interrupted, it is closed all the same.
int64_t close_file(int fd);

}  // namespace uring
