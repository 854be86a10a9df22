// Rings whose entries are taken by a thread of the kernel's.
#include <cerrno>

#include "engine.h"
#include "harness.h"
#include "support.h"

using test::Bytes;
using test::DrivenEngine;

namespace {

constexpr uint32_t sq_poll = IORING_SETUP_CLAMP | IORING_SETUP_SQPOLL;

uring::RingOptions polled(uint32_t entries, uint32_t cq_entries, int attach_fd = -1) {
  return {.entries = entries,
          .cq_entries = cq_entries,
          .flags = sq_poll | (attach_fd < 0 ? 0 : IORING_SETUP_ATTACH_WQ),
          .sq_idle_ms = 5,
          .attach_fd = attach_fd};
}

}  // namespace

TEST("a queue that the thread has not emptied is waited for, and nothing is lost") {
  for (const uint32_t entries : {1U, 2U, 16U}) {
    DrivenEngine engine(polled(entries, 1024));
    for (int round = 0; round < 20; round++) {
      for (uint32_t slot = 0; slot < 1000; slot++) engine.stage(test::nop(slot));
      std::vector<bool> seen(1000);
      for (const auto& completion : engine.gather(1000)) {
        CHECK(!seen[completion.slot]);
        seen[completion.slot] = true;
      }
    }
    CHECK(engine->idle());
  }
}

TEST("an awake thread needs no system call") {
  DrivenEngine engine({.entries = 8, .cq_entries = 16, .flags = sq_poll, .sq_idle_ms = 60'000});
  CHECK_EQUAL(engine.run(test::nop(0)), 0);  // it begins asleep
  const double enters = engine.counter(uring::Engine::enters);
  for (int i = 0; i < 100; i++) CHECK_EQUAL(engine.run(test::nop(0)), 0);
  CHECK_EQUAL(engine.counter(uring::Engine::enters), enters);
}

TEST("a chain is never cut where rings share the thread") {
  DrivenEngine owner(polled(64, 1024));
  DrivenEngine guest(polled(64, 1024, owner->ring().fd()));
  for (int round = 0; round < 200; round++) {
    for (DrivenEngine* engine : {&owner, &guest}) {
      for (uint32_t slot = 0; slot < 5; slot++) engine->stage(test::nop(slot));
      for (uint32_t slot = 5; slot < 12; slot++) {
        engine->stage(test::with_flags(
            slot == 5 ? test::read(slot, -1, nullptr, 1, 0) : test::nop(slot), IOSQE_IO_LINK));
      }
      engine->stage(test::nop(12));
      CHECK_EQUAL((*engine)->submit(), 0);
    }
    for (DrivenEngine* engine : {&owner, &guest}) {
      for (const auto& completion : engine->gather(13)) {
        const int expected = completion.slot < 5 ? 0 : completion.slot == 5 ? -EBADF : -ECANCELED;
        CHECK_EQUAL(completion.result, expected);
      }
    }
  }
}

TEST("what never ends is drained, and the ring leaves no descriptor") {
  { DrivenEngine available(polled(8, 16)); }
  const auto before = test::open_fds();
  {
    test::Pipe pipe;
    DrivenEngine engine(polled(8, 64));
    Bytes memory(63 * size_t{16});
    for (uint32_t slot = 0; slot < engine->capacity(); slot++) {
      engine.stage(test::read(slot, pipe.reader(), &memory[slot * size_t{16}], 16, 0));
    }
    CHECK(engine->drain(std::chrono::seconds(60)));
    CHECK(engine->idle());
  }
  CHECK(test::open_fds() == before);
}
