// Cancelling: an operation is asked to end, and still ends by its own completion, once.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "engine.h"
#include "harness.h"
#include "support.h"

using test::Bytes;
using test::DrivenEngine;
using uring::Engine;

namespace {

constexpr uint32_t read_bytes = 16;

// Reads of a pipe that stays empty: they never end by themselves.
class EndlessReads {
 public:
  explicit EndlessReads(DrivenEngine& engine)
      : engine_(engine), memory_(size_t{engine->capacity()} * read_bytes, 0xaa) {}

  void stage(uint32_t slot, uint8_t flags = 0) {
    engine_.stage(test::with_flags(test::read(slot, pipe_.reader(), at(slot), read_bytes, 0), flags));
  }
  void start(uint32_t slot) {
    stage(slot);
    CHECK_EQUAL(engine_->submit(), 0);
    CHECK_EQUAL(engine_.reap().size(), 0);
  }
  unsigned char* at(uint32_t slot) { return memory_.data() + size_t{slot} * read_bytes; }
  test::Pipe& pipe() { return pipe_; }
  bool untouched() const {
    return std::all_of(memory_.begin(), memory_.end(), [](auto byte) { return byte == 0xaa; });
  }

 private:
  DrivenEngine& engine_;
  test::Pipe pipe_;
  Bytes memory_;
};

void check_all_cancelled(DrivenEngine& engine, const std::vector<uint32_t>& slots) {
  std::vector<uint32_t> found;
  for (const auto& completion : engine.gather(slots.size())) {
    CHECK_EQUAL(completion.result, -ECANCELED);
    found.push_back(completion.slot);
  }
  auto expected = slots;
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  CHECK(found == expected);
  CHECK_EQUAL(engine.reap().size(), 0);
}

uring::Descriptor cancel_of(uint32_t slot, uint32_t target) {
  auto descriptor = test::nop(slot);
  descriptor.opcode = IORING_OP_ASYNC_CANCEL;
  descriptor.address_low = target;
  return descriptor;
}

}  // namespace

TEST("a read of an empty pipe is cancelled, completes with ECANCELED once, and takes nothing") {
  DrivenEngine engine;
  EndlessReads reads(engine);
  reads.start(3);
  engine->cancel(3);
  const auto completion = engine.gather(1).front();
  CHECK_EQUAL(completion.slot, 3);
  CHECK_EQUAL(completion.result, -ECANCELED);
  CHECK_EQUAL(completion.generation, 1);
  CHECK(engine->idle());
  const Bytes sent = test::random_bytes(10, 1);
  reads.pipe().put(sent);
  CHECK_EQUAL(engine.reap().size(), 0);
  CHECK(reads.pipe().take() == sent);
  CHECK(reads.untouched());
}

TEST("an operation is in flight until its completion is reaped, cancelled or not") {
  DrivenEngine engine;
  EndlessReads reads(engine);
  reads.start(0);
  engine->cancel(0);
  CHECK_EQUAL(engine->in_flight(), 1);
  CHECK(!engine->idle());
  CHECK_EQUAL(engine.gather(1).size(), 1);
  CHECK_EQUAL(engine->in_flight(), 0);
}

TEST("an operation cancelled many times completes once") {
  DrivenEngine engine;
  EndlessReads reads(engine);
  reads.start(0);
  for (int times = 0; times < 10; times++) engine->cancel(0);
  check_all_cancelled(engine, {0});
  CHECK(engine->idle());
}

TEST("what is asked to end many times while it cannot is asked for once at a time") {
  DrivenEngine engine;
  EndlessReads reads(engine);
  reads.stage(0, IOSQE_IO_HARDLINK);
  reads.stage(1);  // not found before the other has ended
  for (int times = 0; times < 100; times++) engine->cancel(1);
  while (engine->unfinished()) CHECK(engine.reap().empty());
  CHECK_EQUAL(engine.counter(uring::Engine::enters), 3);  // the reads, and two cancels
  engine->cancel(0);
  CHECK_EQUAL(engine.gather(1)[0].result, -ECANCELED);
  engine->cancel(1);
  check_all_cancelled(engine, {1});
}

TEST("a cancel concerns its operation alone") {
  DrivenEngine engine;
  EndlessReads reads(engine);
  for (uint32_t slot = 0; slot < 3; slot++) reads.start(slot);
  engine->cancel(1);
  check_all_cancelled(engine, {1});
  CHECK_EQUAL(engine->in_flight(), 2);
  const Bytes sent = test::random_bytes(read_bytes, 1);
  reads.pipe().put(sent);
  const auto completion = engine.gather(1).front();
  CHECK(completion.slot == 0 || completion.slot == 2);
  CHECK_EQUAL(completion.result, static_cast<int>(read_bytes));
  CHECK(std::equal(sent.begin(), sent.end(), reads.at(completion.slot)));
}

TEST("an operation staged but not submitted is cancelled as well") {
  DrivenEngine engine;
  EndlessReads reads(engine);
  reads.stage(0);
  engine->cancel(0);
  check_all_cancelled(engine, {0});
}

