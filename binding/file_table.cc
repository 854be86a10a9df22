#include "file_table.h"

#include <algorithm>

#include "check.h"

namespace uring {

void FileTable::attach(Ring& ring) {
  // -1 makes a hole: sparse tables in this form exist since 5.5, the flag for them since 5.19.
  int32_t holes[entries];
  std::fill(std::begin(holes), std::end(holes), -1);
  if (sys_register(ring.fd(), IORING_REGISTER_FILES, holes, entries) < 0) return;
  ring_ = &ring;
  free_.resize(entries);
  for (uint32_t i = 0; i < entries; i++) free_[i] = static_cast<uint16_t>(entries - 1 - i);
}

int FileTable::install(int fd) {
  // To the kernel -1 is a hole and -2 says "leave as it is".
  if (fd < 0 || free_.empty()) return none;
  const uint16_t index = free_.front();
  // Refused for descriptors such as another ring's; the plain descriptor serves then.
  if (update(index, fd) != 1) return none;
  free_.pop_front();
  in_use_++;
  return index;
}

void FileTable::remove(int index) {
  URING_CHECK(in_use_ > 0);
  // The caller has waited for its operations: one that a kernel worker does (IOSQE_ASYNC) looks the file up
  // when the worker gets to it, and would find another one here.
  URING_CHECK(update(static_cast<uint32_t>(index), -1) == 1);
  free_.push_back(static_cast<uint16_t>(index));
  in_use_--;
}

int FileTable::update(uint32_t index, int fd) {
  int32_t value = fd;
  const uapi::FilesUpdate change = {
      .offset = index, .resv = 0, .fds = reinterpret_cast<uint64_t>(&value)};
  return sys_register(ring_->fd(), IORING_REGISTER_FILES_UPDATE, &change, 1);
}

}  // namespace uring
