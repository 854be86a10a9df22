// Kernels that answer otherwise than this one: older, or short of memory.
#include <cerrno>
#include <chrono>
#include <deque>
#include <map>

#include "engine.h"
#include "harness.h"
#include "scripted_syscall.h"
#include "support.h"

using test::ask_kernel;
using test::Bytes;
using test::DrivenEngine;
using test::script;

namespace {

constexpr uint32_t coop_taskrun = uring::uapi::setup_coop_taskrun;
constexpr uint32_t single_issuer = uring::uapi::setup_single_issuer;

// The next calls of io_uring_enter answer this, in order; the rest is the kernel's.
void answer_next_enters(std::deque<int> answers) {
  script.enter = [answers](uint32_t&) mutable {
    if (answers.empty()) return ask_kernel;
    const int answer = answers.front();
    answers.pop_front();
    return answer;
  };
}

void refuse_registering(uint32_t opcode, int error) {
  script.register_something = [=](uint32_t asked) { return asked == opcode ? -error : ask_kernel; };
}

void check_file_round_trip(DrivenEngine& engine) {
  test::TempFile file;
  const Bytes sent = test::random_bytes(5000, 1);
  CHECK_EQUAL(engine.run(test::write(0, file.fd(), sent.data(), 5000, 0)), 5000);
  CHECK(file.content() == sent);
  const int64_t offset = engine->arena().acquire(5000);
  CHECK_EQUAL(engine.run(test::arena_read(0, file.fd(), offset, 5000, 0)), 5000);
  const auto* found = static_cast<unsigned char*>(engine->arena().address(offset));
  CHECK(Bytes(found, found + 5000) == sent);
}

// A read of a pipe that stays empty.
Bytes buffers(16 * 16);

uring::Descriptor endless_read(uint32_t slot, const test::Pipe& pipe) {
  return test::read(slot, pipe.reader(), buffers.data() + slot * size_t{16}, 16, 0);
}

}  // namespace

TEST("flags that a kernel does not know are dropped, and the engine works without") {
  // A kernel since 6.0, one since 5.19, and an older one.
  for (const uint32_t known : {coop_taskrun | single_issuer, coop_taskrun, 0U}) {
    script.setup = [known](uint32_t, io_uring_params& params) {
      return params.flags & ~known & (coop_taskrun | single_issuer) ? -EINVAL : ask_kernel;
    };
    DrivenEngine engine;
    CHECK_EQUAL(engine->ring().setup_flags() & (coop_taskrun | single_issuer), known);
    check_file_round_trip(engine);
  }
}

TEST("only EINVAL is taken for an unknown flag: other refusals are final") {
  for (const int error : {EPERM, ENOSYS, ENOMEM, EOPNOTSUPP}) {
    int calls = 0;
    script.setup = [&](uint32_t, io_uring_params&) { return calls++, -error; };
    uring::Engine engine;
    CHECK_EQUAL(engine.open({.entries = 8, .cq_entries = 16}), -error);
    CHECK_EQUAL(calls, 1);
  }
}

TEST("a kernel that could lose completions or read paths late is refused, without a trace") {
  { DrivenEngine available; }
  const auto before = test::open_fds();
  for (const uint32_t missing :
       {IORING_FEAT_NODROP, IORING_FEAT_SUBMIT_STABLE, IORING_FEAT_SINGLE_MMAP}) {
    script.setup = [missing](uint32_t entries, io_uring_params& params) {
      script.setup = nullptr;
      const int fd = uring::sys_setup(entries, &params);
      params.features &= ~missing;
      return fd;
    };
    uring::Engine engine;
    CHECK_EQUAL(engine.open({.entries = 8, .cq_entries = 16}), -ENOSYS);
    CHECK(test::open_fds() == before);
  }
}

TEST("without a table of buffers they are transferred plainly") {
  refuse_registering(uring::uapi::register_buffers2, EINVAL);  // before 5.13
  DrivenEngine engine;
  check_file_round_trip(engine);
  CHECK_EQUAL(engine->arena().registered_segments(), 0);
}

