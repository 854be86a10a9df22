// Copies of small files, many in one call for a thread: open, read, create, write, close. Chains of linked operations of
// a ring took 1.3x to 1.5x as long (20,000 files of 1-16 KiB, 2 cores, Linux 6.18): creating and writing goes to the
// kernel's workers there, file by file.
#pragma once

#include <cstdint>
#include <span>
#include <cstddef>

namespace uring {

// What such a copy has at most.
constexpr size_t small_bytes_max = size_t{128} << 10;

// `paths` are source and target of each file in turn, each with a NUL behind it. Writes to `results` the bytes of each
// file, or -errno for one that is not there afterwards: because it is large, has holes, changes, exists already, or
// cannot be copied. With `clone` blocks are shared where that can be done.
void copy_small_files(std::span<const char> paths, bool clone, std::span<int64_t> results);

}  // namespace uring
