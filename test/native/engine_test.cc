// The in-flight table: from staged descriptors to completions.
#include "engine.h"

#include <sys/wait.h>

#include <csignal>
#include <cstdio>

#include "harness.h"
#include "support.h"

using test::DrivenEngine;
using uring::Engine;
using uring::Shared;

namespace {

// That the process aborts by itself, instead of going on with a broken table.
void check_aborts(const std::function<void()>& body) {
  const int status = test::status_of([&] {
    fclose(stderr);
    body();
  });
  CHECK(WIFSIGNALED(status));
  CHECK_EQUAL(WTERMSIG(status), SIGABRT);
}

}  // namespace

TEST("a submission queue of 1 entry takes everything staged, in order") {
  DrivenEngine engine({.entries = 1, .cq_entries = 128});
  CHECK_EQUAL(engine->ring().sq_entries(), 1);
  CHECK_EQUAL(engine->capacity(), 127);
  for (uint32_t slot = 0; slot < engine->capacity(); slot++) engine.stage(test::nop(slot));
  CHECK_EQUAL(engine->submit(), 0);
  const auto done = engine.reap();
  CHECK_EQUAL(done.size(), engine->capacity());
  for (uint32_t i = 0; i < done.size(); i++) {
    CHECK_EQUAL(done[i].slot, i);
    CHECK_EQUAL(done[i].result, 0);
  }
  CHECK(engine->idle());
}

TEST("a full submission queue is entered, and taking goes on") {
  DrivenEngine engine({.entries = 4, .cq_entries = 64});
  for (uint32_t slot = 0; slot < 11; slot++) engine.stage(test::nop(slot));
  CHECK_EQUAL(engine->submit(), 0);
  CHECK_EQUAL(engine.counter(Engine::enters), 3);
  CHECK(!engine->staged());
  CHECK_EQUAL(engine->in_flight(), 11);
  CHECK_EQUAL(engine.reap().size(), 11);
  CHECK_EQUAL(engine->in_flight(), 0);
}

TEST("submitting nothing does not enter the kernel") {
  DrivenEngine engine;
  CHECK_EQUAL(engine->submit(), 0);
  CHECK_EQUAL(engine.counter(Engine::enters), 0);
}

TEST("the counters tell what was submitted, completed, and the largest batch") {
  DrivenEngine engine;
  for (const uint32_t batch : {3U, 7U, 2U}) {
    for (uint32_t slot = 0; slot < batch; slot++) engine.stage(test::nop(slot));
    CHECK_EQUAL(engine.gather(batch).size(), batch);
  }
  CHECK_EQUAL(engine.counter(Engine::submitted), 12);
  CHECK_EQUAL(engine.counter(Engine::completed), 12);
  CHECK_EQUAL(engine.counter(Engine::enters), 3);
  CHECK_EQUAL(engine.counter(Engine::largest_batch), 7);
}

TEST("each use of a slot has a generation of its own, which its completion carries") {
  DrivenEngine engine;
  uint32_t generation_of_other = 0;
  for (uint32_t use = 1; use <= 100; use++) {
    engine.stage(test::nop(5));
    if (use % 10 == 0) engine.stage(test::nop(6));
    for (const auto& completion : engine.gather(use % 10 == 0 ? 2 : 1)) {
      CHECK_EQUAL(completion.generation,
                  completion.slot == 5 ? use : ++generation_of_other);
    }
  }
  CHECK_EQUAL(generation_of_other, 10);
}

TEST("there is one place fewer for operations than for completions") {
  DrivenEngine engine({.entries = 8, .cq_entries = 8});
  CHECK_EQUAL(engine->ring().cq_entries(), 8);
  CHECK_EQUAL(engine->capacity(), 7);
}

TEST("less room for completions than there are leaves the rest for the next reap") {
  DrivenEngine engine;
  engine.share(3, 0);
  for (uint32_t slot = 0; slot < 7; slot++) engine.stage(test::nop(slot));
  CHECK_EQUAL(engine->submit(), 0);
  uint32_t next = 0;
  for (const size_t expected : {3, 3, 1, 0}) {
    const auto batch = engine.reap();
    CHECK_EQUAL(batch.size(), expected);
    for (const auto& completion : batch) CHECK_EQUAL(completion.slot, next++);
    CHECK_EQUAL(engine->in_flight(), 7 - next);
  }
}

TEST("the count of staged descriptors may pass 2^32") {
  DrivenEngine engine;
  engine.share(64, 0xffff'fff0);
  for (uint32_t slot = 0; slot < 32; slot++) engine.stage(test::nop(slot));
  CHECK_EQUAL(engine.word(Shared::staged), 16);
  const auto done = engine.gather(32);
  for (uint32_t i = 0; i < 32; i++) CHECK_EQUAL(done[i].slot, i);
  CHECK_EQUAL(engine.word(Shared::taken), 16);
  CHECK(engine->idle());
}

TEST("a slot used twice at once, or beyond the table, aborts") {
  { DrivenEngine available; }
  check_aborts([] {
    DrivenEngine engine;
    engine.stage(test::nop(3));
    engine.stage(test::nop(3));
    engine->submit();
  });
  check_aborts([] {
    DrivenEngine engine;
    engine.stage(test::nop(engine->capacity()));
    engine->submit();
  });
}

TEST("an unknown operation, or arena memory outside the arena, aborts") {
  { DrivenEngine available; }
  check_aborts([] {
    DrivenEngine engine;
    auto unknown = test::nop(0);
    unknown.opcode = 255;
    engine.stage(unknown);
    engine->submit();
  });
  check_aborts([] {
    DrivenEngine engine;
    CHECK(engine->arena().acquire(4096) == 0);
    constexpr int64_t last_page =
        uring::BufferArena::segment_bytes * uring::BufferArena::segments_max - 4096;
    engine.stage(test::arena_read(0, -1, last_page, 4097, 0));
    engine->submit();
  });
}
