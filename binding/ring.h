// The two queues that a process shares with the kernel, and nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "syscall.h"

namespace uring {

struct RingOptions {
  uint32_t entries = 0;
  uint32_t cq_entries = 0;
};

class Ring {
 public:
  Ring() = default;
  ~Ring() { close(); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Returns 0 or -errno. Flags that the kernel does not know are dropped one by one.
  int open(const RingOptions& options);
  void close();

  int fd() const { return fd_; }
  uint32_t sq_entries() const { return sq_entries_; }
  uint32_t cq_entries() const { return cq_entries_; }
  uint32_t setup_flags() const { return setup_flags_; }
  uint32_t features() const { return features_; }

  // A zeroed entry to fill, or nullptr when the submission queue is full.
  io_uring_sqe* get_sqe();
  // Entries filled but not yet taken by the kernel.
  uint32_t unsubmitted() const { return sq_tail_local_ - sq_head_seen_; }
  // Hands every filled entry to the kernel. Returns how many it took, or -errno with none taken.
  int submit();
  // Copies up to `max` completions to `out` and gives their places back to the kernel.
  uint32_t reap(io_uring_cqe* out, uint32_t max);

 private:
  int map(const io_uring_params& params);
  void flush_overflow();

  int fd_ = -1;
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
  uint32_t sq_head_seen_ = 0;   // taken by the kernel up to here

  uint32_t* cq_head_ = nullptr;
  uint32_t* cq_tail_ = nullptr;
  io_uring_cqe* cqes_ = nullptr;
  uint32_t cq_mask_ = 0;
};

}  // namespace uring
