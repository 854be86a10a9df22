// The end: everything in flight is cancelled and awaited, and what cannot be awaited is given up.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "engine.h"
#include "harness.h"
#include "support.h"

using test::Bytes;
using test::DrivenEngine;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr seconds ample{60};

// A page whose first use stops whoever uses it, the kernel included, until `resolve`: an operation
// that no cancel can end.
class StoppingPage {
 public:
  StoppingPage() {
    fd_ = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
    if (fd_ < 0) test::skip(std::string("userfaultfd is refused: ") + std::strerror(errno));
    page_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page_ != MAP_FAILED);
    uffdio_api api = {.api = UFFD_API, .features = 0, .ioctls = 0};
    CHECK_EQUAL(ioctl(fd_, UFFDIO_API, &api), 0);
    uffdio_register range = {};
    range.range = {.start = address(), .len = bytes};
    range.mode = UFFDIO_REGISTER_MODE_MISSING;
    CHECK_EQUAL(ioctl(fd_, UFFDIO_REGISTER, &range), 0);
  }
  ~StoppingPage() {
    munmap(page_, bytes);
    close(fd_);
  }
  StoppingPage(const StoppingPage&) = delete;
  StoppingPage& operator=(const StoppingPage&) = delete;

  void wait_for_use() {
    pollfd fault = {.fd = fd_, .events = POLLIN, .revents = 0};
    CHECK_EQUAL(poll(&fault, 1, -1), 1);
  }
  void resolve() {
    uffdio_zeropage zero = {};
    zero.range = {.start = address(), .len = bytes};
    CHECK_EQUAL(ioctl(fd_, UFFDIO_ZEROPAGE, &zero), 0);
  }
  void* memory() const { return page_; }

  static constexpr uint32_t bytes = 4096;

 private:
  uint64_t address() const { return reinterpret_cast<uint64_t>(page_); }

  int fd_;
  void* page_;
};

}  // namespace

TEST("reads of an empty pipe are drained, and none is left in flight") {
  for (const uint32_t entries : {1U, 64U}) {
    DrivenEngine engine({.entries = entries, .cq_entries = 64});
    test::Pipe pipe;
    Bytes memory(64 * size_t{16});
    for (uint32_t slot = 0; slot < engine->capacity(); slot++) {
      engine.stage(test::read(slot, pipe.reader(), &memory[slot * size_t{16}], 16, 0));
    }
    CHECK_EQUAL(engine->submit(), 0);
    CHECK_EQUAL(engine->in_flight(), engine->capacity());
    CHECK(engine->drain(ample));
    CHECK_EQUAL(engine->in_flight(), 0);
    CHECK(engine->idle());
    CHECK_EQUAL(engine.reap().size(), 0);
  }
}

TEST("memory is not written after a drain, and a pipe keeps its bytes") {
  DrivenEngine engine;
  test::Pipe pipe;
  auto memory = std::make_unique<Bytes>(1000);
  engine.stage(test::read(0, pipe.reader(), memory->data(), 1000, 0));
  CHECK_EQUAL(engine->submit(), 0);
  CHECK(engine->drain(ample));
  memory.reset();
  const Bytes sent = test::random_bytes(1000, 1);
  pipe.put(sent);
  CHECK_EQUAL(engine.reap().size(), 0);
  CHECK(pipe.take() == sent);
}

TEST("reads that other threads of the kernel are at have ended when a drain has") {
  constexpr uint32_t length = 1 << 20;
  test::TempFile file(Bytes(length, 0xaa));
  for (int round = 0; round < 5; round++) {
    DrivenEngine engine;
    const uint32_t reads = engine->capacity();
    Bytes memory(size_t{reads} * length);
    for (uint32_t slot = 0; slot < reads; slot++) {
      engine.stage(test::with_flags(
          test::read(slot, file.fd(), &memory[size_t{slot} * length], length, 0), IOSQE_ASYNC));
    }
    CHECK_EQUAL(engine->submit(), 0);
    CHECK(engine->drain(ample));
    std::fill(memory.begin(), memory.end(), 0x55);
    CHECK(std::all_of(memory.begin(), memory.end(), [](auto byte) { return byte == 0x55; }));
  }
}

TEST("what was staged and not submitted is part of the drain") {
  DrivenEngine engine;
  test::Pipe full;
  test::Pipe empty;
  const Bytes sent = test::random_bytes(100, 1);
  Bytes memory(16);
  engine.stage(test::write(0, full.writer(), sent.data(), 100, 0));
  engine.stage(test::read(1, empty.reader(), memory.data(), 16, 0));
  CHECK(engine->drain(ample));
  CHECK(engine->idle());
  CHECK_EQUAL(engine.counter(uring::Engine::submitted), 2);
  CHECK(full.take() == sent);
}

TEST("a drain goes on where cancels were already under way") {
  DrivenEngine engine;
  test::Pipe pipe;
  Bytes memory(63 * size_t{16});
  for (uint32_t slot = 0; slot < 63; slot++) {
    engine.stage(test::read(slot, pipe.reader(), &memory[slot * size_t{16}], 16, 0));
  }
  for (uint32_t slot = 0; slot < 63; slot += 2) engine->cancel(slot);
  CHECK(engine->drain(ample));
  CHECK(engine->idle());
}

TEST("what is behind a hard link is not found before it begins, and drained all the same") {
  DrivenEngine engine;
  test::Pipe pipe;
  Bytes memory(32);
  // The slot of the second comes first: it is asked for while it waits, and begins when the first is cancelled.
  engine.stage(test::with_flags(
      test::read(1, pipe.reader(), memory.data(), 16, 0), IOSQE_IO_HARDLINK));
  engine.stage(test::read(0, pipe.reader(), &memory[16], 16, 0));
  CHECK_EQUAL(engine->submit(), 0);
  CHECK(engine->drain(ample));
  CHECK(engine->idle());
}

TEST("a drain with nothing in flight is over at once, any number of times") {
  DrivenEngine engine;
  CHECK(engine->drain(milliseconds{0}));
  CHECK_EQUAL(engine.run(test::nop(0)), 0);
  CHECK(engine->drain(milliseconds{0}));
  CHECK(engine->drain(milliseconds{0}));
  CHECK_EQUAL(engine.counter(uring::Engine::enters), 1);
}

TEST("after a drain the engine works on") {
  DrivenEngine engine;
  test::Pipe pipe;
  Bytes memory(16);
  engine.stage(test::read(0, pipe.reader(), memory.data(), 16, 0));
  CHECK(engine->drain(ample));
  pipe.put(Bytes(7, 'a'));
  CHECK_EQUAL(engine.run(test::read(0, pipe.reader(), memory.data(), 16, 0)), 7);
}

TEST("a drain gives up at its bound, and what hung is still in flight") {
  test::TempFile file(Bytes(StoppingPage::bytes, 'a'));
  DrivenEngine engine;
  StoppingPage page;
  // On a thread of the kernel: otherwise this one would stop.
  engine.stage(test::with_flags(
      test::read(5, file.fd(), page.memory(), StoppingPage::bytes, 0), IOSQE_ASYNC));
  CHECK_EQUAL(engine->submit(), 0);
  page.wait_for_use();  // before that a cancel would still end it
  CHECK(!engine->drain(milliseconds{50}));
  CHECK_EQUAL(engine->in_flight(), 1);
  page.resolve();
  CHECK(engine->drain(ample));
  CHECK_EQUAL(engine->in_flight(), 0);
}