TEST("cancelling a finished operation does nothing") {
  DrivenEngine engine;
  CHECK_EQUAL(engine.run(test::nop(0)), 0);
  const double enters = engine.counter(Engine::enters);
  engine->cancel(0);
  engine->cancel(1);  // never used
  CHECK_EQUAL(engine.counter(Engine::enters), enters);
  CHECK(engine->idle());
  CHECK_EQUAL(engine.reap().size(), 0);
}

TEST("cancelling an operation that completed but was not reaped changes nothing of its result") {
  DrivenEngine engine;
  EndlessReads reads(engine);
  reads.start(0);
  reads.pipe().put(Bytes(5, 'a'));
  engine->cancel(0);
  CHECK_EQUAL(engine.gather(1).front().result, 5);
  CHECK_EQUAL(engine.reap().size(), 0);
  CHECK(engine->idle());
}

TEST("a cancel meant for a finished operation spares the next user of its slot") {
  DrivenEngine engine;
  EndlessReads first(engine);
  EndlessReads second(engine);
  first.start(0);
  second.start(1);
  // Slot 1 completes; then a cancel of slot 0 is in flight, behind which that of slot 1 must wait.
  second.pipe().put(Bytes(1, 'a'));
  engine->cancel(0);
  engine->cancel(1);
  engine.share(1, 0);  // reap one completion at a time: the cancels' own stays for later
  const auto finished = engine.reap();
  CHECK_EQUAL(finished.size(), 1);
  CHECK_EQUAL(finished.front().slot, 1);
  CHECK_EQUAL(finished.front().result, 1);
  second.stage(1);
  CHECK_EQUAL(engine->submit(), 0);
  check_all_cancelled(engine, {0});
  CHECK_EQUAL(engine->in_flight(), 1);
  second.pipe().put(Bytes(2, 'b'));
  const auto spared = engine.gather(1).front();
  CHECK_EQUAL(spared.slot, 1);
  CHECK_EQUAL(spared.generation, 2);
  CHECK_EQUAL(spared.result, 2);
}

TEST("a ring full of reads that never end can be cancelled") {
  DrivenEngine engine({.entries = 8, .cq_entries = 8});
  EndlessReads reads(engine);
  std::vector<uint32_t> slots;
  for (uint32_t slot = 0; slot < engine->ring().cq_entries() - 1; slot++) {
    reads.start(slot);
    slots.push_back(slot);
  }
  CHECK_EQUAL(engine->in_flight(), engine->capacity());
  engine->cancel(4);
  check_all_cancelled(engine, {4});
  reads.start(4);  // full again
  for (const uint32_t slot : slots) engine->cancel(slot);
  check_all_cancelled(engine, slots);
  CHECK(reads.untouched());
}

TEST("many cancels at once all arrive, in any order, with a submission queue of any size") {
  std::mt19937_64 random(test::announced_seed());
  for (const uint32_t entries : {1U, 2U, 256U}) {
    DrivenEngine engine({.entries = entries, .cq_entries = 256});
    EndlessReads reads(engine);
    std::vector<uint32_t> slots;
    for (uint32_t slot = 0; slot < engine->capacity(); slot++) {
      reads.stage(slot);
      slots.push_back(slot);
    }
    std::shuffle(slots.begin(), slots.end(), random);
    for (const uint32_t slot : slots) engine->cancel(slot);
    check_all_cancelled(engine, slots);
    CHECK(engine->idle());
    CHECK(reads.untouched());
  }
}

TEST("a poll is cancelled") {
  DrivenEngine engine;
  test::Pipe pipe;
  auto poll_add = test::nop(0);
  poll_add.opcode = IORING_OP_POLL_ADD;
  poll_add.fd = pipe.reader();
  poll_add.position_low = POLLIN;
  engine.stage(poll_add);
  engine->cancel(0);
  check_all_cancelled(engine, {0});
}

TEST("a staged cancel ends what was staged before it, also in the same submission") {
  DrivenEngine engine;
  EndlessReads reads(engine);
  reads.stage(3);
  reads.stage(4);
  engine.stage(cancel_of(0, 3));
  CHECK_EQUAL(engine->submit(), 0);
  for (const auto& completion : engine.gather(2)) {
    CHECK(completion.slot == 0 || completion.slot == 3);
    CHECK_EQUAL(completion.result, completion.slot == 0 ? 0 : -ECANCELED);
  }
  CHECK_EQUAL(engine->in_flight(), 1);
  engine->cancel(4);
  check_all_cancelled(engine, {4});
}

TEST("a staged cancel of what has ended finds nothing, even where its slot is staged anew behind it") {
  DrivenEngine engine;
  EndlessReads reads(engine);
  CHECK_EQUAL(engine.run(test::nop(3)), 0);
  engine.stage(cancel_of(0, 3));
  reads.stage(3);
  engine.stage(cancel_of(1, ~0U));
  CHECK_EQUAL(engine->submit(), 0);
  for (const auto& completion : engine.gather(2)) CHECK_EQUAL(completion.result, -ENOENT);
  CHECK_EQUAL(engine->in_flight(), 1);
  engine->cancel(3);
  check_all_cancelled(engine, {3});
}
