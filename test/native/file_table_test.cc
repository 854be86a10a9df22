// Fixed files: an operation on an index means the file that was installed there, and no other.
#include "file_table.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <vector>

#include "harness.h"
#include "support.h"

using test::Bytes;
using test::DrivenEngine;
using uring::FileTable;

namespace {

void require_table(DrivenEngine& engine) {
  if (!engine->files().available()) test::skip("this kernel refuses a table of fixed files");
}

uring::Descriptor read_fixed_file(uint32_t slot, int index, Bytes& into) {
  const auto length = static_cast<uint32_t>(into.size());
  return test::with_flags(test::read(slot, index, into.data(), length, 0), IOSQE_FIXED_FILE);
}

}  // namespace

TEST("an installed file is read and written by its index") {
  DrivenEngine engine;
  require_table(engine);
  const Bytes content = test::random_bytes(5000, 1);
  test::TempFile file(content);
  const int index = engine->files().install(file.fd());
  CHECK(index >= 0);
  CHECK_EQUAL(engine->files().in_use(), 1);
  Bytes found(5000);
  CHECK_EQUAL(engine.run(read_fixed_file(0, index, found)), 5000);
  CHECK(found == content);
  const Bytes other = test::random_bytes(5000, 2);
  CHECK_EQUAL(engine.run(test::with_flags(test::write(0, index, other.data(), 5000, 0),
                                          IOSQE_FIXED_FILE)),
              5000);
  CHECK(file.content() == other);
}

TEST("a descriptor closed and reused by another file does not redirect its index") {
  DrivenEngine engine;
  require_table(engine);
  const Bytes first = test::random_bytes(4096, 1);
  const Bytes second = test::random_bytes(4096, 2);
  test::TempFile first_file(first);
  test::TempFile second_file(second);
  const int fd = dup(first_file.fd());
  const int index = engine->files().install(fd);
  CHECK(index >= 0);
  close(fd);
  CHECK_EQUAL(dup(second_file.fd()), fd);
  Bytes by_index(4096);
  Bytes by_descriptor(4096);
  CHECK_EQUAL(engine.run(read_fixed_file(0, index, by_index)), 4096);
  CHECK_EQUAL(engine.run(test::read(0, fd, by_descriptor.data(), 4096, 0)), 4096);
  CHECK(by_index == first);
  CHECK(by_descriptor == second);
  close(fd);
}

TEST("a full table has no index to give until one is removed") {
  DrivenEngine engine;
  require_table(engine);
  test::TempFile file;
  std::set<int> indexes;
  for (uint32_t i = 0; i < FileTable::entries; i++) {
    indexes.insert(engine->files().install(file.fd()));
  }
  CHECK_EQUAL(indexes.size(), FileTable::entries);
  CHECK_EQUAL(*indexes.begin(), 0);
  CHECK_EQUAL(*indexes.rbegin(), FileTable::entries - 1);
  CHECK_EQUAL(engine->files().install(file.fd()), FileTable::none);
  CHECK_EQUAL(engine->files().in_use(), FileTable::entries);
  engine->files().remove(100);
  CHECK_EQUAL(engine->files().install(file.fd()), 100);
}

TEST("an index used again means its new file") {
  DrivenEngine engine;
  require_table(engine);
  // The longest free index is handed out first, so each comes again after as many rounds as there are.
  std::vector<int> indexes;
  for (uint64_t round = 0; round < FileTable::entries + 20; round++) {
    const Bytes content = test::random_bytes(100, round);
    test::TempFile file(content);
    const int index = engine->files().install(file.fd());
    if (round >= FileTable::entries) CHECK_EQUAL(index, indexes[round - FileTable::entries]);
    indexes.push_back(index);
    Bytes found(100);
    CHECK_EQUAL(engine.run(read_fixed_file(0, index, found)), 100);
    CHECK(found == content);
    engine->files().remove(index);
    CHECK_EQUAL(engine->files().in_use(), 0);
  }
}

TEST("an index without a file answers EBADF") {
  DrivenEngine engine;
  require_table(engine);
  test::TempFile file(Bytes(10, 1));
  Bytes found(10);
  CHECK_EQUAL(engine.run(read_fixed_file(0, 7, found)), -EBADF);
  const int index = engine->files().install(file.fd());
  engine->files().remove(index);
  CHECK_EQUAL(engine.run(read_fixed_file(0, index, found)), -EBADF);
}

TEST("what is no open descriptor is not installed") {
  DrivenEngine engine;
  require_table(engine);
  const int closed = dup(1);
  close(closed);
  CHECK_EQUAL(engine->files().install(closed), FileTable::none);
  CHECK_EQUAL(engine->files().install(1 << 30), FileTable::none);
  CHECK_EQUAL(engine->files().in_use(), 0);
}

TEST("a negative descriptor is not installed") {
  DrivenEngine engine;
  require_table(engine);
  for (const int fd : {-1, -2, -3, AT_FDCWD}) {
    CHECK_EQUAL(engine->files().install(fd), FileTable::none);
    CHECK_EQUAL(engine->files().in_use(), 0);
  }
}

TEST("another ring is not installed") {
  DrivenEngine engine;
  require_table(engine);
  DrivenEngine other;
  CHECK_EQUAL(engine->files().install(other->ring().fd()), FileTable::none);
  CHECK_EQUAL(engine->files().in_use(), 0);
}

TEST("the table keeps a file open until it is removed") {
  DrivenEngine engine;
  require_table(engine);
  int ends[2];
  CHECK_EQUAL(pipe(ends), 0);
  const int index = engine->files().install(ends[1]);
  CHECK(index >= 0);
  close(ends[1]);
  CHECK_EQUAL(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
  char byte;
  CHECK_EQUAL(read(ends[0], &byte, 1), -1);
  CHECK_EQUAL(errno, EAGAIN);  // there is a writer still: no end of file
  engine->files().remove(index);
  CHECK_EQUAL(fcntl(ends[0], F_SETFL, 0), 0);
  CHECK_EQUAL(read(ends[0], &byte, 1), 0);
  close(ends[0]);
}

// Not from one that waits for a thread of the kernel (IOSQE_ASYNC): that looks its file up later.
TEST("removing a file does not pull it away from a read that has begun") {
  DrivenEngine engine;
  require_table(engine);
  test::Pipe pipe;
  const int reader = dup(pipe.reader());
  const int index = engine->files().install(reader);
  Bytes found(100);
  engine.stage(read_fixed_file(0, index, found));
  CHECK_EQUAL(engine->submit(), 0);
  CHECK_EQUAL(engine.reap().size(), 0);
  engine->files().remove(index);
  close(reader);
  const Bytes sent = test::random_bytes(100, 3);
  pipe.put(sent);
  CHECK_EQUAL(engine.gather(1).front().result, 100);
  CHECK(found == sent);
}
