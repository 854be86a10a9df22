#include "copy_pipeline.h"

#include <algorithm>

namespace uring {
namespace {

void aim(Descriptor& descriptor, uint64_t position, uint32_t length) {
  descriptor.position_low = static_cast<uint32_t>(position);
  descriptor.position_high = static_cast<uint32_t>(position >> 32);
  descriptor.length = length;
}

bool moved_all(const Descriptor& descriptor, const Completion& end) {
  return end.result >= 0 && static_cast<uint32_t>(end.result) == descriptor.length;
}

}  // namespace

bool CopyLane::ended(const Completion& completion) {
  (completion.slot == read_.slot ? read_end_ : write_end_) = completion;
  return ++ends_ == 2;
}

bool CopyLane::advance() {
  if (!moved_all(read_, read_end_) || !moved_all(write_, write_end_)) return false;
  if (range_.next >= range_.end) return false;
  range_.copied += read_.length;
  range_.pairs++;
  piece_ = {range_.next, std::min(range_.chunk, range_.end - range_.next)};
  range_.next += piece_.length;
  for (Descriptor* each : {&read_, &write_}) {
    aim(*each, static_cast<uint64_t>(piece_.position), static_cast<uint32_t>(piece_.length));
  }
  ends_ = 0;
  return true;
}

}  // namespace uring
