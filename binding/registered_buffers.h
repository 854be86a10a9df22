// Memory of the host's own that it registers by name: it stays where it is until it is removed.
#pragma once

#include <cstdint>
#include <vector>

#include <sys/uio.h>

#include "ring.h"

namespace uring {

class RegisteredBuffers {
 public:
  static constexpr uint32_t entries = 256;

  // The ring's table has places for `entries` buffers from `first` on.
  void attach(Ring& ring, uint32_t first);
  // The index under which the kernel knows it, or -errno: ENOSYS without a table, ENOBUFS when it is full.
  int add(void* memory, size_t bytes);
  // Operations in flight hold their own reference, so this never pulls the memory away.
  void remove(int index);

 private:
  int update(uint32_t index, const iovec& memory);

  Ring* ring_ = nullptr;
  std::vector<uint16_t> free_;
};

}  // namespace uring
