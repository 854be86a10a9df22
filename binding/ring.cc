#include "ring.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

namespace uring {
namespace {

// Processor hints are only hints: a kernel that lacks one gets the next line.
constexpr uint32_t hints[] = {
    uapi::setup_coop_taskrun | uapi::setup_single_issuer,  // 6.0
    uapi::setup_coop_taskrun,                              // 5.19
    0,
};
// With an eventfd completions may wait until they are asked for: it tells when to ask, and a ring's own
// descriptor would not.
constexpr uint32_t eventfd_hints[] = {
    uapi::setup_defer_taskrun | uapi::setup_single_issuer | uapi::setup_taskrun_flag,  // 6.1
    uapi::setup_coop_taskrun | uapi::setup_single_issuer,                              // 6.0
    uapi::setup_coop_taskrun,                                                          // 5.19
    0,
};
// Two threads enter the kernel.
constexpr uint32_t thread_hints[] = {uapi::setup_coop_taskrun, 0};
// The kernel's own thread submits and completes, so hints about this one are refused (EINVAL).
constexpr uint32_t sq_thread_hints[] = {0};

std::span<const uint32_t> hints_for(const RingOptions& options) {
  if (options.flags & IORING_SETUP_SQPOLL) return sq_thread_hints;
  switch (options.wakeup) {
    case WakeupMode::eventfd: return eventfd_hints;
    case WakeupMode::thread: return thread_hints;
    default: return hints;
  }
}

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
  fd_ = setup(options, params);
  if (fd_ < 0) {
    const int error = fd_;
    fd_ = -1;
    return error;
  }
  setup_flags_ = params.flags;
  features_ = params.features;
  // Before 5.11 the polling thread took operations on fixed files only.
  const uint32_t needed = features_needed | (has_sq_thread() ? uapi::feature_sqpoll_nonfixed : 0);
  int error = (params.features & needed) == needed ? map(params) : -ENOSYS;
  if (error == 0 && options.wakeup == WakeupMode::eventfd) error = add_event_fd();
  if (error < 0) close();
  return error;
}

int Ring::setup(const RingOptions& options, io_uring_params& params) {
  int result = 0;
  for (const uint32_t hint : hints_for(options)) {
    std::memset(&params, 0, sizeof params);
    params.flags = hint | options.flags | IORING_SETUP_CQSIZE;
    params.cq_entries = options.cq_entries;
    params.sq_thread_idle = options.sq_idle_ms;
    params.sq_thread_cpu = options.sq_cpu;
    if (options.flags & IORING_SETUP_ATTACH_WQ) {
      params.wq_fd = static_cast<uint32_t>(options.attach_fd);
    }
    result = sys_setup(options.entries, &params);
    // Only EINVAL can mean an unknown flag; any other refusal stays one without flags.
    if (result != -EINVAL) break;
  }
  return result;
}

int Ring::add_event_fd() {
  event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd_ < 0) return -errno;
  return sys_register(fd_, IORING_REGISTER_EVENTFD, &event_fd_, 1);
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
  if (event_fd_ >= 0) ::close(event_fd_);
  sqes_ = nullptr;
  rings_ = nullptr;
  fd_ = event_fd_ = -1;
}

int Ring::operations(std::span<uint8_t> out) const {
  constexpr uint32_t most = 256;  // of opcodes, and more the kernel does not take
  alignas(io_uring_probe) char memory[sizeof(io_uring_probe) + most * sizeof(io_uring_probe_op)] = {};
  auto* probe = reinterpret_cast<io_uring_probe*>(memory);
  const int error = sys_register(fd_, IORING_REGISTER_PROBE, probe, most);  // 5.6
  if (error < 0) return error;
  for (size_t i = 0; i < out.size(); i++) {
    out[i] = i < most && (probe->ops[i].flags & IO_URING_OP_SUPPORTED) ? 1 : 0;
  }
  return 0;
}

uint32_t Ring::room() {
  if (sq_tail_local_ - sq_head_seen_ == sq_entries_ && has_sq_thread()) see_head();
  return sq_entries_ - (sq_tail_local_ - sq_head_seen_);
}

