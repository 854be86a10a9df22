#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <random>

#include "harness.h"

namespace test {
namespace {

uring::Descriptor transfer(uint8_t opcode, uint32_t slot, int fd, uint64_t address, uint32_t length,
                           uint64_t position) {
  uring::Descriptor descriptor = {};
  descriptor.opcode = opcode;
  descriptor.slot = slot;
  descriptor.fd = fd;
  descriptor.length = length;
  descriptor.position_low = static_cast<uint32_t>(position);
  descriptor.position_high = static_cast<uint32_t>(position >> 32);
  descriptor.address_low = static_cast<uint32_t>(address);
  descriptor.address_high = static_cast<uint32_t>(address >> 32);
  return descriptor;
}

uint64_t address_of(const void* memory) { return reinterpret_cast<uint64_t>(memory); }

}  // namespace

uring::Descriptor nop(uint32_t slot) { return transfer(IORING_OP_NOP, slot, -1, 0, 0, 0); }

uring::Descriptor read(uint32_t slot, int fd, void* memory, uint32_t length, uint64_t position) {
  return transfer(IORING_OP_READ, slot, fd, address_of(memory), length, position);
}

uring::Descriptor write(uint32_t slot, int fd, const void* memory, uint32_t length,
                        uint64_t position) {
  return transfer(IORING_OP_WRITE, slot, fd, address_of(memory), length, position);
}

uring::Descriptor arena_read(uint32_t slot, int fd, int64_t offset, uint32_t length,
                             uint64_t position) {
  const auto at = static_cast<uint64_t>(offset);
  return with_flags(transfer(IORING_OP_READ, slot, fd, at, length, position),
                    uring::Descriptor::arena_memory);
}

uring::Descriptor arena_write(uint32_t slot, int fd, int64_t offset, uint32_t length,
                              uint64_t position) {
  const auto at = static_cast<uint64_t>(offset);
  return with_flags(transfer(IORING_OP_WRITE, slot, fd, at, length, position),
                    uring::Descriptor::arena_memory);
}

uring::Descriptor openat(uint32_t slot, const std::string& path, int flags, uint32_t mode) {
  return transfer(IORING_OP_OPENAT, slot, AT_FDCWD, address_of(path.c_str()), mode,
                  static_cast<uint32_t>(flags));
}

uring::Descriptor close_file(uint32_t slot, int fd) {
  return transfer(IORING_OP_CLOSE, slot, fd, 0, 0, 0);
}

uring::Descriptor with_flags(uring::Descriptor descriptor, uint8_t flags) {
  descriptor.flags |= flags;
  return descriptor;
}

void require_ring(int error) {
  if (error == -EPERM || error == -ENOSYS) {
    skip(std::string("io_uring is refused here: io_uring_setup: ") + std::strerror(-error));
  }
  CHECK_EQUAL(error, 0);
}

DrivenEngine::DrivenEngine(const uring::RingOptions& options) {
  require_ring(engine_.open(options));
  const uint32_t entries = engine_.ring().cq_entries();
  header_.resize(uring::Shared::words);
  descriptors_.resize(entries);
  completions_.resize(entries);
  extras_.resize(entries);
  counters_.resize(uring::Engine::counters);
  share(entries, 0);
}

DrivenEngine::~DrivenEngine() { CHECK(engine_.drain(std::chrono::seconds(seconds_max))); }

void DrivenEngine::share(uint32_t completions_max, uint32_t staged_before) {
  header_[uring::Shared::staged] = header_[uring::Shared::taken] = staged_before;
  engine_.share({.header = header_.data(),
                 .descriptors = descriptors_.data(),
                 .descriptors_mask = static_cast<uint32_t>(descriptors_.size()) - 1,
                 .extras = extras_.data(),
                 .completions = completions_.data(),
                 .completions_max = completions_max,
                 .counters = counters_.data()});
}

void DrivenEngine::stage(const uring::Descriptor& descriptor) {
  // By itself, as JavaScript does: not where Engine::descriptor says.
  descriptors_[header_[uring::Shared::staged]++ & (descriptors_.size() - 1)] = descriptor;
}

std::vector<uring::Completion> DrivenEngine::reap() {
  const uint32_t count = engine_.reap();
  CHECK_EQUAL(header_[uring::Shared::completed], count);
  CHECK_EQUAL(header_[uring::Shared::dispatched], 0);
  header_[uring::Shared::dispatched] = count;
  return {completions_.begin(), completions_.begin() + count};
}

std::vector<uring::Completion> DrivenEngine::gather(size_t count) {
  std::vector<uring::Completion> gathered;
  while (gathered.size() < count) {
    CHECK_EQUAL(engine_.submit(), 0);
    const auto batch = reap();
    gathered.insert(gathered.end(), batch.begin(), batch.end());
    if (!batch.empty() || engine_.staged() || gathered.size() == count) continue;
    pollfd ring = {.fd = engine_.ring().fd(), .events = POLLIN, .revents = 0};
    poll(&ring, 1, -1);
  }
  CHECK_EQUAL(gathered.size(), count);
  return gathered;
}

int DrivenEngine::run(const uring::Descriptor& descriptor) {
  stage(descriptor);
  const auto completion = gather(1).front();
  CHECK_EQUAL(completion.slot, descriptor.slot);
  return completion.result;
}

Bytes random_bytes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(count);
  for (auto& byte : bytes) byte = static_cast<unsigned char>(random());
  return bytes;
}