TEST("a segment that is refused is transferred plainly, and not offered again") {
  DrivenEngine engine;
  int offers = 0;
  script.register_something = [&](uint32_t opcode) {
    return opcode == uring::uapi::register_buffers_update ? offers++, -ENOMEM : ask_kernel;
  };
  for (const uint32_t bytes : {4096U, 8192U, 1U << 20}) {  // the same segment, in other classes
    const int64_t offset = engine->arena().acquire(bytes);
    CHECK_EQUAL(offset, 0);
    engine->arena().release(offset);
  }
  CHECK(offers <= 1);  // none where the table itself was refused
  check_file_round_trip(engine);
  CHECK_EQUAL(engine->arena().registered_segments(), 0);
}

TEST("without a table of files no file is installed, and plain descriptors serve") {
  refuse_registering(IORING_REGISTER_FILES, ENOMEM);
  DrivenEngine engine;
  CHECK(!engine->files().available());
  CHECK_EQUAL(engine->files().install(0), uring::FileTable::none);
  check_file_round_trip(engine);
}

TEST("an interrupted enter is tried again") {
  DrivenEngine engine;
  answer_next_enters({-EINTR, -EINTR});
  engine.stage(test::nop(0));
  CHECK_EQUAL(engine->submit(), 0);
  CHECK_EQUAL(engine.reap().size(), 1);
}

TEST("a refused submission is kept, and goes once the kernel takes it") {
  for (const int error : {EAGAIN, EBUSY, ENOMEM}) {
    DrivenEngine engine;
    answer_next_enters({-error, -error});
    engine.stage(test::nop(0));
    engine.stage(test::nop(1));
    CHECK_EQUAL(engine->submit(), -error);
    CHECK_EQUAL(engine->submit(), -error);
    CHECK(engine->unfinished());
    CHECK(!engine->idle());
    CHECK_EQUAL(engine.reap().size(), 0);
    engine.stage(test::nop(2));
    CHECK_EQUAL(engine->submit(), 0);
    CHECK(!engine->unfinished());
    const auto done = engine.reap();
    CHECK_EQUAL(done.size(), 3);
    for (uint32_t i = 0; i < 3; i++) CHECK_EQUAL(done[i].slot, i);
    CHECK(engine->idle());
  }
}

TEST("a kernel that takes nothing is asked again later, not at once") {
  DrivenEngine engine;
  answer_next_enters({0});
  engine.stage(test::nop(0));
  CHECK_EQUAL(engine->submit(), -EAGAIN);
  CHECK_EQUAL(engine.counter(uring::Engine::enters), 1);
  CHECK(engine->unfinished());
  CHECK_EQUAL(engine.gather(1).front().slot, 0);
}

TEST("a kernel that takes fewer than it was given gets the rest at once") {
  DrivenEngine engine({.entries = 4, .cq_entries = 64});
  script.enter = [](uint32_t& to_submit) {
    to_submit = to_submit > 3 ? 3 : 1;
    return ask_kernel;
  };
  for (uint32_t slot = 0; slot < 40; slot++) engine.stage(test::nop(slot));
  CHECK_EQUAL(engine->submit(), 0);
  const auto done = engine.reap();
  CHECK_EQUAL(done.size(), 40);
  for (uint32_t i = 0; i < 40; i++) CHECK_EQUAL(done[i].slot, i);
}

TEST("a cancel that the kernel refuses for now is asked for later") {
  DrivenEngine engine;
  test::Pipe pipe;
  engine.stage(endless_read(0, pipe));
  CHECK_EQUAL(engine->submit(), 0);
  answer_next_enters({-EAGAIN});
  engine->cancel(0);
  CHECK(engine->unfinished());
  CHECK_EQUAL(engine.gather(1).front().result, -ECANCELED);
}

