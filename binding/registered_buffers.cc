#include "registered_buffers.h"

#include <cerrno>

#include "check.h"

namespace uring {

void RegisteredBuffers::attach(Ring& ring, uint32_t first) {
  ring_ = &ring;
  free_.resize(entries);
  for (uint32_t i = 0; i < entries; i++) free_[i] = static_cast<uint16_t>(first + entries - 1 - i);
}

int RegisteredBuffers::add(void* memory, size_t bytes) {
  if (ring_ == nullptr) return -ENOSYS;
  if (free_.empty()) return -ENOBUFS;
  const uint16_t index = free_.back();
  const int updated = update(index, {.iov_base = memory, .iov_len = bytes});
  if (updated != 1) return updated < 0 ? updated : -EFAULT;
  free_.pop_back();
  return index;
}

void RegisteredBuffers::remove(int index) {
  URING_CHECK(update(static_cast<uint32_t>(index), {}) == 1);
  free_.push_back(static_cast<uint16_t>(index));
}

int RegisteredBuffers::update(uint32_t index, const iovec& memory) {
  const uapi::RsrcUpdate2 change = {.offset = index,
                                    .resv = 0,
                                    .data = reinterpret_cast<uint64_t>(&memory),
                                    .tags = 0,
                                    .nr = 1,
                                    .resv2 = 0};
  return sys_register(ring_->fd(), uapi::register_buffers_update, &change, sizeof change);
}

}  // namespace uring
