// Lanes of a copy: pairs of a read and a write that go on by themselves.
#include "copy_pipeline.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>

#include "engine.h"
#include "harness.h"
#include "support.h"

using test::Bytes;
using test::DrivenEngine;
using uring::Shared;

namespace {

constexpr uint32_t chunk = 4096;

// What lib/copy-transfer.ts does: stages pairs over arena memory, and says that they go on.
class Copy {
 public:
  Copy(DrivenEngine& engine, int source, int target, uint64_t bytes)
      : engine_(engine), source_(source), target_(target) {
    range = {.next = 0, .end = static_cast<double>(bytes), .chunk = chunk, .copied = 0, .pairs = 0};
  }

  void start(uint32_t lane) {
    const auto position = static_cast<uint64_t>(range.next);
    const double length = std::min(range.chunk, range.end - range.next);
    range.next += length;
    pieces[lane] = {static_cast<double>(position), length};
    const int64_t buffer = engine_->arena().acquire(chunk);
    CHECK(buffer >= 0);
    const auto read = test::arena_read(2 * lane, source_, buffer, static_cast<uint32_t>(length), position);
    engine_.stage(test::with_flags(read, IOSQE_IO_LINK));
    engine_.stage(test::arena_write(2 * lane + 1, target_, buffer, static_cast<uint32_t>(length), position));
    engine_->add_lane(engine_.word(Shared::staged) - 1, range, pieces[lane]);
  }

  // The results of each slot's one completion.
  std::map<uint32_t, int> gather(size_t lanes) {
    std::map<uint32_t, int> results;
    for (const auto& [slot, result, flags, generation] : engine_.gather(2 * lanes)) {
      CHECK(results.emplace(slot, result).second);
    }
    return results;
  }

  uring::CopyRange range;
  uring::CopyPiece pieces[8] = {};

 private:
  DrivenEngine& engine_;
  int source_;
  int target_;
};

}  // namespace

TEST("lanes copy all of a range, and each of their slots completes once") {
  DrivenEngine engine;
  const Bytes content = test::random_bytes(100 * chunk + 17, test::announced_seed());
  const test::TempFile source(content);
  const test::TempFile target;
  Copy copy(engine, source.fd(), target.fd(), content.size());
  for (uint32_t lane = 0; lane < 3; lane++) copy.start(lane);
  const auto results = copy.gather(3);
  double last = 0;
  for (uint32_t lane = 0; lane < 3; lane++) {
    CHECK_EQUAL(results.at(2 * lane), copy.pieces[lane].length);
    CHECK_EQUAL(results.at(2 * lane + 1), copy.pieces[lane].length);
    last += copy.pieces[lane].length;
  }
  CHECK_EQUAL(copy.range.pairs, 101 - 3);
  CHECK_EQUAL(copy.range.copied + last, content.size());
  CHECK(target.content() == content);
  CHECK(engine->idle());
  CHECK_EQUAL(engine.counter(uring::Engine::submitted), 2 * 101);
  CHECK_EQUAL(engine.counter(uring::Engine::completed), 2 * 101);
}

TEST("a source that ends before its range breaks the lane there, with what was read") {
  DrivenEngine engine;
  const Bytes content = test::random_bytes(5 * chunk + 17, 1);
  const test::TempFile source(content);
  const test::TempFile target;
  Copy copy(engine, source.fd(), target.fd(), 10 * chunk);
  copy.start(0);
  const auto results = copy.gather(1);
  CHECK_EQUAL(copy.pieces[0].position, 5 * chunk);
  CHECK_EQUAL(results.at(0), 17);
  CHECK_EQUAL(results.at(1), -ECANCELED);
  CHECK_EQUAL(copy.range.copied, 5 * chunk);
  CHECK(target.content() == Bytes(content.begin(), content.begin() + 5 * chunk));
}

TEST("a write that fails ends its lane with its error") {
  DrivenEngine engine;
  const test::TempFile source(test::random_bytes(10 * chunk, 1));
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0) test::skip("there is no /dev/full here");
  Copy copy(engine, source.fd(), full, 10 * chunk);
  copy.start(0);
  const auto results = copy.gather(1);
  CHECK_EQUAL(results.at(0), chunk);
  CHECK_EQUAL(results.at(1), -ENOSPC);
  CHECK_EQUAL(copy.range.pairs, 0);
  close(full);
}

TEST("a range that is cut stops its lanes behind the pieces that they have") {
  DrivenEngine engine;
  const test::TempFile source(test::random_bytes(1000 * chunk, 1));
  const test::TempFile target;
  Copy copy(engine, source.fd(), target.fd(), 1000 * chunk);
  copy.start(0);
  CHECK_EQUAL(engine->submit(), 0);
  copy.range.end = 0;
  CHECK_EQUAL(copy.gather(1).at(1), chunk);
  CHECK_EQUAL(copy.pieces[0].position, 0);
}

TEST("while others wait for admission, lanes end with the pieces that they have") {
  DrivenEngine engine;
  const test::TempFile source(test::random_bytes(1000 * chunk, 1));
  const test::TempFile target;
  Copy copy(engine, source.fd(), target.fd(), 1000 * chunk);
  engine.set_word(Shared::crowded, 1);
  for (uint32_t lane = 0; lane < 2; lane++) copy.start(lane);
  copy.gather(2);
  CHECK_EQUAL(copy.range.pairs, 0);
  engine.set_word(Shared::crowded, 0);
  for (uint32_t lane = 0; lane < 2; lane++) copy.start(lane);
  copy.gather(2);
  CHECK_EQUAL(copy.range.pairs, 1000 - 4);
}

TEST("a cancelled lane ends, whichever of its two was named, and its slots can be used again") {
  for (const uint32_t cancelled : {0U, 1U}) {
    DrivenEngine engine;
    const test::Pipe source;  // nothing comes
    const test::TempFile target;
    Copy copy(engine, source.reader(), target.fd(), 10 * chunk);
    copy.start(0);
    CHECK_EQUAL(engine->submit(), 0);
    engine->cancel(cancelled);
    if (cancelled == 1) engine->cancel(0);  // a write that waits for its read is no operation of the kernel's yet
    const auto results = copy.gather(1);
    CHECK(results.at(0) == -ECANCELED || results.at(0) == -EINTR);
    CHECK_EQUAL(results.at(1), -ECANCELED);
    CHECK_EQUAL(engine.run(test::nop(0)), 0);
    CHECK_EQUAL(engine.run(test::nop(1)), 0);
  }
}

TEST("a drain in the middle ends all lanes, and none goes on") {
  DrivenEngine engine;
  const test::TempFile source(test::random_bytes(1000 * chunk, 1));
  const test::TempFile target;
  Copy copy(engine, source.fd(), target.fd(), 1000 * chunk);
  for (uint32_t lane = 0; lane < 8; lane++) copy.start(lane);
  CHECK_EQUAL(engine->submit(), 0);
  engine.reap();
  CHECK(engine->drain(std::chrono::seconds(60)));
  CHECK(engine->idle());
  CHECK(copy.range.pairs < 1000 - 8);
}

TEST("room for two completions is enough for lanes") {
  DrivenEngine engine;
  engine.share(2, 0);
  const Bytes content = test::random_bytes(50 * chunk, 1);
  const test::TempFile source(content);
  const test::TempFile target;
  Copy copy(engine, source.fd(), target.fd(), content.size());
  for (uint32_t lane = 0; lane < 4; lane++) copy.start(lane);
  copy.gather(4);
  CHECK(target.content() == content);
}
