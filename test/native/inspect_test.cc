// What a stream learns of an open file.
#include "inspect.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "harness.h"
#include "support.h"

using uring::FileFacts;

namespace {

FileFacts facts_of(int fd) {
  FileFacts facts;
  CHECK_EQUAL(uring::inspect(fd, facts), 0);
  return facts;
}

FileFacts facts_of(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  CHECK(fd >= 0);
  const FileFacts facts = facts_of(fd);
  close(fd);
  return facts;
}

}  // namespace

TEST("a regular file has its size, and the position of its descriptor") {
  test::TempFile file(test::Bytes(12'345, 'a'));
  CHECK_EQUAL(lseek(file.fd(), 1000, SEEK_SET), 1000);
  const FileFacts facts = facts_of(file.fd());
  CHECK(facts.regular);
  CHECK(!facts.append);
  CHECK_EQUAL(facts.size, 12'345);
  CHECK_EQUAL(facts.position, 1000);
}

TEST("sizes and positions beyond 4 GiB are whole") {
  test::TempFile file;
  constexpr int64_t size = (int64_t{6} << 30) + 7;
  CHECK_EQUAL(ftruncate(file.fd(), size), 0);
  CHECK_EQUAL(uring::seek(file.fd(), size - 1), 0);
  const FileFacts facts = facts_of(file.fd());
  CHECK_EQUAL(facts.size, size);
  CHECK_EQUAL(facts.position, size - 1);
}

TEST("a file that has direct IO says on which boundaries, and one of /proc does not") {
  test::TempFile file(test::Bytes(8192, 'a'));
  const int64_t alignment = facts_of(file.path(), O_RDONLY).direct_alignment;
  const int direct = open(file.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (direct >= 0 && alignment > 0) {
    void* memory = nullptr;
    CHECK_EQUAL(posix_memalign(&memory, static_cast<size_t>(alignment), 8192), 0);
    CHECK_EQUAL(pread(direct, memory, 4096, alignment), 8192 - alignment < 4096 ? 8192 - alignment : 4096);
    free(memory);
  }
  if (direct >= 0) close(direct);
  if (alignment > 0) CHECK_EQUAL(alignment & (alignment - 1), 0);
  CHECK(alignment > 0 || alignment == -1 || direct < 0);
  CHECK(facts_of("/proc/self/status", O_RDONLY).direct_alignment <= 0);
}

TEST("a descriptor opened to append says so") {
  test::TempFile file;
  CHECK(facts_of(file.path(), O_WRONLY | O_APPEND).append);
  CHECK(!facts_of(file.path(), O_WRONLY).append);
}

TEST("a regular file that was just opened is asked for nothing that its opener knows") {
  test::TempFile file(test::Bytes(12'345, 'a'));
  CHECK_EQUAL(lseek(file.fd(), 1000, SEEK_SET), 1000);
  FileFacts facts = {};
  CHECK_EQUAL(uring::inspect(file.fd(), facts, true), 0);
  CHECK(facts.regular);
  CHECK_EQUAL(facts.size, 12'345);
  CHECK_EQUAL(facts.position, 0);
  facts.append = true;
  CHECK_EQUAL(uring::inspect(file.fd(), facts, true), 0);
  CHECK(facts.append);
}

TEST("a pipe that was just opened has no position either") {
  int ends[2];
  CHECK_EQUAL(pipe(ends), 0);
  FileFacts facts;
  CHECK_EQUAL(uring::inspect(ends[0], facts, true), 0);
  CHECK(!facts.regular);
  CHECK_EQUAL(facts.position, -1);
  close(ends[0]);
  close(ends[1]);
}

TEST("a pipe is not regular, and has no position") {
  test::Pipe pipe;
  for (const int fd : {pipe.reader(), pipe.writer()}) {
    const FileFacts facts = facts_of(fd);
    CHECK(!facts.regular);
    CHECK_EQUAL(facts.position, -1);
  }
}

TEST("a directory and a device are not regular") {
  CHECK(!facts_of("/", O_RDONLY | O_DIRECTORY).regular);
  CHECK(!facts_of("/dev/null", O_RDONLY).regular);
}

TEST("a block device has a size, the boundaries of direct IO, and is not regular") {
  const int fd = open("/dev/loop0", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;  // none here, or not for us; test/direct makes one
  const FileFacts facts = facts_of(fd);
  CHECK(facts.block);
  CHECK(!facts.regular);
  CHECK(facts.size >= 0);
  CHECK(facts.direct_alignment >= 512);
  close(fd);
}

TEST("a file of /proc is regular, of size 0, and has content all the same") {
  const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  const FileFacts facts = facts_of(fd);
  CHECK(facts.regular);
  CHECK_EQUAL(facts.size, 0);
  CHECK_EQUAL(facts.position, 0);
  char byte;
  CHECK_EQUAL(read(fd, &byte, 1), 1);
  close(fd);
}

TEST("what is no open descriptor is EBADF") {
  const int closed = dup(1);
  close(closed);
  FileFacts facts;
  CHECK_EQUAL(uring::inspect(closed, facts), -EBADF);
  CHECK_EQUAL(uring::inspect(-1, facts), -EBADF);
  CHECK_EQUAL(uring::seek(closed, 0), -EBADF);
  CHECK_EQUAL(uring::advance(closed, 0), -EBADF);
}

TEST("seeking moves the position of the descriptor") {
  test::TempFile file(test::random_bytes(100, 1));
  CHECK_EQUAL(uring::seek(file.fd(), 77), 0);
  CHECK_EQUAL(uring::seek(file.fd(), 42), 0);
  CHECK_EQUAL(lseek(file.fd(), 0, SEEK_CUR), 42);
  unsigned char byte;
  CHECK_EQUAL(read(file.fd(), &byte, 1), 1);
  CHECK_EQUAL(byte, file.content()[42]);
  CHECK_EQUAL(uring::advance(file.fd(), 7), 43);
  CHECK_EQUAL(uring::advance(file.fd(), 0), 50);
}

TEST("seeking where there is no position, or to a negative one, is an error") {
  test::Pipe pipe;
  CHECK_EQUAL(uring::seek(pipe.reader(), 0), -ESPIPE);
  CHECK_EQUAL(uring::advance(pipe.reader(), 0), -ESPIPE);
  test::TempFile file;
  CHECK_EQUAL(uring::seek(file.fd(), -5), -EINVAL);
}
