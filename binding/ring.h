// The two queues that a process shares with the kernel, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "syscall.h"

namespace uring {

// How the owner of a ring learns of completions; in the order of `wakeups` in lib/native.ts.
enum class WakeupMode : uint32_t { ring, eventfd, thread };

// What is asked of the kernel; lib/native.ts writes these words in this order.
struct RingOptions {
  uint32_t entries = 0;
  uint32_t cq_entries = 0;
  uint32_t flags = IORING_SETUP_CLAMP;  // IORING_SETUP_* that are wanted for certain
  uint32_t sq_idle_ms = 0;              // with SQPOLL
  uint32_t sq_cpu = 0;                  // with SQ_AFF
  int32_t attach_fd = -1;               // with ATTACH_WQ
  WakeupMode wakeup = WakeupMode::ring;
};
static_assert(sizeof(RingOptions) == 28);

class Ring {
 public:
  Ring() = default;
  ~Ring() { close(); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Returns 0 or -errno. Hints that the kernel does not know are dropped one by one; what was asked for is not.
  int open(const RingOptions& options);
  void close();

  int fd() const { return fd_; }
  // Readable when completions wait: the eventfd where there is one, else the ring itself.
  int poll_fd() const { return event_fd_ >= 0 ? event_fd_ : fd_; }
  uint32_t sq_entries() const { return sq_entries_; }
  uint32_t cq_entries() const { return cq_entries_; }
  uint32_t setup_flags() const { return setup_flags_; }
  uint32_t features() const { return features_; }

  // Writes 1 in the place of each opcode that the kernel has, 0 elsewhere. 0 or -errno.
  int operations(std::span<uint8_t> out) const;

  // A zeroed entry to fill, or nullptr when the submission queue is full.
  io_uring_sqe* get_sqe();
  // Entries filled but not yet taken by the kernel; its polling thread has whatever was announced to it.
  uint32_t unsubmitted() const { return sq_tail_local_ - sq_submitted_; }
  // How many entries can be filled now.
  uint32_t room();
  // Hands every filled entry to the kernel. Returns how many it took, or -errno with none taken.
  int submit();
  // Whether entries are taken by a thread of the kernel's, at its leisure.
  bool has_sq_thread() const { return setup_flags_ & IORING_SETUP_SQPOLL; }
  // Whether the last submission needed a system call.
  bool entered() const { return entered_; }
  // The entries that are not submitted yet, from 0 on; -1 is the last that was, until another is filled.
  io_uring_sqe& waiting(int32_t index) { return sqes_[(sq_submitted_ + static_cast<uint32_t>(index)) & sq_mask_]; }
  // Waits until that thread has taken some, when there was no room. 0 or -errno.
  int wait_for_room();
  // Whether it has taken all; always so without it.
  bool all_taken();
  // Waits until it has: what the entries name may change afterwards. 0 or -errno.
  int wait_until_taken();
  // Whether nobody reports completions: `reap` must be called until they come.
  bool must_poll() const { return setup_flags_ & IORING_SETUP_IOPOLL; }
  // Copies up to `max` completions to `out` and gives their places back to the kernel.
  uint32_t reap(io_uring_cqe* out, uint32_t max);
  // How many completions are in the queue.
  uint32_t ready() const;
  // Whether completions wait, here or inside the kernel.
  bool has_more() const;
  // Takes the eventfd's word that there is something, to be told again of what comes after.
  void clear_event();
  // Says it once more, of what was left where it is.
  void repeat_event();

 private:
  int setup(const RingOptions& options, io_uring_params& params);
  int map(const io_uring_params& params);
  int add_event_fd();
  int enter_sq_thread();
  void look_into_kernel();
  void see_head();

  int fd_ = -1;
  int event_fd_ = -1;
  uint32_t setup_flags_ = 0;
  uint32_t features_ = 0;
  uint32_t sq_entries_ = 0;
  uint32_t cq_entries_ = 0;

  void* rings_ = nullptr;
  size_t rings_bytes_ = 0;
  io_uring_sqe* sqes_ = nullptr;
  size_t sqes_bytes_ = 0;

  uint32_t* sq_head_ = nullptr;
  uint32_t* sq_tail_ = nullptr;
  uint32_t* sq_flags_ = nullptr;
  uint32_t sq_mask_ = 0;
  uint32_t sq_tail_local_ = 0;  // filled up to here
  bool entered_ = false;
  uint32_t sq_submitted_ = 0;   // the kernel's up to here
  uint32_t sq_head_seen_ = 0;   // read by the kernel up to here

  uint32_t* cq_head_ = nullptr;
  uint32_t* cq_tail_ = nullptr;
  io_uring_cqe* cqes_ = nullptr;
  uint32_t cq_mask_ = 0;
};

}  // namespace uring
