// Copies of small files, many in one call.
#include "small_files.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "harness.h"
#include "support.h"

namespace {

class TempDirectory {
 public:
  TempDirectory() : path_(std::string(getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp") + "/small.XXXXXX") {
    CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~TempDirectory() {
    for (const char* name : {"source", "fifo", "link", "copy"}) unlink(file(name).c_str());
    rmdir(path_.c_str());
  }
  std::string file(const char* name) const { return path_ + "/" + name; }
  std::string make_source(const test::Bytes& content) const {
    FILE* made = fopen(file("source").c_str(), "wb");
    CHECK(made != nullptr && fwrite(content.data(), 1, content.size(), made) == content.size());
    CHECK(fclose(made) == 0);
    return file("source");
  }

 private:
  std::string path_;
};

int64_t copy(const std::string& from, const std::string& to) {
  const std::string paths = from + '\0' + to + '\0';
  int64_t result = 0;
  uring::copy_small_files(paths, false, {&result, 1});
  return result;
}

// How often a file is opened.
class Opens {
 public:
  explicit Opens(const std::string& path) : fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    CHECK(fd_ >= 0 && inotify_add_watch(fd_, path.c_str(), IN_OPEN) >= 0);
  }
  ~Opens() { close(fd_); }
  size_t count() {
    inotify_event events[8];
    const ssize_t got = read(fd_, events, sizeof events);
    return got < 0 ? 0 : static_cast<size_t>(got) / sizeof(inotify_event);
  }

 private:
  int fd_;
};

}  // namespace

TEST("a small file is copied") {
  const TempDirectory directory;
  const test::Bytes content = test::random_bytes(5000, 1);
  const std::string source = directory.make_source(content);
  Opens opens(source);
  CHECK_EQUAL(copy(source, directory.file("copy")), 5000);
  CHECK_EQUAL(opens.count(), 1u);
  test::Bytes copied(6000);
  FILE* file = fopen(directory.file("copy").c_str(), "rb");
  CHECK(file != nullptr);
  copied.resize(fread(copied.data(), 1, copied.size(), file));
  fclose(file);
  CHECK(copied == content);
}

// A writer that waits for a reader of it would begin to write, and die of it: the reader is gone at once.
TEST("a FIFO is not opened to see that it is one") {
  const TempDirectory directory;
  CHECK(mkfifo(directory.file("fifo").c_str(), 0600) == 0);
  Opens opens(directory.file("fifo"));
  CHECK_EQUAL(copy(directory.file("fifo"), directory.file("copy")), -EFBIG);
  CHECK_EQUAL(opens.count(), 0u);
  CHECK(access(directory.file("copy").c_str(), F_OK) != 0);
}

TEST("a link is left to who knows whether it is to be followed") {
  const TempDirectory directory;
  const std::string source = directory.make_source(test::random_bytes(5000, 1));
  CHECK(symlink(source.c_str(), directory.file("link").c_str()) == 0);
  CHECK_EQUAL(copy(directory.file("link"), directory.file("copy")), -EFBIG);
  CHECK(access(directory.file("copy").c_str(), F_OK) != 0);
}

TEST("what is not there is told of") {
  const TempDirectory directory;
  CHECK_EQUAL(copy(directory.file("fifo"), directory.file("copy")), -ENOENT);
}
