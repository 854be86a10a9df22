// What this code needs of the kernel's ABI and headers as old as Linux 5.10 do not have.
// Values from include/uapi/linux/{io_uring,stat}.h; the kernel that first knew each is named.
#pragma once

#include <linux/io_uring.h>

#include <cstddef>
#include <cstdint>

namespace uring::uapi {

constexpr uint32_t setup_coop_taskrun = 1U << 8;    // 5.19
constexpr uint32_t setup_taskrun_flag = 1U << 9;    // 5.19
constexpr uint32_t setup_single_issuer = 1U << 12;  // 6.0
constexpr uint32_t setup_defer_taskrun = 1U << 13;  // 6.1

constexpr uint32_t feature_sqpoll_nonfixed = 1U << 7;  // 5.11

constexpr uint32_t sq_taskrun = 1U << 2;  // of the submission queue's flags; 5.19

constexpr uint32_t register_buffers2 = 15;        // 5.13
constexpr uint32_t register_buffers_update = 16;  // 5.13
constexpr uint32_t register_max_workers = 19;     // 5.15

constexpr uint8_t op_ftruncate = 55;  // 6.9

constexpr uint32_t statx_dioalign = 0x2000;  // STATX_DIOALIGN; 6.1
constexpr size_t statx_dio_mem_align = 152;  // places in struct statx
constexpr size_t statx_dio_offset_align = 156;

struct RsrcRegister {
  uint32_t nr;
  uint32_t flags;
  uint64_t resv2;
  uint64_t data;
  uint64_t tags;
};

struct RsrcUpdate2 {
  uint32_t offset;
  uint32_t resv;
  uint64_t data;
  uint64_t tags;
  uint32_t nr;
  uint32_t resv2;
};

struct FilesUpdate {
  uint32_t offset;
  uint32_t resv;
  uint64_t fds;
};

static_assert(sizeof(io_uring_sqe) == 64);
static_assert(sizeof(io_uring_cqe) == 16);
static_assert(sizeof(io_uring_params) == 120);
static_assert(offsetof(io_uring_sqe, off) == 8);
static_assert(offsetof(io_uring_sqe, addr) == 16);
static_assert(offsetof(io_uring_sqe, len) == 24);
static_assert(offsetof(io_uring_sqe, rw_flags) == 28);
static_assert(offsetof(io_uring_sqe, user_data) == 32);
static_assert(offsetof(io_uring_sqe, buf_index) == 40);
static_assert(sizeof(RsrcRegister) == 32);
static_assert(sizeof(RsrcUpdate2) == 32);
static_assert(sizeof(FilesUpdate) == 16);

}  // namespace uring::uapi
