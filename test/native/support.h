// What several tests need: an engine with its shared memory, files, pipes, refusals.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine.h"

namespace test {

// Positions, as the descriptors' two halves have it: all ones means the file's own position.
constexpr uint64_t own_position = ~uint64_t{0};

uring::Descriptor nop(uint32_t slot);
uring::Descriptor read(uint32_t slot, int fd, void* memory, uint32_t length, uint64_t position);
uring::Descriptor write(uint32_t slot, int fd, const void* memory, uint32_t length,
                        uint64_t position);
// The same of or into arena memory.
uring::Descriptor arena_read(uint32_t slot, int fd, int64_t offset, uint32_t length,
                             uint64_t position);
uring::Descriptor arena_write(uint32_t slot, int fd, int64_t offset, uint32_t length,
                              uint64_t position);
// `path` must live until the completion.
uring::Descriptor openat(uint32_t slot, const std::string& path, int flags, uint32_t mode);
uring::Descriptor close_file(uint32_t slot, int fd);
uring::Descriptor with_flags(uring::Descriptor descriptor, uint8_t flags);

// Skips the test where the system has no io_uring for us; fails it for any other error.
void require_ring(int error);

// An engine driven as lib/engine-uring.ts and binding/engine_host.cc drive it.
class DrivenEngine {
 public:
  explicit DrivenEngine(const uring::RingOptions& options = {.entries = 32, .cq_entries = 64});
  // What is in flight may write into the test's memory: it ends first.
  ~DrivenEngine();

  uring::Engine* operator->() { return &engine_; }
  uring::Engine& operator*() { return engine_; }

  void stage(const uring::Descriptor& descriptor);
  // Submits, then reaps until this many completions have come.
  std::vector<uring::Completion> gather(size_t count);
  // One operation, alone. Its result.
  int run(const uring::Descriptor& descriptor);
  // What the next reap brings, without waiting.
  std::vector<uring::Completion> reap();
  // As the host was given less room for completions, or staged and took this many before.
  void share(uint32_t completions_max, uint32_t staged_before);
  double counter(uring::Engine::Counter counter) const { return counters_[counter]; }
  uint32_t word(uring::Shared::Word word) const { return header_[word]; }
  void set_word(uring::Shared::Word word, uint32_t value) { header_[word] = value; }

 private:
  uring::Engine engine_;
  std::vector<uint32_t> header_;
  std::vector<uring::Descriptor> descriptors_;
  std::vector<uint32_t> extras_;
  std::vector<uring::Completion> completions_;
  std::vector<double> counters_;
};

using Bytes = std::vector<unsigned char>;
Bytes random_bytes(size_t count, uint64_t seed);

// A file without a name.
class TempFile {
 public:
  explicit TempFile(const Bytes& content = {});
  ~TempFile();
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  int fd() const { return fd_; }
  // Opens it once more.
  const std::string& path() const { return path_; }
  Bytes content() const;

 private:
  std::string path_;
  int fd_;
};

class Pipe {
 public:
  Pipe();
  ~Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void put(const Bytes& bytes);
  // Everything that waits in the pipe.
  Bytes take();

 private:
  int ends_[2];
};

// The numbers of this process's open descriptors.
std::vector<int> open_fds();

// From here on the system call fails with `error` in this process: run it in a child.
void refuse(long number, int error);

// Of the environment variable SEED, else of the clock; printed, so that a failure can be repeated.
uint64_t announced_seed();

}  // namespace test
