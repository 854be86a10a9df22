// Each operation from its descriptor to its effect.
#include "operation.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "harness.h"
#include "support.h"

using test::Bytes;
using test::DrivenEngine;

namespace {

uring::Descriptor operation(uint8_t opcode, int fd) {
  uring::Descriptor descriptor = test::nop(0);
  descriptor.opcode = opcode;
  descriptor.fd = fd;
  return descriptor;
}

void require_registration(DrivenEngine& engine, int64_t offset) {
  if (engine->arena().registered_index(static_cast<uint64_t>(offset)) >= 0) return;
  test::skip("this kernel, or RLIMIT_MEMLOCK, does not let buffers be registered");
}

io_uring_sqe prepared(DrivenEngine& engine, const uring::Descriptor& descriptor) {
  io_uring_sqe sqe = {};
  CHECK(uring::prepare(sqe, descriptor, 0, engine->arena()));
  return sqe;
}

}  // namespace

TEST("an operation that is not known here is not prepared") {
  const uring::BufferArena arena;
  for (const int opcode : {int{IORING_OP_READV}, int{IORING_OP_SENDMSG}, 200, 255}) {
    io_uring_sqe sqe = {};
    CHECK(!uring::prepare(sqe, operation(static_cast<uint8_t>(opcode), 0), 0, arena));
  }
}

TEST("the kernel never sees the flag of arena memory") {
  DrivenEngine engine;
  const int64_t offset = engine->arena().acquire(4096);
  const auto descriptor = test::with_flags(test::arena_read(0, 3, offset, 4096, 0), IOSQE_ASYNC);
  CHECK_EQUAL(prepared(engine, descriptor).flags, IOSQE_ASYNC);
}

TEST("receiving into arena memory stays receiving") {
  DrivenEngine engine;
  const int64_t offset = engine->arena().acquire(4096);
  auto descriptor = test::arena_read(0, 3, offset, 4096, 0);
  descriptor.opcode = IORING_OP_RECV;
  CHECK_EQUAL(prepared(engine, descriptor).opcode, IORING_OP_RECV);
}

