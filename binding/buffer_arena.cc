#include "buffer_arena.h"

#include <algorithm>
#include <bit>
#include <sys/mman.h>
#include <sys/uio.h>

#include "check.h"

namespace uring {
namespace {

constexpr size_t arena_bytes = BufferArena::segment_bytes * BufferArena::segments_max;
constexpr size_t mapping_bytes = arena_bytes + BufferArena::segment_bytes;  // room to align

}  // namespace

BufferArena::~BufferArena() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes);
}

void BufferArena::attach(Ring& ring) {
  ring_ = &ring;
  // Empty vectors make a sparse table on every kernel that can fill one later (5.13).
  constexpr uint32_t places = registered_max + RegisteredBuffers::entries;
  iovec empty[places] = {};
  const uapi::RsrcRegister table = {.nr = places,
                                    .flags = 0,
                                    .resv2 = 0,
                                    .data = reinterpret_cast<uint64_t>(empty),
                                    .tags = 0};
  table_ = sys_register(ring.fd(), uapi::register_buffers2, &table, sizeof table) == 0;
}

int64_t BufferArena::acquire(uint32_t bytes) {
  if (bytes > segment_bytes || !reserve()) return none;
  Segment* segment = segment_for(std::bit_ceil(std::max(bytes, buffer_bytes_min)));
  if (segment == nullptr) return none;
  const uint32_t index = segment->free.back();
  segment->free.pop_back();
  segment->in_use++;
  in_use_++;
  return static_cast<int64_t>((segment - segments_) * segment_bytes +
                              size_t{index} * segment->buffer_bytes);
}

void BufferArena::release(int64_t offset) {
  Segment& segment = segments_[static_cast<size_t>(offset) / segment_bytes];
  URING_CHECK(segment.in_use > 0);
  const size_t within = static_cast<size_t>(offset) % segment_bytes;
  segment.free.push_back(static_cast<uint16_t>(within / segment.buffer_bytes));
  segment.in_use--;
  in_use_--;
}

bool BufferArena::contains(uint64_t offset, uint64_t bytes) const {
  return base_ != nullptr && offset < arena_bytes && bytes <= arena_bytes - offset;
}

std::span<char> BufferArena::beginning(uint64_t bytes) {
  if (!reserve()) return {};
  return {base_, std::min<size_t>(bytes, arena_bytes)};
}

int BufferArena::registered_index(uint64_t offset) const {
  const size_t index = offset / segment_bytes;
  return segments_[index].registered ? static_cast<int>(index) : -1;
}

uint32_t BufferArena::registered_segments() const {
  uint32_t count = 0;
  for (const Segment& segment : segments_) count += segment.registered;
  return count;
}

bool BufferArena::reserve() {
  if (base_ != nullptr) return true;
  void* mapping = mmap(nullptr, mapping_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return false;
  mapping_ = mapping;
  const auto start = reinterpret_cast<uintptr_t>(mapping);
  base_ = reinterpret_cast<char*>((start + segment_bytes - 1) & ~(segment_bytes - 1));
  // A disk takes 254 segments a request, so 1 MiB in 4 KiB pages is split; huge pages are not.
  madvise(base_, arena_bytes, MADV_HUGEPAGE);
  // A fork must neither copy pinned pages nor make this process's own pages copy-on-write.
  madvise(base_, arena_bytes, MADV_DONTFORK);
  return true;
}

BufferArena::Segment* BufferArena::segment_for(uint32_t buffer_bytes) {
  for (Segment& segment : segments_) {
    if (segment.buffer_bytes == buffer_bytes && !segment.free.empty()) return &segment;
  }
  for (uint32_t i = 0; i < segments_max; i++) {
    if (segments_[i].in_use > 0) continue;
    prepare(i, buffer_bytes);
    return &segments_[i];
  }
  return nullptr;
}

// Splits an unused segment into buffers of one size, and registers it the first time if it is one of those.
void BufferArena::prepare(uint32_t index, uint32_t buffer_bytes) {
  Segment& segment = segments_[index];
  segment.buffer_bytes = buffer_bytes;
  const size_t count = segment_bytes / buffer_bytes;
  segment.free.resize(count);
  for (size_t i = 0; i < count; i++) segment.free[i] = static_cast<uint16_t>(count - 1 - i);
  if (!table_ || index >= registered_max || segment.registration_tried) return;
  segment.registration_tried = true;
  const iovec whole = {base_ + index * segment_bytes, segment_bytes};
  const uapi::RsrcUpdate2 update = {.offset = index,
                                    .resv = 0,
                                    .data = reinterpret_cast<uint64_t>(&whole),
                                    .tags = 0,
                                    .nr = 1,
                                    .resv2 = 0};
  // Refused (ENOMEM: RLIMIT_MEMLOCK): the same buffers work with plain READ and WRITE.
  segment.registered =
      sys_register(ring_->fd(), uapi::register_buffers_update, &update, sizeof update) == 1;
}

}  // namespace uring