TempFile::TempFile(const Bytes& content) {
  const char* directory = std::getenv("TMPDIR");
  std::string name = directory != nullptr ? directory : "/tmp";
  name += "/uring-streams-XXXXXX";
  fd_ = mkostemp(name.data(), O_CLOEXEC);
  CHECK(fd_ >= 0);
  unlink(name.c_str());  // now: a test that fails does not come back here
  path_ = "/proc/self/fd/" + std::to_string(fd_);
  CHECK_EQUAL(::pwrite(fd_, content.data(), content.size(), 0),
              static_cast<ssize_t>(content.size()));
}

TempFile::~TempFile() { close(fd_); }

Bytes TempFile::content() const {
  struct stat found;
  CHECK_EQUAL(fstat(fd_, &found), 0);
  Bytes bytes(static_cast<size_t>(found.st_size));
  CHECK_EQUAL(::pread(fd_, bytes.data(), bytes.size(), 0), found.st_size);
  return bytes;
}

Pipe::Pipe() { CHECK_EQUAL(pipe2(ends_, O_CLOEXEC), 0); }

Pipe::~Pipe() {
  close(ends_[0]);
  close(ends_[1]);
}

void Pipe::put(const Bytes& bytes) {
  CHECK_EQUAL(::write(writer(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
}

Bytes Pipe::take() {
  int waiting = 0;
  CHECK_EQUAL(ioctl(reader(), FIONREAD, &waiting), 0);
  Bytes bytes(static_cast<size_t>(waiting));
  if (waiting > 0) CHECK_EQUAL(::read(reader(), bytes.data(), bytes.size()), waiting);
  return bytes;
}

std::vector<int> open_fds() {
  std::vector<int> fds;
  DIR* directory = opendir("/proc/self/fd");
  CHECK(directory != nullptr);
  while (const dirent* entry = readdir(directory)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != dirfd(directory)) fds.push_back(fd);
  }
  closedir(directory);
  std::sort(fds.begin(), fds.end());
  return fds;
}

void refuse(long number, int error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {.len = std::size(filter), .filter = filter};
  CHECK_EQUAL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  CHECK_EQUAL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

uint64_t announced_seed() {
  const char* given = std::getenv("SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "# SEED=" << seed << std::endl;
  return seed;
}

}  // namespace test