io_uring_sqe* Ring::get_sqe() {
  if (room() == 0) return nullptr;
  io_uring_sqe* sqe = &sqes_[sq_tail_local_++ & sq_mask_];
  std::memset(sqe, 0, sizeof *sqe);
  return sqe;
}

int Ring::submit() {
  // Release: the entries must be visible to the kernel before the tail that announces them.
  store_release(sq_tail_, sq_tail_local_);
  if (has_sq_thread()) return enter_sq_thread();
  entered_ = true;
  int taken;
  do {
    taken = sys_enter(fd_, unsubmitted(), 0, 0);
  } while (taken == -EINTR);
  see_head();
  sq_submitted_ = sq_head_seen_;
  return taken;
}

void Ring::see_head() {
  // Acquire: an entry is ours to fill again only after the kernel has read it.
  sq_head_seen_ = load_acquire(sq_head_);
}

// The tail was enough, unless the thread sleeps.
int Ring::enter_sq_thread() {
  see_head();
  const uint32_t announced = unsubmitted();
  // The thread raises its flag and then looks at the tail once more. Our store of the tail must be
  // visible before we look at the flag, or both could miss the other.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  entered_ = load_relaxed(sq_flags_) & IORING_SQ_NEED_WAKEUP;
  if (entered_) {
    int entered;
    do {
      entered = sys_enter(fd_, announced, 0, IORING_ENTER_SQ_WAKEUP);
    } while (entered == -EINTR);
    if (entered < 0) return entered;
  }
  sq_submitted_ = sq_tail_local_;
  return static_cast<int>(announced);
}

int Ring::wait_for_room() {
  int entered;
  do {
    entered = sys_enter(fd_, 0, 0, IORING_ENTER_SQ_WAIT | IORING_ENTER_SQ_WAKEUP);  // 5.10
  } while (entered == -EINTR);
  see_head();
  return entered;
}

bool Ring::all_taken() {
  if (!has_sq_thread()) return true;
  see_head();
  return sq_head_seen_ == sq_tail_local_;
}

int Ring::wait_until_taken() {
  // The kernel has no call for this; its thread takes entries as fast as it sees them.
  constexpr useconds_t moment_us = 20;
  while (!all_taken()) {
    const int entered = sys_enter(fd_, 0, 0, IORING_ENTER_SQ_WAKEUP);
    if (entered < 0 && entered != -EINTR) return entered;
    usleep(moment_us);
  }
  return 0;
}

uint32_t Ring::reap(io_uring_cqe* out, uint32_t max) {
  if (load_relaxed(sq_flags_) & (IORING_SQ_CQ_OVERFLOW | uapi::sq_taskrun) || must_poll()) {
    look_into_kernel();
  }
  const uint32_t head = *cq_head_;
  const uint32_t count = std::min(ready(), max);
  for (uint32_t i = 0; i < count; i++) out[i] = cqes_[(head + i) & cq_mask_];
  // Release: the kernel may overwrite these places only after they were copied out.
  if (count > 0) store_release(cq_head_, head + count);
  return count;
}

// Polled operations end only when somebody looks, and with DEFER_TASKRUN completions are posted only when
// somebody asks. Those that did not fit into the queue wait inside the kernel, too: admission keeps this from
// happening; were it to happen all the same, nothing may be lost.
void Ring::look_into_kernel() {
  while (sys_enter(fd_, 0, 0, IORING_ENTER_GETEVENTS) == -EINTR) {
  }
}

uint32_t Ring::ready() const {
  // Acquire: a completion's fields are read after the tail that announces it. Only this thread writes the head.
  return load_acquire(cq_tail_) - *cq_head_;
}

bool Ring::has_more() const {
  // At most 20 deferred completions are posted for one question, so the flag may still be up (6.14).
  return load_relaxed(sq_flags_) & (IORING_SQ_CQ_OVERFLOW | uapi::sq_taskrun) || ready() > 0;
}

void Ring::clear_event() {
  uint64_t count;
  if (event_fd_ >= 0 && read(event_fd_, &count, sizeof count) < 0) return;  // nothing was said
}

void Ring::repeat_event() {
  const uint64_t one = 1;
  if (event_fd_ >= 0 && write(event_fd_, &one, sizeof one) < 0) return;  // it is full of them already
}

}  // namespace uring
