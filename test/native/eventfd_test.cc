// Rings that tell of completions by an eventfd, and post them only when asked where the kernel can do that.
#include <poll.h>

#include "engine.h"
#include "harness.h"
#include "support.h"

using test::Bytes;
using test::DrivenEngine;

namespace {

constexpr uring::RingOptions by_event = {
    .entries = 64, .cq_entries = 256, .wakeup = uring::WakeupMode::eventfd};

bool told(DrivenEngine& engine, int timeout_ms) {
  pollfd event = {.fd = engine->ring().poll_fd(), .events = POLLIN, .revents = 0};
  return poll(&event, 1, timeout_ms) == 1;
}

}  // namespace

TEST("the eventfd tells of a completion once, and again when asked to") {
  DrivenEngine engine(by_event);
  CHECK(engine->ring().poll_fd() != engine->ring().fd());
  CHECK(!told(engine, 0));
  test::Pipe pipe;
  Bytes memory(16);
  engine.stage(test::read(0, pipe.reader(), memory.data(), 16, 0));
  CHECK_EQUAL(engine->submit(), 0);
  CHECK(!told(engine, 0));
  pipe.put(Bytes(3, 'a'));
  CHECK(told(engine, -1));
  engine->ring().clear_event();
  CHECK(!told(engine, 0));
  CHECK(engine->ring().has_more());
  engine->ring().repeat_event();
  CHECK(told(engine, 0));
  CHECK_EQUAL(engine.reap().front().result, 3);
  CHECK(!engine->ring().has_more());
}

TEST("one reaping takes all completions that were deferred, however many") {
  constexpr uint32_t reads = 200;
  DrivenEngine engine(by_event);
  std::vector<test::Pipe> pipes(reads);
  Bytes memory(reads);
  for (uint32_t slot = 0; slot < reads; slot++) {
    engine.stage(test::read(slot, pipes[slot].reader(), &memory[slot], 1, 0));
  }
  CHECK_EQUAL(engine->submit(), 0);
  for (test::Pipe& pipe : pipes) pipe.put(Bytes(1, 'z'));
  CHECK(told(engine, -1));
  CHECK_EQUAL(engine.reap().size(), reads);
  CHECK(memory == Bytes(reads, 'z'));
}

TEST("a drain with deferred completions ends") {
  DrivenEngine engine(by_event);
  test::Pipe pipe;
  Bytes memory(255 * size_t{16});
  for (uint32_t slot = 0; slot < engine->capacity(); slot++) {
    engine.stage(test::read(slot, pipe.reader(), &memory[slot * size_t{16}], 16, 0));
  }
  CHECK(engine->drain(std::chrono::seconds(60)));
  CHECK(engine->idle());
}
