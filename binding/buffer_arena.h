// One huge-page arena of 2 MiB segments, split into buffers; the first of them are registered with the ring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "registered_buffers.h"
#include "ring.h"

namespace uring {

class BufferArena {
 public:
  static constexpr size_t segment_bytes = size_t{2} << 20;  // one huge page on x86-64 and arm64
  // 8 MiB together: what RLIMIT_MEMLOCK commonly lets an unprivileged user register. The others are huge pages all the
  // same: a direct stream of 1 MiB chunks has nine, and took 1.2 times as long with the ninth on ordinary pages.
  static constexpr uint32_t registered_max = 4;
  static constexpr uint32_t segments_max = 8;
  static constexpr uint32_t buffer_bytes_min = 4096;
  static constexpr int64_t none = -1;

  BufferArena() = default;
  ~BufferArena();
  BufferArena(const BufferArena&) = delete;
  BufferArena& operator=(const BufferArena&) = delete;

  // Announces an empty table to the ring, with places for the host's own buffers after those of the arena; where the
  // kernel refuses, buffers stay unregistered.
  void attach(Ring& ring);
  bool has_table() const { return table_; }
  // The offset of a buffer of at least `bytes`, or `none` when the arena is used up.
  int64_t acquire(uint32_t bytes);
  void release(int64_t offset);

  bool contains(uint64_t offset, uint64_t bytes) const;
  // Where buffers of so many bytes together come from first; empty where there is no memory.
  std::span<char> beginning(uint64_t bytes);
  void* address(uint64_t offset) const { return base_ + offset; }
  // The index under which the kernel knows this buffer's segment, or -1.
  int registered_index(uint64_t offset) const;
  uint32_t in_use() const { return in_use_; }
  uint32_t registered_segments() const;
  // Never unmaps the memory: something may still write there, or read.
  void leak() { mapping_ = nullptr; }

 private:
  struct Segment {
    uint32_t buffer_bytes = 0;  // 0: no class yet
    bool registered = false;
    bool registration_tried = false;
    uint32_t in_use = 0;
    std::vector<uint16_t> free;
  };

  bool reserve();
  Segment* segment_for(uint32_t buffer_bytes);
  void prepare(uint32_t index, uint32_t buffer_bytes);

  Ring* ring_ = nullptr;
  bool table_ = false;
  void* mapping_ = nullptr;
  char* base_ = nullptr;
  uint32_t in_use_ = 0;
  Segment segments_[segments_max];
};

}  // namespace uring
