// The two queues alone.
#include "ring.h"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "harness.h"
#include "support.h"

using uring::Ring;

namespace {

void open_ring(Ring& ring, uint32_t entries, uint32_t cq_entries) {
  test::require_ring(ring.open({.entries = entries, .cq_entries = cq_entries}));
}

void fill_nops(Ring& ring, uint32_t count, uint64_t first) {
  for (uint32_t i = 0; i < count; i++) {
    io_uring_sqe* sqe = ring.get_sqe();
    CHECK(sqe != nullptr);
    sqe->opcode = IORING_OP_NOP;
    sqe->user_data = first + i;
  }
}

bool has_completions(const Ring& ring) {
  pollfd polled = {.fd = ring.fd(), .events = POLLIN, .revents = 0};
  return poll(&polled, 1, 0) == 1;
}

}  // namespace

TEST("sizes are rounded up to powers of two, and clamped to what the kernel has at most") {
  Ring odd;
  open_ring(odd, 5, 100);
  CHECK_EQUAL(odd.sq_entries(), 8);
  CHECK_EQUAL(odd.cq_entries(), 128);
  Ring huge;
  open_ring(huge, 1U << 30, 1U << 31);
  CHECK(huge.sq_entries() >= 4096 && huge.sq_entries() < 1U << 30);
  CHECK(huge.cq_entries() >= huge.sq_entries() && huge.cq_entries() < 1U << 31);
}

TEST("sizes that the kernel refuses are an error, and leave no descriptor") {
  Ring probe;
  open_ring(probe, 1, 1);
  const auto before = test::open_fds();
  Ring none;
  CHECK_EQUAL(none.open({.entries = 0, .cq_entries = 8}), -EINVAL);
  Ring lopsided;
  CHECK_EQUAL(lopsided.open({.entries = 64, .cq_entries = 8}), -EINVAL);
  CHECK_EQUAL(lopsided.fd(), -1);
  CHECK(test::open_fds() == before);
}

TEST("queues that cannot be mapped are an error, and leave no descriptor") {
  Ring probe;
  open_ring(probe, 1, 1);
  const auto before = test::open_fds();
  rlimit usual;
  CHECK_EQUAL(getrlimit(RLIMIT_AS, &usual), 0);
  const rlimit no_more = {.rlim_cur = 4096, .rlim_max = usual.rlim_max};
  Ring ring;
  CHECK_EQUAL(setrlimit(RLIMIT_AS, &no_more), 0);
  const int error = ring.open({.entries = 8, .cq_entries = 16});
  CHECK_EQUAL(setrlimit(RLIMIT_AS, &usual), 0);
  CHECK_EQUAL(error, -ENOMEM);
  CHECK(test::open_fds() == before);
}

TEST("every flag that the kernel takes is in use") {
  for (const uint32_t flags :
       {uring::uapi::setup_coop_taskrun | uring::uapi::setup_single_issuer,
        uring::uapi::setup_coop_taskrun}) {
    io_uring_params params = {};
    params.flags = flags;
    const int fd = uring::sys_setup(1, &params);
    test::require_ring(fd == -EINVAL || fd >= 0 ? 0 : fd);
    if (fd < 0) continue;
    close(fd);
    Ring ring;
    open_ring(ring, 1, 1);
    CHECK_EQUAL(ring.setup_flags() & flags, flags);
    return;
  }
  test::skip("this kernel knows neither COOP_TASKRUN (5.19) nor SINGLE_ISSUER (6.0)");
}

TEST("a closed ring leaves no descriptor, and can be closed again") {
  const auto before = test::open_fds();
  {
    Ring ring;
    open_ring(ring, 8, 16);
    CHECK_EQUAL(test::open_fds().size(), before.size() + 1);
    ring.close();
    CHECK(test::open_fds() == before);
    ring.close();
    CHECK_EQUAL(ring.fd(), -1);
  }
  CHECK(test::open_fds() == before);
}

TEST("a full submission queue has no entry to give until the kernel took some") {
  Ring ring;
  open_ring(ring, 4, 16);
  fill_nops(ring, 4, 0);
  CHECK_EQUAL(ring.unsubmitted(), 4);
  CHECK(ring.get_sqe() == nullptr);
  CHECK_EQUAL(ring.submit(), 4);
  CHECK_EQUAL(ring.unsubmitted(), 0);
  CHECK(ring.get_sqe() != nullptr);
}

TEST("an entry is zeroed again after its last use") {
  Ring ring;
  open_ring(ring, 1, 4);
  io_uring_sqe* sqe = ring.get_sqe();
  std::memset(sqe, 0xff, sizeof *sqe);  // the kernel refuses it: it is consumed all the same
  CHECK_EQUAL(ring.submit(), 1);
  const io_uring_sqe zero = {};
  const io_uring_sqe* again = ring.get_sqe();
  CHECK(again == sqe);
  CHECK_EQUAL(std::memcmp(again, &zero, sizeof zero), 0);
}

TEST("completions come in order, as many as there is room for, round and round the queues") {
  Ring ring;
  open_ring(ring, 4, 8);
  io_uring_cqe out[3];
  uint64_t next = 0;
  for (uint64_t round = 0; round < 1000; round++) {
    fill_nops(ring, 4, round * 4);
    CHECK_EQUAL(ring.submit(), 4);
    for (const uint32_t expected : {3U, 1U, 0U}) {
      CHECK_EQUAL(ring.reap(out, 3), expected);
      for (uint32_t i = 0; i < expected; i++) CHECK_EQUAL(out[i].user_data, next++);
    }
  }
}

TEST("completions stay where they are until they are reaped") {
  Ring ring;
  open_ring(ring, 4, 8);
  fill_nops(ring, 3, 7);
  CHECK_EQUAL(ring.submit(), 3);
  CHECK(has_completions(ring));
  io_uring_cqe out[8];
  CHECK_EQUAL(ring.reap(out, 2), 2);
  CHECK(has_completions(ring));
  CHECK_EQUAL(ring.reap(out, 8), 1);
  CHECK_EQUAL(out[0].user_data, 9);
  CHECK(!has_completions(ring));
}

TEST("completions that did not fit into their queue are not lost") {
  Ring ring;
  open_ring(ring, 2, 2);
  for (uint64_t i = 0; i < 20; i++) {
    fill_nops(ring, 1, i);
    CHECK_EQUAL(ring.submit(), 1);
  }
  std::vector<uint64_t> found;
  io_uring_cqe out[8];
  while (const uint32_t count = ring.reap(out, 8)) {
    CHECK(count <= 2);
    for (uint32_t i = 0; i < count; i++) found.push_back(out[i].user_data);
  }
  CHECK_EQUAL(found.size(), 20);
  for (uint64_t i = 0; i < 20; i++) CHECK_EQUAL(found[i], i);
}
