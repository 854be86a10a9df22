#include "ring.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace uring {
namespace {

// Both processor hints are only hints: a kernel that lacks one gets the next line.
constexpr uint32_t flag_attempts[] = {
    uapi::setup_coop_taskrun | uapi::setup_single_issuer,  // 6.0
    uapi::setup_coop_taskrun,                              // 5.19
    0,
};

// NODROP: a full completion queue delays completions instead of losing them (5.5).
// SUBMIT_STABLE: paths and vectors are read before enter returns (5.5).
// SINGLE_MMAP: both queues come in one mapping (5.4).
constexpr uint32_t features_needed =
    IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_SINGLE_MMAP;

uint32_t load_acquire(const uint32_t* word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
uint32_t load_relaxed(const uint32_t* word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
void store_release(uint32_t* word, uint32_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

void* map_shared(int fd, size_t bytes, off_t offset) {
  return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
}

}  // namespace

int Ring::open(const RingOptions& options) {
  io_uring_params params;
  for (uint32_t flags : flag_attempts) {
    std::memset(&params, 0, sizeof params);
    params.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = options.cq_entries;
    fd_ = sys_setup(options.entries, &params);
    // Only EINVAL can mean an unknown flag; any other refusal stays one without flags.
    if (fd_ != -EINVAL) break;
  }
  if (fd_ < 0) {
    const int error = fd_;
    fd_ = -1;
    return error;
  }
  setup_flags_ = params.flags;
  features_ = params.features;
  if ((params.features & features_needed) != features_needed) {
    close();
    return -ENOSYS;
  }
  const int error = map(params);
  if (error < 0) close();
  return error;
}

int Ring::map(const io_uring_params& params) {
  const size_t sq_bytes = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
  const size_t cq_bytes = params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe);
  rings_bytes_ = std::max(sq_bytes, cq_bytes);
  void* rings = map_shared(fd_, rings_bytes_, IORING_OFF_SQ_RING);
  if (rings == MAP_FAILED) return -errno;
  rings_ = rings;

  sqes_bytes_ = params.sq_entries * sizeof(io_uring_sqe);
  void* sqes = map_shared(fd_, sqes_bytes_, IORING_OFF_SQES);
  if (sqes == MAP_FAILED) return -errno;
  sqes_ = static_cast<io_uring_sqe*>(sqes);

  char* base = static_cast<char*>(rings_);
  const auto word = [base](uint32_t offset) { return reinterpret_cast<uint32_t*>(base + offset); };
  sq_entries_ = params.sq_entries;
  cq_entries_ = params.cq_entries;
  sq_head_ = word(params.sq_off.head);
  sq_tail_ = word(params.sq_off.tail);
  sq_flags_ = word(params.sq_off.flags);
  sq_mask_ = *word(params.sq_off.ring_mask);
  cq_head_ = word(params.cq_off.head);
  cq_tail_ = word(params.cq_off.tail);
  cq_mask_ = *word(params.cq_off.ring_mask);
  cqes_ = reinterpret_cast<io_uring_cqe*>(base + params.cq_off.cqes);
  // Entry i of the index array is always i: submissions are taken in the order they were filled.
  uint32_t* array = word(params.sq_off.array);
  for (uint32_t i = 0; i < sq_entries_; i++) array[i] = i;
  return 0;
}

void Ring::close() {
  if (sqes_ != nullptr) munmap(sqes_, sqes_bytes_);
  if (rings_ != nullptr) munmap(rings_, rings_bytes_);
  if (fd_ >= 0) ::close(fd_);
  sqes_ = nullptr;
  rings_ = nullptr;
  fd_ = -1;
}

io_uring_sqe* Ring::get_sqe() {
  if (unsubmitted() == sq_entries_) return nullptr;
  io_uring_sqe* sqe = &sqes_[sq_tail_local_++ & sq_mask_];
  std::memset(sqe, 0, sizeof *sqe);
  return sqe;
}

int Ring::submit() {
  // Release: the entries must be visible to the kernel before the tail that announces them.
  store_release(sq_tail_, sq_tail_local_);
  int taken;
  do {
    taken = sys_enter(fd_, unsubmitted(), 0, 0);
  } while (taken == -EINTR);
  // Acquire: an entry is ours to fill again only after the kernel has read it.
  sq_head_seen_ = load_acquire(sq_head_);
  return taken;
}

uint32_t Ring::reap(io_uring_cqe* out, uint32_t max) {
  if (load_relaxed(sq_flags_) & IORING_SQ_CQ_OVERFLOW) flush_overflow();
  const uint32_t head = *cq_head_;  // only this thread writes it
  // Acquire: a completion's fields are read after the tail that announces it.
  const uint32_t ready = load_acquire(cq_tail_) - head;
  const uint32_t count = std::min(ready, max);
  for (uint32_t i = 0; i < count; i++) out[i] = cqes_[(head + i) & cq_mask_];
  // Release: the kernel may overwrite these places only after they were copied out.
  if (count > 0) store_release(cq_head_, head + count);
  return count;
}

// Completions that did not fit wait inside the kernel until asked for. Admission keeps this from
// happening; were it to happen all the same, nothing may be lost.
void Ring::flush_overflow() {
  while (sys_enter(fd_, 0, 0, IORING_ENTER_GETEVENTS) == -EINTR) {
  }
}

}  // namespace uring