TEST("bytes written from memory are read back into other memory") {
  DrivenEngine engine;
  test::TempFile file;
  const Bytes sent = test::random_bytes(300'000, 1);
  CHECK_EQUAL(engine.run(test::write(0, file.fd(), sent.data(), 300'000, 1234)), 300'000);
  CHECK_EQUAL(file.content().size(), 301'234);
  Bytes found(300'000);
  CHECK_EQUAL(engine.run(test::read(0, file.fd(), found.data(), 300'000, 1234)), 300'000);
  CHECK(found == sent);
}

TEST("buffers are written and read in their fixed form, those of the last segments in the plain one") {
  DrivenEngine engine;
  constexpr uint32_t registered = uring::BufferArena::registered_max;
  for (uint32_t segment = 0; segment < uring::BufferArena::segments_max; segment++) {
    const int64_t out = engine->arena().acquire(1 << 20);
    const int64_t in = engine->arena().acquire(1 << 20);
    const bool fixed = segment < registered;
    if (fixed) require_registration(engine, out);
    const Bytes sent = test::random_bytes(1 << 20, segment);
    std::memcpy(engine->arena().address(out), sent.data(), sent.size());
    test::TempFile file;
    const auto writing = test::arena_write(0, file.fd(), out, 1 << 20, 0);
    const auto reading = test::arena_read(0, file.fd(), in, 1 << 20, 0);
    CHECK_EQUAL(prepared(engine, writing).opcode, fixed ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE);
    CHECK_EQUAL(prepared(engine, reading).opcode, fixed ? IORING_OP_READ_FIXED : IORING_OP_READ);
    CHECK_EQUAL(prepared(engine, reading).buf_index, fixed ? segment : 0);
    CHECK_EQUAL(engine.run(writing), 1 << 20);
    CHECK_EQUAL(engine.run(reading), 1 << 20);
    CHECK(file.content() == sent);
    CHECK_EQUAL(std::memcmp(engine->arena().address(in), sent.data(), sent.size()), 0);
  }
  CHECK_EQUAL(engine->arena().registered_segments(), registered);
}

TEST("segments are registered one by one, as they come into use, and once only") {
  DrivenEngine engine;
  auto& arena = engine->arena();
  CHECK_EQUAL(arena.registered_segments(), 0);
  const int64_t first = arena.acquire(1 << 21);
  require_registration(engine, first);
  CHECK_EQUAL(arena.registered_segments(), 1);
  const int64_t second = arena.acquire(1 << 21);
  CHECK_EQUAL(arena.registered_segments(), 2);
  arena.release(first);
  arena.release(second);
  CHECK(arena.acquire(4096) >= 0);
  CHECK_EQUAL(arena.registered_segments(), 2);
}

TEST("part of an arena buffer is read without touching the rest") {
  DrivenEngine engine;
  const Bytes content = test::random_bytes(4096, 1);
  test::TempFile file(content);
  const int64_t offset = engine->arena().acquire(8192);
  auto* buffer = static_cast<unsigned char*>(engine->arena().address(offset));
  std::memset(buffer, 0xaa, 8192);
  CHECK_EQUAL(engine.run(test::arena_read(0, file.fd(), offset + 1000, 500, 70)), 500);
  CHECK_EQUAL(std::memcmp(buffer + 1000, content.data() + 70, 500), 0);
  for (int i = 0; i < 8192; i++) {
    if (i < 1000 || i >= 1500) CHECK_EQUAL(buffer[i], 0xaa);
  }
}

TEST("a read across the end of a file is short, one at the end is empty") {
  DrivenEngine engine;
  const Bytes content = test::random_bytes(10'000, 1);
  test::TempFile file(content);
  Bytes found(4096, 0xaa);
  CHECK_EQUAL(engine.run(test::read(0, file.fd(), found.data(), 4096, 8192)), 1808);
  CHECK_EQUAL(std::memcmp(found.data(), content.data() + 8192, 1808), 0);
  CHECK_EQUAL(found[1808], 0xaa);
  CHECK_EQUAL(engine.run(test::read(0, file.fd(), found.data(), 4096, 10'000)), 0);
  CHECK_EQUAL(engine.run(test::read(0, file.fd(), found.data(), 4096, 1 << 30)), 0);
}

TEST("positions beyond 4 GiB are meant") {
  DrivenEngine engine;
  test::TempFile file;
  constexpr uint64_t position = (uint64_t{5} << 30) + 321;
  const Bytes sent = test::random_bytes(100, 1);
  CHECK_EQUAL(engine.run(test::write(0, file.fd(), sent.data(), 100, position)), 100);
  Bytes found(100);
  CHECK_EQUAL(::pread(file.fd(), found.data(), 100, position), 100);
  CHECK(found == sent);
  Bytes read_back(100);
  CHECK_EQUAL(engine.run(test::read(0, file.fd(), read_back.data(), 100, position)), 100);
  CHECK(read_back == sent);
}

TEST("a position of all ones is the file's own, which moves") {
  DrivenEngine engine;
  const Bytes content = test::random_bytes(300, 1);
  test::TempFile file(content);
  CHECK_EQUAL(lseek(file.fd(), 50, SEEK_SET), 50);
  Bytes found(200);
  for (uint32_t done = 0; done < 200; done += 100) {
    const auto next = test::read(0, file.fd(), found.data() + done, 100, test::own_position);
    CHECK_EQUAL(engine.run(next), 100);
  }
  CHECK_EQUAL(std::memcmp(found.data(), content.data() + 50, 200), 0);
  CHECK_EQUAL(lseek(file.fd(), 0, SEEK_CUR), 250);
}

TEST("the flags of a transfer reach the kernel: RWF_APPEND writes at the end") {
  DrivenEngine engine;
  test::TempFile file(Bytes(10, 'a'));
  const Bytes sent(5, 'b');
  auto descriptor = test::write(0, file.fd(), sent.data(), 5, 0);
  descriptor.op_flags = RWF_APPEND;
  CHECK_EQUAL(engine.run(descriptor), 5);
  Bytes expected(10, 'a');
  expected.insert(expected.end(), 5, 'b');
  CHECK(file.content() == expected);
}

TEST("errors of the kernel are results") {
  DrivenEngine engine;
  test::TempFile file(Bytes(10, 'a'));
  Bytes found(10);
  CHECK_EQUAL(engine.run(test::read(0, 1 << 20, found.data(), 10, 0)), -EBADF);
  CHECK_EQUAL(engine.run(test::read(0, file.fd(), nullptr, 10, 0)), -EFAULT);
  const int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK_EQUAL(engine.run(test::read(0, directory, found.data(), 10, 0)), -EISDIR);
  close(directory);
}

TEST("fsync takes its flags from the descriptor") {
  DrivenEngine engine;
  test::TempFile file(Bytes(10, 'a'));
  auto fsync = operation(IORING_OP_FSYNC, file.fd());
  CHECK_EQUAL(engine.run(fsync), 0);
  fsync.op_flags = IORING_FSYNC_DATASYNC;
  CHECK_EQUAL(engine.run(fsync), 0);
  fsync.op_flags = 0x80;
  CHECK_EQUAL(engine.run(fsync), -EINVAL);
  test::Pipe pipe;
  CHECK_EQUAL(engine.run(operation(IORING_OP_FSYNC, pipe.reader())), -EINVAL);
}

TEST("a file is made, opened and closed through the engine") {
  DrivenEngine engine;
  std::string directory = "/tmp/uring-streams-XXXXXX";
  if (const char* other = std::getenv("TMPDIR")) directory = std::string(other) + "/opened-XXXXXX";
  CHECK(mkdtemp(directory.data()) != nullptr);
  const std::string path = directory + "/made";
  umask(0);
  const int fd = engine.run(test::openat(0, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  CHECK(fd >= 0);
  const int again = engine.run(test::openat(0, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  struct stat found;
  const int stat_error = fstat(fd, &found);
  unlink(path.c_str());
  rmdir(directory.c_str());
  CHECK_EQUAL(again, -EEXIST);
  CHECK_EQUAL(stat_error, 0);
  CHECK_EQUAL(found.st_mode & 07777, 0640);
  CHECK_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
  CHECK_EQUAL(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
  CHECK_EQUAL(engine.run(test::close_file(0, fd)), 0);
  CHECK_EQUAL(fcntl(fd, F_GETFD), -1);
  CHECK_EQUAL(engine.run(test::close_file(0, fd)), -EBADF);
}

TEST("opening what is not there is ENOENT, and takes no descriptor") {
  DrivenEngine engine;
  const auto before = test::open_fds();
  const std::string path = "/nowhere/at/all";
  CHECK_EQUAL(engine.run(test::openat(0, path, O_RDONLY, 0)), -ENOENT);
  CHECK(test::open_fds() == before);
}

TEST("a poll ends when what it waits for comes, and not before") {
  DrivenEngine engine;
  test::Pipe pipe;
  auto poll_add = operation(IORING_OP_POLL_ADD, pipe.reader());
  poll_add.position_low = POLLIN;
  engine.stage(poll_add);
  CHECK_EQUAL(engine->submit(), 0);
  CHECK_EQUAL(engine.reap().size(), 0);
  pipe.put(Bytes(1, 'a'));
  CHECK_EQUAL(engine.gather(1).front().result, POLLIN);
  poll_add.fd = pipe.writer();
  poll_add.position_low = POLLOUT;
  CHECK_EQUAL(engine.run(poll_add), POLLOUT);
}