TEST("the engine is not idle while a cancel waits to be submitted") {
  DrivenEngine engine;
  test::Pipe pipe;
  engine.stage(endless_read(0, pipe));
  CHECK_EQUAL(engine->submit(), 0);
  answer_next_enters({-EAGAIN});
  engine->cancel(0);
  pipe.put(Bytes(3, 'a'));
  CHECK_EQUAL(engine.reap().front().result, 3);
  CHECK_EQUAL(engine->in_flight(), 0);
  CHECK(!engine->idle());
  CHECK_EQUAL(engine->submit(), 0);
  CHECK_EQUAL(engine.reap().size(), 0);
  CHECK(engine->idle());
}

TEST("completions never outgrow their queue while all operations are cancelled at once") {
  DrivenEngine engine({.entries = 8, .cq_entries = 8});
  test::Pipe pipe;
  int flushes = 0;  // of completions that found their queue full
  script.enter = [&](uint32_t& to_submit) { return flushes += to_submit == 0, ask_kernel; };
  for (int round = 0; round < 100; round++) {
    for (uint32_t slot = 0; slot < engine->capacity(); slot++) {
      engine.stage(endless_read(slot, pipe));
    }
    for (uint32_t slot = 0; slot < engine->capacity(); slot++) engine->cancel(slot);
    CHECK_EQUAL(engine.gather(engine->capacity()).size(), engine->capacity());
  }
  CHECK_EQUAL(flushes, 0);
}

TEST("a cancel of an operation that could not be submitted yet is not forgotten") {
  DrivenEngine engine({.entries = 2, .cq_entries = 16});
  test::Pipe pipe;
  answer_next_enters({-EAGAIN, -EAGAIN, -EAGAIN});
  for (uint32_t slot = 0; slot < 3; slot++) engine.stage(endless_read(slot, pipe));
  engine->cancel(2);
  while (engine->unfinished() || engine->staged()) engine->submit();
  const auto cancelled = engine.reap();
  CHECK_EQUAL(cancelled.size(), 1);
  CHECK_EQUAL(cancelled.front().slot, 2);
  CHECK_EQUAL(cancelled.front().result, -ECANCELED);
  CHECK_EQUAL(engine->in_flight(), 2);
}

TEST("of a chain that the kernel takes in parts, the rest does not run by itself") {
  for (const uint32_t most : {1U, 2U}) {
    DrivenEngine engine({.entries = 8, .cq_entries = 16});
    test::Pipe pipe;
    test::TempFile file;
    const Bytes memory = test::random_bytes(16, 3);
    const auto link = [](const uring::Descriptor& each) { return test::with_flags(each, IOSQE_IO_LINK); };
    engine.stage(link(endless_read(0, pipe)));
    engine.stage(link(test::write(1, file.fd(), memory.data(), 16, 0)));
    engine.stage(test::write(2, file.fd(), memory.data(), 16, 16));
    engine.stage(test::nop(3));
    int enters = 0;
    script.enter = [&](uint32_t& to_submit) {
      if (enters++ == 0) to_submit = most;
      return ask_kernel;
    };
    CHECK_EQUAL(engine->submit(), 0);
    std::map<uint32_t, int> results;
    for (const auto& each : engine.reap()) results[each.slot] = each.result;
    CHECK_EQUAL(results.count(0), 0);
    CHECK_EQUAL(results.at(2), -ECANCELED);
    CHECK_EQUAL(results.at(3), 0);
    if (most == 1) CHECK_EQUAL(results.at(1), -ECANCELED);
    CHECK(engine->drain(std::chrono::seconds(2)));
    CHECK(file.content().empty());
    CHECK_EQUAL(engine.run(test::nop(2)), 0);  // the slot is as any other again
  }
}

TEST("a drain ends also what the kernel took only after the drain began") {
  DrivenEngine engine({.entries = 2, .cq_entries = 16});
  test::Pipe pipe;
  for (uint32_t slot = 0; slot < 5; slot++) engine.stage(endless_read(slot, pipe));
  answer_next_enters({-EAGAIN, -EAGAIN, -EBUSY});
  CHECK(engine->drain(std::chrono::seconds(2)));
  CHECK(engine->idle());
}
