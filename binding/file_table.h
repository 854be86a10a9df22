// Fixed files: descriptors installed in the ring, so that an operation need not look them up, and
// so that a descriptor closed or reused by someone else cannot redirect an operation.
#pragma once

#include <cstdint>
#include <deque>

#include "ring.h"

namespace uring {

class FileTable {
 public:
  static constexpr uint32_t entries = 256;
  static constexpr int none = -1;

  // Registers an empty table; where the kernel refuses, `install` always answers `none`.
  void attach(Ring& ring);
  // The index of the installed descriptor, or `none`: use the plain descriptor then.
  int install(int fd);
  void remove(int index);
  uint32_t in_use() const { return in_use_; }
  bool available() const { return ring_ != nullptr; }

 private:
  int update(uint32_t index, int fd);

  Ring* ring_ = nullptr;
  uint32_t in_use_ = 0;
  std::deque<uint16_t> free_;  // the longest free first
};

}  // namespace uring
