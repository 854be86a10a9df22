// What a stream must know of an open file before it plans its reads and writes.
#pragma once

#include <cstdint>

namespace uring {

struct FileFacts {
  bool regular;
  bool block;   // a block device
  bool append;  // opened with O_APPEND
  int64_t size;
  int64_t position;  // of the descriptor itself; -1 where there is none (pipes, terminals)
  // Bytes on which direct IO must begin in memory and in the file; 0: it has none; -1: the kernel does not say.
  int64_t direct_alignment;
};

// 0 or -errno. A regular file that was opened a moment ago is not asked for its position and its flags, two system calls of
// three: the position is 0, and `append` stays as it is.
int inspect(int fd, FileFacts& facts, bool just_opened = false);
// Moves the descriptor's own position. 0 or -errno.
int seek(int fd, int64_t position);
// Moves it on by so many bytes, in one step with what others do. Where it stood before, or -errno.
int64_t advance(int fd, int64_t bytes);

}  // namespace uring
