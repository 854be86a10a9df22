// What a process may be forbidden, as containers and unprivileged users meet it.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine.h"
#include "harness.h"
#include "support.h"

using test::Bytes;
using test::DrivenEngine;

namespace {

// The limit binds ordinary users only.
void lower_memlock(const rlimit& limit) {
  CHECK_EQUAL(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
  // A user of its own: what is locked counts by user, and other tests run as 65534 at the same time.
  if (geteuid() == 0) CHECK_EQUAL(setuid(65'533), 0);
}

int register_segment(uring::Ring& ring, void* memory, uint32_t index) {
  const iovec whole = {memory, uring::BufferArena::segment_bytes};
  const uring::uapi::RsrcUpdate2 update = {.offset = index,
                                           .resv = 0,
                                           .data = reinterpret_cast<uint64_t>(&whole),
                                           .tags = 0,
                                           .nr = 1,
                                           .resv2 = 0};
  return uring::sys_register(ring.fd(), uring::uapi::register_buffers_update, &update,
                             sizeof update);
}

}  // namespace

TEST("where the system calls are refused, opening says why and leaves nothing behind") {
  for (const int error : {EPERM, ENOSYS}) {
    test::in_child([error] {
      for (const long number : {__NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register}) {
        test::refuse(number, error);
      }
      const auto before = test::open_fds();
      uring::Engine engine;
      CHECK_EQUAL(engine.open({.entries = 32, .cq_entries = 64}), -error);
      CHECK(test::open_fds() == before);
      CHECK_EQUAL(engine.ring().fd(), -1);
    });
  }
}

TEST("where not even the queues may be locked, opening says so and leaves nothing behind") {
  test::in_child([] {
    lower_memlock({.rlim_cur = 0, .rlim_max = 0});
    const auto before = test::open_fds();
    uring::Engine engine;
    const int error = engine.open({.entries = 32, .cq_entries = 64});
    if (error == 0) test::skip("this kernel does not count the queues as locked memory");
    if (error != -ENOMEM) test::require_ring(error);
    CHECK(test::open_fds() == before);
  });
}

TEST("where nothing may be registered, everything works with plain buffers and descriptors") {
  test::in_child([] {
    test::refuse(__NR_io_uring_register, EPERM);
    DrivenEngine engine;
    CHECK(!engine->files().available());
    test::TempFile file(Bytes(4096, 'a'));
    CHECK_EQUAL(engine->files().install(file.fd()), uring::FileTable::none);
    const int64_t offset = engine->arena().acquire(4096);
    CHECK_EQUAL(engine->arena().registered_index(static_cast<uint64_t>(offset)), -1);
    CHECK_EQUAL(engine.run(test::arena_read(0, file.fd(), offset, 4096, 0)), 4096);
    CHECK_EQUAL(static_cast<char*>(engine->arena().address(offset))[4095], 'a');
  });
}

TEST("where the memory that may be locked is used up, the same buffers work unregistered") {
  test::in_child([] {
    test::TempFile file;
    // Room for the queues, which some kernels count, and for no segment.
    constexpr rlim_t half_a_segment = uring::BufferArena::segment_bytes / 2;
    lower_memlock({.rlim_cur = half_a_segment, .rlim_max = half_a_segment});
    DrivenEngine engine;
    const int64_t out = engine->arena().acquire(1 << 20);
    const int64_t in = engine->arena().acquire(1 << 20);
    CHECK_EQUAL(engine->arena().registered_segments(), 0);
    const int registered = register_segment(engine->ring(), engine->arena().address(0), 3);
    if (registered == -ENXIO) test::skip("this kernel has no table of buffers (before 5.13)");
    CHECK_EQUAL(registered, -ENOMEM);
    const Bytes sent = test::random_bytes(1 << 20, 1);
    std::memcpy(engine->arena().address(out), sent.data(), sent.size());
    CHECK_EQUAL(engine.run(test::arena_write(0, file.fd(), out, 1 << 20, 0)), 1 << 20);
    CHECK(file.content() == sent);
    CHECK_EQUAL(engine.run(test::arena_read(0, file.fd(), in, 1 << 20, 0)), 1 << 20);
    CHECK_EQUAL(std::memcmp(engine->arena().address(in), sent.data(), sent.size()), 0);
  });
}
