// The buffers: how the arena is split, and what the ring knows of it.
#include "buffer_arena.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <random>

#include "harness.h"
#include "operation.h"
#include "support.h"

using uring::BufferArena;

namespace {

constexpr size_t arena_bytes = BufferArena::segment_bytes * BufferArena::segments_max;

// Takes buffers of this size until there is none.
std::vector<int64_t> acquire_all(BufferArena& arena, uint32_t bytes) {
  std::vector<int64_t> offsets;
  for (;;) {
    const int64_t offset = arena.acquire(bytes);
    if (offset == BufferArena::none) return offsets;
    offsets.push_back(offset);
  }
}

void release_all(BufferArena& arena, std::vector<int64_t>& offsets) {
  for (const int64_t offset : offsets) arena.release(offset);
  offsets.clear();
}

bool is_mapped(void* address) {
  unsigned char resident;
  return mincore(address, 4096, &resident) == 0;
}

// What the arena must know, kept the slow way: who holds which bytes.
struct Holder {
  int64_t offset;
  uint32_t bytes;
  uint32_t class_bytes;
  unsigned char stamp;
};

// Whether `none` is the truth: no segment is unused, and none of this class has a place left.
bool is_exhausted(const std::vector<Holder>& holders, uint32_t class_bytes) {
  for (uint32_t segment = 0; segment < BufferArena::segments_max; segment++) {
    uint32_t users = 0;
    uint32_t used_class = 0;
    for (const Holder& holder : holders) {
      if (static_cast<size_t>(holder.offset) / BufferArena::segment_bytes != segment) continue;
      users++;
      used_class = holder.class_bytes;
    }
    if (users == 0) return false;
    if (used_class == class_bytes && users < BufferArena::segment_bytes / class_bytes) return false;
  }
  return true;
}

// That no other user wrote into the holder's bytes.
void check_untouched(BufferArena& arena, const Holder& holder) {
  const auto* bytes = static_cast<unsigned char*>(arena.address(holder.offset));
  CHECK(std::all_of(bytes, bytes + holder.bytes, [&](auto byte) { return byte == holder.stamp; }));
}

}  // namespace

TEST("a buffer has room for what was asked, starts on a page, and lies in one segment") {
  BufferArena arena;
  for (const uint32_t bytes : {0U, 1U, 4096U, 4097U, 65'535U, 65'536U, 1'048'577U, 2'097'152U}) {
    const int64_t offset = arena.acquire(bytes);
    CHECK(offset >= 0);
    const auto start = static_cast<uint64_t>(offset);
    CHECK_EQUAL(start % 4096, 0);
    CHECK_EQUAL(reinterpret_cast<uintptr_t>(arena.address(start)) % 4096, 0);
    CHECK(arena.contains(start, bytes));
    if (bytes > 0) {
      CHECK_EQUAL(start / arena.segment_bytes, (start + bytes - 1) / arena.segment_bytes);
      std::memset(arena.address(start), 1, bytes);
    }
    arena.release(offset);
  }
}

TEST("segments start where huge pages do") {
  BufferArena arena;
  CHECK(arena.acquire(1) >= 0);
  CHECK_EQUAL(reinterpret_cast<uintptr_t>(arena.address(0)) % arena.segment_bytes, 0);
}

