// Random operations and cancels, checked against a plain model of the file.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <random>

#include "engine.h"
#include "harness.h"
#include "support.h"

using test::Bytes;
using test::DrivenEngine;

namespace {

constexpr uint32_t operations = 200'000;
constexpr uint32_t block_bytes = 8192;
constexpr uint32_t blocks = 64;
constexpr unsigned char untouched = 0x5a;

enum class Kind { none, nop, read, write, fsync, endless };

struct InstalledFile {
  int index = uring::FileTable::none;
  uint32_t users = 0;
};

// What was asked, by slot.
struct Asked {
  Kind kind = Kind::none;
  uint32_t position = 0;
  uint32_t length = 0;
  bool cancelled = false;
  InstalledFile* file = nullptr;
  int64_t arena_offset = uring::BufferArena::none;
  Bytes heap;
  Bytes written;
};

class Stress {
 public:
  explicit Stress(uint64_t seed)
      : random_(seed),
        model_(test::random_bytes(blocks * block_bytes, seed)),
        file_(model_),
        engine_({.entries = 64, .cq_entries = 64}) {
    asked_.resize(engine_->capacity());
    for (uint32_t slot = 0; slot < engine_->capacity(); slot++) free_.push_back(slot);
    for (InstalledFile& file : files_) file.index = engine_->files().install(file_.fd());
  }

  void run() {
    while (started_ < operations) {
      const uint64_t batch = std::min<uint64_t>({below(16), free_.size(), operations - started_});
      for (uint64_t i = 0; i < batch; i++) start(take_free_slot());
      // Also of slots that are free: they are spared.
      if (one_in(3)) cancel(static_cast<uint32_t>(below(engine_->capacity())));
      if (one_in(4)) reinstall(files_[below(files_.size())]);
      advance();
    }
    for (uint32_t slot = 0; slot < asked_.size(); slot++) {
      if (asked_[slot].kind == Kind::endless) cancel(slot);
    }
    while (!engine_->idle()) advance();
    check_end();
  }

 private:
  uint64_t below(uint64_t bound) { return random_() % bound; }
  bool one_in(uint64_t chance) { return below(chance) == 0; }

  uint32_t take_free_slot() {
    std::swap(free_[below(free_.size())], free_.back());
    const uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }

  Kind any_kind() {
    const uint64_t roll = below(1000);
    if (roll < 2) return Kind::fsync;
    if (roll < 250) return Kind::nop;
    if (roll < 600) return Kind::read;
    if (roll < 970) return Kind::write;
    return endless_ < 40 ? Kind::endless : Kind::nop;
  }

  void start(uint32_t slot) {
    Asked& asked = asked_[slot];
    asked = {};
    asked.kind = any_kind();
    const auto block = static_cast<uint32_t>(below(blocks));
    // One writer of a block or many readers: anything else has no one right answer.
    if (asked.kind == Kind::read && writers_[block] > 0) asked.kind = Kind::nop;
    if (asked.kind == Kind::write && (writers_[block] > 0 || readers_[block] > 0)) {
      asked.kind = Kind::nop;
    }
    const auto within = static_cast<uint32_t>(below(block_bytes));
    asked.position = block * block_bytes + within;
    asked.length = 1 + static_cast<uint32_t>(below(block_bytes - within));
    if (asked.kind == Kind::read) readers_[block]++;
    if (asked.kind == Kind::write) writers_[block]++;
    if (asked.kind == Kind::endless) endless_++;
    started_++;
    engine_.stage(describe(slot, asked));
  }

  uring::Descriptor describe(uint32_t slot, Asked& asked) {
    if (asked.kind == Kind::nop) return test::nop(slot);
    if (asked.kind == Kind::endless) {
      return test::read(slot, pipe_.reader(), give_memory(asked), asked.length, 0);
    }
    const bool writing = asked.kind == Kind::write;
    unsigned char* memory = give_memory(asked);
    if (writing) {
      asked.written = test::random_bytes(asked.length, random_());
      std::copy(asked.written.begin(), asked.written.end(), memory);
    }
    InstalledFile& installed = files_[below(files_.size())];
    const bool fixed = installed.index >= 0 && one_in(2);
    const int file = fixed ? installed.index : file_.fd();
    if (fixed) {
      asked.file = &installed;
      installed.users++;
    }
    uring::Descriptor descriptor = transfer(slot, asked, file, memory);
    if (asked.kind == Kind::fsync) {
      descriptor = test::nop(slot);
      descriptor.opcode = IORING_OP_FSYNC;
      descriptor.fd = file;
    }
    const uint8_t flags = (fixed ? IOSQE_FIXED_FILE : 0) | (one_in(16) ? IOSQE_ASYNC : 0);
    return test::with_flags(descriptor, flags);
  }

