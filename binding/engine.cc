#include "engine.h"

#include <algorithm>
#include <cerrno>

#include "check.h"

namespace uring {
namespace {

constexpr uint64_t cancel_user_data = ~uint64_t{0};
// No operation's: slots are fewer.
constexpr uint64_t no_user_data = cancel_user_data - 1;

// What a worker of the kernel's tells of a read of a pipe that it was stopped in (6.1): not for programs to see.
constexpr int erestartsys = 512;

uint64_t user_data_of(uint32_t slot, uint32_t generation) {
  return uint64_t{generation} << 32 | slot;
}

}  // namespace

int Engine::open(const RingOptions& options) {
  const int error = ring_.open(options);
  if (error < 0) return error;
  slots_.resize(capacity());
  arena_.attach(ring_);
  if (arena_.has_table()) buffers_.attach(ring_, BufferArena::registered_max);
  files_.attach(ring_);
  return 0;
}

bool Engine::undelivered() const {
  return shared_.header[Shared::dispatched] < shared_.header[Shared::completed];
}

bool Engine::staged() const {
  return shared_.header[Shared::staged] != shared_.header[Shared::taken];
}

int Engine::submit(Clock::time_point until) {
  if (!cancels_.empty()) stage_cancel();
  while (staged() || ring_.unsubmitted() > 0) {
    const bool copies = take_chains();
    const uint32_t before = ring_.unsubmitted();
    if (before == 0) {  // the kernel's thread is behind
      const int error = ring_.room() == 0 ? ring_.wait_for_room() : ring_.wait_until_taken();
      if (error < 0) return error;
      continue;
    }
    const uint32_t ready = ring_.ready();
    const int taken = ring_.submit();
    if (ring_.entered()) count(enters);
    if (taken < 0) return taken;
    shared_.header[Shared::late] = ring_.ready() - ready < static_cast<uint32_t>(taken);
    // The queue moves by what the kernel consumed, which is what it says it took.
    URING_CHECK(before - ring_.unsubmitted() == static_cast<uint32_t>(taken));
    if (taken == 0) return -EAGAIN;
    sever_chain();
    if (copies && Clock::now() >= until) break;
  }
  return 0;
}

// A kernel that has no memory for a request (a container's limit) stops there, be it in the midst of a chain, and what is
// left of that would run by itself: a copy's write before its read. It ends as if what it was linked to had failed.
void Engine::sever_chain() {
  constexpr uint8_t links = IOSQE_IO_LINK | IOSQE_IO_HARDLINK;
  const auto left = static_cast<int32_t>(ring_.unsubmitted());
  bool linked = left > 0 && (ring_.waiting(-1).flags & links);
  for (int32_t i = 0; linked && i < left; i++) {
    io_uring_sqe& sqe = ring_.waiting(i);
    linked = sqe.flags & links;
    const uint64_t user_data = sqe.user_data;
    slots_[static_cast<uint32_t>(user_data)].severed = true;
    sqe = {};
    sqe.opcode = IORING_OP_NOP;
    sqe.user_data = user_data;
  }
}

// Fills the queue. True if it stopped behind a piece of a copy: those move their bytes while they are submitted, eight of
// a MiB in 2 to 3 ms.
bool Engine::take_chains() {
  while (staged()) {
    const uint32_t next = descriptor(shared_.header[Shared::taken]).slot;
    URING_CHECK(next < slots_.size());
    const bool copies = slots_[next].lane != nullptr;
    if (!take_chain()) return false;
    if (copies) return true;
  }
  return false;
}

// Links end where a submission ends, so the kernel must be given a chain at once. lib/ring.ts stages none
// that is longer than the queue. False when what was filled before must be submitted first.
bool Engine::take_chain() {
  const uint32_t length = chain_length();
  if (ring_.room() < length) return false;
  // A polling thread that serves several rings takes 8 entries of each in turn, and ends links there: a
  // chain must be the first that it finds (lib/engine-uring.ts allows none longer than 8).
  if (length > 1 && !ring_.all_taken()) return false;
  for (uint32_t i = 0; i < length; i++) take(*ring_.get_sqe());
  return true;
}

uint32_t Engine::chain_length() {
  constexpr uint8_t links = IOSQE_IO_LINK | IOSQE_IO_HARDLINK;
  uint32_t length = 1;
  uint32_t at = shared_.header[Shared::taken];
  while (at != shared_.header[Shared::staged] && (descriptor(at).flags & links)) {
    length++;
    at++;
  }
  URING_CHECK(length <= ring_.sq_entries());
  return length;
}

// The next staged descriptor becomes an entry; from here on its slot is in flight.
void Engine::take(io_uring_sqe& sqe) {
  const Descriptor& next = descriptor(shared_.header[Shared::taken]++);
  URING_CHECK(next.slot < slots_.size());
  Slot& slot = slots_[next.slot];
  URING_CHECK(!slot.in_flight);
  slot.in_flight = true;
  slot.opens = next.opcode == IORING_OP_OPENAT;
  slot.adopts = slot.opens && next.op_flags == Descriptor::adopt;
  const bool closes = next.opcode == IORING_OP_CLOSE && disown(next.fd);
  slot.closes = closes ? next.fd : -1;
  slot.generation++;
  in_flight_++;
  count(submitted);
  URING_CHECK(prepare(sqe, next, shared_.extras[next.slot], arena_));
  if (next.opcode == IORING_OP_ASYNC_CANCEL) sqe.addr = target_of(next);
  sqe.user_data = user_data_of(next.slot, slot.generation);
  if (!draining_ && !slot.cancel_when_taken) return;
  slot.cancel_when_taken = false;
  ask_to_end(next.slot);
}

int Engine::nudge() {
  io_uring_sqe* sqe = ring_.get_sqe();
  if (sqe == nullptr) return -EBUSY;
  sqe->opcode = IORING_OP_NOP;
  sqe->user_data = cancel_user_data;
  const int taken = ring_.submit();
  return taken < 0 ? taken : 0;
}

int Engine::limit_workers(uint32_t bounded, uint32_t unbounded) {
  uint32_t limits[] = {bounded, unbounded};
  return sys_register(ring_.fd(), uapi::register_max_workers, limits, std::size(limits));
}

void Engine::cancel(uint32_t index) {
  URING_CHECK(index < slots_.size());
  // Everything staged before this call is taken first, so that the slot has its generation.
  submit();
  Slot& slot = slots_[index];
  if (slot.in_flight) {
    ask_to_end(index);
    submit();
  } else if (is_staged(index)) {  // the kernel refused for now
    slot.cancel_when_taken = true;
  }
}

// What was staged before a cancel was taken before it, so the slot that it names has its operation's generation:
// that one ends or nothing does, even if the slot is staged anew behind the cancel.
uint64_t Engine::target_of(const Descriptor& cancel) const {
  const uint64_t slot = cancel.address();
  if (slot >= slots_.size()) return no_user_data;
  return user_data_of(static_cast<uint32_t>(slot), slots_[slot].generation);
}

void Engine::ask_to_end(uint32_t index) {
  Slot& slot = slots_[index];
  if (slot.cancelling) return;
  slot.cancelling = true;
  cancels_.push_back(user_data_of(index, slot.generation));
}

bool Engine::is_staged(uint32_t slot) {
  for (uint32_t i = shared_.header[Shared::taken]; i != shared_.header[Shared::staged]; i++) {
    if (descriptor(i).slot == slot) return true;
  }
  return false;
}

// One cancel at a time, so that one reserved completion is enough. It ends at once: the kernel either
// finds the operation or it does not.
void Engine::stage_cancel() {
  while (!cancel_in_flight_ && !cancels_.empty()) {
    const uint64_t target = cancels_.front();
    Slot& slot = slots_[static_cast<uint32_t>(target)];
    if (slot.in_flight && slot.generation == target >> 32) {
      io_uring_sqe* sqe = ring_.get_sqe();
      if (sqe == nullptr) return;
      prepare_cancel(*sqe, target, cancel_user_data);
      cancel_in_flight_ = true;
      slot.cancelling = false;
    }
    cancels_.pop_front();
  }
}

uint32_t Engine::reap() {
  const uint32_t reaped = reap_into(shared_.completions, shared_.completions_max);
  shared_.header[Shared::completed] = reaped;
  shared_.header[Shared::dispatched] = 0;
  double& largest = shared_.counters[largest_batch];
  largest = std::max(largest, static_cast<double>(reaped));
  return reaped;
}

uint32_t Engine::reap_into(Completion* out, uint32_t max) {
  constexpr uint32_t batch = 64;
  io_uring_cqe cqes[batch];
  uint32_t reaped = 0;
  for (;;) {
    // The end of a lane gives two.
    const uint32_t room = lanes_ == 0 ? max - reaped : (max - reaped) / 2;
    const uint32_t copied = ring_.reap(cqes, std::min(batch, room));
    for (uint32_t i = 0; i < copied; i++) reaped += finish(cqes[i], out + reaped);
    if (copied == 0 || (copied < batch && !ring_.has_more())) break;
  }
  if (!cancel_in_flight_ && !cancels_.empty()) submit();
  return reaped;
}

// Writes what this completion ends, and returns how many that are: none where nobody waits for it.
uint32_t Engine::finish(const io_uring_cqe& cqe, Completion* out) {
  if (cqe.user_data == cancel_user_data) {
    cancel_in_flight_ = false;
    return 0;
  }
  const auto index = static_cast<uint32_t>(cqe.user_data);
  const auto generation = static_cast<uint32_t>(cqe.user_data >> 32);
  URING_CHECK(index < slots_.size());
  Slot& slot = slots_[index];
  URING_CHECK(slot.in_flight && slot.generation == generation);
  slot.in_flight = slot.cancelling = false;
  slot.vector.reset();
  in_flight_--;
  count(completed);
  if (slot.adopts && cqe.res >= 0) adopt(cqe.res);
  if (slot.closes >= 0 && cqe.res == -ECANCELED) adopt(slot.closes);  // still open
  *out = {index, slot.severed ? -ECANCELED : cqe.res == -erestartsys ? -EINTR : cqe.res, cqe.flags, generation};
  slot.severed = false;
  return slot.lane == nullptr ? 1 : finish_lane(*slot.lane, out);
}

void Engine::add_lane(uint32_t index, CopyRange& range, CopyPiece& piece) {
  const Descriptor& read = descriptor(index - 1);
  const Descriptor& write = descriptor(index);
  URING_CHECK(read.slot < slots_.size() && write.slot < slots_.size() && read.slot != write.slot);
  URING_CHECK((read.flags & IOSQE_IO_LINK) && !slots_[read.slot].in_flight);
  Slot& slot = slots_[read.slot];
  slot.owned = std::make_unique<CopyLane>(read, write, range, piece);
  slot.lane = slots_[write.slot].lane = slot.owned.get();
  lanes_++;
}

// Either of the lane's two has ended, with what is in `out`.
uint32_t Engine::finish_lane(CopyLane& lane, Completion* out) {
  if (!lane.ended(*out)) return 0;
  if (!draining_ && !shared_.header[Shared::crowded] && lane.advance()) {
    stage(lane.read());
    stage(lane.write());
    return 0;
  }
  out[0] = lane.read_end();
  out[1] = lane.write_end();
  for (int i = 0; i < 2; i++) slots_[out[i].slot].lane = nullptr;
  lanes_--;
  slots_[out[0].slot].owned.reset();
  return 2;
}

// As JavaScript does it. There is room: no slot is staged twice, and there are as many places.
void Engine::stage(const Descriptor& descriptor) {
  this->descriptor(shared_.header[Shared::staged]++) = descriptor;
}

iovec* Engine::make_vector(uint32_t slot, uint32_t count) {
  URING_CHECK(slot < slots_.size() && !slots_[slot].in_flight);
  slots_[slot].vector = std::make_unique<iovec[]>(count);
  return slots_[slot].vector.get();
}

}  // namespace uring