TEST("a buffer larger than a segment is not to be had") {
  BufferArena arena;
  CHECK_EQUAL(arena.acquire(BufferArena::segment_bytes + 1), BufferArena::none);
  CHECK_EQUAL(arena.acquire(0xffff'ffff), BufferArena::none);
  CHECK_EQUAL(arena.in_use(), 0);
}

TEST("each class fills the whole arena, then there is none until one is released") {
  for (uint32_t bytes = 4096; bytes <= BufferArena::segment_bytes; bytes *= 2) {
    BufferArena arena;
    auto offsets = acquire_all(arena, bytes);
    CHECK_EQUAL(offsets.size(), arena_bytes / bytes);
    CHECK_EQUAL(arena.in_use(), offsets.size());
    std::sort(offsets.begin(), offsets.end());
    for (size_t i = 0; i < offsets.size(); i++) CHECK_EQUAL(offsets[i], i * bytes);
    const int64_t released = offsets[offsets.size() / 3];
    arena.release(released);
    CHECK_EQUAL(arena.acquire(bytes), released);
    CHECK_EQUAL(arena.acquire(bytes), BufferArena::none);
  }
}

TEST("a segment in use keeps its class, an empty one takes another") {
  BufferArena arena;
  std::vector<int64_t> small;
  for (uint32_t bytes = 4096; bytes < 4096U << BufferArena::segments_max; bytes *= 2) {
    small.push_back(arena.acquire(bytes));
    CHECK(small.back() >= 0);
  }
  CHECK_EQUAL(arena.acquire(BufferArena::segment_bytes), BufferArena::none);
  arena.release(small[2]);
  const int64_t large = arena.acquire(BufferArena::segment_bytes);
  CHECK_EQUAL(large / BufferArena::segment_bytes, small[2] / BufferArena::segment_bytes);
  CHECK_EQUAL(arena.acquire(BufferArena::segment_bytes), BufferArena::none);
}

TEST("an arena used up in one class is wholly there for any other") {
  BufferArena arena;
  for (const uint32_t bytes : {4096U, 2'097'152U, 65'536U, 1'048'576U, 8192U}) {
    auto offsets = acquire_all(arena, bytes);
    CHECK_EQUAL(offsets.size(), arena_bytes / bytes);
    release_all(arena, offsets);
    CHECK_EQUAL(arena.in_use(), 0);
  }
}

TEST("no two live buffers overlap, whatever is taken and released, and none is denied in vain") {
  std::mt19937_64 random(test::announced_seed());
  BufferArena arena;
  std::vector<Holder> holders;
  for (int step = 0; step < 20'000; step++) {
    // Waves: now mostly taking, now mostly releasing, so that segments empty and change class.
    const bool taking = random() % 100 < (step / 500 % 2 == 0 ? 70 : 25);
    if (taking || holders.empty()) {
      const auto bytes = static_cast<uint32_t>(1 + (random() % (4096ULL << random() % 10)));
      const uint32_t class_bytes = std::max(4096U, std::bit_ceil(bytes));
      const int64_t offset = arena.acquire(bytes);
      if (offset == BufferArena::none) {
        CHECK(is_exhausted(holders, class_bytes));
        continue;
      }
      const Holder holder = {offset, bytes, class_bytes, static_cast<unsigned char>(random())};
      CHECK(arena.contains(offset, bytes));
      for (const Holder& other : holders) {
        const bool before = offset + int64_t{bytes} <= other.offset;
        CHECK(before || other.offset + int64_t{other.bytes} <= offset);
      }
      std::memset(arena.address(offset), holder.stamp, bytes);
      holders.push_back(holder);
    } else {
      const size_t index = random() % holders.size();
      check_untouched(arena, holders[index]);
      arena.release(holders[index].offset);
      holders[index] = holders.back();
      holders.pop_back();
    }
    CHECK_EQUAL(arena.in_use(), holders.size());
  }
}

TEST("the arena contains what lies within it, and nothing before it has memory") {
  BufferArena arena;
  CHECK(!arena.contains(0, 0));
  CHECK(arena.acquire(1) >= 0);
  CHECK(arena.contains(0, arena_bytes));
  CHECK(arena.contains(arena_bytes - 1, 1));
  CHECK(!arena.contains(0, arena_bytes + 1));
  CHECK(!arena.contains(arena_bytes - 1, 2));
  CHECK(!arena.contains(arena_bytes, 0));
  CHECK(!arena.contains(4096, ~uint64_t{0}));
  CHECK(!arena.contains(~uint64_t{0}, 2));
}

TEST("without address space there is no buffer, and there is one later") {
  BufferArena arena;
  rlimit before;
  CHECK_EQUAL(getrlimit(RLIMIT_AS, &before), 0);
  const rlimit no_more = {.rlim_cur = 4096, .rlim_max = before.rlim_max};
  CHECK_EQUAL(setrlimit(RLIMIT_AS, &no_more), 0);
  const int64_t denied = arena.acquire(4096);
  CHECK_EQUAL(setrlimit(RLIMIT_AS, &before), 0);
  CHECK_EQUAL(denied, BufferArena::none);
  CHECK_EQUAL(arena.in_use(), 0);
  CHECK(arena.acquire(4096) >= 0);
}

TEST("a leaked arena serves on, and stays mapped when its owner is gone; any other does not") {
  void* left = nullptr;
  void* gone = nullptr;
  {
    BufferArena leaked;
    BufferArena ordinary;
    left = leaked.address(static_cast<uint64_t>(leaked.acquire(4096)));
    gone = ordinary.address(static_cast<uint64_t>(ordinary.acquire(4096)));
    std::memset(left, 7, 4096);
    leaked.leak();
    const int64_t another = leaked.acquire(4096);
    CHECK(another > 0);
    CHECK(leaked.contains(static_cast<uint64_t>(another), 4096));
  }
  CHECK(is_mapped(left));
  CHECK_EQUAL(static_cast<unsigned char*>(left)[4095], 7);
  CHECK(!is_mapped(gone));
}

TEST("a forked child does not get the arena's memory") {
  BufferArena arena;
  void* buffer = arena.address(static_cast<uint64_t>(arena.acquire(4096)));
  std::memset(buffer, 7, 4096);
  test::in_child([buffer] {
    CHECK(!is_mapped(buffer));
    CHECK_EQUAL(errno, ENOMEM);
  });
  CHECK(is_mapped(buffer));
}

TEST("releasing a buffer that nobody holds aborts") {
  const int status = test::status_of([] {
    BufferArena arena;
    const int64_t offset = arena.acquire(4096);
    fclose(stderr);
    arena.release(offset);
    arena.release(offset);
  });
  CHECK(WIFSIGNALED(status));
  CHECK_EQUAL(WTERMSIG(status), SIGABRT);
}