  uring::Descriptor transfer(uint32_t slot, const Asked& asked, int file, unsigned char* memory) {
    const bool writing = asked.kind == Kind::write;
    if (asked.arena_offset >= 0) {
      return (writing ? test::arena_write : test::arena_read)(slot, file, asked.arena_offset,
                                                              asked.length, asked.position);
    }
    return writing ? test::write(slot, file, memory, asked.length, asked.position)
                   : test::read(slot, file, memory, asked.length, asked.position);
  }

  // Of the arena or of the heap, and one byte more than asked for, to see that it stays as it was.
  unsigned char* give_memory(Asked& asked) {
    const bool transfers = asked.kind == Kind::read || asked.kind == Kind::write;
    if (transfers && one_in(2)) asked.arena_offset = engine_->arena().acquire(asked.length + 1);
    if (asked.arena_offset < 0) asked.heap.resize(asked.length + 1);
    unsigned char* memory = memory_of(asked);
    std::fill(memory, memory + asked.length + 1, untouched);
    return memory;
  }

  unsigned char* memory_of(Asked& asked) {
    if (asked.arena_offset < 0) return asked.heap.data();
    return static_cast<unsigned char*>(
        engine_->arena().address(static_cast<uint64_t>(asked.arena_offset)));
  }

  void cancel(uint32_t slot) {
    asked_[slot].cancelled = true;
    engine_->cancel(slot);
  }

  // The kernel looks an index up as late as when a thread of its own begins: only the completion
  // tells that it is free.
  void reinstall(InstalledFile& file) {
    if (file.index < 0 || file.users > 0) return;
    engine_->files().remove(file.index);
    file.index = engine_->files().install(file_.fd());
    reinstalled_++;
  }

  void advance() {
    CHECK_EQUAL(engine_->submit(), 0);
    for (const auto& completion : engine_.reap()) finish(completion);
  }

  void finish(const uring::Completion& completion) {
    Asked& asked = asked_[completion.slot];
    CHECK(asked.kind != Kind::none);
    check_result(asked, completion.result);
    const uint32_t block = asked.position / block_bytes;
    if (asked.kind == Kind::read) readers_[block]--;
    if (asked.kind == Kind::write) writers_[block]--;
    if (asked.kind == Kind::endless) endless_--;
    if (asked.file != nullptr) asked.file->users--;
    if (asked.arena_offset >= 0) engine_->arena().release(asked.arena_offset);
    asked = {};
    free_.push_back(completion.slot);
    finished_++;
  }

  void check_result(Asked& asked, int result) {
    const auto start = model_.begin() + asked.position;
    const auto length = static_cast<int>(asked.length);
    unsigned char* memory = asked.kind == Kind::nop ? nullptr : memory_of(asked);
    if (memory != nullptr) CHECK_EQUAL(memory[length], untouched);
    if (result == -ECANCELED) {
      CHECK(asked.cancelled);
      cancelled_++;
      return;
    }
    switch (asked.kind) {
      case Kind::read:
        CHECK_EQUAL(result, length);
        CHECK(std::equal(start, start + length, memory));
        return;
      case Kind::write:
        CHECK_EQUAL(result, length);
        std::copy(asked.written.begin(), asked.written.end(), start);
        return;
      case Kind::endless: CHECK_EQUAL(result, -ECANCELED); return;
      default: CHECK_EQUAL(result, 0);
    }
  }

  void check_end() {
    CHECK_EQUAL(finished_, operations);
    CHECK_EQUAL(free_.size(), engine_->capacity());
    CHECK_EQUAL(engine_.counter(uring::Engine::submitted), operations);
    CHECK_EQUAL(engine_.counter(uring::Engine::completed), operations);
    CHECK_EQUAL(engine_->arena().in_use(), 0);
    CHECK(cancelled_ > 0);
    CHECK(file_.content() == model_);
    std::cout << "# " << cancelled_ << " cancelled, " << reinstalled_
              << " files installed anew, the largest batch had "
              << engine_.counter(uring::Engine::largest_batch) << " completions" << std::endl;
  }

  std::mt19937_64 random_;
  Bytes model_;
  test::TempFile file_;
  test::Pipe pipe_;
  std::array<InstalledFile, 4> files_;
  std::array<uint32_t, blocks> readers_ = {};
  std::array<uint32_t, blocks> writers_ = {};
  uint32_t endless_ = 0;
  uint32_t started_ = 0;
  uint32_t finished_ = 0;
  uint32_t cancelled_ = 0;
  uint32_t reinstalled_ = 0;
  std::vector<Asked> asked_;
  std::vector<uint32_t> free_;
  // Last, so that it ends first: what it has in flight uses the rest.
  DrivenEngine engine_;
};

}  // namespace

TEST("200,000 random operations and cancels leave the file that a model of it has") {
  Stress(test::announced_seed()).run();
}
