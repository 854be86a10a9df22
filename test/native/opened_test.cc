// Files that are opened through the engine: none may be left open when nobody is there to close it.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "engine.h"
#include "harness.h"
#include "support.h"

using test::Bytes;
using test::DrivenEngine;

namespace {

constexpr std::chrono::seconds ample{60};
const std::string path = "/dev/null";

uring::Descriptor open_plainly(uint32_t slot) {
  return test::openat(slot, path, O_RDONLY | O_CLOEXEC, 0);
}

uring::Descriptor open_adopted(uint32_t slot) {
  auto descriptor = open_plainly(slot);
  descriptor.op_flags = uring::Descriptor::adopt;
  return descriptor;
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST("files whose opening nobody waits for any more are closed by the drain") {
  DrivenEngine engine;
  const auto before = test::open_fds();
  for (uint32_t slot = 0; slot < 20; slot++) {
    engine.stage(slot % 2 == 0 ? open_plainly(slot)
                               : test::with_flags(open_plainly(slot), IOSQE_ASYNC));
  }
  CHECK_EQUAL(engine->submit(), 0);
  CHECK(engine->drain(ample));
  CHECK(test::open_fds() == before);
}

TEST("a file whose opening was reported belongs to who asked for it") {
  DrivenEngine engine;
  const int fd = engine.run(open_plainly(0));
  CHECK(fd >= 0);
  CHECK(engine->drain(ample));
  engine->close_adopted();
  CHECK(is_open(fd));
  close(fd);
}

TEST("adopted files are closed with the engine, reported or not") {
  DrivenEngine engine;
  const auto before = test::open_fds();
  const int reported = engine.run(open_adopted(0));
  CHECK(is_open(reported));
  engine.stage(open_adopted(1));
  CHECK(engine->drain(ample));
  CHECK_EQUAL(test::open_fds().size(), before.size() + 2);
  engine->close_adopted();
  CHECK(test::open_fds() == before);
  const int other = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  CHECK_EQUAL(other, reported);
  engine->close_adopted();  // once is enough: the number means another file now
  CHECK(is_open(other));
  close(other);
}

TEST("an adopted file that was closed is not closed again: its number may mean another") {
  DrivenEngine engine;
  const int fd = engine.run(open_adopted(0));
  CHECK_EQUAL(engine.run(test::close_file(0, fd)), 0);
  const int other = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  CHECK_EQUAL(other, fd);
  engine->close_adopted();
  CHECK(is_open(other));
  close(other);
}

TEST("an operation that fails adopts nothing") {
  DrivenEngine engine;
  const std::string nowhere = "/nowhere/at/all";
  auto failing = test::openat(0, nowhere, O_RDONLY, 0);
  failing.op_flags = uring::Descriptor::adopt;
  CHECK(engine.run(failing) < 0);
  const auto before = test::open_fds();
  engine->close_adopted();
  CHECK(test::open_fds() == before);
}

TEST("only the result of an opening is a descriptor, whatever the slot was used for before") {
  DrivenEngine engine;
  test::Pipe pipe;
  CHECK_EQUAL(dup2(pipe.reader(), 0), 0);  // the result of what follows would mean this one
  close(engine.run(open_plainly(0)));
  engine.stage(test::nop(0));
  CHECK(engine->drain(ample));
  CHECK(is_open(0));
  CHECK(is_open(engine.run(open_adopted(0))));
  auto no_opening = test::nop(0);
  no_opening.op_flags = uring::Descriptor::adopt;
  CHECK_EQUAL(engine.run(no_opening), 0);
  engine->close_adopted();
  CHECK(is_open(0));
}

TEST("an adopted file whose close was cancelled is closed with the engine all the same") {
  DrivenEngine engine;
  test::Pipe pipe;
  Bytes memory(16);
  const int fd = engine.run(open_adopted(0));
  // The close waits for a read that never ends; both are cancelled.
  engine.stage(test::with_flags(test::read(1, pipe.reader(), memory.data(), 16, 0), IOSQE_IO_LINK));
  engine.stage(test::close_file(2, fd));
  CHECK(engine->drain(ample));
  engine->close_adopted();
  CHECK(!is_open(fd));
}
